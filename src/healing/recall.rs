//! Recall of approximate indexes (pgvector's hnsw and ivfflat): the share of the nearest vectors that an index finds, against an
//! exact scan, for vectors of the table itself drawn at random.
//!
//! A row counts as found when it is no farther than the farthest of the nearest ones, so that equal distances don't matter.
//! Expressions and predicates of an index are computed with the rights of the table's owner, as REINDEX does.

use crate::pg::own_settings;
use core::ffi::CStr;
use pgrx::spi::SpiResult;
use pgrx::{Spi, pg_sys};

/// Vectors whose neighbours are looked for.
const SAMPLE: i64 = 10;
/// Neighbours of each.
const NEIGHBOURS: usize = 10;

/// What leaves the planner no other way than an index, if one can be used.
const INDEXES_ONLY: &[(&CStr, &CStr)] = &[(c"enable_seqscan", c"off"), (c"enable_sort", c"off")];

const DESCRIPTION: &str = "SELECT t.relowner, pg_catalog.format('%I.%I', tn.nspname, t.relname), c.relname::text, \
        pg_catalog.pg_get_indexdef(i.indexrelid, 1, false), pg_catalog.pg_get_expr(i.indpred, i.indrelid), \
        pg_catalog.format('OPERATOR(%I.%s)', opn.nspname, o.oprname), pg_catalog.format_type(a.atttypid, a.atttypmod) \
     FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
     JOIN pg_catalog.pg_am AS m ON m.oid = c.relam JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid \
     JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace \
     JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = 1 \
     JOIN pg_catalog.pg_opclass AS k ON k.oid = i.indclass[0] \
     JOIN pg_catalog.pg_amop AS f ON f.amopfamily = k.opcfamily AND f.amoppurpose = 'o' AND f.amoplefttype = k.opcintype \
     JOIN pg_catalog.pg_operator AS o ON o.oid = f.amopopr \
     JOIN pg_catalog.pg_namespace AS opn ON opn.oid = o.oprnamespace \
     WHERE i.indexrelid = $1 AND i.indisvalid AND c.relkind = 'i' AND m.amname IN ('hnsw', 'ivfflat')";

/// An approximate index, as SQL that reads it needs it.
pub(super) struct Approximate {
    owner: pg_sys::Oid,
    table: String,
    /// Without its schema, as EXPLAIN names it.
    name: String,
    key: String,
    predicate: String,
    operator: String,
    key_type: String,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measured {
    /// The share that was found.
    Recall(f64),
    /// There are no vectors.
    Empty,
    /// PostgreSQL does not use this index for its own order, as where another one has the same.
    Unused,
}

/// What is known of a valid approximate index; none of any other.
pub(super) fn describe(index: pg_sys::Oid) -> SpiResult<Option<Approximate>> {
    Spi::connect(|client| {
        let rows = client.select(DESCRIPTION, Some(1), &[index.into()])?;
        let row = rows.into_iter().next();
        row.map(|row| {
            let text = |column| -> SpiResult<String> { Ok(row.get(column)?.unwrap_or_default()) };
            let predicate = row.get::<String>(5)?;
            Ok(Approximate {
                owner: row.get(1)?.unwrap_or(pg_sys::InvalidOid),
                table: text(2)?,
                name: text(3)?,
                key: text(4)?,
                predicate: predicate.unwrap_or_else(|| "true".to_owned()),
                operator: text(6)?,
                key_type: text(7)?,
            })
        })
        .transpose()
    })
}

impl Approximate {
    /// Measures it with the settings of the session, as `hnsw.ef_search`.
    pub(super) fn measure(&self) -> SpiResult<Measured> {
        own_settings::within_as_owner_of(self.owner.to_u32(), || {
            let vectors = self.sample()?;
            if vectors.is_empty() {
                return Ok(Measured::Empty);
            }
            let exact = distances(&self.nearest("0 + "), &vectors)?;
            let nearest = self.nearest("");
            let found = own_settings::with(INDEXES_ONLY, || {
                if !self.is_used(&nearest, &vectors)? {
                    return Ok(None);
                }
                distances(&nearest, &vectors).map(Some)
            })?;
            Ok(found.map_or(Measured::Unused, |found| share(&exact, &found)))
        })
    }

    fn sample(&self) -> SpiResult<Vec<String>> {
        let Self {
            table,
            key,
            predicate,
            ..
        } = self;
        let sql = format!(
            "SELECT ({key})::text FROM ONLY {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ONLY {table} \
             WHERE ({predicate}) AND ({key}) IS NOT NULL ORDER BY pg_catalog.random() LIMIT {SAMPLE}))"
        );
        Spi::connect(|client| {
            let rows = client.select(&sql, None, &[])?;
            rows.filter_map(|row| row.get::<String>(1).transpose()).collect()
        })
    }

    /// The distances of the nearest rows; of no index's order with something added to them.
    fn nearest(&self, added: &str) -> String {
        let Self {
            table,
            key,
            predicate,
            operator,
            key_type,
            ..
        } = self;
        format!(
            "WITH sampled AS MATERIALIZED (SELECT v::{key_type} AS vector, n \
                FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS u (v, n)) \
             SELECT sampled.n, d.distance FROM sampled, LATERAL (SELECT ({key}) {operator} sampled.vector AS distance \
                FROM ONLY {table} AS indexed WHERE {predicate} \
                ORDER BY {added}(({key}) {operator} sampled.vector) LIMIT {NEIGHBOURS}) AS d"
        )
    }

    fn is_used(&self, sql: &str, vectors: &[String]) -> SpiResult<bool> {
        let explain = format!("EXPLAIN (FORMAT JSON, COSTS OFF) {sql}");
        let plan = Spi::get_one_with_args::<pgrx::Json>(&explain, &[vectors.to_vec().into()])?;
        Ok(plan.is_some_and(|plan| names_index(&plan.0, &self.name)))
    }
}

fn names_index(plan: &serde_json::Value, name: &str) -> bool {
    use serde_json::Value;
    match plan {
        Value::Object(fields) => {
            fields.get("Index Name").and_then(Value::as_str) == Some(name)
                || fields.values().any(|field| names_index(field, name))
        }
        Value::Array(items) => items.iter().any(|item| names_index(item, name)),
        _ => false,
    }
}

/// Distances by the number of the vector, from 1.
fn distances(sql: &str, vectors: &[String]) -> SpiResult<Vec<Vec<f64>>> {
    let mut all = vec![Vec::new(); vectors.len()];
    Spi::connect(|client| {
        for row in client.select(sql, None, &[vectors.to_vec().into()])? {
            let number = row
                .get::<i64>(1)?
                .and_then(|number| usize::try_from(number - 1).ok());
            let distances = number.and_then(|number| all.get_mut(number));
            if let (Some(distances), Some(distance)) = (distances, row.get::<f64>(2)?) {
                distances.push(distance);
            }
        }
        Ok(all)
    })
}

fn share(exact: &[Vec<f64>], found: &[Vec<f64>]) -> Measured {
    let (mut nearest, mut hits) = (0, 0);
    for (exact, found) in exact.iter().zip(found) {
        let farthest = exact.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        nearest += exact.len();
        hits += found
            .iter()
            .filter(|&&distance| distance <= farthest)
            .count()
            .min(exact.len());
    }
    match nearest {
        0 => Measured::Empty,
        _ => Measured::Recall(hits as f64 / nearest as f64),
    }
}

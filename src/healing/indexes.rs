//! Indexes: how each is, by the catalog and the statistics, and how well an approximate one finds.
//!
//! What a B-tree would take if it were built now follows from the average widths in pg_stats, after the query of ioguix
//! (pgsql-bloat-estimation). Its size is what the last VACUUM or ANALYZE noted, so that nothing waits for a lock.

use super::recall::{self, Measured};
use crate::pg::{catalog, own_settings};
use engine::healing::{IndexAction, IndexFacts, IndexHealth, expected_btree_pages, index_health};
use pgrx::Spi;
use pgrx::pg_sys;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

/// Rows up to which an exact scan for the recall is no trouble to who only looks.
const SCANNED: f64 = 50_000.0;

/// An index's age is not in the catalog. It is at least that of the oldest execution that was written down after it was made,
/// by transaction numbers; without such a one it is not known.
const INDEXES: &str = "SELECT i.indexrelid, pg_catalog.format('%I.%I', n.nspname, c.relname), m.amname::text, i.indisvalid, \
        i.indisunique OR i.indisexclusion OR i.indisreplident OR c.relispartition \
            OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conindid = i.indexrelid), \
        pg_catalog.pg_stat_get_numscans(c.oid), \
        CASE WHEN pg_catalog.pg_stat_get_numscans(c.oid) = 0 THEN (SELECT extract(epoch FROM pg_catalog.now() - greatest( \
            pg_catalog.min(e.ended_at), pg_catalog.pg_stat_get_db_stat_reset_time(d.oid)))::float8 \
            FROM ruvector.dag_trajectories AS e WHERE pg_catalog.age(e.xmin) < pg_catalog.age(c.xmin) \
            HAVING pg_catalog.count(*) > 0) END, \
        c.relpages::float8, c.reltuples::float8, \
        pg_catalog.pg_stat_get_dead_tuples(t.oid)::float8 / nullif(pg_catalog.pg_stat_get_dead_tuples(t.oid) \
            + pg_catalog.pg_stat_get_live_tuples(t.oid), 0), \
        (SELECT o.option_value::float8 FROM pg_catalog.pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'fillfactor'), \
        w.key_bytes, w.correlation, \
        t.reltuples::float8, pg_catalog.has_table_privilege($1, t.oid, 'SELECT') AND NOT t.relrowsecurity \
     FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i' \
     JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid JOIN pg_catalog.pg_am AS m ON m.oid = c.relam \
     JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
     JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace \
     JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database(), \
     LATERAL (SELECT \
        CASE WHEN pg_catalog.count(s.attname) = i.indnatts THEN pg_catalog.sum((1 - s.null_frac) * s.avg_width)::float8 END \
            AS key_bytes, \
        pg_catalog.max(s.correlation) FILTER (WHERE a.attnum = 1)::float8 AS correlation \
        FROM pg_catalog.pg_attribute AS a LEFT JOIN pg_catalog.pg_stats AS s ON NOT s.inherited \
            AND CASE WHEN i.indkey[a.attnum - 1] = 0 \
                THEN s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname \
                ELSE s.schemaname = tn.nspname AND s.tablename = t.relname AND s.attname = (SELECT ta.attname \
                    FROM pg_catalog.pg_attribute AS ta WHERE ta.attrelid = t.oid AND ta.attnum = i.indkey[a.attnum - 1]) END \
        WHERE a.attrelid = c.oid AND a.attnum > 0) AS w \
     WHERE c.oid >= 16384 AND t.relkind IN ('r', 'm') AND t.relpersistence <> 't' \
        AND ($2 OR pg_catalog.pg_has_role($1, t.relowner, 'USAGE')) \
     ORDER BY 2";

/// An index, and how it is.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    /// As SQL writes it, with its schema.
    pub(crate) name: String,
    /// Its access method.
    pub(crate) method: String,
    /// The share of pages that rebuilding would free, of a B-tree; of a BRIN index how far its rows are from its order.
    pub(crate) fragmentation: Option<f64>,
    pub(crate) recall: Option<f64>,
    pub(crate) action: IndexAction,
}

/// What the catalog says of an index.
struct Row {
    index: pg_sys::Oid,
    name: String,
    method: String,
    facts: IndexFacts,
    correlation: Option<f64>,
    /// Whether its recall may be measured here.
    is_measurable: bool,
}

/// The indexes of the caller's tables, or of all for who reads all statistics. With `measures`, approximate ones are measured.
pub(crate) fn health(measures: bool) -> SpiResult<Vec<Index>> {
    let (user, sees_all) = (pg_sys::Oid::from(catalog::user()), catalog::reads_all_stats());
    // Widths of columns that the caller can't read are needed, too; no value is looked at.
    let rows = own_settings::within_as_owner(|| {
        Spi::connect(|client| {
            let rows = client.select(INDEXES, None, &[user.into(), sees_all.into()])?;
            rows.map(|row| read(&row)).collect::<SpiResult<Vec<_>>>()
        })
    })?;
    own_settings::within(|| rows.into_iter().map(|row| judged(row, measures)).collect())
}

fn read(row: &SpiHeapTupleData<'_>) -> SpiResult<Row> {
    let number = |column| row.get::<f64>(column);
    let method = row.get::<String>(3)?.unwrap_or_default();
    let pages = number(8)?.unwrap_or(0.0);
    let tuples = number(9)?.filter(|&tuples| tuples >= 0.0 && pages > 0.0);
    let key_bytes = number(12)?.filter(|_| method == "btree");
    let fillfactor = number(11)?.unwrap_or(USUAL_FILLFACTOR);
    let expected_pages = tuples
        .zip(key_bytes)
        .map(|(tuples, key_bytes)| expected_btree_pages(tuples, key_bytes, fillfactor, PAGE_BYTES));
    let table_rows = number(14)?.unwrap_or(-1.0);
    Ok(Row {
        index: row.get(1)?.unwrap_or(pg_sys::InvalidOid),
        name: row.get(2)?.unwrap_or_default(),
        facts: IndexFacts {
            is_valid: row.get(4)?.unwrap_or(true),
            is_constraint: row.get(5)?.unwrap_or(true),
            scans: row
                .get::<i64>(6)?
                .and_then(|scans| u64::try_from(scans).ok())
                .unwrap_or(0),
            seconds_counted: number(7)?.unwrap_or(0.0),
            pages,
            expected_pages,
            dead_share: number(10)?,
            recall: None,
        },
        correlation: number(13)?.filter(|_| method == "brin"),
        is_measurable: (0.0..=SCANNED).contains(&table_rows) && row.get::<bool>(15)?.unwrap_or(false),
        method,
    })
}

/// Of a B-tree without one of its own (`BTREE_DEFAULT_FILLFACTOR`), in percent.
const USUAL_FILLFACTOR: f64 = 90.0;
const PAGE_BYTES: f64 = pg_sys::BLCKSZ as f64;

fn judged(row: Row, measures: bool) -> SpiResult<Index> {
    let recall = match measures && row.is_measurable {
        true => recall_of(row.index)?,
        false => None,
    };
    let IndexHealth {
        fragmentation,
        action,
    } = index_health(&IndexFacts { recall, ..row.facts });
    Ok(Index {
        name: row.name,
        method: row.method,
        fragmentation: row
            .correlation
            .map(|correlation| 1.0 - correlation.abs())
            .or(fragmentation),
        recall,
        action,
    })
}

fn recall_of(index: pg_sys::Oid) -> SpiResult<Option<f64>> {
    let Some(approximate) = recall::describe(index)? else {
        return Ok(None);
    };
    Ok(match approximate.measure()? {
        Measured::Recall(recall) => Some(recall),
        Measured::Empty | Measured::Unused => None,
    })
}

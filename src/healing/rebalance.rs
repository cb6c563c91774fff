//! An approximate index that finds too little is built anew: after many changes its graph or its lists don't fit its vectors.

use super::recall::{self, Measured};
use crate::error::{internal, invalid_argument, repair_failed};
use crate::pg::ereport::{Report, sqlstate};
use crate::pg::own_settings;
use pgrx::spi::SpiResult;
use pgrx::{Spi, pg_sys};
use std::time::Instant;

/// What was done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rebalanced {
    /// Vectors that were written anew.
    pub(crate) moved: i64,
    /// None of an index without vectors.
    pub(crate) recall: Option<f64>,
    pub(crate) took_ms: f64,
}

/// An index that the caller named.
struct Named {
    index: pg_sys::Oid,
    /// As SQL writes it, with its schema.
    name: String,
    method: String,
    is_owned: bool,
}

/// Builds an index of the caller's anew when it finds less than this share of the nearest vectors.
pub(crate) fn rebalance(name: &str, target: f64) -> Result<Rebalanced, Report> {
    if !(target > 0.0 && target <= 1.0) {
        let message = format!("target_recall is out of its range: {target}");
        return Err(invalid_argument(message, "Use a number above 0 and up to 1."));
    }
    let begun = Instant::now();
    // By the caller's search path.
    let index =
        Spi::get_one_with_args::<pg_sys::Oid>("SELECT pg_catalog.to_regclass($1)::oid", &[name.into()]);
    let index = index.map_err(internal)?.ok_or_else(|| missing(name))?;
    let (moved, recall) = own_settings::within(|| {
        let named = named(index).map_err(internal)?.ok_or_else(|| missing(name))?;
        may_rebalance(&named)?;
        improve(&named, target)
    })?;
    Ok(Rebalanced {
        moved,
        recall,
        took_ms: begun.elapsed().as_secs_f64() * 1000.0,
    })
}

fn named(index: pg_sys::Oid) -> SpiResult<Option<Named>> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), coalesce(m.amname, '')::text, \
             pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class AS c \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND c.relkind = 'i' WHERE c.oid = $1",
            Some(1),
            &[index.into()],
        )?;
        let row = rows.into_iter().next();
        row.map(|row| {
            Ok(Named {
                index,
                name: row.get(1)?.unwrap_or_default(),
                method: row.get(2)?.unwrap_or_default(),
                is_owned: row.get(3)?.unwrap_or(false),
            })
        })
        .transpose()
    })
}

fn may_rebalance(named: &Named) -> Result<(), Report> {
    let name = &named.name;
    if !["hnsw", "ivfflat"].contains(&named.method.as_str()) {
        return Err(Report {
            sqlstate: sqlstate(b"42809"),
            message: format!("{name} is no hnsw or ivfflat index"),
            detail: None,
            hint: Some(
                "Others find all there is: dag_index_health() says which of them REINDEX would make smaller."
                    .to_owned(),
            ),
        });
    }
    match named.is_owned {
        true => Ok(()),
        false => Err(Report {
            sqlstate: sqlstate(b"42501"),
            message: format!("must be owner of index {name}"),
            detail: None,
            hint: None,
        }),
    }
}

/// How many vectors were written anew, and the recall then.
fn improve(named: &Named, target: f64) -> Result<(i64, Option<f64>), Report> {
    match recall_of(named)? {
        None => return Ok((0, None)),
        Some(recall) if recall >= target => return Ok((0, Some(recall))),
        Some(_) => {}
    }
    Spi::run(&format!("REINDEX INDEX {}", named.name)).map_err(internal)?;
    let recall = recall_of(named)?.unwrap_or(0.0);
    if recall < target {
        return Err(missed(named, recall, target));
    }
    let sql = "SELECT greatest(reltuples, 0)::int8 FROM pg_catalog.pg_class WHERE oid = $1";
    let moved = Spi::get_one_with_args::<i64>(sql, &[named.index.into()]).map_err(internal)?;
    Ok((moved.unwrap_or(0), Some(recall)))
}

/// None of an index without vectors. An invalid one finds nothing.
fn recall_of(named: &Named) -> Result<Option<f64>, Report> {
    let Some(approximate) = recall::describe(named.index).map_err(internal)? else {
        return Ok(Some(0.0));
    };
    match approximate.measure().map_err(internal)? {
        Measured::Recall(recall) => Ok(Some(recall)),
        Measured::Empty => Ok(None),
        Measured::Unused => Err(Report {
            sqlstate: sqlstate(b"55000"),
            message: format!("the recall of {} can't be measured", named.name),
            detail: Some("PostgreSQL does not use it to order by its own distance.".to_owned()),
            hint: Some("Is there another index on the same? One of them is enough.".to_owned()),
        }),
    }
}

fn missing(name: &str) -> Report {
    Report {
        sqlstate: sqlstate(b"42P01"),
        message: format!("index \"{name}\" does not exist"),
        detail: None,
        hint: None,
    }
}

fn missed(named: &Named, recall: f64, target: f64) -> Report {
    let hint = match named.method.as_str() {
        "hnsw" => "Raise hnsw.ef_search, or build the index with a greater m or ef_construction.",
        _ => "Raise ivfflat.probes, or build the index with fewer lists.",
    };
    repair_failed(
        format!(
            "built anew, {} has a recall of {recall:.3}, less than {target}",
            named.name
        ),
        hint,
    )
}

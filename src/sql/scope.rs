//! `dag_enable`, `dag_disable` and `dag_reset_tables`: which tables are learned from.

use super::state::is_writable;
use crate::error::{invalid_argument, learning_failed, or_raise};
use crate::pg::ereport::Report;
use crate::pg::own_settings;
use crate::pg::scope::{self, Kind};
use crate::settings;
use crate::worker::patterns::begin_change;
use pgrx::spi::SpiResult;
use pgrx::{Spi, pg_extern, pg_sys};

/// Learns from statements on this table; on others only if they are enabled, too.
#[pg_extern]
fn dag_enable(relation: pg_sys::Oid) {
    or_raise(say(relation, true));
}

/// Leaves statements on this table to stock PostgreSQL.
#[pg_extern]
fn dag_disable(relation: pg_sys::Oid) {
    or_raise(say(relation, false));
}

fn say(relation: pg_sys::Oid, is_enabled: bool) -> Result<(), Report> {
    is_writable()?;
    match scope::kind(relation.to_u32()) {
        Kind::Table => {}
        Kind::Other(name) => {
            return Err(invalid_argument(
                format!("\"{name}\" is not a table that is learned from"),
                "Name a table, partitioned table, materialized view or foreign table that is neither temporary nor part \
                 of the system catalog.",
            ));
        }
        Kind::Gone => {
            return Err(invalid_argument(
                format!("there is no table with OID {}", relation.to_u32()),
                "Name a table that exists.",
            ));
        }
    }
    change(|| {
        Spi::run(GONE)?;
        Spi::run_with_args(
            "INSERT INTO ruvector.dag_tables AS known (relation, is_enabled, changed_at) VALUES ($1, $2, now()) \
             ON CONFLICT (relation) DO UPDATE SET is_enabled = excluded.is_enabled, changed_at = excluded.changed_at",
            &[relation.into(), is_enabled.into()],
        )
    })
}

/// Their numbers may become others' tables.
const GONE: &str = "DELETE FROM ruvector.dag_tables AS known WHERE NOT EXISTS \
     (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = known.relation)";

/// Takes back what was said of these tables, by default of all; answers of how many.
#[pg_extern]
fn dag_reset_tables(relations: Option<Vec<Option<pg_sys::Oid>>>) -> i32 {
    or_raise(reset(relations))
}

fn reset(relations: Option<Vec<Option<pg_sys::Oid>>>) -> Result<i32, Report> {
    is_writable()?;
    let relations: Option<Vec<pg_sys::Oid>> = relations.map(|all| all.into_iter().flatten().collect());
    change(|| {
        let count = Spi::get_one_with_args::<i64>(
            "WITH gone AS (DELETE FROM ruvector.dag_tables WHERE $1 IS NULL OR relation = ANY ($1::pg_catalog.oid[]) \
             RETURNING 1) SELECT count(*) FROM gone",
            &[relations.into()],
        )?;
        Ok(count.and_then(|count| i32::try_from(count).ok()).unwrap_or(0))
    })
}

fn change<R>(work: impl FnOnce() -> SpiResult<R>) -> Result<R, Report> {
    begin_change()?;
    let result = settings::paused(|| own_settings::within(work));
    scope::announce_change();
    result.map_err(|error| learning_failed(error.to_string()))
}

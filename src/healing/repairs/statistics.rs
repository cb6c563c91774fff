//! Tables whose statistics are stale are analysed, with the rights of who asks for it, and only those they own.
//!
//! Stale is what autovacuum would analyse: as many rows changed since the last time as `autovacuum_analyze_threshold` and
//! `autovacuum_analyze_scale_factor` say, the table's own where it has them.

use super::{Done, Ground, run};
use crate::pg::subtransaction::attempt;
use engine::healing::{Finding, RepairStrategy};
use pgrx::spi::SpiResult;
use pgrx::{Spi, pg_sys};

/// Tables that are analysed at once.
const MOST: i64 = 100;

/// Of the tables that the current user owns, but ours.
const STALE: &str = "SELECT c.oid, c.relowner, pg_catalog.format('%I.%I', n.nspname, c.relname), \
        pg_catalog.pg_stat_get_mod_since_analyze(c.oid)::float8 AS changed, c.reltuples::float8, s.threshold \
     FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace, \
     LATERAL (SELECT \
        coalesce((SELECT o.option_value::float8 FROM pg_catalog.pg_options_to_table(c.reloptions) AS o \
            WHERE o.option_name = 'autovacuum_analyze_threshold'), \
            pg_catalog.current_setting('autovacuum_analyze_threshold')::float8) \
        + coalesce((SELECT o.option_value::float8 FROM pg_catalog.pg_options_to_table(c.reloptions) AS o \
            WHERE o.option_name = 'autovacuum_analyze_scale_factor'), \
            pg_catalog.current_setting('autovacuum_analyze_scale_factor')::float8) * greatest(c.reltuples, 0) \
        AS threshold) AS s \
     WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.oid >= 16384 AND n.nspname <> 'ruvector' \
        AND pg_catalog.pg_has_role(c.relowner, 'USAGE') \
        AND pg_catalog.pg_stat_get_mod_since_analyze(c.oid) > s.threshold \
     ORDER BY changed DESC LIMIT $1";

/// Changes since the last ANALYZE as they are now, not as they were when this transaction first asked, and whether there are
/// statistics, or nothing to have them of.
const NOW: &str = "SELECT pg_catalog.pg_stat_get_mod_since_analyze(c.oid)::float8, \
        c.reltuples = 0 OR EXISTS (SELECT FROM pg_catalog.pg_stats AS s JOIN pg_catalog.pg_namespace AS n \
            ON n.nspname = s.schemaname WHERE n.oid = c.relnamespace AND s.tablename = c.relname) \
     FROM pg_catalog.pg_class AS c WHERE c.oid = $1";

/// A table with stale statistics.
struct Stale {
    table: pg_sys::Oid,
    owner: pg_sys::Oid,
    /// As SQL writes it.
    name: String,
    changed: f64,
    rows: f64,
    threshold: f64,
}

/// Analyses the stale tables of the current user.
pub(in crate::healing) fn of_caller() -> SpiResult<Vec<Done>> {
    let stale = Spi::connect(|client| {
        let rows = client.select(STALE, None, &[MOST.into()])?;
        rows.map(|row| {
            Ok(Stale {
                table: row.get(1)?.unwrap_or(pg_sys::InvalidOid),
                owner: row.get(2)?.unwrap_or(pg_sys::InvalidOid),
                name: row.get(3)?.unwrap_or_default(),
                changed: row.get(4)?.unwrap_or(0.0),
                rows: row.get(5)?.unwrap_or(0.0),
                threshold: row.get(6)?.unwrap_or(0.0),
            })
        })
        .collect::<SpiResult<Vec<_>>>()
    })?;
    Ok(stale
        .iter()
        .map(|stale| run(stale, (None, Some(stale.owner.to_u32()))))
        .collect())
}

impl RepairStrategy<Ground> for Stale {
    /// The statement.
    type Plan = String;
    type Error = String;

    fn kind(&self) -> &'static str {
        "statistics"
    }

    fn detect(&self, _: &Ground) -> Result<Option<Finding>, String> {
        Ok(Some(Finding {
            target: self.name.clone(),
            issue: format!("{:.0} rows changed since the last ANALYZE", self.changed),
        }))
    }

    fn diagnose(&self, _: &Ground, _: &Finding) -> Result<String, String> {
        Ok(match self.rows < 0.0 {
            true => "it was never analysed".to_owned(),
            false => format!(
                "that is more than the {:.0} at which autovacuum would, of {:.0} rows",
                self.threshold, self.rows
            ),
        })
    }

    fn plan(&self, _: &Ground, _: &Finding) -> Result<String, String> {
        Ok(format!("ANALYZE {}", self.name))
    }

    fn apply(&self, ground: &mut Ground, statement: &String) -> Result<(), String> {
        let done = ground.change(|| Spi::run(statement))?;
        done.map_err(|error| error.to_string())
    }

    fn verify(&self, _: &Ground, _: &String) -> Result<bool, String> {
        let now = attempt(|| {
            Spi::run("SELECT pg_catalog.pg_stat_clear_snapshot()")
                .and_then(|()| Spi::get_two_with_args::<f64, bool>(NOW, &[self.table.into()]))
        })?;
        let (changed, has_statistics) = now.map_err(|error| error.to_string())?;
        Ok(changed.is_some_and(|changed| changed <= self.threshold) && has_statistics.unwrap_or(false))
    }

    fn roll_back(&self, ground: &mut Ground, _: &String) -> Result<(), String> {
        ground.undo();
        Ok(())
    }
}

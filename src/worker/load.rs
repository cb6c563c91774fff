//! From the extension's tables to shared memory: after a start, and again and again on a standby.

use super::earned;
use crate::pg::catalog;
use crate::shmem::events::{self, Kind};
use crate::shmem::layout::{Correction, MAX_RELATIONS, Statement};
use crate::shmem::{corrections, databases, statements};
use engine::decision::{HintSet, PlanEvidence, StatementEvidence};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::spi::{SpiHeapTupleData, SpiResult, SpiTupleTable};
use pgrx::{Spi, pg_sys};
use std::collections::HashMap;

/// Loads what a database learned earlier, once per server start; on a standby each time, to follow its primary.
pub(super) fn earlier_knowledge(database: u32) {
    if databases::is_loaded(database) && !catalog::is_standby() {
        return;
    }
    let loaded = Spi::connect(|client| {
        let corrections = client.select(CORRECTIONS, None, &[])?;
        let classes = client.select(CLASSES, None, &[])?;
        let counts = [corrections.len() as f64, classes.len() as f64];
        load_corrections(corrections, database)?;
        let plans = load_plans(client.select(PLANS, None, &[])?)?;
        load_classes(classes, database, plans)?;
        Ok(counts)
    });
    match loaded.and_then(|counts| earned::load(database).map(|()| counts)) {
        Ok(counts) => {
            // A standby loads again and again.
            if !databases::is_loaded(database) {
                events::note(Kind::StateLoaded, counts);
            }
            databases::set_loaded(database);
        }
        Err(error) => pgrx::error!("ruvector_dag could not load what was learned: {error}"),
    }
}

// Oldest first: the newest stay when not all fit.
const CORRECTIONS: &str = "SELECT relation_key, relations, rows, estimated_rows, table_rows, modifications, sequence, \
     queryid, measured_at, observations, relation_count, is_lower_bound, role FROM ruvector.dag_corrections ORDER BY measured_at";
const PLANS: &str = "SELECT class, plan_shape, cutoff, runs, cut_off_runs, lower_bound_ms, total_cost, samples_ms, hints \
     FROM ruvector.dag_plan_shapes";
const CLASSES: &str = "SELECT class, queryid, userid, last_run_at, calls, trials, corrected_runs, is_fresh, saved_ms, lost_ms, settled \
     FROM ruvector.dag_statement_classes ORDER BY last_run_at";

fn word(row: &SpiHeapTupleData<'_>, column: usize) -> SpiResult<u64> {
    Ok(row.get::<i64>(column)?.unwrap_or(0) as u64)
}

fn number(row: &SpiHeapTupleData<'_>, column: usize) -> SpiResult<f64> {
    Ok(row.get::<f64>(column)?.unwrap_or(0.0))
}

fn time(row: &SpiHeapTupleData<'_>, column: usize) -> SpiResult<i64> {
    Ok(row.get::<TimestampWithTimeZone>(column)?.map_or(0, i64::from))
}

fn load_corrections(table: SpiTupleTable<'_>, database: u32) -> SpiResult<()> {
    for row in table {
        let mut relations = [0; MAX_RELATIONS];
        let oids = row.get::<Vec<pg_sys::Oid>>(2)?.unwrap_or_default();
        relations
            .iter_mut()
            .zip(&oids)
            .for_each(|(kept, oid)| *kept = oid.to_u32());
        corrections::restore(Correction {
            relation_key: word(&row, 1)?,
            rows: number(&row, 3)?,
            estimated_rows: number(&row, 4)?,
            table_rows: number(&row, 5)?,
            modifications: word(&row, 6)?,
            sequence: word(&row, 7)?,
            queryid: row.get::<i64>(8)?.unwrap_or(0),
            measured_at: time(&row, 9)?,
            observations: word(&row, 10)? as u32,
            database,
            relation_count: row.get::<i32>(11)?.unwrap_or(0) as u32,
            dirty: 0,
            is_bound: u32::from(row.get::<bool>(12)?.unwrap_or(false)),
            role: row.get::<pg_sys::Oid>(13)?.map_or(0, |role| role.to_u32()),
            relations,
        });
    }
    Ok(())
}

fn load_plans(table: SpiTupleTable<'_>) -> SpiResult<HashMap<u64, Vec<PlanEvidence>>> {
    let mut plans: HashMap<u64, Vec<PlanEvidence>> = HashMap::new();
    for row in table {
        let samples = row.get::<Vec<f32>>(8)?.unwrap_or_default();
        let mut plan = PlanEvidence::default();
        plan.shape = word(&row, 2)?;
        plan.decision.cutoff = word(&row, 3)?;
        plan.decision.hints = HintSet::from_bits(row.get::<i32>(9)?.unwrap_or(0) as u32);
        plan.runs = word(&row, 4)? as u32;
        plan.cut_off_runs = word(&row, 5)? as u32;
        plan.lower_bound_ms = row.get::<f32>(6)?.unwrap_or(0.0);
        plan.total_cost = row.get::<f32>(7)?.unwrap_or(0.0);
        plans
            .entry(word(&row, 1)?)
            .or_default()
            .push(plan.with_samples_ms(&samples));
    }
    Ok(plans)
}

fn load_classes(
    table: SpiTupleTable<'_>,
    database: u32,
    mut plans: HashMap<u64, Vec<PlanEvidence>>,
) -> SpiResult<()> {
    for row in table {
        let class = word(&row, 1)?;
        let mut evidence = StatementEvidence::from_plans(plans.remove(&class).unwrap_or_default());
        evidence.calls = word(&row, 5)?;
        evidence.trials = word(&row, 6)? as u32;
        evidence.corrected_runs = word(&row, 7)? as u32;
        evidence.fresh = u32::from(row.get::<bool>(8)?.unwrap_or(false));
        evidence.saved_ms = number(&row, 9)?;
        evidence.lost_ms = number(&row, 10)?;
        let settled = row.get::<Vec<i64>>(11)?.unwrap_or_default();
        evidence.restore_settlement(&settled.iter().map(|&word| word as u64).collect::<Vec<_>>());
        statements::restore(Statement {
            class,
            queryid: row.get::<i64>(2)?.unwrap_or(0),
            database,
            user: row.get::<pg_sys::Oid>(3)?.map_or(0, |user| user.to_u32()),
            last_run_at: time(&row, 4)?,
            dirty: 0,
            evidence,
        });
    }
    Ok(())
}

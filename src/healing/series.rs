//! What is watched over time: of each statement class that ran lately its latest executions, and what we add to plannings per
//! minute.

use crate::pg::catalog;
use crate::shmem::latencies::{self, Component};
use engine::QueryDag;
use engine::mincut::plan_tension;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::spi::{SpiHeapTupleData, SpiResult};
use pgrx::{Spi, pg_sys};

/// Executions that are read of a class: the detector's window is full before the latter half is judged.
const PER_CLASS: i64 = 128;
/// Classes that are looked at in one cycle, those that ran last.
const CLASSES: i64 = 1_000;
const MICROSECONDS: f64 = 1e6;

/// Trials and executions that were cut off say nothing about how long a class takes.
const EXECUTIONS: &str = "WITH ran AS (SELECT class, max(trajectory_id) AS last FROM ruvector.dag_trajectories \
        WHERE NOT is_trial AND NOT is_cut_off AND (trajectory_id > $1 \
            OR class IN (SELECT class FROM ruvector.dag_anomalies WHERE resolved_at IS NULL)) \
        GROUP BY class ORDER BY last DESC LIMIT $2) \
     SELECT t.class, t.queryid, t.userid, t.trajectory_id, t.ended_at, t.execution_ms, t.max_q_error, t.plan \
     FROM ran, LATERAL (SELECT * FROM ruvector.dag_trajectories AS own \
        WHERE own.class = ran.class AND NOT own.is_trial AND NOT own.is_cut_off \
        ORDER BY own.trajectory_id DESC LIMIT $3) AS t \
     ORDER BY t.class, t.trajectory_id";

/// A statement class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) class: i64,
    pub(super) queryid: i64,
    pub(super) user: pg_sys::Oid,
}

/// One execution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Execution {
    pub(super) id: i64,
    /// When it ended, as PostgreSQL counts it.
    pub(super) at: i64,
    pub(super) execution_ms: f64,
    /// The largest factor by which a row count was estimated wrongly; none when no rows were counted.
    pub(super) q_error: Option<f64>,
    /// The tension of its plan; none when that was not kept.
    pub(super) tension: Option<f64>,
}

impl Execution {
    pub(super) fn seconds(&self) -> f64 {
        self.at as f64 / MICROSECONDS
    }
}

/// The latest executions of the classes that ran after this execution, or have an anomaly that is not resolved, the oldest first.
pub(super) fn of_classes(after: i64) -> SpiResult<Vec<(Class, Vec<Execution>)>> {
    let mut found: Vec<(Class, Vec<Execution>)> = Vec::new();
    Spi::connect(|client| {
        let arguments = [after.into(), CLASSES.into(), PER_CLASS.into()];
        for row in client.select(EXECUTIONS, None, &arguments)? {
            let (class, execution) = read(&row)?;
            match found.last_mut().filter(|(known, _)| known.class == class.class) {
                Some((_, executions)) => executions.push(execution),
                None => found.push((class, vec![execution])),
            }
        }
        Ok(found)
    })
}

fn read(row: &SpiHeapTupleData<'_>) -> SpiResult<(Class, Execution)> {
    let class = Class {
        class: row.get(1)?.unwrap_or(0),
        queryid: row.get(2)?.unwrap_or(0),
        user: row.get(3)?.unwrap_or(pg_sys::InvalidOid),
    };
    let plan = row.get::<Vec<u8>>(8)?;
    let dag = plan.and_then(|plan| QueryDag::from_binary(&plan).ok());
    let execution = Execution {
        id: row.get(4)?.unwrap_or(0),
        at: row.get::<TimestampWithTimeZone>(5)?.map_or(0, i64::from),
        execution_ms: row.get(6)?.unwrap_or(0.0),
        q_error: row.get(7)?,
        tension: dag.map(|dag| plan_tension(&dag)),
    };
    Ok((class, execution))
}

/// The number of the newest execution that was written down; 0 without any.
pub(super) fn newest() -> SpiResult<i64> {
    let newest = Spi::get_one::<i64>("SELECT max(trajectory_id) FROM ruvector.dag_trajectories")?;
    Ok(newest.unwrap_or(0))
}

/// What we added to a planning in each of the last minutes that are over, on average, in microseconds: when the minute was
/// over, and that. The oldest first; minutes without plannings are left out.
pub(super) fn planning_overhead() -> Vec<(i64, f64)> {
    let (database, now) = (catalog::database(), latencies::this_minute());
    let of_minute = |minute: i64| {
        let found = latencies::of_database(database, &(minute..=minute));
        let histogram = found.get(&Component::PlanningOverhead)?;
        let count = histogram.count();
        let mean_us = histogram.sum_ns as f64 / 1000.0 / count.max(1) as f64;
        (count > 0).then_some(((minute + 1) * 60_000_000, mean_us))
    };
    (now - latencies::KEPT_MINUTES..now)
        .filter_map(of_minute)
        .collect()
}

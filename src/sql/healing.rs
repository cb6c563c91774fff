//! The functions of healing: what is wrong, and what puts it right.

use super::state::is_writable;
use crate::error::{internal, or_raise};
use crate::healing;
use crate::pg::ereport::Report;
use crate::pg::{own_settings, threads};
use crate::settings;
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

/// How each part is, what is wrong and what to do about it.
#[pg_extern]
fn dag_health_report() -> TableIterator<
    'static,
    (
        name!(subsystem, &'static str),
        name!(status, &'static str),
        name!(score, f64),
        name!(issues, Vec<String>),
        name!(recommendations, Vec<String>),
    ),
> {
    threads::prepare_session();
    let report = settings::paused(|| own_settings::within(healing::report));
    let rows = or_raise(report).into_iter().map(|part| {
        (
            part.name,
            part.status.name(),
            part.score,
            part.issues,
            part.recommendations,
        )
    });
    TableIterator::new(rows)
}

/// One row per metric of which enough is known.
#[pg_extern]
fn dag_learning_drift() -> TableIterator<
    'static,
    (
        name!(metric, &'static str),
        name!(current_value, f64),
        name!(baseline_value, f64),
        name!(drift_magnitude, f64),
        name!(trend, &'static str),
    ),
> {
    threads::prepare_session();
    let drifts = settings::paused(|| own_settings::within(healing::drifts));
    let rows = or_raise(drifts.map_err(internal)).into_iter().map(|moved| {
        let drift = moved.drift;
        (
            moved.metric,
            drift.current,
            drift.baseline,
            drift.magnitude,
            drift.trend.name(),
        )
    });
    TableIterator::new(rows)
}

/// One row per index that the caller may know of.
#[pg_extern]
fn dag_index_health() -> TableIterator<
    'static,
    (
        name!(index_name, String),
        name!(index_type, String),
        name!(fragmentation, Option<f64>),
        name!(recall_estimate, Option<f64>),
        name!(recommended_action, &'static str),
    ),
> {
    let indexes = settings::paused(|| healing::index_health(true));
    let rows = or_raise(indexes.map_err(internal)).into_iter().map(|index| {
        (
            index.name,
            index.method,
            index.fragmentation,
            index.recall,
            index.action.name(),
        )
    });
    TableIterator::new(rows)
}

type RepairRow = (i64, &'static str, String, &'static str, f64);

/// One row per repair that was made or tried.
#[pg_extern]
fn dag_auto_repair() -> TableIterator<
    'static,
    (
        name!(repair_id, i64),
        name!(repair_type, &'static str),
        name!(target, String),
        name!(status, &'static str),
        name!(duration_ms, f64),
    ),
> {
    TableIterator::new(or_raise(auto_repair()))
}

fn auto_repair() -> Result<Vec<RepairRow>, Report> {
    is_writable()?;
    let done = settings::paused(healing::heal_now)?;
    Ok(done
        .into_iter()
        .map(|done| (done.id, done.kind, done.target, done.status, done.took_ms))
        .collect())
}

/// Builds a vector index anew when it finds too little.
#[pg_extern]
fn dag_rebalance_index(
    index_name: &str,
    target_recall: f64,
) -> TableIterator<
    'static,
    (
        name!(vectors_moved, i64),
        name!(new_recall, Option<f64>),
        name!(duration_ms, f64),
    ),
> {
    let rebalanced = or_raise(settings::paused(|| healing::rebalance(index_name, target_recall)));
    TableIterator::once((rebalanced.moved, rebalanced.recall, rebalanced.took_ms))
}

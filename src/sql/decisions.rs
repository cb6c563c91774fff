//! `dag_decisions`: what is decided for each statement class, and why.

use crate::error::{not_preloaded, or_raise};
use crate::pg::catalog;
use crate::pg::ereport::Report;
use crate::shmem::layout::Statement;
use crate::shmem::{self, statements};
use engine::decision::PlanEvidence;
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern, pg_sys};

type Row = (
    name!(queryid, Option<i64>),
    name!(class, Option<i64>),
    name!(userid, pg_sys::Oid),
    name!(decision, String),
    name!(state, &'static str),
    name!(baseline_ms, Option<f64>),
    name!(baseline_runs, i64),
    name!(current_ms, Option<f64>),
    name!(current_runs, i64),
    name!(plans_tried, i64),
    name!(calls, i64),
    name!(saved_ms, f64),
    name!(lost_ms, f64),
    name!(reason, &'static str),
);

/// One row per statement class of this database. Other users' identifiers are shown to `pg_read_all_stats` only, as
/// pg_stat_statements does.
#[pg_extern]
fn dag_decisions() -> TableIterator<
    'static,
    (
        name!(queryid, Option<i64>),
        name!(class, Option<i64>),
        name!(userid, pg_sys::Oid),
        name!(decision, String),
        name!(state, &'static str),
        name!(baseline_ms, Option<f64>),
        name!(baseline_runs, i64),
        name!(current_ms, Option<f64>),
        name!(current_runs, i64),
        name!(plans_tried, i64),
        name!(calls, i64),
        name!(saved_ms, f64),
        name!(lost_ms, f64),
        name!(reason, &'static str),
    ),
> {
    TableIterator::new(or_raise(decisions()))
}

fn decisions() -> Result<Vec<Row>, Report> {
    if !shmem::is_available() {
        return Err(not_preloaded());
    }
    let (user, sees_all) = (catalog::user(), catalog::reads_all_stats());
    let classes = statements::of_database(catalog::database());
    Ok(classes
        .iter()
        .map(|class| row(class, sees_all || class.user == user))
        .collect())
}

fn row(class: &Statement, is_visible: bool) -> Row {
    let evidence = &class.evidence;
    let choice = evidence.choose();
    let stock = evidence.stock();
    let used = match choice.decision.is_stock() {
        true => stock,
        false => evidence.plans().find(|plan| plan.decision == choice.decision),
    };
    (
        is_visible.then_some(class.queryid),
        is_visible.then_some(class.class as i64),
        pg_sys::Oid::from(class.user),
        choice.decision.describe(),
        choice.state.name(),
        stock.and_then(PlanEvidence::expected_ms),
        stock.map_or(0, |plan| i64::from(plan.runs)),
        used.and_then(PlanEvidence::expected_ms),
        used.map_or(0, |plan| i64::from(plan.runs)),
        i64::from(evidence.trials),
        evidence.calls as i64,
        evidence.saved_ms,
        evidence.lost_ms,
        choice.reason.text(),
    )
}

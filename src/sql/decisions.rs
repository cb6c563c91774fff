//! `dag_decisions`, `dag_savings` and the pins: what is decided for each statement class, why, and what it brought.

use super::state::{Viewer, is_readable, is_writable};
use crate::error::{invalid_argument, or_raise, unknown_class};
use crate::pg::catalog;
use crate::pg::ereport::Report;
use crate::shmem::layout::Statement;
use crate::shmem::{guards, statements};
use engine::decision::{Choice, PlanEvidence, Reason, StatementEvidence};
use pgrx::iter::TableIterator;
use pgrx::{JsonB, name, pg_extern, pg_sys};
use serde_json::json;

type Row = (
    Option<i64>,
    Option<i64>,
    pg_sys::Oid,
    String,
    &'static str,
    Option<f64>,
    i64,
    Option<f64>,
    i64,
    Option<f64>,
    i64,
    JsonB,
    i64,
    f64,
    f64,
    &'static str,
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
        name!(confidence, Option<f64>),
        name!(plans_tried, i64),
        name!(tried, JsonB),
        name!(calls, i64),
        name!(saved_ms, f64),
        name!(lost_ms, f64),
        name!(reason, &'static str),
    ),
> {
    TableIterator::new(or_raise(decisions()))
}

fn decisions() -> Result<Vec<Row>, Report> {
    is_readable()?;
    let viewer = Viewer::current();
    let database = catalog::database();
    let is_suspended = guards::is_suspended(&guards::get(database));
    let classes = statements::of_database(database);
    Ok(classes
        .iter()
        .map(|class| row(class, viewer.sees_user(class.user), is_suspended))
        .collect())
}

fn row(class: &Statement, is_visible: bool, is_suspended: bool) -> Row {
    let evidence = &class.evidence;
    let choice = choice(evidence, is_suspended);
    let stock = evidence.stock();
    let used = evidence.plan_of(choice.decision);
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
        evidence.confidence(),
        i64::from(evidence.trials),
        tried(evidence),
        evidence.calls as i64,
        evidence.saved_ms,
        evidence.lost_ms,
        choice.reason.text(),
    )
}

fn choice(evidence: &StatementEvidence, is_suspended: bool) -> Choice {
    let choice = evidence.choose();
    match is_suspended && !choice.decision.is_stock() {
        true => Choice::stock(choice.state, Reason::BreakerOpen),
        false => choice,
    }
}

/// The plans other than stock's that ran, with their latency, or the time after which they were given up.
fn tried(evidence: &StatementEvidence) -> JsonB {
    let tried = evidence.tried();
    let plans = tried.iter().map(|plan| {
        json!({
            "decision": plan.decision.describe(),
            "ms": plan.typical_ms(),
            "runs": plan.runs,
            "cut_off_runs": plan.cut_off_runs,
            "longer_than_ms": (plan.cut_off_runs > 0).then_some(plan.lower_bound_ms),
        })
    });
    JsonB(plans.collect())
}

type SavingsRow = (
    &'static str,
    Option<i64>,
    Option<i64>,
    Option<pg_sys::Oid>,
    i64,
    f64,
    f64,
    Option<i64>,
    Option<f64>,
    Option<f64>,
);

/// What decisions saved and lost: of the database, then of each statement class.
#[pg_extern]
fn dag_savings() -> TableIterator<
    'static,
    (
        name!(scope, &'static str),
        name!(queryid, Option<i64>),
        name!(class, Option<i64>),
        name!(userid, Option<pg_sys::Oid>),
        name!(calls, i64),
        name!(saved_ms, f64),
        name!(lost_ms, f64),
        name!(trials, Option<i64>),
        name!(trial_ms, Option<f64>),
        name!(idle_trial_ms, Option<f64>),
    ),
> {
    TableIterator::new(or_raise(savings()))
}

fn savings() -> Result<Vec<SavingsRow>, Report> {
    is_readable()?;
    let viewer = Viewer::current();
    let database = catalog::database();
    let classes = statements::of_database(database);
    let guard = guards::get(database);
    let sum = |value: fn(&StatementEvidence) -> f64| classes.iter().map(|class| value(&class.evidence)).sum();
    let all = (
        "database",
        None,
        None,
        None,
        classes.iter().map(|class| class.evidence.calls as i64).sum(),
        sum(|evidence| evidence.saved_ms),
        sum(|evidence| evidence.lost_ms),
        Some(i64::from(guard.trials)),
        Some(guard.lost_ms),
        Some(guard.idle_ms),
    );
    let mut rows = vec![all];
    rows.extend(classes.iter().map(|class| savings_of(class, &viewer)));
    Ok(rows)
}

fn savings_of(class: &Statement, viewer: &Viewer) -> SavingsRow {
    let is_visible = viewer.sees_user(class.user);
    (
        "class",
        is_visible.then_some(class.queryid),
        is_visible.then_some(class.class as i64),
        Some(pg_sys::Oid::from(class.user)),
        class.evidence.calls as i64,
        class.evidence.saved_ms,
        class.evidence.lost_ms,
        None,
        None,
        None,
    )
}

/// Keeps a decision for a statement class: the one described, or the one in use.
#[pg_extern]
fn dag_pin_decision(class: Option<i64>, decision: Option<&str>) {
    or_raise(class.map_or(Ok(()), |class| pin(class, decision)));
}

fn pin(class: i64, decision: Option<&str>) -> Result<(), Report> {
    let evidence = reviewed(class)?;
    let Some(decision) = decision else {
        statements::review(class as u64, StatementEvidence::pin);
        return Ok(());
    };
    let shape = evidence.shape_described_as(decision).ok_or_else(|| {
        invalid_argument(
            format!("no plan of this statement class was measured with \"{decision}\""),
            "Use \"stock plan\", or a decision in the column tried of dag_decisions() that ran to its end.",
        )
    })?;
    statements::review(class as u64, |evidence| evidence.pin_to(shape));
    Ok(())
}

/// Lets the evidence decide again.
#[pg_extern]
fn dag_unpin_decision(class: i64) {
    or_raise(reviewed(class).map(|_| statements::review(class as u64, StatementEvidence::unpin)));
}

/// The evidence of a class of this database that may be changed.
fn reviewed(class: i64) -> Result<StatementEvidence, Report> {
    is_writable()?;
    let known = statements::get(class as u64).filter(|known| known.database == catalog::database());
    known
        .map(|known| known.evidence)
        .ok_or_else(|| unknown_class(class))
}

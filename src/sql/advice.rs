//! `dag_suggest_optimizations`, what `dag_bulk_analyze` says of each statement, `dag_planner_costs` and `dag_operator_times`. Planned,
//! never run.

use super::analysis::weigh;
use super::latency::latency_estimate;
use super::state::is_readable;
use crate::advice::{self, planner_costs};
use crate::attention;
use crate::error::or_raise;
use crate::observe::planned::{self, Planned};
use crate::pg::catalog;
use crate::pg::ereport::Report;
use crate::shmem::{corrections, guards};
use engine::decision::{CostSetting, Decision, HintSet, StatementEvidence};
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

/// The tension from which on an operator is a bottleneck, as of `dag_bottlenecks`.
const BOTTLENECK: f64 = 0.7;

type AdviceRow = (i32, &'static str, String, Option<f64>, String, f64);

/// What may be done for a statement, each with its SQL and the evidence for it.
#[pg_extern]
fn dag_suggest_optimizations(
    query: &str,
) -> TableIterator<
    'static,
    (
        name!(suggestion_id, i32),
        name!(category, &'static str),
        name!(description, String),
        name!(expected_improvement, Option<f64>),
        name!(implementation_sql, String),
        name!(confidence, f64),
    ),
> {
    TableIterator::new(or_raise(suggest(query)))
}

fn suggest(query: &str) -> Result<Vec<AdviceRow>, Report> {
    is_readable()?;
    let row = |(advice, number): (advice::Advice, i32)| {
        (
            number,
            advice.category,
            advice.description,
            advice.expected_improvement,
            advice.sql,
            advice.confidence,
        )
    };
    Ok(advice::on(query)?.into_iter().zip(1..).map(row).collect())
}

type SummaryRow = (i32, &'static str, Option<f64>);

/// A statement's bottlenecks, the mechanism that would weigh its plan, and the share of its latency that a decision saves.
#[pg_extern]
fn dag_summarize(
    query: &str,
) -> TableIterator<
    'static,
    (
        name!(bottleneck_count, i32),
        name!(suggested_mechanism, &'static str),
        name!(estimated_improvement, Option<f64>),
    ),
> {
    TableIterator::once(or_raise(summarize(query)))
}

fn summarize(query: &str) -> Result<SummaryRow, Report> {
    is_readable()?;
    let weighed = weigh(query, "auto")?;
    let tensions = engine::mincut::tensions(&weighed.dag);
    let bottlenecks = tensions
        .into_iter()
        .filter(|&tension| tension >= BOTTLENECK)
        .count();
    let mechanism = attention::name_at(attention::place(weighed.choice));
    let measured =
        advice::evidence_of(weighed.planned()).and_then(|known: StatementEvidence| known.improvement());
    drop(weighed);
    let improvement = match measured {
        Some(improvement) => Some(improvement),
        None => predicted_improvement(query)?,
    };
    Ok((bottlenecks as i32, mechanism, improvement))
}

/// By the latency model: what the plan out of learned counts would save.
fn predicted_improvement(query: &str) -> Result<Option<f64>, Report> {
    let counted = Decision {
        cutoff: corrections::newest(),
        hints: HintSet::NONE,
    };
    let (stock_ms, is_stock) = predicted(query, Decision::STOCK)?;
    let Some(stock_ms) = stock_ms.filter(|_| is_stock) else {
        return Ok(None);
    };
    let (counted_ms, is_stock) = predicted(query, counted)?;
    Ok(counted_ms
        .filter(|_| !is_stock)
        .map(|counted_ms| 1.0 - counted_ms / stock_ms))
}

/// The expected latency in milliseconds with a decision, and whether the plan is stock's.
fn predicted(query: &str, decision: Decision) -> Result<(Option<f64>, bool), Report> {
    let planned: Planned = planned::plan_with(query, decision)?;
    let is_stock = planned
        .remembered
        .as_ref()
        .is_none_or(|known| known.decision.is_stock());
    let foreseen = latency_estimate(&planned)?;
    Ok((
        foreseen.map(|foreseen| foreseen.prediction.log_latency.exp()),
        is_stock,
    ))
}

type CostRow = (
    &'static str,
    f64,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    i64,
    i64,
    Option<String>,
);

/// Each of the planner's cost settings, and a better value where executions clearly say that there is one.
#[pg_extern]
fn dag_planner_costs() -> TableIterator<
    'static,
    (
        name!(setting, &'static str),
        name!(current_value, f64),
        name!(suggested_value, Option<f64>),
        name!(lower, Option<f64>),
        name!(upper, Option<f64>),
        name!(plans, i64),
        name!(statements, i64),
        name!(implementation_sql, Option<String>),
    ),
> {
    TableIterator::new(or_raise(cost_rows()))
}

fn cost_rows() -> Result<Vec<CostRow>, Report> {
    is_readable()?;
    let (costs, _) = planner_costs::on_all()?;
    let row = |setting: &CostSetting| {
        (
            setting.name,
            setting.current,
            setting.suggested,
            setting.interval.map(|(lower, _)| lower),
            setting.interval.map(|(_, upper)| upper),
            costs.plans as i64,
            costs.statements as i64,
            planner_costs::sql(setting),
        )
    };
    Ok(costs.settings.iter().map(row).collect())
}

/// How long operators take on this server per unit of their estimated cost, as the worker fitted it last; no rows before.
#[pg_extern]
fn dag_operator_times() -> TableIterator<
    'static,
    (
        name!(operator, &'static str),
        name!(ms_per_1000_cost, f64),
        name!(plans, i64),
    ),
> {
    TableIterator::new(or_raise(time_rows()))
}

fn time_rows() -> Result<Vec<(&'static str, f64, i64)>, Report> {
    is_readable()?;
    let times = guards::get(catalog::database()).times;
    let plans = i64::from(times.plans());
    let rows = times
        .per_unit()
        .map(|(operator, ms)| (operator.name(), 1000.0 * ms, plans));
    Ok(rows.collect())
}

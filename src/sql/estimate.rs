//! `dag_estimate`: what a statement's plan will come to, by PostgreSQL's estimates and by what was learned. Planned, never
//! run.

use super::latency::latency_estimate;
use crate::error::{not_preloaded, or_raise};
use crate::observe::knowledge::Remembered;
use crate::observe::planned::{self, Planned};
use crate::pg::ereport::Report;
use crate::pg::plan_tree::Counted;
use crate::pg::sub_join::SketchedSet;
use crate::{row_model, shmem};
use engine::cardinality::RowPrediction;
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};
use std::collections::HashSet;

type Row = (String, Option<f64>, Option<f64>, Option<f64>);

/// Operators that give as many rows as they are given.
const TRANSPARENT: &[&str] = &[
    "Sort",
    "Incremental Sort",
    "Gather",
    "Gather Merge",
    "Materialize",
];

/// Rows of the result, rows of each relation in the plan, and the latency.
#[pg_extern]
fn dag_estimate(
    query: &str,
) -> TableIterator<
    'static,
    (
        name!(metric, String),
        name!(postgres_estimate, Option<f64>),
        name!(neural_estimate, Option<f64>),
        name!(confidence, Option<f64>),
    ),
> {
    TableIterator::new(or_raise(estimate(query)))
}

fn estimate(query: &str) -> Result<Vec<Row>, Report> {
    if !shmem::is_available() {
        return Err(not_preloaded());
    }
    let planned = planned::plan(query)?;
    let mut rows = vec![of_result(&planned)];
    if let Some(remembered) = &planned.remembered {
        rows.extend(of_relations(remembered));
    }
    rows.push(of_latency(&planned)?);
    Ok(rows)
}

fn of_result(planned: &Planned) -> Row {
    let result = result_relation(planned);
    let estimated = result.map(|(_, place)| place.estimate);
    let estimated = estimated.or(planned.operators.first().map(|view| view.rows));
    row(
        "rows".to_owned(),
        estimated,
        result.and_then(|(remembered, place)| predict(remembered, place)),
    )
}

/// The relation that is the result, if nothing changes its number of rows.
fn result_relation(planned: &Planned) -> Option<(&Remembered, SketchedSet)> {
    let remembered = planned.remembered.as_deref()?;
    let mut view = planned.operators.first()?;
    while TRANSPARENT.contains(&view.name) {
        let is_input = |&&input: &&usize| planned.operators[input].subplan_name.is_none();
        view = planned.operators.get(*view.inputs.iter().find(is_input)?)?;
    }
    let is_here = |counted: &&Counted| counted.plan_node_id == view.plan_node_id;
    let counted = remembered.facts.counted.iter().find(is_here)?;
    Some((remembered, counted.sketched?))
}

/// Each relation once, base relations first.
fn of_relations(remembered: &Remembered) -> Vec<Row> {
    let counted = remembered.facts.counted.iter();
    let mut places: Vec<SketchedSet> = counted.filter_map(|counted| counted.sketched).collect();
    let mut seen = HashSet::new();
    places.retain(|place| seen.insert((place.sketch, place.set)));
    places.sort_by_key(|place| (place.sketch, place.set.count_ones(), place.set));
    let relation = |place: SketchedSet| {
        let aliases = &remembered.facts.sketches.get(place.sketch)?.aliases;
        let names = aliases.iter().enumerate().take(u64::BITS as usize);
        let inside = names.filter(|(at, _)| place.set >> at & 1 == 1);
        let names: Vec<&str> = inside.map(|(_, alias)| alias.as_str()).collect();
        Some(row(
            format!("rows: {}", names.join(", ")),
            Some(place.estimate),
            predict(remembered, place),
        ))
    };
    places.into_iter().filter_map(relation).collect()
}

fn predict(remembered: &Remembered, place: SketchedSet) -> Option<RowPrediction> {
    let sketched = remembered.facts.sketches.get(place.sketch)?;
    row_model::predict(&sketched.sketch.sub_join(place.set, place.estimate))
}

fn row(metric: String, estimated: Option<f64>, predicted: Option<RowPrediction>) -> Row {
    let rows = predicted.map(|predicted| predicted.log_rows.exp().round());
    let confidence = predicted.map(|predicted| confidence(predicted.lower, predicted.upper));
    (metric, estimated, rows, confidence)
}

/// 1 over the factor that an interval of 90 %, given by the logarithms of its ends, reaches either way.
fn confidence(lower: f64, upper: f64) -> f64 {
    (0.5 * (lower - upper).min(0.0)).exp().max(f64::MIN_POSITIVE)
}

fn of_latency(planned: &Planned) -> Result<Row, Report> {
    let predicted = latency_estimate(planned)?.map(|foreseen| foreseen.prediction);
    Ok((
        "latency_ms".to_owned(),
        None,
        predicted.map(|predicted| predicted.expected_ms()),
        predicted.map(|predicted| {
            let (lower, upper) = predicted.interval_90();
            confidence(lower.ln(), upper.ln())
        }),
    ))
}

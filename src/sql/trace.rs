//! `dag_trace_query`: what the loop does with a statement, step by step. Planned, never run.

use super::analysis::dag_of;
use super::state::is_readable;
use crate::attention;
use crate::error::{from_engine, or_raise};
use crate::observe::planned::{self, Planned};
use crate::pg::ereport::Report;
use crate::shmem::statements;
use crate::sona;
use engine::QueryDag;
use engine::attention::Choice;
use engine::embedding::{DIMENSIONS, PlanEmbedding};
use pgrx::iter::TableIterator;
use pgrx::{JsonB, name, pg_extern};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

type TraceRow = (i32, &'static str, f64, JsonB);

/// Each step with its time.
#[pg_extern]
fn dag_trace_query(
    query: &str,
) -> TableIterator<
    'static,
    (
        name!(step, i32),
        name!(operation, &'static str),
        name!(duration_us, f64),
        name!(details, JsonB),
    ),
> {
    TableIterator::new(or_raise(trace(query)))
}

/// The steps so far.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration, Value)>);

impl Steps {
    fn add(&mut self, operation: &'static str, took: Duration, details: Value) {
        self.0.push((operation, took, details));
    }

    /// Runs a step.
    fn time<R>(
        &mut self,
        operation: &'static str,
        step: impl FnOnce() -> R,
        details: impl FnOnce(&R) -> Value,
    ) -> R {
        let begun = Instant::now();
        let result = step();
        let took = begun.elapsed();
        self.add(operation, took, details(&result));
        result
    }

    fn rows(self) -> Vec<TraceRow> {
        let rows = self.0.into_iter().zip(1..);
        rows.map(|((operation, took, details), step)| {
            (step, operation, took.as_secs_f64() * 1e6, JsonB(details))
        })
        .collect()
    }
}

fn trace(query: &str) -> Result<Vec<TraceRow>, Report> {
    is_readable()?;
    let (planned, inner) = planned::plan_traced(query)?;
    let mut steps = Steps::default();
    let times = &planned.times;
    steps.add("parse", times.parsing, json!({"bytes": query.len()}));
    steps.add(
        "analyze",
        times.analysis,
        json!({"compared_columns": planned.columns.len()}),
    );
    steps.add("plan", times.planning, plan_details(&planned));
    for step in inner {
        let details = inner_details(step.operation, &planned);
        steps.add(step.operation, step.took, details);
    }
    steps.add("check_rights", times.starting, json!({}));
    let operators = planned.operators.len();
    steps.add("read_operators", times.reading, json!({"operators": operators}));
    let dag = steps.time(
        "graph",
        || dag_of(&planned),
        |dag| json!({"operators": dag.as_ref().map_or(0, |dag| dag.nodes().count())}),
    )?;
    follow(&mut steps, &planned, &dag)?;
    Ok(steps.rows())
}

/// Stages 3, 4, 8 and 9.
fn follow(steps: &mut Steps, planned: &Planned, dag: &QueryDag) -> Result<(), Report> {
    let class = planned.remembered.as_ref().map(|known| known.statement.class);
    let evidence = class.and_then(statements::evidence);
    let name = |choice: &Choice| attention::name_at(attention::place(*choice));
    let choice = steps.time(
        "choose_attention",
        || attention::choose(dag, evidence.as_ref()),
        |choice| json!({"mechanism": name(choice)}),
    );
    let scores = steps.time(
        "attention",
        || attention::scores(dag, choice),
        |scores| json!({"greatest_weight": scores.as_slice().iter().copied().fold(0.0, f64::max)}),
    );
    let embedding = steps.time(
        "embedding",
        || PlanEmbedding::new(dag, &scores),
        |_| json!({"dimensions": DIMENSIONS}),
    );
    let embedding = embedding.map_err(from_engine)?;
    steps.time(
        "pattern_search",
        || sona::nearest_pattern(&embedding),
        |found| {
            let (similarity, patterns) = found.unwrap_or_default();
            json!({"patterns": patterns, "nearest_similarity": similarity})
        },
    );
    steps.time(
        "predict_latency",
        || super::latency::latency_estimate(planned),
        |foreseen| {
            let foreseen = foreseen.as_ref().ok().and_then(Option::as_ref);
            json!({"expected_ms": foreseen.map(|foreseen| foreseen.prediction.expected_ms())})
        },
    )?;
    Ok(())
}

fn plan_details(planned: &Planned) -> Value {
    json!({
        "is_followed": planned.remembered.is_some(),
        "total_cost": planned.operators.first().map(|operator| operator.total_cost),
    })
}

/// What is known of a step inside of the planning.
fn inner_details(operation: &str, planned: &Planned) -> Value {
    let Some(remembered) = planned.remembered.as_deref() else {
        return json!({"within": "plan"});
    };
    let statement = &remembered.statement;
    match operation {
        "lookup" => {
            let choice = statements::evidence(statement.class).unwrap_or_default().choose();
            json!({
                "within": "plan", "queryid": statement.queryid, "class": statement.class as i64,
                "state": choice.state.name(), "reason": choice.reason.text(),
            })
        }
        "row_corrections" => json!({"within": "plan", "corrected": remembered.corrected}),
        "plan_reading" => json!({
            "within": "plan", "relations": remembered.facts.counted.len(), "decision": remembered.describe(),
        }),
        _ => json!({"within": "plan"}),
    }
}

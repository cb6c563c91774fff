//! Stage 7 of 9, trajectory: one execution as a record for the worker, pushed without ever waiting.

use super::learn::Lesson;
use super::watch::Watch;
use crate::attention;
use crate::pg::node_runs::NodeRun;
use crate::pg::operators::OperatorView;
use crate::pg::{catalog, operators};
use crate::plan;
use crate::settings;
use crate::shmem::latencies::{self, Component};
use crate::shmem::layout::{PLAN_BYTES, SEARCH_PATH_BYTES, SUB_JOIN_BYTES, TEXT_BYTES, Trajectory};
use crate::shmem::{counters, ring};
use crate::sona::{self, Described};
use engine::attention::Choice;
use engine::cardinality::CountedSketch;
use engine::decision::{PlanEvidence, StatementEvidence};
use engine::embedding::{DIMENSIONS, PlanEmbedding};
use engine::trajectory::type_attention;
use engine::{OperatorType, QueryDag};
use pgrx::pg_sys;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The plan of an execution, with its counts.
pub(super) struct Executed {
    operators: Vec<OperatorView>,
    dag: QueryDag,
    /// How long reading the operators took.
    reading: Duration,
}

impl Executed {
    /// `None` for a plan that is not a graph the engine takes.
    pub(super) fn read(query: *mut pg_sys::QueryDesc, runs: &HashMap<i32, NodeRun>) -> Option<Self> {
        let begun = Instant::now();
        let operators = operators::read(query);
        let reading = begun.elapsed();
        let dag = plan::read::to_dag(&operators, runs)?;
        Some(Self {
            operators,
            dag,
            reading,
        })
    }

    /// How much attention each plan node gets, by its id.
    pub(super) fn attention(&self, evidence: Option<&StatementEvidence>) -> HashMap<i32, f64> {
        let scores = attention::scores(&self.dag, attention::choose(&self.dag, evidence));
        let ids = self.operators.iter().map(|operator| operator.plan_node_id);
        ids.zip(scores.as_slice().iter().copied()).collect()
    }
}

/// Sends an execution on its way. Without `executed` (an error ended it) the plan is left out.
pub(super) fn send(
    executed: Option<&Executed>,
    watch: &Watch,
    lesson: &Lesson,
    evidence: Option<&StatementEvidence>,
    (is_cut_off, text): (bool, Option<&[u8]>),
) {
    if catalog::is_standby() {
        return;
    }
    let remembered = &watch.remembered;
    let mut trajectory = Trajectory {
        queryid: remembered.statement.queryid,
        class: remembered.statement.class,
        shape: remembered.facts.shape,
        cutoff: remembered.decision.cutoff,
        hints: remembered.decision.hints.bits(),
        is_trial: u32::from(remembered.is_trial),
        ended_at: catalog::now(),
        execution_ms: watch.elapsed_ms,
        baseline_ms: baseline_ms(evidence),
        expected_ms: f64::NAN,
        max_q_error: lesson.max_q_error,
        counted: lesson.counted,
        corrected: remembered.corrected,
        database: catalog::database(),
        user: catalog::user(),
        cut_off: u32::from(is_cut_off),
        total_cost: remembered.facts.total_cost,
        attention: 0,
        is_embedded: 0,
        embedding: [0.0; DIMENSIONS],
        plan_length: 0,
        plan: [0; PLAN_BYTES],
        sub_joins_length: 0,
        sub_joins: [0; SUB_JOIN_BYTES],
        text_length: 0,
        search_path_length: 0,
        text: [0; TEXT_BYTES],
        search_path: [0; SEARCH_PATH_BYTES],
    };
    if settings::stores_literals() && wants_embedding(evidence) {
        attach_text(&mut trajectory, text);
    }
    attach_counts(&mut trajectory, lesson);
    if let Some(executed) = executed {
        attach_plan(&mut trajectory, executed, evidence);
    }
    ring::push(&trajectory);
}

fn attach_text(trajectory: &mut Trajectory, text: Option<&[u8]>) {
    let path = catalog::search_path();
    let Some(text) = text.filter(|text| text.len() <= TEXT_BYTES && path.len() <= SEARCH_PATH_BYTES) else {
        return;
    };
    trajectory.text[..text.len()].copy_from_slice(text);
    trajectory.text_length = text.len() as u32;
    trajectory.search_path[..path.len()].copy_from_slice(path);
    trajectory.search_path_length = path.len() as u32;
}

fn attach_counts(trajectory: &mut Trajectory, lesson: &Lesson) {
    if lesson.counts.is_empty() {
        return;
    }
    let binary = CountedSketch::to_binary(&lesson.counts);
    if binary.len() <= SUB_JOIN_BYTES {
        trajectory.sub_joins[..binary.len()].copy_from_slice(&binary);
        trajectory.sub_joins_length = binary.len() as u32;
    } else {
        counters::add_sub_joins_dropped(1);
    }
}

fn attach_plan(trajectory: &mut Trajectory, executed: &Executed, evidence: Option<&StatementEvidence>) {
    let binary = executed.dag.to_binary();
    if binary.len() <= PLAN_BYTES {
        trajectory.plan[..binary.len()].copy_from_slice(&binary);
        trajectory.plan_length = binary.len() as u32;
    }
    attention::observe(&executed.dag);
    if wants_embedding(evidence) {
        let begun = Instant::now();
        // As it was known when it was planned, so that a plan that never ran can be compared with it.
        let planned = plan::read::to_outline(&executed.operators);
        let embedded = planned.and_then(|planned| embed(trajectory, &planned, evidence));
        counters::add_embeddings(1);
        let took = executed.reading + begun.elapsed();
        counters::add_embedding_nanoseconds(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        latencies::record(Component::Embedding, took);
        if let Some(embedded) = embedded {
            learn_at_once(trajectory, embedded);
        }
    }
}

/// The first executions of a class, and few of the further ones, which only repeat the point.
fn wants_embedding(evidence: Option<&StatementEvidence>) -> bool {
    evidence.is_none_or(|evidence| evidence.calls <= 4 || evidence.calls % 16 == 0)
}

/// What loop A needs of an embedded plan.
struct Embedded {
    embedding: PlanEmbedding,
    types: Vec<(OperatorType, f32)>,
    choice: Choice,
}

fn embed(
    trajectory: &mut Trajectory,
    dag: &QueryDag,
    evidence: Option<&StatementEvidence>,
) -> Option<Embedded> {
    let choice = attention::choose(dag, evidence);
    let scores = attention::scores(dag, choice);
    let embedding = PlanEmbedding::new(dag, &scores).ok()?;
    trajectory.attention = attention::place(choice) as u32;
    trajectory.embedding.copy_from_slice(embedding.as_slice());
    trajectory.is_embedded = 1;
    Some(Embedded {
        embedding,
        types: type_attention(dag, &scores),
        choice,
    })
}

/// Loop A.
fn learn_at_once(trajectory: &mut Trajectory, embedded: Embedded) {
    let described = Described {
        statement: trajectory.class,
        template: trajectory.queryid as u64,
        decision: Described::decision(trajectory.cutoff, trajectory.hints, trajectory.shape),
        total_cost: trajectory.total_cost,
        execution_ms: trajectory.execution_ms,
        baseline_ms: Some(trajectory.baseline_ms).filter(|ms| !ms.is_nan()),
        is_cut_off: trajectory.cut_off != 0,
        mechanism: match embedded.choice {
            Choice::Mechanism(mechanism) => Some(mechanism),
            Choice::Ensemble => None,
        },
        at_us: u64::try_from(trajectory.ended_at).unwrap_or(0),
    };
    let expected_ms = sona::learn(&described, embedded.embedding, embedded.types);
    trajectory.expected_ms = expected_ms.unwrap_or(f64::NAN);
}

/// The typical latency of the class's stock plan; NaN before it is known.
fn baseline_ms(evidence: Option<&StatementEvidence>) -> f64 {
    evidence
        .and_then(|evidence| evidence.stock().and_then(PlanEvidence::typical_ms))
        .unwrap_or(f64::NAN)
}

//! What one execution teaches: row counts to the correction table, its latency to its statement class.

use super::knowledge::Remembered;
use super::session;
use super::trajectory;
use super::watch::Watch;
use crate::pg::{catalog, plan_state, plan_tree::Counted};
use crate::settings;
use crate::shmem::{corrections, corrections::Observation, counters, statements};
use crate::steer::rows;
use engine::cardinality::is_material;
use pgrx::pg_sys;
use std::collections::HashSet;

/// What the counts of one execution taught.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lesson {
    /// Relations whose count was complete.
    pub(super) counted: u32,
    /// Largest q-error of PostgreSQL's estimates among them; NaN without any.
    pub(super) max_q_error: f64,
    /// A count was learned, or changed, that a plan should be made with.
    is_news: bool,
    /// A count differs from what the plan was made with.
    is_surprise: bool,
}

/// Executions of a class that are always counted in full.
const COUNTED_RUNS: u64 = 1;
/// Of the further ones, one in so many: counting rows costs a few per cent of a long execution.
const COUNTED_EVERY: u64 = 16;
/// Belief in a count from which on it needs no new one.
const SURE: f64 = 0.9;

/// Whether the next execution of a class should count the rows of all nodes.
pub(crate) fn wants_all_counts(class: u64) -> bool {
    statements::get(class).is_none_or(|known| {
        let calls = known.evidence.calls;
        calls < COUNTED_RUNS || calls % COUNTED_EVERY == 0
    })
}

/// The plan nodes whose rows the next execution should count: all that produce a relation, or those not known yet.
pub(crate) fn wanted_counts(plan: &Remembered) -> HashSet<i32> {
    let wants_all = wants_all_counts(plan.statement.class);
    let is_unsure =
        |node: &&Counted| wants_all || rows::learned(&node.subject).is_none_or(|known| known.belief < SURE);
    plan.facts
        .counted
        .iter()
        .filter(is_unsure)
        .map(|node| node.plan_node_id)
        .collect()
}

/// Learns from an execution that ended; `is_complete` says whether its whole result was read.
pub(crate) fn from_execution(query: *mut pg_sys::QueryDesc, watch: &Watch, is_complete: bool) {
    let remembered = &watch.remembered;
    let statement = &remembered.statement;
    counters::add_statements_seen(1);
    let has_evidence = statements::get(statement.class).is_some();
    if watch.elapsed_ms < settings::min_duration_ms() && !has_evidence {
        counters::add_statements_too_fast(1);
        session::note(statement.queryid, watch.elapsed_ms);
        return;
    }
    session::note_evidence(statement.queryid);
    let runs = plan_state::read(query, is_complete);
    let lesson = learn_counts(&remembered.facts.counted, &runs, statement.queryid);
    if is_complete && !watch.is_timed {
        let is_first_look =
            statements::get(statement.class).is_none_or(|known| known.evidence.corrected_runs == 0);
        let learned = lesson.is_news || (is_first_look && lesson.is_surprise);
        record(watch, Ok(watch.elapsed_ms), learned);
    }
    counters::add_statements_learned(1);
    trajectory::send(Some(query), watch, &lesson, &runs, !is_complete);
}

/// Learns from an execution that was cancelled: its plan takes longer than this.
pub(crate) fn from_cancelled(watch: &Watch) {
    counters::add_statements_seen(1);
    if watch.elapsed_ms < settings::min_duration_ms() || watch.is_timed {
        return;
    }
    record(watch, Err(watch.elapsed_ms), false);
    let lesson = Lesson {
        counted: 0,
        max_q_error: f64::NAN,
        is_news: false,
        is_surprise: false,
    };
    trajectory::send(None, watch, &lesson, &Default::default(), true);
}

fn record(watch: &Watch, outcome: Result<f64, f64>, learned: bool) {
    let remembered = &watch.remembered;
    statements::record(&statements::Execution {
        class: remembered.statement.class,
        queryid: remembered.statement.queryid,
        database: catalog::database(),
        user: catalog::user(),
        at: catalog::now(),
        shape: remembered.facts.shape,
        cutoff: remembered.cutoff,
        total_cost: remembered.facts.total_cost,
        outcome,
        learned,
    });
}

fn learn_counts(
    counted: &[Counted],
    runs: &std::collections::HashMap<i32, plan_state::NodeRun>,
    queryid: i64,
) -> Lesson {
    let mut lesson = Lesson {
        counted: 0,
        max_q_error: f64::NAN,
        is_news: false,
        is_surprise: false,
    };
    let may_write = !catalog::is_standby();
    for node in counted {
        let Some(run) = runs.get(&node.plan_node_id).filter(|run| run.is_complete) else {
            continue;
        };
        let (actual, estimated) = (run.rows.max(1.0), node.estimated.max(1.0));
        lesson.counted += 1;
        lesson.max_q_error = lesson
            .max_q_error
            .max((actual / estimated).max(estimated / actual));
        let is_surprise = is_material(node.planned, run.rows);
        lesson.is_surprise |= is_surprise;
        if may_write {
            let learned = corrections::learn(
                catalog::database(),
                node.subject.key.0,
                &observation(node, run, queryid),
            );
            lesson.is_news |= learned.is_new_or_changed && is_surprise;
        }
    }
    lesson
}

fn observation<'n>(node: &'n Counted, run: &plan_state::NodeRun, queryid: i64) -> Observation<'n> {
    Observation {
        rows: run.rows,
        estimated_rows: node.estimated,
        table_rows: node.subject.table_rows,
        modifications: rows::modifications(&node.subject.tables),
        queryid,
        measured_at: catalog::now(),
        relations: &node.subject.tables,
    }
}

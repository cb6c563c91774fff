//! Stage 7 of 9, trajectory: one execution as a record for the worker, pushed without ever waiting.

use super::learn::Lesson;
use super::watch::Watch;
use crate::pg::plan_state::NodeRun;
use crate::pg::{catalog, operators};
use crate::plan;
use crate::shmem::layout::{PLAN_BYTES, Trajectory};
use crate::shmem::{ring, statements};
use engine::decision::PlanEvidence;
use pgrx::pg_sys;
use std::collections::HashMap;

/// Sends an execution on its way. Without `query` (an error ended it) the plan is left out.
pub(super) fn send(
    query: Option<*mut pg_sys::QueryDesc>,
    watch: &Watch,
    lesson: &Lesson,
    runs: &HashMap<i32, NodeRun>,
    is_cut_off: bool,
) {
    if catalog::is_standby() {
        return;
    }
    let remembered = &watch.remembered;
    let mut trajectory = Trajectory {
        queryid: remembered.statement.queryid,
        class: remembered.statement.class,
        shape: remembered.facts.shape,
        cutoff: remembered.cutoff,
        ended_at: catalog::now(),
        execution_ms: watch.elapsed_ms,
        baseline_ms: baseline_ms(remembered.statement.class),
        max_q_error: lesson.max_q_error,
        counted: lesson.counted,
        corrected: remembered.corrected,
        database: catalog::database(),
        user: catalog::user(),
        cut_off: u32::from(is_cut_off),
        plan_length: 0,
        plan: [0; PLAN_BYTES],
    };
    if let Some(query) = query {
        let binary = plan::read::to_dag(&operators::read(query), runs).map(|dag| dag.to_binary());
        if let Some(binary) = binary.filter(|binary| binary.len() <= PLAN_BYTES) {
            trajectory.plan[..binary.len()].copy_from_slice(&binary);
            trajectory.plan_length = binary.len() as u32;
        }
    }
    ring::push(&trajectory);
}

/// The typical latency of the class's stock plan; NaN before it is known.
fn baseline_ms(class: u64) -> f64 {
    statements::get(class)
        .and_then(|known| known.evidence.stock().and_then(PlanEvidence::typical_ms))
        .unwrap_or(f64::NAN)
}

//! Loop B: executions that were written down become adapters, patterns and predictions.

use super::{executions, persist, rows, sona};
use crate::pg::turns::{self, Turn};
use crate::pg::{catalog, interrupts};
use crate::shmem::databases;
use crate::shmem::events::{self, Kind};
use crate::shmem::latencies::{self, Component};
use engine::learning::BackgroundReport;
use std::time::Instant;

/// Executions learned from in one run; the rest waits for the next.
const AT_ONCE: i64 = 1_000;

/// What a run of loop B did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Learning {
    pub(crate) report: BackgroundReport,
    pub(crate) patterns: usize,
    /// Parameters that are protected.
    pub(crate) constraints: usize,
    /// More executions wait, which the worker does not leave for the next interval.
    has_more: bool,
}

/// Loop B: learns from the executions written down since the last run, in the turn to learn.
pub(crate) fn learn() -> Learning {
    let database = catalog::database();
    let begun = Instant::now();
    let (learning, executions) = sona::with_learned(|learned| {
        let new = match executions::after(learned.learned_up_to, AT_ONCE) {
            Ok(new) => new,
            Err(error) => pgrx::error!("ruvector_dag could not read executions: {error}"),
        };
        let executions = new.len();
        let used = learned.take_uses(database);
        for (id, execution) in new {
            learned.learned_up_to = id;
            if let Some(execution) = execution {
                learned.engine.post_query(execution);
            }
        }
        let mut learning = Learning::default();
        if executions > 0 {
            let done = learned
                .engine
                .background_learn_until(sona::microseconds(), &mut interrupts::is_asked_to_stop);
            learning.report = match interrupts::finished(done) {
                Ok(report) => report,
                Err(error) => pgrx::error!("ruvector_dag could not learn: {error}"),
            };
        }
        learning.patterns = learned.engine.bank().len();
        learning.constraints = learned.engine.ewc().constraints().count();
        learning.has_more = executions as i64 == AT_ONCE;
        ((learning, executions), executions + used > 0)
    });
    if turns::wait_for(Turn::Write).is_ok() {
        rows::learn();
        persist::tidy_trajectories();
    }
    latencies::record(Component::LearningCycle, begun.elapsed());
    if executions > 0 {
        events::note(Kind::LearningCycle, [executions as f64, learning.patterns as f64]);
    }
    if !learning.has_more {
        databases::set_learned(database, catalog::seconds());
    }
    learning
}

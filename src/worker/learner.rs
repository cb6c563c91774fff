//! One worker's life, and the same cycle inside a session that asks for it.

use super::{load, persist};
use crate::pg::{background_worker, catalog};
use crate::shmem::{counters, databases};
use std::time::{Duration, Instant};

/// How long a worker waits for more before it leaves.
const LINGER: Duration = Duration::from_millis(500);

/// What a cycle wrote.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cycle {
    pub(crate) corrections: usize,
    pub(crate) statements: usize,
    pub(crate) trajectories: usize,
    pub(crate) took_ms: f64,
}

/// Runs in a worker process connected to `database`.
pub(super) fn run(database: u32) {
    if !background_worker::transaction(catalog::lock_extension) {
        databases::set_absent(database);
        super::forget_shared(database);
        return;
    }
    background_worker::transaction(|| load::earlier_knowledge(database));
    if !catalog::is_standby() {
        while background_worker::transaction(|| locked(|| write_down(database))).trajectories > 0 {
            if !background_worker::nap(LINGER) {
                break;
            }
        }
        background_worker::transaction(|| locked(persist::tidy));
    }
    databases::set_cycled(database, catalog::seconds());
}

/// Runs `work` unless the extension was dropped meanwhile.
fn locked<R: Default>(work: impl FnOnce() -> R) -> R {
    if catalog::lock_extension() {
        work()
    } else {
        R::default()
    }
}

/// Writes down what was learned in the current database, inside the caller's transaction.
pub(crate) fn learn_now() -> Cycle {
    let database = catalog::database();
    if !catalog::lock_extension() {
        return Cycle::default();
    }
    load::earlier_knowledge(database);
    write_down(database)
}

/// Slots and dirty marks are given back when the transaction fails.
fn write_down(database: u32) -> Cycle {
    let begun = Instant::now();
    let taken = persist::Taken::new(database);
    let cycle = Cycle {
        corrections: persist::corrections(&taken.corrections),
        statements: persist::statements(&taken.statements),
        trajectories: persist::trajectories(&taken.trajectories),
        took_ms: begun.elapsed().as_secs_f64() * 1000.0,
    };
    taken.release_at_commit();
    counters::add_trajectories_written(cycle.trajectories as u64);
    counters::note_cycle(catalog::now());
    cycle
}

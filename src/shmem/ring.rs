//! Executions on their way from backends to the worker of their database.

use super::counters;
use super::events::{self, Kind};
use super::layout::Trajectory;
use crate::pg::shmem::shared;

/// Executions written in one transaction.
const BATCH: usize = 256;

/// Hands an execution over; without room it is dropped and counted.
pub(crate) fn push(trajectory: &Trajectory) {
    let Some(shared) = shared() else { return };
    if !shared.ring.push(&shared.counters.ring_cursor, trajectory) {
        let dropped = counters::add_trajectories_dropped(1);
        // Not one entry for each: a full ring is full for a while.
        if dropped.is_power_of_two() {
            events::note(Kind::RingFull, [dropped as f64, 0.0]);
        }
    }
}

/// Whether executions of a database wait.
pub(crate) fn has_waiting(database: u32) -> bool {
    shared().is_some_and(|shared| shared.ring.any(|waiting| waiting.database == database))
}

/// Takes executions of a database.
pub(crate) fn take(database: u32) -> Vec<(usize, Trajectory)> {
    take_if(|waiting| waiting.database == database)
}

fn take_if(is_wanted: impl Fn(&Trajectory) -> bool) -> Vec<(usize, Trajectory)> {
    shared()
        .map(|shared| shared.ring.take(BATCH, is_wanted))
        .unwrap_or_default()
}

/// Frees the slots of executions that are written.
pub(crate) fn release(taken: &[(usize, Trajectory)]) {
    if let Some(shared) = shared() {
        shared.ring.release(taken.iter().map(|(slot, _)| *slot));
    }
}

/// Puts executions back that could not be written.
pub(crate) fn give_back(taken: &[(usize, Trajectory)]) {
    if let Some(shared) = shared() {
        shared.ring.give_back(taken.iter().map(|(slot, _)| *slot));
    }
}

/// Forgets the waiting executions of a database, or those of one user in it.
pub(crate) fn reset(database: u32, user: Option<u32>) {
    let is_whose = |waiting: &Trajectory| user.is_none_or(|user| waiting.user == user);
    loop {
        let taken = take_if(|waiting| waiting.database == database && is_whose(waiting));
        release(&taken);
        if taken.len() < BATCH {
            break;
        }
    }
}

//! Stage 8 of 9, learning, in the background: a launcher, and a short-lived worker per database that has work.
//!
//! Workers come and go like autovacuum's: one that stayed connected would make DROP DATABASE fail. A worker writes down
//! what backends learned and loads it after a restart; on a standby it only reads.

use crate::pg::{background_worker, threads};
use crate::settings;
use crate::shmem::{
    corrections, databases, experiences, guards, planned_rows, regions, ring, row_models, snapshots,
    statements, timings, uses,
};

mod launcher;
mod learner;
pub(crate) mod persist;
mod decisions_log;
mod rewards;
mod load;
mod earned;
mod costs;
pub(crate) mod executions;
pub(crate) mod known;
pub(crate) mod recording;
pub(crate) mod sona;
pub(crate) mod rows;
mod learning_cycle;
mod loops;
pub(crate) mod patterns;
pub(crate) mod trials;
mod expectations;

pub(crate) use learner::{Lesson, learn_now};
pub(crate) use loops::{Dreamt, dream};
pub(crate) use persist::forget;

/// Threads that a worker clusters with.
const WORKER_THREADS: usize = 2;

/// Registers the launcher. Called once, when the library is preloaded.
pub(crate) fn register() {
    crate::pg::background_worker::register_launcher();
}

/// A session or worker found the extension in its database.
pub(crate) fn announce(database: u32, extension: u32) {
    if databases::announce(database, extension) {
        forget_shared(database);
    }
}

/// What was learned in a database leaves shared memory.
pub(crate) fn forget_shared(database: u32) {
    corrections::reset(database, None);
    statements::reset(database, None);
    ring::reset(database, None);
    snapshots::reset(database);
    row_models::reset(database);
    uses::reset(database);
    guards::reset(database);
    regions::reset(database, None);
    planned_rows::reset(database, None);
    experiences::reset(database, None);
    timings::reset(database, None);
}

/// The launcher's process.
pub(crate) fn run_launcher() {
    launcher::run();
}

/// A worker's process that a session waits for, connected to its database.
pub(crate) fn run_learner() {
    threads::prepare(WORKER_THREADS);
    settings::paused(|| {
        // That the extension is gone, who waits for it finds out, too.
        background_worker::transaction(|| drop(learn_now()));
    });
}

/// A worker's process, connected to `database`.
pub(crate) fn run_worker(database: u32) {
    threads::prepare(WORKER_THREADS);
    settings::paused(|| learner::run(database));
}

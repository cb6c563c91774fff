//! The launcher: looks once a second which databases have something to do, and starts a worker for each.

use crate::pg::background_worker::{self, Started};
use crate::pg::catalog;
use crate::settings;
use crate::shmem::layout::Database;
use crate::shmem::{databases, ring};
use std::collections::HashMap;
use std::time::Duration;

const NAP: Duration = Duration::from_secs(1);
/// A worker that failed, or found no slot, is not started again sooner.
const BACK_OFF_S: i64 = 10;
/// Dirty entries without a trajectory (a standby's, or after an error) wait no longer than this.
const SWEEP_S: i64 = 30;
/// Failures in a row after which a database counts as gone; a session in it announces it again.
const GIVE_UP: u32 = 3;

/// Runs until the server stops.
pub(super) fn run() {
    let mut running: HashMap<u32, i32> = HashMap::new();
    let mut failures: HashMap<u32, u32> = HashMap::new();
    let mut has_logged_no_slot = false;
    while background_worker::nap(NAP) {
        let now = catalog::seconds();
        running.retain(|_, worker| background_worker::is_alive(*worker));
        for known in databases::present() {
            let database = known.database;
            if running.contains_key(&database) || known.not_before > now || !has_work(&known, now) {
                continue;
            }
            match background_worker::start(database) {
                Started::Worker(pid) => {
                    has_logged_no_slot = false;
                    failures.remove(&database);
                    running.insert(database, pid);
                    databases::set_started(database, pid, now + 1);
                }
                Started::NoSlot => {
                    if !std::mem::replace(&mut has_logged_no_slot, true) {
                        pgrx::log!(
                            "ruvector_dag: no background worker slot is free; max_worker_processes may be too low"
                        );
                    }
                    databases::set_started(database, 0, now + BACK_OFF_S);
                }
                Started::Ended => {
                    // A worker with little to do may be gone before it is seen; one whose database was dropped
                    // never ends a cycle.
                    let count = failures.entry(database).or_default();
                    *count = if databases::cycled_at(database) >= now {
                        0
                    } else {
                        *count + 1
                    };
                    databases::set_started(database, 0, now + if *count == 0 { 1 } else { BACK_OFF_S });
                    if *count >= GIVE_UP {
                        failures.remove(&database);
                        forget(database);
                    }
                }
            }
        }
    }
}

fn has_work(known: &Database, now: i64) -> bool {
    let interval = settings::background_interval().as_secs() as i64;
    known.is_loaded == 0
        || ring::has_waiting(known.database)
        || now - known.cycled_at >= interval.min(SWEEP_S)
}

/// A database is gone: so is what was learned in it.
fn forget(database: u32) {
    databases::set_absent(database);
    super::forget_shared(database);
}

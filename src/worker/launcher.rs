//! The launcher: looks once a second which databases have something to do, and starts a worker for each.

use crate::pg::background_worker::{self, Started};
use crate::pg::catalog;
use crate::settings;
use crate::shmem::events::{self, Kind};
use crate::shmem::layout::Database;
use crate::shmem::{counters, databases, guards, ring};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

const NAP: Duration = Duration::from_secs(1);
/// How often databases that came or went are looked for.
const SCAN_S: i64 = 10;
/// After a worker failed, or found no slot; doubled with each further failure.
const BACK_OFF_S: i64 = 10;
/// Failures in a row after which the back-off does not grow any more: five minutes.
const MOST_DOUBLINGS: u32 = 5;
/// Dirty entries without a trajectory (after an error) wait no longer than this.
const SWEEP_S: i64 = 30;
/// Seconds between two workers of a database in which there is something promising to try.
const DREAM_S: i64 = 2;
/// A standby looks this often what its primary learned.
const FOLLOW_S: i64 = 10;

/// A worker, and when it was started.
struct Running {
    worker: Started,
    since: i64,
}

/// Runs until the server stops.
pub(super) fn run() {
    let mut launcher = Launcher::default();
    while background_worker::nap(NAP) {
        let now = catalog::seconds();
        counters::note_launcher(now);
        if now - launcher.scanned_at >= SCAN_S {
            scan();
            launcher.scanned_at = now;
        }
        launcher.reap(now);
        launcher.start_workers(now);
    }
}

#[derive(Default)]
struct Launcher {
    running: HashMap<u32, Running>,
    /// Failures in a row.
    failures: HashMap<u32, u32>,
    scanned_at: i64,
    has_logged_no_slot: bool,
}

impl Launcher {
    /// Notices workers that ended. One that did not come to the end of its cycle failed.
    fn reap(&mut self, now: i64) {
        let failures = &mut self.failures;
        self.running.retain(|&database, running| {
            if running.worker.is_alive() {
                return true;
            }
            if databases::cycled_at(database) >= running.since {
                failures.remove(&database);
            } else {
                let count = failures.entry(database).or_default();
                databases::set_not_before(database, now + (BACK_OFF_S << (*count).min(MOST_DOUBLINGS)));
                *count += 1;
                events::note_in(database, Kind::WorkerFailed, [f64::from(*count), 0.0]);
            }
            false
        });
        if !failures.is_empty() {
            let known: HashSet<u32> = databases::all().into_iter().collect();
            failures.retain(|database, _| known.contains(database));
        }
    }

    fn start_workers(&mut self, now: i64) {
        for known in databases::present() {
            let database = known.database;
            if self.running.contains_key(&database) || known.not_before > now || !has_work(&known, now) {
                continue;
            }
            if let Some(worker) = background_worker::start(database) {
                self.has_logged_no_slot = false;
                self.running.insert(database, Running { worker, since: now });
            } else {
                if !std::mem::replace(&mut self.has_logged_no_slot, true) {
                    pgrx::log!(
                        "ruvector_dag: no background worker slot is free; max_worker_processes may be too low"
                    );
                }
                events::note_in(database, Kind::WorkerWanted, [0.0; 2]);
                databases::set_not_before(database, now + BACK_OFF_S);
            }
        }
    }
}

fn has_work(known: &Database, now: i64) -> bool {
    let at_most = if catalog::is_standby() { FOLLOW_S } else { SWEEP_S };
    let healing = settings::healing_interval().filter(|_| !catalog::is_standby());
    let interval = settings::background_interval()
        .min(healing.unwrap_or(Duration::MAX))
        .as_secs() as i64;
    known.is_loaded == 0
        || ring::has_waiting(known.database)
        || now - known.cycled_at >= interval.min(at_most)
        || (now - known.cycled_at >= DREAM_S
            && settings::runs_trials()
            && guards::get(known.database).has_dreams != 0)
}

/// Finds databases that came, and forgets those that are gone.
fn scan() {
    // Read first: a database made after this, and announced by a session, is not taken for one that is gone.
    let known = databases::all();
    let mut existing = HashSet::new();
    background_worker::transaction(std::panic::AssertUnwindSafe(|| {
        existing.extend(catalog::databases())
    }));
    existing.iter().copied().for_each(databases::discover);
    for gone in known.into_iter().filter(|database| !existing.contains(database)) {
        databases::remove(gone);
        super::forget_shared(gone);
    }
}

//! One worker's life, and the same cycle inside a session that asks for it.

use super::learning_cycle::{self, Learning};
use super::{costs, earned, load, loops, persist, rewards, rows, sona, trials};
use crate::healing;
use crate::pg::extension::Presence;
use crate::pg::turns::{self, Gone, NoTurn, Turn};
use crate::pg::{background_worker, catalog, own_settings};
use crate::shmem::events::{self, Kind};
use crate::shmem::latencies::{self, Component};
use crate::shmem::{counters, databases, ring};
use std::time::{Duration, Instant};

/// How long a worker waits for more before it leaves.
const LINGER: Duration = Duration::from_millis(500);
/// How long a worker stays while there is more: the launcher starts another one, and a database that is to be dropped
/// or copied is free in between.
const STAY: Duration = Duration::from_secs(10);

/// What a cycle wrote.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cycle {
    pub(crate) corrections: usize,
    pub(crate) statements: usize,
    pub(crate) trajectories: usize,
    pub(crate) took_ms: f64,
}

/// The same, and what it taught.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lesson {
    pub(crate) cycle: Cycle,
    pub(crate) learning: Learning,
}

impl Cycle {
    fn is_empty(&self) -> bool {
        self.corrections + self.statements + self.trajectories == 0
    }
}

/// Runs in a worker process connected to `database`.
pub(super) fn run(database: u32) {
    let announcements = databases::announcements(database);
    // Asked first: it announces which extension it is.
    if !background_worker::transaction(|| catalog::has_extension() && catalog::lock_extension()) {
        if background_worker::transaction(catalog::extension) == Presence::OfOtherVersion {
            pgrx::log!(
                "ruvector_dag: database {database} has objects of another version than the library, nothing is learned in it: \
                 run ALTER EXTENSION ruvector_dag UPDATE there"
            );
        }
        if databases::set_absent(database, announcements) {
            super::forget_shared(database);
        }
    } else {
        background_worker::transaction(|| load::earlier_knowledge(database));
        background_worker::transaction(|| locked(|| sona::publish(database)));
        background_worker::transaction(|| locked(|| rows::publish(database)));
        if !catalog::is_standby() {
            drain(database);
            // B, and after it perhaps C, which what B wrote does not wait for.
            for _ in 0..2 {
                background_worker::transaction(|| locked(|| loops::run_due(database)));
            }
            background_worker::transaction(|| locked(|| healing::run_due(database)));
            trials::when_idle(database, STAY);
        }
    }
    databases::set_cycled(database, catalog::seconds());
}

/// Writes down what waits, until nothing does. A session that has the turn may keep it for as long as its transaction lasts.
fn drain(database: u32) {
    let begun = Instant::now();
    let mut has_written = false;
    loop {
        let written = background_worker::transaction(|| in_turn(Turn::Write, || write_down(database)));
        has_written |= written.is_ok_and(|cycle| !cycle.is_empty());
        let has_more = match written {
            Ok(cycle) if cycle.is_empty() => break,
            Ok(_) => ring::has_waiting(database),
            Err(NoTurn::Taken) => false,
            Err(NoTurn::Gone) => break,
        };
        if begun.elapsed() > STAY || !(has_more || background_worker::nap(LINGER)) {
            break;
        }
    }
    if has_written {
        // What does not get its turn is done after the next executions, or by who has it.
        _ = background_worker::transaction(|| in_turn(Turn::Write, persist::tidy));
        _ = background_worker::transaction(|| {
            in_turn(Turn::Learn, || {
                costs::fit_when_due(database);
                earned::save(database);
            })
        });
    }
}

/// Runs `work` in the worker's turn, which it does not wait for.
fn in_turn<R>(turn: Turn, work: impl FnOnce() -> R) -> Result<R, NoTurn> {
    turns::try_for(turn).map(|()| work())
}

/// Runs `work` unless the extension was dropped meanwhile.
fn locked<R: Default>(work: impl FnOnce() -> R) -> R {
    if catalog::lock_extension() {
        work()
    } else {
        R::default()
    }
}

/// Writes down what was learned in the current database, and learns from it, inside the caller's transaction.
pub(crate) fn learn_now() -> Result<Lesson, Gone> {
    let database = catalog::database();
    turns::wait_for_both()?;
    Ok(own_settings::within(|| {
        let begun = Instant::now();
        load::earlier_knowledge(database);
        let mut cycle = write_down(database);
        costs::fit(database);
        // The worker may never get a turn to while sessions take one after the other.
        persist::tidy();
        earned::save(database);
        let learning = learning_cycle::learn();
        cycle.took_ms = begun.elapsed().as_secs_f64() * 1000.0;
        Lesson { cycle, learning }
    }))
}

/// What was taken is given back when the transaction fails.
fn write_down(database: u32) -> Cycle {
    let begun = Instant::now();
    let taken = persist::take(database);
    let mut cycle = Cycle {
        corrections: persist::corrections(&taken.corrections),
        statements: persist::statements(&taken.statements),
        trajectories: persist::trajectories(&taken.trajectories),
        took_ms: 0.0,
    };
    rewards::give(database, &taken);
    let took = begun.elapsed();
    cycle.took_ms = took.as_secs_f64() * 1000.0;
    latencies::record(Component::WorkerCycle, took);
    if !cycle.is_empty() {
        let entries = cycle.corrections + cycle.statements;
        events::note(Kind::WorkerWrote, [entries as f64, cycle.trajectories as f64]);
    }
    counters::note_cycle(catalog::now());
    cycle
}

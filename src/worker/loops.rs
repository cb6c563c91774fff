//! When loops B and C run in the background, and loop C.

use super::{learning_cycle, sona};
use crate::pg::turns::{self, Turn};
use crate::pg::{catalog, interrupts};
use crate::settings;
use crate::shmem::databases;
use crate::shmem::events::{self, Kind};
use crate::shmem::latencies::{self, Component};
use engine::learning::coordinator::{Due, LoopCoordinator, Situation};
use engine::learning::{DeepReport, Execution};
use pgrx::Spi;
use std::time::{Duration, Instant};

/// Dreams that are kept of a run of loop C.
const DREAMS: usize = 100;

/// Runs the loop that is due, in the transaction under way.
pub(super) fn run_due(database: u32) {
    let (learned_at, dreamt_at) = databases::learned_at(database);
    let last = |at: i64| u64::try_from(at * 1_000_000).ok().filter(|&at| at > 0);
    let Ok(mut coordinator) = LoopCoordinator::resume(settings::budgets(), last(learned_at), last(dreamt_at))
    else {
        return;
    };
    match coordinator.due(&situation()) {
        // An open transaction may have the turn for long, and there is a next time.
        Due::Background { .. } if turns::try_for(Turn::Learn).is_ok() => drop(learning_cycle::learn()),
        Due::Deep { budget_us } => drop(dream(Duration::from_micros(budget_us))),
        _ => (),
    }
}

/// Whether hardly anybody uses the server.
pub(super) fn is_idle() -> bool {
    situation().load <= settings::budgets().idle_load
}

fn situation() -> Situation {
    let count = |sql: &str| Spi::get_one::<i64>(sql).ok().flatten().unwrap_or(0);
    let active = count(ACTIVE) as f64;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Situation {
        now_us: sona::microseconds(),
        load: (active / processors as f64).min(1.0),
        waiting: usize::try_from(count(WAITING)).unwrap_or(0),
        capacity: settings::max_trajectories(),
    }
}

const ACTIVE: &str = "SELECT count(*) FROM pg_catalog.pg_stat_activity \
     WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()";
const WAITING: &str = "SELECT count(*) FROM ruvector.dag_trajectories WHERE trajectory_id > \
     coalesce((SELECT learned_up_to FROM ruvector.dag_state WHERE part = 'sona'), 0)";

/// What a run of loop C found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dreamt {
    pub(crate) report: DeepReport,
    /// What it dreamt of.
    pub(crate) executions: Vec<Execution>,
    /// False when something else was learned meanwhile, or was about to be: what was trained is then dropped.
    pub(crate) is_kept: bool,
}

/// Loop C for this long, or until the statement is cancelled; what it did is then undone.
pub(crate) fn dream(budget: Duration) -> Dreamt {
    let started = Instant::now();
    let ((report, executions), is_kept) = sona::aside(|learned| {
        let begun = Instant::now();
        let clock = || match interrupts::is_asked_to_stop() {
            // No budget lasts until then, so that the engine ends its work.
            true => u64::MAX,
            false => u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        let budget = u64::try_from(budget.as_micros()).unwrap_or(u64::MAX);
        let report = learned.engine.deep_learn(clock, budget, DREAMS);
        if interrupts::is_asked_to_stop() {
            interrupts::raise();
        }
        (report, learned.engine.executions().to_vec())
    });
    let took = started.elapsed();
    latencies::record(Component::DeepCycle, took);
    let dreams = report.dreams.len() as f64;
    events::note(Kind::DeepCycle, [dreams, took.as_secs_f64() * 1000.0]);
    databases::set_dreamt(catalog::database(), catalog::seconds());
    Dreamt {
        report,
        executions,
        is_kept,
    }
}

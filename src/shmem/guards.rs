//! What watches over the decisions of a database: what hint sets brought, what trials cost, and the circuit breaker.

use super::events::{self, Kind};
use super::layout::Guard;
use crate::pg::catalog;
use crate::pg::shmem::shared;
use crate::steer::rewrite::Rules;
use engine::decision::{ArmStatistics, BreakerState, Decision, HintSet, OperatorTimes, TrialBudget};
use std::time::Duration;

fn place(database: u32) -> u64 {
    u64::from(database)
}

/// What is known of a database's decisions.
pub(crate) fn get(database: u32) -> Guard {
    let known = shared().and_then(|shared| shared.guards.get(place(database)));
    known.unwrap_or_else(|| Guard::new(database))
}

fn change<R: Default>(database: u32, change: impl FnOnce(&mut Guard) -> R) -> R {
    shared().map_or_else(R::default, |shared| {
        shared
            .guards
            .change_or_begin(place(database), || Guard::new(database), change)
    })
}

/// An execution that ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Execution {
    /// Its statement class.
    pub(crate) class: u64,
    /// In the executor.
    pub(crate) taken_ms: f64,
    /// What its plan usually takes, where that is known.
    pub(crate) usual_ms: Option<f64>,
    /// What stock takes, if this was an applied decision.
    pub(crate) baseline_ms: Option<f64>,
    /// Nobody waited for it: it gives users' trials no time.
    pub(crate) is_dream: bool,
    /// Its latency is compared with others.
    pub(crate) is_compared: bool,
    /// There may be something new to try.
    pub(crate) is_news: bool,
}

/// Takes an execution into account; answers how much slower than usual everything is. Warns when this opens the circuit
/// breaker.
pub(crate) fn note_execution(database: u32, execution: &Execution) -> f64 {
    let now_ms = clock_ms();
    let (slowdown, is_suspended) = change(database, |guard| guard.note(execution, now_ms));
    if is_suspended {
        let numbers = [get(database).breaker.open_minutes() as f64, 0.0];
        events::note(Kind::BreakerOpened, numbers);
        pgrx::warning!("ruvector_dag: {}", Kind::BreakerOpened.text(numbers));
    }
    // 0 without shared memory.
    if slowdown > 0.0 { slowdown } else { 1.0 }
}

impl Guard {
    fn note(&mut self, execution: &Execution, now_ms: u64) -> (f64, bool) {
        if !execution.is_dream {
            self.spent_ms += execution.taken_ms;
        }
        self.has_dreams |= u32::from(execution.is_news);
        if !execution.is_compared {
            return (1.0, false);
        }
        if let Some(usual_ms) = execution.usual_ms.filter(|&usual_ms| usual_ms > 0.0) {
            self.load.note(execution.class, execution.taken_ms / usual_ms);
        }
        let slowdown = self.load.slowdown().max(f64::MIN_POSITIVE);
        let quiet_ms = execution.taken_ms / slowdown;
        let baseline_ms = execution.baseline_ms;
        let is_suspended =
            baseline_ms.is_some_and(|baseline_ms| self.breaker.record(now_ms, quiet_ms, baseline_ms));
        (slowdown, is_suspended)
    }
}

/// What a trial cost, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TrialCost {
    /// A user waited so long in vain.
    Waited(f64),
    /// Nobody waited for it.
    Idle(f64),
}

/// A trial ended: `ratio` to the best latency known before, or the share of it after which it was cut off.
pub(crate) fn note_trial(
    database: u32,
    decision: Decision,
    (ratio, is_cut_off): (f64, bool),
    cost: TrialCost,
) {
    change(database, |guard| {
        guard
            .arms
            .record(decision.cutoff, decision.hints, ratio, is_cut_off);
        match cost {
            TrialCost::Waited(lost_ms) => guard.lost_ms += lost_ms,
            TrialCost::Idle(took_ms) => guard.idle_ms += took_ms,
        }
        guard.trials += 1;
    });
}

/// A statement that these rules rewrote took this long where stock takes `baseline_ms`, or longer; `None` is not known.
pub(crate) fn note_rewritten(database: u32, rules: Rules, taken_ms: f64, baseline_ms: Option<f64>) {
    let gain_ms = baseline_ms.map_or(0.0, |baseline_ms| baseline_ms - taken_ms) / rules.iter().count() as f64;
    change(database, |guard| {
        for rule in rules.iter() {
            let Some(rewrites) = guard.rewrites.get_mut(rule as usize) else {
                continue;
            };
            rewrites.executions += 1;
            rewrites.saved_ms += gain_ms.max(0.0);
            rewrites.lost_ms += (-gain_ms).max(0.0);
        }
    });
}

/// Whether all decisions are suspended.
pub(crate) fn is_suspended(guard: &Guard) -> bool {
    guard.breaker.state(clock_ms()) == BreakerState::Open
}

/// The time there is for trials that users wait for.
pub(crate) fn budget(guard: &Guard, share: f64) -> TrialBudget {
    TrialBudget {
        share,
        spent_ms: guard.spent_ms,
        lost_ms: guard.lost_ms,
    }
}

/// What is left of an hour's time for trials that nobody waits for.
pub(crate) fn dream_time_left(database: u32, per_hour: Duration) -> Duration {
    let guard = get(database);
    let spent_ms = if guard.dream_hour == hour() {
        guard.dreamt_ms
    } else {
        0.0
    };
    per_hour.saturating_sub(Duration::from_secs_f64(spent_ms / 1000.0))
}

/// Such trials took this long.
pub(crate) fn spend_dream_time(database: u32, time: Duration) {
    let hour = hour();
    change(database, |guard| {
        if guard.dream_hour != hour {
            guard.dream_hour = hour;
            guard.dreamt_ms = 0.0;
        }
        guard.dreamt_ms += time.as_secs_f64() * 1000.0;
    });
}

/// Whether something promising is left to try.
pub(crate) fn set_has_dreams(database: u32, has_dreams: bool) {
    change(database, |guard| guard.has_dreams = u32::from(has_dreams));
}

fn hour() -> i64 {
    catalog::seconds() / 3600
}

/// Puts back what was known before the server started, unless something is known since.
pub(crate) fn restore(database: u32, arms: ArmStatistics, costs: HintSet) {
    change(database, |guard| {
        if guard.arms.trials() == 0.0 {
            guard.arms = arms;
        }
        if guard.fitted_at == 0 {
            guard.costs = costs.bits();
        }
    });
}

/// Whether the planner's costs were not fitted for so many seconds; they count as fitted from now on.
pub(crate) fn begins_fitting(database: u32, after: i64) -> bool {
    let now = catalog::seconds();
    change(database, |guard| {
        let is_due = now - guard.fitted_at >= after;
        if is_due {
            guard.fitted_at = now;
        }
        is_due
    })
}

/// A hint set with the planner costs that fit this server: what is tried from now on.
pub(crate) fn set_costs(database: u32, costs: HintSet) {
    change(database, |guard| {
        guard.has_dreams |= u32::from(guard.costs != costs.bits());
        guard.costs = costs.bits();
    });
}

/// How long operators take: what plans at first sight are compared by from now on.
pub(crate) fn set_times(database: u32, times: OperatorTimes) {
    change(database, |guard| guard.times = times);
}

/// Forgets a database's.
pub(crate) fn reset(database: u32) {
    if let Some(shared) = shared() {
        shared.guards.remove_if(|_, guard| guard.database == database);
    }
}

fn clock_ms() -> u64 {
    u64::try_from(catalog::now() / 1000).unwrap_or(0)
}

//! Trials that users wait for: a plan that was never measured runs first, with less time than the best one takes. If it
//! ends in time its rows are the answer; if not, the plan that is known to be good gives it.

use crate::observe::knowledge::Remembered;
use crate::observe::learn;
use crate::observe::watch::Watch;
use crate::pg::kept_plan::KeptPlan;
use crate::pg::trial::Ended;
use crate::pg::{catalog, plan_state, plan_tree};
use crate::settings;
use crate::shmem::guards::{self, TrialCost};
use crate::shmem::{counters, statements};
use engine::decision::HintSet;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::rc::Rc;

/// A plan that waits for the execution it is tried in.
struct Pending {
    /// The token of the plan that runs otherwise.
    token: u32,
    tried: Tried,
}

/// A plan to be tried.
struct Tried {
    plan: KeptPlan,
    remembered: Rc<Remembered>,
    limit_ms: f64,
    best_ms: Option<f64>,
    /// Nobody waits for it.
    is_idle: bool,
}

thread_local! {
    static PENDING: RefCell<Option<Pending>> = const { RefCell::new(None) };
    static RUNNING: RefCell<Option<Tried>> = const { RefCell::new(None) };
}

/// What the trampoline is told of a trial.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) plan: *mut pg_sys::PlannedStmt,
    pub(crate) hints: HintSet,
    pub(crate) limit_ms: f64,
}

/// Keeps a plan for the execution of the plan with `token`. There is one at a time: a nested statement does not take the
/// place of one that runs.
pub(crate) fn keep(
    planned: *mut pg_sys::PlannedStmt,
    token: u32,
    remembered: Remembered,
    limit_ms: f64,
    best_ms: Option<f64>,
) {
    if RUNNING.with_borrow(Option::is_some) {
        return;
    }
    let tried = Tried {
        plan: KeptPlan::of(planned),
        remembered: Rc::new(remembered),
        limit_ms,
        best_ms,
        is_idle: false,
    };
    PENDING.set(Some(Pending { token, tried }));
}

/// The trial that waits for this execution, which is about to run.
pub(crate) fn take(query: *mut pg_sys::QueryDesc) -> Option<Request> {
    let token = plan_state::planned(query).and_then(plan_tree::token)?;
    let is_waiting =
        PENDING.with_borrow(|pending| pending.as_ref().is_some_and(|pending| pending.token == token));
    if !is_waiting || plan_state::is_instrumented(query) || !settings::may_steer() {
        return None;
    }
    let tried = PENDING.take()?.tried;
    let request = Request {
        plan: tried.plan.get(),
        hints: tried.remembered.decision.hints,
        limit_ms: tried.limit_ms,
    };
    RUNNING.set(Some(tried));
    Some(request)
}

/// Begins a trial that nobody waits for: `remembered` is what is known of its plan.
pub(crate) fn begin(plan: KeptPlan, remembered: Rc<Remembered>, limit_ms: f64, best_ms: Option<f64>) {
    RUNNING.set(Some(Tried {
        plan,
        remembered,
        limit_ms,
        best_ms,
        is_idle: true,
    }));
}

/// The trial is over; its plan is freed.
pub(crate) fn finish() {
    drop(RUNNING.take());
}

fn running() -> Option<Rc<Remembered>> {
    RUNNING.with_borrow(|tried| tried.as_ref().map(|tried| Rc::clone(&tried.remembered)))
}

/// The limit of the trial under way, the best latency known before, and whether nobody waits.
fn terms() -> Option<(f64, Option<f64>, bool)> {
    RUNNING.with_borrow(|tried| {
        let tried = tried.as_ref()?;
        Some((tried.limit_ms, tried.best_ms, tried.is_idle))
    })
}

/// Before the trial is started.
pub(crate) fn before_start(query: *mut pg_sys::QueryDesc) {
    if let Some(remembered) = running()
        && remembered.facts.is_parallel
    {
        plan_state::count_rows(query);
    }
}

/// After the trial was started.
pub(crate) fn started(query: *mut pg_sys::QueryDesc) {
    if let Some(remembered) = running()
        && !remembered.facts.is_parallel
    {
        plan_state::count_nodes(query, &learn::wanted_counts(&remembered));
    }
}

/// The trial ended, one way or the other: it is learned from.
pub(crate) fn ended(query: *mut pg_sys::QueryDesc, ended: Ended) {
    let (Some(remembered), Some((limit_ms, best_ms, is_idle))) = (running(), terms()) else {
        return;
    };
    let cost = |took_ms: f64, lost_ms: f64| match is_idle {
        true => TrialCost::Idle(took_ms),
        false => TrialCost::Waited(lost_ms),
    };
    counters::add_trials_run(1);
    let decision = remembered.decision;
    let database = catalog::database();
    let mut watch = Watch::new(remembered);
    match ended {
        Ended::Completed(took_ms) => {
            watch.elapsed_ms = took_ms;
            learn::from_execution(query, &watch, true);
            if let Some(best_ms) = best_ms {
                let lost_ms = (took_ms - best_ms).max(0.0);
                let cost = cost(took_ms, lost_ms);
                guards::note_trial(database, decision, (took_ms / best_ms, false), cost);
            }
        }
        Ended::CutOff(took_ms) => {
            counters::add_trials_cut_off(1);
            watch.elapsed_ms = took_ms;
            learn::from_cancelled(query, &watch);
            if let Some(best_ms) = best_ms {
                let cost = cost(took_ms, took_ms);
                guards::note_trial(database, decision, (limit_ms / best_ms, true), cost);
            }
        }
        Ended::Stopped => {}
        // Nothing can be told of the plan: it is not tried again.
        Ended::Failed(_) => {
            let remembered = &watch.remembered;
            statements::dismiss(remembered.statement.class, remembered.facts.shape);
        }
    }
}

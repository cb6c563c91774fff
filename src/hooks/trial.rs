//! Trials that users wait for: a plan that was never measured runs first, with less time than the best one takes. If it
//! ends in time its rows are the answer; if not, the plan that is known to be good gives it.

use crate::observe::knowledge::Remembered;
use crate::observe::learn;
use crate::observe::watch::Watch;
use crate::pg::kept_plan::KeptPlan;
use crate::pg::trial::{Ended, has_time_for};
use crate::pg::{catalog, plan_state, plan_tree, transaction_end};
use crate::settings;
use crate::shmem::events::{self, Kind};
use crate::shmem::guards::{self, TrialCost};
use crate::shmem::latencies::{self, Component};
use crate::shmem::{counters, experiences, statements};
use engine::decision::{CLEAR_GAIN, HintSet, Measured, StatementEvidence};
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
    /// A copy, when it has to outlive the planning.
    plan: Option<KeptPlan>,
    remembered: Rc<Remembered>,
    limit_ms: f64,
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

/// What must be left of a statement's time limit for a trial and for what follows when it is given up, in times of the trial's.
const SPARE_TIME: f64 = 3.0;

/// Whether a trial that may take this long is no reason for the statement to meet its time limit.
pub(crate) fn is_in_time(limit_ms: f64) -> bool {
    has_time_for(SPARE_TIME * limit_ms)
}

/// Keeps a plan for the execution of the plan with `token`. There is one at a time: a nested statement does not take the
/// place of one that runs. It goes with the locks it was planned under: the plan with the token may be cached and run again.
pub(crate) fn keep(planned: *mut pg_sys::PlannedStmt, token: u32, remembered: Remembered, limit_ms: f64) {
    if RUNNING.with_borrow(Option::is_some) {
        return;
    }
    let tried = Tried {
        plan: Some(KeptPlan::of(planned)),
        remembered: Rc::new(remembered),
        limit_ms,
    };
    PENDING.set(Some(Pending { token, tried }));
    transaction_end::call(Box::new(move |_| forget(token)));
}

/// No trial waits for the plan with `token` any more.
pub(crate) fn forget(token: u32) {
    if is_waiting(token) {
        drop(PENDING.take());
    }
}

fn is_waiting(token: u32) -> bool {
    PENDING.with_borrow(|pending| pending.as_ref().is_some_and(|pending| pending.token == token))
}

/// The trial that waits for this execution, which is about to run.
pub(crate) fn take(query: *mut pg_sys::QueryDesc) -> Option<Request> {
    let token = plan_state::planned(query).and_then(plan_tree::token)?;
    if !is_waiting(token) || plan_state::is_instrumented(query) || !settings::may_steer() {
        return None;
    }
    let tried = PENDING.take()?.tried;
    if !is_in_time(tried.limit_ms) {
        return None;
    }
    let request = Request {
        plan: tried.plan.as_ref()?.get(),
        hints: tried.remembered.decision.hints,
        limit_ms: tried.limit_ms,
    };
    RUNNING.set(Some(tried));
    Some(request)
}

/// Begins a trial that nobody waits for: `remembered` is what is known of its plan.
pub(crate) fn begin(remembered: Rc<Remembered>, limit_ms: f64) {
    RUNNING.set(Some(Tried {
        plan: None,
        remembered,
        limit_ms,
    }));
}

/// The trial is over; a copy of its plan is freed.
pub(crate) fn finish() {
    drop(RUNNING.take());
}

fn running() -> Option<(Rc<Remembered>, f64)> {
    RUNNING.with_borrow(|tried| {
        let tried = tried.as_ref()?;
        Some((Rc::clone(&tried.remembered), tried.limit_ms))
    })
}

/// Before the trial is started.
pub(crate) fn before_start(query: *mut pg_sys::QueryDesc) {
    if let Some((remembered, _)) = running()
        && remembered.facts.is_parallel
    {
        plan_state::count_rows(query);
    }
}

/// After the trial was started.
pub(crate) fn started(query: *mut pg_sys::QueryDesc) {
    if let Some((remembered, _)) = running() {
        learn::count_nodes(query, &remembered);
    }
}

/// Notes how a plan under hints did beside stock's: it took so long, or was given up.
pub(crate) fn note_experience(evidence: &StatementEvidence, plan: &Remembered, outcome: Result<f64, f64>) {
    let Some(stock) = evidence.stock().filter(|_| plan.decision.cutoff == 0) else {
        return;
    };
    if let (true, Some(stock_ms)) = (plan.facts.shape != stock.shape, stock.typical_ms()) {
        let (Ok(ms) | Err(ms)) = outcome;
        let measured = Measured {
            hints: plan.decision.hints,
            methods: plan.facts.methods,
            ratio: ms / stock_ms,
            is_given_up: outcome.is_err(),
        };
        experiences::record(plan.statement.class, stock.shape, &measured);
    }
}

/// The trial ended, one way or the other: it is learned from.
pub(crate) fn ended(query: *mut pg_sys::QueryDesc, ended: Ended) {
    let Some((remembered, limit_ms)) = running() else {
        return;
    };
    let is_idle = remembered.is_dream;
    let cost = |took_ms: f64, lost_ms: f64| match is_idle {
        true => TrialCost::Idle(took_ms),
        false => TrialCost::Waited(lost_ms),
    };
    counters::add_trials_run(1);
    let decision = remembered.decision;
    let database = catalog::database();
    // As busy as the server is at the moment.
    let best_ms = limit_ms / CLEAR_GAIN;
    let evidence = statements::evidence(remembered.statement.class);
    let known_best_ms = evidence.and_then(|evidence| evidence.best_ms());
    let experience = |plan: &Remembered, outcome: Result<f64, f64>| {
        if let (Some(evidence), Some(known_best_ms)) = (&evidence, known_best_ms) {
            let quiet = |ms: f64| ms / best_ms * known_best_ms;
            note_experience(evidence, plan, outcome.map(quiet).map_err(quiet));
        }
    };
    let statement = (remembered.statement.queryid, remembered.statement.class);
    let note = |kind: Kind, took_ms: f64| {
        latencies::record_ms(Component::Trial, took_ms);
        events::note_of(statement, kind, [took_ms, best_ms]);
    };
    let mut watch = Watch::new(remembered);
    match ended {
        Ended::Completed(took_ms) => {
            experience(&watch.remembered, Ok(took_ms));
            note(Kind::TrialCompleted, took_ms);
            watch.elapsed_ms = took_ms;
            learn::from_execution(query, &watch, true);
            let cost = cost(took_ms, (took_ms - best_ms).max(0.0));
            guards::note_trial(database, decision, (took_ms / best_ms, false), cost);
        }
        Ended::CutOff(took_ms) => {
            experience(&watch.remembered, Err(took_ms));
            note(Kind::TrialCutOff, took_ms);
            counters::add_trials_cut_off(1);
            watch.elapsed_ms = took_ms;
            learn::from_cancelled(query, &watch);
            let share = took_ms.min(limit_ms) / best_ms;
            guards::note_trial(database, decision, (share, true), cost(took_ms, took_ms));
        }
        Ended::Stopped => {}
        // Nothing can be told of the plan: it is not tried again.
        Ended::Failed(_) => {
            events::note_of(statement, Kind::TrialFailed, [0.0; 2]);
            let remembered = &watch.remembered;
            statements::dismiss(remembered.statement.class, remembered.facts.shape);
        }
    }
}

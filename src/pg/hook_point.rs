//! The hook points: trampolines PostgreSQL calls, the saved previous hooks, and how errors pass.
//!
//! Each trampoline does what PG_TRY and PG_FINALLY do in C: our work before, the chain (the previous hook or the
//! standard function) under a jump buffer of its own, our work after; a PostgreSQL error is passed on untouched from a
//! frame that holds nothing to drop. Our own work runs in [`guarded`]: a Rust panic in it is counted, logged once per
//! backend and forgotten, and the statement goes on as stock PostgreSQL would run it.

use super::compat::{self, RunRequest};
use super::raw::{self, BaseRelationHook, ExecutorHook, ExecutorStartHook, JoinRelationHook, PlannerHook};
use super::{explain, foreground, hint_set, statement, trial};
use crate::hooks;
use crate::hooks::executor::Follow;
use crate::hooks::planner::Next;
use cee_scape::{SigJmpBufFields, call_with_sigsetjmp};
use core::ffi::{c_char, c_int};
use core::mem::MaybeUninit;
use engine::decision::HintSet;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport, ErrorReportWithLevel, pgrx_extern_c_guard};
use std::any::Any;
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::Instant;

/// What was installed before us, set once in `_PG_init`.
#[derive(Clone, Copy)]
struct Previous {
    planner: Option<PlannerHook>,
    base_relation: Option<BaseRelationHook>,
    join_relation: Option<JoinRelationHook>,
    executor_start: Option<ExecutorStartHook>,
    executor_run: pg_sys::ExecutorRun_hook_type,
    executor_finish: Option<ExecutorHook>,
    executor_end: Option<ExecutorHook>,
    explain: pg_sys::ExplainOneQuery_hook_type,
}

const NOTHING: Previous = Previous {
    planner: None,
    base_relation: None,
    join_relation: None,
    executor_start: None,
    executor_run: None,
    executor_finish: None,
    executor_end: None,
    explain: None,
};

/// Not thread-local: that would cost a call at each reading, several times per statement.
static PREVIOUS: OnceLock<Previous> = OnceLock::new();

thread_local! {
    static LOGGED: Cell<bool> = const { Cell::new(false) };
}

/// Nothing is called before [`install`]: by then there is something.
fn previous() -> &'static Previous {
    PREVIOUS.get().unwrap_or(&NOTHING)
}

/// Installs all hooks, each in front of the one before it.
pub(crate) fn install() {
    // SAFETY: called once from _PG_init on the main thread, where the hook variables may be set.
    unsafe {
        let previous = Previous {
            planner: pg_sys::planner_hook,
            base_relation: pg_sys::set_rel_pathlist_hook,
            join_relation: pg_sys::set_join_pathlist_hook,
            executor_start: pg_sys::ExecutorStart_hook,
            executor_run: pg_sys::ExecutorRun_hook,
            executor_finish: pg_sys::ExecutorFinish_hook,
            executor_end: pg_sys::ExecutorEnd_hook,
            explain: pg_sys::ExplainOneQuery_hook,
        };
        if PREVIOUS.set(previous).is_err() {
            return;
        }
        pg_sys::planner_hook = Some(planner);
        pg_sys::set_rel_pathlist_hook = Some(base_relation);
        pg_sys::set_join_pathlist_hook = Some(join_relation);
        pg_sys::ExecutorStart_hook = Some(executor_start);
        pg_sys::ExecutorRun_hook = Some(compat::executor_run);
        pg_sys::ExecutorFinish_hook = Some(executor_finish);
        pg_sys::ExecutorEnd_hook = Some(executor_end);
        pg_sys::ExplainOneQuery_hook = Some(explain_one_query);
        pg_sys::EnableQueryId();
    }
}

/// Runs our own work: a Rust panic gives `fallback`, a PostgreSQL error (out of memory, a cancel) is raised again.
pub(crate) fn guarded<R: Copy>(fallback: R, work: impl FnOnce() -> R) -> R {
    match std::panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(payload) if is_postgres_error(&*payload) => {
            // SAFETY: the frames above are trampolines of this file or SQL functions, which hold nothing to drop here.
            unsafe { pgrx_extern_c_guard(move || std::panic::resume_unwind(payload)) }
        }
        Err(_) => {
            note_failure();
            fallback
        }
    }
}

/// Whether a panic is pgrx's form of a PostgreSQL error.
fn is_postgres_error(payload: &(dyn Any + Send)) -> bool {
    payload.is::<CaughtError>() || payload.is::<ErrorReportWithLevel>() || payload.is::<ErrorReport>()
}

/// Counts a failure of our own and logs the first one of this backend.
fn note_failure() {
    crate::shmem::counters::add_internal_errors(1);
    crate::shmem::events::note(crate::shmem::events::Kind::InternalError, [0.0; 2]);
    if !LOGGED.replace(true) {
        pgrx::log!(
            "ruvector_dag: internal error; statements go on without it (further ones are counted, not logged)"
        );
    }
}

/// Runs `body`, which calls PostgreSQL raw; when an error passes through, `on_error` runs and the error goes on.
///
/// # Safety
/// `body` and the caller's frame hold nothing to drop.
pub(super) unsafe fn protected<R: Copy>(body: impl FnOnce() -> R, on_error: impl FnOnce()) -> R {
    // SAFETY: by the caller's promise; the error is raised again.
    unsafe {
        match caught(body) {
            Some(result) => result,
            None => {
                on_error();
                raw::pg_re_throw();
            }
        }
    }
}

/// Runs `body`, which calls PostgreSQL raw; `None` when it raised an error, which the caller has to deal with.
///
/// # Safety
/// `body` and the caller's frame hold nothing to drop.
pub(super) unsafe fn caught<R: Copy>(body: impl FnOnce() -> R) -> Option<R> {
    // SAFETY: PostgreSQL's error variables belong to the main thread; they are restored on both ways out.
    unsafe {
        let exception_stack = pg_sys::PG_exception_stack;
        let context_stack = pg_sys::error_context_stack;
        let mut result = MaybeUninit::<R>::uninit();
        let jumped = call_with_sigsetjmp(false, |buffer: &SigJmpBufFields| {
            pg_sys::PG_exception_stack = core::ptr::from_ref(buffer).cast_mut().cast();
            result.write(body());
            0
        });
        pg_sys::PG_exception_stack = exception_stack;
        pg_sys::error_context_stack = context_stack;
        (jumped == 0).then(|| result.assume_init())
    }
}

unsafe extern "C-unwind" fn planner(
    parse: *mut pg_sys::Query,
    text: *const c_char,
    options: c_int,
    params: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    // SAFETY: the arguments are PostgreSQL's.
    let planned = unsafe { plan(parse, text, options, params) };
    guarded((), || {
        hooks::explain::note(parse, planned);
        hooks::planner::steer_kind(planned);
    });
    planned
}

unsafe fn plan(
    parse: *mut pg_sys::Query,
    text: *const c_char,
    options: c_int,
    params: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    let chain = previous().planner.unwrap_or(raw::standard_planner);
    let entry = guarded(hooks::planner::Entry::PassOn, || {
        hooks::planner::enter(parse, options, params)
    });
    let hooks::planner::Entry::Framed { spare, hints, begun } = entry else {
        // SAFETY: the arguments are PostgreSQL's.
        return unsafe { chain(parse, text, options, params) };
    };
    // SAFETY: only plain values are alive here; the copy of the statement was made before PostgreSQL scribbled on it.
    unsafe {
        let plan = |query: *mut pg_sys::Query, hints: HintSet| {
            let query = match hints.form() {
                Some(form) => guarded(query, || hooks::planner::in_another_form(query, form)),
                None => query,
            };
            let level = hint_set::open_for_planning(hints);
            let planned = chain(query, text, options, params);
            hint_set::compile_by_cost(planned, hints);
            hint_set::close(level);
            planned
        };
        let before = begun.map(|_| Instant::now());
        let mut planned = protected(|| plan(parse, hints), hooks::planner::abandon);
        let planning = before.map(|before| before.elapsed());
        let mut next = guarded(Next::Done, || hooks::planner::leave(planned));
        while let Next::Instead(hints) = next {
            let copy = guarded(spare, || statement::copy(spare));
            guarded((), hooks::planner::enter_again);
            planned = protected(|| plan(copy, hints), hooks::planner::abandon);
            next = guarded(Next::Done, || hooks::planner::leave(planned));
        }
        let planned = match next {
            Next::Done | Next::Instead(_) => planned,
            Next::Try(hints) => {
                guarded((), hooks::planner::enter_again);
                if let Some(tried) = trial::plan(|| plan(spare, hints), hooks::planner::abandon) {
                    guarded((), || hooks::planner::leave_trial(tried));
                }
                planned
            }
            Next::Compare => {
                let best = cheapest_form(planned, spare, |form| plan(form, HintSet::NONE));
                let best = match best == planned {
                    true => fastest_of_others(planned, spare, plan),
                    false => best,
                };
                guarded((), hooks::planner::stop_comparing);
                best
            }
        };
        if let (Some(begun), Some(planning)) = (begun, planning) {
            guarded((), || hooks::planner::note_times(begun, planning));
        }
        planned
    }
}

/// Plans a statement in its other forms, too, and returns the plan to use.
///
/// # Safety
/// As of [`trial::plan`]; `spare` is a copy of the statement.
unsafe fn cheapest_form(
    original: *mut pg_sys::PlannedStmt,
    spare: *mut pg_sys::Query,
    plan: impl Fn(*mut pg_sys::Query) -> *mut pg_sys::PlannedStmt,
) -> *mut pg_sys::PlannedStmt {
    let mut best = original;
    if let Some(own) = guarded(None, || hooks::planner::enter_own(spare)) {
        // SAFETY: by the caller's promise.
        let planned = unsafe { trial::plan(|| plan(own), hooks::planner::abandon) };
        if let Some(planned) = planned {
            guarded((), || hooks::planner::leave_own(planned));
        }
    }
    let mut number = 0;
    while let Some(form) = guarded(None, || hooks::planner::enter_form(spare, number)) {
        // SAFETY: by the caller's promise.
        let planned = unsafe { trial::plan(|| plan(form), hooks::planner::abandon) };
        if let Some(planned) = planned
            && guarded(false, || hooks::planner::leave_form(planned))
        {
            best = planned;
        }
        number += 1;
    }
    best
}

/// Plans a statement without some methods, too, and returns the last plan that is taken, or the original one.
///
/// # Safety
/// As of [`trial::plan`]; `spare` is a copy of the statement.
unsafe fn fastest_of_others(
    original: *mut pg_sys::PlannedStmt,
    spare: *mut pg_sys::Query,
    plan: impl Fn(*mut pg_sys::Query, HintSet) -> *mut pg_sys::PlannedStmt,
) -> *mut pg_sys::PlannedStmt {
    let mut best = original;
    while let Some((query, hints)) = guarded(None, || hooks::planner::enter_other(spare)) {
        // SAFETY: by the caller's promise.
        let planned = unsafe { trial::plan(|| plan(query, hints), hooks::planner::abandon) };
        if let Some(planned) = planned
            && guarded(false, || hooks::planner::leave_other(planned))
        {
            best = planned;
        }
    }
    best
}

unsafe extern "C-unwind" fn explain_one_query(
    query: *mut pg_sys::Query,
    options: c_int,
    into: *mut pg_sys::IntoClause,
    state: *mut pg_sys::ExplainState,
    text: *const c_char,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
) {
    let request = explain::Request {
        query,
        options,
        into,
        state,
        text,
        params,
        environment,
    };
    let around = hooks::explain::begin(query);
    // SAFETY: only plain values are alive here; the request is PostgreSQL's.
    unsafe {
        let previous = previous().explain;
        protected(|| request.pass_on(previous), || hooks::explain::end(around));
        let decision = guarded(core::ptr::null(), hooks::explain::decision);
        hooks::explain::end(around);
        if !decision.is_null() {
            explain::add_decision(state, decision);
        }
    }
}

unsafe extern "C-unwind" fn base_relation(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    rtindex: pg_sys::Index,
    entry: *mut pg_sys::RangeTblEntry,
) {
    if guarded(false, || hooks::base_relation::correct(root, rel)) {
        // SAFETY: PostgreSQL's arguments; the relation was just corrected and its paths are made anew.
        unsafe { super::paths::rebuild_base_paths(root, rel) };
    }
    if let Some(previous) = previous().base_relation {
        // SAFETY: the arguments are PostgreSQL's.
        unsafe { previous(root, rel, rtindex, entry) }
    }
}

unsafe extern "C-unwind" fn join_relation(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    outer: *mut pg_sys::RelOptInfo,
    inner: *mut pg_sys::RelOptInfo,
    kind: pg_sys::JoinType::Type,
    extra: *mut pg_sys::JoinPathExtraData,
) {
    let inputs = [outer, inner];
    if guarded(false, || hooks::join_relation::correct(root, rel, inputs)) {
        // SAFETY: PostgreSQL's arguments; the relation was just corrected. The hooks before us are called for the new paths.
        unsafe { super::paths::rebuild_join_paths(root, rel, inputs, kind, extra) };
    } else if let Some(previous) = previous().join_relation {
        // SAFETY: the arguments are PostgreSQL's.
        unsafe { previous(root, rel, outer, inner, kind, extra) }
    }
}

unsafe extern "C-unwind" fn executor_start(query: *mut pg_sys::QueryDesc, flags: c_int) {
    let watched = guarded(false, || hooks::executor::before_start(query, flags));
    // Reading the clock costs something, too.
    let started = watched.then(Instant::now);
    let chain = previous()
        .executor_start
        .unwrap_or(compat::standard_ExecutorStart);
    // SAFETY: the arguments are PostgreSQL's; nothing to drop is alive.
    unsafe { chain(query, flags) };
    match started {
        Some(started) => guarded((), || hooks::executor::after_start(query, started)),
        None => guarded((), || hooks::executor::after_other_start(query)),
    }
}

/// `ExecutorRun_hook`, in the form common to all majors.
///
/// # Safety
/// Called by the trampoline with PostgreSQL's arguments.
pub(super) unsafe fn run(request: RunRequest) {
    let previous = previous().executor_run;
    let query = request.query;
    match guarded(Follow::No, || hooks::executor::follow(query)) {
        // SAFETY: by the caller's promise.
        Follow::No => unsafe { request.pass_on(previous) },
        Follow::Time => {
            let started = Instant::now();
            // SAFETY: by the caller's promise.
            unsafe { request.pass_on(previous) };
            guarded((), || hooks::executor::note_time(query, started));
        }
        Follow::Watch => {
            // SAFETY: only plain values are alive here; the request is PostgreSQL's.
            if unsafe { foreground::try_first(request) } {
                return;
            }
            let started = Instant::now();
            let hints = guarded(HintSet::NONE, || hooks::executor::hints(query));
            let failed = || guarded((), || hooks::executor::run_failed(query, error_code(), started));
            let run = || {
                // SAFETY: by the caller's promise.
                unsafe {
                    let level = hint_set::open_for_execution(hints);
                    request.pass_on(previous);
                    hint_set::close(level);
                }
            };
            // SAFETY: only plain values are alive here.
            unsafe { protected(run, failed) };
            guarded((), || {
                hooks::executor::after_run(query, request.direction, request.count, started)
            });
        }
    }
}

unsafe extern "C-unwind" fn executor_finish(query: *mut pg_sys::QueryDesc) {
    let chain = previous().executor_finish.unwrap_or(raw::standard_ExecutorFinish);
    if !guarded(false, || crate::observe::watch::is_watched(query)) {
        // SAFETY: the arguments are PostgreSQL's.
        return unsafe { chain(query) };
    }
    let started = Instant::now();
    let failed = || guarded((), || hooks::executor::run_failed(query, error_code(), started));
    // SAFETY: only plain values are alive here.
    unsafe { protected(|| chain(query), failed) };
    guarded((), || hooks::executor::after_finish(query, started));
}

unsafe extern "C-unwind" fn executor_end(query: *mut pg_sys::QueryDesc) {
    guarded((), || hooks::executor::before_end(query));
    let chain = previous().executor_end.unwrap_or(raw::standard_ExecutorEnd);
    // SAFETY: the arguments are PostgreSQL's.
    unsafe { chain(query) }
}

/// The SQLSTATE of the error being handled.
fn error_code() -> c_int {
    // SAFETY: called only while an error is being handled, before it is thrown again.
    unsafe { raw::geterrcode() }
}

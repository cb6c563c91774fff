//! A trial: a plan that runs in a subtransaction, for a limited time, with a way back.
//!
//! What PL/pgSQL does for a block with an exception handler: a subtransaction is begun, the plan runs in it with its rows
//! going into a tuplestore (or nowhere), and whatever ends it early is rolled back and forgotten. Only what the user asked
//! for, a cancel or an end of the session, is raised again. Other extensions don't see the trial: it runs below their hooks.

use super::hook_point::{caught, guarded};
use super::{compat, hint_set, raw};
use crate::hooks;
use crate::shmem::counters;
use core::ffi::{c_char, c_int};
use engine::decision::HintSet;
use pgrx::pg_sys;
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

/// Why the timer ended the trial, if it did.
static ENDED_BY: AtomicU8 = AtomicU8::new(NOTHING);
/// When the time is over, in PostgreSQL's microseconds.
static DEADLINE: AtomicI64 = AtomicI64::new(0);
/// Users' statements begun before the trial, or [`NO_MATTER`].
static LOAD_BEFORE: AtomicU64 = AtomicU64::new(NO_MATTER);

const NO_MATTER: u64 = u64::MAX;

const NOTHING: u8 = 0;
const TIME: u8 = 1;
const LOAD: u8 = 2;
/// What the timer sets PostgreSQL's flag to: true, and not what a user's cancel sets it to.
const OUR_CANCEL: pg_sys::sig_atomic_t = 2;
/// Milliseconds between two looks at the load.
const TICK_MS: c_int = 100;

thread_local! {
    /// The timer's number, once registered.
    static TIMER: Cell<Option<c_int>> = const { Cell::new(None) };
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// How a trial ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ended {
    /// All its rows are there; milliseconds it took.
    Completed(f64),
    /// Its time was over, or the statement's was; milliseconds it had.
    CutOff(f64),
    /// Load returned.
    Stopped,
    /// An error, which the statement itself may or may not meet; milliseconds it took.
    Failed(f64),
}

/// What is tried.
#[derive(Clone, Copy)]
pub(super) struct Attempt {
    pub(super) plan: *mut pg_sys::PlannedStmt,
    pub(super) text: *const c_char,
    pub(super) snapshot: pg_sys::Snapshot,
    pub(super) receiver: *mut pg_sys::DestReceiver,
    pub(super) params: pg_sys::ParamListInfo,
    pub(super) environment: *mut pg_sys::QueryEnvironment,
    pub(super) hints: HintSet,
    pub(super) limit_ms: f64,
    /// It is also given up when a user's statement begins.
    pub(super) stops_on_load: bool,
}

/// Whether a trial may begin here: none is under way, nor is a parallel plan.
///
/// Not on a standby, where a conflict with recovery ends a session that is in a subtransaction, not only its statement;
/// nor in a serializable transaction, whose predicate locks outlive the subtransaction that took them.
pub(crate) fn is_possible() -> bool {
    // SAFETY: reads the state of the transaction and of the server.
    !IS_RUNNING.get()
        && unsafe {
            pg_sys::IsTransactionState()
                && !pg_sys::IsInParallelMode()
                && pg_sys::XactIsoLevel < pg_sys::XACT_SERIALIZABLE as c_int
                && !pg_sys::RecoveryInProgress()
        }
}

/// Whether the time limits of the statement and its transaction leave this much time.
pub(crate) fn has_time_for(time_ms: f64) -> bool {
    // SAFETY: reads timers and the clock.
    unsafe {
        let end = pg_sys::GetCurrentTimestamp() + (time_ms.clamp(0.0, 1e9) * 1000.0) as i64;
        time_limits().all(|limit| raw::get_timeout_finish_time(limit) > end)
    }
}

/// The timers of users' time limits that run.
fn time_limits() -> impl Iterator<Item = c_int> {
    // SAFETY: reads a timer.
    let is_active = |limit: &c_int| unsafe { raw::get_timeout_active(*limit) };
    compat::TIME_LIMITS.iter().copied().filter(is_active)
}

/// Runs a plan with a way back.
///
/// # Safety
/// The plan and what goes with it stay valid; the caller's frame holds nothing to drop; the receiver belongs to memory
/// and a resource owner that outlive a subtransaction.
pub(super) unsafe fn run(attempt: Attempt) -> Ended {
    let begun = Instant::now();
    let execution = Cell::new(core::ptr::null_mut());
    let time_limits_before = time_limits().count();
    let work = || {
        // SAFETY: by the caller's promise; errors jump out to the subtransaction.
        unsafe {
            arm(attempt.limit_ms, attempt.stops_on_load);
            execute(&attempt, &execution, begun);
            disarm();
        }
    };
    let failed = |sqlstate| {
        // SAFETY: the timer is ours.
        unsafe { disarm() };
        // A time limit that is over has no timer any more; it comes first.
        let is_canceled = sqlstate == QUERY_CANCELED && time_limits().count() == time_limits_before;
        let ended_by = ENDED_BY.load(Ordering::Relaxed);
        let is_ours = is_canceled && ended_by != NOTHING;
        let took_ms = milliseconds(begun);
        let ended = match ended_by {
            LOAD if is_ours => Ended::Stopped,
            _ if is_for_the_user(sqlstate) => Ended::CutOff(took_ms),
            _ => Ended::Failed(took_ms),
        };
        let query: *mut pg_sys::QueryDesc = execution.get();
        // SAFETY: the memory of the execution is there until the subtransaction is rolled back.
        if !query.is_null() && unsafe { !(*query).planstate.is_null() } {
            guarded((), || hooks::trial::ended(query, ended));
        }
        (ended, is_ours)
    };
    // SAFETY: by the caller's promise.
    match unsafe { in_subtransaction(work, failed) } {
        Ok(()) => Ended::Completed(milliseconds(begun)),
        Err(ended) => ended,
    }
}

/// Plans with a way back; `None` when planning failed.
///
/// # Safety
/// As of [`run`].
pub(super) unsafe fn plan(
    work: impl FnOnce() -> *mut pg_sys::PlannedStmt,
    failed: impl FnOnce(),
) -> Option<*mut pg_sys::PlannedStmt> {
    let on_error = |_| {
        failed();
        ((), false)
    };
    // SAFETY: by the caller's promise.
    unsafe { in_subtransaction(work, on_error) }.ok()
}

/// Runs `work` in a read-only subtransaction. When it raises an error, `failed` is asked with its SQLSTATE what to answer,
/// and whether the error is our own; then everything is rolled back, and what is for the user is raised again.
///
/// # Safety
/// As of [`run`].
unsafe fn in_subtransaction<R: Copy, E: Copy>(
    work: impl FnOnce() -> R,
    failed: impl FnOnce(c_int) -> (E, bool),
) -> Result<R, E> {
    // SAFETY: by the caller's promise; as PL/pgSQL does (exec_stmt_block in pl_exec.c).
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        raw::BeginInternalSubTransaction(core::ptr::null());
        IS_RUNNING.set(true);
        pg_sys::MemoryContextSwitchTo(context);
        // Ends with the subtransaction.
        pg_sys::XactReadOnly = true;
        let completed = caught(|| {
            let result = work();
            raw::ReleaseCurrentSubTransaction();
            result
        });
        if let Some(result) = completed {
            restore(context, owner);
            return Ok(result);
        }
        let sqlstate = raw::geterrcode();
        let (answer, is_ours) = failed(sqlstate);
        pg_sys::MemoryContextSwitchTo(context);
        let error = match !is_ours && is_for_the_user(sqlstate) {
            true => raw::CopyErrorData(),
            false => core::ptr::null_mut(),
        };
        raw::FlushErrorState();
        raw::RollbackAndReleaseCurrentSubTransaction();
        restore(context, owner);
        if !error.is_null() {
            raw::ReThrowError(error);
        }
        Err(answer)
    }
}

unsafe fn restore(context: pg_sys::MemoryContext, owner: pg_sys::ResourceOwner) {
    // SAFETY: what was current before the subtransaction.
    unsafe {
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
    }
    IS_RUNNING.set(false);
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}

/// SQLSTATE 57014.
const QUERY_CANCELED: i32 = super::plan_state::QUERY_CANCELED;

/// Whether an error is no business of the plan: a cancel, or the end of the session or server (class 57).
pub(super) fn is_for_the_user(sqlstate: i32) -> bool {
    sqlstate & 0xfff == super::ereport::sqlstate(b"57000") & 0xfff
}

unsafe fn execute(attempt: &Attempt, execution: &Cell<*mut pg_sys::QueryDesc>, begun: Instant) {
    // SAFETY: by the caller's promise; errors jump out.
    unsafe {
        let level = hint_set::open_for_execution(attempt.hints);
        raw::PushActiveSnapshot(attempt.snapshot);
        let query = raw::CreateQueryDesc(
            attempt.plan,
            attempt.text,
            attempt.snapshot,
            core::ptr::null_mut(),
            attempt.receiver,
            attempt.params,
            attempt.environment,
            0,
        );
        execution.set(query);
        guarded((), || hooks::trial::before_start(query));
        compat::standard_ExecutorStart(query, 0);
        guarded((), || hooks::trial::started(query));
        compat::run_to_end(query);
        raw::standard_ExecutorFinish(query);
        guarded((), || {
            hooks::trial::ended(query, Ended::Completed(milliseconds(begun)))
        });
        execution.set(core::ptr::null_mut());
        raw::standard_ExecutorEnd(query);
        raw::FreeQueryDesc(query);
        raw::PopActiveSnapshot();
        hint_set::close(level);
    }
}

/// Starts the timer, which ticks until the time is over.
unsafe fn arm(limit_ms: f64, stops_on_load: bool) {
    ENDED_BY.store(NOTHING, Ordering::Relaxed);
    let load = if stops_on_load {
        counters::user_statements()
    } else {
        NO_MATTER
    };
    LOAD_BEFORE.store(load, Ordering::Relaxed);
    // SAFETY: a timer of our own, registered once per process, in the range that extensions may use.
    unsafe {
        let now = pg_sys::GetCurrentTimestamp();
        let end = now + (limit_ms.clamp(1.0, 1e9) * 1000.0) as i64;
        DEADLINE.store(end, Ordering::Relaxed);
        let timer = TIMER
            .get()
            .unwrap_or_else(|| raw::RegisterTimeout(compat::USER_TIMEOUT, Some(tick)));
        TIMER.set(Some(timer));
        match stops_on_load {
            true => compat::enable_timeout_every(timer, TICK_MS, end),
            false => raw::enable_timeout_at(timer, end),
        }
    }
}

unsafe fn disarm() {
    if let Some(timer) = TIMER.get() {
        // SAFETY: registered above. What the timer asked for too late must not end what comes next; what a user asked for
        // must.
        unsafe {
            raw::disable_timeout(timer, false);
            let flag = &raw mut pg_sys::QueryCancelPending;
            if flag.read_volatile() == OUR_CANCEL {
                flag.write_volatile(0);
            }
        };
    }
}

/// The timer's handler, which runs as a signal handler: it only reads and sets flags.
unsafe extern "C-unwind" fn tick() {
    let load = LOAD_BEFORE.load(Ordering::Relaxed);
    // SAFETY: reads the clock.
    let is_over = unsafe { pg_sys::GetCurrentTimestamp() } >= DEADLINE.load(Ordering::Relaxed);
    if !is_over && (load == NO_MATTER || load == counters::user_statements()) {
        return;
    }
    // SAFETY: what PostgreSQL's own handler of a statement's time limit does. A cancel by the user comes first.
    unsafe {
        if (&raw const pg_sys::QueryCancelPending).read_volatile() != 0 {
            return;
        }
        ENDED_BY.store(if is_over { TIME } else { LOAD }, Ordering::Relaxed);
        (&raw mut pg_sys::QueryCancelPending).write_volatile(OUR_CANCEL);
        (&raw mut pg_sys::InterruptPending).write_volatile(1);
        pg_sys::SetLatch(pg_sys::MyLatch);
    }
}

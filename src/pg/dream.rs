//! A stored statement planned and run again, as who ran it, when nobody waits: SELECTs only, read only, nothing volatile.

use super::hook_point::guarded;
use super::trial::{self, Attempt, Ended};
use super::{plan_tree, query_text, raw, statement};
use crate::hooks;
use core::ffi::{c_char, c_int};
use engine::decision::{Decision, HintSet};
use pgrx::pg_sys;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use std::ffi::CString;

/// A statement as it was stored.
pub(crate) struct Stored {
    pub(crate) class: u64,
    pub(crate) user: u32,
    pub(crate) search_path: CString,
    pub(crate) text: CString,
}

/// A statement that was planned again.
#[derive(Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) plan: *mut pg_sys::PlannedStmt,
    /// What the planner hook left on it.
    pub(crate) token: u32,
    text: *const c_char,
}

/// Plans a stored statement with a decision; `None` when it can't be planned any more, or may not run unasked.
pub(crate) fn plan(stored: &Stored, decision: Decision) -> Option<Planned> {
    let (text, path) = (stored.text.as_ptr(), stored.search_path.as_ptr());
    let (user, class) = (stored.user, stored.class);
    hooks::planner::force(Some(decision));
    let work = || {
        // SAFETY: the texts outlive the call; errors jump out to the subtransaction, which gives the rights back.
        unsafe { as_user(user, path, || analyze_and_plan(text, class)) }
    };
    // SAFETY: only plain values are alive in the frames that an error jumps over; what is for the user unwinds from here.
    let planned = unsafe { pg_guard_ffi_boundary(|| trial::plan(work, hooks::planner::abandon_all)) };
    hooks::planner::force(None);
    let plan = planned.filter(|plan| !plan.is_null())?;
    Some(Planned {
        plan,
        token: plan_tree::token(plan)?,
        text,
    })
}

/// Runs a planned statement for at most `limit_ms`; its rows go nowhere. With `stops_on_load` it is also given up when a
/// user's statement begins.
pub(crate) fn run(
    stored: &Stored,
    planned: Planned,
    hints: HintSet,
    limit_ms: f64,
    stops_on_load: bool,
) -> Ended {
    let (path, user) = (stored.search_path.as_ptr(), stored.user);
    // SAFETY: the plan lives in the current memory context; a snapshot is taken for it, and errors stay in the trial.
    unsafe {
        let snapshot = pg_sys::GetTransactionSnapshot();
        pg_sys::PushActiveSnapshot(snapshot);
        let attempt = Attempt {
            plan: planned.plan,
            text: planned.text,
            snapshot: raw::GetActiveSnapshot(),
            receiver: raw::CreateDestReceiver(pg_sys::CommandDest::DestNone),
            params: core::ptr::null_mut(),
            environment: core::ptr::null_mut(),
            hints,
            limit_ms,
            stops_on_load,
        };
        // What is for the user unwinds from here: the callers hold what needs dropping.
        let ended = pg_guard_ffi_boundary(|| as_user(user, path, || trial::run(attempt)));
        pg_sys::PopActiveSnapshot();
        ended
    }
}

/// Runs `work` with another user's rights and search path. What it sets for the session is undone: a function of that user
/// must not choose under which settings our own statements run.
///
/// # Safety
/// The path is a C string; the caller's frame holds nothing to drop. Errors jump over it; the rights and the setting are
/// then given back by the (sub)transaction around it.
unsafe fn as_user<R>(user: u32, path: *const c_char, work: impl FnOnce() -> R) -> R {
    let (mut caller, mut context): (pg_sys::Oid, c_int) = (pg_sys::InvalidOid, 0);
    // SAFETY: by the caller's promise.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut caller, &mut context);
        let restricted = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
        pg_sys::SetUserIdAndSecContext(pg_sys::Oid::from(user), context | restricted as c_int);
        let level = raw::NewGUCNestLevel();
        raw::set_config_option(
            c"search_path".as_ptr(),
            path,
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
        let result = work();
        raw::AtEOXact_GUC(false, level);
        pg_sys::SetUserIdAndSecContext(caller, context);
        result
    }
}

/// Null when the statement may not run unasked, or is another one now: planning runs functions.
unsafe fn analyze_and_plan(text: *const c_char, class: u64) -> *mut pg_sys::PlannedStmt {
    // SAFETY: by the caller's promise.
    unsafe {
        raw::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let planned = match query_text::analyze(text) {
            Ok(query) if may_run_unasked(query, class) => {
                let options = pg_sys::CURSOR_OPT_PARALLEL_OK as i32;
                raw::pg_plan_query(query, text, options, core::ptr::null_mut())
            }
            _ => core::ptr::null_mut(),
        };
        raw::PopActiveSnapshot();
        planned
    }
}

fn may_run_unasked(query: *mut pg_sys::Query, class: u64) -> bool {
    guarded(false, || {
        statement::describe(query, core::ptr::null_mut()).class == class
            && statement::only_reads(query)
            && !statement::locks_rows(query)
            && !statement::is_volatile(query)
    })
}

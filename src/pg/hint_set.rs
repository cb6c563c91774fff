//! A hint set in force: PostgreSQL's own settings, on a nest level of their own.
//!
//! Opened around a planning or an execution and closed after it; an error closes it with its (sub)transaction, as it does
//! for a function with SET clauses.

use super::raw;
use crate::settings;
use core::ffi::{CStr, c_char, c_int};
use engine::decision::{HintSet, SessionCosts, WORKERS_SOONER, without_penalties};
use pgrx::pg_sys;
use std::io::Write;

/// Digits of a number with its exponent, and the end of a C string.
const DIGITS: usize = 32;

/// Sets what a hint set asks for while a statement is planned. Returns the level to close; 0 when there is nothing to do.
///
/// # Safety
/// In a transaction. Errors jump out.
pub(super) unsafe fn open_for_planning(hints: HintSet) -> c_int {
    if hints.is_none() {
        return 0;
    }
    // SAFETY: by the caller's promise.
    unsafe {
        let level = raw::NewGUCNestLevel();
        for method in hints.methods() {
            set(method.setting, c"off");
        }
        if hints.is_serial() {
            set(c"max_parallel_workers_per_gather", c"0");
        }
        if hints.asks_for_workers() {
            for least_size in WORKERS_SOONER {
                set(least_size, c"0");
            }
        }
        if hints.is_without_jit() {
            set(c"jit", c"off");
        }
        set_memory(hints);
        set_costs(hints);
        level
    }
}

/// The same while it runs, when only memory matters.
///
/// # Safety
/// In a transaction. Errors jump out.
pub(super) unsafe fn open_for_execution(hints: HintSet) -> c_int {
    if hints.memory_doublings() == 0 {
        return 0;
    }
    // SAFETY: by the caller's promise.
    unsafe {
        let level = raw::NewGUCNestLevel();
        set_memory(hints);
        level
    }
}

/// Compiles a plan made under hints just in time by what it costs. PostgreSQL goes by a cost with penalties for what is switched off and
/// used all the same, of which one alone makes any plan look dear enough (before 18; `standard_planner` in `planner.c`).
///
/// # Safety
/// `planned` is the planner's result.
pub(super) unsafe fn compile_by_cost(planned: *mut pg_sys::PlannedStmt, hints: HintSet) {
    if hints.methods().next().is_none() {
        return;
    }
    // SAFETY: by the caller's promise; a utility statement has no plan.
    unsafe {
        let Some(top) = (*planned).planTree.as_ref() else {
            return;
        };
        let cost = without_penalties(top.total_cost);
        let flags = (*planned).jitFlags as u32;
        let allowed = if cost <= pg_sys::jit_above_cost {
            pg_sys::PGJIT_NONE
        } else {
            let missed = |least: f64, flag: u32| if cost > least { 0 } else { flag };
            !(missed(pg_sys::jit_optimize_above_cost, pg_sys::PGJIT_OPT3)
                | missed(pg_sys::jit_inline_above_cost, pg_sys::PGJIT_INLINE))
        };
        (*planned).jitFlags = (flags & allowed) as i32;
    }
}

/// Gives the session its own settings back.
///
/// # Safety
/// `level` was opened here and is the innermost one.
pub(super) unsafe fn close(level: c_int) {
    if level > 0 {
        // SAFETY: by the caller's promise.
        unsafe { raw::AtEOXact_GUC(true, level) };
    }
}

/// Whether the session's own settings leave statements parallel workers.
pub(crate) fn may_have_workers() -> bool {
    // SAFETY: PostgreSQL's own settings.
    unsafe { pg_sys::max_parallel_workers_per_gather > 0 && pg_sys::max_parallel_workers > 0 }
}

/// How often `work_mem` can be doubled within the owner's limit.
pub(crate) fn memory_doublings() -> u32 {
    // SAFETY: PostgreSQL's own setting, in kilobytes.
    let own = unsafe { pg_sys::work_mem }.max(1);
    (settings::max_work_mem_kb() / own).max(1).ilog2()
}

/// `work_mem` in kilobytes under a hint set.
pub(crate) fn memory_kb(hints: HintSet) -> i64 {
    let doublings = hints.memory_doublings().min(memory_doublings());
    // SAFETY: PostgreSQL's own setting, in kilobytes.
    i64::from(unsafe { pg_sys::work_mem }) << doublings
}

/// What a hint set sets of the planner's costs in this session, by name: nothing where they are as it wants them.
pub(crate) fn costs(hints: HintSet) -> impl Iterator<Item = (&'static CStr, f64)> {
    // SAFETY: PostgreSQL's own settings.
    let own = unsafe {
        SessionCosts {
            seq_page: pg_sys::seq_page_cost,
            random_page: pg_sys::random_page_cost,
            cpu_tuple: pg_sys::cpu_tuple_cost,
            cpu_index_tuple: pg_sys::cpu_index_tuple_cost,
            cpu_operator: pg_sys::cpu_operator_cost,
        }
    };
    hints.costs().settings(&own)
}

unsafe fn set_costs(hints: HintSet) {
    for (name, cost) in costs(hints) {
        // Without a heap, as below.
        let mut text = [0u8; DIGITS];
        if write!(&mut text[..], "{cost:e}\0").is_ok() {
            // SAFETY: the text ends with a zero.
            unsafe { set_raw(name, text.as_ptr().cast()) };
        }
    }
}

unsafe fn set_memory(hints: HintSet) {
    let doublings = hints.memory_doublings().min(memory_doublings());
    if doublings == 0 {
        return;
    }
    // SAFETY: PostgreSQL's own setting; the text ends with a zero.
    unsafe {
        // Without a heap: an error may jump over this frame.
        let mut text = [0u8; DIGITS];
        if write!(&mut text[..], "{}\0", i64::from(pg_sys::work_mem) << doublings).is_ok() {
            set_raw(c"work_mem", text.as_ptr().cast());
        }
    }
}

unsafe fn set(name: &CStr, value: &CStr) {
    // SAFETY: C strings.
    unsafe { set_raw(name, value.as_ptr()) }
}

unsafe fn set_raw(name: &CStr, value: *const c_char) {
    // SAFETY: C strings; the action is undone with the nest level.
    unsafe {
        raw::set_config_option(
            name.as_ptr(),
            value,
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

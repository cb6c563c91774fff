//! `ExplainOneQuery_hook`: which plan EXPLAIN shows, and what was decided for it.

use crate::observe::knowledge;
use crate::pg::{ereport, plan_tree};
use crate::shmem::statements;
use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::{CString, c_char};

/// The statement that EXPLAIN is asked about, and the token of its plan.
#[derive(Clone, Copy)]
pub(crate) struct Explained {
    query: *const pg_sys::Query,
    token: Option<u32>,
}

const NOTHING: Explained = Explained {
    query: std::ptr::null(),
    token: None,
};

thread_local! {
    static EXPLAINED: Cell<Explained> = const { Cell::new(NOTHING) };
}

/// Before EXPLAIN plans a statement. Returns what was explained around it, by a function that runs EXPLAIN.
pub(crate) fn begin(query: *const pg_sys::Query) -> Explained {
    EXPLAINED.replace(Explained { query, token: None })
}

/// After it, or after an error.
pub(crate) fn end(around: Explained) {
    EXPLAINED.set(around);
}

/// Whether EXPLAIN asks about this statement: nothing is tried beside the plan that it shows.
pub(crate) fn is_about(query: *const pg_sys::Query) -> bool {
    EXPLAINED.get().query == query
}

/// A statement was planned.
pub(crate) fn note(query: *const pg_sys::Query, planned: *const pg_sys::PlannedStmt) {
    if is_about(query) && !planned.is_null() {
        let token = plan_tree::token(planned);
        EXPLAINED.set(Explained { query, token });
    }
}

/// The decision that the plan was made with, in the current memory context; null for stock plans.
pub(crate) fn decision() -> *const c_char {
    let remembered = EXPLAINED.get().token.and_then(knowledge::find);
    let Some(remembered) = remembered.filter(|remembered| !remembered.decision.is_stock()) else {
        return std::ptr::null();
    };
    let state = match remembered.is_chosen_by_region() {
        true => "applied to other constants, too",
        false => {
            let evidence = statements::evidence(remembered.statement.class).unwrap_or_default();
            match evidence.calls {
                0 => "at first sight",
                _ => evidence.choose().state.name(),
            }
        }
    };
    let text = format!("{} ({state})", remembered.describe());
    CString::new(text).map_or(std::ptr::null(), ereport::copy_to_postgres)
}

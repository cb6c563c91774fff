//! Executions under way that are learned from, by the address of their `QueryDesc`. An entry leaves with the end of the
//! execution, or with the memory of the execution when an error ended it.

use super::knowledge::Remembered;
use crate::pg::plan_state;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// An execution under way.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) remembered: Rc<Remembered>,
    /// Time in the executor so far.
    pub(crate) elapsed_ms: f64,
    /// The last run reached the end of the result.
    pub(crate) is_finished: bool,
    /// The result was read backwards or in part: its counts say nothing.
    pub(crate) is_rewound: bool,
    /// Somebody else measures each node's time (EXPLAIN ANALYZE), which makes the execution slower.
    pub(crate) is_timed: bool,
    /// Blocks this process had written to temporary files before.
    spilled_blocks: u64,
}

impl Watch {
    /// Of an execution that did not run yet.
    pub(crate) fn new(remembered: Rc<Remembered>) -> Self {
        Self {
            remembered,
            elapsed_ms: 0.0,
            is_finished: false,
            is_rewound: false,
            is_timed: false,
            spilled_blocks: plan_state::spilled_blocks(),
        }
    }

    /// Blocks written to temporary files since it began.
    pub(crate) fn spilled(&self) -> u64 {
        plan_state::spilled_blocks().saturating_sub(self.spilled_blocks)
    }
}

thread_local! {
    static WATCHES: RefCell<HashMap<usize, Watch>> = RefCell::default();
}

/// Starts watching an execution whose state was just made.
pub(crate) fn begin(query: *mut pg_sys::QueryDesc, remembered: Rc<Remembered>, is_timed: bool) {
    let watch = Watch {
        is_timed,
        ..Watch::new(remembered)
    };
    WATCHES.with_borrow_mut(|watches| watches.insert(query as usize, watch));
    plan_state::on_execution_memory_freed(query, forget);
}

/// Whether an execution is watched.
pub(crate) fn is_watched(query: *mut pg_sys::QueryDesc) -> bool {
    WATCHES.with_borrow(|watches| !watches.is_empty() && watches.contains_key(&(query as usize)))
}

/// Changes the watch of an execution, if there is one.
pub(crate) fn with<R>(query: *mut pg_sys::QueryDesc, change: impl FnOnce(&mut Watch) -> R) -> Option<R> {
    WATCHES.with_borrow_mut(|watches| watches.get_mut(&(query as usize)).map(change))
}

/// Ends the watch of an execution.
pub(crate) fn end(query: *mut pg_sys::QueryDesc) -> Option<Watch> {
    if !is_watched(query) {
        return None;
    }
    WATCHES.with_borrow_mut(|watches| watches.remove(&(query as usize)))
}

/// The memory of an execution was freed without its end: an error.
fn forget(query: usize) {
    WATCHES.with_borrow_mut(|watches| watches.remove(&query));
}

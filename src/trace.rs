//! The steps of one statement with the time each took: `dag_trace_query` asks for them, nobody else pays more than a look.

use std::cell::{Cell, RefCell};
use std::time::Duration;

/// A step that was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// What was done, as in `dag_latency_breakdown`.
    pub(crate) operation: &'static str,
    pub(crate) took: Duration,
}

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
    static STEPS: RefCell<Vec<Step>> = const { RefCell::new(Vec::new()) };
}

/// From now on steps are kept.
pub(crate) fn begin() {
    STEPS.take();
    IS_ON.set(true);
}

/// A step ended.
pub(crate) fn note(operation: &'static str, took: Duration) {
    if IS_ON.get() {
        STEPS.with_borrow_mut(|steps| steps.push(Step { operation, took }));
    }
}

/// No step is kept any more.
pub(crate) fn end() {
    IS_ON.set(false);
}

/// The steps that were kept.
pub(crate) fn take() -> Vec<Step> {
    STEPS.take()
}

//! Cancellation of work that takes long: asked for between its steps, raised where nothing is half done.

use pgrx::pg_sys;

/// Whether the statement or the process is to end. What else other processes ask for meanwhile is answered.
pub(crate) fn is_asked_to_stop() -> bool {
    let is_set = |flag: *const pg_sys::sig_atomic_t| {
        // SAFETY: a flag that signal handlers set, read on the main thread.
        unsafe { flag.read_volatile() != 0 }
    };
    let is_to_stop =
        || is_set(&raw const pg_sys::QueryCancelPending) || is_set(&raw const pg_sys::ProcDiePending);
    if !is_set(&raw const pg_sys::InterruptPending) {
        return false;
    }
    if !is_to_stop() {
        raise();
    }
    is_to_stop()
}

/// What the engine's work gave; when it stopped since [`is_asked_to_stop`] said so, that error is raised. To be called as
/// [`raise`] is.
pub(crate) fn finished<R>(result: Result<R, engine::Error>) -> Result<R, engine::Error> {
    if matches!(result, Err(engine::Error::Cancelled)) {
        raise();
    }
    result
}

/// Raises the error of a statement or a process that is to end.
pub(crate) fn raise() {
    // SAFETY: called in a transaction, with no lock of ours held; pgrx turns the error into an unwinding.
    unsafe { pg_sys::ProcessInterrupts() };
}

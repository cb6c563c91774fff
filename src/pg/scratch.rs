//! Memory for work that is done many times within one statement: freed after each time.

use pgrx::pg_sys;

/// Runs `work` in a memory context of its own. When it raises an error the context goes with the one around it.
pub(crate) fn within<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: a new context below the current one, deleted once, when nothing of it is used any more: what `work` returns
    // lies outside of PostgreSQL's memory.
    unsafe {
        let before = pg_sys::CurrentMemoryContext;
        let context = pg_sys::AllocSetContextCreateInternal(
            before,
            c"ruvector_dag attempt".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        pg_sys::MemoryContextSwitchTo(context);
        let result = work();
        pg_sys::MemoryContextSwitchTo(before);
        pg_sys::MemoryContextDelete(context);
        result
    }
}

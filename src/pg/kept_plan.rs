//! A copy of a plan that outlives the statement it was planned in.

use pgrx::pg_sys;

/// A plan in memory of its own, freed with it.
pub(crate) struct KeptPlan {
    context: pg_sys::MemoryContext,
    plan: *mut pg_sys::PlannedStmt,
}

impl KeptPlan {
    /// Copies a plan.
    pub(crate) fn of(plan: *mut pg_sys::PlannedStmt) -> Self {
        // SAFETY: a finished plan; the new context hangs below the backend's own and is deleted on drop.
        unsafe {
            let context = pg_sys::AllocSetContextCreateInternal(
                pg_sys::TopMemoryContext,
                c"ruvector_dag trial".as_ptr(),
                pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            let before = pg_sys::MemoryContextSwitchTo(context);
            let plan = pg_sys::copyObjectImpl(plan.cast()).cast();
            pg_sys::MemoryContextSwitchTo(before);
            Self { context, plan }
        }
    }

    /// The plan, valid as long as this lives.
    pub(crate) fn get(&self) -> *mut pg_sys::PlannedStmt {
        self.plan
    }
}

impl Drop for KeptPlan {
    fn drop(&mut self) {
        // SAFETY: made in `of`, deleted once; nobody reads the plan any more.
        unsafe { pg_sys::MemoryContextDelete(self.context) };
    }
}

//! Subtransactions around our own SQL: what is changed in one can be taken back, whether an error ended it or not.

use super::trial::is_for_the_user;
use core::ffi::c_int;
use pgrx::PgTryBuilder;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::CaughtError;
use std::panic::AssertUnwindSafe;

/// A subtransaction that was begun. Those that were begun in it end before it does, or with it when it is rolled back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subtransaction {
    context: pg_sys::MemoryContext,
    owner: pg_sys::ResourceOwner,
    /// How deep the transaction was nested before.
    level: c_int,
}

impl Subtransaction {
    /// Begins one.
    pub(crate) fn begin() -> Self {
        // SAFETY: inside a transaction; as PL/pgSQL does (exec_stmt_block in pl_exec.c).
        unsafe {
            let before = Self {
                context: pg_sys::CurrentMemoryContext,
                owner: pg_sys::CurrentResourceOwner,
                level: pg_sys::GetCurrentTransactionNestLevel(),
            };
            pg_sys::BeginInternalSubTransaction(core::ptr::null());
            pg_sys::MemoryContextSwitchTo(before.context);
            before
        }
    }

    /// Ends it and keeps what was changed.
    pub(crate) fn commit(self) {
        // SAFETY: it was begun, and those begun after it are ended.
        unsafe { pg_sys::ReleaseCurrentSubTransaction() };
        self.restore();
    }

    /// Ends it, and those in it that an error left open, and takes back what was changed.
    pub(crate) fn roll_back(self) {
        // SAFETY: as `commit`; an error's data was flushed by who caught it.
        unsafe {
            while pg_sys::GetCurrentTransactionNestLevel() > self.level {
                pg_sys::RollbackAndReleaseCurrentSubTransaction();
            }
        }
        self.restore();
    }

    fn restore(self) {
        // SAFETY: what was current when it was begun.
        unsafe {
            pg_sys::MemoryContextSwitchTo(self.context);
            pg_sys::CurrentResourceOwner = self.owner;
        }
    }
}

/// Runs `work` in a subtransaction, which has to be rolled back when the message of an error is answered. A cancel and the end
/// of the session go on to who waits for them.
pub(crate) fn attempt<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    PgTryBuilder::new(AssertUnwindSafe(|| Ok(work())))
        .catch_others(|error| Err(message(error)))
        .execute()
}

fn message(error: CaughtError) -> String {
    match error {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report)
            if !is_for_the_user(report.sql_error_code() as i32) =>
        {
            report.message().to_owned()
        }
        error => error.rethrow(),
    }
}

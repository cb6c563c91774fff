//! The settings our own SQL runs under, in a worker and inside a session.
//!
//! Our statements name their tables with the schema, but operators and functions are found by `search_path`, which
//! the owner of a database may set for everybody who connects, so also for a worker with a superuser's rights.

use super::catalog;
use core::ffi::{CStr, c_int};
use pgrx::pg_sys;

/// Set wherever our SQL runs.
const SEARCH_PATH: (&CStr, &CStr) = (c"search_path", c"pg_catalog, pg_temp");

/// Set in a worker, as autovacuum does: what a database or a role sets is meant for its sessions. A worker does
/// not wait longer for a row that an open transaction holds; what it took goes back and is written later.
const WORKER: &[(&CStr, &CStr)] = &[
    SEARCH_PATH,
    (c"default_transaction_read_only", c"off"),
    (c"default_transaction_isolation", c"read committed"),
    (c"statement_timeout", c"0"),
    (c"idle_in_transaction_session_timeout", c"0"),
    (c"lock_timeout", c"5s"),
];

/// Pins the settings of a worker for its whole life.
pub(super) fn pin_in_worker() {
    for (name, value) in WORKER {
        // SAFETY: C strings; called once at the start of a process of our own.
        unsafe {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_OVERRIDE,
            );
        }
    }
}

/// Runs `work` under our own search path, and gives the session its own back. An error resets them with its
/// (sub)transaction.
pub(crate) fn within<R>(work: impl FnOnce() -> R) -> R {
    with(&[SEARCH_PATH], work)
}

/// The same with any settings of the session: names and values.
pub(crate) fn with<R>(settings: &[(&CStr, &CStr)], work: impl FnOnce() -> R) -> R {
    // SAFETY: a new nest level of the transaction under way.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    for (name, value) in settings {
        // SAFETY: C strings; the action is undone with the nest level.
        unsafe {
            pg_sys::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
    }
    let result = work();
    // SAFETY: the level opened above.
    unsafe { pg_sys::AtEOXact_GUC(true, level) };
    result
}

/// The same with the rights of the owner of our tables, for functions that also have to know who calls them: SECURITY
/// DEFINER would hide that. An error gives the caller's rights back with its (sub)transaction.
pub(crate) fn within_as_owner<R>(work: impl FnOnce() -> R) -> R {
    match catalog::tables_owner() {
        Some(owner) => within_as(owner, 0, work),
        None => within(work),
    }
}

/// The same with the rights of who owns a table, whose expressions `work` computes: nothing that its owner wrote gets more
/// rights than that, or changes the session.
pub(crate) fn within_as_owner_of<R>(table_owner: u32, work: impl FnOnce() -> R) -> R {
    within_as(
        pg_sys::Oid::from(table_owner),
        pg_sys::SECURITY_RESTRICTED_OPERATION as c_int,
        work,
    )
}

fn within_as<R>(user: pg_sys::Oid, restrictions: c_int, work: impl FnOnce() -> R) -> R {
    let (mut caller, mut context): (pg_sys::Oid, c_int) = (pg_sys::InvalidOid, 0);
    let local = pg_sys::SECURITY_LOCAL_USERID_CHANGE as c_int;
    // SAFETY: the pointers are to variables that outlive the call; the role exists, it owns a table.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut caller, &mut context);
        pg_sys::SetUserIdAndSecContext(user, context | local | restrictions);
    }
    let result = within(work);
    // SAFETY: what was read above.
    unsafe { pg_sys::SetUserIdAndSecContext(caller, context) };
    result
}

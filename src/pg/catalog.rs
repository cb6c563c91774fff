//! What the catalog and the statistics system know of tables, databases and our own extension.

use super::extension::{self, Presence};
use super::raw;
use crate::settings;
use engine::cardinality::{hash_bytes, hash_words};
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a table's modification count is believed; PostgreSQL flushes its own only about once a second.
const MODIFICATIONS_TTL: Duration = Duration::from_secs(1);

thread_local! {
    static EXTENSION: Cell<Option<Presence>> = const { Cell::new(None) };
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    static MODIFICATIONS: RefCell<HashMap<u32, (Instant, u64)>> = RefCell::new(HashMap::new());
}

/// The connected database.
pub(crate) fn database() -> u32 {
    // SAFETY: a backend global.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}

/// The current user.
pub(crate) fn user() -> u32 {
    // SAFETY: no arguments; fails only outside a session.
    unsafe { pg_sys::GetUserId() }.to_u32()
}

/// Whose learning the current user's statements belong to: the user's own where `ruvector.dag_scope` keeps roles apart, else
/// everybody's, 0.
pub(crate) fn scope() -> u32 {
    if settings::keeps_roles_apart() { user() } else { 0 }
}

/// Who called a function that runs with its owner's rights: the session's user, or who SET ROLE made it.
pub(crate) fn caller() -> u32 {
    // SAFETY: as `user`.
    unsafe { pg_sys::GetOuterUserId() }.to_u32()
}

/// Whom this process works for, as [`caller`]; 0 of a worker.
pub(crate) fn served_user() -> u32 {
    // SAFETY: a backend global.
    let is_worker = unsafe { !pg_sys::MyBgworkerEntry.is_null() };
    if is_worker { 0 } else { caller() }
}

/// Now, as PostgreSQL counts it.
pub(crate) fn now() -> i64 {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

/// Whole seconds of the same clock.
pub(crate) fn seconds() -> i64 {
    now() / 1_000_000
}

/// Whether statements can be learned from at all here: in a normal backend, connected, in a transaction.
pub(crate) fn is_ordinary_backend() -> bool {
    // SAFETY: backend globals and a function without arguments that raises nothing; without a guard, since every statement asks.
    unsafe {
        pg_sys::ParallelWorkerNumber < 0
            && pg_sys::MyDatabaseId != pg_sys::InvalidOid
            && raw::IsTransactionState()
    }
}

/// Whether this process works for another one's statement.
pub(crate) fn is_parallel_worker() -> bool {
    // SAFETY: a backend global.
    unsafe { pg_sys::ParallelWorkerNumber >= 0 }
}

/// `search_path`, as it is set now.
pub(crate) fn search_path() -> &'static [u8] {
    // SAFETY: PostgreSQL's own setting, a C string; callers copy it at once.
    unsafe {
        let path = pg_sys::namespace_search_path;
        if path.is_null() {
            &[]
        } else {
            core::ffi::CStr::from_ptr(path).to_bytes()
        }
    }
}

/// Whether the server is a standby.
pub(crate) fn is_standby() -> bool {
    // SAFETY: no arguments.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// Whether this database has the extension, in this library's version.
pub(crate) fn has_extension() -> bool {
    extension() == Presence::Ready
}

/// What this database has. Looked up once, and again after functions were created, changed or dropped, which is what
/// CREATE, ALTER and DROP EXTENSION do.
pub(crate) fn extension() -> Presence {
    if let Some(known) = EXTENSION.get() {
        return known;
    }
    if !WATCHING.replace(true) {
        // SAFETY: registered once per backend; the callback only clears a flag.
        unsafe {
            pg_sys::CacheRegisterSyscacheCallback(
                pg_sys::SysCacheIdentifier::PROCOID as i32,
                Some(forget_extension),
                pg_sys::Datum::from(0),
            );
        }
    }
    let extension = extension_oid().unwrap_or(pg_sys::InvalidOid);
    let presence = extension::presence(extension);
    EXTENSION.set(Some(presence));
    if presence == Presence::Ready {
        crate::worker::announce(database(), extension.to_u32());
    }
    presence
}

/// The extension of this database.
pub(super) fn extension_oid() -> Option<pg_sys::Oid> {
    // SAFETY: a C string; a catalog lookup inside the current transaction.
    let extension = unsafe { pg_sys::get_extension_oid(c"ruvector_dag".as_ptr(), true) };
    (extension != pg_sys::InvalidOid).then_some(extension)
}

/// Holds the extension in place until the end of the transaction; false when it is not there.
pub(crate) fn lock_extension() -> bool {
    extension_oid().is_some_and(hold_extension)
}

/// The same of an extension that was there a moment ago. DROP EXTENSION locks it before it locks its tables.
pub(super) fn hold_extension(extension: pg_sys::Oid) -> bool {
    // A standby takes no lock stronger than its readers'; this one is allowed there.
    let mode = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: a lock inside the current transaction.
    unsafe { pg_sys::LockDatabaseObject(pg_sys::ExtensionRelationId, extension, 0, mode) };
    extension_oid() == Some(extension) && has_extension()
}

/// Whether the transaction must not write.
pub(crate) fn is_read_only() -> bool {
    // SAFETY: a backend global.
    unsafe { pg_sys::XactReadOnly }
}

/// Whether the transaction changed something already.
pub(crate) fn has_written() -> bool {
    // SAFETY: no arguments.
    unsafe { pg_sys::GetCurrentTransactionIdIfAny() != pg_sys::InvalidTransactionId }
}

/// Makes the transaction one that writes: what it reads from here on it reads with new snapshots.
pub(crate) fn begin_to_write() {
    // SAFETY: no arguments; on a standby an error.
    unsafe { pg_sys::GetCurrentTransactionId() };
}

/// The databases that can be connected to, but templates. Needs a transaction, in any database or in none.
pub(crate) fn databases() -> Vec<u32> {
    let mut found = Vec::new();
    // SAFETY: a scan of a shared catalog under the transaction's snapshot, closed before returning; each tuple is read
    // before the next one is fetched.
    unsafe {
        let catalog = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let null = core::ptr::null_mut();
        let scan =
            pg_sys::systable_beginscan(catalog, pg_sys::InvalidOid, false, null, 0, core::ptr::null_mut());
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let database = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            if (*database).datallowconn && !(*database).datistemplate {
                found.push((*database).oid.to_u32());
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalog, pg_sys::AccessShareLock as i32);
    }
    found
}

unsafe extern "C-unwind" fn forget_extension(_argument: pg_sys::Datum, _cache: i32, _hash: u32) {
    EXTENSION.set(None);
}

/// A table's storage, which changes when it is rewritten or truncated; `None` for what is left alone: system catalogs
/// and temporary tables.
pub(super) fn storage(relid: pg_sys::Oid) -> Option<u32> {
    if relid.to_u32() < pg_sys::FirstNormalObjectId {
        return None;
    }
    // SAFETY: a syscache lookup, released before returning; the tuple is read in between.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::RELOID as i32,
            pg_sys::Datum::from(relid),
        );
        if tuple.is_null() {
            return None;
        }
        let form = pgrx::pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>();
        let permanent = (*form).relpersistence as u8 != pg_sys::RELPERSISTENCE_TEMP;
        let storage = (*form).relfilenode.to_u32();
        pg_sys::ReleaseSysCache(tuple);
        permanent.then_some(storage)
    }
}

/// The role that owns the extension's tables; `None` without them.
pub(super) fn tables_owner() -> Option<pg_sys::Oid> {
    // SAFETY: C strings; catalog lookups inside the current transaction, the tuple is read before it is released.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"ruvector".as_ptr(), true);
        let table = pg_sys::get_relname_relid(c"dag_state".as_ptr(), schema);
        let cache = pg_sys::SysCacheIdentifier::RELOID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(table));
        if tuple.is_null() {
            return None;
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(tuple);
        Some(owner)
    }
}

/// The rows of a table by the latest VACUUM or ANALYZE; 0 of what has none.
pub(crate) fn table_rows(relid: u32) -> f64 {
    // SAFETY: a syscache lookup; the tuple is read before it is released.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::RELOID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(pg_sys::Oid::from(relid)));
        if tuple.is_null() {
            return 0.0;
        }
        let rows = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).reltuples;
        pg_sys::ReleaseSysCache(tuple);
        f64::from(rows).max(0.0)
    }
}

/// Rows inserted, updated and deleted in a table since its statistics began.
pub(crate) fn modifications(relid: u32) -> u64 {
    let now = Instant::now();
    let known = MODIFICATIONS.with_borrow(|known| known.get(&relid).copied());
    if let Some((read_at, count)) = known
        && now.duration_since(read_at) < MODIFICATIONS_TTL
    {
        return count;
    }
    // SAFETY: the entry, if any, is a copy that lives until the end of the transaction.
    let count = unsafe {
        let entry = pg_sys::pgstat_fetch_stat_tabentry(pg_sys::Oid::from(relid));
        entry.as_ref().map_or(0, |entry| {
            (entry.tuples_inserted + entry.tuples_updated + entry.tuples_deleted) as u64
        })
    };
    MODIFICATIONS.with_borrow_mut(|known| {
        if known.len() > 4096 {
            known.clear();
        }
        known.insert(relid, (now, count));
    });
    count
}

/// The same as it was last asked for, without asking again.
pub(crate) fn noted_modifications(relid: u32) -> Option<u64> {
    MODIFICATIONS.with_borrow(|known| known.get(&relid).map(|&(_, count)| count))
}

/// A table's name without its schema; `None` when it is gone.
pub(super) fn relation_name(relid: pg_sys::Oid) -> Option<String> {
    // SAFETY: the name is a palloc'ed C string or null.
    unsafe {
        let name = pg_sys::get_rel_name(relid);
        (!name.is_null()).then(|| core::ffi::CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}

/// The access method of an index, unless it is one of PostgreSQL's own.
pub(super) fn added_access_method(index: pg_sys::Oid) -> Option<String> {
    // SAFETY: a syscache lookup, released after the tuple is read; the name is a palloc'ed C string or null.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::RELOID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(index));
        if tuple.is_null() {
            return None;
        }
        let method = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relam;
        pg_sys::ReleaseSysCache(tuple);
        if method.to_u32() < pg_sys::FirstNormalObjectId {
            return None;
        }
        let name = pg_sys::get_am_name(method);
        (!name.is_null()).then(|| core::ffi::CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}

/// A table's name with its schema, hashed: the same after a dump and restore. `None` when it is gone.
pub(super) fn relation_hash(relid: pg_sys::Oid) -> Option<u64> {
    // SAFETY: syscache lookups; a schema's name is a palloc'ed C string or null.
    let schema = unsafe {
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relid));
        (!schema.is_null()).then(|| hash_bytes(core::ffi::CStr::from_ptr(schema).to_bytes()))?
    };
    let table = relation_name(relid)?;
    Some(hash_words([schema, hash_bytes(table.as_bytes())]))
}

/// Whether the current user may see other users' statements, as in pg_stat_statements.
pub(crate) fn reads_all_stats() -> bool {
    // SAFETY: a role that exists since PostgreSQL 10.
    unsafe {
        pg_sys::superuser()
            || pg_sys::has_privs_of_role(
                pg_sys::GetUserId(),
                pg_sys::Oid::from(pg_sys::ROLE_PG_READ_ALL_STATS),
            )
    }
}

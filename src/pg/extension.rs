//! Of which version our own extension's objects are in the connected database.
//!
//! After a new library is installed, a database keeps the objects of the old version until ALTER EXTENSION. Their tables may
//! lack what this library writes, so there nothing is learned and every statement is left to stock PostgreSQL.

use core::ffi::CStr;
use pgrx::pg_sys;

/// What a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// No extension.
    Absent,
    /// Objects of another version than the library's.
    OfOtherVersion,
    /// What the library expects.
    Ready,
}

/// Whether pg_upgrade started this server.
pub(crate) fn is_in_pg_upgrade() -> bool {
    // SAFETY: a flag of the process, set before libraries are loaded.
    unsafe { pg_sys::IsBinaryUpgrade }
}

/// What an extension of ours is, by its OID.
pub(super) fn presence(extension: pg_sys::Oid) -> Presence {
    if extension == pg_sys::InvalidOid {
        Presence::Absent
    } else if version(extension).as_deref() == Some(env!("CARGO_PKG_VERSION")) {
        Presence::Ready
    } else {
        Presence::OfOtherVersion
    }
}

/// The version of an extension's objects.
fn version(extension: pg_sys::Oid) -> Option<String> {
    // SAFETY: a scan by the catalog's key under the transaction's snapshot, closed before returning; the text is copied out
    // of the tuple before that.
    unsafe {
        let catalog = pg_sys::table_open(pg_sys::ExtensionRelationId, pg_sys::AccessShareLock as i32);
        let mut key = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyInit(
            &mut key,
            pg_sys::Anum_pg_extension_oid as pg_sys::AttrNumber,
            pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber,
            pg_sys::Oid::from(pg_sys::F_OIDEQ),
            pg_sys::Datum::from(extension),
        );
        let index = pg_sys::Oid::from(pg_sys::ExtensionOidIndexId);
        let snapshot = core::ptr::null_mut();
        let scan = pg_sys::systable_beginscan(catalog, index, true, snapshot, 1, &mut key);
        let tuple = pg_sys::systable_getnext(scan);
        let mut found = None;
        if !tuple.is_null() {
            let column = pg_sys::Anum_pg_extension_extversion as i32;
            let mut is_null = false;
            let text = pg_sys::heap_getattr(tuple, column, (*catalog).rd_att, &mut is_null);
            found = (!is_null).then(|| {
                let text = pg_sys::text_to_cstring(text.cast_mut_ptr());
                CStr::from_ptr(text).to_string_lossy().into_owned()
            });
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalog, pg_sys::AccessShareLock as i32);
        found
    }
}

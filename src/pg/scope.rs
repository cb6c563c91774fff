//! The table `dag_tables` read in place, without a statement, and the tables that a statement names.

use super::compat::{expression_tree_walker, query_tree_walker};
use super::{list, raw};
use core::ffi::c_void;
use pgrx::pg_sys;
use std::cell::Cell;

/// The OIDs of the types of its first two columns.
const COLUMNS: [pg_sys::Oid; 2] = [pg_sys::REGCLASSOID, pg_sys::BOOLOID];

/// Its first two columns.
#[repr(C)]
struct Row {
    relation: pg_sys::Oid,
    is_enabled: bool,
}

/// What is said of tables, and the table in which it stands.
pub(crate) struct Said {
    pub(crate) table: u32,
    /// Tables that exist, and whether they are enabled.
    pub(crate) tables: Vec<(u32, bool)>,
}

/// Reads `dag_tables`; `None` when there is no such table, or somebody is changing its definition.
pub(crate) fn read() -> Option<Said> {
    let table = find()?;
    // SAFETY: the lock is taken before the table is opened, and released with it.
    unsafe {
        let lock = pg_sys::AccessShareLock as i32;
        if !pg_sys::ConditionalLockRelationOid(table, lock) {
            return None;
        }
        let relation = pg_sys::try_relation_open(table, pg_sys::NoLock as i32);
        if relation.is_null() {
            pg_sys::UnlockRelationOid(table, lock);
            return None;
        }
        let tables = scan(relation);
        pg_sys::relation_close(relation, lock);
        Some(Said {
            table: table.to_u32(),
            tables,
        })
    }
}

/// Our table, if it looks like ours: an older extension has none.
fn find() -> Option<pg_sys::Oid> {
    // SAFETY: C strings; catalog lookups inside the current transaction.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"ruvector".as_ptr(), true);
        let table = pg_sys::get_relname_relid(c"dag_tables".as_ptr(), schema);
        let is_table = table != pg_sys::InvalidOid
            && pg_sys::get_rel_relkind(table) as u8 == pg_sys::RELKIND_RELATION
            && [1, 2].map(|number| pg_sys::get_atttype(table, number)) == COLUMNS;
        is_table.then_some(table)
    }
}

/// # Safety
/// `relation` is our table, open.
unsafe fn scan(relation: pg_sys::Relation) -> Vec<(u32, bool)> {
    let mut found = Vec::new();
    // SAFETY: by the caller's promise; each tuple is read before the next one is fetched, and has two columns of fixed size
    // first, which are not null.
    unsafe {
        let null = core::ptr::null_mut();
        let scan = pg_sys::systable_beginscan(
            relation,
            pg_sys::InvalidOid,
            false,
            null,
            0,
            core::ptr::null_mut(),
        );
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let is_null = |number| pg_sys::heap_attisnull(tuple, number, (*relation).rd_att);
            if is_null(1) || is_null(2) {
                continue;
            }
            let row = pg_sys::GETSTRUCT(tuple).cast::<Row>();
            if pg_sys::get_rel_relkind((*row).relation) != 0 {
                found.push(((*row).relation.to_u32(), (*row).is_enabled));
            }
        }
        pg_sys::systable_endscan(scan);
    }
    found
}

/// The tables that a table is a partition of, the nearest first.
pub(crate) fn ancestors(table: u32) -> Vec<u32> {
    // SAFETY: catalog lookups; the list holds OIDs.
    unsafe {
        if !pg_sys::get_rel_relispartition(pg_sys::Oid::from(table)) {
            return Vec::new();
        }
        let all = raw::get_partition_ancestors(pg_sys::Oid::from(table));
        list::oids(all).map(|oid| oid.to_u32()).collect()
    }
}

/// The tables and views that a statement names, in any place.
pub(crate) fn tables_of(parse: *mut pg_sys::Query) -> Vec<u32> {
    let mut found = Vec::new();
    // SAFETY: a valid query, walked with its own walker; the callback only reads it.
    unsafe {
        gather(parse.cast(), (&raw mut found).cast());
    }
    found
}

unsafe extern "C-unwind" fn gather(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the walkers pass valid nodes and the context given to them.
    unsafe {
        match list::tag(node) {
            pg_sys::NodeTag::T_Query => {
                let flags = pg_sys::QTW_EXAMINE_RTES_BEFORE as i32;
                query_tree_walker(node.cast(), gather, context, flags)
            }
            pg_sys::NodeTag::T_RangeTblEntry => {
                let entry = node.cast::<pg_sys::RangeTblEntry>();
                if (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION {
                    (*context.cast::<Vec<u32>>()).push((*entry).relid.to_u32());
                }
                false
            }
            _ => expression_tree_walker(node, gather, context),
        }
    }
}

/// What a table is that learning is asked for.
pub(crate) enum Kind {
    Table,
    /// Something else, of this name.
    Other(String),
    Gone,
}

/// What a relation is: a table of any kind that lasts, or something that is not learned from.
pub(crate) fn kind(relation: u32) -> Kind {
    let oid = pg_sys::Oid::from(relation);
    let Some(name) = super::catalog::relation_name(oid) else {
        return Kind::Gone;
    };
    // SAFETY: catalog lookups.
    let (kind, persistence) = unsafe {
        (
            pg_sys::get_rel_relkind(oid) as u8,
            pg_sys::get_rel_persistence(oid) as u8,
        )
    };
    let kinds = [
        pg_sys::RELKIND_RELATION,
        pg_sys::RELKIND_PARTITIONED_TABLE,
        pg_sys::RELKIND_MATVIEW,
        pg_sys::RELKIND_FOREIGN_TABLE,
    ];
    let lasts = persistence != pg_sys::RELPERSISTENCE_TEMP && relation >= pg_sys::FirstNormalObjectId;
    match kinds.contains(&kind) && lasts {
        true => Kind::Table,
        false => Kind::Other(name),
    }
}

/// Tells all sessions that `dag_tables` changed, when the transaction commits.
pub(crate) fn announce_change() {
    if let Some(table) = find() {
        // SAFETY: the table exists.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(table) };
    }
}

thread_local! {
    static LISTENER: Cell<Option<fn(u32)>> = const { Cell::new(None) };
}

/// From now on `changed` is told of each table whose definition changed, or 0 for any. It must not call PostgreSQL.
pub(crate) fn listen(changed: fn(u32)) {
    if LISTENER.replace(Some(changed)).is_none() {
        // SAFETY: registered once per backend.
        unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::from(0)) };
    }
}

unsafe extern "C-unwind" fn relation_changed(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    if let Some(changed) = LISTENER.get() {
        changed(relation.to_u32());
    }
}

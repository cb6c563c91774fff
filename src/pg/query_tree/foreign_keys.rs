//! `… FROM orders AS o JOIN customers AS c ON c.id = o.customer`, a foreign key, with nothing else of `c`: `… FROM orders AS o`.
//!
//! A foreign key says that each row of `o` whose key is not null has its one row of `c` (Cheng et al., "Implementation of two
//! semantic query optimization techniques in DB2 Universal Database", VLDB 1999). PostgreSQL enforces that by triggers, so
//! it is a matter of trust: they can be switched off (`ruvector.dag_rewrite_trust_foreign_keys`), and inside of a statement
//! that changes rows they have not fired yet.

use super::super::{list, statement};
use super::inner_joins::{InnerJoins, compared_columns, without_joins};
use super::make;
use super::statistics::{self, Equality};
use crate::settings;
use core::ffi::{CStr, c_int};
use pgrx::pg_sys;
use pgrx::pg_sys::{Oid, RTEKind};

/// `ConstraintRelationId`, which has no binding: `pg_constraint`.
const CONSTRAINT_RELATION: u32 = 2606;

/// Triggers of a constraint on each of its two tables.
const TRIGGERS: usize = 2;

/// Whether a statement may join what a foreign key refers to: cheap, and false for all unless keys are trusted.
pub(crate) fn may_have_foreign_key_join(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: the planner is given a valid statement.
    unsafe {
        let is_table = |entry: &*mut pg_sys::RangeTblEntry| (**entry).rtekind == RTEKind::RTE_RELATION;
        settings::trusts_foreign_keys()
            && statement::only_reads(parse)
            && list::pointers((*parse).rtable).filter(is_table).count() > 1
    }
}

/// The statement without joins that only check what a foreign key says; `None` where there are none.
pub(crate) fn drop_foreign_key_joins(parse: *mut pg_sys::Query) -> Option<*mut pg_sys::Query> {
    if !(may_have_foreign_key_join(parse) && are_keys_enforced()) {
        return None;
    }
    // SAFETY: the planner's statement, valid and not planned yet; what is found is of the joins.
    unsafe {
        without_joins(parse, |joins| {
            find(joins).and_then(|check| drop_join(joins, &check))
        })
    }
}

/// Whether this session fires the triggers of foreign keys.
fn are_keys_enforced() -> bool {
    // SAFETY: a backend's own variable.
    let role = unsafe { pg_sys::SessionReplicationRole };
    role != pg_sys::SESSION_REPLICATION_ROLE_REPLICA as c_int
}

/// A join that only checks.
struct Check {
    /// Position of what is referred to.
    referenced: usize,
    /// The conditions, all that mention it, by position.
    on: Vec<usize>,
    /// The columns that refer to it.
    columns: Vec<*const pg_sys::Var>,
}

unsafe fn find(joins: &InnerJoins) -> Option<Check> {
    (0..joins.items.len()).find_map(|referenced| {
        // SAFETY: as of `drop_foreign_key_joins`.
        unsafe { check(joins, referenced) }
    })
}

/// `referencing.column = referenced.key`.
struct Reference<'q> {
    referencing: &'q pg_sys::Var,
    key: Equality,
}

/// Whether an item is there only to be referred to, by the columns of one foreign key.
unsafe fn check(joins: &InnerJoins, referenced: usize) -> Option<Check> {
    // SAFETY: as of `drop_foreign_key_joins`.
    unsafe {
        let rtindex = joins.items.get(referenced)?.relation()?;
        let results = [(*joins.query).targetList.cast(), (*joins.query).havingQual];
        if results
            .into_iter()
            .any(|node| joins.mentioned(node).contains(referenced))
        {
            return None;
        }
        let clauses = joins.clauses.iter().enumerate();
        let on: Vec<usize> = clauses
            .filter(|&(_, &clause)| joins.mentioned(clause).contains(referenced))
            .map(|(at, _)| at)
            .collect();
        let conditions = on.iter().filter_map(|&at| joins.clauses.get(at));
        let references: Option<Vec<Reference>> =
            conditions.map(|&clause| reference(clause, rtindex)).collect();
        let references = references?;
        let columns = references
            .iter()
            .map(|reference| &raw const *reference.referencing);
        let columns: Vec<*const pg_sys::Var> = columns.collect();
        is_enforced(joins, rtindex, &references).then_some(Check {
            referenced,
            on,
            columns,
        })
    }
}

/// The condition as an equality of a column with one of the item's.
unsafe fn reference<'q>(clause: *mut pg_sys::Node, item: c_int) -> Option<Reference<'q>> {
    // SAFETY: a condition of the statement; a catalog lookup.
    unsafe {
        let (operation, [left, right]) = compared_columns(clause)?;
        let is_first = left.varno as c_int == item;
        let (key, referencing) = if is_first { (left, right) } else { (right, left) };
        let operator = match is_first {
            true => operation.opno,
            false => pg_sys::get_commutator(operation.opno),
        };
        let is_one = key.varno as c_int == item && referencing.varno as c_int != item;
        is_one.then_some(Reference {
            referencing,
            key: Equality {
                attribute: key.varattno,
                operator,
                collation: operation.inputcollid,
            },
        })
    }
}

/// Whether columns of one table refer to one row of the item, and always do.
unsafe fn is_enforced(joins: &InnerJoins, referenced: c_int, references: &[Reference]) -> bool {
    let Some(first) = references.first() else {
        return false;
    };
    let referencing = first.referencing.varno as c_int;
    let is_of_one = |reference: &Reference| reference.referencing.varno as c_int == referencing;
    // An item of its own: nothing makes its columns null.
    let is_item = joins
        .items
        .iter()
        .any(|item| item.relation() == Some(referencing));
    if !is_item || !references.iter().all(is_of_one) {
        return false;
    }
    // SAFETY: entries of the statement, whose tables are locked.
    unsafe {
        let entry = make::entry(joins.query, referenced);
        let keys: Vec<Equality> = references.iter().map(|reference| reference.key).collect();
        !statistics::keys_among(entry, &keys).is_empty()
            && has_foreign_key(make::entry(joins.query, referencing), entry, references)
    }
}

/// Whether a foreign key of these columns is enforced: valid, checked by each statement, its triggers in use, and none of
/// these still to be fired.
unsafe fn has_foreign_key(
    referencing: *mut pg_sys::RangeTblEntry,
    referenced: *mut pg_sys::RangeTblEntry,
    references: &[Reference],
) -> bool {
    // SAFETY: entries of the statement; the tables are locked since it was analysed.
    unsafe {
        let tables = [referencing, referenced];
        if tables
            .into_iter()
            .any(|entry| (*entry).rtekind != RTEKind::RTE_RELATION)
        {
            return false;
        }
        let tables = tables.map(|entry| pg_sys::table_open((*entry).relid, pg_sys::NoLock as i32));
        let is_settled = tables
            .into_iter()
            .all(|table| is_alone(table) && !pg_sys::AfterTriggerPendingOnRel((*table).rd_id));
        let [table, other] = tables;
        let keys = pg_sys::RelationGetFKeyList(table);
        let is_found = is_settled
            && list::pointers::<pg_sys::ForeignKeyCacheInfo>(keys).any(|key| {
                (*key).confrelid == (*other).rd_id
                    && is_about(&*key, references)
                    && is_valid((*key).conoid)
                    && [table, other]
                        .into_iter()
                        .all(|table| fires(table, (*key).conoid))
            });
        tables
            .into_iter()
            .for_each(|table| pg_sys::table_close(table, pg_sys::NoLock as i32));
        is_found
    }
}

/// Whether a table is all there is to its rows: not partitioned, no partition, no parent. A key of these is not about all rows,
/// or of several constraints.
unsafe fn is_alone(table: pg_sys::Relation) -> bool {
    // SAFETY: an open relation.
    unsafe {
        let form = &*(*table).rd_rel;
        form.relkind as u8 == pg_sys::RELKIND_RELATION && !form.relhassubclass && !form.relispartition
    }
}

/// Whether a foreign key has these columns, all of them, and compares them like this.
unsafe fn is_about(key: &pg_sys::ForeignKeyCacheInfo, references: &[Reference]) -> bool {
    let columns = usize::try_from(key.nkeys).unwrap_or(0);
    let at = |reference: &Reference| {
        let all = key.conkey.iter().zip(&key.confkey).zip(&key.conpfeqop);
        all.take(columns).position(|((&own, &other), &operator)| {
            let (own_is, other_is) = (reference.referencing.varattno, reference.key.attribute);
            (own, other, operator) == (own_is, other_is, reference.key.operator)
        })
    };
    let places: Option<Vec<usize>> = references.iter().map(at).collect();
    places.is_some_and(|places| (0..columns).all(|column| places.contains(&column)))
}

/// Whether a constraint holds for the rows that were there before it, and after each statement.
unsafe fn is_valid(constraint: Oid) -> bool {
    // SAFETY: a syscache lookup, released after the tuple was read.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::CONSTROID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(constraint));
        if tuple.is_null() {
            return false;
        }
        // The row has no struct in the bindings, and not the same columns in all majors.
        let says = |name: &CStr| {
            let attribute = pg_sys::get_attnum(Oid::from(CONSTRAINT_RELATION), name.as_ptr());
            let mut is_null = false;
            let value = pg_sys::SysCacheGetAttr(cache, tuple, attribute, &raw mut is_null);
            !is_null && value != pg_sys::Datum::null()
        };
        let is_valid = says(c"convalidated") && !says(c"condeferrable");
        pg_sys::ReleaseSysCache(tuple);
        is_valid
    }
}

/// Whether a table has the triggers of a constraint, and all fire.
unsafe fn fires(table: pg_sys::Relation, constraint: Oid) -> bool {
    // SAFETY: an open relation; the array has as many triggers as it says.
    unsafe {
        let described = (*table).trigdesc;
        if described.is_null() {
            return false;
        }
        let count = usize::try_from((*described).numtriggers).unwrap_or(0);
        let all = (0..count).map(|at| &*(*described).triggers.add(at));
        let of_constraint: Vec<bool> = all
            .filter(|trigger| trigger.tgconstraint == constraint)
            .map(|trigger| {
                [pg_sys::TRIGGER_FIRES_ON_ORIGIN, pg_sys::TRIGGER_FIRES_ALWAYS]
                    .contains(&(trigger.tgenabled as u8))
            })
            .collect();
        of_constraint.len() >= TRIGGERS && of_constraint.into_iter().all(|fires| fires)
    }
}

/// Takes what is only referred to out, with the conditions; its range-table index.
unsafe fn drop_join(joins: &mut InnerJoins, check: &Check) -> Option<c_int> {
    let rtindex = joins.items.get(check.referenced)?.relation()?;
    let clauses = joins.clauses.iter().enumerate();
    let others = clauses.filter(|(at, _)| !check.on.contains(at));
    let mut clauses: Vec<*mut pg_sys::Node> = others.map(|(_, &clause)| clause).collect();
    // SAFETY: columns of the statement.
    let not_null = |&column: &*const pg_sys::Var| unsafe { joins.not_null(&*column) };
    clauses.extend(check.columns.iter().filter_map(not_null));
    joins.clauses = clauses;
    joins.items.remove(check.referenced);
    Some(rtindex)
}

//! What connects a subquery with the query around it.
//!
//! A subquery that mentions outer columns only in equalities of its WHERE is one row or none per value of its own columns
//! there: it may be grouped by them and joined (Kim, "On optimizing an SQL-like nested query", TODS 1982; Dayal, "Of nests
//! and trees", VLDB 1987).

use super::super::list;
use super::classes;
use super::{conditions, make};
use core::ffi::c_int;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// A subquery without the equalities that connected it.
pub(super) struct Correlated {
    /// A copy that mentions no outer columns.
    pub(super) query: *mut pg_sys::Query,
    pub(super) keys: Vec<Key>,
}

/// `own = outer`, as it was written.
pub(super) struct Key {
    pub(super) own: *mut pg_sys::Node,
    /// In the columns of the query around.
    outer: *mut pg_sys::Node,
    clause: *const pg_sys::OpExpr,
    is_own_left: bool,
}

impl Key {
    /// The equality with a column in the place of the subquery's own.
    ///
    /// # Safety
    /// A valid column of the query around.
    pub(super) unsafe fn condition(&self, own: *mut pg_sys::Expr) -> *mut pg_sys::Node {
        // SAFETY: the clause and its sides are valid; both are copied.
        unsafe {
            let condition = make::copy(self.clause);
            let outer = make::copy(self.outer).cast();
            let sides = match self.is_own_left {
                true => [own, outer],
                false => [outer, own],
            };
            (*condition).args = make::list_of(sides);
            condition.cast()
        }
    }
}

/// Whether a query only joins and filters, and perhaps aggregates everything: one whose rows depend on nothing else.
///
/// # Safety
/// `query` is valid.
pub(super) unsafe fn is_plain(query: *mut pg_sys::Query) -> bool {
    // SAFETY: by the caller's promise.
    let query = unsafe { &*query };
    let without = [
        query.cteList,
        query.groupClause,
        query.groupingSets,
        query.distinctClause,
        query.sortClause,
        query.rowMarks,
        query.windowClause,
        query.returningList,
    ];
    query.commandType == pg_sys::CmdType::CMD_SELECT
        && !(query.hasWindowFuncs || query.hasTargetSRFs || query.hasRecursive || query.hasForUpdate)
        && without.iter().all(|list| list.is_null())
        && query.setOperations.is_null()
        && query.havingQual.is_null()
        && query.limitCount.is_null()
        && query.limitOffset.is_null()
        && !query.jointree.is_null()
        && !query.rtable.is_null()
}

/// The subquery and its keys; `None` when it is connected by anything else, or by nothing.
///
/// # Safety
/// `subquery` is a valid one of a query that mentions no outer columns itself.
pub(super) unsafe fn correlated(subquery: *mut pg_sys::Query) -> Option<Correlated> {
    // SAFETY: by the caller's promise; only the copy is changed.
    unsafe {
        if !is_plain(subquery) {
            return None;
        }
        let query = make::copy(subquery);
        lift((*query).jointree);
        let (mut clauses, mut keys, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        conditions::split((*(*query).jointree).quals, &mut clauses);
        for clause in clauses {
            match pg_sys::contain_vars_of_level(clause, OUTER) {
                true => keys.push(key(clause)?),
                false => rest.push(clause),
            }
        }
        (*(*query).jointree).quals = make::all_of(rest);
        let is_free = !pg_sys::contain_vars_of_level(query.cast(), OUTER);
        (is_free && !keys.is_empty()).then_some(Correlated { query, keys })
    }
}

/// Moves conditions of inner joins that mention outer columns to WHERE.
///
/// # Safety
/// FROM of a valid subquery of ours to change.
pub(super) unsafe fn lift(from: *mut pg_sys::FromExpr) {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut clauses = Vec::new();
        conditions::split((*from).quals, &mut clauses);
        let own = clauses.len();
        for item in list::pointers((*from).fromlist) {
            lift_from(item, &mut clauses);
        }
        if clauses.len() > own {
            (*from).quals = make::all_of(clauses);
        }
    }
}

unsafe fn lift_from(item: *mut pg_sys::Node, lifted: &mut Vec<*mut pg_sys::Node>) {
    // SAFETY: the cast follows the node's tag.
    unsafe {
        let join = item.cast::<pg_sys::JoinExpr>();
        if list::tag(item) != NodeTag::T_JoinExpr || (*join).jointype != pg_sys::JoinType::JOIN_INNER {
            return;
        }
        lift_from((*join).larg, lifted);
        lift_from((*join).rarg, lifted);
        if pg_sys::contain_vars_of_level((*join).quals, OUTER) {
            let mut clauses = Vec::new();
            conditions::split((*join).quals, &mut clauses);
            let (outer, own): (Vec<_>, Vec<_>) = clauses
                .into_iter()
                .partition(|&clause| pg_sys::contain_vars_of_level(clause, OUTER));
            lifted.extend(outer);
            (*join).quals = make::all_of(own);
        }
    }
}

/// Whether only its WHERE mentions columns of the query around, so that PostgreSQL can join an EXISTS of it.
///
/// # Safety
/// A valid subquery.
pub(super) unsafe fn is_connected_by_where(subquery: *mut pg_sys::Query) -> bool {
    // SAFETY: by the caller's promise; only the copy is changed.
    unsafe {
        let rest = make::copy(subquery);
        (*(*rest).jointree).quals = core::ptr::null_mut();
        !pg_sys::contain_vars_of_level(rest.cast(), OUTER)
    }
}

/// The level of the query around.
pub(super) const OUTER: c_int = 1;

/// An equality of a column with an outer expression, by which the column may be grouped.
unsafe fn key(clause: *mut pg_sys::Node) -> Option<Key> {
    // SAFETY: the cast follows the node's tag.
    unsafe {
        if list::tag(clause) != NodeTag::T_OpExpr {
            return None;
        }
        let clause = clause.cast::<pg_sys::OpExpr>();
        let mut sides = list::pointers::<pg_sys::Node>((*clause).args);
        let (Some(left), Some(right), None) = (sides.next(), sides.next(), sides.next()) else {
            return None;
        };
        let is_own_left = !pg_sys::contain_vars_of_level(left, OUTER);
        let (own, outer) = match is_own_left {
            true => (left, right),
            false => (right, left),
        };
        let is_separate =
            !pg_sys::contain_vars_of_level(own, OUTER) && !pg_sys::contain_vars_of_level(outer, 0);
        if !is_separate || pg_sys::checkExprHasSubLink(outer) || !classes::is_key(&*clause, own) {
            return None;
        }
        let outer = make::copy(outer);
        pg_sys::IncrementVarSublevelsUp(outer, -1, OUTER);
        Some(Key {
            own,
            outer,
            clause,
            is_own_left,
        })
    }
}

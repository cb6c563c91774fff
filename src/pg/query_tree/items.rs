//! Items of FROM and of set operations, made as PostgreSQL's parser makes them.

use super::super::{compat, list};
use super::make;
use core::ffi::c_int;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// A SELECT of nothing yet.
pub(super) fn empty_query() -> *mut pg_sys::Query {
    // SAFETY: a node of its tag's struct.
    unsafe {
        let query = make::node::<pg_sys::Query>(NodeTag::T_Query);
        (*query).commandType = pg_sys::CmdType::CMD_SELECT;
        (*query).canSetTag = true;
        (*query).stmt_location = -1;
        query
    }
}

/// A copy of a statement with nothing in its range table.
///
/// # Safety
/// `query` is valid.
pub(super) unsafe fn without_from(query: *mut pg_sys::Query) -> *mut pg_sys::Query {
    // SAFETY: by the caller's promise; only the copy is changed.
    unsafe {
        let query = make::copy(query);
        (*query).rtable = core::ptr::null_mut();
        compat::forget_permissions(query);
        query
    }
}

/// Copies entries of a range table into another; their old and new places. Columns of joins among them are as they were.
///
/// # Safety
/// Both queries are valid, the first has entries of these indexes; range tables are far smaller than an integer.
pub(super) unsafe fn move_entries(
    from: *mut pg_sys::Query,
    members: &[c_int],
    to: *mut pg_sys::Query,
) -> Vec<(c_int, c_int)> {
    // SAFETY: by the caller's promise.
    let places = members.iter().map(|&member| unsafe {
        compat::move_entry(from, member, to);
        (member, list::length((*to).rtable) as c_int)
    });
    places.collect()
}

/// Copies an item of FROM and its entries into another query's range table, with the permissions to check: their old and new
/// places, and the item.
///
/// # Safety
/// As of [`move_entries`]; the item has these members.
pub(super) unsafe fn move_item(
    from: *mut pg_sys::Query,
    (item, members): (*mut pg_sys::Node, &[c_int]),
    to: *mut pg_sys::Query,
) -> (Vec<(c_int, c_int)>, *mut pg_sys::Node) {
    // SAFETY: by the caller's promise.
    unsafe {
        let places = move_entries(from, members, to);
        for &(_, place) in &places {
            let entry = make::entry(to, place);
            if (*entry).rtekind == pg_sys::RTEKind::RTE_JOIN {
                make::localise((*entry).joinaliasvars.cast(), &places);
            }
        }
        let item = make::copy(item);
        make::localise(item, &places);
        (places, item)
    }
}

/// A range-table entry of a subquery in FROM.
///
/// # Safety
/// `query` is valid and `name` a C string.
pub(super) unsafe fn subquery(
    query: *mut pg_sys::Query,
    name: *const core::ffi::c_char,
) -> *mut pg_sys::RangeTblEntry {
    // SAFETY: by the caller's promise; nodes of their tags' structs.
    unsafe {
        let names = list::pointers::<pg_sys::TargetEntry>((*query).targetList);
        let names = make::list_of(names.map(|entry| pg_sys::makeString((*entry).resname)));
        let entry = make::node::<pg_sys::RangeTblEntry>(NodeTag::T_RangeTblEntry);
        (*entry).rtekind = pg_sys::RTEKind::RTE_SUBQUERY;
        (*entry).subquery = query;
        (*entry).alias = pg_sys::makeAlias(name, core::ptr::null_mut());
        (*entry).eref = pg_sys::makeAlias(name, names);
        (*entry).inFromCl = true;
        entry
    }
}

/// An item of FROM.
pub(super) fn reference(rtindex: c_int) -> *mut pg_sys::RangeTblRef {
    // SAFETY: a node of its tag's struct.
    unsafe {
        let reference = make::node::<pg_sys::RangeTblRef>(NodeTag::T_RangeTblRef);
        (*reference).rtindex = rtindex;
        reference
    }
}

/// `left LEFT JOIN right ON on`, with its entry in the range table.
///
/// # Safety
/// As of [`join`].
pub(super) unsafe fn left_join(
    query: *mut pg_sys::Query,
    left: *mut pg_sys::Node,
    right: *mut pg_sys::Node,
    on: *mut pg_sys::Node,
) -> Option<*mut pg_sys::JoinExpr> {
    // SAFETY: by the caller's promise.
    unsafe { join(query, pg_sys::JoinType::JOIN_LEFT, left, (right, on)) }
}

/// `left JOIN right ON on`, with its entry in the range table; without a condition it is a cross join.
///
/// # Safety
/// Items of FROM of the query, which is ours to change.
pub(super) unsafe fn join(
    query: *mut pg_sys::Query,
    kind: pg_sys::JoinType::Type,
    left: *mut pg_sys::Node,
    (right, on): (*mut pg_sys::Node, *mut pg_sys::Node),
) -> Option<*mut pg_sys::JoinExpr> {
    // SAFETY: by the caller's promise; nodes of their tags' structs.
    unsafe {
        let entry = make::node::<pg_sys::RangeTblEntry>(NodeTag::T_RangeTblEntry);
        (*entry).rtekind = pg_sys::RTEKind::RTE_JOIN;
        (*entry).jointype = kind;
        let mut names = core::ptr::null_mut();
        for (item, numbers) in [
            (left, &raw mut (*entry).joinleftcols),
            (right, &raw mut (*entry).joinrightcols),
        ] {
            let (of_item, columns) = columns(query, item)?;
            *numbers = numbers_of(item, columns);
            (*entry).joinaliasvars = pg_sys::list_concat((*entry).joinaliasvars, columns);
            names = pg_sys::list_concat(names, of_item);
        }
        (*entry).eref = pg_sys::makeAlias(c"unnamed_join".as_ptr(), names);
        (*entry).inFromCl = true;
        (*query).rtable = pg_sys::lappend((*query).rtable, entry.cast());
        let join = make::node::<pg_sys::JoinExpr>(NodeTag::T_JoinExpr);
        (*join).jointype = kind;
        (*join).larg = left;
        (*join).rarg = right;
        (*join).quals = on;
        (*join).rtindex = list::length((*query).rtable) as c_int;
        Some(join)
    }
}

/// The names and columns of an item of FROM.
unsafe fn columns(
    query: *mut pg_sys::Query,
    item: *mut pg_sys::Node,
) -> Option<(*mut pg_sys::List, *mut pg_sys::List)> {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        let rtindex = match list::tag(item) {
            NodeTag::T_RangeTblRef => (*item.cast::<pg_sys::RangeTblRef>()).rtindex,
            NodeTag::T_JoinExpr => (*item.cast::<pg_sys::JoinExpr>()).rtindex,
            _ => return None,
        };
        Some(compat::expand_entry(make::entry(query, rtindex), rtindex))
    }
}

/// The numbers of columns in an item: a join's are counted, a relation's may have gaps.
unsafe fn numbers_of(item: *mut pg_sys::Node, columns: *mut pg_sys::List) -> *mut pg_sys::List {
    let mut numbers = core::ptr::null_mut();
    // SAFETY: a valid item and its columns.
    unsafe {
        for (at, column) in (1..).zip(list::pointers::<pg_sys::Var>(columns)) {
            let number = match list::tag(item) {
                NodeTag::T_JoinExpr => at,
                _ => c_int::from((*column).varattno),
            };
            numbers = pg_sys::lappend_int(numbers, number);
        }
    }
    numbers
}

/// `UNION ALL` of so many subqueries, the first entries of a range table, which all have these columns.
///
/// # Safety
/// Valid targets.
pub(super) unsafe fn union_all(targets: *mut pg_sys::List, count: usize) -> *mut pg_sys::Node {
    // SAFETY: by the caller's promise; nodes of their tags' structs.
    unsafe {
        let mut left: *mut pg_sys::Node = reference(1).cast();
        for at in 2..=count {
            let union = make::node::<pg_sys::SetOperationStmt>(NodeTag::T_SetOperationStmt);
            (*union).op = pg_sys::SetOperation::SETOP_UNION;
            (*union).all = true;
            (*union).larg = left;
            (*union).rarg = reference(at as c_int).cast();
            for target in list::pointers::<pg_sys::TargetEntry>(targets) {
                let expression = (*target).expr.cast();
                (*union).colTypes = pg_sys::lappend_oid((*union).colTypes, pg_sys::exprType(expression));
                (*union).colTypmods =
                    pg_sys::lappend_int((*union).colTypmods, pg_sys::exprTypmod(expression));
                let collation = pg_sys::exprCollation(expression);
                (*union).colCollations = pg_sys::lappend_oid((*union).colCollations, collation);
            }
            left = union.cast();
        }
        left
    }
}

//! `x NOT IN (SELECT y …)` without nulls on either side: `NOT EXISTS (SELECT … WHERE x = y)`.
//!
//! With a null NOT IN is never true, so that PostgreSQL cannot make an anti-join of it and compares each row with all that
//! the subquery gives. Without, both are the same (Bellamkonda et al., "Enhanced subquery optimizations in Oracle", VLDB
//! 2009).
//!
//! A column is without nulls where its table says so, no outer join makes it null and no child table may differ, or
//! where a condition of the same WHERE drops its nulls. A plan made by that depends on the table, so that it is made
//! again when the table's constraint goes.

use super::super::{compat, list};
use super::{conditions, correlation, make, replace, statistics};
use core::ffi::c_int;
use pgrx::pg_sys;
use pgrx::pg_sys::{BoolExprType, JoinType, NodeTag, SubLinkType};

/// The condition at this place of a query's WHERE as NOT EXISTS; `None` where it is not NOT IN, or there may be nulls.
///
/// # Safety
/// The query is valid, and these are its conditions.
pub(super) unsafe fn as_anti_join(
    query: *mut pg_sys::Query,
    clauses: &[*mut pg_sys::Node],
    at: usize,
) -> Option<*mut pg_sys::Node> {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        let negated = negated_subquery(*clauses.get(at)?)?;
        let inner = (*negated).subselect.cast::<pg_sys::Query>();
        if !correlation::is_plain(inner) || (*inner).hasAggs {
            return None;
        }
        let others: Vec<_> = clauses
            .iter()
            .enumerate()
            .filter(|&(other, _)| other != at)
            .collect();
        let others: Vec<_> = others.into_iter().map(|(_, &clause)| clause).collect();
        let mut own = Vec::new();
        conditions::split((*(*inner).jointree).quals, &mut own);
        let mut comparisons = Vec::new();
        conditions::split((*negated).testexpr, &mut comparisons);
        for &comparison in &comparisons {
            let (outer, column) = sides(comparison, inner)?;
            if !is_not_null(query, &others, outer) || !is_not_null(inner, &own, column) {
                return None;
            }
        }
        let comparison = compared((*negated).testexpr, inner)?;
        let arguments = make::list_of([as_exists(negated, comparison)]);
        Some(pg_sys::makeBoolExpr(BoolExprType::NOT_EXPR, arguments, -1).cast())
    }
}

/// `x IN (SELECT y …)` as EXISTS with the comparison as one more condition.
///
/// # Safety
/// A valid subquery, and a condition of its level.
pub(super) unsafe fn as_exists(
    any: *mut pg_sys::SubLink,
    comparison: *mut pg_sys::Node,
) -> *mut pg_sys::SubLink {
    // SAFETY: by the caller's promise; only the copy is changed.
    unsafe {
        let exists = make::copy(any);
        let inner = (*exists).subselect.cast::<pg_sys::Query>();
        let mut clauses = Vec::new();
        conditions::split((*(*inner).jointree).quals, &mut clauses);
        clauses.push(comparison);
        (*(*inner).jointree).quals = make::all_of(clauses);
        (*inner).targetList = core::ptr::null_mut();
        (*exists).subLinkType = SubLinkType::EXISTS_SUBLINK;
        (*exists).testexpr = core::ptr::null_mut();
        (*exists).operName = core::ptr::null_mut();
        exists
    }
}

/// The subquery of NOT IN.
unsafe fn negated_subquery(clause: *mut pg_sys::Node) -> Option<*mut pg_sys::SubLink> {
    // SAFETY: each cast follows the node's tag; NOT has one argument.
    unsafe {
        if list::tag(clause) != NodeTag::T_BoolExpr {
            return None;
        }
        let negation = clause.cast::<pg_sys::BoolExpr>();
        let argument = list::pointers::<pg_sys::Node>((*negation).args).next()?;
        let is_negated =
            (*negation).boolop == BoolExprType::NOT_EXPR && list::tag(argument) == NodeTag::T_SubLink;
        let subquery = argument.cast::<pg_sys::SubLink>();
        (is_negated && (*subquery).subLinkType == SubLinkType::ANY_SUBLINK).then_some(subquery)
    }
}

/// What is compared, and the subquery's expression it is compared with, by an equality that gives null of nulls only.
unsafe fn sides(
    comparison: *mut pg_sys::Node,
    inner: *mut pg_sys::Query,
) -> Option<(*mut pg_sys::Node, *mut pg_sys::Node)> {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        if list::tag(comparison) != NodeTag::T_OpExpr {
            return None;
        }
        let clause = comparison.cast::<pg_sys::OpExpr>();
        let mut sides = list::pointers::<pg_sys::Node>((*clause).args);
        let (left, right) = (sides.next()?, sides.next()?);
        let is_equality = pg_sys::op_mergejoinable((*clause).opno, pg_sys::exprType(left))
            && pg_sys::func_strict(pg_sys::get_opcode((*clause).opno));
        let parameter = make::bare(right);
        let is_known = is_equality && list::tag(parameter) == NodeTag::T_Param;
        is_known.then(|| Some((left, column(parameter.cast(), inner)?)))?
    }
}

/// The subquery's expression that a parameter stands for.
unsafe fn column(parameter: *mut pg_sys::Param, inner: *mut pg_sys::Query) -> Option<*mut pg_sys::Node> {
    // SAFETY: a valid parameter of the comparison with the subquery.
    unsafe {
        let of_subquery = (*parameter).paramkind == pg_sys::ParamKind::PARAM_SUBLINK;
        let mut targets = list::pointers::<pg_sys::TargetEntry>((*inner).targetList);
        let target = targets.find(|&target| c_int::from((*target).resno) == (*parameter).paramid);
        target
            .filter(|&target| of_subquery && !(*target).resjunk)
            .map(|target| (*target).expr.cast())
    }
}

/// The comparison as a condition of the subquery.
///
/// # Safety
/// The comparison of IN with the columns of that subquery.
pub(super) unsafe fn compared(
    test: *mut pg_sys::Node,
    inner: *mut pg_sys::Query,
) -> Option<*mut pg_sys::Node> {
    // SAFETY: a valid expression of the query around the subquery, copied.
    unsafe {
        let test = make::copy(test);
        pg_sys::IncrementVarSublevelsUp(test, 1, 0);
        let parameters = replace::find::<pg_sys::Param>(test, NodeTag::T_Param);
        let mut pairs = Vec::new();
        for parameter in parameters {
            if (*parameter).paramkind == pg_sys::ParamKind::PARAM_SUBLINK {
                pairs.push((parameter.cast(), make::copy(column(parameter, inner)?)));
            }
        }
        Some(replace::replaced(test, &pairs))
    }
}

/// Whether an expression is never null in the rows that meet these conditions.
unsafe fn is_not_null(
    query: *mut pg_sys::Query,
    clauses: &[*mut pg_sys::Node],
    expression: *mut pg_sys::Node,
) -> bool {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        let bare = make::bare(expression);
        if list::tag(bare) == NodeTag::T_Const {
            return !(*bare.cast::<pg_sys::Const>()).constisnull;
        }
        if list::tag(bare) != NodeTag::T_Var {
            return false;
        }
        let var = bare.cast::<pg_sys::Var>();
        let is_plain = (*var).varlevelsup == 0 && (*var).varattno > 0;
        let is_dropped = || clauses.iter().any(|&clause| compat::drops_nulls_of(clause, var));
        is_plain && (is_dropped() || is_declared(query, var))
    }
}

/// Whether a column's table says that it has no nulls, and no join adds any.
unsafe fn is_declared(query: *mut pg_sys::Query, var: *const pg_sys::Var) -> bool {
    // SAFETY: a column of the query; syscache lookups, released after the tuples were read.
    unsafe {
        let rtindex = (*var).varno as c_int;
        let entry = make::entry(query, rtindex);
        keeps((*query).jointree.cast(), rtindex) && statistics::is_not_null(entry, (*var).varattno)
    }
}

/// Whether an item of FROM has a relation, and makes no nulls of its columns.
unsafe fn keeps(item: *mut pg_sys::Node, rtindex: c_int) -> bool {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        match list::tag(item) {
            NodeTag::T_RangeTblRef => (*item.cast::<pg_sys::RangeTblRef>()).rtindex == rtindex,
            NodeTag::T_FromExpr => {
                let from = item.cast::<pg_sys::FromExpr>();
                list::pointers((*from).fromlist).any(|item| keeps(item, rtindex))
            }
            NodeTag::T_JoinExpr => {
                let join = item.cast::<pg_sys::JoinExpr>();
                let (left, right) = match (*join).jointype {
                    JoinType::JOIN_INNER => (true, true),
                    JoinType::JOIN_LEFT => (true, false),
                    JoinType::JOIN_RIGHT => (false, true),
                    _ => (false, false),
                };
                (left && keeps((*join).larg, rtindex)) || (right && keeps((*join).rarg, rtindex))
            }
            _ => false,
        }
    }
}

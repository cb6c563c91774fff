//! `x IN (SELECT y … WHERE …)` that mentions outer columns: `EXISTS (SELECT … WHERE … AND x = y)`.
//!
//! Up to 16 PostgreSQL evaluates such a subquery for each outer row, but makes a semi-join of an EXISTS that is connected by its
//! WHERE alone (Kim, "On optimizing an SQL-like nested query", TODS 1982; Galindo-Legaria and Joshi, "Orthogonal
//! optimization of subqueries and aggregation", SIGMOD 2001). IN is unknown where EXISTS is false, if it meets a null: as a
//! condition both drop the row.
//!
//! What is compared may be computed for rows that the subquery's WHERE would have dropped before, so nothing in it may raise
//! an error.

use super::super::{compat, list};
use super::{aggregates, conditions, correlation, levels, make, not_in};
use pgrx::pg_sys;
use pgrx::pg_sys::{NodeTag, SubLinkType};

/// Makes EXISTS of what is IN among the conditions of a query and of those in it; whether there were any.
///
/// # Safety
/// A valid query of ours to change.
pub(super) unsafe fn replace(query: *mut pg_sys::Query) -> bool {
    let mut is_changed = false;
    // SAFETY: by the caller's promise. Inner levels first: outer ones copy them.
    unsafe {
        for level in levels::of(query).into_iter().rev() {
            let may_have_any = (*level).hasSubLinks && !(*level).jointree.is_null();
            if may_have_any && !is_guarded(level) && aggregates::ignore_order(level) {
                is_changed |= replace_in((*level).jointree.cast());
            }
        }
    }
    is_changed
}

/// Replaces them in the conditions of an item of FROM, of WHERE too.
unsafe fn replace_in(item: *mut pg_sys::Node) -> bool {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        match list::tag(item) {
            NodeTag::T_FromExpr => {
                let from = item.cast::<pg_sys::FromExpr>();
                let below = list::pointers::<pg_sys::Node>((*from).fromlist);
                let below = below.fold(false, |changed, item| replace_in(item) | changed);
                replace_conditions(&mut (*from).quals) | below
            }
            NodeTag::T_JoinExpr => {
                let join = item.cast::<pg_sys::JoinExpr>();
                let below = replace_in((*join).larg) | replace_in((*join).rarg);
                replace_conditions(&mut (*join).quals) | below
            }
            _ => false,
        }
    }
}

unsafe fn replace_conditions(quals: &mut *mut pg_sys::Node) -> bool {
    let (mut clauses, mut is_changed) = (Vec::new(), false);
    // SAFETY: valid conditions.
    unsafe {
        conditions::split(*quals, &mut clauses);
        for clause in &mut clauses {
            if let Some(exists) = as_exists(*clause) {
                *clause = exists.cast();
                is_changed = true;
            }
        }
        if is_changed {
            *quals = make::all_of(clauses);
        }
    }
    is_changed
}

/// A condition as EXISTS; `None` where it is no IN that PostgreSQL leaves to be evaluated for each row, or PostgreSQL could not
/// join that either.
///
/// # Safety
/// A valid condition of a WHERE or ON.
pub(super) unsafe fn as_exists(clause: *mut pg_sys::Node) -> Option<*mut pg_sys::SubLink> {
    // SAFETY: the cast follows the node's tag; only copies are changed.
    unsafe {
        if list::tag(clause) != NodeTag::T_SubLink {
            return None;
        }
        let any = clause.cast::<pg_sys::SubLink>();
        let inner = (*any).subselect.cast::<pg_sys::Query>();
        let is_candidate = (*any).subLinkType == SubLinkType::ANY_SUBLINK
            && correlation::is_plain(inner)
            && !(*inner).hasAggs
            && !is_guarded(inner)
            && pg_sys::contain_vars_of_level(inner.cast(), correlation::OUTER);
        let comparison = is_candidate.then(|| comparison(any))??;
        let exists = not_in::as_exists(any, comparison);
        let inner = (*exists).subselect.cast::<pg_sys::Query>();
        correlation::lift((*inner).jointree);
        correlation::is_connected_by_where(inner).then_some(exists)
    }
}

/// The comparison as a condition of the subquery, if it is one of values that are there already, by operators of indexes.
unsafe fn comparison(any: *mut pg_sys::SubLink) -> Option<*mut pg_sys::Node> {
    // SAFETY: a valid subquery and its comparison; each cast follows the node's tag.
    unsafe {
        let inside = not_in::compared((*any).testexpr, (*any).subselect.cast())?;
        let mut comparisons = Vec::new();
        conditions::split(inside, &mut comparisons);
        let is_harmless = |&comparison: &*mut pg_sys::Node| {
            list::tag(comparison) == NodeTag::T_OpExpr && {
                let comparison = comparison.cast::<pg_sys::OpExpr>();
                let mut sides = list::pointers((*comparison).args);
                compat::btree_strategy((*comparison).opno).is_some() && sides.all(|side| is_there(side))
            }
        };
        comparisons.iter().all(is_harmless).then_some(inside)
    }
}

/// Whether an expression computes nothing.
unsafe fn is_there(expression: *mut pg_sys::Node) -> bool {
    // SAFETY: a valid expression.
    let tag = unsafe { list::tag(make::bare(expression)) };
    [NodeTag::T_Var, NodeTag::T_Const, NodeTag::T_Param].contains(&tag)
}

/// Whether a query reads anything whose rows conditions must not see before others.
unsafe fn is_guarded(query: *mut pg_sys::Query) -> bool {
    // SAFETY: a valid query.
    unsafe {
        list::pointers::<pg_sys::RangeTblEntry>((*query).rtable)
            .any(|entry| (*entry).security_barrier || !(*entry).securityQuals.is_null())
    }
}

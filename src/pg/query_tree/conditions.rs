//! The relations of a statement and the conditions that restrict and join them, taken out of its join tree.

use super::super::{compat, list};
use core::ffi::c_int;
use engine::rewrite::Set;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// A condition that every joined row meets.
#[derive(Clone, Copy)]
pub(super) struct Condition {
    pub(super) clause: *mut pg_sys::Node,
    /// Positions of the relations it mentions.
    pub(super) relations: Set,
}

/// What a join tree is made of.
#[derive(Default)]
struct Gathered {
    relations: Vec<c_int>,
    clauses: Vec<*mut pg_sys::Node>,
    joins: usize,
}

/// The relations of a statement, by range-table index, and its conditions; `None` when not all joins are inner ones.
/// Columns of joins become those of the joined relations, in the statement too.
///
/// # Safety
/// `query` is a valid statement of ours to change.
pub(super) unsafe fn gather(query: *mut pg_sys::Query) -> Option<(Vec<c_int>, Vec<Condition>)> {
    let mut gathered = Gathered::default();
    // SAFETY: by the caller's promise.
    unsafe {
        walk((*query).jointree.cast(), &mut gathered)?;
        if gathered.joins > 0 {
            for clause in &mut gathered.clauses {
                *clause = compat::flatten_join_alias_vars(query, *clause);
            }
            let targets = compat::flatten_join_alias_vars(query, (*query).targetList.cast());
            (*query).targetList = targets.cast();
            (*query).havingQual = compat::flatten_join_alias_vars(query, (*query).havingQual);
        }
        let of_joins = list::length((*query).rtable).checked_sub(gathered.relations.len());
        let can_be_described = (2..=Set::CAPACITY).contains(&gathered.relations.len());
        if of_joins != Some(gathered.joins) || !can_be_described {
            return None;
        }
        let conditions = gathered.clauses.iter().map(|&clause| Condition {
            clause,
            relations: relations(clause, &gathered.relations),
        });
        let conditions = conditions.collect();
        Some((gathered.relations, conditions))
    }
}

/// Positions of the relations that an expression mentions.
///
/// # Safety
/// `node` is a valid expression of this query level, or null.
pub(super) unsafe fn relations(node: *mut pg_sys::Node, relations: &[c_int]) -> Set {
    // SAFETY: by the caller's promise; the root is only read for placeholders, which exist during planning only.
    unsafe {
        let mentioned = pg_sys::pull_varnos(core::ptr::null_mut(), node);
        list::members(mentioned)
            .filter_map(|rtindex| relations.iter().position(|&known| list::index(known) == rtindex))
            .collect()
    }
}

unsafe fn walk(node: *mut pg_sys::Node, gathered: &mut Gathered) -> Option<()> {
    // SAFETY: each cast follows the node's tag; children of a valid tree are valid.
    unsafe {
        match list::tag(node) {
            NodeTag::T_RangeTblRef => {
                gathered
                    .relations
                    .push((*node.cast::<pg_sys::RangeTblRef>()).rtindex);
            }
            NodeTag::T_FromExpr => {
                let from = node.cast::<pg_sys::FromExpr>();
                for item in list::pointers((*from).fromlist) {
                    walk(item, gathered)?;
                }
                split((*from).quals, &mut gathered.clauses);
            }
            NodeTag::T_JoinExpr => {
                let join = node.cast::<pg_sys::JoinExpr>();
                if (*join).jointype != pg_sys::JoinType::JOIN_INNER {
                    return None;
                }
                gathered.joins += 1;
                walk((*join).larg, gathered)?;
                walk((*join).rarg, gathered)?;
                split((*join).quals, &mut gathered.clauses);
            }
            _ => return None,
        }
    }
    Some(())
}

/// Takes a condition apart where it is an AND.
unsafe fn split(node: *mut pg_sys::Node, clauses: &mut Vec<*mut pg_sys::Node>) {
    if node.is_null() {
        return;
    }
    // SAFETY: each cast follows the node's tag.
    unsafe {
        let is_and = list::tag(node) == NodeTag::T_BoolExpr
            && (*node.cast::<pg_sys::BoolExpr>()).boolop == pg_sys::BoolExprType::AND_EXPR;
        if is_and {
            for part in list::pointers((*node.cast::<pg_sys::BoolExpr>()).args) {
                split(part, clauses);
            }
        } else {
            clauses.push(node);
        }
    }
}

//! The relations of a statement and the conditions that restrict and join them, taken out of its join tree.

use super::super::{compat, list};
use super::nulling;
use super::outer::{self, OuterJoin};
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

/// Which relation each range-table index belongs to.
pub(super) struct Positions(Vec<(c_int, usize)>);

impl Positions {
    /// Each of these is a relation of its own.
    pub(super) fn of_each(relations: &[c_int]) -> Self {
        Self(relations.iter().copied().zip(0..).collect())
    }

    /// Range-table indexes become part of a relation.
    pub(super) fn add(&mut self, rtindexes: &[c_int], relation: usize) {
        self.0
            .extend(rtindexes.iter().map(|&rtindex| (rtindex, relation)));
    }

    /// The relation of a range-table index.
    pub(super) fn of(&self, rtindex: usize) -> Option<usize> {
        let mut known = self.0.iter();
        known
            .find(|&&(known, _)| list::index(known) == rtindex)
            .map(|&(_, relation)| relation)
    }
}

/// What FROM and WHERE are made of.
pub(super) struct Gathered {
    /// Relations of inner joins, by range-table index.
    pub(super) relations: Vec<c_int>,
    /// What every row of them meets.
    pub(super) clauses: Vec<*mut pg_sys::Node>,
    /// Left joins that keep the rows of relations, or of sides of each other.
    pub(super) outer: Vec<OuterJoin>,
    /// Entries of the range table met.
    entries: usize,
}

/// The relations of a statement, and its conditions; `None` when joins are of a kind that nothing is known about.
/// Columns of joins become those of the joined relations, in the statement too.
///
/// # Safety
/// `query` is a valid statement of ours to change.
pub(super) unsafe fn gather(query: *mut pg_sys::Query) -> Option<Gathered> {
    let mut gathered = Gathered {
        relations: Vec::new(),
        clauses: Vec::new(),
        outer: Vec::new(),
        entries: 0,
    };
    // SAFETY: by the caller's promise.
    unsafe {
        flatten(query)?;
        walk((*query).jointree.cast(), &mut gathered)?;
        if list::length((*query).rtable) != gathered.entries {
            return None;
        }
        outer::reduce(&mut gathered)?;
    }
    let least = if gathered.outer.is_empty() { 2 } else { 1 };
    (least..=Set::CAPACITY)
        .contains(&gathered.relations.len())
        .then_some(gathered)
}

/// Puts the joined relations' columns in the place of the joins' own, and what is grouped by in that of references to it,
/// without marks of what outer joins make null; `None` where that can't be done.
///
/// # Safety
/// `query` is a valid statement of ours to change.
pub(super) unsafe fn flatten(query: *mut pg_sys::Query) -> Option<()> {
    // SAFETY: by the caller's promise.
    unsafe {
        nulling::forget(query);
        compat::flatten_groups(query)?;
        let is_join = |entry: *mut pg_sys::RangeTblEntry| (*entry).rtekind == pg_sys::RTEKind::RTE_JOIN;
        if list::pointers((*query).rtable).any(is_join) {
            let from = compat::flatten_join_alias_vars(query, (*query).jointree.cast());
            (*query).jointree = from.cast();
            let targets = compat::flatten_join_alias_vars(query, (*query).targetList.cast());
            (*query).targetList = targets.cast();
            (*query).havingQual = compat::flatten_join_alias_vars(query, (*query).havingQual);
        }
        Some(())
    }
}

/// Conditions with the relations they mention.
///
/// # Safety
/// The clauses are valid.
pub(super) unsafe fn described(clauses: &[*mut pg_sys::Node], positions: &Positions) -> Vec<Condition> {
    let described = clauses.iter().map(|&clause| Condition {
        clause,
        // SAFETY: by the caller's promise.
        relations: unsafe { relations(clause, positions) },
    });
    described.collect()
}

/// The relations that an expression mentions.
///
/// # Safety
/// As for [`mentioned`].
pub(super) unsafe fn relations(node: *mut pg_sys::Node, positions: &Positions) -> Set {
    // SAFETY: by the caller's promise.
    let mentioned = unsafe { mentioned(node) };
    mentioned
        .into_iter()
        .filter_map(|rtindex| positions.of(rtindex))
        .collect()
}

/// The range-table indexes that an expression mentions.
///
/// # Safety
/// `node` is a valid expression of this query level, or null.
pub(super) unsafe fn mentioned(node: *mut pg_sys::Node) -> Vec<usize> {
    // SAFETY: by the caller's promise; the root is only read for placeholders, which exist during planning only.
    unsafe { list::members(pg_sys::pull_varnos(core::ptr::null_mut(), node)).collect() }
}

/// Takes a join tree apart into relations, conditions and left joins.
///
/// # Safety
/// `node` is a valid item of FROM.
pub(super) unsafe fn walk(node: *mut pg_sys::Node, gathered: &mut Gathered) -> Option<()> {
    // SAFETY: each cast follows the node's tag; children of a valid tree are valid.
    unsafe {
        match list::tag(node) {
            NodeTag::T_RangeTblRef => {
                gathered.entries += 1;
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
                gathered.entries += 1;
                let (kept, right) = match (*join).jointype {
                    pg_sys::JoinType::JOIN_INNER => {
                        walk((*join).larg, gathered)?;
                        walk((*join).rarg, gathered)?;
                        split((*join).quals, &mut gathered.clauses);
                        return Some(());
                    }
                    pg_sys::JoinType::JOIN_LEFT => ((*join).larg, (*join).rarg),
                    pg_sys::JoinType::JOIN_RIGHT => ((*join).rarg, (*join).larg),
                    _ => return None,
                };
                walk(kept, gathered)?;
                let side = OuterJoin::new(right, (*join).quals)?;
                gathered.entries += side.members.len();
                gathered.outer.push(side);
            }
            _ => return None,
        }
    }
    Some(())
}

/// Takes a condition apart where it is an AND.
///
/// # Safety
/// `node` is a valid condition or null.
pub(super) unsafe fn split(node: *mut pg_sys::Node, clauses: &mut Vec<*mut pg_sys::Node>) {
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

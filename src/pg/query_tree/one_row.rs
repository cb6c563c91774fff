//! Whether columns tell which rows of its relations a joined row is made of.
//!
//! They do when they have a unique key of a relation, and of each other relation a key that they, or conditions of the join,
//! equate with what is known already. A relation that an outer join made null is no exception: of two joined rows that
//! agree on the columns and differ somewhere take the first relation in the order of joins, what is kept before what is
//! not, of which they have different rows. It has a row in one of both only, since the key is the same; so what was kept when it was joined differs, and
//! that is before it. Nothing is before the first.

use super::super::{compat, list};
use super::statistics::{self, Equality};
use super::{conditions, make, outer};
use core::ffi::c_int;
use pgrx::pg_sys;
use pgrx::pg_sys::{JoinType, NodeTag, RTEKind};

/// An equality of a relation's column.
struct Known {
    rtindex: c_int,
    equality: Equality,
    /// Range-table indexes that the other side mentions.
    by: Vec<usize>,
}

/// Whether an item of FROM gives no two rows that agree on what is sorted by.
///
/// # Safety
/// An item of FROM of the query, which has only columns of base relations; targets with the clauses that sort by them.
pub(super) unsafe fn is_told_by(
    query: *mut pg_sys::Query,
    item: *mut pg_sys::Node,
    sorted: &[(*mut pg_sys::SortGroupClause, *mut pg_sys::Node)],
) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        let (mut known, mut relations) = (Vec::new(), Vec::new());
        for &(clause, expression) in sorted {
            known.extend(sorted_by(query, &*clause, expression));
        }
        if gather(item, &mut known, &mut relations).is_none() {
            return false;
        }
        let mut told: Vec<usize> = Vec::new();
        loop {
            let is_told = |&rtindex: &c_int| is_one_row(query, rtindex, &known, &told);
            let more: Vec<c_int> = relations.extract_if(.., |rtindex| is_told(rtindex)).collect();
            if more.is_empty() {
                return relations.is_empty();
            }
            told.extend(more.into_iter().map(list::index));
        }
    }
}

/// A column without nulls that is sorted by. Children have none either where there is a key: they are partitions then, and
/// none of them is foreign.
unsafe fn sorted_by(
    query: *mut pg_sys::Query,
    clause: &pg_sys::SortGroupClause,
    expression: *mut pg_sys::Node,
) -> Option<Known> {
    // SAFETY: as of `is_told_by`.
    unsafe {
        let column = plain_column(expression)?;
        let rtindex = column.varno as c_int;
        let entry = make::entry(query, rtindex);
        let is_whole = (*entry).rtekind == RTEKind::RTE_RELATION
            && compat::is_declared_not_null((*entry).relid, column.varattno);
        is_whole.then(|| Known {
            rtindex,
            equality: Equality {
                attribute: column.varattno,
                operator: clause.eqop,
                collation: pg_sys::exprCollation(expression),
            },
            by: Vec::new(),
        })
    }
}

/// The relations of an item and what the conditions of its joins say of them; `None` where a join may drop rows of both sides.
unsafe fn gather(item: *mut pg_sys::Node, known: &mut Vec<Known>, relations: &mut Vec<c_int>) -> Option<()> {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        if list::tag(item) == NodeTag::T_RangeTblRef {
            relations.push((*item.cast::<pg_sys::RangeTblRef>()).rtindex);
            return Some(());
        }
        if list::tag(item) != NodeTag::T_JoinExpr {
            return None;
        }
        let join = item.cast::<pg_sys::JoinExpr>();
        gather((*join).larg, known, relations)?;
        gather((*join).rarg, known, relations)?;
        let mut restricted = Vec::new();
        if [JoinType::JOIN_INNER, JoinType::JOIN_LEFT].contains(&(*join).jointype) {
            outer::find_members((*join).rarg, &mut restricted)?;
        }
        if [JoinType::JOIN_INNER, JoinType::JOIN_RIGHT].contains(&(*join).jointype) {
            outer::find_members((*join).larg, &mut restricted)?;
        }
        let mut clauses = Vec::new();
        conditions::split((*join).quals, &mut clauses);
        for clause in clauses {
            known.extend(
                equated(clause)
                    .into_iter()
                    .filter(|known| restricted.contains(&known.rtindex)),
            );
        }
        (!restricted.is_empty()).then_some(())
    }
}

/// What a condition equates columns with.
unsafe fn equated(clause: *mut pg_sys::Node) -> Vec<Known> {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        if list::tag(clause) != NodeTag::T_OpExpr {
            return Vec::new();
        }
        let clause = clause.cast::<pg_sys::OpExpr>();
        let sides: Vec<*mut pg_sys::Node> = list::pointers((*clause).args).collect();
        let &[left, right] = sides.as_slice() else {
            return Vec::new();
        };
        let known = [(left, right), (right, left)].map(|(side, other)| {
            let column = plain_column(side)?;
            Some(Known {
                rtindex: column.varno as c_int,
                equality: Equality {
                    attribute: column.varattno,
                    operator: (*clause).opno,
                    collation: (*clause).inputcollid,
                },
                by: conditions::mentioned(other),
            })
        });
        known.into_iter().flatten().collect()
    }
}

/// A column of this level, perhaps relabelled.
unsafe fn plain_column<'q>(expression: *mut pg_sys::Node) -> Option<&'q pg_sys::Var> {
    // SAFETY: the cast follows the node's tag; the query outlives what is read of it.
    unsafe {
        let bare = make::bare(expression);
        let column = (list::tag(bare) == NodeTag::T_Var).then(|| &*bare.cast::<pg_sys::Var>())?;
        (column.varattno > 0 && column.varlevelsup == 0).then_some(column)
    }
}

/// Whether a relation has one row at most for what is told already.
unsafe fn is_one_row(query: *mut pg_sys::Query, rtindex: c_int, known: &[Known], told: &[usize]) -> bool {
    let of_relation = known
        .iter()
        .filter(|known| known.rtindex == rtindex && known.by.iter().all(|other| told.contains(other)));
    let equalities: Vec<Equality> = of_relation.map(|known| known.equality).collect();
    // SAFETY: an entry of the query.
    unsafe {
        let entry = make::entry(query, rtindex);
        match (*entry).rtekind {
            RTEKind::RTE_RELATION => !statistics::keys_among(entry, &equalities).is_empty(),
            RTEKind::RTE_SUBQUERY => statistics::is_distinct_by(entry, &equalities),
            _ => false,
        }
    }
}

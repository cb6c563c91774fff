//! `… FROM t AS a JOIN t AS b ON a.id = b.id`, the id being unique: `… FROM t AS a`, with `a` for `b`.
//!
//! Both are the same row, so that nothing is joined to it (Pirahesh, Hellerstein and Hasan, "Extensible/rule based query
//! rewrite optimization in Starburst", SIGMOD 1992). The equality dropped rows whose key is null: where the table does not
//! say that there are none, a condition does.

use super::super::{list, statement};
use super::inner_joins::{InnerJoins, compared_columns, without_joins};
use super::make;
use super::statistics::{self, Equality};
use core::ffi::c_int;
use engine::rewrite::Set;
use pgrx::pg_sys;
use pgrx::pg_sys::RTEKind;

/// Whether a statement may join a table with itself: cheap, and false for most.
pub(crate) fn may_have_self_join(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: the planner is given a valid statement.
    unsafe {
        let tables = || {
            list::pointers::<pg_sys::RangeTblEntry>((*parse).rtable)
                .filter(|&entry| (*entry).rtekind == RTEKind::RTE_RELATION)
                .map(|entry| (*entry).relid)
                .enumerate()
        };
        let is_again =
            |(at, relid): (usize, pg_sys::Oid)| tables().take(at).any(|(_, before)| before == relid);
        statement::only_reads(parse) && tables().any(is_again)
    }
}

/// The statement without joins of a table with itself on a unique key; `None` where there are none.
pub(crate) fn drop_self_joins(parse: *mut pg_sys::Query) -> Option<*mut pg_sys::Query> {
    if !may_have_self_join(parse) {
        return None;
    }
    // SAFETY: the planner's statement, valid and not planned yet; what is found is of the joins.
    unsafe { without_joins(parse, |joins| find(joins).and_then(|pair| merge(joins, &pair))) }
}

/// Two items that are always the same row.
struct Pair {
    /// Their positions.
    kept: usize,
    other: usize,
    /// The conditions that say so, by position.
    on: Vec<usize>,
}

unsafe fn find(joins: &InnerJoins) -> Option<Pair> {
    let pairs = (0..joins.items.len()).flat_map(|other| (0..other).map(move |kept| (kept, other)));
    for (kept, other) in pairs {
        // SAFETY: as of `drop_self_joins`.
        if let Some(on) = unsafe { same_row(joins, kept, other) } {
            return Some(Pair { kept, other, on });
        }
    }
    None
}

/// The conditions that make two items the same row of one table.
unsafe fn same_row(joins: &InnerJoins, kept: usize, other: usize) -> Option<Vec<usize>> {
    let relation = |at: usize| joins.items.get(at)?.relation();
    let (kept, other) = (relation(kept)?, relation(other)?);
    // SAFETY: as of `drop_self_joins`.
    unsafe {
        let (one, two) = (make::entry(joins.query, kept), make::entry(joins.query, other));
        let is_same = (*one).rtekind == RTEKind::RTE_RELATION
            && (*two).rtekind == RTEKind::RTE_RELATION
            && (*one).relid == (*two).relid
            && (*one).inh == (*two).inh;
        if !is_same {
            return None;
        }
        let clauses = joins.clauses.iter().enumerate();
        let (places, equalities): (Vec<usize>, Vec<Equality>) = clauses
            .filter_map(|(at, &clause)| Some((at, equality(clause, kept, other)?)))
            .unzip();
        let keys = statistics::keys_among(one, &equalities);
        let key: Set = keys.into_iter().next()?;
        Some(key.positions().filter_map(|at| places.get(at).copied()).collect())
    }
}

/// `kept.column = other.column`, the same column of both.
unsafe fn equality(clause: *mut pg_sys::Node, kept: c_int, other: c_int) -> Option<Equality> {
    // SAFETY: a condition of the statement.
    let (operation, [left, right]) = unsafe { compared_columns(clause) }?;
    let relations = [left.varno as c_int, right.varno as c_int];
    let is_between = relations == [kept, other] || relations == [other, kept];
    let is_same = left.varattno == right.varattno && left.varattno > 0;
    (is_between && is_same).then_some(Equality {
        attribute: left.varattno,
        operator: operation.opno,
        collation: operation.inputcollid,
    })
}

/// Takes one of the items out, with the conditions that made it the same row; its range-table index.
unsafe fn merge(joins: &mut InnerJoins, pair: &Pair) -> Option<c_int> {
    let relation = |at: usize| joins.items.get(at)?.relation();
    let (kept, other) = (relation(pair.kept)?, relation(pair.other)?);
    // SAFETY: the statement was copied when it was read.
    unsafe {
        let mut clauses = Vec::new();
        for (at, &clause) in joins.clauses.iter().enumerate() {
            match pair.on.contains(&at) {
                true => clauses
                    .extend(compared_columns(clause).and_then(|(_, [column, _])| joins.not_null(column))),
                false => clauses.push(clause),
            }
        }
        let results = [(*joins.query).targetList.cast(), (*joins.query).havingQual];
        for node in clauses.iter().copied().chain(results) {
            pg_sys::ChangeVarNodes(node, other, kept, 0);
        }
        joins.clauses = clauses;
    }
    joins.items.remove(pair.other);
    Some(other)
}

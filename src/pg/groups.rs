//! The groups that a query level makes of its rows: what they are, so that their number is learned as that of any relation.
//!
//! A subquery that groups is a relation of the level around it. What it joins has a key; with what it groups by, HAVING and its
//! columns it has a source there, and joins with it have keys like others. Its rows are counted where its plan
//! aggregates, or where they are filtered further.

use super::level::{Level, Part, Storage};
use super::{expression, list};
use core::ffi::c_void;
use engine::cardinality::{Grouping, RelationSet, Term};
use pgrx::pg_sys;
use pgrx::pg_sys::{AggSplit, NodeTag};

/// The level below whose groups a relation is, and its source; `None` where it is no such relation, or its rows depend on more
/// than what they are grouped of.
///
/// # Safety
/// A relation of the planning under way, to which the levels belong.
pub(super) unsafe fn below<'l>(rel: &pg_sys::RelOptInfo, levels: &'l [Level]) -> Option<(&'l Level, u64)> {
    let root = rel.subroot;
    let level = levels.iter().find(|level| !root.is_null() && level.is_of(root))?;
    // SAFETY: by the caller's promise.
    unsafe {
        let is_lateral = !list::is_empty(rel.lateral_relids);
        let source = level.groups().filter(|_| !is_lateral)?;
        Some((level, source))
    }
}

impl Level {
    /// Its groups as a relation of the level around: of the same tables.
    pub(super) fn groups_as_base(&self, rtindex: usize) -> Storage {
        let tables = self.bases.iter().flat_map(|base| base.tables.iter().copied());
        Storage {
            rtindex,
            tables: tables.collect(),
            table_rows: self.bases.iter().map(|base| base.table_rows).sum(),
            groups: Some(self.root),
        }
    }

    /// The part that is all groups of a level below; `None` where they are filtered further.
    fn part_of_groups(&self, of: &Level) -> Option<Part> {
        let position = self.bases.iter().position(|base| base.groups == Some(of.root))?;
        let base = self.bases.get(position)?;
        // SAFETY: planning memory is alive as long as the level.
        let rel = unsafe { self.relation(base.rtindex)? };
        rel.baserestrictinfo.is_null().then_some(Part::Set(1 << position))
    }

    /// Whether any relation of a set is made of groups.
    pub(super) fn has_groups(&self, set: RelationSet) -> bool {
        self.members(set).any(|base| base.groups.is_some())
    }

    /// Its groups as the source of a relation.
    unsafe fn groups(&self) -> Option<u64> {
        // SAFETY: as of `below`; clauses have their targets.
        unsafe {
            let query = &*(*self.root).parse;
            if !is_plain(query) || (*self.root).hasPseudoConstantQuals {
                return None;
            }
            let target = |clause| pg_sys::get_sortgroupclause_expr(clause, query.targetList);
            let by = list::pointers(query.groupClause).map(target).collect();
            let columns = list::pointers::<pg_sys::TargetEntry>(query.targetList)
                .filter(|&column| !(*column).resjunk)
                .map(|column| (*column).expr.cast());
            let grouping = Grouping {
                by: self.terms(by)?,
                // An AND is a list of its parts during planning.
                having: self.terms(list::pointers(query.havingQual.cast()).collect())?,
                columns: self.terms(columns.collect())?,
            };
            self.graph.groups(self.whole(), &grouping)
        }
    }

    unsafe fn terms(&self, expressions: Vec<*mut pg_sys::Node>) -> Option<Vec<Term>> {
        let mut expressions = expressions.into_iter();
        // SAFETY: expressions of the level.
        expressions.try_fold(Vec::new(), |mut terms, expression| unsafe {
            terms.push(expression::term(expression.cast(), &self.positions)?);
            Some(terms)
        })
    }

    /// All of its relations.
    fn whole(&self) -> RelationSet {
        (0..self.bases.len()).fold(0, |set, position| set | 1 << position)
    }
}

/// Whether a query gives its groups, all of them and nothing else.
fn is_plain(query: &pg_sys::Query) -> bool {
    let without: [*const c_void; 6] = [
        query.groupingSets.cast(),
        query.distinctClause.cast(),
        query.setOperations.cast(),
        query.limitCount.cast(),
        query.limitOffset.cast(),
        query.rowMarks.cast(),
    ];
    !(query.groupClause.is_null() || query.hasWindowFuncs || query.hasTargetSRFs)
        && without.iter().all(|part| part.is_null())
}

/// The relation that the groups of a finished plan's node are, which aggregates `input`, with the number of its level.
///
/// # Safety
/// A node of a plan that was made of these levels, which are alive.
pub(super) unsafe fn made_by(
    plan: *const pg_sys::Plan,
    input: Option<(usize, Part)>,
    levels: &[Level],
    is_parallel: bool,
) -> Option<(usize, Part)> {
    let Some((number, Part::Set(set))) = input else {
        return None;
    };
    // SAFETY: by the caller's promise; the cast follows the tag.
    let is_final = unsafe {
        match list::tag(plan) {
            NodeTag::T_Agg => {
                let split = (*plan.cast::<pg_sys::Agg>()).aggsplit;
                split == AggSplit::AGGSPLIT_SIMPLE || split == AggSplit::AGGSPLIT_FINAL_DESERIAL
            }
            // One in each worker can't be told from the one above them.
            NodeTag::T_Group => !is_parallel,
            _ => false,
        }
    };
    let level = levels
        .get(number)
        .filter(|level| is_final && set == level.whole())?;
    let around = |(number, around): (usize, &Level)| Some((number, around.part_of_groups(level)?));
    levels.iter().enumerate().find_map(around)
}

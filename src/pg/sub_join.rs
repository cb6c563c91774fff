//! What the row model is told of a query level: tables, clauses without constants with their selectivities, what joins
//! them, and PostgreSQL's own estimates. Read of a finished plan, and only when somebody will learn from it or look at it.

use super::level::{Level, Part};
use super::{catalog, list};
use engine::cardinality::{JoinSketch, RelationGraph, RelationSet, TableFacts};
use pgrx::pg_sys;

/// A query level, or a child relation of one, for the row model.
#[derive(Debug)]
pub(crate) struct Sketched {
    pub(crate) sketch: JoinSketch,
    /// What its relations are called in the statement, by position.
    pub(crate) aliases: Vec<String>,
}

/// A relation of a sketch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SketchedSet {
    /// Which of the plan's sketches.
    pub(crate) sketch: usize,
    pub(crate) set: RelationSet,
    /// PostgreSQL's own estimate, out of no learned count.
    pub(crate) estimate: f64,
}

impl Level {
    /// The sketch of the level, or of one child in it.
    pub(super) fn sketch(&self, child: Option<usize>) -> Option<Sketched> {
        // SAFETY: a finished plan is read while planning memory is still alive.
        unsafe {
            match child {
                Some(rtindex) => {
                    let graph = self.child_graph(rtindex, self.relation(rtindex)?)?;
                    let sketched = self.sketch_of(&graph, &[(rtindex, self.relation(rtindex)?.tuples)])?;
                    // Children share their parent's alias.
                    let name = catalog::relation_name(self.range_table_entry(rtindex).relid)?;
                    Some(Sketched {
                        aliases: vec![name],
                        ..sketched
                    })
                }
                None => {
                    let bases = self.bases.iter().map(|base| (base.rtindex, base.table_rows));
                    let sizes: Vec<(usize, f64)> = bases
                        .map(|(rtindex, rows)| (rtindex, rows - self.counted_twice(rtindex)))
                        .collect();
                    self.sketch_of(&self.graph, &sizes)
                }
            }
        }
    }

    /// What a table with children was given for rows of its own.
    unsafe fn counted_twice(&self, rtindex: usize) -> f64 {
        // SAFETY: the planner's arrays.
        unsafe {
            if !self.range_table_entry(rtindex).inh {
                return 0.0;
            }
            self.relation(rtindex).map_or(0.0, |rel| rel.tuples.max(0.0))
        }
    }

    unsafe fn sketch_of(&self, graph: &RelationGraph, relations: &[(usize, f64)]) -> Option<Sketched> {
        let mut tables = Vec::with_capacity(relations.len());
        let mut aliases = Vec::with_capacity(relations.len());
        for &(rtindex, rows) in relations {
            // SAFETY: the planner's arrays.
            unsafe {
                let rel = self.relation(rtindex)?;
                let entry = self.range_table_entry(rtindex);
                tables.push(TableFacts {
                    // What is no table is in no set that is counted.
                    table: catalog::relation_hash(entry.relid).unwrap_or(0),
                    rows,
                    selectivities: self.selectivities(rel),
                });
                let alias = (*entry.eref).aliasname;
                aliases.push(core::ffi::CStr::from_ptr(alias).to_string_lossy().into_owned());
            }
        }
        Some(Sketched {
            sketch: graph.sketch(&tables),
            aliases,
        })
    }

    /// Of each restriction clause, alone.
    unsafe fn selectivities(&self, rel: &pg_sys::RelOptInfo) -> Vec<f64> {
        // SAFETY: the planner's list; a cached selectivity is negative until it is known, which it is not where extended
        // statistics or index conditions stood for the clause.
        unsafe {
            list::pointers::<pg_sys::RestrictInfo>(rel.baserestrictinfo)
                .map(|clause| {
                    let known = (*clause).norm_selec;
                    let selectivity = if known >= 0.0 {
                        known
                    } else {
                        let inner = pg_sys::JoinType::JOIN_INNER;
                        let nothing = core::ptr::null_mut();
                        pg_sys::clause_selectivity(self.root, clause.cast(), 0, inner, nothing)
                    };
                    selectivity.clamp(0.0, 1.0)
                })
                .collect()
        }
    }

    /// PostgreSQL's estimate of a part had nothing been corrected.
    ///
    /// A join is estimated once, from the first two inputs that make it: what one of them was corrected by it was
    /// corrected by, too.
    pub(super) fn uncorrected(&self, part: Part) -> Option<f64> {
        let (estimated, _) = self.rows(part)?;
        match part {
            Part::Set(set) if self.rows.own_estimate(set).is_some() => self.rows.own_estimate(set),
            Part::Set(set) if set.count_ones() > 1 && self.rows.are_corrected() => {
                // SAFETY: a finished plan is read while planning memory is still alive.
                let factor = unsafe { self.factor_of_inputs(set) };
                Some(estimated * factor)
            }
            _ => Some(estimated),
        }
    }

    /// By how much the inputs of a join were estimated higher before they were corrected.
    unsafe fn factor_of_inputs(&self, set: RelationSet) -> f64 {
        // SAFETY: the planner's lists.
        unsafe {
            let joined = list::pointers::<pg_sys::RelOptInfo>((*self.root).join_rel_list)
                .map(|rel| self.set_of((*rel).relids))
                .find(|&input| input & !set == 0 && input.count_ones() + 1 == set.count_ones());
            let first = joined.unwrap_or(set & set.wrapping_neg());
            let inputs = [first, set & !first];
            inputs
                .into_iter()
                .filter(|&input| !self.is_only_looked_up(input))
                .filter_map(|input| {
                    let (_, planned) = self.rows(Part::Set(input))?;
                    Some(self.uncorrected(Part::Set(input))? / planned.max(1.0))
                })
                .product()
        }
    }

    /// Whether a set is the inner side of a semi or anti join, whose size does not make the join's.
    pub(super) unsafe fn is_only_looked_up(&self, set: RelationSet) -> bool {
        // SAFETY: the planner's list.
        unsafe {
            list::pointers::<pg_sys::SpecialJoinInfo>((*self.root).join_info_list).any(|join| {
                let kind = (*join).jointype;
                (kind == pg_sys::JoinType::JOIN_SEMI || kind == pg_sys::JoinType::JOIN_ANTI)
                    && self.set_of((*join).min_righthand) == set
            })
        }
    }
}

//! The row estimates of a query level: corrected by what was counted, and what was not by what is expected.
//!
//! PostgreSQL estimates a join once, from the first two inputs that make it. What those were corrected by is taken out
//! again, so that what is expected of a join does not depend on which inputs came first.

use super::level::{Level, Part};
use super::list;
use super::sub_join::Sketched;
use crate::row_model;
use crate::settings;
use crate::steer::rows::{Knowledge, Prospect, to_plan_with};
use engine::cardinality::{LogCorrection, Propagation, RelationSet, RowPrediction};
use pgrx::pg_sys;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Relations of the largest joins that the row model is asked for: beyond, what it said of their parts says more.
const MODELLED: u32 = 3;
/// Questions to the row model per query level: a microsecond or two each.
const QUESTIONS: u32 = 48;

/// Natural logarithms of a relation's rows.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    /// PostgreSQL's estimate, out of no learned count.
    log_own: f64,
    /// What it is planned with.
    log_planned: f64,
}

/// An estimate that was corrected.
#[derive(Debug, Clone, Copy)]
struct Corrected {
    /// PostgreSQL's.
    estimated: f64,
    /// What it is planned with.
    planned: f64,
}

/// What the estimates of a level came to.
#[derive(Debug, Default)]
pub(super) struct LevelRows {
    /// What was corrected.
    corrected: HashMap<Part, Corrected>,
    sets: BTreeMap<RelationSet, Estimate>,
    /// Joins that were met.
    joins: HashSet<*mut pg_sys::RelOptInfo>,
    propagation: Propagation,
    /// The level as the row model sees it, when there is one.
    sketch: Option<Sketched>,
    /// Questions to the row model so far.
    questions: u32,
}

impl LevelRows {
    /// Whether any estimate was corrected.
    pub(super) fn are_corrected(&self) -> bool {
        !self.corrected.is_empty()
    }

    /// The corrected parts with what they are planned with.
    pub(super) fn planned(&self) -> impl Iterator<Item = (Part, f64)> {
        self.corrected
            .iter()
            .map(|(&part, corrected)| (part, corrected.planned))
    }

    /// PostgreSQL's estimate of a set out of no learned count, where the search met it.
    pub(super) fn own_estimate(&self, set: RelationSet) -> Option<f64> {
        self.sets.get(&set).map(|estimate| estimate.log_own.exp())
    }

    /// How much higher a set is planned than PostgreSQL would, as a natural logarithm.
    fn applied(&self, set: RelationSet) -> f64 {
        self.sets
            .get(&set)
            .map_or(0.0, |estimate| estimate.log_planned - estimate.log_own)
    }

    fn correct(&mut self, part: Part, rel: &mut pg_sys::RelOptInfo, planned: f64) {
        let estimated = rel.rows;
        self.corrected.insert(part, Corrected { estimated, planned });
        rel.rows = planned;
        // SAFETY: a relation of the planning under way.
        unsafe { super::paths::scale_subquery_paths(rel, planned / estimated) };
    }

    fn predict(&mut self, set: RelationSet, estimate: f64) -> Option<RowPrediction> {
        if set.count_ones() > MODELLED || self.questions >= QUESTIONS {
            return None;
        }
        self.questions += 1;
        if !settings::asks_row_model() {
            return None;
        }
        row_model::predict(&self.sketch.as_ref()?.sketch.sub_join(set, estimate))
    }
}

/// Corrections of a base relation or a join.
struct Correction {
    rows: Option<f64>,
    is_counted: bool,
}

impl Level {
    /// Corrects the base relations' row counts. Returns the corrected relations' range-table indexes.
    pub(crate) fn correct_bases(&mut self, knowledge: &Knowledge) -> Vec<usize> {
        if row_model::is_available() {
            self.rows.sketch = self.sketch(None);
        }
        let mut corrected = Vec::new();
        let mut parents: HashMap<usize, bool> = HashMap::new();
        let children: Vec<(usize, usize)> = self
            .children
            .iter()
            .map(|(&rt, (_, parent))| (rt, *parent))
            .collect();
        for (rtindex, parent) in children {
            if self.correct_child(rtindex, knowledge) {
                corrected.push(rtindex);
                parents.insert(parent, true);
            }
        }
        for position in 0..self.bases.len() {
            if self.correct_base(position, parents.contains_key(&position), knowledge) {
                corrected.push(self.bases[position].rtindex);
            }
        }
        corrected
    }

    fn correct_child(&mut self, rtindex: usize, knowledge: &Knowledge) -> bool {
        let part = Part::Child(rtindex);
        let Some(subject) = self.subject(part) else {
            return false;
        };
        // SAFETY: the relation belongs to this level's root, whose planning is under way.
        let Some(rel) = (unsafe { self.relation(rtindex).filter(|rel| !is_dummy(rel)) }) else {
            return false;
        };
        let log_estimate = rel.rows.max(1.0).ln();
        let prospect = Prospect {
            subject: Some(&subject),
            log_estimate,
            propagated: self.rows.propagation.expected(0),
        };
        let rows = match &knowledge.kept {
            Some(kept) => kept.get(part),
            None => {
                let expected = knowledge.expect(&prospect, || None);
                to_plan_with(
                    rel.rows,
                    log_estimate,
                    expected,
                    (knowledge.caution, f64::INFINITY),
                )
            }
        };
        let Some(rows) = rows else { return false };
        self.rows.correct(part, rel, rows);
        true
    }

    fn correct_base(&mut self, position: usize, has_children: bool, knowledge: &Knowledge) -> bool {
        let set: RelationSet = 1 << position;
        // SAFETY: as in `correct_child`.
        let rel = unsafe { self.relation(self.bases[position].rtindex) };
        let Some(rel) = rel.filter(|rel| !is_dummy(rel)) else {
            return false;
        };
        let log_own = rel.rows.max(1.0).ln();
        let corrected = self.correct(set, rel.rows, log_own, knowledge);
        let is_counted = corrected.is_counted;
        let summed = (has_children && !is_counted).then(|| self.sum_of_children(position));
        let rows = summed.or(corrected.rows);
        if let Some(summed) = summed {
            let expected = self.rows.propagation.expected(set);
            let mean = summed.ln() - log_own;
            self.rows
                .propagation
                .insert(set, LogCorrection { mean, ..expected });
        }
        self.plan_with(Part::Set(set), rel, log_own, rows);
        rows.is_some()
    }

    /// What a set is to be planned with, kept for the sets that contain it.
    fn correct(
        &mut self,
        set: RelationSet,
        estimated: f64,
        log_own: f64,
        knowledge: &Knowledge,
    ) -> Correction {
        if let Some(kept) = &knowledge.kept {
            return Correction {
                rows: kept.get(Part::Set(set)),
                is_counted: true,
            };
        }
        let subject = self.subject(Part::Set(set));
        // The row model knows tables.
        let has_groups = self.has_groups(set);
        let prospect = Prospect {
            subject: subject.as_ref(),
            log_estimate: log_own,
            propagated: self.rows.propagation.expected(set),
        };
        let expected = knowledge.expect(&prospect, || {
            let subject = subject.as_ref().filter(|_| !has_groups);
            subject.and_then(|_| self.rows.predict(set, log_own.exp()))
        });
        self.rows.propagation.insert(set, expected.0);
        let is_join = set.count_ones() > 1;
        let caution = if is_join { knowledge.caution } else { 0.0 };
        let members = self.members(set);
        let log_most: f64 = members
            .map(|base| match base.groups {
                Some(_) => f64::INFINITY,
                None => base.table_rows.max(1.0).ln(),
            })
            .sum();
        Correction {
            rows: to_plan_with(estimated, log_own, expected, (caution, log_most)),
            is_counted: expected.1,
        }
    }

    fn plan_with(&mut self, part: Part, rel: &mut pg_sys::RelOptInfo, log_own: f64, rows: Option<f64>) {
        if let Some(rows) = rows {
            self.rows.correct(part, rel, rows);
        }
        if let Part::Set(set) = part {
            let log_planned = rel.rows.max(1.0).ln();
            self.rows.sets.insert(set, Estimate { log_own, log_planned });
        }
    }

    /// An expanded table has as many rows as its children.
    fn sum_of_children(&self, position: usize) -> f64 {
        // SAFETY: as in `correct_child`.
        unsafe {
            let children = self
                .children
                .iter()
                .filter(|(_, (_, parent))| *parent == position);
            let rows = children
                .filter_map(|(&child, _)| self.relation(child))
                .filter(|rel| !is_dummy(rel));
            rows.map(|rel| rel.rows).sum::<f64>().max(1.0)
        }
    }

    /// Whether a join of this level was not corrected yet, and can be.
    pub(crate) fn is_new_join(&self, rel: *mut pg_sys::RelOptInfo) -> bool {
        // SAFETY: `set_join_pathlist_hook`'s arguments. The genetic search makes and forgets the same joins over and over;
        // the joins of partitions are part of their tables' join.
        let is_wanted = unsafe {
            (*rel).reloptkind == pg_sys::RelOptKind::RELOPT_JOINREL && !(*self.root).join_rel_level.is_null()
        };
        is_wanted && self.is_describable() && !self.rows.joins.contains(&rel)
    }

    /// Corrects a join relation that has no other paths yet than those of its first inputs. True where that changes its rows.
    pub(crate) fn correct_join(
        &mut self,
        rel: *mut pg_sys::RelOptInfo,
        inputs: [*mut pg_sys::RelOptInfo; 2],
        knowledge: &Knowledge,
    ) -> bool {
        self.rows.joins.insert(rel);
        // SAFETY: `set_join_pathlist_hook`'s arguments, of this level's root.
        unsafe {
            let set = self.set_of((*rel).relids);
            let applied: f64 = inputs
                .map(|input| self.applied_to(self.set_of((*input).relids)))
                .iter()
                .sum();
            let log_own = (*rel).rows.max(1.0).ln() - applied;
            let corrected = self.correct(set, (*rel).rows, log_own, knowledge);
            // All paths to the whole give the same rows: an expectation would only cost time there.
            let is_whole = set.count_ones() as usize == self.bases.len();
            // The server that makes a join of foreign tables is asked for it once.
            let is_foreign = !(*rel).fdwroutine.is_null();
            let rows = corrected
                .rows
                .filter(|_| !is_foreign && (corrected.is_counted || !is_whole));
            self.plan_with(Part::Set(set), &mut *rel, log_own, rows);
            rows.is_some()
        }
    }

    /// What the estimate of a join was corrected by because one of the inputs that first made it was.
    unsafe fn applied_to(&self, input: RelationSet) -> f64 {
        // SAFETY: by the caller's promise.
        let is_counted = unsafe { !self.is_only_looked_up(input) };
        if is_counted { self.rows.applied(input) } else { 0.0 }
    }

    /// PostgreSQL's own estimate of a part, and the row count it was planned with.
    pub(super) fn rows(&self, part: Part) -> Option<(f64, f64)> {
        // SAFETY: planning memory is still alive when the finished plan is read.
        let planned = unsafe { self.rows_now(part) }?;
        let corrected = self.rows.corrected.get(&part);
        Some((
            corrected.map_or(planned, |corrected| corrected.estimated),
            planned,
        ))
    }

    unsafe fn rows_now(&self, part: Part) -> Option<f64> {
        // SAFETY: by the caller's promise.
        unsafe {
            match part {
                Part::Child(rtindex) => self.relation(rtindex).map(|rel| rel.rows),
                Part::Set(set) if set.count_ones() == 1 => self
                    .relation(self.bases[set.trailing_zeros() as usize].rtindex)
                    .map(|rel| rel.rows),
                Part::Set(set) => list::pointers::<pg_sys::RelOptInfo>((*self.root).join_rel_list)
                    .find(|&rel| self.set_of((*rel).relids) == set)
                    .map(|rel| (*rel).rows),
            }
        }
    }
}

/// Whether a relation is proven empty.
fn is_dummy(rel: &pg_sys::RelOptInfo) -> bool {
    // SAFETY: a valid relation, which the function only reads.
    unsafe { pg_sys::is_dummy_rel(core::ptr::from_ref(rel).cast_mut()) }
}

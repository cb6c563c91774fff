//! What is alike in row estimates: a sub-join as numbers and hashes without constants, and the parts of it that other
//! sub-joins share.
//!
//! ```text
//!   comments[score = _] ── users[views <= _]          parts (features)            value
//!        userid = id                          edge    {c.userid, u.id}            1
//!                                             class   {c.userid, u.id}            1
//!                                             clause  score = _   (u.views <= _)  ln(1 − √(1 − s))
//!                                             edge × clause       (both)          (1 − s)^⅛
//! ```
//!
//! `s` is the clause's estimated selectivity. Clauses are hashed without constants, as in AQO (Ivanov and Bartunov,
//! "Adaptive Cardinality Estimation", 2017). A part is worth a share of ln(true rows / estimated rows): the edge what the
//! join's skew adds, the edge with a clause what the clause does to the join beyond its own rows, by how much it cuts
//! off; the eighth root because cutting one percent off a skewed column takes more than a hundredth of the joined rows.

use super::mixing::{hash_words, mix};
use serde::{Deserialize, Serialize};

/// Parts of one sub-join that are looked at; the most general come first.
pub const MAX_FEATURES: usize = 80;
/// Selectivities below this are taken as this.
const LEAST_SELECTIVITY: f64 = 1e-6;
/// What a clause that keeps all rows counts as cutting off.
const LEAST_CUT: f64 = 1e-5;

/// Tags that keep kinds of parts apart.
mod tag {
    pub(super) const CLAUSE: u64 = 21;
    pub(super) const EDGE: u64 = 22;
    pub(super) const EDGE_CLAUSE: u64 = 23;
    pub(super) const CLASS: u64 = 24;
    pub(super) const GRAPH: u64 = 25;
}

/// A clause that restricts one base relation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClauseEstimate {
    /// The clause without constants and without the alias: table, columns, operators, hashed.
    pub template: u64,
    /// Its estimated selectivity alone, in [0, 1].
    pub selectivity: f64,
}

/// A base relation of a sub-join.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BaseRelation {
    /// The table, hashed.
    pub table: u64,
    /// Rows of the table, before any clause.
    pub rows: f64,
    /// Its restriction clauses.
    pub clauses: Vec<ClauseEstimate>,
}

/// Columns joined with one another inside the sub-join: the members of an equivalence class, or the sides of any other
/// join clause.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct JoinClass {
    /// 0 for equality; otherwise the join clause without constants, hashed.
    pub kind: u64,
    /// Position of the relation in the sub-join, and the column with its table, hashed (no alias).
    pub members: Vec<(usize, u64)>,
}

/// A base relation or a join of several, as the planner sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SubJoin {
    /// The base relations.
    pub relations: Vec<BaseRelation>,
    /// What joins them.
    pub joins: Vec<JoinClass>,
    /// The planner's own estimate of its rows: made without any learned count, of parts neither.
    pub estimate: f64,
}

/// Variances expected of the share of each kind of part before anything is learned (natural logarithms squared). 0 leaves
/// the kind out. The defaults are those that predict held-out statements of STATS best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PriorVariances {
    /// Of a clause's own estimate.
    pub clause: f64,
    /// Of a pair of joined columns.
    pub edge: f64,
    /// Of a clause on either side of such a pair.
    pub edge_clause: f64,
    /// Of a whole set of joined columns.
    pub class: f64,
}

impl Default for PriorVariances {
    fn default() -> Self {
        Self {
            clause: 0.05,
            edge: 0.3,
            edge_clause: 0.1,
            class: 0.5,
        }
    }
}

/// A part of a sub-join: its weight is what is learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feature {
    /// What it is, hashed.
    pub id: u64,
    /// How much of it there is, times the standard deviation expected of it.
    pub value: f64,
}

impl SubJoin {
    /// The natural logarithm of the estimate, of at least one row.
    pub fn log_estimate(&self) -> f64 {
        log_rows(self.estimate)
    }

    /// The natural logarithm of the most rows there can be: the product of the tables.
    pub fn log_most(&self) -> f64 {
        self.relations
            .iter()
            .map(|relation| log_rows(relation.rows))
            .sum()
    }

    /// Its parts, at most [`MAX_FEATURES`]. A part may occur twice.
    ///
    /// Complexity: O(Σ members² · clauses).
    pub fn features(&self, variances: &PriorVariances) -> Vec<Feature> {
        let mut features = Vec::with_capacity(32);
        let mut add = |id: u64, value: f64, variance: f64| {
            if variance > 0.0 && features.len() < MAX_FEATURES {
                let value = value * variance.sqrt();
                features.push(Feature { id, value });
            }
        };
        for class in &self.joins {
            add(class.template(tag::CLASS), 1.0, variances.class);
            class
                .pairs()
                .for_each(|pair| add(pair.template, 1.0, variances.edge));
        }
        for clause in self.relations.iter().flat_map(|relation| &relation.clauses) {
            add(
                hash_words([tag::CLAUSE, clause.template]),
                clause.log_tail(),
                variances.clause,
            );
        }
        for pair in self.joins.iter().flat_map(JoinClass::pairs) {
            for clause in pair.sides.iter().flat_map(|&side| self.clauses_of(side)) {
                let id = hash_words([tag::EDGE_CLAUSE, pair.template, clause.template]);
                add(id, clause.cut(), variances.edge_clause);
            }
        }
        features
    }

    /// The tables and what joins them, without clauses: sub-joins of one graph are compared by their clauses.
    pub fn graph_template(&self) -> u64 {
        let sum = |hashes: &mut dyn Iterator<Item = u64>| {
            hashes.fold(0u64, |sum, hash| sum.wrapping_add(mix(tag::GRAPH, hash)))
        };
        let tables = sum(&mut self.relations.iter().map(|relation| relation.table));
        let classes = sum(&mut self.joins.iter().map(|class| class.template(tag::CLASS)));
        hash_words([tag::GRAPH, tables, classes])
    }

    /// Where it lies among the sub-joins of its graph: clause templates, ascending, and the square root of −ln(product of
    /// their selectivities).
    pub fn clause_point(&self) -> Vec<(u64, f32)> {
        let clauses = self.relations.iter().flat_map(|relation| &relation.clauses);
        let mut logs: Vec<(u64, f64)> = clauses
            .map(|clause| (clause.template, -clause.bounded().ln()))
            .collect();
        logs.sort_unstable_by_key(|(template, _)| *template);
        logs.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            kept.1 += if is_same { next.1 } else { 0.0 };
            is_same
        });
        let point = logs
            .into_iter()
            .map(|(template, log)| (template, log.sqrt() as f32));
        point.collect()
    }

    fn clauses_of(&self, relation: usize) -> &[ClauseEstimate] {
        self.relations
            .get(relation)
            .map_or(&[], |relation| &relation.clauses)
    }
}

impl ClauseEstimate {
    fn bounded(&self) -> f64 {
        if self.selectivity.is_nan() {
            1.0
        } else {
            self.selectivity.clamp(LEAST_SELECTIVITY, 1.0)
        }
    }

    /// ln(1 − √(1 − s)): the logarithm of what is left when the share cut off is felt by its square root.
    fn log_tail(&self) -> f64 {
        (1.0 - (1.0 - self.bounded()).sqrt()).max(1e-3).ln()
    }

    /// (1 − s)^⅛: how much is cut off, as a skewed join feels it.
    fn cut(&self) -> f64 {
        (1.0 - self.bounded()).max(LEAST_CUT).sqrt().sqrt().sqrt()
    }
}

/// Two joined columns.
struct Pair {
    template: u64,
    sides: [usize; 2],
}

impl JoinClass {
    fn template(&self, tag: u64) -> u64 {
        let members = self
            .members
            .iter()
            .fold(0u64, |sum, (_, column)| sum.wrapping_add(mix(tag, *column)));
        hash_words([tag, self.kind, members])
    }

    fn pairs(&self) -> impl Iterator<Item = Pair> + '_ {
        self.members
            .iter()
            .enumerate()
            .flat_map(move |(at, &(left, first))| {
                let rest = self.members.iter().skip(at + 1);
                rest.map(move |&(right, second)| Pair {
                    template: hash_words([tag::EDGE, self.kind, first.min(second), first.max(second)]),
                    sides: [left, right],
                })
            })
    }
}

/// The natural logarithm of a number of rows, of at least one; not a number counts as one.
pub(super) fn log_rows(rows: f64) -> f64 {
    rows.clamp(1.0, f64::MAX).max(1.0).ln()
}

//! The row count to plan a relation with: counted, at least as many as were seen, or expected from what is known of its
//! parts; none where that is not different enough to matter.

use crate::pg::catalog;
use crate::pg::level::{Part, Subject};
use crate::settings;
use crate::shmem::corrections;
use crate::shmem::layout::{Correction, Tables};
use crate::shmem::planned_rows::KeptRows;
use engine::cardinality::{LogCorrection, RowPrediction, is_material, trust};
use engine::decision::TableState;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a planning knows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Knowledge {
    /// What was first learned up to this sequence number; 0 is nothing.
    pub(crate) cutoff: u64,
    /// How many standard deviations above its centre an expectation is planned with; counts are certain.
    pub(crate) caution: f32,
    /// What the decision's plan was planned with, where that is kept: then with nothing else.
    pub(crate) kept: Option<KeptLevel>,
}

/// The kept row counts of a query level.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptLevel {
    pub(crate) rows: Rc<KeptRows>,
    /// The level's number, in the order in which PostgreSQL plans them.
    pub(crate) number: usize,
}

impl KeptLevel {
    /// What a part was planned with, unless that was PostgreSQL's estimate.
    pub(crate) fn get(&self, part: Part) -> Option<f64> {
        self.rows.get(part.number(self.number))
    }
}

/// A learned row count, or a lower bound of one, and how far it is believed now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Learned {
    pub(crate) correction: Correction,
    /// In (0, 1].
    pub(crate) belief: f64,
}

impl Learned {
    pub(crate) fn is_bound(&self) -> bool {
        self.correction.is_bound != 0
    }
}

/// A relation to be planned, before anything is learned of it alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prospect<'s> {
    /// What it is, if that can be described.
    pub(crate) subject: Option<&'s Subject>,
    /// The natural logarithm of PostgreSQL's estimate out of no learned count.
    pub(crate) log_estimate: f64,
    /// What is known of its parts says this.
    pub(crate) propagated: LogCorrection,
}

/// A factor by which an expectation must differ from the estimate to be worth new paths.
const LEAST_EXPECTED: f64 = 1.25;

impl Knowledge {
    /// How far PostgreSQL's estimate of a relation is expected to be off, and whether it was counted. `predict` asks the
    /// row model, which is not done for what was counted.
    pub(crate) fn expect(
        &self,
        prospect: &Prospect<'_>,
        predict: impl FnOnce() -> Option<RowPrediction>,
    ) -> (LogCorrection, bool) {
        let known = prospect.subject.and_then(learned);
        let known = known.filter(|known| known.correction.sequence <= self.cutoff);
        // Where a count has faded, what the row model learned of the same tables has, too.
        let is_faded = known.is_none() && prospect.subject.is_some_and(has_faded);
        let of_rows = |rows: f64| rows.max(1.0).ln() - prospect.log_estimate;
        match known {
            Some(known) if !known.is_bound() => {
                let counted = LogCorrection::counted(of_rows(known.correction.rows));
                (counted.believed(known.belief, prospect.propagated), true)
            }
            bound => {
                let predicted = if is_faded { None } else { predict() };
                let predicted = predicted.map(|rows| LogCorrection::predicted(&rows, prospect.log_estimate));
                let expected = predicted.map_or(prospect.propagated, |predicted| {
                    prospect.propagated.combined_with(predicted)
                });
                let bounded = bound.map(|bound| {
                    let least = expected.at_least(of_rows(bound.correction.rows));
                    least.believed(bound.belief, expected)
                });
                (bounded.unwrap_or(expected), false)
            }
        }
    }
}

/// The row count to plan with instead of `estimated`, unless it is much the same; so many standard deviations above what is
/// expected, and at most as many as `log_most` says.
pub(crate) fn to_plan_with(
    estimated: f64,
    log_estimate: f64,
    (expected, is_counted): (LogCorrection, bool),
    (caution, log_most): (f32, f64),
) -> Option<f64> {
    let log_rows = log_estimate + expected.cautious(f64::from(caution));
    let rows = log_rows.min(log_most.max(log_estimate)).max(0.0).exp();
    let is_different = if is_counted {
        is_material(estimated, rows)
    } else {
        rows.max(estimated) > rows.min(estimated) * LEAST_EXPECTED
    };
    (is_different && rows.is_finite()).then(|| rows.round().max(1.0))
}

/// What is known of a relation, unless its tables changed too much since.
pub(crate) fn learned(subject: &Subject) -> Option<Learned> {
    let correction = corrections::lookup(catalog::database(), subject.key.0)?;
    let changed = modifications(&subject.tables).saturating_sub(correction.modifications);
    let belief = trust(changed as f64, correction.table_rows)?;
    if correction.is_bound != 0 && !settings::believes_bounds() {
        return None;
    }
    Some(Learned { correction, belief })
}

/// Whether something was learned of a relation whose tables changed too much since.
fn has_faded(subject: &Subject) -> bool {
    corrections::lookup(catalog::database(), subject.key.0).is_some() && learned(subject).is_none()
}

/// What was counted of a relation to its end, unless its tables changed too much since.
pub(crate) fn counted(subject: &Subject) -> Option<Learned> {
    learned(subject).filter(|known| !known.is_bound())
}

/// Whether a relation was counted to its end, believed or not.
pub(crate) fn was_counted(subject: &Subject) -> bool {
    corrections::lookup(catalog::database(), subject.key.0).is_some_and(|known| known.is_bound == 0)
}

/// The tables of these subjects as they are.
pub(crate) fn tables_of<'s>(subjects: impl Iterator<Item = &'s Subject>) -> Tables {
    let of_one = subjects.filter(|subject| subject.tables.len() == 1);
    let known: BTreeMap<u32, f64> = of_one
        .flat_map(|subject| subject.tables.iter().map(|&table| (table, subject.table_rows)))
        .collect();
    let mut tables = Tables {
        rows: known.values().sum(),
        ..Tables::default()
    };
    let places = tables.relations.iter_mut();
    places.zip(known.keys()).for_each(|(kept, &table)| *kept = table);
    tables.modifications = modifications(&relations(&tables));
    tables
}

/// Tables as they are, to compare latencies by.
pub(crate) fn state_of(tables: &[u32]) -> TableState {
    let rows = tables.iter().map(|&table| catalog::table_rows(table)).sum();
    TableState::new(tables, rows, modifications(tables))
}

/// Whether what was learned of tables is still to be believed.
pub(crate) fn are_much_the_same(tables: &Tables) -> bool {
    let changed = modifications(&relations(tables)).saturating_sub(tables.modifications);
    trust(changed as f64, tables.rows).is_some()
}

fn relations(tables: &Tables) -> Vec<u32> {
    let known = tables.relations.into_iter();
    known.take_while(|&table| table != 0).collect()
}

/// Rows changed in these tables since their statistics began.
pub(crate) fn modifications(tables: &[u32]) -> u64 {
    tables.iter().map(|&table| catalog::modifications(table)).sum()
}

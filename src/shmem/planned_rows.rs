//! The row counts that the plan in use of a statement class was planned with.
//!
//! What is learned moves on: lower bounds rise, the row model learns. The same decision then gives another plan, and the one
//! that was measured to be fast is lost. So its row counts are kept, of one plan per class, and planned with again.

use super::layout::{PlannedRows, Tables};
use crate::pg::catalog;
use crate::pg::shmem::{Update, shared};
use engine::decision::Decision;

/// Row counts by part of the statement, see [`crate::pg::level`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptRows {
    cutoff: u64,
    is_cautious: bool,
    pub(crate) tables: Tables,
    parts: Vec<(u64, f64)>,
}

impl KeptRows {
    /// Whether this decision's plan was made with them.
    pub(crate) fn are_of(&self, decision: Decision) -> bool {
        decision.cutoff > 0
            && self.cutoff == decision.cutoff
            && self.is_cautious == decision.hints.is_cautious()
    }

    /// What a part was planned with, unless that was PostgreSQL's estimate.
    pub(crate) fn get(&self, part: u64) -> Option<f64> {
        let known = self.parts.iter().find(|(known, _)| *known == part);
        known.map(|&(_, rows)| rows)
    }
}

/// What is kept of a class.
pub(crate) fn get(class: u64) -> Option<KeptRows> {
    let kept = shared()?.planned_rows.get(class)?;
    Some(KeptRows {
        cutoff: kept.cutoff,
        is_cautious: kept.is_cautious != 0,
        tables: kept.tables,
        parts: kept.planned(),
    })
}

/// Keeps what the best plan of a class was planned with, of these tables; nothing when that is too much.
pub(crate) fn keep(class: u64, decision: Decision, planned: &[(u64, f64)], tables: Tables) {
    let Some(shared) = shared() else { return };
    let fresh = PlannedRows {
        tables,
        ..PlannedRows::new(catalog::database(), catalog::user(), class)
    };
    if let Some(kept) = fresh.with(decision, planned) {
        shared.planned_rows.update(class, |_| Update::Put(kept));
    }
}

/// All that is kept in a database.
pub(crate) fn of_database(database: u32) -> Vec<PlannedRows> {
    let found = shared().map(|shared| shared.planned_rows.collect(|_, kept| kept.database == database));
    let all = found.unwrap_or_default().into_iter();
    all.map(|(_, kept)| kept).collect()
}

/// Puts back what was kept before the server started, unless something is kept since.
pub(crate) fn restore(stored: PlannedRows) {
    let Some(shared) = shared() else { return };
    shared.planned_rows.update(stored.class, |known| match known {
        Some(_) => Update::Keep,
        None => Update::Put(stored),
    });
}

/// Forgets a database's, or those of one of its roles.
pub(crate) fn reset(database: u32, role: Option<u32>) {
    if let Some(shared) = shared() {
        let is_meant =
            |kept: &PlannedRows| kept.database == database && role.is_none_or(|role| role == kept.user);
        shared.planned_rows.remove_if(|_, kept| is_meant(kept));
    }
}

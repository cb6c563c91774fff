//! The row count to plan a relation with: learned, believed, and different enough to matter; else none.

use crate::pg::catalog;
use crate::pg::level::Subject;
use crate::shmem::corrections;
use crate::shmem::layout::Correction;
use engine::cardinality::{blend, is_material, trust};

/// A learned row count and how far it is believed now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Learned {
    pub(crate) correction: Correction,
    /// In (0, 1].
    pub(crate) belief: f64,
}

/// What is known of a relation, unless its tables changed too much since.
pub(crate) fn learned(subject: &Subject) -> Option<Learned> {
    let correction = corrections::lookup(catalog::database(), subject.key.0)?;
    let changed = modifications(&subject.tables).saturating_sub(correction.modifications);
    let belief = trust(changed as f64, correction.table_rows)?;
    Some(Learned { correction, belief })
}

/// Whether a count of a relation is known, believed or not.
pub(crate) fn was_learned(subject: &Subject) -> bool {
    corrections::lookup(catalog::database(), subject.key.0).is_some()
}

/// Rows changed in these tables since their statistics began.
pub(crate) fn modifications(tables: &[u32]) -> u64 {
    tables.iter().map(|&table| catalog::modifications(table)).sum()
}

/// The row count to plan with, if it was learned up to `cutoff` and differs from PostgreSQL's estimate.
pub(crate) fn to_plan_with(subject: &Subject, estimated: f64, cutoff: u64) -> Option<f64> {
    let Learned { correction, belief } = learned(subject)?;
    let rows = blend(estimated, correction.rows, belief);
    (correction.sequence <= cutoff && is_material(estimated, rows)).then(|| rows.round().max(1.0))
}

//! How much the tables of a statement changed since its latencies were measured.

use crate::cardinality::hash_words;

/// Share of the rows that changed from which on latencies are measured again: twice what PostgreSQL asks for a new ANALYZE by default.
const CHANGED: f64 = 0.2;

/// The tables that a statement reads, as they were at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct TableState {
    /// Which they are; 0 is not known.
    tables: u64,
    /// Sum of their rows.
    rows: f64,
    /// Sum of their inserted, updated and deleted rows since these are counted.
    modifications: u64,
}

impl TableState {
    /// Of these tables.
    pub fn new(tables: &[u32], rows: f64, modifications: u64) -> Self {
        if tables.is_empty() {
            return Self::default();
        }
        Self {
            tables: hash_words(tables.iter().map(|&table| u64::from(table))).max(1),
            rows,
            modifications,
        }
    }

    /// Whether so many rows changed since that latencies may be others.
    pub(super) fn has_changed_since(&self, earlier: &Self) -> bool {
        let changed = self.modifications.saturating_sub(earlier.modifications);
        self.is_comparable_to(earlier) && changed as f64 > CHANGED * earlier.rows.max(1.0)
    }

    /// Whether it is of the same tables, counted from the same moment.
    pub(super) fn is_comparable_to(&self, earlier: &Self) -> bool {
        self.tables == earlier.tables && self.tables != 0 && self.modifications >= earlier.modifications
    }

    pub(super) fn is_known(&self) -> bool {
        self.tables != 0
    }

    /// As words to store.
    pub(super) fn words(&self) -> [u64; 3] {
        [self.tables, self.rows.to_bits(), self.modifications]
    }

    /// What [`Self::words`] gave.
    pub(super) fn from_words([tables, rows, modifications]: [u64; 3]) -> Self {
        Self {
            tables,
            rows: f64::from_bits(rows),
            modifications,
        }
    }
}

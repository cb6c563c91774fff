//! The row counts that the plan in use of a statement class was planned with.
//!
//! What is learned moves on: lower bounds rise, the row model learns. The same decision then gives another plan, and the one
//! that was measured to be fast is lost. So its row counts are kept, of one plan per class, and planned with again.

use super::layout::{PLANNED_PARTS, PlannedRows, Tables};
use crate::pg::catalog;
use crate::pg::shmem::{Update, shared};
use engine::cardinality::hash_words;
use engine::decision::Decision;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Pieces of one class at most; of a plan with more nothing is kept. Enough for all joins of ten tables.
const PIECES: usize = 8;

/// Row counts by part of the statement, see [`crate::pg::level::Part`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptRows {
    class: u64,
    user: u32,
    cutoff: u64,
    is_cautious: bool,
    /// What was there to count.
    pub(crate) tables: Tables,
    parts: Vec<(u64, f64)>,
}

impl KeptRows {
    /// What a plan of this user's was made with.
    pub(crate) fn new(class: u64, decision: Decision, tables: Tables, parts: Vec<(u64, f64)>) -> Self {
        Self {
            class,
            user: catalog::user(),
            cutoff: decision.cutoff,
            is_cautious: decision.hints.is_cautious(),
            tables,
            parts,
        }
    }

    /// What pieces make, in their order; `None` unless all of it is there.
    fn assemble(pieces: &[PlannedRows]) -> Option<Self> {
        let first = pieces.first()?;
        let together: Vec<_> = pieces.iter().filter(|piece| piece.stamp == first.stamp).collect();
        if together.len() != first.pieces as usize {
            return None;
        }
        let parts = together.into_iter().flat_map(|piece| {
            let parts = piece.parts.into_iter().zip(piece.rows);
            parts.take(piece.count as usize)
        });
        let mut parts: Vec<(u64, f64)> = parts.collect();
        parts.sort_unstable_by_key(|&(part, _)| part);
        Some(Self {
            class: first.class,
            user: first.user,
            cutoff: first.cutoff,
            is_cautious: first.is_cautious != 0,
            tables: first.tables,
            parts,
        })
    }

    /// As they lie in shared memory; none when they are too many.
    fn pieces(&self, database: u32) -> Vec<PlannedRows> {
        let of_parts = self.parts.iter().flat_map(|&(part, rows)| [part, rows.to_bits()]);
        let stamp = hash_words(
            [self.cutoff, u64::from(self.is_cautious)]
                .into_iter()
                .chain(of_parts),
        );
        // Nothing was corrected: that is kept, too.
        let pieces = self.parts.len().div_ceil(PLANNED_PARTS).max(1);
        let kept = if pieces > PIECES { 0 } else { pieces };
        let piece = |piece: usize| {
            let mut stored = PlannedRows {
                class: self.class,
                stamp,
                cutoff: self.cutoff,
                database,
                user: self.user,
                is_cautious: u32::from(self.is_cautious),
                count: 0,
                piece: piece as u32,
                pieces: pieces as u32,
                tables: self.tables,
                parts: [0; PLANNED_PARTS],
                rows: [0.0; PLANNED_PARTS],
            };
            let places = stored.parts.iter_mut().zip(&mut stored.rows);
            for (place, &known) in places.zip(self.parts.iter().skip(piece * PLANNED_PARTS)) {
                (*place.0, *place.1) = known;
                stored.count += 1;
            }
            stored
        };
        (0..kept).map(piece).collect()
    }

    /// Whether this decision's plan was made with them.
    pub(crate) fn are_of(&self, decision: Decision) -> bool {
        decision.cutoff > 0
            && self.cutoff == decision.cutoff
            && self.is_cautious == decision.hints.is_cautious()
    }

    /// What a part was planned with, unless that was PostgreSQL's estimate.
    pub(crate) fn get(&self, part: u64) -> Option<f64> {
        let place = self.parts.binary_search_by_key(&part, |&(known, _)| known);
        self.parts.get(place.ok()?).map(|&(_, rows)| rows)
    }
}

/// Where a piece of a class's lies.
fn place(class: u64, piece: u32) -> u64 {
    if piece == 0 {
        class
    } else {
        hash_words([class, u64::from(piece)])
    }
}

/// What is kept of a class.
pub(crate) fn get(class: u64) -> Option<KeptRows> {
    let known = &shared()?.planned_rows;
    let first = known.get(class)?;
    let others = (1..first.pieces).map_while(|piece| known.get(place(class, piece)));
    let pieces: Vec<PlannedRows> = std::iter::once(first).chain(others).collect();
    KeptRows::assemble(&pieces)
}

/// Keeps what the best plan of a class was planned with; nothing when that is too much.
pub(crate) fn keep(kept: &KeptRows) {
    let Some(shared) = shared() else { return };
    for piece in kept.pieces(catalog::database()) {
        let at = place(piece.class, piece.piece);
        shared.planned_rows.update(at, |_| Update::Put(piece));
    }
}

/// All that is kept in a database.
pub(crate) fn of_database(database: u32) -> Vec<KeptRows> {
    let found = shared().map(|shared| shared.planned_rows.collect(|_, kept| kept.database == database));
    let mut by_class: BTreeMap<u64, BTreeMap<u32, PlannedRows>> = BTreeMap::new();
    for (_, piece) in found.unwrap_or_default() {
        by_class
            .entry(piece.class)
            .or_default()
            .insert(piece.piece, piece);
    }
    let whole = by_class
        .into_values()
        .map(|pieces| pieces.into_values().collect::<Vec<_>>());
    whole.filter_map(|pieces| KeptRows::assemble(&pieces)).collect()
}

/// Puts back what was kept before the server started, unless something is kept since.
pub(crate) fn restore(database: u32, kept: &KeptRows) {
    let Some(shared) = shared() else { return };
    for piece in kept.pieces(database) {
        let at = place(piece.class, piece.piece);
        shared.planned_rows.put_if_absent(at, piece);
    }
}

/// Forgets a database's, or those of one of its roles.
pub(crate) fn reset(database: u32, role: Option<u32>) {
    if let Some(shared) = shared() {
        let is_meant =
            |kept: &PlannedRows| kept.database == database && role.is_none_or(|role| role == kept.user);
        shared.planned_rows.remove_if(|_, kept| is_meant(kept));
    }
}

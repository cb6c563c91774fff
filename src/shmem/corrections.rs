//! Learned row counts, by relation key and database.

use super::counters;
use super::layout::{Correction, MAX_RELATIONS};
use crate::pg::shmem::{Update, shared};
use engine::cardinality::{hash_words, is_material, trust};
use std::sync::atomic::Ordering;

/// A count of a relation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observation<'t> {
    pub(crate) rows: f64,
    /// It was not counted to its end: a lower bound.
    pub(crate) is_bound: bool,
    pub(crate) estimated_rows: f64,
    pub(crate) table_rows: f64,
    pub(crate) modifications: u64,
    pub(crate) queryid: i64,
    pub(crate) measured_at: i64,
    /// Who alone may know it; 0 is everybody.
    pub(crate) role: u32,
    /// OIDs of the tables, ascending.
    pub(crate) relations: &'t [u32],
}

/// What became of an observation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Learned {
    /// The relation was not known, or its count changed by more than a tenth; a lower bound that says no more than what is
    /// known is not new.
    pub(crate) is_new_or_changed: bool,
    /// Its sequence number, when it was not known.
    pub(crate) new_sequence: Option<u64>,
}

fn place(database: u32, key: u64) -> u64 {
    hash_words([u64::from(database), key])
}

/// What is known of a relation.
pub(crate) fn lookup(database: u32, key: u64) -> Option<Correction> {
    shared()?.corrections.get(place(database, key))
}

/// The newest sequence number given to a learned relation.
pub(crate) fn newest() -> u64 {
    shared().map_or(0, |shared| shared.counters.sequence.load(Ordering::Relaxed))
}

/// Takes up an observation. A lower bound gives way to any count and to a higher bound; a count gives way to a bound only
/// where the bound proves it wrong or its tables changed too much.
pub(crate) fn learn(database: u32, key: u64, seen: &Observation<'_>) -> Learned {
    let Some(shared) = shared() else {
        return Learned {
            is_new_or_changed: false,
            new_sequence: None,
        };
    };
    let mut relations = [0; MAX_RELATIONS];
    relations
        .iter_mut()
        .zip(seen.relations)
        .for_each(|(kept, &seen)| *kept = seen);
    let mut new_sequence = None;
    let mut is_changed = false;
    let next_sequence = || shared.counters.sequence.fetch_add(1, Ordering::Relaxed) + 1;
    shared.corrections.update(place(database, key), |known| {
        if known.is_some_and(|known| seen.is_bound && outweighs(&known, seen)) {
            return Update::Keep;
        }
        is_changed = known.is_some_and(|known| is_material(known.rows, seen.rows));
        Update::Put(Correction {
            relation_key: key,
            rows: seen.rows,
            estimated_rows: seen.estimated_rows,
            table_rows: seen.table_rows,
            modifications: seen.modifications,
            // A number of its own, taken under the lock: who reads it as the newest finds this entry.
            sequence: known.map_or_else(|| *new_sequence.insert(next_sequence()), |known| known.sequence),
            queryid: seen.queryid,
            measured_at: seen.measured_at,
            observations: known.map_or(0, |known| known.observations).saturating_add(1),
            database,
            relation_count: seen.relations.len() as u32,
            dirty: 1,
            is_bound: u32::from(seen.is_bound),
            role: seen.role,
            relations,
        })
    });
    if new_sequence.is_some() {
        counters::add_relations_learned(1);
    }
    Learned {
        is_new_or_changed: new_sequence.is_some() || is_changed,
        new_sequence,
    }
}

/// Whether what is known says more than a lower bound.
fn outweighs(known: &Correction, bound: &Observation<'_>) -> bool {
    let changed = bound.modifications.saturating_sub(known.modifications);
    trust(changed as f64, known.table_rows).is_some() && known.rows >= bound.rows
}

/// Puts back what was learned before the server started. What was learned again meanwhile keeps its count, and gets its
/// place in the order of learning back.
pub(crate) fn restore(stored: Correction) {
    let Some(shared) = shared() else { return };
    shared
        .counters
        .sequence
        .fetch_max(stored.sequence, Ordering::Relaxed);
    shared
        .corrections
        .update(place(stored.database, stored.relation_key), |known| match known {
            Some(known) if known.measured_at >= stored.measured_at => Update::Put(Correction {
                sequence: stored.sequence.min(known.sequence),
                ..known
            }),
            _ => Update::Put(stored),
        });
}

/// What was learned in a database and not written down yet; it counts as written from now on.
pub(crate) fn take_dirty(database: u32) -> Vec<Correction> {
    let Some(shared) = shared() else { return Vec::new() };
    let dirty = shared
        .corrections
        .collect(|_, entry| entry.database == database && entry.dirty != 0);
    dirty
        .into_iter()
        .map(|(place, entry)| {
            set_dirty(place, &entry, 0);
            entry
        })
        .collect()
}

/// Marks entries as not written after all.
pub(crate) fn give_back(entries: &[Correction]) {
    entries
        .iter()
        .for_each(|entry| set_dirty(place(entry.database, entry.relation_key), entry, 1));
}

fn set_dirty(place: u64, seen: &Correction, dirty: u32) {
    let Some(shared) = shared() else { return };
    shared.corrections.update(place, |known| match known {
        // Learned again since it was copied: still to be written.
        Some(known) if known.observations == seen.observations => Update::Put(Correction { dirty, ..known }),
        _ => Update::Keep,
    });
}

/// Relations that can be known, of all databases.
pub(crate) fn capacity() -> usize {
    shared().map_or(0, |shared| shared.corrections.capacity())
}

/// Relations known in a database.
pub(crate) fn count(database: u32) -> usize {
    shared().map_or(0, |shared| {
        shared
            .corrections
            .collect(|_, entry| entry.database == database)
            .len()
    })
}

/// Forgets what was learned in a database, or what one role alone knows of it.
pub(crate) fn reset(database: u32, role: Option<u32>) -> usize {
    let is_whose = |entry: &Correction| role.is_none_or(|role| entry.role == role);
    shared().map_or(0, |shared| {
        shared
            .corrections
            .remove_if(|_, entry| entry.database == database && is_whose(entry))
    })
}

//! Uses of patterns, noted where they are looked up and taken over by the learner: looking up writes no table, so that it
//! works in a read-only transaction and on a standby and waits for nobody.

use super::layout::Use;
use crate::pg::shmem::{Update, shared};

fn place(database: u32, pattern: u64) -> u64 {
    engine::cardinality::hash_words([u64::from(database), pattern, 1]).max(1)
}

/// Notes a use at this time.
pub(crate) fn note(database: u32, pattern: u64, at: i64) {
    let Some(shared) = shared() else { return };
    shared.uses.update(place(database, pattern), |known| {
        Update::Put(Use {
            pattern,
            database,
            count: known.map_or(0, |known| known.count).saturating_add(1),
            last_at: known.map_or(at, |known| known.last_at.max(at)),
        })
    });
}

/// What waits of a pattern.
pub(crate) fn waiting(database: u32, pattern: u64) -> Option<Use> {
    shared()?.uses.get(place(database, pattern))
}

/// What waits of a database.
pub(crate) fn of_database(database: u32) -> Vec<Use> {
    let Some(shared) = shared() else { return Vec::new() };
    let found = shared.uses.collect(|_, known| known.database == database);
    found.into_iter().map(|(_, known)| known).collect()
}

/// Takes away what the learner took over; what was noted since stays.
pub(crate) fn settle(taken: &[Use]) {
    let Some(shared) = shared() else { return };
    for taken in taken {
        shared
            .uses
            .update(place(taken.database, taken.pattern), |known| match known {
                Some(known) => Update::Put(Use {
                    count: known.count.saturating_sub(taken.count),
                    ..known
                }),
                None => Update::Keep,
            });
    }
    shared.uses.remove_if(|_, known| known.count == 0);
}

/// Forgets a database's.
pub(crate) fn reset(database: u32) {
    if let Some(shared) = shared() {
        shared.uses.remove_if(|_, known| known.database == database);
    }
}

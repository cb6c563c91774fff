//! What attention mechanisms earned, per plan shape: the arms of the bandit.

use super::layout::Arms;
use crate::pg::shmem::{Update, shared};
use engine::attention::{BanditSettings, MechanismId, PatternArms};

fn place(database: u32, pattern: u64) -> u64 {
    engine::cardinality::hash_words([u64::from(database), pattern]).max(1)
}

/// What is known of a pattern; nothing at first.
pub(crate) fn get(database: u32, pattern: u64) -> PatternArms {
    let known = shared().and_then(|shared| shared.arms.get(place(database, pattern)));
    known.map_or_else(|| PatternArms::new(pattern), |known| known.arms)
}

/// A mechanism earned a reward in [0, 1] for a plan of this pattern.
pub(crate) fn reward(
    database: u32,
    pattern: u64,
    mechanism: MechanismId,
    reward: f64,
    settings: &BanditSettings,
) {
    let Some(shared) = shared() else { return };
    shared.arms.update(place(database, pattern), |known| {
        let mut arms = known.map_or_else(|| PatternArms::new(pattern), |known| known.arms);
        arms.update(mechanism, reward, settings);
        Update::Put(Arms { database, arms })
    });
}

/// Of all patterns of a database.
pub(crate) fn all(database: u32) -> Vec<PatternArms> {
    let found = shared().map(|shared| shared.arms.collect(|_, known| known.database == database));
    let all = found.unwrap_or_default().into_iter();
    all.map(|(_, known)| known.arms).collect()
}

/// Puts back what was earned before the server started; what was earned since stays.
pub(crate) fn restore(database: u32, arms: PatternArms) {
    if let Some(shared) = shared() {
        shared
            .arms
            .put_if_absent(place(database, arms.pattern), Arms { database, arms });
    }
}

/// Forgets a database's.
pub(crate) fn reset(database: u32) {
    if let Some(shared) = shared() {
        shared.arms.remove_if(|_, known| known.database == database);
    }
}

//! What plans took that were made with stock's row counts: how long operators take on this server is fitted to it.

use super::layout::PlanTiming;
use crate::pg::catalog;
use crate::pg::shmem::{Update, shared};
use engine::cardinality::hash_words;
use engine::decision::{PlanCosts, Timing};

/// Takes up what a plan of a class takes as far as is known, or after how long it was given up.
pub(crate) fn note(class: u64, shape: u64, costs: PlanCosts, outcome: Result<f64, f64>) {
    let Some(shared) = shared() else { return };
    let (Ok(ms) | Err(ms)) = outcome;
    let timing = PlanTiming {
        class,
        shape,
        database: catalog::database(),
        user: catalog::user(),
        costs,
        ms: ms as f32,
        is_bound: u32::from(outcome.is_err()),
    };
    shared.timings.update(key(class, shape), |_| Update::Put(timing));
}

fn key(class: u64, shape: u64) -> u64 {
    hash_words([class, shape]).max(1)
}

/// What plans of a database took, to fit times to.
pub(crate) fn to_fit(database: u32) -> Vec<Timing> {
    let timing = |known: PlanTiming| {
        let ms = f64::from(known.ms);
        Timing {
            statement: known.class,
            costs: known.costs,
            outcome: if known.is_bound != 0 { Err(ms) } else { Ok(ms) },
        }
    };
    of_database(database).into_iter().map(timing).collect()
}

/// All that is known in a database.
pub(crate) fn of_database(database: u32) -> Vec<PlanTiming> {
    let found = shared().map(|shared| shared.timings.collect(|_, known| known.database == database));
    found
        .unwrap_or_default()
        .into_iter()
        .map(|(_, known)| known)
        .collect()
}

/// Puts back what was known before the server started, unless something is known since.
pub(crate) fn restore(database: u32, known: PlanTiming) {
    if let Some(shared) = shared() {
        let known = PlanTiming { database, ..known };
        shared.timings.put_if_absent(key(known.class, known.shape), known);
    }
}

/// Forgets a database's, or those of one of its roles.
pub(crate) fn reset(database: u32, role: Option<u32>) {
    if let Some(shared) = shared() {
        let is_meant =
            |known: &PlanTiming| known.database == database && role.is_none_or(|role| role == known.user);
        shared.timings.remove_if(|_, known| is_meant(known));
    }
}

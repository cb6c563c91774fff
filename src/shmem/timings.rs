//! What plans took that were made with stock's row counts: how long operators take on this server is fitted to it.

use super::layout::PlanTiming;
use crate::pg::catalog;
use crate::pg::shmem::{Update, shared};
use engine::cardinality::hash_words;
use engine::decision::{PlanCosts, Timing};

/// A plan that ran.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran {
    pub(crate) class: u64,
    pub(crate) shape: u64,
    pub(crate) costs: PlanCosts,
}

/// Takes up what a plan takes as far as is known, or after how long it was given up.
pub(crate) fn note(ran: &Ran, outcome: Result<f64, f64>) {
    let Some(shared) = shared() else { return };
    let (Ok(ms) | Err(ms)) = outcome;
    let timing = PlanTiming {
        class: ran.class,
        shape: ran.shape,
        database: catalog::database(),
        user: catalog::user(),
        costs: ran.costs,
        ms: ms as f32,
        is_bound: u32::from(outcome.is_err()),
    };
    shared
        .timings
        .update(key(ran.class, ran.shape), |_| Update::Put(timing));
}

fn key(class: u64, shape: u64) -> u64 {
    hash_words([class, shape]).max(1)
}

impl PlanTiming {
    fn timing(&self) -> Timing {
        let ms = f64::from(self.ms);
        Timing {
            statement: self.class,
            costs: self.costs,
            outcome: if self.is_bound != 0 { Err(ms) } else { Ok(ms) },
        }
    }
}

/// What plans of a database took, to fit times to.
pub(crate) fn to_fit(database: u32) -> Vec<Timing> {
    of_database(database).iter().map(PlanTiming::timing).collect()
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

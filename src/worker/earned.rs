//! What attention mechanisms earned, kept over restarts in `dag_state`.

use super::persist;
use crate::shmem::events::{self, Kind};
use crate::shmem::experiences::{self, KeptExperience};
use crate::shmem::layout::{PlanTiming, Template};
use crate::shmem::planned_rows::{self, KeptRows};
use crate::shmem::{arms, guards, regions, timings};
use engine::attention::PatternArms;
use engine::decision::{ArmStatistics, GAINS, HintSet};
use pgrx::spi::SpiResult;
use serde::{Deserialize, Serialize};

/// The row of `dag_state`.
pub(super) const PART: &str = "attention";
/// The version that is written, the only one there was.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Earned {
    version: u32,
    patterns: Vec<PatternArms>,
    /// What hint sets brought; what another version wrote has none.
    #[serde(default)]
    hint_sets: Vec<[f32; GAINS.len()]>,
    /// Statements whatever their constants.
    #[serde(default)]
    templates: Vec<Template>,
    /// Row counts that plans in use were planned with.
    #[serde(default)]
    planned_rows: Vec<KeptRows>,
    /// What hint sets did to statement classes.
    #[serde(default)]
    experiences: Vec<KeptExperience>,
    /// What plans took.
    #[serde(default)]
    timings: Vec<PlanTiming>,
    /// The planner costs that fit this server, as bits of a hint set.
    #[serde(default)]
    costs: u32,
}

/// Writes down what mechanisms earned in a database, in the transaction under way.
pub(super) fn save(database: u32) {
    let guard = guards::get(database);
    let earned = Earned {
        version: VERSION,
        patterns: arms::all(database),
        hint_sets: guard.arms.counts().to_vec(),
        templates: regions::of_database(database),
        planned_rows: planned_rows::of_database(database),
        experiences: experiences::of_database(database),
        timings: timings::of_database(database),
        costs: guard.costs,
    };
    let Ok(bytes) = serde_json::to_vec(&earned) else {
        return;
    };
    persist::run(
        "INSERT INTO ruvector.dag_state (part, state, learned_up_to, revision, settings, saved_at) \
         VALUES ($1, $2, 0, 1, '{}', now()) ON CONFLICT (part) DO UPDATE SET state = excluded.state, \
         revision = dag_state.revision + 1, saved_at = excluded.saved_at",
        &[PART.into(), bytes.into()],
    );
}

/// Loads it after a start. What can't be read is left, and overwritten with what is earned anew.
pub(super) fn load(database: u32) -> SpiResult<()> {
    let Some(bytes) = persist::state_of(PART)? else {
        return Ok(());
    };
    match read(&bytes) {
        Ok(earned) => {
            guards::restore(
                database,
                ArmStatistics::from_counts(&earned.hint_sets),
                HintSet::from_bits(earned.costs),
            );
            let templates = earned.templates.into_iter();
            templates.for_each(|template| regions::restore(Template { database, ..template }));
            earned
                .planned_rows
                .iter()
                .for_each(|kept| planned_rows::restore(database, kept));
            earned
                .experiences
                .iter()
                .for_each(|kept| experiences::restore(database, kept));
            earned
                .timings
                .into_iter()
                .for_each(|timing| timings::restore(database, timing));
            super::costs::fit_times(database);
            let patterns = earned.patterns.into_iter();
            patterns.for_each(|pattern| arms::restore(database, pattern));
        }
        Err(_) => {
            events::note(Kind::StateRefused, [0.0; 2]);
            pgrx::warning!("ruvector_dag can't read what attention mechanisms earned, and begins anew");
        }
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Earned, String> {
    let earned: Earned = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match earned.version {
        VERSION => Ok(earned),
        version => Err(format!("of version {version}")),
    }
}

/// Why what is stored can't be read; none when it can.
pub(super) fn why_unreadable(state: &[u8]) -> Option<String> {
    read(state).err()
}

/// Forgets it.
pub(super) fn forget() {
    persist::run("DELETE FROM ruvector.dag_state WHERE part = $1", &[PART.into()]);
}

//! What hint sets did to statement classes, beside their stock plans: what a statement never seen is planned by.

use super::layout::ClassExperience;
use crate::pg::catalog;
use crate::pg::shmem::{Update, shared};
use crate::settings;
use engine::decision::{
    Experience, HintSet, Lesson, Measured, PlanSketch, Possibilities, StoredExperience, promising,
};
use serde::{Deserialize, Serialize};

/// A class's, as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeptExperience {
    class: u64,
    user: u32,
    experience: StoredExperience,
}

/// Takes up the stock plan of a class; with another one its experience begins anew.
pub(crate) fn note_stock(class: u64, shape: u64, sketch: PlanSketch) {
    let Some(shared) = shared() else { return };
    let is_known = |known: &ClassExperience| known.experience.shape == shape;
    if shared.experiences.get(class).as_ref().is_some_and(is_known) {
        return;
    }
    let fresh = ClassExperience {
        class,
        database: catalog::database(),
        user: catalog::user(),
        experience: Experience::new(shape, sketch),
    };
    shared.experiences.update(class, |_| Update::Put(fresh));
}

/// Takes up what was measured beside the stock plan of this shape.
pub(crate) fn record(class: u64, shape: u64, measured: &Measured) {
    let (Some(shared), Some(lesson)) = (shared(), Lesson::of(measured)) else {
        return;
    };
    shared.experiences.change(class, |known| {
        if known.experience.shape == shape {
            known.experience.learn(&lesson);
        }
    });
}

/// The hint sets that a statement never seen may be planned with, the most promising first.
pub(crate) fn promising_for(plan: &PlanSketch, possible: &Possibilities) -> Vec<HintSet> {
    let known: Vec<Experience> = ours().into_iter().map(|(_, known)| known.experience).collect();
    promising(plan, &known, possible, settings::confidence())
}

/// What the current user may be told.
fn ours() -> Vec<(u64, ClassExperience)> {
    let (database, user) = (catalog::database(), catalog::user());
    let is_ours = |known: &ClassExperience| {
        known.database == database && (known.user == user || !settings::keeps_roles_apart())
    };
    shared().map_or(Vec::new(), |shared| {
        shared.experiences.collect(|_, known| is_ours(known))
    })
}

/// What is known of a class.
pub(crate) fn of_class(class: u64) -> Option<Experience> {
    shared()?.experiences.get(class).map(|known| known.experience)
}

/// All that is known in a database.
pub(crate) fn of_database(database: u32) -> Vec<KeptExperience> {
    let found = shared().map(|shared| shared.experiences.collect(|_, known| known.database == database));
    let all = found.unwrap_or_default().into_iter();
    all.map(|(class, known)| KeptExperience {
        class,
        user: known.user,
        experience: known.experience.to_stored(),
    })
    .collect()
}

/// Puts back what was known before the server started, unless something is known since.
pub(crate) fn restore(database: u32, kept: &KeptExperience) {
    let Some(shared) = shared() else { return };
    let known_before = ClassExperience {
        class: kept.class,
        database,
        user: kept.user,
        experience: Experience::from_stored(&kept.experience),
    };
    shared.experiences.put_if_absent(kept.class, known_before);
}

/// Forgets a database's, or those of one of its roles.
pub(crate) fn reset(database: u32, role: Option<u32>) {
    if let Some(shared) = shared() {
        let is_meant = |known: &ClassExperience| {
            known.database == database && role.is_none_or(|role| role == known.user)
        };
        shared.experiences.remove_if(|_, known| is_meant(known));
    }
}

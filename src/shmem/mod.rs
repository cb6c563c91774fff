//! What backends and workers share: learned row counts, statement classes, executions on their way to the worker,
//! counters. Safe calls on top of [`crate::pg::shmem`]; the locks are described in [`layout`].

pub(crate) mod layout;
pub(crate) mod corrections;
pub(crate) mod statements;
pub(crate) mod regions;
pub(crate) mod experiences;
pub(crate) mod timings;
pub(crate) mod planned_rows;
pub(crate) mod guards;
pub(crate) mod arms;
pub(crate) mod uses;
pub(crate) mod ring;
pub(crate) mod snapshots;
pub(crate) mod row_models;
pub(crate) mod databases;
pub(crate) mod counters;
pub(crate) mod latencies;
pub(crate) mod events;

pub(crate) use crate::pg::shmem::is_preloading;
use crate::pg::shmem::{LOCK_WORK_BYTES, Sizes, Usage, lock_bytes, request, shared};
use crate::settings;
use layout::{Arms, ClassExperience, Correction, PlanTiming, PlannedRows, Statement, Template, Trajectory};
use std::sync::atomic::Ordering;

/// Databases that can have the extension at a time.
const DATABASES: usize = 1024;
/// Databases in which decisions are watched over at a time; that of the least recently used one is begun anew.
const GUARDS: usize = 64;
/// Patterns whose uses wait for the learner at a time; those used longest ago are forgotten first.
const USES: usize = 4096;

/// Asks for shared memory, or warns that the library was not preloaded and returns false.
pub(crate) fn init() -> bool {
    if !is_preloading() {
        pgrx::warning!(
            "ruvector_dag must be loaded via shared_preload_libraries: nothing is learned or steered"
        );
        return false;
    }
    request(sizes());
    true
}

/// Whether there is shared memory.
pub(crate) fn is_available() -> bool {
    shared().is_some()
}

/// A quarter of the setting each for the ring, row counts, statement classes, of whose part a sixteenth each is for the arms of
/// attention, for regions, for the row counts of plans in use, for what hint sets did and for what plans took, and snapshots of what the worker
/// learned, half of them row models. A sixteenth more is for what is measured of our own work, a quarter of that for the log.
fn sizes() -> Sizes {
    let bytes = settings::shared_memory_bytes();
    Sizes {
        trajectories: (bytes / 4 / size_of::<Trajectory>())
            .min(settings::max_trajectories())
            .max(1),
        corrections: bytes / 4 / (size_of::<Correction>() + 16),
        statements: bytes / 4 / 16 * 11 / (size_of::<Statement>() + 16),
        arms: bytes / 4 / 16 / (size_of::<Arms>() + 16),
        uses: USES,
        guards: GUARDS,
        templates: bytes / 4 / 16 / (size_of::<Template>() + 16),
        planned_rows: bytes / 4 / 16 / (size_of::<PlannedRows>() + 16),
        experiences: bytes / 4 / 16 / (size_of::<ClassExperience>() + 16),
        timings: bytes / 4 / 16 / (size_of::<PlanTiming>() + 16),
        databases: DATABASES,
        snapshot: bytes / 8 / crate::pg::snapshots::SLOTS,
        latencies: bytes / 64 * 3 / size_of::<latencies::Slot>(),
        events: bytes / 64 / size_of::<events::Slot>(),
    }
}

/// Each part of shared memory and what it takes.
pub(crate) fn usage() -> Vec<(&'static str, Usage)> {
    let Some(shared) = shared() else { return Vec::new() };
    let fixed = |bytes| Usage {
        allocated: bytes,
        used: bytes,
        peak: bytes,
    };
    vec![
        ("corrections", shared.corrections.usage()),
        ("statement_classes", shared.statements.usage()),
        ("trajectory_ring", shared.ring.usage()),
        ("attention_arms", shared.arms.usage()),
        ("pattern_uses", shared.uses.usage()),
        ("decision_guards", shared.guards.usage()),
        ("plan_regions", shared.templates.usage()),
        ("planned_rows", shared.planned_rows.usage()),
        ("experiences", shared.experiences.usage()),
        ("plan_timings", shared.timings.usage()),
        ("snapshots", shared.snapshots.usage()),
        ("row_models", shared.row_models.usage()),
        ("databases", shared.databases.usage()),
        ("latencies", latencies::usage(shared.latencies)),
        (
            "log",
            events::usage(shared.events, shared.counters.events.load(Ordering::Relaxed)),
        ),
        ("counters", fixed(size_of::<counters::Counters>())),
        ("locks", fixed(lock_bytes())),
        ("lock_work", fixed(LOCK_WORK_BYTES)),
    ]
}

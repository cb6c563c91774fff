//! Counters since the server started, and the clocks of the tables.

use super::latencies;
use crate::pg::shmem::shared;
use engine::attention::MechanismId;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Lies in shared memory; zero is its first state.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Counters {
    /// Clock of table accesses, for the least recently used.
    pub(crate) tick: AtomicU64,
    /// Newest sequence number of a learned relation.
    pub(crate) sequence: AtomicU64,
    /// Where the next execution goes in the ring.
    pub(crate) ring_cursor: AtomicU64,
    /// Entries written to the log.
    pub(crate) events: AtomicU64,
    /// When the last cycle of any worker ended.
    pub(crate) last_cycle_at: AtomicI64,
    /// When the launcher looked around last, in seconds.
    launcher_at: AtomicI64,
    /// When the counters began, or were reset.
    begun_at: AtomicI64,
    statements_seen: AtomicU64,
    statements_too_fast: AtomicU64,
    statements_learned: AtomicU64,
    relations_learned: AtomicU64,
    corrections_applied: AtomicU64,
    /// Trials under way that end when a user's statement begins …
    watched_trials: AtomicU64,
    /// … and the statements that began during such.
    user_statements: AtomicU64,
    trials_run: AtomicU64,
    trials_cut_off: AtomicU64,
    replanned: AtomicU64,
    trajectories_written: AtomicU64,
    trajectories_dropped: AtomicU64,
    sub_joins_dropped: AtomicU64,
    worker_cycles: AtomicU64,
    internal_errors: AtomicU64,
    latencies_dropped: AtomicU64,
    log_entries_dropped: AtomicU64,
    embeddings: AtomicU64,
    embedding_nanoseconds: AtomicU64,
    instant_learnings: AtomicU64,
    instant_nanoseconds: AtomicU64,
    attention: [Attention; CHOICES],
    /// Of the other parts of shared memory.
    pub(crate) peaks: Peaks,
}

/// The most that was in use at a time: entries of tables, slots of the ring, bytes of snapshots.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Peaks {
    pub(crate) corrections: AtomicU64,
    pub(crate) statements: AtomicU64,
    pub(crate) databases: AtomicU64,
    pub(crate) arms: AtomicU64,
    pub(crate) uses: AtomicU64,
    pub(crate) guards: AtomicU64,
    pub(crate) templates: AtomicU64,
    pub(crate) planned_rows: AtomicU64,
    pub(crate) experiences: AtomicU64,
    pub(crate) timings: AtomicU64,
    pub(crate) ring: AtomicU64,
    pub(crate) snapshots: AtomicU64,
    pub(crate) row_models: AtomicU64,
}

/// Attention mechanisms and their ensemble.
const CHOICES: usize = MechanismId::ALL.len() + 1;

/// How often and how long a mechanism weighed plans.
#[derive(Default)]
#[repr(C)]
struct Attention {
    invocations: AtomicU64,
    hits: AtomicU64,
    nanoseconds: AtomicU64,
}

/// The same, read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionCount {
    /// Plans weighed.
    pub(crate) invocations: u64,
    /// Of these, found in a session's cache.
    pub(crate) hits: u64,
    /// Time it took.
    pub(crate) nanoseconds: u64,
}

/// Notes that a plan was weighed by the mechanism at a place.
pub(crate) fn note_attention(place: usize, took: Duration, is_hit: bool) {
    let Some(shared) = shared() else { return };
    let Some(attention) = shared.counters.attention.get(place) else {
        return;
    };
    attention.invocations.fetch_add(1, Ordering::Relaxed);
    attention.hits.fetch_add(u64::from(is_hit), Ordering::Relaxed);
    let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    attention.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    latencies::record(latencies::Component::Attention, took);
}

/// Of each mechanism, in the order of their places.
pub(crate) fn attention() -> Vec<AttentionCount> {
    let Some(shared) = shared() else { return Vec::new() };
    let read = |attention: &Attention| AttentionCount {
        invocations: attention.invocations.load(Ordering::Relaxed),
        hits: attention.hits.load(Ordering::Relaxed),
        nanoseconds: attention.nanoseconds.load(Ordering::Relaxed),
    };
    shared.counters.attention.iter().map(read).collect()
}

macro_rules! counters {
    ($($add:ident $field:ident $text:literal),* $(,)?) => {
        $(
            #[doc = concat!("Adds to: ", $text, "; answers how many there are then")]
            pub(crate) fn $add(count: u64) -> u64 {
                shared().map_or(0, |shared| {
                    shared.counters.$field.fetch_add(count, Ordering::Relaxed) + count
                })
            }
        )*

        fn reset_counts(counters: &Counters) {
            $(counters.$field.store(0, Ordering::Relaxed);)*
        }

        /// Every counter by name.
        pub(crate) fn all() -> Vec<(&'static str, u64)> {
            let Some(shared) = shared() else { return Vec::new() };
            vec![$((stringify!($field), shared.counters.$field.load(Ordering::Relaxed))),*]
        }
    };
}

counters! {
    add_statements_seen statements_seen "executions observed",
    add_statements_too_fast statements_too_fast "executions below dag_min_duration",
    add_statements_learned statements_learned "executions learned from",
    add_relations_learned relations_learned "relations whose row count was learned for the first time",
    add_corrections_applied corrections_applied "row estimates replaced in plans",
    add_trials_run trials_run "trials that ran",
    add_trials_cut_off trials_cut_off "trials that were given up",
    add_replanned replanned "plannings repeated because the plan is known to be slower",
    add_trajectories_written trajectories_written "executions written to dag_trajectories",
    add_trajectories_dropped trajectories_dropped "executions dropped because the ring was full",
    add_sub_joins_dropped sub_joins_dropped "executions whose counts were too many for the row model to be told",
    add_worker_cycles worker_cycles "cycles of the workers",
    add_internal_errors internal_errors "failures of our own that were swallowed",
    add_latencies_dropped latencies_dropped "latencies that found no histogram",
    add_log_entries_dropped log_entries_dropped "entries of the log that two processes wrote to the same place at once",
    add_embeddings embeddings "plans of executions made to embeddings",
    add_instant_learnings instant_learnings "executions sessions learned from at once",
    add_instant_nanoseconds instant_nanoseconds "what that took",
    add_embedding_nanoseconds embedding_nanoseconds "what that took, from the live plan on",
}

/// One counter by name; 0 of an unknown one.
pub(crate) fn count(name: &str) -> u64 {
    let known = all().into_iter().find(|(known, _)| *known == name);
    known.map_or(0, |(_, count)| count)
}

/// A user's statement begins, if `is_user_statement` says so. Counted only while somebody watches: all sessions would write to
/// the same cache line.
pub(crate) fn note_user_statement(is_user_statement: impl FnOnce() -> bool) {
    if let Some(shared) = shared()
        && shared.counters.watched_trials.load(Ordering::Relaxed) > 0
        && is_user_statement()
    {
        shared.counters.user_statements.fetch_add(1, Ordering::Relaxed);
    }
}

/// Users' statements that began while somebody watched.
pub(crate) fn user_statements() -> u64 {
    shared().map_or(0, |shared| {
        shared.counters.user_statements.load(Ordering::Relaxed)
    })
}

/// While it lives, users' statements are counted.
#[derive(Debug)]
pub(crate) struct UserStatementWatch(());

impl UserStatementWatch {
    pub(crate) fn begin() -> Self {
        if let Some(shared) = shared() {
            shared.counters.watched_trials.fetch_add(1, Ordering::Relaxed);
        }
        Self(())
    }
}

impl Drop for UserStatementWatch {
    fn drop(&mut self) {
        if let Some(shared) = shared() {
            shared.counters.watched_trials.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The launcher looks around.
pub(crate) fn note_launcher(seconds: i64) {
    if let Some(shared) = shared() {
        shared.counters.launcher_at.store(seconds, Ordering::Relaxed);
    }
}

/// When the launcher looked around last, in seconds of PostgreSQL's clock; 0 before it first did.
pub(crate) fn launcher_at() -> i64 {
    shared().map_or(0, |shared| shared.counters.launcher_at.load(Ordering::Relaxed))
}

/// Notes when counting began.
pub(crate) fn begin(counters: &Counters, at: i64) {
    let begun = counters.begun_at.load(Ordering::Relaxed);
    if begun == 0 {
        counters.begun_at.store(at, Ordering::Relaxed);
    }
}

/// Since when it is counted, and when a worker's cycle ended last (0: none did), as PostgreSQL counts it.
pub(crate) fn times() -> (i64, i64) {
    shared().map_or((0, 0), |shared| {
        let counters = shared.counters;
        let time = |at: &AtomicI64| at.load(Ordering::Relaxed);
        (time(&counters.begun_at), time(&counters.last_cycle_at))
    })
}

/// Counts anew. What others count meanwhile may be lost.
pub(crate) fn reset(at: i64) {
    let Some(shared) = shared() else { return };
    reset_counts(shared.counters);
    for attention in &shared.counters.attention {
        attention.invocations.store(0, Ordering::Relaxed);
        attention.hits.store(0, Ordering::Relaxed);
        attention.nanoseconds.store(0, Ordering::Relaxed);
    }
    shared.counters.begun_at.store(at, Ordering::Relaxed);
}

/// Notes the end of a worker's cycle.
pub(crate) fn note_cycle(at: i64) {
    add_worker_cycles(1);
    if let Some(shared) = shared() {
        shared.counters.last_cycle_at.store(at, Ordering::Relaxed);
    }
}

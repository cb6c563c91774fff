//! How long our own work and the statements we follow took lately: a histogram per database, component and minute.
//!
//! There is no lock. A histogram is found by its key among a few, and recording adds to atomics. A minute's first recording
//! takes the oldest of those histograms over; who still adds to that one then, an hour late, is counted in the wrong minute.

use super::counters;
use crate::pg::catalog;
use crate::pg::shmem::{Usage, shared};
use crate::trace;
use engine::histogram::{BUCKETS, Histogram, bucket_of};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Minutes that are kept, if there is room.
pub(crate) const KEPT_MINUTES: i64 = 60;
/// Histograms among which one is looked for.
const WAYS: usize = 8;
/// The key of a histogram that somebody takes over at the moment.
const TAKEN: u64 = u64::MAX;
const COMPONENT_BITS: u32 = 6;
const MINUTE_BITS: u32 = 26;

/// What takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Component {
    /// Before planning: which statement it is, what is known of it, what to plan with.
    Lookup,
    /// While PostgreSQL plans: estimating relations with what was learned.
    RowCorrections,
    /// After planning: reading the plan.
    PlanReading,
    /// All that we add to a planning, these three and second plannings included.
    PlanningOverhead,
    /// The planning itself, with what we do meanwhile.
    Planning,
    /// What we add to the start of an execution.
    ExecutorStart,
    /// Time in the executor.
    Execution,
    /// What we add to the end of an execution.
    LearnAtEnd,
    /// Weighing the operators of a plan.
    Attention,
    /// Making a plan's embedding, attention included.
    Embedding,
    /// Loop A.
    InstantLearning,
    /// A trial.
    Trial,
    /// A worker writing down what backends learned.
    WorkerCycle,
    /// Loop B.
    LearningCycle,
    /// Loop C.
    DeepCycle,
    /// Waiting for a lock in shared memory that another process had.
    LockWait,
    /// Of that, what others did under the lock meanwhile; only while it is timed.
    LockWork,
    /// Waiting for one's turn to change what is learned.
    TurnWait,
}

impl Component {
    /// All, in the order in which a statement meets them.
    pub(crate) const ALL: [Self; 18] = [
        Self::Lookup,
        Self::RowCorrections,
        Self::PlanReading,
        Self::PlanningOverhead,
        Self::Planning,
        Self::ExecutorStart,
        Self::Execution,
        Self::LearnAtEnd,
        Self::Attention,
        Self::Embedding,
        Self::InstantLearning,
        Self::Trial,
        Self::WorkerCycle,
        Self::LearningCycle,
        Self::DeepCycle,
        Self::LockWait,
        Self::LockWork,
        Self::TurnWait,
    ];

    /// As users see it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::RowCorrections => "row_corrections",
            Self::PlanReading => "plan_reading",
            Self::PlanningOverhead => "planning_overhead",
            Self::Planning => "planning",
            Self::ExecutorStart => "executor_start",
            Self::Execution => "execution",
            Self::LearnAtEnd => "learn_at_end",
            Self::Attention => "attention",
            Self::Embedding => "embedding",
            Self::InstantLearning => "instant_learning",
            Self::Trial => "trial",
            Self::WorkerCycle => "worker_cycle",
            Self::LearningCycle => "learning_cycle",
            Self::DeepCycle => "deep_cycle",
            Self::LockWait => "lock_wait",
            Self::LockWork => "lock_work",
            Self::TurnWait => "turn_wait",
        }
    }
}

/// One histogram, in shared memory; zero is its first state.
#[repr(C)]
pub(crate) struct Slot {
    /// Database, component and minute; 0 is free.
    key: AtomicU64,
    max_ns: AtomicU64,
    sum_ns: AtomicU64,
    counts: [AtomicU32; BUCKETS],
}

fn key(database: u32, component: Component, minute: i64) -> u64 {
    let minute = minute as u64 & ((1 << MINUTE_BITS) - 1);
    (u64::from(database) << (COMPONENT_BITS + MINUTE_BITS)) | ((component as u64) << MINUTE_BITS) | minute
}

fn minute_of(key: u64) -> i64 {
    (key & ((1 << MINUTE_BITS) - 1)) as i64
}

fn database_of(key: u64) -> u32 {
    (key >> (COMPONENT_BITS + MINUTE_BITS)) as u32
}

fn component_of(key: u64) -> Option<Component> {
    let at = (key >> MINUTE_BITS) & ((1 << COMPONENT_BITS) - 1);
    Component::ALL.get(at as usize).copied()
}

/// The minute under way.
pub(crate) fn this_minute() -> i64 {
    catalog::seconds() / 60
}

/// Notes how long something took in this database.
pub(crate) fn record(component: Component, took: Duration) {
    trace::note(component.name(), took);
    let Some(shared) = shared() else { return };
    match slot(shared.latencies, catalog::database(), component, this_minute()) {
        Some(slot) => slot.add(took),
        None => _ = counters::add_latencies_dropped(1),
    }
}

/// The same of milliseconds that were measured elsewhere.
pub(crate) fn record_ms(component: Component, took_ms: f64) {
    record(
        component,
        Duration::try_from_secs_f64(took_ms / 1000.0).unwrap_or_default(),
    );
}

impl Slot {
    fn add(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket_of(nanoseconds)].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(nanoseconds, Ordering::Relaxed);
        if self.max_ns.load(Ordering::Relaxed) < nanoseconds {
            self.max_ns.fetch_max(nanoseconds, Ordering::Relaxed);
        }
    }

    fn take_over(&self, from: u64, to: u64) -> bool {
        let is_ours = self
            .key
            .compare_exchange(from, TAKEN, Ordering::Acquire, Ordering::Relaxed)
            .is_ok();
        if is_ours {
            self.max_ns.store(0, Ordering::Relaxed);
            self.sum_ns.store(0, Ordering::Relaxed);
            self.counts
                .iter()
                .for_each(|count| count.store(0, Ordering::Relaxed));
            self.key.store(to, Ordering::Release);
        }
        is_ours
    }

    fn add_to(&self, histogram: &mut Histogram) {
        for (bucket, count) in self.counts.iter().enumerate() {
            histogram.add(bucket, u64::from(count.load(Ordering::Relaxed)));
        }
        histogram.max_ns = histogram.max_ns.max(self.max_ns.load(Ordering::Relaxed));
        histogram.sum_ns = histogram
            .sum_ns
            .saturating_add(self.sum_ns.load(Ordering::Relaxed));
    }
}

/// The histogram of a minute, made if there is room; two may be made at once, whose counts are added up when read.
fn slot(slots: &'static [Slot], database: u32, component: Component, minute: i64) -> Option<&'static Slot> {
    let wanted = key(database, component, minute);
    // A component's minutes lie in neighbouring sets, so that each set gets as many.
    let of_component = engine::cardinality::hash_words([u64::from(database), component as u64]);
    let sets = slots.len() / WAYS;
    let set = (of_component.wrapping_add(minute as u64) % sets.max(1) as u64) as usize;
    let ways = slots.get(set * WAYS..(set + 1) * WAYS)?;
    let key_of = |slot: &&Slot| slot.key.load(Ordering::Acquire);
    if let Some(found) = ways.iter().find(|slot| key_of(slot) == wanted) {
        return Some(found);
    }
    let is_older = |slot: &&Slot| key_of(slot) != TAKEN && minute_of(key_of(slot)) < minute;
    let oldest = ways
        .iter()
        .filter(is_older)
        .min_by_key(|slot| minute_of(key_of(slot)))?;
    oldest.take_over(key_of(&oldest), wanted).then_some(oldest)
}

/// What was measured in a database in these minutes.
pub(crate) fn of_database(database: u32, minutes: &RangeInclusive<i64>) -> BTreeMap<Component, Histogram> {
    let mut found = BTreeMap::new();
    for slot in shared().map_or(&[][..], |shared| shared.latencies) {
        let key = slot.key.load(Ordering::Acquire);
        let is_wanted = ![0, TAKEN].contains(&key) && database_of(key) == database;
        if let Some(component) = component_of(key).filter(|_| is_wanted && minutes.contains(&minute_of(key)))
        {
            slot.add_to(found.entry(component).or_default());
        }
    }
    found
}

/// Forgets a database's.
pub(crate) fn reset(database: u32) {
    for slot in shared().map_or(&[][..], |shared| shared.latencies) {
        let key = slot.key.load(Ordering::Acquire);
        if ![0, TAKEN].contains(&key) && database_of(key) == database {
            slot.take_over(key, 0);
        }
    }
}

/// What they take. They get fewer only by being reset.
pub(super) fn usage(slots: &[Slot]) -> Usage {
    let used = slots.iter().filter(|slot| slot.key.load(Ordering::Relaxed) != 0);
    let used = used.count() * size_of::<Slot>();
    Usage {
        allocated: size_of_val(slots),
        used,
        peak: used,
    }
}

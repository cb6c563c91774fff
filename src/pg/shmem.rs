//! Shared memory for plain data: a table keyed by 64 bits, a ring (`ring`), snapshots (`snapshots`) and atomics.
//!
//! Fixed at server start. A table is set-associative: a key belongs to one bucket of eight entries, and the least
//! recently used one makes room. A partition of buckets has one LWLock; values are copied in and out under it, so nothing
//! unwinds, allocates or raises an error while it is held.

use super::lock_times::{self, Work};
use super::ring::Ring;
use super::snapshots::Snapshots;
use super::{compat, raw};
use crate::shmem::counters::{Counters, Peaks};
use crate::shmem::layout::{
    Arms, ClassExperience, Correction, Database, Guard, PlanTiming, PlannedRows, Statement, Template,
    Trajectory, Use,
};
use crate::shmem::{events, latencies};
use core::ffi::CStr;
use pgrx::pg_sys;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

/// Entries per bucket.
const WAYS: usize = 8;
/// Locks per table.
const PARTITIONS: usize = 32;
/// Locks of all tables.
const LOCKS: usize = 10 * PARTITIONS;
const TRANCHE: &CStr = c"ruvector_dag";

/// Data that may lie in shared memory.
///
/// # Safety
/// The type is `Copy`, holds no pointers, and all-zero bytes are a valid value.
pub(crate) unsafe trait Plain: Copy {}
// SAFETY: numbers and arrays of numbers.
unsafe impl Plain for Correction {}
// SAFETY: numbers and arrays of numbers.
unsafe impl Plain for Statement {}
// SAFETY: numbers and arrays of numbers.
unsafe impl Plain for Database {}
// SAFETY: numbers and arrays of numbers.
unsafe impl Plain for Trajectory {}
// SAFETY: numbers and arrays of numbers.
unsafe impl Plain for Arms {}
// SAFETY: numbers.
unsafe impl Plain for Use {}
// SAFETY: numbers and arrays of numbers.
unsafe impl Plain for Template {}
// SAFETY: numbers and arrays of numbers.
unsafe impl Plain for Guard {}
// SAFETY: numbers and arrays of numbers.
unsafe impl Plain for PlannedRows {}
// SAFETY: numbers and arrays of numbers.
unsafe impl Plain for ClassExperience {}
// SAFETY: numbers and arrays of numbers.
unsafe impl Plain for PlanTiming {}

/// Data that lies in shared memory as it is, and that everybody may change at any time.
///
/// # Safety
/// The type consists of atomics, and all-zero bytes are a valid value.
pub(crate) unsafe trait Atomics: Sync + 'static {}
// SAFETY: atomic numbers.
unsafe impl Atomics for latencies::Slot {}
// SAFETY: atomic numbers.
unsafe impl Atomics for events::Slot {}
// SAFETY: an atomic number.
unsafe impl Atomics for AtomicU64 {}

/// How many of each, decided once from the settings.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) corrections: usize,
    pub(crate) statements: usize,
    pub(crate) databases: usize,
    pub(crate) trajectories: usize,
    pub(crate) arms: usize,
    pub(crate) uses: usize,
    pub(crate) guards: usize,
    pub(crate) templates: usize,
    pub(crate) planned_rows: usize,
    pub(crate) experiences: usize,
    pub(crate) timings: usize,
    /// Bytes of a snapshot of either kind.
    pub(crate) snapshot: usize,
    pub(crate) latencies: usize,
    pub(crate) events: usize,
}

impl Sizes {
    fn bytes(self) -> usize {
        Table::<Correction>::bytes(self.corrections)
            + Table::<Statement>::bytes(self.statements)
            + Table::<Database>::bytes(self.databases)
            + Ring::<Trajectory>::bytes(self.trajectories)
            + Table::<Arms>::bytes(self.arms)
            + Table::<Use>::bytes(self.uses)
            + Table::<Guard>::bytes(self.guards)
            + Table::<Template>::bytes(self.templates)
            + Table::<PlannedRows>::bytes(self.planned_rows)
            + Table::<ClassExperience>::bytes(self.experiences)
            + Table::<PlanTiming>::bytes(self.timings)
            + 2 * Snapshots::bytes(self.snapshot)
            + size_of::<Counters>()
            + self.latencies * size_of::<latencies::Slot>()
            + self.events * size_of::<events::Slot>()
            + LOCK_WORK_BYTES
    }
}

/// Bytes of a part of shared memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) allocated: usize,
    pub(crate) used: usize,
    /// The most that was used since the server started.
    pub(crate) peak: usize,
}

impl Usage {
    /// Of so many things of a size, and the most there were, which is noted.
    pub(super) fn of(allocated: usize, count: usize, size: usize, peak: &AtomicU64) -> Self {
        let before = peak.fetch_max(count as u64, Ordering::Relaxed) as usize;
        Self {
            allocated,
            used: count * size,
            peak: before.max(count) * size,
        }
    }
}

/// Bytes of the locks.
pub(crate) fn lock_bytes() -> usize {
    LOCKS * size_of::<pg_sys::LWLockPadded>()
}

/// Bytes of what was done under each.
pub(crate) const LOCK_WORK_BYTES: usize = LOCKS * size_of::<AtomicU64>();

/// Everything shared.
#[derive(Clone, Copy)]
pub(crate) struct Shared {
    pub(crate) corrections: Table<Correction>,
    pub(crate) statements: Table<Statement>,
    pub(crate) databases: Table<Database>,
    pub(crate) ring: Ring<Trajectory>,
    pub(crate) arms: Table<Arms>,
    pub(crate) uses: Table<Use>,
    pub(crate) guards: Table<Guard>,
    pub(crate) templates: Table<Template>,
    pub(crate) planned_rows: Table<PlannedRows>,
    pub(crate) experiences: Table<ClassExperience>,
    pub(crate) timings: Table<PlanTiming>,
    pub(crate) snapshots: Snapshots,
    pub(crate) row_models: Snapshots,
    pub(crate) counters: &'static Counters,
    pub(crate) latencies: &'static [latencies::Slot],
    pub(crate) events: &'static [events::Slot],
}

thread_local! {
    static SIZES: Cell<Option<Sizes>> = const { Cell::new(None) };
    static SHARED: Cell<Option<Shared>> = const { Cell::new(None) };
    static PREVIOUS_STARTUP: Cell<pg_sys::shmem_startup_hook_type> = const { Cell::new(None) };
}

/// What is shared; `None` when the library was not preloaded.
pub(crate) fn shared() -> Option<Shared> {
    SHARED.get()
}

/// Whether the server is starting and loads its shared libraries, the only time to ask for shared memory.
pub(crate) fn is_preloading() -> bool {
    // SAFETY: a global of the main thread.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Asks for shared memory.
pub(crate) fn request(sizes: Sizes) {
    // SAFETY: called from _PG_init on the main thread.
    unsafe {
        SIZES.set(Some(sizes));
        compat::when_shmem_is_requested(reserve);
        PREVIOUS_STARTUP.set(pg_sys::shmem_startup_hook);
        pg_sys::shmem_startup_hook = Some(startup);
    }
}

/// Reserves the memory and the locks.
pub(super) fn reserve() {
    let Some(sizes) = SIZES.get() else { return };
    // SAFETY: called at the moment PostgreSQL takes such requests.
    unsafe {
        pg_sys::RequestAddinShmemSpace(sizes.bytes());
        pg_sys::RequestNamedLWLockTranche(TRANCHE.as_ptr(), LOCKS as i32);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn startup() {
    // SAFETY: the hook before us, with its own signature.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP.get() {
            previous();
        }
    }
    let Some(sizes) = SIZES.get() else { return };
    // SAFETY: the memory was reserved; the lock that guards creation is held meanwhile. Fresh shared memory is zeroed by
    // `structure`, and zero is a valid state of all of it.
    unsafe {
        let lock = &raw mut (*pg_sys::MainLWLockArray.add(ADDIN_SHMEM_INIT_LOCK)).lock;
        pg_sys::LWLockAcquire(lock, pg_sys::LWLockMode::LW_EXCLUSIVE);
        let locks = pg_sys::GetNamedLWLockTranche(TRANCHE.as_ptr());
        let counters = structure(c"ruvector_dag counters", size_of::<Counters>()).cast::<Counters>();
        // Numbers go on from the clock, so that what is learned before earlier knowledge is loaded counts as newer than
        // that: a thousand numbers per second of a server's life, more than are ever given.
        let clock = pg_sys::GetCurrentTimestamp() / 1000;
        (*counters)
            .sequence
            .fetch_max(u64::try_from(clock).unwrap_or(0), Ordering::Relaxed);
        crate::shmem::counters::begin(&*counters, pg_sys::GetCurrentTimestamp());
        let peaks: &'static Peaks = &(*counters).peaks;
        let work = atomics(c"ruvector_dag lock work", LOCKS);
        let of = |table: usize| Locks {
            locks: locks.add(table * PARTITIONS),
            work: &work[table * PARTITIONS..(table + 1) * PARTITIONS],
        };
        SHARED.set(Some(Shared {
            corrections: Table::create(
                c"ruvector_dag corrections",
                sizes.corrections,
                of(0),
                &peaks.corrections,
            ),
            statements: Table::create(
                c"ruvector_dag statements",
                sizes.statements,
                of(1),
                &peaks.statements,
            ),
            databases: Table::create(
                c"ruvector_dag databases",
                sizes.databases,
                of(2),
                &peaks.databases,
            ),
            arms: Table::create(c"ruvector_dag arms", sizes.arms, of(3), &peaks.arms),
            uses: Table::create(c"ruvector_dag uses", sizes.uses, of(4), &peaks.uses),
            guards: Table::create(c"ruvector_dag guards", sizes.guards, of(5), &peaks.guards),
            templates: Table::create(
                c"ruvector_dag templates",
                sizes.templates,
                of(6),
                &peaks.templates,
            ),
            planned_rows: Table::create(
                c"ruvector_dag planned rows",
                sizes.planned_rows,
                of(7),
                &peaks.planned_rows,
            ),
            experiences: Table::create(
                c"ruvector_dag experiences",
                sizes.experiences,
                of(8),
                &peaks.experiences,
            ),
            timings: Table::create(c"ruvector_dag timings", sizes.timings, of(9), &peaks.timings),
            ring: Ring::create(c"ruvector_dag ring", sizes.trajectories, &peaks.ring),
            snapshots: Snapshots::create(c"ruvector_dag snapshots", sizes.snapshot, &peaks.snapshots),
            row_models: Snapshots::create(c"ruvector_dag row models", sizes.snapshot, &peaks.row_models),
            counters: &*counters,
            latencies: atomics(c"ruvector_dag latencies", sizes.latencies),
            events: atomics(c"ruvector_dag events", sizes.events),
        }));
        pg_sys::LWLockRelease(lock);
    }
}

/// `AddinShmemInitLock`'s place in the main array (storage/lwlocknames.h), the same in 14 to 18.
const ADDIN_SHMEM_INIT_LOCK: usize = 21;

/// A named piece of shared memory, zeroed when it is new.
pub(super) unsafe fn structure(name: &CStr, bytes: usize) -> *mut u8 {
    let mut found = false;
    // SAFETY: called under AddinShmemInitLock with memory reserved.
    unsafe {
        let memory = pg_sys::ShmemInitStruct(name.as_ptr(), bytes, &mut found).cast::<u8>();
        if !found {
            memory.write_bytes(0, bytes);
        }
        memory
    }
}

/// A named piece of shared memory, as so many of a type.
///
/// # Safety
/// As `structure`.
unsafe fn atomics<T: Atomics>(name: &CStr, count: usize) -> &'static [T] {
    // SAFETY: by the caller's promise; the memory is zeroed, lives as long as the server and is aligned to cache lines.
    unsafe { core::slice::from_raw_parts(structure(name, count * size_of::<T>()).cast(), count) }
}

#[repr(C)]
struct Entry<V> {
    /// 0 marks a free entry.
    key: u64,
    used: AtomicU64,
    value: V,
}

/// The locks of a table, one per partition.
#[derive(Clone, Copy)]
struct Locks {
    locks: *mut pg_sys::LWLockPadded,
    /// What was done under each, in nanoseconds, as far as it was timed.
    work: &'static [AtomicU64],
}

/// A fixed-size table keyed by 64 bits.
pub(crate) struct Table<V> {
    entries: *mut Entry<V>,
    buckets: usize,
    locks: Locks,
    /// The most entries there were, as far as it was noted.
    peak: &'static AtomicU64,
    values: PhantomData<V>,
}

impl<V> Clone for Table<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Table<V> {}

/// What [`Table::update`] leaves in the table.
pub(crate) enum Update<V> {
    /// This value.
    Put(V),
    /// What is there.
    Keep,
}

impl<V: Plain> Table<V> {
    fn bytes(capacity: usize) -> usize {
        capacity.div_ceil(WAYS) * WAYS * size_of::<Entry<V>>()
    }

    unsafe fn create(name: &CStr, capacity: usize, locks: Locks, peak: &'static AtomicU64) -> Self {
        // SAFETY: by the caller's promise; shared memory is aligned to cache lines.
        let entries = unsafe { structure(name, Self::bytes(capacity)) }.cast();
        Self {
            entries,
            buckets: capacity.div_ceil(WAYS),
            locks,
            peak,
            values: PhantomData,
        }
    }

    /// Values there is room for.
    pub(crate) fn capacity(&self) -> usize {
        self.buckets * WAYS
    }

    fn bucket_of(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % self.buckets
    }

    /// Runs `work` on a bucket under its lock. `work` must not raise, allocate or wait.
    fn locked<R>(
        &self,
        bucket: usize,
        mode: pg_sys::LWLockMode::Type,
        work: impl FnOnce(&mut [Entry<V>]) -> R,
    ) -> R {
        let partition = bucket % PARTITIONS;
        let sum = &self.locks.work[partition];
        // SAFETY: the lock guards the bucket; `bucket` is within the table, whose memory lives as long as the server.
        // Under a shared lock callers only read, except for the atomic tick.
        let (result, waited) = unsafe {
            let lock = &raw mut (*self.locks.locks.add(partition)).lock;
            let waited = lock_times::acquire(lock, mode, sum);
            let timed = Work::begin();
            let result = work(core::slice::from_raw_parts_mut(
                self.entries.add(bucket * WAYS),
                WAYS,
            ));
            if let Some(timed) = timed {
                timed.end(sum);
            }
            raw::LWLockRelease(lock);
            (result, waited)
        };
        if let Some(waited) = waited {
            waited.note();
        }
        result
    }

    /// A copy of the value of `key`.
    pub(crate) fn get(&self, key: u64) -> Option<V> {
        let key = key.max(1);
        self.locked(self.bucket_of(key), pg_sys::LWLockMode::LW_SHARED, |entries| {
            let entry = entries.iter().find(|entry| entry.key == key)?;
            entry.used.store(tick(), Ordering::Relaxed);
            Some(entry.value)
        })
    }

    /// Changes the value of `key` and returns what is there afterwards. `change` must not raise, allocate or wait.
    pub(crate) fn update(&self, key: u64, change: impl FnOnce(Option<V>) -> Update<V>) -> Option<V> {
        let key = key.max(1);
        self.locked(self.bucket_of(key), pg_sys::LWLockMode::LW_EXCLUSIVE, |entries| {
            let found = entries.iter().position(|entry| entry.key == key);
            match change(found.map(|at| entries[at].value)) {
                Update::Keep => found.map(|at| entries[at].value),
                Update::Put(value) => {
                    let at = found.unwrap_or_else(|| place(entries));
                    entries[at].key = key;
                    entries[at].value = value;
                    entries[at].used.store(tick(), Ordering::Relaxed);
                    Some(value)
                }
            }
        })
    }

    /// Puts a value where there is none.
    pub(crate) fn put_if_absent(&self, key: u64, value: V) {
        self.update(key, |known| match known {
            Some(_) => Update::Keep,
            None => Update::Put(value),
        });
    }

    /// Changes the value of `key` where it lies, if there is one. `change` must not raise, allocate or wait.
    pub(crate) fn change<R>(&self, key: u64, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        let key = key.max(1);
        self.locked(self.bucket_of(key), pg_sys::LWLockMode::LW_EXCLUSIVE, |entries| {
            let entry = entries.iter_mut().find(|entry| entry.key == key)?;
            entry.used.store(tick(), Ordering::Relaxed);
            Some(change(&mut entry.value))
        })
    }

    /// Changes the value of `key` where it lies; `fresh` makes the one that is changed where there is none. Neither may raise,
    /// allocate or wait.
    pub(crate) fn change_or_begin<R>(
        &self,
        key: u64,
        fresh: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> R {
        let key = key.max(1);
        self.locked(self.bucket_of(key), pg_sys::LWLockMode::LW_EXCLUSIVE, |entries| {
            let found = entries.iter().position(|entry| entry.key == key);
            let at = found.unwrap_or_else(|| {
                let at = place(entries);
                entries[at].key = key;
                entries[at].value = fresh();
                at
            });
            entries[at].used.store(tick(), Ordering::Relaxed);
            change(&mut entries[at].value)
        })
    }

    /// Copies of all values that `wanted` picks, bucket by bucket. `wanted` must not raise, allocate or wait.
    pub(crate) fn collect(&self, wanted: impl Fn(u64, &V) -> bool) -> Vec<(u64, V)> {
        let mut found = Vec::new();
        for bucket in 0..self.buckets {
            found.reserve(WAYS);
            self.locked(bucket, pg_sys::LWLockMode::LW_SHARED, |entries| {
                let entries = entries
                    .iter()
                    .filter(|entry| entry.key != 0 && wanted(entry.key, &entry.value));
                found.extend(entries.map(|entry| (entry.key, entry.value)));
            });
        }
        found
    }

    /// What it takes. Entries get fewer only by being removed, so that the peak is known when it is noted before that.
    pub(crate) fn usage(&self) -> Usage {
        let count = |entries: &mut [Entry<V>]| entries.iter().filter(|entry| entry.key != 0).count();
        let used = (0..self.buckets)
            .map(|bucket| self.locked(bucket, pg_sys::LWLockMode::LW_SHARED, count))
            .sum();
        Usage::of(
            Self::bytes(self.capacity()),
            used,
            size_of::<Entry<V>>(),
            self.peak,
        )
    }

    /// Removes what `unwanted` picks and returns how many. `unwanted` must not raise, allocate or wait.
    pub(crate) fn remove_if(&self, unwanted: impl Fn(u64, &V) -> bool) -> usize {
        let remove = |entries: &mut [Entry<V>]| {
            let gone = entries
                .iter_mut()
                .filter(|entry| entry.key != 0 && unwanted(entry.key, &entry.value));
            gone.map(|entry| entry.key = 0).count()
        };
        self.usage();
        (0..self.buckets)
            .map(|bucket| self.locked(bucket, pg_sys::LWLockMode::LW_EXCLUSIVE, remove))
            .sum()
    }
}

/// The entry a new key takes: a free one, or the least recently used.
fn place<V>(entries: &[Entry<V>]) -> usize {
    let age = |at: &usize| {
        if entries[*at].key == 0 {
            0
        } else {
            1 + entries[*at].used.load(Ordering::Relaxed)
        }
    };
    (0..entries.len()).min_by_key(age).unwrap_or(0)
}

/// A clock of table accesses.
fn tick() -> u64 {
    SHARED
        .get()
        .map_or(0, |shared| shared.counters.tick.fetch_add(1, Ordering::Relaxed))
}

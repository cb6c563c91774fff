//! Shared memory for plain data: a table keyed by 64 bits, a ring, and atomics.
//!
//! Fixed at server start. A table is set-associative: a key belongs to one bucket of eight entries, and the least
//! recently used one makes room. A partition of buckets has one LWLock; values are copied in and out under it, so nothing
//! unwinds, allocates or raises an error while it is held. The ring has no lock: each slot's state word says whose it is.

use super::snapshots::Snapshots;
use super::{compat, raw};
use crate::shmem::counters::Counters;
use crate::shmem::layout::{Arms, Correction, Database, Statement, Trajectory, Use};
use core::ffi::CStr;
use pgrx::pg_sys;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Entries per bucket.
const WAYS: usize = 8;
/// Locks per table.
const PARTITIONS: usize = 32;
/// Slots a writer of the ring looks at before it gives up.
const PROBES: usize = 8;
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

/// How many of each, decided once from the settings.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) corrections: usize,
    pub(crate) statements: usize,
    pub(crate) databases: usize,
    pub(crate) trajectories: usize,
    pub(crate) arms: usize,
    pub(crate) uses: usize,
    /// Bytes of a snapshot.
    pub(crate) snapshot: usize,
}

impl Sizes {
    fn bytes(self) -> usize {
        Table::<Correction>::bytes(self.corrections)
            + Table::<Statement>::bytes(self.statements)
            + Table::<Database>::bytes(self.databases)
            + Ring::<Trajectory>::bytes(self.trajectories)
            + Table::<Arms>::bytes(self.arms)
            + Table::<Use>::bytes(self.uses)
            + Snapshots::bytes(self.snapshot)
            + size_of::<Counters>()
    }
}

/// Everything shared.
#[derive(Clone, Copy)]
pub(crate) struct Shared {
    pub(crate) corrections: Table<Correction>,
    pub(crate) statements: Table<Statement>,
    pub(crate) databases: Table<Database>,
    pub(crate) ring: Ring<Trajectory>,
    pub(crate) arms: Table<Arms>,
    pub(crate) uses: Table<Use>,
    pub(crate) snapshots: Snapshots,
    pub(crate) counters: &'static Counters,
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
        pg_sys::RequestNamedLWLockTranche(TRANCHE.as_ptr(), 5 * PARTITIONS as i32);
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
        SHARED.set(Some(Shared {
            corrections: Table::create(c"ruvector_dag corrections", sizes.corrections, locks),
            statements: Table::create(
                c"ruvector_dag statements",
                sizes.statements,
                locks.add(PARTITIONS),
            ),
            databases: Table::create(
                c"ruvector_dag databases",
                sizes.databases,
                locks.add(2 * PARTITIONS),
            ),
            arms: Table::create(c"ruvector_dag arms", sizes.arms, locks.add(3 * PARTITIONS)),
            uses: Table::create(c"ruvector_dag uses", sizes.uses, locks.add(4 * PARTITIONS)),
            ring: Ring::create(c"ruvector_dag ring", sizes.trajectories),
            snapshots: Snapshots::create(sizes.snapshot),
            counters: &*counters,
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

#[repr(C)]
struct Entry<V> {
    /// 0 marks a free entry.
    key: u64,
    used: AtomicU64,
    value: V,
}

/// A fixed-size table keyed by 64 bits.
pub(crate) struct Table<V> {
    entries: *mut Entry<V>,
    buckets: usize,
    locks: *mut pg_sys::LWLockPadded,
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

    unsafe fn create(name: &CStr, capacity: usize, locks: *mut pg_sys::LWLockPadded) -> Self {
        // SAFETY: by the caller's promise; shared memory is aligned to cache lines.
        let entries = unsafe { structure(name, Self::bytes(capacity)) }.cast();
        Self {
            entries,
            buckets: capacity.div_ceil(WAYS),
            locks,
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
        // SAFETY: the lock guards the bucket; `bucket` is within the table, whose memory lives as long as the server.
        // Under a shared lock callers only read, except for the atomic tick.
        unsafe {
            let lock = &raw mut (*self.locks.add(bucket % PARTITIONS)).lock;
            raw::LWLockAcquire(lock, mode);
            let result = work(core::slice::from_raw_parts_mut(
                self.entries.add(bucket * WAYS),
                WAYS,
            ));
            raw::LWLockRelease(lock);
            result
        }
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

    /// Removes what `unwanted` picks and returns how many. `unwanted` must not raise, allocate or wait.
    pub(crate) fn remove_if(&self, unwanted: impl Fn(u64, &V) -> bool) -> usize {
        let remove = |entries: &mut [Entry<V>]| {
            let gone = entries
                .iter_mut()
                .filter(|entry| entry.key != 0 && unwanted(entry.key, &entry.value));
            gone.map(|entry| entry.key = 0).count()
        };
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

const FREE: u32 = 0;
const WRITING: u32 = 1;
const READY: u32 = 2;
const DRAINING: u32 = 3;

#[repr(C)]
struct Slot<T> {
    state: AtomicU32,
    value: T,
}

/// A fixed number of slots on the way from backends to workers.
pub(crate) struct Ring<T> {
    slots: *mut Slot<T>,
    capacity: usize,
    values: PhantomData<T>,
}

impl<T> Clone for Ring<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ring<T> {}

impl<T: Plain> Ring<T> {
    fn bytes(capacity: usize) -> usize {
        capacity * size_of::<Slot<T>>()
    }

    unsafe fn create(name: &CStr, capacity: usize) -> Self {
        Self {
            // SAFETY: by the caller's promise.
            slots: unsafe { structure(name, Self::bytes(capacity)) }.cast(),
            capacity,
            values: PhantomData,
        }
    }

    fn slot(&self, at: usize) -> *mut Slot<T> {
        // SAFETY: the remainder is within the ring.
        unsafe { self.slots.add(at % self.capacity) }
    }

    fn state(&self, at: usize) -> &AtomicU32 {
        // SAFETY: slots live as long as the server.
        unsafe { &(*self.slot(at)).state }
    }

    fn claim(&self, at: usize, from: u32, to: u32) -> bool {
        self.state(at)
            .compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Hands a value over; false, at once, when there is no room.
    pub(crate) fn push(&self, cursor: &AtomicU64, value: &T) -> bool {
        let start = cursor.fetch_add(1, Ordering::Relaxed) as usize % self.capacity;
        let Some(at) = (start..start + PROBES).find(|&at| self.claim(at, FREE, WRITING)) else {
            return false;
        };
        // SAFETY: this process alone holds the slot while it is WRITING.
        unsafe { (&raw mut (*self.slot(at)).value).write(*value) };
        self.state(at).store(READY, Ordering::Release);
        true
    }

    /// Whether a value that `wanted` picks waits.
    pub(crate) fn any(&self, wanted: impl Fn(&T) -> bool) -> bool {
        (0..self.capacity).any(|at| {
            // SAFETY: a READY slot is not written; if it is taken meanwhile the answer is out of date, not wrong data.
            self.state(at).load(Ordering::Acquire) == READY && wanted(unsafe { &(*self.slot(at)).value })
        })
    }

    /// Takes up to `limit` values that `wanted` picks. Their slots stay taken until they are released or given back.
    pub(crate) fn take(&self, limit: usize, wanted: impl Fn(&T) -> bool) -> Vec<(usize, T)> {
        let mut taken = Vec::new();
        for at in 0..self.capacity {
            if taken.len() >= limit {
                break;
            }
            if self.claim(at, READY, DRAINING) {
                // SAFETY: this process alone holds the slot while it is DRAINING.
                let value = unsafe { (*self.slot(at)).value };
                if wanted(&value) {
                    taken.push((at, value));
                } else {
                    self.state(at).store(READY, Ordering::Release);
                }
            }
        }
        taken
    }

    /// Frees slots whose values are safe elsewhere.
    pub(crate) fn release(&self, slots: impl Iterator<Item = usize>) {
        slots.for_each(|at| self.state(at).store(FREE, Ordering::Release));
    }

    /// Puts values back that could not be saved.
    pub(crate) fn give_back(&self, slots: impl Iterator<Item = usize>) {
        slots.for_each(|at| self.state(at).store(READY, Ordering::Release));
    }
}

//! A ring in shared memory without a lock: each slot's state word says whose it is.

use super::shmem::{Plain, Usage, structure};
use core::ffi::CStr;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Slots a writer looks at before it gives up.
const PROBES: usize = 8;
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
    /// The most slots that were taken, as far as it was noted.
    peak: &'static AtomicU64,
    values: PhantomData<T>,
}

impl<T> Clone for Ring<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ring<T> {}

impl<T: Plain> Ring<T> {
    pub(super) fn bytes(capacity: usize) -> usize {
        capacity * size_of::<Slot<T>>()
    }

    /// # Safety
    /// As `structure`.
    pub(super) unsafe fn create(name: &CStr, capacity: usize, peak: &'static AtomicU64) -> Self {
        Self {
            // SAFETY: by the caller's promise.
            slots: unsafe { structure(name, Self::bytes(capacity)) }.cast(),
            capacity,
            peak,
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

    /// What it takes. Slots get fewer only by being released, so that the peak is known when it is noted before that.
    pub(crate) fn usage(&self) -> Usage {
        let used = (0..self.capacity)
            .filter(|&at| self.state(at).load(Ordering::Relaxed) != FREE)
            .count();
        Usage::of(Self::bytes(self.capacity), used, size_of::<Slot<T>>(), self.peak)
    }

    /// Frees slots whose values are safe elsewhere.
    pub(crate) fn release(&self, slots: impl Iterator<Item = usize>) {
        self.usage();
        slots.for_each(|at| self.state(at).store(FREE, Ordering::Release));
    }

    /// Puts values back that could not be saved.
    pub(crate) fn give_back(&self, slots: impl Iterator<Item = usize>) {
        slots.for_each(|at| self.state(at).store(READY, Ordering::Release));
    }
}

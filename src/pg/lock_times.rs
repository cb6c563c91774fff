//! How long locks in shared memory are waited for.
//!
//! Only a lock that is not free at once is timed, by the clock. On a busy machine much of such a wait is none of the lock's: who
//! has it, or just got it, may have no processor. While `ruvector.dag_time_locks` is on, each holder adds what it did
//! under a lock, less what it waited for a processor meanwhile, to the lock's sum. By how much that sum grew during a wait is what
//! the wait would have taken at most with a processor for everybody: of the first holder all of its work counts, what
//! came before the wait included, and shared holders count one by one.

use super::raw;
use crate::settings;
use crate::shmem::latencies::{self, Component};
use pgrx::pg_sys;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A wait that is over.
pub(super) struct Waited {
    took: Duration,
    /// What others did under the lock meanwhile, if that was timed.
    work: Option<Duration>,
}

/// Takes a lock; answers what it waited, to be noted when the lock is given back. `work` is the lock's sum.
///
/// # Safety
/// As `LWLockAcquire`: the lock lives in shared memory, and this process has none of its locks.
pub(super) unsafe fn acquire(
    lock: *mut pg_sys::LWLock,
    mode: pg_sys::LWLockMode::Type,
    work: &AtomicU64,
) -> Option<Waited> {
    // SAFETY: by the caller's promise.
    unsafe {
        if raw::LWLockConditionalAcquire(lock, mode) {
            return None;
        }
        let before = work.load(Ordering::Relaxed);
        let begun = Instant::now();
        raw::LWLockAcquire(lock, mode);
        let after = work.load(Ordering::Relaxed);
        Some(Waited {
            took: begun.elapsed(),
            work: settings::times_locks().then(|| Duration::from_nanos(after.wrapping_sub(before))),
        })
    }
}

impl Waited {
    /// Notes it, under no lock.
    pub(super) fn note(self) {
        latencies::record(Component::LockWait, self.took);
        if let Some(work) = self.work {
            latencies::record(Component::LockWork, work);
        }
    }
}

/// What this process does under a lock, while that is timed.
pub(super) struct Work {
    /// In this order: what is waited for a processor between the two is no work.
    without_processor: Duration,
    begun: Instant,
}

impl Work {
    /// Begins with the lock.
    pub(super) fn begin() -> Option<Self> {
        settings::times_locks().then(|| Self {
            without_processor: without_processor(),
            begun: Instant::now(),
        })
    }

    /// Adds it to the lock's sum, before others get the lock.
    pub(super) fn end(self, sum: &AtomicU64) {
        let took = self.begun.elapsed();
        let waited = without_processor().saturating_sub(self.without_processor);
        let work = u64::try_from(took.saturating_sub(waited).as_nanos()).unwrap_or(0);
        sum.fetch_add(work, Ordering::Relaxed);
    }
}

/// How long this process could have run and had no processor, since it began; where the kernel does not tell, nothing, so
/// that all of a holder's time counts as work.
fn without_processor() -> Duration {
    thread_local! {
        static STATISTICS: Option<File> = File::open("/proc/self/schedstat").ok();
    }
    let mut text = [0; 64];
    let length = STATISTICS.with(|file| file.as_ref()?.read_at(&mut text, 0).ok());
    // Nanoseconds on a processor, nanoseconds of waiting for one, time slices.
    let fields = length.and_then(|length| core::str::from_utf8(&text[..length]).ok());
    let waited = fields.and_then(|fields| fields.split_whitespace().nth(1)?.parse().ok());
    Duration::from_nanos(waited.unwrap_or(0))
}

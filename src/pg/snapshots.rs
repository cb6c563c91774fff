//! Shared memory for what is learned as a whole: bytes per database, replaced at once, read without ever waiting.
//!
//! A slot is a sequence lock over atomic words: its version is odd while it is written. A reader copies the words and takes
//! the copy only when the version has not changed meanwhile, so that neither side ever waits for the other.

use super::shmem::{Usage, structure};
use core::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Databases that can have a snapshot at a time; the one written longest ago makes room.
pub(crate) const SLOTS: usize = 4;
/// How often a reader that was disturbed tries again.
const TRIES: usize = 3;

/// The head of a slot; zero is its first state.
#[repr(C)]
struct Head {
    version: AtomicU64,
    database: AtomicU64,
    length: AtomicU64,
}

/// All slots.
#[derive(Clone, Copy)]
pub(crate) struct Snapshots {
    heads: &'static [Head],
    words: &'static [AtomicU64],
    /// The most bytes there were.
    peak: &'static AtomicU64,
}

impl Snapshots {
    pub(super) fn bytes(slot: usize) -> usize {
        SLOTS * (size_of::<Head>() + slot / 8 * 8)
    }

    /// # Safety
    /// As `structure`.
    pub(super) unsafe fn create(name: &CStr, slot: usize, peak: &'static AtomicU64) -> Self {
        // SAFETY: the memory is as long as `bytes` says, aligned to cache lines, lives as long as the server, and zeroed
        // words are valid heads and words; all access is by atomics.
        unsafe {
            let memory = structure(name, Self::bytes(slot));
            let words = memory.add(SLOTS * size_of::<Head>()).cast::<AtomicU64>();
            Self {
                heads: core::slice::from_raw_parts(memory.cast(), SLOTS),
                words: core::slice::from_raw_parts(words, SLOTS * (slot / 8)),
                peak,
            }
        }
    }

    /// Bytes a snapshot may have.
    pub(crate) fn capacity(&self) -> usize {
        self.words.len() / SLOTS * 8
    }

    fn slot(&self, at: usize) -> &'static [AtomicU64] {
        let length = self.words.len() / SLOTS;
        &self.words[at * length..(at + 1) * length]
    }

    fn place(&self, database: u32) -> Option<usize> {
        let is_own = |head: &Head| head.database.load(Ordering::Relaxed) == u64::from(database);
        self.heads.iter().position(is_own)
    }

    /// The version of a database's snapshot, which grows with each change; 0 without one.
    pub(crate) fn version(&self, database: u32) -> u64 {
        self.place(database)
            .map_or(0, |at| self.heads[at].version.load(Ordering::Acquire))
    }

    /// Whether a database has a snapshot.
    pub(crate) fn has(&self, database: u32) -> bool {
        self.place(database)
            .is_some_and(|at| self.heads[at].length.load(Ordering::Relaxed) > 0)
    }

    /// Replaces a database's snapshot; false when it is empty or too long, or just written by somebody else.
    pub(crate) fn publish(&self, database: u32, bytes: &[u8]) -> bool {
        let oldest = || {
            let age = |at: &usize| self.heads[*at].version.load(Ordering::Relaxed);
            (0..SLOTS).min_by_key(age).unwrap_or(0)
        };
        let is_free = |head: &Head| head.length.load(Ordering::Relaxed) == 0;
        let free = || self.heads.iter().position(is_free);
        if bytes.is_empty() || bytes.len() > self.capacity() {
            return false;
        }
        let at = self.place(database).or_else(free).unwrap_or_else(oldest);
        self.write(at, database, bytes)
    }

    /// Replaces what is in a slot; false when somebody else just does.
    fn write(&self, at: usize, database: u32, bytes: &[u8]) -> bool {
        let head = &self.heads[at];
        let newest = self
            .heads
            .iter()
            .map(|head| head.version.load(Ordering::Relaxed))
            .max();
        let version = head.version.load(Ordering::Relaxed);
        let is_free = version.is_multiple_of(2)
            && head
                .version
                .compare_exchange(version, version + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if !is_free {
            return false;
        }
        fence(Ordering::Release);
        head.database.store(u64::from(database), Ordering::Relaxed);
        head.length.store(bytes.len() as u64, Ordering::Relaxed);
        for (word, bytes) in self.slot(at).iter().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
        }
        // Above all others, so that the least version is the oldest.
        let next = newest.unwrap_or(0).max(version) / 2 * 2 + 2;
        head.version.store(next, Ordering::Release);
        self.usage();
        true
    }

    /// A copy of a database's snapshot and its version; none when there is none, or it is just written.
    pub(crate) fn read(&self, database: u32) -> Option<(u64, Vec<u8>)> {
        let at = self.place(database)?;
        let head = &self.heads[at];
        for _ in 0..TRIES {
            let version = head.version.load(Ordering::Acquire);
            let length = (head.length.load(Ordering::Relaxed) as usize).min(self.capacity());
            let mut bytes = Vec::with_capacity(length.div_ceil(8) * 8);
            for word in &self.slot(at)[..length.div_ceil(8)] {
                bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
            }
            bytes.truncate(length);
            let is_own = head.database.load(Ordering::Relaxed) == u64::from(database);
            fence(Ordering::Acquire);
            if version.is_multiple_of(2) && is_own && head.version.load(Ordering::Relaxed) == version {
                return Some((version, bytes));
            }
        }
        None
    }

    /// What it takes: the peak is noted with each snapshot.
    pub(crate) fn usage(&self) -> Usage {
        let is_taken = |head: &&Head| head.database.load(Ordering::Relaxed) != 0;
        let length = |head: &Head| size_of::<Head>() + head.length.load(Ordering::Relaxed) as usize;
        let used = self.heads.iter().filter(is_taken).map(length).sum();
        Usage::of(Self::bytes(self.capacity()), used, 1, self.peak)
    }

    /// Empties a database's slot. Who had a copy of it finds that it is out of date.
    pub(crate) fn forget(&self, database: u32) {
        if let Some(at) = self.place(database)
            && !self.write(at, database, &[])
        {
            // Written just now from what is forgotten.
            self.heads[at].database.store(0, Ordering::Relaxed);
        }
    }
}

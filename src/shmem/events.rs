//! The log in shared memory: what happened lately, as kinds and numbers, so that no text of a statement is ever in it.
//!
//! A ring that overwrites its oldest entries. A slot's stamp tells which entry it holds, and 0 that one is being
//! written; an entry that finds its slot in use is dropped, and whoever reads a slot looks at the stamp before and after.

use super::counters;
use crate::pg::catalog;
use crate::pg::shmem::{Usage, shared};
use crate::settings;
use std::sync::atomic::{AtomicU64, Ordering, fence};

mod kinds;

pub(crate) use kinds::{Component, Kind, Severity, place};

const WORDS: usize = 8;
const WRITING: u64 = u64::MAX;

/// One entry, in shared memory; zero is its first state.
#[repr(C)]
pub(crate) struct Slot {
    /// The entry's number, from 1.
    stamp: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// What happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    /// Its number; 0 before it has one.
    pub(crate) number: u64,
    /// When, as PostgreSQL counts it.
    pub(crate) at: i64,
    /// OID of the database.
    pub(crate) database: u32,
    /// OID of the user; 0 of a worker.
    pub(crate) user: u32,
    /// The process.
    pub(crate) pid: u32,
    pub(crate) kind: Kind,
    /// The statement; 0 of none.
    pub(crate) queryid: i64,
    /// Its class; 0 of none.
    pub(crate) class: u64,
    /// What the kind says.
    pub(crate) numbers: [f64; 2],
}

impl Event {
    fn to_words(self) -> [u64; WORDS] {
        [
            self.at as u64,
            (u64::from(self.database) << 32) | u64::from(self.user),
            (u64::from(self.pid) << 32) | self.kind as u64,
            self.queryid as u64,
            self.class,
            self.numbers[0].to_bits(),
            self.numbers[1].to_bits(),
            0,
        ]
    }

    fn from_words(number: u64, words: [u64; WORDS]) -> Option<Self> {
        Some(Self {
            number,
            at: words[0] as i64,
            database: (words[1] >> 32) as u32,
            user: words[1] as u32,
            pid: (words[2] >> 32) as u32,
            kind: Kind::ALL.get(words[2] as u32 as usize).copied()?,
            queryid: words[3] as i64,
            class: words[4],
            numbers: [f64::from_bits(words[5]), f64::from_bits(words[6])],
        })
    }
}

/// Notes what happened in this database.
pub(crate) fn note(kind: Kind, numbers: [f64; 2]) {
    note_of((0, 0), kind, numbers);
}

/// The same of a statement: its `queryid` and class.
pub(crate) fn note_of((queryid, class): (i64, u64), kind: Kind, numbers: [f64; 2]) {
    if kind.severity() == Severity::Debug && !settings::debugs(kind.component().name()) {
        return;
    }
    write(&Event {
        number: 0,
        at: catalog::now(),
        database: catalog::database(),
        user: catalog::served_user(),
        pid: std::process::id(),
        kind,
        queryid,
        class,
        numbers,
    });
}

/// The same of a process that is connected to no database.
pub(crate) fn note_in(database: u32, kind: Kind, numbers: [f64; 2]) {
    write(&Event {
        number: 0,
        at: catalog::now(),
        database,
        user: 0,
        pid: std::process::id(),
        kind,
        queryid: 0,
        class: 0,
        numbers,
    });
}

fn write(event: &Event) {
    let Some(shared) = shared() else { return };
    let number = shared.counters.events.fetch_add(1, Ordering::Relaxed) + 1;
    let Some(slot) = shared
        .events
        .get((number % shared.events.len().max(1) as u64) as usize)
    else {
        return;
    };
    if slot.stamp.swap(WRITING, Ordering::Acquire) == WRITING {
        counters::add_log_entries_dropped(1);
        return;
    }
    for (word, value) in slot.words.iter().zip(event.to_words()) {
        word.store(value, Ordering::Relaxed);
    }
    slot.stamp.store(number, Ordering::Release);
}

impl Slot {
    fn read(&self) -> Option<Event> {
        let number = self.stamp.load(Ordering::Acquire);
        if [0, WRITING].contains(&number) {
            return None;
        }
        let words = std::array::from_fn(|at| self.words[at].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        (self.stamp.load(Ordering::Relaxed) == number).then(|| Event::from_words(number, words))?
    }
}

/// What happened in a database, the oldest first.
pub(crate) fn of_database(database: u32) -> Vec<Event> {
    let slots = shared().map_or(&[][..], |shared| shared.events);
    let all = slots.iter().filter_map(Slot::read);
    let mut found: Vec<Event> = all.filter(|event| event.database == database).collect();
    found.sort_by_key(|event| event.number);
    found
}

/// What they take, of so many that were written since the server started.
pub(super) fn usage(slots: &[Slot], written: u64) -> Usage {
    let used = usize::try_from(written).unwrap_or(usize::MAX).min(slots.len()) * size_of::<Slot>();
    Usage {
        allocated: size_of_val(slots),
        used,
        peak: used,
    }
}

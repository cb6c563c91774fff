//! Which statements are too fast to bother with, known per session: the path that keeps OLTP cheap.
//!
//! A statement that ran below `dag_min_duration` a few times in a row is neither planned nor executed with any of our
//! work, but for two readings of the clock at one execution in eight; one that is slow makes it interesting again.

use crate::settings;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Fast executions in a row after which a statement is left alone.
const FAST_RUNS: u8 = 3;
/// Of the executions that are not watched, one in so many is timed.
const LOOK_EVERY: u32 = 8;
/// Statements remembered; then all are forgotten, which costs a few observed executions.
const CAPACITY: usize = 4096;

#[derive(Clone, Copy, Default)]
struct Pace {
    fast_runs: u8,
    /// A class of this statement has evidence, so that its being fast may be our doing.
    has_evidence: bool,
}

thread_local! {
    static PACES: RefCell<HashMap<i64, Pace, BuildHasherDefault<AsIs>>> = RefCell::default();
    static UNWATCHED: Cell<u32> = const { Cell::new(0) };
}

/// A query identifier is a hash already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_i64(&mut self, queryid: i64) {
        self.0 = queryid as u64;
    }
}

/// Whether this execution, which nobody watches, should be timed.
pub(crate) fn is_time_to_look() -> bool {
    let count = UNWATCHED.get().wrapping_add(1);
    UNWATCHED.set(count);
    count.is_multiple_of(LOOK_EVERY)
}

/// Whether a statement is known to be fast by itself.
pub(crate) fn is_fast(queryid: i64) -> bool {
    PACES.with_borrow(|paces| {
        paces
            .get(&queryid)
            .is_some_and(|pace| !pace.has_evidence && pace.fast_runs >= FAST_RUNS)
    })
}

/// Notes an execution of a statement that has no evidence.
pub(crate) fn note(queryid: i64, elapsed_ms: f64) {
    with_pace(queryid, |pace| {
        let is_fast = elapsed_ms < settings::min_duration_ms();
        pace.fast_runs = if is_fast {
            pace.fast_runs.saturating_add(1)
        } else {
            0
        };
    });
}

/// Notes that a statement has evidence: it stays observed.
pub(crate) fn note_evidence(queryid: i64) {
    with_pace(queryid, |pace| pace.has_evidence = true);
}

fn with_pace(queryid: i64, change: impl FnOnce(&mut Pace)) {
    PACES.with_borrow_mut(|paces| {
        if paces.len() >= CAPACITY && !paces.contains_key(&queryid) {
            paces.clear();
        }
        change(paces.entry(queryid).or_default());
    });
}

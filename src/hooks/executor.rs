//! The executor hooks: time and row counts of one execution.
//!
//! Start switches row counting on for a plan we know; Run and Finish add up the time; End reads the counts. A cancelled
//! execution gives lower bounds of its latency and its row counts. Statements known to be fast pay for two clock readings.

use super::trial;
use crate::observe::knowledge::{self, Remembered};
use crate::observe::watch::{self, Watch};
use crate::observe::{bounds, learn, session};
use crate::pg::{catalog, counted_nodes, plan_state, plan_tree};
use crate::settings;
use crate::shmem::counters;
use crate::shmem::latencies::{self, Component};
use engine::decision::HintSet;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How an execution is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    /// Not at all.
    No,
    /// Only its time, to notice that a fast statement became slow.
    Time,
    /// Learned from.
    Watch,
}

thread_local! {
    /// The plan whose ExecutorStart is under way, and whether somebody else times its nodes.
    static STARTING: RefCell<Option<(Rc<Remembered>, bool)>> = const { RefCell::new(None) };
}

/// Before ExecutorStart: asks for row counts. True when the execution is to be watched.
pub(crate) fn before_start(query: *mut pg_sys::QueryDesc, flags: i32) -> bool {
    counters::note_user_statement(|| settings::is_active() && catalog::is_ordinary_backend());
    // The token first: most statements of a busy server have none.
    let Some(token) = plan_state::planned(query).and_then(plan_tree::token) else {
        return false;
    };
    if flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 != 0
        || !settings::is_active()
        || !catalog::is_ordinary_backend()
    {
        return false;
    }
    let Some(remembered) = knowledge::find(token) else {
        return false;
    };
    if !is_sampled() {
        return false;
    }
    let is_timed = plan_state::is_timed(query);
    // EXPLAIN ANALYZE is about this plan.
    if plan_state::is_measured(query) {
        trial::forget(token);
    }
    if remembered.facts.is_parallel && learn::wants_all_counts(remembered.statement.class) {
        plan_state::count_rows(query);
    }
    STARTING.set(Some((remembered, is_timed)));
    true
}

fn is_sampled() -> bool {
    let rate = settings::sample_rate();
    rate >= 1.0 || plan_state::random() < rate
}

/// After ExecutorStart, whose time counts: it may compile expressions.
pub(crate) fn after_start(query: *mut pg_sys::QueryDesc, started: Instant) {
    if let Some((remembered, is_timed)) = STARTING.take() {
        let begun = Instant::now();
        learn::count_nodes(query, &remembered);
        bounds::note_tables(&remembered);
        watch::begin(query, remembered, is_timed);
        watch::with(query, |watch| watch.elapsed_ms = milliseconds(started.elapsed()));
        latencies::record(Component::ExecutorStart, begun.elapsed());
    }
}

/// After ExecutorStart of an execution that is not watched: a parallel worker counts as its leader does.
pub(crate) fn after_other_start(query: *mut pg_sys::QueryDesc) {
    if counted_nodes::is_for_rows_alone(query) && catalog::is_parallel_worker() && settings::is_active() {
        counted_nodes::count_all(query);
    }
}

/// Before ExecutorRun: how to follow it.
pub(crate) fn follow(query: *mut pg_sys::QueryDesc) -> Follow {
    if watch::is_watched(query) {
        Follow::Watch
    } else if session::is_time_to_look() && settings::is_active() && plan_state::queryid(query) != 0 {
        Follow::Time
    } else {
        Follow::No
    }
}

/// After a run of a statement that is only timed.
pub(crate) fn note_time(query: *mut pg_sys::QueryDesc, started: Instant) {
    session::note(plan_state::queryid(query), milliseconds(started.elapsed()));
}

/// What the plan needs while it runs.
pub(crate) fn hints(query: *mut pg_sys::QueryDesc) -> HintSet {
    watch::with(query, |watch| watch.remembered.decision.hints).unwrap_or(HintSet::NONE)
}

/// A trial gave the answer: this execution is not learned from.
pub(crate) fn answered(query: *mut pg_sys::QueryDesc) {
    watch::end(query);
}

/// After ExecutorRun, which was asked for `count` rows (0 is all).
pub(crate) fn after_run(
    query: *mut pg_sys::QueryDesc,
    direction: pg_sys::ScanDirection::Type,
    count: u64,
    started: Instant,
) {
    let is_forward = direction == pg_sys::ScanDirection::ForwardScanDirection;
    let reached_end = count == 0 || plan_state::processed(query) < count;
    watch::with(query, |watch| {
        watch.elapsed_ms += milliseconds(started.elapsed());
        watch.is_finished = is_forward && reached_end;
        watch.is_rewound |= direction == pg_sys::ScanDirection::BackwardScanDirection;
    });
}

/// After ExecutorFinish.
pub(crate) fn after_finish(query: *mut pg_sys::QueryDesc, started: Instant) {
    watch::with(query, |watch| watch.elapsed_ms += milliseconds(started.elapsed()));
}

/// An error ended the run.
pub(crate) fn run_failed(query: *mut pg_sys::QueryDesc, sqlstate: i32, started: Instant) {
    let Some(mut watch) = watch::end(query) else {
        return;
    };
    watch.elapsed_ms += milliseconds(started.elapsed());
    if sqlstate == plan_state::QUERY_CANCELED {
        learn::from_cancelled(query, &watch);
    }
}

/// Before ExecutorEnd, while the counts can still be read.
pub(crate) fn before_end(query: *mut pg_sys::QueryDesc) {
    let Some(watch) = watch::end(query) else { return };
    let Watch {
        is_finished,
        is_rewound,
        ..
    } = watch;
    learn::from_execution(query, &watch, is_finished && !is_rewound);
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

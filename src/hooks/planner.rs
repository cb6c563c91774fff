//! `planner_hook`: where a statement enters the loop. Runs once per planning, also nested (functions, triggers).
//!
//! Before: the statement's class is looked up and the knowledge it is planned with is chosen. After: the plan that came
//! back is read and remembered for its execution. Each planning has a frame; the innermost one is on top.

use crate::observe::knowledge::{self, Remembered};
use crate::observe::{learn, session};
use crate::pg::catalog;
use crate::pg::level::Level;
use crate::pg::plan_tree::{self, PlanFacts};
use crate::pg::statement::{self, Statement};
use crate::settings::{self, Mode};
use crate::shmem;
use engine::decision::{Choice, State, StatementEvidence};
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};

/// What the trampoline does next.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    /// Nothing of ours: chain.
    PassOn,
    /// Chain inside a frame; `spare` is a copy of the statement for a second planning, or null.
    Framed { spare: *mut pg_sys::Query },
}

/// One planning under way.
pub(crate) struct Frame {
    statement: Statement,
    evidence: StatementEvidence,
    choice: Choice,
    spare: *mut pg_sys::Query,
    /// The query levels met so far.
    pub(crate) levels: Vec<Level>,
    /// Corrections applied so far.
    pub(crate) corrected: u32,
}

impl Frame {
    /// The knowledge cutoff; 0 leaves every estimate alone.
    pub(crate) fn cutoff(&self) -> u64 {
        self.choice.cutoff
    }
}

thread_local! {
    /// `None` is a planning that is left alone inside one that is not.
    static FRAMES: RefCell<Vec<Option<Frame>>> = const { RefCell::new(Vec::new()) };
    static IS_INSPECTING: Cell<bool> = const { Cell::new(false) };
    static AGAIN: RefCell<Option<Frame>> = const { RefCell::new(None) };
}

/// From now on a statement is planned to be looked at: known to be fast or not, it is considered.
pub(crate) fn start_inspecting() {
    IS_INSPECTING.set(true);
}

/// The statement is planned.
pub(crate) fn stop_inspecting() {
    IS_INSPECTING.set(false);
}

/// Before planning.
pub(crate) fn enter(parse: *mut pg_sys::Query, options: i32, params: pg_sys::ParamListInfo) -> Entry {
    let frame = consider(parse, options, params);
    let is_nested = FRAMES.with_borrow(|frames| !frames.is_empty());
    if frame.is_none() && !is_nested {
        return Entry::PassOn;
    }
    let spare = frame.as_ref().map_or(std::ptr::null_mut(), |frame| frame.spare);
    FRAMES.with_borrow_mut(|frames| frames.push(frame));
    Entry::Framed { spare }
}

/// The frame of a statement that is observed or steered.
fn consider(parse: *mut pg_sys::Query, options: i32, params: pg_sys::ParamListInfo) -> Option<Frame> {
    let wanted = settings::is_active()
        && statement::is_plannable(parse)
        && statement::queryid(parse) != 0
        && (IS_INSPECTING.get() || !session::is_fast(statement::queryid(parse)))
        && catalog::is_ordinary_backend()
        && catalog::has_extension();
    if !wanted {
        return None;
    }
    let statement = statement::describe(parse, params);
    if !statement.has_tables {
        return None;
    }
    let evidence = shmem::statements::evidence(statement.class).unwrap_or_default();
    let mut choice = evidence.choose(shmem::corrections::newest());
    // Another plan may lock rows in another order, or call a volatile function another number of times; a cursor that
    // scrolls is planned for its first rows.
    let untouchable = statement.locks_rows || options & pg_sys::CURSOR_OPT_SCROLL as i32 != 0;
    let advises = IS_INSPECTING.get() && settings::mode() == Mode::Advise;
    if choice.cutoff > 0
        && (!(settings::may_steer() || advises) || untouchable || statement::is_volatile(parse))
    {
        choice.cutoff = 0;
    }
    let tries = choice.cutoff > 0 && choice.state == State::Exploring;
    let spare = if tries {
        statement::copy(parse)
    } else {
        std::ptr::null_mut()
    };
    Some(Frame {
        statement,
        evidence,
        choice,
        spare,
        levels: Vec::new(),
        corrected: 0,
    })
}

/// Runs `work` with the innermost planning's frame, if it is one of ours.
pub(crate) fn with_frame<R>(work: impl FnOnce(&mut Frame) -> R) -> Option<R> {
    FRAMES.with_borrow_mut(|frames| frames.last_mut().and_then(Option::as_mut).map(work))
}

/// A PostgreSQL error ended the innermost planning.
pub(crate) fn abandon() {
    FRAMES.with_borrow_mut(Vec::pop);
}

/// After planning. False asks for a second planning: this plan is known to be slower than the best one.
pub(crate) fn leave(planned: *mut pg_sys::PlannedStmt) -> bool {
    let Some(Some(frame)) = FRAMES.with_borrow_mut(Vec::pop) else {
        return true;
    };
    let with_sketches = IS_INSPECTING.get() || learn::wants_sub_joins(frame.evidence.calls);
    let facts = plan_tree::read(planned, &frame.levels, with_sketches);
    if !frame.spare.is_null() && !frame.evidence.worth_running(facts.shape) {
        shmem::statements::settle(frame.statement.class, frame.choice.cutoff);
        AGAIN.set(Some(frame));
        return false;
    }
    remember(planned, frame, facts);
    true
}

/// Opens the frame of the second planning, with the knowledge of the best plan measured.
pub(crate) fn enter_again() {
    let again = AGAIN.take().map(|mut frame| {
        frame.choice = frame.evidence.settled();
        frame.spare = std::ptr::null_mut();
        frame.levels.clear();
        frame.corrected = 0;
        frame
    });
    shmem::counters::add_replanned(1);
    FRAMES.with_borrow_mut(|frames| frames.push(again));
}

fn remember(planned: *mut pg_sys::PlannedStmt, frame: Frame, facts: PlanFacts) {
    shmem::counters::add_corrections_applied(u64::from(frame.corrected));
    if frame.corrected == 0 && !frame.spare.is_null() {
        shmem::statements::settle(frame.statement.class, frame.choice.cutoff);
    }
    // A plan that no correction touched is stock's, whatever it might have been corrected with.
    let cutoff = if frame.corrected == 0 {
        0
    } else {
        frame.choice.cutoff
    };
    let remembered = Remembered {
        statement: frame.statement,
        cutoff,
        corrected: frame.corrected,
        facts,
    };
    plan_tree::attach_token(planned, knowledge::remember(remembered));
}

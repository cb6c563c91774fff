//! `planner_hook`: where a statement enters the loop. Runs once per planning, also nested (functions, triggers).
//!
//! Before: the statement's class is looked up and what it is planned with is chosen. After: the plan that came back is
//! read and remembered for its execution; when something else is to be tried, a copy of the statement is planned with that,
//! too. Each planning has a frame; the innermost one is on top.

use super::trial;
use crate::observe::knowledge::{self, Remembered};
use crate::observe::{learn, session};
use crate::pg::catalog;
use crate::pg::level::Level;
use crate::pg::plan_tree::{self, PlanFacts};
use crate::pg::statement::{self, Statement};
use crate::settings::{self, Mode};
use crate::shmem;
use crate::steer::choice::{self, Chosen};
use crate::steer::rewrite::{self, Rules, Spending};
use crate::steer::rows::Knowledge;
use engine::cardinality::hash_words;
use engine::decision::{Decision, HintSet, StatementEvidence, Trial};
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};
use std::time::Instant;

/// What the trampoline does next.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    /// Nothing of ours: chain.
    PassOn,
    /// Chain inside a frame, under these hints; `spare` is a copy of the statement for a second planning, or null.
    Framed {
        spare: *mut pg_sys::Query,
        hints: HintSet,
    },
}

/// What follows a planning.
#[derive(Clone, Copy)]
pub(crate) enum Next {
    /// The plan is taken.
    Done,
    /// The plan is known to be slower: the copy is planned instead, under these hints.
    Instead(HintSet),
    /// The copy is planned in its other forms, too.
    Compare,
    /// The plan is taken, and the copy is planned for a trial, under these hints.
    Try(HintSet),
}

/// One planning under way.
pub(crate) struct Frame {
    statement: Statement,
    evidence: StatementEvidence,
    decision: Decision,
    /// This plan is a trial of its own, without a way back.
    is_unprotected: bool,
    /// What is to be tried beside this plan.
    trial: Option<Trial>,
    /// The statement's other forms are planned, too.
    compares_forms: bool,
    /// This is the planning of that trial, for the plan with this token.
    tried_for: Option<u32>,
    /// What rewrote the statement.
    rules: Rules,
    /// When its planning began.
    begun: Instant,
    /// The query levels met so far.
    pub(crate) levels: Vec<Level>,
    /// Corrections applied so far.
    pub(crate) corrected: u32,
}

impl Frame {
    fn new(statement: Statement, evidence: StatementEvidence, chosen: Chosen) -> Self {
        Self {
            statement,
            evidence,
            decision: chosen.decision,
            is_unprotected: chosen.is_unprotected,
            trial: chosen.trial,
            compares_forms: chosen.compares_forms,
            tried_for: None,
            rules: Rules::NONE,
            begun: Instant::now(),
            levels: Vec::new(),
            corrected: 0,
        }
    }

    /// Whether it may have to be planned a second time.
    fn wants_copy(&self) -> bool {
        self.is_unprotected
            || self.trial.is_some()
            || self.compares_forms
            || (!self.decision.is_stock() && FORCED.get().is_none())
    }

    /// What to plan instead, when the plan with this shape should not run.
    fn instead(&self, shape: u64) -> Option<Decision> {
        let class = self.statement.class;
        if FORCED.get().is_some() || self.decision.is_stock() {
            return None;
        }
        if self.is_unprotected {
            let is_slower = !choice::is_worth_running(&self.evidence, shape);
            return is_slower.then(|| {
                shmem::statements::settle(class, self.decision);
                self.evidence.settled().decision
            });
        }
        if self.decision.hints.form().is_some() {
            // Another plan of this form is still far from the statement's own.
            return None;
        }
        // What was measured is a plan; what led to it may lead to another one now.
        let is_measured = self.evidence.plan(shape).is_some_and(|plan| plan.runs > 0);
        (!is_measured).then(|| {
            if !IS_INSPECTING.get() {
                shmem::statements::miss(class, self.decision);
            }
            Decision::STOCK
        })
    }

    /// What is known for this planning; a cutoff of 0 leaves every estimate alone.
    pub(crate) fn knowledge(&self) -> Knowledge {
        Knowledge {
            cutoff: if settings::corrects_rows() {
                self.decision.cutoff
            } else {
                0
            },
            caution: if self.decision.hints.is_cautious() {
                1.0
            } else {
                0.0
            },
        }
    }

    /// The same statement, to be planned again with another decision.
    fn again(mut self, decision: Decision) -> Self {
        self.decision = decision;
        self.is_unprotected = false;
        self.rules = Rules::NONE;
        self.levels.clear();
        self.corrected = 0;
        self
    }
}

thread_local! {
    /// `None` is a planning that is left alone inside one that is not.
    static FRAMES: RefCell<Vec<Option<Frame>>> = const { RefCell::new(Vec::new()) };
    static IS_INSPECTING: Cell<bool> = const { Cell::new(false) };
    static FORCED: Cell<Option<Decision>> = const { Cell::new(None) };
    static AGAIN: RefCell<Option<Frame>> = const { RefCell::new(None) };
    /// The statement whose forms are compared. One at a time: comparing does not nest.
    static COMPARED: RefCell<Option<Comparison>> = const { RefCell::new(None) };
}

/// A statement whose forms are compared.
#[derive(Clone, Copy)]
struct Comparison {
    statement: Statement,
    evidence: StatementEvidence,
    spending: Spending,
}

/// From now on a statement is planned to be looked at: known to be fast or not, it is considered.
pub(crate) fn start_inspecting() {
    IS_INSPECTING.set(true);
}

/// The statement is planned.
pub(crate) fn stop_inspecting() {
    IS_INSPECTING.set(false);
}

/// From now on statements are planned with this decision; `None` ends it.
pub(crate) fn force(decision: Option<Decision>) {
    FORCED.set(decision);
    IS_INSPECTING.set(decision.is_some());
}

/// Before planning.
pub(crate) fn enter(parse: *mut pg_sys::Query, options: i32, params: pg_sys::ParamListInfo) -> Entry {
    let frame = consider(parse, options, params);
    let is_nested = FRAMES.with_borrow(|frames| !frames.is_empty());
    if frame.is_none() && !is_nested {
        return Entry::PassOn;
    }
    let wants_copy = frame.as_ref().is_some_and(Frame::wants_copy);
    let spare = match wants_copy {
        true => statement::copy(parse),
        false => std::ptr::null_mut(),
    };
    let hints = frame.as_ref().map_or(HintSet::NONE, |frame| frame.decision.hints);
    FRAMES.with_borrow_mut(|frames| frames.push(frame));
    Entry::Framed { spare, hints }
}

/// The frame of a statement that is observed or steered.
fn consider(parse: *mut pg_sys::Query, options: i32, params: pg_sys::ParamListInfo) -> Option<Frame> {
    // What functions plan meanwhile is not what is forced.
    let forced = FORCED.get().filter(|_| FRAMES.with_borrow(Vec::is_empty));
    let wanted = (settings::is_active() || forced.is_some())
        && statement::is_plannable(parse)
        && statement::queryid(parse) != 0
        && (IS_INSPECTING.get() || rewrite::is_forced() || !session::is_fast(statement::queryid(parse)))
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
    let chosen = match forced {
        Some(decision) => Chosen::forced(decision),
        None => {
            let advises = IS_INSPECTING.get() && settings::mode() == Mode::Advise;
            let may_steer = settings::may_steer() || advises;
            let may_try = settings::may_steer() && !IS_INSPECTING.get();
            choice::choose(&evidence, parse, options, may_steer, may_try)
        }
    };
    Some(Frame::new(statement, evidence, chosen))
}

/// Runs `work` with the innermost planning's frame, if it is one of ours.
pub(crate) fn with_frame<R>(work: impl FnOnce(&mut Frame) -> R) -> Option<R> {
    FRAMES.with_borrow_mut(|frames| frames.last_mut().and_then(Option::as_mut).map(work))
}

/// A PostgreSQL error ended the innermost planning.
pub(crate) fn abandon() {
    FRAMES.with_borrow_mut(Vec::pop);
}

/// An error ended the planning of a stored statement: the planner hook has cleaned up after itself.
pub(crate) fn abandon_all() {
    force(None);
}

/// After planning.
pub(crate) fn leave(planned: *mut pg_sys::PlannedStmt) -> Next {
    let Some(Some(frame)) = FRAMES.with_borrow_mut(Vec::pop) else {
        return Next::Done;
    };
    let with_sketches = IS_INSPECTING.get() || learn::wants_sub_joins(frame.evidence.calls);
    let facts = read(planned, &frame, with_sketches);
    if let Some(instead) = frame.instead(facts.shape) {
        shmem::counters::add_replanned(1);
        AGAIN.set(Some(frame.again(instead)));
        return Next::Instead(instead.hints);
    }
    let compares_forms = frame.compares_forms;
    let (trial, statement, evidence) = (frame.trial, frame.statement, frame.evidence);
    let began = frame.begun;
    let token = remember(planned, frame, facts);
    if compares_forms {
        COMPARED.set(Some(Comparison {
            statement,
            evidence,
            spending: Spending::of_first(began.elapsed()),
        }));
        return Next::Compare;
    }
    let Some(trial) = trial else { return Next::Done };
    let chosen = Chosen::forced(trial.decision);
    AGAIN.set(Some(Frame {
        trial: Some(trial),
        tried_for: Some(token),
        ..Frame::new(statement, evidence, chosen)
    }));
    Next::Try(trial.decision.hints)
}

/// The statement in the form that its decision says, or as it is when no rule gives that any more.
pub(crate) fn in_another_form(parse: *mut pg_sys::Query, form: usize) -> *mut pg_sys::Query {
    let rewritten = rewrite::consider(parse, form);
    with_frame(|frame| match rewritten {
        Some(rewritten) => frame.rules = rewritten.rules,
        None => frame.decision.hints = frame.decision.hints.without_form(),
    });
    rewritten.map_or(parse, |rewritten| rewritten.query)
}

/// Opens the frame of the next form of the statement whose forms are compared; `None` when there is none, or the best plan
/// so far costs too little to be worth it.
pub(crate) fn enter_form(
    spare: *mut pg_sys::Query,
    best: *mut pg_sys::PlannedStmt,
    form: usize,
) -> Option<*mut pg_sys::Query> {
    let compared = COMPARED.take();
    compared.and_then(|mut compared| {
        let queryid = compared.statement.queryid;
        let cost = plan_tree::total_cost(best);
        let rewritten = rewrite::consider_after(spare, (queryid, cost), form, &compared.spending)?;
        let chosen = Chosen::forced(Decision {
            cutoff: 0,
            hints: HintSet::NONE.with_form(form),
        });
        let frame = Frame {
            rules: rewritten.rules,
            ..Frame::new(compared.statement, compared.evidence, chosen)
        };
        compared.spending.begin_another();
        COMPARED.set(Some(compared));
        FRAMES.with_borrow_mut(|frames| frames.push(Some(frame)));
        Some(rewritten.query)
    })
}

/// After planning a form: whether its plan is taken instead of the best one so far.
pub(crate) fn leave_form(
    original: *mut pg_sys::PlannedStmt,
    best: *mut pg_sys::PlannedStmt,
    planned: *mut pg_sys::PlannedStmt,
) -> bool {
    let Some(Some(frame)) = FRAMES.with_borrow_mut(Vec::pop) else {
        return false;
    };
    let [of_original, of_best, cost] = [original, best, planned].map(|plan| plan_tree::total_cost(plan));
    let is_gain = rewrite::is_clear_gain(of_original, cost.min(of_best));
    rewrite::note_judged(frame.statement.queryid, of_original, is_gain);
    let is_taken = is_gain && cost < of_best;
    if is_taken {
        let facts = read(planned, &frame, learn::wants_sub_joins(frame.evidence.calls));
        remember(planned, frame, facts);
    }
    is_taken
}

/// Opens the frame of the second planning.
pub(crate) fn enter_again() {
    FRAMES.with_borrow_mut(|frames| frames.push(AGAIN.take()));
}

/// After the planning of a trial: keeps the plan for the execution, if running it can tell anything.
pub(crate) fn leave_trial(planned: *mut pg_sys::PlannedStmt) {
    let Some(Some(frame)) = FRAMES.with_borrow_mut(Vec::pop) else {
        return;
    };
    let (Some(trial), Some(token)) = (frame.trial, frame.tried_for) else {
        return;
    };
    let facts = read(planned, &frame, learn::wants_sub_joins(frame.evidence.calls));
    shmem::statements::note_planned(frame.statement.class, trial.decision);
    shmem::counters::add_corrections_applied(u64::from(frame.corrected));
    let decision = took_effect(&frame, trial.decision);
    let is_worth_it = frame.evidence.is_worth_trying(facts.shape, trial.limit_ms);
    let is_undone = decision.is_stock() && !trial.decision.is_stock();
    if is_undone || !is_worth_it || plan_tree::reads_foreign_tables(planned) {
        return;
    }
    let remembered = Remembered {
        statement: frame.statement,
        decision,
        rules: frame.rules,
        corrected: frame.corrected,
        facts,
        is_trial: true,
        is_dream: false,
    };
    trial::keep(planned, token, remembered, trial.limit_ms);
}

/// Reads a plan. The same operators with more memory are another plan: they take another time.
fn read(planned: *mut pg_sys::PlannedStmt, frame: &Frame, with_sketches: bool) -> PlanFacts {
    let mut facts = plan_tree::read(planned, &frame.levels, with_sketches);
    let doublings = frame.decision.hints.memory_doublings();
    if doublings > 0 {
        facts.shape = hash_words([facts.shape, u64::from(doublings)]).max(1);
    }
    facts
}

/// A plan that no correction touched owes nothing to them, whatever it might have been corrected with.
fn took_effect(frame: &Frame, decision: Decision) -> Decision {
    Decision {
        cutoff: if frame.corrected == 0 { 0 } else { decision.cutoff },
        ..decision
    }
}

fn remember(planned: *mut pg_sys::PlannedStmt, frame: Frame, facts: PlanFacts) -> u32 {
    shmem::counters::add_corrections_applied(u64::from(frame.corrected));
    if frame.corrected == 0 && frame.is_unprotected {
        shmem::statements::settle(frame.statement.class, frame.decision);
    }
    let remembered = Remembered {
        decision: took_effect(&frame, frame.decision),
        statement: frame.statement,
        rules: frame.rules,
        corrected: frame.corrected,
        facts,
        is_trial: FORCED.get().is_some(),
        is_dream: FORCED.get().is_some(),
    };
    let token = knowledge::remember(remembered);
    plan_tree::attach_token(planned, token);
    token
}

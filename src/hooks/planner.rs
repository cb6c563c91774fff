//! `planner_hook`: where a statement enters the loop. Runs once per planning, also nested (functions, triggers).
//!
//! Before: the statement's class is looked up and what it is planned with is chosen. After: the plan that came back is
//! read and remembered for its execution; when something else is to be tried, a copy of the statement is planned with that,
//! too. Each planning has a frame; the innermost one is on top.

use super::{explain, trial};
use crate::observe::knowledge::{self, Region, Remembered};
use crate::observe::{learn, scope, session};
use crate::pg::catalog;
use crate::pg::level::Level;
use crate::pg::plan_tree::{self, PlanFacts};
use crate::pg::statement::{self, Statement};
use crate::pg::threads;
use crate::settings::{self, Mode};
use crate::shmem;
use crate::shmem::corrections;
use crate::shmem::events::{self, Kind};
use crate::shmem::latencies::{self, Component};
use crate::shmem::planned_rows::{self, KeptRows};
use crate::steer::choice::{self, Chosen};
use crate::steer::first_sight::{self, Others};
use crate::steer::rewrite::{self, Forms, Rules, Spending};
use crate::steer::rows::{KeptLevel, Knowledge, are_much_the_same};
use engine::cardinality::hash_words;
use engine::decision::{Decision, HintSet, RegionChoice, Regions, StatementEvidence, Trial};
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What the trampoline does next.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    /// Nothing of ours: chain.
    PassOn,
    /// Chain inside a frame, under these hints; `spare` is a copy of the statement for a second planning, or null.
    /// `begun` is when our work began, for one that we follow.
    Framed {
        spare: *mut pg_sys::Query,
        hints: HintSet,
        begun: Option<Instant>,
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

/// Plannings of a statement in vain: what was measured did not come out of them.
const MISSES: u32 = 2;

/// One planning under way.
pub(crate) struct Frame {
    statement: Statement,
    evidence: StatementEvidence,
    decision: Decision,
    /// This plan is a trial of its own, without a way back.
    is_unprotected: bool,
    /// Something may be tried beside this plan.
    may_try: bool,
    /// What is to be tried beside this plan.
    trial: Option<Trial>,
    /// The statement's other forms are planned, too.
    compares_forms: bool,
    /// It is planned without some methods, too.
    compares_methods: bool,
    /// What is known of the statement with other constants, when that may decide.
    regions: Option<Box<Regions>>,
    /// Where the statement stands among its own with other constants.
    region: Option<Region>,
    /// This is the planning of that trial, for the plan with this token.
    tried_for: Option<u32>,
    /// What rewrote the statement.
    rules: Rules,
    /// What its own form was estimated to cost, where this one was taken for being cheaper.
    own_cost: Option<f64>,
    /// When its planning began.
    begun: Instant,
    /// The query levels met so far.
    pub(crate) levels: Vec<Level>,
    /// Corrections applied so far.
    pub(crate) corrected: u32,
    /// Decisions that did not give the plans that were measured.
    misses: u32,
    /// What the decision's plan was planned with before.
    kept: Option<Rc<KeptRows>>,
    /// Time that correcting took so far.
    pub(crate) correcting: Duration,
}

impl Frame {
    fn new(statement: Statement, evidence: StatementEvidence, chosen: Chosen) -> Self {
        Self {
            statement,
            evidence,
            decision: chosen.decision,
            is_unprotected: chosen.is_unprotected,
            may_try: true,
            trial: chosen.trial,
            compares_forms: chosen.compares_forms,
            compares_methods: chosen.compares_methods,
            regions: chosen.regions,
            region: None,
            tried_for: None,
            rules: Rules::NONE,
            own_cost: None,
            begun: Instant::now(),
            levels: Vec::new(),
            corrected: 0,
            misses: 0,
            kept: None,
            correcting: Duration::ZERO,
        }
    }

    /// Whether it may have to be planned a second time.
    fn wants_copy(&self) -> bool {
        self.is_unprotected
            || self.trial.is_some()
            || self.compares_forms
            || self.compares_methods
            || self.regions.is_some()
            || (!self.decision.is_stock() && FORCED.get().is_none())
    }

    /// What to plan instead, when the plan with this shape should not run.
    fn instead(&mut self, shape: u64) -> Option<Decision> {
        let class = self.statement.class;
        let is_by_region = self.region.is_some_and(|region| region.stock_ms.is_some());
        if FORCED.get().is_some() || self.decision.is_stock() || is_by_region {
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
                events::note_of((self.statement.queryid, class), Kind::DecisionMissed, [0.0; 2]);
            }
            self.evidence.pass_over(self.decision);
            self.misses += 1;
            match self.misses < MISSES {
                true => self.evidence.settled().decision,
                false => Decision::STOCK,
            }
        })
    }

    /// Whether estimates are corrected.
    pub(crate) fn applies_rows(&self) -> bool {
        self.decision.cutoff > 0 && settings::corrects_rows()
    }

    /// What is known for the planning of the level with this number.
    pub(crate) fn knowledge(&self, number: usize) -> Knowledge {
        let kept = self.kept.clone();
        Knowledge {
            cutoff: if self.applies_rows() {
                self.decision.cutoff
            } else {
                0
            },
            caution: if self.decision.hints.is_cautious() {
                1.0
            } else {
                0.0
            },
            kept: kept.map(|rows| KeptLevel { rows, number }),
        }
    }

    /// Looks for what the plan of its decision was planned with. New knowledge is tried as it is.
    fn with_kept_rows(mut self) -> Self {
        let hints = self.decision.hints;
        let is_trial = self.tried_for.is_some() || FORCED.get().is_some();
        let is_new = is_trial && hints.methods().next().is_none();
        let is_wanted = self.applies_rows() && !is_new;
        let kept = if is_wanted {
            planned_rows::get(self.statement.class)
        } else {
            None
        };
        let kept = kept.filter(|kept| kept.are_of(self.decision) && are_much_the_same(&kept.tables));
        self.kept = kept.map(Rc::new);
        self
    }

    /// What it is planned with, to be kept if the plan turns out to be the best one.
    fn planned_rows(&self) -> Vec<(u64, f64)> {
        let levels = self.levels.iter().enumerate();
        levels
            .flat_map(|(number, level)| level.planned_rows(number))
            .collect()
    }

    /// The same statement, to be planned again with another decision.
    fn again(mut self, decision: Decision) -> Self {
        self.decision = decision;
        self.is_unprotected = false;
        self.rules = Rules::NONE;
        self.own_cost = None;
        self.levels.clear();
        self.corrected = 0;
        self.correcting = Duration::ZERO;
        self.with_kept_rows()
    }
}

/// The statement whose other plans are compared.
struct Compared {
    statement: Statement,
    evidence: StatementEvidence,
    region: Option<Region>,
    compares_forms: bool,
    /// Its forms, once the first one was asked for.
    forms: Option<Forms>,
    /// Row counts that all forms are planned with, where the statement's own plan was made with others; 0 is as that was.
    cutoff: u64,
    /// What the statement's own form costs, and what the best one so far does.
    own_cost: f64,
    best_cost: f64,
    /// What it is planned without, too.
    others: Option<Others>,
    /// What planning took so far.
    spending: Spending,
}

impl Compared {
    fn frame(&self, cutoff: u64, hints: HintSet) -> Frame {
        let decision = Decision { cutoff, hints };
        Frame {
            region: self.region,
            ..Frame::new(self.statement, self.evidence, Chosen::forced(decision))
        }
    }
}

thread_local! {
    /// `None` is a planning that is left alone inside one that is not.
    static FRAMES: RefCell<Vec<Option<Frame>>> = const { RefCell::new(Vec::new()) };
    static IS_INSPECTING: Cell<bool> = const { Cell::new(false) };
    static FORCED: Cell<Option<Decision>> = const { Cell::new(None) };
    static AGAIN: RefCell<Option<Frame>> = const { RefCell::new(None) };
    /// One at a time: comparing does not nest.
    static COMPARED: RefCell<Option<Compared>> = const { RefCell::new(None) };
    /// Time that correcting took in the planning that ended last, of which [`note_times`] was not told yet.
    static CORRECTING: Cell<Duration> = const { Cell::new(Duration::ZERO) };
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
    let considered = consider(parse, options, params);
    let (frame, begun) = considered.map_or((None, None), |(frame, begun)| (Some(frame), Some(begun)));
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
    if let Some(begun) = begun {
        latencies::record(Component::Lookup, begun.elapsed());
    }
    Entry::Framed { spare, hints, begun }
}

/// The frame of a statement that is observed or steered, and when looking at it began.
fn consider(
    parse: *mut pg_sys::Query,
    options: i32,
    params: pg_sys::ParamListInfo,
) -> Option<(Frame, Instant)> {
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
    threads::prepare_session();
    let begun = Instant::now();
    let statement = statement::describe(parse, params);
    if !(statement.has_tables && scope::contains(parse)) {
        return None;
    }
    let evidence = shmem::statements::evidence(statement.class).unwrap_or_default();
    let is_looked_at = IS_INSPECTING.get() || explain::is_about(parse);
    let may_try = settings::may_steer() && !is_looked_at;
    let chosen = match forced {
        Some(decision) => Chosen::forced(decision),
        None => {
            let advises = IS_INSPECTING.get() && settings::mode() == Mode::Advise;
            let may_steer = settings::may_steer() || advises;
            choice::choose(&statement, &evidence, parse, options, (may_steer, may_try))
        }
    };
    let frame = Frame {
        may_try,
        ..Frame::new(statement, evidence, chosen)
    };
    let frame = frame.with_kept_rows();
    Some((frame, begun))
}

/// Runs `work`, which corrects estimates, with the innermost planning's frame, if it is one of ours.
pub(crate) fn correcting<R>(work: impl FnOnce(&mut Frame) -> R) -> Option<R> {
    with_frame(|frame| {
        let begun = Instant::now();
        let result = work(frame);
        frame.correcting += begun.elapsed();
        result
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

/// An error ended the planning of a stored statement: the planner hook has cleaned up after itself.
pub(crate) fn abandon_all() {
    force(None);
}

/// After planning.
pub(crate) fn leave(planned: *mut pg_sys::PlannedStmt) -> Next {
    let Some(Some(mut frame)) = FRAMES.with_borrow_mut(Vec::pop) else {
        return Next::Done;
    };
    let begun = Instant::now();
    let with_sketches = IS_INSPECTING.get() || learn::wants_sub_joins(frame.evidence.calls);
    let facts = read(planned, &frame, with_sketches);
    latencies::record(Component::PlanReading, begun.elapsed());
    latencies::record(Component::RowCorrections, frame.correcting);
    CORRECTING.set(CORRECTING.get() + frame.correcting);
    if let Some(instead) = frame.instead(facts.shape) {
        return plan_instead(frame, instead);
    }
    frame.region = frame
        .region
        .or_else(|| choice::region_of(&frame.evidence, frame.decision, &facts));
    if let (Some(regions), Some(region)) = (frame.regions.take(), frame.region) {
        match choice::in_region(&regions, (region, facts.methods), &frame.evidence) {
            // What was measured of the statement itself says more than what was of others.
            RegionChoice::Stock => frame.compares_methods &= regions.get(region.shape).is_none(),
            RegionChoice::Use(decision) => {
                let stock_ms = regions
                    .get(region.shape)
                    .and_then(|known| known.stock_ms(region.cost));
                frame.region = Some(Region { stock_ms, ..region });
                return plan_instead(frame, decision);
            }
            RegionChoice::Try(_) if !frame.may_try => {}
            RegionChoice::Try(trial) => {
                shmem::regions::note_planned(frame.statement.queryid, region.shape, trial.decision);
                frame.trial = Some(trial);
            }
        }
    }
    let compares_methods = frame.compares_methods && frame.trial.is_none();
    let spending = Spending::of_first(frame.begun.elapsed());
    let others = match compares_methods {
        true => first_sight::others(&facts, &spending),
        false => None,
    };
    let is_compared = frame.compares_forms || others.is_some();
    let compares_forms = frame.compares_forms;
    let (trial, statement, evidence, region) = (frame.trial, frame.statement, frame.evidence, frame.region);
    let (decision, cost) = (frame.decision, facts.total_cost);
    let is_contradicted = compares_forms && settings::corrects_rows() && rewrite::contradicts(&facts);
    let token = remember(planned, frame, facts);
    if is_compared {
        COMPARED.set(Some(Compared {
            statement,
            evidence,
            region,
            compares_forms,
            forms: None,
            cutoff: match is_contradicted && decision.cutoff == 0 {
                true => corrections::newest(),
                false => 0,
            },
            own_cost: cost,
            best_cost: cost,
            others,
            spending,
        }));
        return Next::Compare;
    }
    let Some(trial) = trial else { return Next::Done };
    let chosen = Chosen::forced(trial.decision);
    let again = Frame {
        trial: Some(trial),
        tried_for: Some(token),
        region,
        ..Frame::new(statement, evidence, chosen)
    };
    AGAIN.set(Some(again.with_kept_rows()));
    Next::Try(trial.decision.hints)
}

/// The plan is not taken: the statement is planned again with another decision.
fn plan_instead(frame: Frame, decision: Decision) -> Next {
    shmem::counters::add_replanned(1);
    AGAIN.set(Some(frame.again(decision)));
    Next::Instead(decision.hints)
}

/// After a planning that began at `begun`, of which PostgreSQL planned for this time.
pub(crate) fn note_times(begun: Instant, planning: Duration) {
    let ours = begun.elapsed().saturating_sub(planning) + CORRECTING.take();
    latencies::record(Component::Planning, planning);
    latencies::record(Component::PlanningOverhead, ours);
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

/// Opens the frame of another planning of the statement as it is, with the row counts that were learned: a copy to plan; `None`
/// where its own plan says what it costs.
pub(crate) fn enter_own(spare: *mut pg_sys::Query) -> Option<*mut pg_sys::Query> {
    COMPARED.with_borrow_mut(|compared| {
        let compared = compared.as_mut().filter(|compared| compared.cutoff > 0)?;
        compared.spending.begin_another();
        let own = statement::copy(spare);
        push(compared.frame(compared.cutoff, HintSet::NONE));
        Some(own)
    })
}

/// After it: what the other forms are compared with.
pub(crate) fn leave_own(planned: *mut pg_sys::PlannedStmt) {
    FRAMES.with_borrow_mut(Vec::pop);
    COMPARED.with_borrow_mut(|compared| {
        if let Some(compared) = compared {
            compared.own_cost = plan_tree::total_cost(planned);
            compared.best_cost = compared.own_cost;
        }
    });
}

/// Opens the frame of the next form of the statement whose forms are compared; `None` when there is none, or the best plan
/// so far costs too little to be worth it.
pub(crate) fn enter_form(spare: *mut pg_sys::Query, number: usize) -> Option<*mut pg_sys::Query> {
    // Taken out meanwhile: an error ends the comparison.
    let mut compared = COMPARED.take()?;
    let known = (compared.statement.queryid, compared.best_cost);
    let is_worth_it =
        compared.compares_forms && rewrite::is_worth_planning(known, number, &compared.spending);
    let form = is_worth_it.then(|| {
        compared.spending.begin_another();
        compared.forms.get_or_insert_with(|| Forms::of(spare)).get(number)
    });
    let form = form.flatten();
    if let Some(form) = &form {
        push(Frame {
            rules: form.rules,
            ..compared.frame(compared.cutoff, HintSet::NONE.with_form(number))
        });
    }
    COMPARED.set(Some(compared));
    form.map(|form| form.query)
}

/// Opens the frame of the statement's next planning without some methods: a copy to plan and the hints; `None` when there are no
/// more, or no time.
pub(crate) fn enter_other(spare: *mut pg_sys::Query) -> Option<(*mut pg_sys::Query, HintSet)> {
    let mut compared = COMPARED.take()?;
    let others = compared.others.as_mut();
    let hints = others.and_then(|others| others.next(&compared.spending));
    let next = hints.map(|hints| (statement::copy(spare), hints));
    if let Some((_, hints)) = next {
        compared.spending.begin_another();
        push(compared.frame(0, hints));
    }
    COMPARED.set(Some(compared));
    next
}

/// After such a planning: whether its plan is taken instead of the best one so far.
pub(crate) fn leave_other(planned: *mut pg_sys::PlannedStmt) -> bool {
    let Some(Some(frame)) = FRAMES.with_borrow_mut(Vec::pop) else {
        return false;
    };
    let facts = read(planned, &frame, learn::wants_sub_joins(frame.evidence.calls));
    let is_other = frame.region.is_some_and(|region| region.shape != facts.shape);
    let hints = frame.decision.hints;
    let is_taken = COMPARED.with_borrow_mut(|compared| {
        let others = compared.as_mut().and_then(|compared| {
            let own_cost = compared.own_cost;
            compared.others.as_mut().map(|others| (others, own_cost))
        });
        others.is_some_and(|(others, own_cost)| others.takes(&facts, hints, own_cost, is_other))
    });
    if is_taken {
        remember(planned, frame, facts);
    }
    is_taken
}

/// A plan of the kind that was measured to be slower is made to look dear to the plan cache, which compares the costs of
/// both kinds.
pub(crate) fn steer_kind(planned: *mut pg_sys::PlannedStmt) {
    if planned.is_null() || !settings::may_steer() || !settings::chooses_kinds() {
        return;
    }
    let remembered = plan_tree::token(planned).and_then(knowledge::find);
    let Some(statement) = remembered.map(|remembered| remembered.statement) else {
        return;
    };
    let Some(kind) = statement.kind else { return };
    let preferred = shmem::regions::preferred_kind(statement.queryid);
    if preferred.is_some_and(|preferred| preferred != kind) {
        plan_tree::raise_cost(planned);
    }
}

/// No further plans of the statement are compared.
pub(crate) fn stop_comparing() {
    COMPARED.set(None);
}

fn push(frame: Frame) {
    FRAMES.with_borrow_mut(|frames| frames.push(Some(frame)));
}

/// After planning a form: whether its plan is taken instead of the best one so far.
pub(crate) fn leave_form(planned: *mut pg_sys::PlannedStmt) -> bool {
    let Some(Some(mut frame)) = FRAMES.with_borrow_mut(Vec::pop) else {
        return false;
    };
    let cost = plan_tree::total_cost(planned);
    let is_taken = COMPARED.with_borrow_mut(|compared| {
        let Some(compared) = compared else { return false };
        let (own_cost, best_cost) = (compared.own_cost, compared.best_cost);
        let is_gain = rewrite::is_clear_gain(own_cost, cost.min(best_cost));
        rewrite::note_judged(compared.statement.queryid, own_cost, is_gain);
        let is_taken = is_gain && cost < best_cost;
        if is_taken {
            compared.best_cost = cost;
            frame.own_cost = Some(own_cost);
        }
        is_taken
    });
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
    if let (Some(form), None) = (trial.decision.hints.form(), frame.decision.hints.form()) {
        shmem::statements::note_last_form(frame.statement.class, form);
    }
    shmem::counters::add_corrections_applied(u64::from(frame.corrected));
    let decision = took_effect(&frame, trial.decision);
    let is_stock = frame.region.is_some_and(|region| region.shape == facts.shape);
    let is_meant = trial.decision.is_stock() || !is_stock;
    let is_worth_it = is_meant && frame.evidence.is_worth_trying(facts.shape, trial.limit_ms);
    let is_undone = decision.is_stock() && !trial.decision.is_stock();
    if is_undone || !is_worth_it || plan_tree::reads_foreign_tables(planned) {
        if trial.decision.is_stock() {
            shmem::statements::leave_stock(frame.statement.class, facts.shape);
        }
        return;
    }
    let remembered = Remembered {
        statement: frame.statement,
        decision,
        planning_ms: 0.0,
        rules: frame.rules,
        own_cost: frame.own_cost,
        corrected: frame.corrected,
        planned_rows: frame.planned_rows(),
        region: frame.region,
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
        planning_ms: frame.begun.elapsed().as_secs_f64() * 1000.0,
        statement: frame.statement,
        rules: frame.rules,
        own_cost: frame.own_cost,
        corrected: frame.corrected,
        planned_rows: frame.planned_rows(),
        region: frame.region,
        facts,
        is_trial: FORCED.get().is_some(),
        is_dream: FORCED.get().is_some(),
    };
    events::note_of(
        (remembered.statement.queryid, remembered.statement.class),
        Kind::Planned,
        [f64::from(remembered.corrected), remembered.facts.total_cost],
    );
    let token = knowledge::remember(remembered);
    plan_tree::attach_token(planned, token);
    token
}

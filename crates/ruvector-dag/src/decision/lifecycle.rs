//! From evidence to a choice: measure stock, try what was learned, keep the fastest plan measured.
//!
//! The rule that makes it safe: users wait for a plan other than stock's only after it was measured faster, and no longer
//! than until it is significantly slower. What was not measured yet runs as a [`super::Trial`], which is given less time than the
//! best plan takes and has a way back.

use super::evidence::{Decision, StatementEvidence};
use super::hints::HintSet;
use super::plan_evidence::PlanEvidence;
use super::sequential::{Comparison, compare};

/// Completed stock executions wanted before anything else is tried; two, so that one cold run can't mislead.
const STOCK_RUNS: u32 = 2;
/// Another plan replaces stock only below this share of stock's latency, and the best plan only below this share of its.
pub const CLEAR_GAIN: f64 = 0.95;
/// Runs of a plan that seems faster after which it must be significantly faster.
const PROVED_RUNS: u32 = 6;
/// A plan kept for less than this gain is compared with new stock runs now and then: the machine may have been slower
/// when stock was measured.
const CONTROLLED: f64 = 0.5;
/// A gain that may be nothing but the luck of one trial: waiting for the comparison costs little then.
const LUCK: f64 = 0.75;

/// Where a statement class stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The stock plan is being measured.
    Observing,
    /// A plan that seems faster is being compared with stock's.
    Exploring,
    /// Another plan is faster than stock and is used.
    Applied,
    /// Other plans were tried and stock was faster.
    Reverted,
    /// The owner decided.
    Pinned,
}

impl State {
    /// The name shown to users.
    pub fn name(self) -> &'static str {
        match self {
            State::Observing => "observing",
            State::Exploring => "exploring",
            State::Applied => "applied",
            State::Reverted => "reverted",
            State::Pinned => "pinned",
        }
    }
}

/// Why a choice was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Too few stock executions to compare with.
    StockNotMeasured,
    /// Something was learned that no plan was made with yet.
    NewKnowledge,
    /// All corrections together gave no faster plan; the most attended ones alone might.
    MostAttendedAlone,
    /// A hint set that was not tried yet promises most.
    UntriedHints,
    /// The planner's costs are clearly off, and those that fit were not tried yet.
    FittedCosts,
    /// A plan was faster, in too few runs to be sure.
    NotSureYet,
    /// The plan kept is a little faster than stock was; stock is measured again.
    StockMeasuredAgain,
    /// The data changed, and the plan in use is measured again.
    DataChanged,
    /// Another plan beats stock's latency.
    FasterThanStock,
    /// It was expected to be faster when the statement was seen first.
    PredictedGain,
    /// Nothing tried was clearly faster than stock.
    StockIsBest,
    /// Nothing is known that would change the plan.
    NothingLearned,
    /// The owner pinned the class.
    PinnedByOwner,
    /// Applied decisions of the whole server were slower than stock lately.
    BreakerOpen,
}

impl Reason {
    /// The sentence shown to users.
    pub fn text(self) -> &'static str {
        match self {
            Reason::StockNotMeasured => "the stock plan has not been measured often enough",
            Reason::NewKnowledge => "row counts were learned that no plan was made with yet",
            Reason::MostAttendedAlone => {
                "all learned row counts gave no faster plan; those of the most attended operators are tried alone"
            }
            Reason::UntriedHints => "this hint set was not tried yet and promises most",
            Reason::FittedCosts => {
                "the planner's costs do not fit this server, and those that do were not tried yet"
            }
            Reason::NotSureYet => "another plan was measured faster, in too few runs to be sure",
            Reason::StockMeasuredAgain => "the stock plan is measured again, to compare with the plan in use",
            Reason::DataChanged => "the data changed, and the plan in use is measured again",
            Reason::FasterThanStock => "another plan was measured faster than the stock plan",
            Reason::PredictedGain => {
                "another plan was expected to be faster when the statement was seen first"
            }
            Reason::StockIsBest => "no other plan was measured clearly faster than the stock plan",
            Reason::NothingLearned => "nothing was learned that changes the plan",
            Reason::PinnedByOwner => "the owner pinned this decision",
            Reason::BreakerOpen => {
                "decisions were slower than stock lately, so all are suspended for some minutes"
            }
        }
    }
}

/// What to plan with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Row corrections and hints.
    pub decision: Decision,
    /// The class's state under this choice.
    pub state: State,
    /// Why.
    pub reason: Reason,
}

impl Choice {
    /// The stock plan, for a reason.
    pub fn stock(state: State, reason: Reason) -> Self {
        Self {
            decision: Decision::STOCK,
            state,
            reason,
        }
    }
}

impl StatementEvidence {
    /// What the next execution of this class is planned with.
    pub fn choose(&self) -> Choice {
        if self.pinned != 0 {
            return self.pinned_choice();
        }
        if let Some(plan) = self.unopposed() {
            return Choice {
                decision: plan.decision,
                state: State::Exploring,
                reason: Reason::PredictedGain,
            };
        }
        if let Some(plan) = self.outdated_other() {
            return Choice {
                decision: plan.decision,
                state: State::Exploring,
                reason: Reason::DataChanged,
            };
        }
        if !self.is_stock_known() {
            return Choice::stock(State::Observing, Reason::StockNotMeasured);
        }
        if self.wants_control() {
            return Choice::stock(State::Applied, Reason::StockMeasuredAgain);
        }
        self.settled()
    }

    /// The best plan measured.
    pub fn settled(&self) -> Choice {
        if self.pinned != 0 {
            return self.pinned_choice();
        }
        match self.faster() {
            Some((plan, true)) => Choice {
                decision: plan.decision,
                state: State::Applied,
                reason: Reason::FasterThanStock,
            },
            Some((plan, false)) => Choice {
                decision: plan.decision,
                state: State::Exploring,
                reason: Reason::NotSureYet,
            },
            None if self.trials > 0 => Choice::stock(State::Reverted, Reason::StockIsBest),
            None => Choice::stock(State::Observing, Reason::NothingLearned),
        }
    }

    fn pinned_choice(&self) -> Choice {
        let pinned = self.plan(self.pinned_shape).filter(|_| self.pinned == 2);
        Choice {
            decision: pinned.map_or(Decision::STOCK, |plan| plan.decision),
            state: State::Pinned,
            reason: Reason::PinnedByOwner,
        }
    }

    /// Whether stock's latency is known, so that others can be compared with it.
    pub fn is_baseline_known(&self) -> bool {
        self.is_stock_known() && self.best().is_some()
    }

    /// Stock ran often enough, or was given up after more time than another plan takes.
    fn is_stock_known(&self) -> bool {
        let is_beaten = |stock: &PlanEvidence| {
            self.best_ms()
                .is_some_and(|best_ms| best_ms < f64::from(stock.lower_bound_ms))
        };
        self.stock_seen() >= STOCK_RUNS || self.stock().is_some_and(is_beaten)
    }

    /// The plan that was in use when the data changed, until it ran again: it goes first, since stock may have become faster or slower
    /// by the same.
    fn outdated_other(&self) -> Option<&PlanEvidence> {
        self.measured()
            .find(|plan| !plan.decision.is_stock() && plan.is_outdated())
    }

    /// The plan in use that was measured since the data changed, where the stock plan was not: it seemed far slower, by what it took before.
    pub(super) fn unrenewed(&self) -> Option<&PlanEvidence> {
        let is_renewed = |plan: &&PlanEvidence| !plan.decision.is_stock() && !plan.is_outdated();
        let is_behind = self.stock().is_some_and(PlanEvidence::is_outdated) && !self.wants_control();
        let used = || self.plan_of(self.settled().decision).filter(is_renewed);
        is_behind.then(used).flatten()
    }

    /// What to plan with when the stock plan was given up each time and nothing ever ended: what was learned meanwhile, as
    /// there is nothing to lose.
    pub fn last_resort(&self, newest: u64) -> Option<Decision> {
        let has_news = self.fresh != 0 && newest > 0;
        let is_lost = self.pinned == 0 && self.stock_seen() >= STOCK_RUNS && self.best().is_none();
        (is_lost && has_news).then_some(Decision {
            cutoff: newest,
            hints: HintSet::NONE,
        })
    }

    /// The best plan when the stock plan never ran: it was expected to be faster at first sight.
    pub(super) fn unopposed(&self) -> Option<&PlanEvidence> {
        let best = self.best().filter(|_| self.stock_seen() == 0)?;
        let hints = best.decision.hints;
        // Where the data changed, what stock takes is forgotten, not unknown.
        let is_new = !hints.is_none() && self.stock().is_none();
        (is_new || hints.form().is_some()).then_some(best)
    }

    /// What the best plan takes, in milliseconds: nothing that takes longer is worth a trial.
    pub fn best_ms(&self) -> Option<f64> {
        self.best().and_then(PlanEvidence::typical_ms)
    }

    /// Whether a trial of `shape` that may take `limit_ms` can tell anything new.
    pub fn is_worth_trying(&self, shape: u64, limit_ms: f64) -> bool {
        if self.is_dismissed(shape) {
            return false;
        }
        // A plan that was cut off is given another chance only with clearly more time, or other data.
        self.plan(shape).is_none_or(|plan| {
            let has_time = plan.runs == 0 && f64::from(plan.lower_bound_ms) * 1.5 < limit_ms;
            plan.is_outdated() || has_time
        })
    }

    /// Marks a decision as planned with: nothing further to try until something new is learned.
    pub fn settle(&mut self, decision: Decision) {
        if decision.cutoff > 0 && decision.cutoff == self.partial {
            self.partial = 0;
        } else if decision.cutoff > 0
            && (decision.hints.is_none() || decision.hints == self.kept_parameters())
        {
            self.fresh = 0;
        }
    }

    fn stock_seen(&self) -> u32 {
        self.stock().map_or(0, |plan| plan.runs + plan.cut_off_runs)
    }

    /// The best plan other than stock's if it is faster, and whether that is proved.
    fn faster(&self) -> Option<(&PlanEvidence, bool)> {
        let stock = self.stock()?;
        let candidates = self.measured().filter(|plan| !plan.decision.is_stock());
        let best = candidates.min_by(|a, b| a.typical_or_max().total_cmp(&b.typical_or_max()))?;
        let Some(stock_ms) = stock.typical_ms() else {
            // Stock was cut off each time: whatever ended before is faster.
            let is_faster = best.typical_or_max() < f64::from(stock.lower_bound_ms);
            return is_faster.then_some((best, true));
        };
        if best.typical_or_max() >= CLEAR_GAIN * stock_ms {
            return None;
        }
        match compare(best.samples_ms(), stock.samples_ms()) {
            Comparison::Faster => Some((best, true)),
            Comparison::Slower => None,
            Comparison::Unclear => (best.runs < PROVED_RUNS || stock.runs < 3).then_some((best, false)),
        }
    }

    /// After 2, 6, 14, 30 … runs of a plan whose gain is small, the first of which is the trial; one run earlier where it is very
    /// small: of several trials the luckiest one looks faster than a stock plan that ran twice.
    fn wants_control(&self) -> bool {
        let (Some((best, _)), Some(stock)) = (self.faster(), self.stock()) else {
            return false;
        };
        // A stock plan that never ended is not waited for again.
        let Some(stock_ms) = stock.typical_ms() else {
            return false;
        };
        let is_small = best.typical_ms() > Some(CONTROLLED * stock_ms);
        let is_maybe_luck = best.typical_ms() > Some(LUCK * stock_ms);
        let runs = best.runs.saturating_add(2 + u32::from(is_maybe_luck));
        is_small && (stock.is_outdated() || self.stock_seen() < STOCK_RUNS - 1 + runs.ilog2())
    }
}

//! From evidence to a choice: measure stock, try what was learned, keep the fastest plan measured.
//!
//! The rule that makes it safe: a plan shape measured slower than the best one is not planned again, and a corrected
//! plan is kept only while it is clearly faster than stock. The number of trials per class is bounded.

use super::evidence::{PlanEvidence, StatementEvidence};

/// Completed stock executions wanted before anything else is tried; two, so that one cold run can't mislead.
const STOCK_RUNS: u32 = 2;
/// Plan shapes tried per statement class.
const MAX_TRIALS: u32 = 6;
/// A corrected plan replaces stock only below this share of stock's latency.
const CLEAR_GAIN: f64 = 0.95;
/// A plan tried once is tried a second time when its latency lies within these shares of stock's: one run of either may
/// have been lucky.
const DOUBTFUL: std::ops::Range<f64> = 0.6..1.5;
/// A plan kept for less than this gain is compared with new stock runs now and then: the machine may have been slower
/// when stock was measured.
const CONTROLLED: f64 = 0.5;
/// A time lost over the baseline, as a multiple of it, after which a class is not experimented with any further.
const LOSS_LIMIT: f64 = 4.0;

/// Where a statement class stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The stock plan is being measured.
    Observing,
    /// A plan that was not measured yet is being tried.
    Exploring,
    /// A corrected plan is faster than stock and is used.
    Applied,
    /// Corrected plans were tried and stock was faster.
    Reverted,
}

impl State {
    /// The name shown to users.
    pub fn name(self) -> &'static str {
        match self {
            State::Observing => "observing",
            State::Exploring => "exploring",
            State::Applied => "applied",
            State::Reverted => "reverted",
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
    /// A plan was tried once, with a latency too near to stock's to tell.
    OneRunOnly,
    /// The plan kept is a little faster than stock was; stock is measured again.
    StockMeasuredAgain,
    /// A corrected plan's typical latency beats stock's.
    FasterThanStock,
    /// Nothing tried was clearly faster than stock.
    StockIsBest,
    /// Nothing is known that would change the plan.
    NothingLearned,
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
            Reason::OneRunOnly => "a corrected plan was measured once, too near to the stock plan to tell",
            Reason::StockMeasuredAgain => {
                "the stock plan is measured again, to compare with the corrected plan"
            }
            Reason::FasterThanStock => "a corrected plan was measured faster than the stock plan",
            Reason::StockIsBest => "no corrected plan was measured clearly faster than the stock plan",
            Reason::NothingLearned => "nothing was learned that changes the plan",
        }
    }
}

/// What to plan with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Apply the corrections first learned up to this sequence number; 0 is stock.
    pub cutoff: u64,
    /// The class's state under this choice.
    pub state: State,
    /// Why.
    pub reason: Reason,
}

impl StatementEvidence {
    /// What the next execution of this class is planned with; `newest` is the newest sequence number learned.
    pub fn choose(&self, newest: u64) -> Choice {
        let stock_seen = self.stock().map_or(0, |plan| plan.runs + plan.cut_off_runs);
        if stock_seen < STOCK_RUNS {
            return Choice {
                cutoff: 0,
                state: State::Observing,
                reason: Reason::StockNotMeasured,
            };
        }
        if let Some(plan) = self.doubtful() {
            return Choice {
                cutoff: plan.cutoff,
                state: State::Exploring,
                reason: Reason::OneRunOnly,
            };
        }
        if self.fresh != 0 && self.may_try() && newest > 0 {
            return Choice {
                cutoff: newest,
                state: State::Exploring,
                reason: Reason::NewKnowledge,
            };
        }
        if self.partial > 0 && self.may_try() && self.clearly_best().is_none() {
            return Choice {
                cutoff: self.partial,
                state: State::Exploring,
                reason: Reason::MostAttendedAlone,
            };
        }
        if self.wants_control() {
            return Choice {
                cutoff: 0,
                state: State::Applied,
                reason: Reason::StockMeasuredAgain,
            };
        }
        self.settled()
    }

    /// The best plan measured, without trying anything.
    pub fn settled(&self) -> Choice {
        match self.clearly_best() {
            Some(best) => Choice {
                cutoff: best.cutoff,
                state: State::Applied,
                reason: Reason::FasterThanStock,
            },
            None if self.trials > 0 => Choice {
                cutoff: 0,
                state: State::Reverted,
                reason: Reason::StockIsBest,
            },
            None => Choice {
                cutoff: 0,
                state: State::Observing,
                reason: Reason::NothingLearned,
            },
        }
    }

    /// Whether `shape`, planned with the newest knowledge, should run: it was not measured yet, or is the best.
    pub fn worth_running(&self, shape: u64) -> bool {
        let Some(known) = self.plan(shape).and_then(PlanEvidence::expected_ms) else {
            return true;
        };
        self.settled_shape() == Some(shape)
            || self.doubtful().is_some_and(|plan| plan.shape == shape)
            || self
                .best()
                .and_then(PlanEvidence::expected_ms)
                .is_some_and(|best| known <= best)
    }

    /// Marks the knowledge up to `cutoff` as planned with: nothing further to try until something new is learned.
    pub fn settle(&mut self, cutoff: u64) {
        if cutoff == self.partial {
            self.note_planned_with(cutoff);
        } else {
            self.fresh = 0;
        }
    }

    fn settled_shape(&self) -> Option<u64> {
        self.clearly_best()
            .or_else(|| self.stock())
            .map(|plan| plan.shape)
    }

    fn clearly_best(&self) -> Option<&PlanEvidence> {
        let best = self.best()?;
        let stock = self.stock()?.expected_ms()?;
        (best.cutoff > 0 && best.expected_ms()? < stock * CLEAR_GAIN).then_some(best)
    }

    fn doubtful(&self) -> Option<&PlanEvidence> {
        let stock = self.stock()?.typical_ms()?;
        let is_doubtful = |plan: &&PlanEvidence| {
            plan.cutoff > 0
                && plan.runs == 1
                && plan
                    .typical_ms()
                    .is_some_and(|ms| DOUBTFUL.contains(&(ms / stock)))
        };
        self.plans().find(is_doubtful)
    }

    /// After 2, 6, 14, 30 … runs of a plan whose gain is small.
    fn wants_control(&self) -> bool {
        let (Some(best), Some(stock)) = (self.clearly_best(), self.stock()) else {
            return false;
        };
        let is_small = best.expected_ms() > stock.expected_ms().map(|stock_ms| CONTROLLED * stock_ms);
        is_small && stock.runs + stock.cut_off_runs < STOCK_RUNS - 1 + best.runs.saturating_add(2).ilog2()
    }

    fn may_try(&self) -> bool {
        let baseline_ms = self.stock().and_then(PlanEvidence::expected_ms).unwrap_or(0.0);
        self.trials < MAX_TRIALS && self.lost_ms <= self.saved_ms + LOSS_LIMIT * baseline_ms
    }
}

//! Which decision a class tries next, with what limit, and whether there is time for it.

use super::arms::ArmStatistics;
use super::evidence::{Decision, StatementEvidence};
use super::hints::{ARMS, HintSet, arms};
use super::lifecycle::{CLEAR_GAIN, Reason};

/// Trials per class that users wait for, before the sixth execution …
const EARLY_CALLS: u64 = 6;
/// … and after it at executions 32, 64, 128 and so on.
const LATE_CALLS: u64 = 32;

/// Milliseconds of trials on credit: without it a database would have to run for twenty times as long as its slowest
/// statement before anything of that one is tried.
const CREDIT_MS: f64 = 1000.0;

/// Executions to come that a trial is weighed against, at least. Simulated on the latencies of 49 hint sets of 86 STATS
/// statements: trials then cost 1.7 times the workload and are paid back by its eighth repetition, with 1.06 times the
/// latency of the best hint sets left.
const HORIZON: f64 = 12.0;
/// What the comparison with a stock plan that never ran promises: it comes first, and is short.
const OPPOSITION: f64 = 100.0;
/// The stock plan's time in that comparison, as a share of that of the plan in use.
const OPPOSED: f64 = 1.1;
/// What a trial must promise: to be paid back by the executions to come.
pub const WORTH: f64 = 1.0;
/// What remains of a class's promise after each trial in vain.
const TIRING: f64 = 0.85;

/// A decision to be measured with a way back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// What to plan with.
    pub decision: Decision,
    /// Milliseconds after which it is given up.
    pub limit_ms: f64,
    /// Why this one.
    pub reason: Reason,
}

/// What may be tried with a class besides row corrections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Possibilities {
    /// The stock plan is compiled just in time.
    pub uses_jit: bool,
    /// The stock plan has parallel workers.
    pub is_parallel: bool,
    /// How often `work_mem` may be doubled at most; 0 where nothing was spilled.
    pub memory_doublings: u32,
    /// The statement may be planned in another form.
    pub has_forms: bool,
    /// Learned row counts are switched off.
    pub is_without_rows: bool,
    /// Hint sets are switched off.
    pub is_without_methods: bool,
    /// What the plan uses that trials start from, as bits of [`METHODS`](super::hints::METHODS); 0 is not known.
    pub methods: u32,
}

impl Possibilities {
    /// Whether a hint set changes anything here.
    pub fn allow(&self, hints: HintSet) -> bool {
        (self.uses_jit || !hints.is_without_jit())
            && (self.is_parallel || !hints.is_serial())
            && hints.memory_doublings() <= self.memory_doublings
            && !(self.is_without_methods && hints.methods().next().is_some())
            && !(self.is_without_rows && hints.is_cautious())
            && (self.has_forms || hints.form().is_none())
            && hints.touches(self.methods)
    }
}

impl StatementEvidence {
    /// The next trial that users may wait for; `newest` is the newest sequence number learned.
    pub fn next_trial(&self, newest: u64, known: &ArmStatistics, possible: &Possibilities) -> Option<Trial> {
        if let Some(trial) = self.opposition() {
            return Some(trial);
        }
        let best_ms = self
            .best_ms()
            .filter(|_| self.is_baseline_known() && self.pinned == 0)?;
        let is_late = self.calls >= LATE_CALLS && self.calls.is_power_of_two();
        if self.calls >= EARLY_CALLS && !is_late {
            return None;
        }
        let trial = |cutoff, hints, reason| self.trial_of(best_ms, newest, (cutoff, hints, reason));
        if self.fresh != 0 && newest > 0 && !possible.is_without_rows {
            return Some(trial(newest, HintSet::NONE, Reason::NewKnowledge));
        }
        if self.partial > 0 && !possible.is_without_rows && self.settled().decision.is_stock() {
            return Some(trial(self.partial, HintSet::NONE, Reason::MostAttendedAlone));
        }
        let gains = known.gains_per_time(CLEAR_GAIN);
        self.untried(possible)
            .max_by(|&(a, _), &(b, _)| gains[a].total_cmp(&gains[b]))
            .map(|(_, hints)| trial(0, hints, Reason::UntriedHints))
    }

    /// The next trial that nobody waits for, and what it promises: the share of the class's time it is expected to save
    /// over the executions to come, per share of it that it takes. What promises less than 1 does not pay.
    pub fn next_dream(
        &self,
        newest: u64,
        gains: &[f64; ARMS + 1],
        possible: &Possibilities,
    ) -> Option<(Trial, f64)> {
        if let Some(trial) = self.opposition() {
            return Some((trial, OPPOSITION));
        }
        let best_ms = self
            .best_ms()
            .filter(|_| self.is_baseline_known() && self.pinned == 0)?;
        let is_fresh = self.fresh != 0 && newest > 0 && !possible.is_without_rows;
        let is_partial = self.partial > 0 && !possible.is_without_rows;
        let rows = is_fresh.then_some((ARMS, newest, HintSet::NONE, Reason::NewKnowledge));
        let partial = is_partial.then_some((ARMS, self.partial, HintSet::NONE, Reason::MostAttendedAlone));
        let hints = self
            .untried(possible)
            .map(|(arm, hints)| (arm, 0, hints, Reason::UntriedHints));
        let all = rows.into_iter().chain(partial).chain(hints);
        let (arm, cutoff, hints, reason) = all.max_by(|a, b| gains[a.0].total_cmp(&gains[b.0]))?;
        let trial = self.trial_of(best_ms, newest, (cutoff, hints, reason));
        Some((trial, self.promise(gains[arm])))
    }

    /// What an arm with this gain per time promises over the executions to come, less after each trial in vain.
    fn promise(&self, gain: f64) -> f64 {
        let executions = HORIZON.max(self.calls as f64);
        gain * executions * TIRING.powi(self.failures.min(100) as i32)
    }

    /// The arms not tried yet that change anything, with their places.
    pub fn untried(&self, possible: &Possibilities) -> impl Iterator<Item = (usize, HintSet)> {
        let (tried, possible) = (self.tried_arms, *possible);
        arms()
            .into_iter()
            .enumerate()
            .filter(move |&(arm, hints)| tried & (1 << arm) == 0 && possible.allow(hints))
    }

    /// The stock plan of a class that was rewritten at first sight, with a little more time than the rewritten one takes:
    /// it is beaten once it was given up.
    fn opposition(&self) -> Option<Trial> {
        let plan = self
            .unopposed()
            .filter(|plan| plan.runs >= 2 && self.pinned == 0)?;
        Some(Trial {
            decision: Decision::STOCK,
            limit_ms: plan.typical_ms()? * OPPOSED,
            reason: Reason::StockMeasuredAgain,
        })
    }

    /// A trial that keeps what the best plan owes its parameters and learned rows to.
    fn trial_of(&self, best_ms: f64, newest: u64, (cutoff, hints, reason): (u64, HintSet, Reason)) -> Trial {
        let kept = self.best().map_or(Decision::STOCK, |plan| plan.decision);
        // Caution is about what is expected of relations that were not counted.
        let known = if hints.is_cautious() { newest } else { kept.cutoff };
        Trial {
            decision: Decision {
                cutoff: if cutoff > 0 { cutoff } else { known },
                hints: hints.and(kept.hints.parameters()),
            },
            limit_ms: best_ms * CLEAR_GAIN,
            reason,
        }
    }
}

/// Whether there is time for a trial: a share of the time that the workload itself took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrialBudget {
    /// Share of the time spent that trials may cost.
    pub share: f64,
    /// Milliseconds that statements took in all.
    pub spent_ms: f64,
    /// Milliseconds that trials cost on top of it.
    pub lost_ms: f64,
}

impl TrialBudget {
    /// Whether a trial may cost this much more.
    pub fn allows(&self, limit_ms: f64) -> bool {
        self.share > 0.0 && self.lost_ms + limit_ms <= self.share * self.spent_ms + CREDIT_MS
    }
}

//! Which decision a class tries next, with what limit, and whether there is time for it.

use super::arms::{ArmStatistics, COSTS, COSTS_AND_ROWS, Gains, ROWS};
use super::evidence::{Decision, StatementEvidence};
use super::hints::{HintSet, arms};
use super::lifecycle::{CLEAR_GAIN, Reason};
use crate::cardinality::hash_words;

/// Executions per class up to which users may wait for a trial: no later one takes twice as long as it should …
const EARLY_CALLS: u64 = 5;
/// … but for those after executions 32, 64, 128 and so on.
const LATE_CALLS: u64 = 32;

/// Milliseconds of trials on credit: without it a database would have to run for twenty times as long as its slowest
/// statement before anything of that one is tried.
const CREDIT_MS: f64 = 1000.0;

/// How freely hint sets are drawn where nobody waits: one is drawn as often as its gain to the power of the inverse says.
///
/// Simulated (`make bench-simulation LIMIT=8`) for trials of 1.8 times the workload: 0.88 to 0.89 of stock's time
/// on statements never seen, against 0.90 to 0.91 where the one that promises most is always next, and the same left of the statements tried.
/// Thompson sampling came to 0.91, a temperature of 0.6 to 0.90.
const TEMPERATURE: f64 = 0.3;
/// Executions to come that a trial is weighed against, at least. In the simulation above 8, 10 and 12 make trials cost 1.4, 1.8 and 2.1 times
/// the workload, and leave 0.75, 0.69 and 0.68 of its time: with 10 most is won within ten repetitions.
const HORIZON: f64 = 10.0;
/// What the comparison with a stock plan that never ran promises: it comes first, and is short.
const OPPOSITION: f64 = 100.0;
/// The stock plan's time in that comparison, as a share of that of the plan in use.
const OPPOSED: f64 = 1.1;
/// What a trial must promise: to be paid back by the executions to come.
const WORTH: f64 = 1.0;
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

/// What is expected of trials that nobody waits for.
#[derive(Debug, Clone, Copy)]
pub struct Prospects<'g> {
    /// What arms brought to all statements.
    pub of_all: &'g Gains,
    /// What is expected of them for this one.
    pub own: Option<&'g Gains>,
    /// Makes the draws of one statement others than those of another.
    pub seed: u64,
}

impl Prospects<'_> {
    fn gains(&self) -> &Gains {
        self.own.unwrap_or(self.of_all)
    }

    /// One of these arms, drawn by what it gains (Boltzmann exploration, with Gumbel's trick): the best one alone would be tried with all
    /// statements, and little is learned of what the operators of the others take.
    fn draw(&self, arms: &[(usize, HintSet)], tried: u64) -> Option<HintSet> {
        let key = |place: usize| {
            let random = hash_words([self.seed, tried, place as u64]) >> 11;
            let uniform = (random as f64 + 0.5) / (1u64 << 53) as f64;
            self.gains()[place].ln() - TEMPERATURE * (-uniform.ln()).ln()
        };
        let drawn = arms.iter().max_by(|(a, _), (b, _)| key(*a).total_cmp(&key(*b)));
        drawn.map(|&(_, hints)| hints)
    }
}

/// What was not tried yet and promises to be paid back, with places.
struct Paying {
    /// All row counts learned.
    has_rows: bool,
    /// The most attended of them alone.
    has_partial: bool,
    costs: Vec<(usize, Decision)>,
    hints: Vec<(usize, HintSet)>,
}

/// What gains most per time.
fn most<T: Copy>(gains: &Gains, of: &[(usize, T)]) -> Option<(usize, T)> {
    let most = of.iter().max_by(|(a, _), (b, _)| gains[*a].total_cmp(&gains[*b]));
    most.copied()
}

/// What may be tried with a class besides row corrections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Possibilities {
    /// The stock plan is compiled just in time.
    pub uses_jit: bool,
    /// The stock plan has parallel workers.
    pub is_parallel: bool,
    /// The session may have parallel workers.
    pub may_have_workers: bool,
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
    /// The planner costs that fit the server, where the session has clearly others.
    pub costs: HintSet,
}

impl Possibilities {
    /// Everything, for tests.
    #[cfg(test)]
    pub(super) const ALL: Self = Self {
        uses_jit: true,
        is_parallel: true,
        may_have_workers: true,
        memory_doublings: 4,
        has_forms: true,
        is_without_rows: false,
        is_without_methods: false,
        methods: 0,
        costs: HintSet::NONE,
    };

    /// The fitted planner costs with stock's row counts, and with all that were learned, by place.
    pub(super) fn costs_with(&self, newest: u64) -> impl Iterator<Item = (usize, Decision)> + use<> {
        let hints = self.costs;
        let known = if self.is_without_rows { 0 } else { newest };
        let both = [(COSTS, 0), (COSTS_AND_ROWS, known)];
        let is_possible =
            move |&(place, cutoff): &(usize, u64)| hints.has_costs() && (place == COSTS || cutoff > 0);
        let possible = both.into_iter().filter(is_possible);
        possible.map(move |(place, cutoff)| (place, Decision { cutoff, hints }))
    }

    /// Whether a hint set changes anything here.
    pub fn allow(&self, hints: HintSet) -> bool {
        (self.uses_jit || !hints.is_without_jit())
            && (self.is_parallel || !hints.is_serial())
            && (self.may_have_workers || !hints.asks_for_workers())
            && hints.memory_doublings() <= self.memory_doublings
            && !(self.is_without_methods && hints.methods().next().is_some())
            && !(self.is_without_rows && hints.is_cautious())
            && (self.has_forms || hints.form().is_none())
            && hints.touches(self.methods)
    }
}

impl StatementEvidence {
    /// Whether users may wait for a trial now, if there is any: cheap, and false for most executions.
    pub fn is_trial_due(&self) -> bool {
        let is_late = self.calls >= LATE_CALLS && self.calls.is_power_of_two();
        let is_time = self.calls < EARLY_CALLS || is_late;
        self.opposition().is_some() || (is_time && self.pinned == 0 && self.is_baseline_known())
    }

    /// The next trial that users may wait for, of those that promise to be paid back; `newest` is the newest sequence number learned.
    pub fn next_trial(&self, newest: u64, known: &ArmStatistics, possible: &Possibilities) -> Option<Trial> {
        if let Some(trial) = self.opposition() {
            return Some(trial);
        }
        let best_ms = self.best_ms().filter(|_| self.is_trial_due())?;
        let gains = known.gains_per_time(CLEAR_GAIN);
        let paying = self.paying(newest, possible, |place| self.promise(gains[place]) >= WORTH);
        let trial = |cutoff, hints, reason| self.trial_of(best_ms, newest, (cutoff, hints, reason));
        let hints = most(&gains, &paying.hints);
        let costs = most(&gains, &paying.costs)
            .filter(|&(costs, _)| hints.is_none_or(|(arm, _)| gains[costs] >= gains[arm]));
        if let Some((_, decision)) = costs {
            return Some(self.trial_with(best_ms, decision, Reason::FittedCosts));
        }
        if paying.has_rows {
            return Some(trial(newest, HintSet::NONE, Reason::NewKnowledge));
        }
        if paying.has_partial && self.settled().decision.is_stock() {
            return Some(trial(self.partial, HintSet::NONE, Reason::MostAttendedAlone));
        }
        hints.map(|(_, hints)| trial(0, hints, Reason::UntriedHints))
    }

    /// The next trial that nobody waits for, and what it promises: the share of the class's time it is expected to save
    /// over the executions to come, per share of it that it takes. What its arm brought to all statements says which hint set is drawn. Where
    /// something is expected of this statement that says it, and a trial pays if both say so.
    ///
    /// Simulated with the trials of 78 STATS statements under two seconds: where these took half of the workload, all of it and one and a half
    /// times that, 0.89, 0.86 and 0.83 of it were left, against 0.91, 0.89 and 0.86 where what arms brought to all said it.
    pub fn next_dream(
        &self,
        newest: u64,
        prospects: &Prospects<'_>,
        possible: &Possibilities,
    ) -> Option<(Trial, f64)> {
        if let Some(trial) = self.opposition() {
            return Some((trial, OPPOSITION));
        }
        let best_ms = self
            .best_ms()
            .filter(|_| self.is_baseline_known() && self.pinned == 0)?;
        let gains = prospects.gains();
        let pays = |place: usize| self.promise(prospects.of_all[place].min(gains[place])) >= WORTH;
        let paying = self.paying(newest, possible, pays);
        let trial = |cutoff, hints, reason| self.trial_of(best_ms, newest, (cutoff, hints, reason));
        let rows = || (ROWS, trial(newest, HintSet::NONE, Reason::NewKnowledge));
        let partial = || {
            (
                ROWS,
                trial(self.partial, HintSet::NONE, Reason::MostAttendedAlone),
            )
        };
        // The one drawn stands for all: the best of them says whether it is their turn, and the statement's.
        let hints = most(gains, &paying.hints)
            .zip(prospects.draw(&paying.hints, self.tried_arms))
            .map(|((best, _), hints)| (best, trial(0, hints, Reason::UntriedHints)));
        let costs = most(gains, &paying.costs)
            .map(|(place, decision)| (place, self.trial_with(best_ms, decision, Reason::FittedCosts)));
        let rows = paying.has_rows.then(rows);
        let partial = paying.has_partial.then(partial);
        let all = rows.into_iter().chain(partial).chain(costs).chain(hints);
        // What hint sets are tried beside depends on the row counts: these come before what is expected of single hint sets.
        let first = rows.filter(|_| prospects.own.is_some());
        let (place, trial) = first.or_else(|| all.max_by(|a, b| gains[a.0].total_cmp(&gains[b.0])))?;
        Some((trial, self.promise(gains[place])))
    }

    /// What was not tried yet and pays, by what `pays` says of its place.
    fn paying(&self, newest: u64, possible: &Possibilities, pays: impl Fn(usize) -> bool) -> Paying {
        let have_rows = newest > 0 && !possible.is_without_rows && pays(ROWS);
        let has_rows = have_rows && self.fresh != 0;
        // Planner costs come once learned row counts were planned with.
        let are_rows_first = has_rows && self.corrected_runs == 0;
        let costs = possible
            .costs_with(newest)
            .filter(|&(place, _)| !are_rows_first && self.tried_arms & (1 << place) == 0 && pays(place));
        Paying {
            has_rows,
            has_partial: have_rows && self.partial > 0,
            costs: costs.collect(),
            hints: self.untried(possible).filter(|&(arm, _)| pays(arm)).collect(),
        }
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

    /// The stock plan of a class that was rewritten at first sight, or whose data changed, with a little more time than the plan in use
    /// takes: it is beaten once it was given up.
    fn opposition(&self) -> Option<Trial> {
        if self.pinned != 0 {
            return None;
        }
        // Plans of it that ran before count, too: where it gives another one each time none would run twice.
        let runs: u32 = self.plans().map(|plan| plan.runs).sum();
        let plan = self
            .unopposed()
            .filter(|_| runs >= 2)
            .or_else(|| self.unrenewed())?;
        Some(Trial {
            decision: Decision::STOCK,
            limit_ms: plan.typical_ms()? * OPPOSED,
            reason: Reason::StockMeasuredAgain,
        })
    }

    /// A trial that keeps what the best plan owes its parameters and learned rows to.
    fn trial_of(&self, best_ms: f64, newest: u64, (cutoff, hints, reason): (u64, HintSet, Reason)) -> Trial {
        let kept = self.best().map_or(0, |plan| plan.decision.cutoff);
        // Caution is about what is expected of relations that were not counted.
        let known = if hints.is_cautious() { newest } else { kept };
        let cutoff = if cutoff > 0 { cutoff } else { known };
        self.trial_with(best_ms, Decision { cutoff, hints }, reason)
    }

    /// A trial that keeps what the best plan owes its parameters to.
    fn trial_with(&self, best_ms: f64, Decision { cutoff, hints }: Decision, reason: Reason) -> Trial {
        let hints = hints.and(self.kept_parameters());
        Trial {
            decision: Decision { cutoff, hints },
            limit_ms: best_ms * CLEAR_GAIN,
            reason,
        }
    }

    /// What further trials keep of the best plan.
    pub(super) fn kept_parameters(&self) -> HintSet {
        self.best()
            .map_or(HintSet::NONE, |plan| plan.decision.hints.parameters())
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

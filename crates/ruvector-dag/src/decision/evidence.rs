//! Latency samples per plan shape of one statement class: what decisions are made of.
//!
//! Plain fixed-size data, so that it can live in shared memory. It stores no literal and no text.

use super::arms::{COSTS, COSTS_AND_ROWS, place};
use super::hints::{HintSet, arms};
use super::plan_evidence::{PlanEvidence, SHIFTED_RUNS};
use super::table_state::TableState;

/// Plan shapes remembered per statement class. When full, the slowest shape that is not stock makes room.
pub const MAX_PLANS: usize = 10;
/// Plannings in a row after which a decision that does not give its plan any more is given up.
const MISSES: u32 = 3;
/// Executions between two new measurements because the data changed double up to this often: tables that change all the time leave
/// nothing to compare.
const MOST_DOUBLINGS: u32 = 16;
/// Plan shapes remembered as not worth another trial.
const DISMISSED: usize = 24;

/// What a statement is planned with: the learned row counts up to a sequence number, and a hint set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Decision {
    /// Apply the corrections first learned up to this sequence number; 0 applies none.
    pub cutoff: u64,
    /// Planner methods and parameters.
    pub hints: HintSet,
}

impl Decision {
    /// Stock PostgreSQL.
    pub const STOCK: Self = Self {
        cutoff: 0,
        hints: HintSet::NONE,
    };

    /// Whether nothing is changed.
    pub fn is_stock(self) -> bool {
        self == Self::STOCK
    }

    /// Words for users.
    pub fn describe(self) -> String {
        match (self.cutoff > 0, self.hints.is_none()) {
            (false, true) => "stock plan".to_owned(),
            (true, true) => "corrected row counts".to_owned(),
            (false, false) => self.hints.describe(),
            (true, false) => format!("corrected row counts, {}", self.hints.describe()),
        }
    }
}

/// One execution of a statement class.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Fingerprint of the plan that ran.
    pub shape: u64,
    /// What it was planned with.
    pub decision: Decision,
    /// PostgreSQL's total cost of the plan.
    pub total_cost: f64,
    /// Milliseconds it took, or after which it was cancelled.
    pub outcome: Result<f64, f64>,
    /// It taught row counts that the next plan should be made with.
    pub taught: bool,
    /// Nobody waited for it, or it was one attempt with a way back: it does not count as a call.
    pub is_trial: bool,
    /// Nobody waited for it.
    pub is_dream: bool,
    /// It was compiled just in time.
    pub uses_jit: bool,
    /// Parallel workers took part.
    pub is_parallel: bool,
    /// The planner methods its plan uses, as bits of [`METHODS`](super::hints::METHODS).
    pub methods: u32,
    /// Megabytes it wrote to temporary files, rounded up.
    pub spilled_mb: u32,
    /// The tables it read.
    pub tables: TableState,
}

/// Words of [`StatementEvidence::settlement`].
const SETTLEMENT: usize = 9;

const USES_JIT: u32 = 1;
const IS_PARALLEL: u32 = 2;
/// From here on the methods it uses.
const METHODS_SHIFT: u32 = 2;

/// Everything measured of one statement class.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct StatementEvidence {
    plans: [PlanEvidence; MAX_PLANS],
    /// Executions by users, completed or not.
    pub calls: u64,
    /// Plan shapes tried that stock PostgreSQL would not have chosen.
    pub trials: u32,
    /// Executions of plans made with learned row counts, whatever their shape.
    pub corrected_runs: u32,
    /// What an execution read or wrote in temporary files, in megabytes, at most.
    pub spilled_mb: u32,
    /// 1 when something was learned since the newest knowledge was last planned with.
    pub fresh: u32,
    /// The cutoff that leaves out all but the most attended of the newest corrections; 0 when there is none, or it was
    /// planned with.
    pub partial: u64,
    /// Milliseconds gained against the stock plan's typical latency, summed over executions.
    pub saved_ms: f64,
    /// Milliseconds lost against the stock plan's typical latency, summed over executions and trials.
    pub lost_ms: f64,
    /// The arms tried with the knowledge of the moment, a bit each.
    pub tried_arms: u64,
    /// 1 when the latency of the plan in use changed for good, and everything is to be measured again.
    pub restarts: u32,
    /// Pinned by the owner: 1 to stock, 2 to the plan in use when it was pinned.
    pub pinned: u32,
    /// What the class is pinned to, when `pinned` is 2.
    pub pinned_shape: u64,
    dismissed: [u32; DISMISSED],
    dismissals: u32,
    /// What the stock plan uses, as bits.
    traits: u32,
    /// Plannings in a row in which a decision did not give the plan it was measured with.
    misses: u32,
    /// Trials in a row that brought nothing.
    pub failures: u32,
    /// Executions in a row that were slower than usual for their plans, whichever these were.
    slower_runs: u32,
    /// The tables when latencies were measured.
    tables: TableState,
    /// How often the data changed so much that they were measured again.
    data_changes: u32,
    /// Calls when that was last.
    renewed_at: u32,
}

impl StatementEvidence {
    /// Evidence out of stored plans; those beyond [`MAX_PLANS`] are left out.
    pub fn from_plans(plans: impl IntoIterator<Item = PlanEvidence>) -> Self {
        let mut evidence = Self::default();
        evidence
            .plans
            .iter_mut()
            .zip(plans)
            .for_each(|(kept, plan)| *kept = plan);
        evidence
    }

    /// The plan shapes seen so far.
    pub fn plans(&self) -> impl Iterator<Item = &PlanEvidence> {
        self.plans.iter().filter(|plan| plan.shape != 0)
    }

    /// The evidence of `shape`.
    pub fn plan(&self, shape: u64) -> Option<&PlanEvidence> {
        self.plans().find(|plan| plan.shape == shape)
    }

    /// The stock plan's evidence; the latest one when statistics changed its shape meanwhile.
    pub fn stock(&self) -> Option<&PlanEvidence> {
        self.plans()
            .filter(|plan| plan.decision.is_stock())
            .max_by_key(|plan| (plan.seen_at, plan.runs + plan.cut_off_runs))
    }

    /// The plans that ran to their end. Of a rewritten form only the one it gave last: it runs whatever plan it gives, so that what
    /// an earlier one took is not what users wait for.
    pub(super) fn measured(&self) -> impl Iterator<Item = &PlanEvidence> {
        let is_later = |other: &PlanEvidence, plan: &PlanEvidence| {
            other.runs > 0 && other.decision == plan.decision && other.seen_at > plan.seen_at
        };
        self.plans().filter(move |plan| {
            let is_form = plan.decision.hints.form().is_some();
            plan.runs > 0 && !(is_form && self.plans().any(|other| is_later(other, plan)))
        })
    }

    /// The plan with the smallest typical latency among those.
    pub fn best(&self) -> Option<&PlanEvidence> {
        self.measured()
            .min_by(|a, b| a.typical_or_max().total_cmp(&b.typical_or_max()))
    }

    /// Records an execution.
    pub fn record(&mut self, run: &Run) {
        if !run.is_trial {
            self.calls += 1;
        }
        self.corrected_runs = self
            .corrected_runs
            .saturating_add(u32::from(run.decision.cutoff > 0));
        // A plan made with the newest knowledge that taught nothing leaves nothing to try; one made at other planner costs does.
        let has_other_costs = run.decision.hints.cost_bits() != self.kept_parameters().cost_bits();
        let leaves_news = run.decision.cutoff == 0 || has_other_costs;
        self.fresh = u32::from(run.taught || (leaves_news && self.fresh != 0));
        self.note_planned_with(run.decision);
        if !run.decision.is_stock() && !run.is_trial {
            self.misses = 0;
        }
        self.account(run);
        self.compare_tables(&run.tables);
        self.spilled_mb = self.spilled_mb.max(run.spilled_mb);
        if run.decision.is_stock() {
            let is_parallel = u32::from(run.is_parallel) * IS_PARALLEL;
            let methods = run.methods << METHODS_SHIFT;
            self.traits = (u32::from(run.uses_jit) * USES_JIT) | is_parallel | methods;
        }
        let best_ms = self.best_ms();
        let seen_at = u32::try_from(self.calls).unwrap_or(u32::MAX);
        let is_new = self.plan(run.shape).is_none();
        let plan = self.slot(run);
        plan.seen_at = seen_at;
        if run.decision.is_stock() {
            plan.decision = run.decision;
        }
        let is_stock = plan.decision.is_stock();
        let has_shifted = match run.outcome {
            Ok(latency_ms) => {
                let is_slower = !run.is_trial && plan.is_slower(latency_ms);
                plan.record(latency_ms) | self.is_slower_again(is_slower, run)
            }
            Err(elapsed_ms) => {
                plan.record_cut_off(elapsed_ms);
                false
            }
        };
        self.trials += u32::from(is_new && !is_stock);
        if run.is_trial {
            let is_gain = matches!(run.outcome, Ok(taken_ms) if taken_ms <= best_ms.unwrap_or(f64::MAX));
            self.failures = if is_gain {
                0
            } else {
                self.failures.saturating_add(1)
            };
        }
        if has_shifted {
            self.restart(run.shape);
        }
    }

    fn account(&mut self, run: &Run) {
        let stock_ms = self.stock().and_then(PlanEvidence::typical_ms);
        let is_stock = self
            .plan(run.shape)
            .map_or(run.decision.is_stock(), |plan| plan.decision.is_stock());
        let (Some(stock_ms), false) = (stock_ms, is_stock) else {
            return;
        };
        if run.is_dream {
            return;
        }
        match (run.is_trial, run.outcome) {
            // A trial that ended was the answer; one that was cut off came on top of it.
            (_, Ok(taken_ms)) if taken_ms <= stock_ms => self.saved_ms += stock_ms - taken_ms,
            (true, Err(taken_ms)) => self.lost_ms += taken_ms,
            (_, Ok(taken_ms) | Err(taken_ms)) => self.lost_ms += (taken_ms - stock_ms).max(0.0),
        }
    }

    /// Latencies are measured again where the tables changed much since; the oftener they do, the less often.
    fn compare_tables(&mut self, now: &TableState) {
        let calls = u32::try_from(self.calls).unwrap_or(u32::MAX);
        let executions = calls.saturating_sub(self.renewed_at);
        if now.has_changed_since(&self.tables) {
            if executions < 1 << self.data_changes.min(MOST_DOUBLINGS) {
                return;
            }
            self.renewed_at = calls;
            self.data_changes += 1;
            self.outdate();
        } else if !now.is_known() || now.is_comparable_to(&self.tables) {
            return;
        }
        self.tables = *now;
    }

    /// The stock plan and the one in use are measured again; others may be tried again where they ran to their end.
    fn outdate(&mut self) {
        let kept = [
            self.stock(),
            self.plan_of(self.settled().decision),
            self.plan(self.pinned_shape),
        ];
        let kept = kept.map(|plan| plan.map_or(0, |plan| plan.shape));
        let mut open = 0;
        for plan in self.plans.iter_mut().filter(|plan| plan.runs > 0) {
            if kept.contains(&plan.shape) {
                plan.outdate();
            } else {
                open |= place(plan.decision.cutoff, plan.decision.hints).map_or(0, |place| 1 << place);
                plan.forget_latencies();
            }
        }
        self.tried_arms &= !open;
    }

    /// Stock PostgreSQL gives a plan of this shape, which is known already or can't be tried with a way back. If it is known it is the stock
    /// plan from now on; if not, what was measured of the stock plan before the data changed still counts.
    pub fn leave_stock(&mut self, shape: u64) {
        if let Some(plan) = self.plans.iter_mut().find(|plan| plan.shape == shape) {
            plan.decision = Decision::STOCK;
            plan.seen_at = u32::try_from(self.calls).unwrap_or(u32::MAX);
        }
        let stock = self.plans.iter_mut().filter(|plan| plan.decision.is_stock());
        stock.for_each(PlanEvidence::keep);
    }

    /// Notes whether an execution was slower than usual. True when that says that the data changed: several plans are about
    /// as fast, and each of them is as slow now.
    fn is_slower_again(&mut self, is_slower: bool, run: &Run) -> bool {
        if run.is_trial {
            return false;
        }
        self.slower_runs = if is_slower { self.slower_runs + 1 } else { 0 };
        if self.slower_runs < SHIFTED_RUNS {
            return false;
        }
        if let (Some(plan), Ok(latency_ms)) = (
            self.plans.iter_mut().find(|plan| plan.shape == run.shape),
            run.outcome,
        ) {
            plan.begin_anew(latency_ms);
        }
        true
    }

    /// The latency of a plan changed for good, so the data did: what was measured of the others is out of date.
    fn restart(&mut self, shape: u64) {
        self.restarts = self.restarts.saturating_add(1);
        self.trials = 0;
        self.lost_ms = 0.0;
        self.saved_ms = 0.0;
        self.tried_arms = 0;
        self.failures = 0;
        self.slower_runs = 0;
        self.dismissed = [0; DISMISSED];
        self.fresh = 1;
        for plan in self.plans.iter_mut().filter(|plan| plan.shape != shape) {
            plan.forget_latencies();
        }
    }

    /// A trial was planned: its arm is not tried again with the knowledge of the moment, nor are those that come to the same beside
    /// what the best plan keeps.
    pub fn note_planned(&mut self, decision: Decision) {
        let (hints, kept) = (decision.hints, self.kept_parameters());
        let is_meant = |arm: HintSet| arm == hints || arm == hints.plan_methods() || arm.and(kept) == hints;
        let meant = arms().into_iter().enumerate().filter(|&(_, arm)| is_meant(arm));
        let mut tried = meant.fold(0, |tried, (place, _)| tried | 1 << place);
        if hints.has_costs() && hints.without_costs() == kept.without_costs() {
            let place = if decision.cutoff > 0 {
                COSTS_AND_ROWS
            } else {
                COSTS
            };
            tried |= 1 << place;
        }
        self.tried_arms |= tried;
        if tried == 0 || hints == kept {
            self.settle(decision);
        }
    }

    /// A decision was planned with: what was new for it is no more.
    pub(super) fn note_planned_with(&mut self, decision: Decision) {
        if decision.cutoff > 0 && decision.cutoff == self.partial {
            self.partial = 0;
        }
    }

    /// What is settled besides latencies, as words to store: tried arms, pin, pinned shape, traits, megabytes spilled, the tables, how often
    /// these changed.
    pub fn settlement(&self) -> [u64; SETTLEMENT] {
        let [tables, rows, modifications] = self.tables.words();
        [
            self.tried_arms,
            u64::from(self.pinned),
            self.pinned_shape,
            u64::from(self.traits),
            u64::from(self.spilled_mb),
            tables,
            rows,
            modifications,
            u64::from(self.data_changes),
        ]
    }

    /// Takes over what [`Self::settlement`] gave; other lengths are of another version and left out.
    pub fn restore_settlement(&mut self, words: &[u64]) {
        let number = |word: u64| u32::try_from(word).unwrap_or(0);
        if let &[
            tried_arms,
            pinned,
            pinned_shape,
            traits,
            spilled_mb,
            ref tables @ ..,
        ] = words
        {
            self.tried_arms = tried_arms;
            self.pinned = number(pinned);
            self.pinned_shape = pinned_shape;
            self.traits = number(traits);
            self.spilled_mb = number(spilled_mb);
            if let &[tables, rows, modifications, data_changes] = tables {
                self.tables = TableState::from_words([tables, rows, modifications]);
                self.data_changes = number(data_changes);
            }
        }
    }

    /// Whether the stock plan is compiled just in time.
    pub fn uses_jit(&self) -> bool {
        self.traits & USES_JIT != 0
    }

    /// Whether the stock plan has parallel workers.
    pub fn is_parallel(&self) -> bool {
        self.traits & IS_PARALLEL != 0
    }

    /// The methods that the stock plan uses, where trials start from it; 0 when they don't, or it is not known.
    pub fn methods(&self) -> u32 {
        match self.best().is_none_or(|plan| plan.decision.is_stock()) {
            true => self.traits >> METHODS_SHIFT,
            false => 0,
        }
    }

    /// A decision did not give the plan it was measured with. That may be due to the settings of one session; when it
    /// happens again and again what is known changed, and the decision may be tried anew.
    pub fn miss(&mut self, decision: Decision) {
        self.misses = self.misses.saturating_add(1);
        if self.misses < MISSES || self.pinned != 0 {
            return;
        }
        self.misses = 0;
        self.pass_over(decision);
        if let Some(place) = place(decision.cutoff, decision.hints) {
            self.tried_arms &= !(1 << place);
        }
        if decision.hints.has_costs() {
            self.tried_arms &= !(1 << COSTS | 1 << COSTS_AND_ROWS);
        }
        self.fresh = 1;
    }

    /// Leaves out what was measured of a decision's plans, which it does not give any more.
    pub fn pass_over(&mut self, decision: Decision) {
        let lost = self.plans.iter_mut().filter(|plan| plan.decision == decision);
        lost.for_each(PlanEvidence::forget_latencies);
    }

    /// Remembers that a plan shape is not worth another trial.
    pub fn dismiss(&mut self, shape: u64) {
        let kept = shape as u32;
        if !self.dismissed.contains(&kept) {
            self.dismissed[self.dismissals as usize % DISMISSED] = kept;
            self.dismissals = self.dismissals.wrapping_add(1);
        }
    }

    /// Lets plans be tried again that were tried or dismissed before. What users wait for stays as it is: the stock plan, the best one
    /// and the one that is pinned keep what was measured of them.
    pub fn try_again(&mut self) {
        let kept = [self.stock(), self.best(), self.plan(self.pinned_shape)];
        let kept = kept.map(|plan| plan.map_or(0, |plan| plan.shape));
        let others = self.plans.iter_mut().filter(|plan| !kept.contains(&plan.shape));
        others.for_each(|plan| *plan = PlanEvidence::default());
        self.dismissed = [0; DISMISSED];
        self.tried_arms = 0;
        self.failures = 0;
        self.fresh = 1;
    }

    /// Whether a plan shape was dismissed.
    pub fn is_dismissed(&self, shape: u64) -> bool {
        shape as u32 != 0 && self.dismissed.contains(&(shape as u32))
    }

    fn slot(&mut self, run: &Run) -> &mut PlanEvidence {
        let position = self
            .plans
            .iter()
            .position(|plan| plan.shape == run.shape)
            .or_else(|| self.plans.iter().position(|plan| plan.shape == 0))
            .unwrap_or_else(|| self.slowest());
        let slot = &mut self.plans[position];
        if slot.shape != run.shape {
            *slot = PlanEvidence::new(run.shape, run.decision, run.total_cost);
        }
        slot
    }

    fn slowest(&self) -> usize {
        let cost = |plan: &PlanEvidence| match plan.decision.is_stock() {
            true => -1.0,
            false => plan.typical_or_max(),
        };
        (0..MAX_PLANS)
            .max_by(|&a, &b| cost(&self.plans[a]).total_cmp(&cost(&self.plans[b])))
            .unwrap_or(0)
    }
}

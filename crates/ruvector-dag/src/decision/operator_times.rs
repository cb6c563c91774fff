//! Stage 5 of 9, decision: how long a unit of PostgreSQL's cost takes on this server, by kind of operator, and so which of several
//! plans of a statement never seen is the fastest.
//!
//! A plan takes Σ cₖ tₖ milliseconds: cₖ is what PostgreSQL estimates it to spend on operators of a kind, tₖ what a unit of that
//! takes. It is the model of Wu et al. ("Predicting query execution time: are optimizer cost models really unusable?", ICDE
//! 2013) by operators instead of resources. [`super::planner_costs`] corrects PostgreSQL's constants by plans whose row counts were right; here
//! all plans count, so that tₖ also holds what estimates of such an operator's input are usually off by.
//!
//! The logarithms of tₖ are fitted to those of latencies by Gauss-Newton: with Huber's weights (1964), with a ridge towards the same
//! time for all (PostgreSQL's own opinion), a plan that was given up counting only where it is predicted to end earlier.
//!
//! What the times miss of a hint set is expected of it again where stock plans are alike: Nadaraya-Watson regression, as in
//! [`super::similar`], on the difference of measured and predicted log ratios to the stock plan.
//!
//! Simulated on the latencies of 49 hint sets of 87 STATS statements and two in five of the trials that pay, 40 random splits into
//! two thirds to learn from and a third to judge by: 0.89 of stock's time on statements never seen, 9 % of them planned differently,
//! 0.4 % slower by more than a fifth and 20 ms; 0.90 and 1.3 % by times alone. The constants were chosen there.

use super::hints::{ARMS, HintSet, METHODS, arms};
use super::similar::{Lesson, Measured, PlanSketch};
use super::trial::Possibilities;
use crate::learning::normal::cumulative;
use crate::learning::normal_equations::NormalEquations;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Kinds of operators that are told apart.
const KINDS: usize = OperatorKind::ALL.len();
/// Plans and statements below which nothing is said.
const LEAST_PLANS: usize = 20;
const LEAST_STATEMENTS: usize = 10;
/// What starting an execution, or compiling it, counts as in PostgreSQL's unit: about a millisecond.
const FIXED: f64 = 100.0;
/// Weight of the prior that a kind takes as long per unit as all others.
const RIDGE: f64 = 0.003;
/// Residuals of log latencies beyond which an execution counts less.
const USUAL: f64 = 1.0;
/// The most that a step changes the logarithm of a time.
const STEP: f64 = 1.0;
const STEPS: usize = 20;
/// A step below which the fit is found.
const FOUND: f64 = 1e-4;
/// What `disable_cost` of costsize.c adds to the cost of what was switched off and is used all the same, and half of that.
const SWITCHED_OFF: f64 = 1e10;
/// A plan that PostgreSQL estimates to cost more than so many times its own is not taken: the less it is believed, the more does its opinion
/// count.
const DEAREST: f64 = 1.5;
/// Standard deviation of what a predicted log ratio of two plans is off by: it makes a confidence of 0.8 ask for a ratio of 0.6.
const DEVIATION: f64 = 0.607;
/// Similarity of stock plans below which one says nothing about another, the exponent of its weight, and the weight of nothing missed.
const LEAST_SIMILARITY: f64 = 0.2;
const SHARPNESS: i32 = 2;
const NOTHING_MISSED: f64 = 1.0;
/// The most that single plans may say was missed.
const MOST_MISSED: f64 = 2.0;
/// Hint sets that are planned with at most.
const CANDIDATES: usize = 12;
/// What a method that is switched off must be predicted to take of the plan's time.
const LEAST_SHARE: f64 = 0.02;

/// What takes a plan's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum OperatorKind {
    /// Starting the execution.
    Start,
    /// Compiling it just in time.
    Compilation,
    /// A table read in order.
    SeqScan,
    /// Rows looked up in a table by an index.
    IndexScan,
    /// Rows read from an index alone.
    IndexOnlyScan,
    /// Pages looked up by a bitmap, with the bitmap.
    BitmapScan,
    /// A hash join, with its table.
    HashJoin,
    /// A merge join.
    MergeJoin,
    /// A nested loop with what it looks up by an index.
    IndexedLoop,
    /// The same where what was looked up is kept.
    MemoizedLoop,
    /// Any other nested loop.
    Loop,
    /// A sort.
    Sort,
    /// Rows kept to be read again.
    Materialize,
    /// Groups and aggregates.
    Aggregate,
    /// Anything else.
    Other,
}

impl OperatorKind {
    const ALL: [Self; 15] = [
        Self::Start,
        Self::Compilation,
        Self::SeqScan,
        Self::IndexScan,
        Self::IndexOnlyScan,
        Self::BitmapScan,
        Self::HashJoin,
        Self::MergeJoin,
        Self::IndexedLoop,
        Self::MemoizedLoop,
        Self::Loop,
        Self::Sort,
        Self::Materialize,
        Self::Aggregate,
        Self::Other,
    ];

    /// As users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Compilation => "compilation",
            Self::SeqScan => "sequential scan",
            Self::IndexScan => "index scan",
            Self::IndexOnlyScan => "index-only scan",
            Self::BitmapScan => "bitmap scan",
            Self::HashJoin => "hash join",
            Self::MergeJoin => "merge join",
            Self::IndexedLoop => "nested loop with an index",
            Self::MemoizedLoop => "nested loop with an index, memoized",
            Self::Loop => "nested loop",
            Self::Sort => "sort",
            Self::Materialize => "materialize",
            Self::Aggregate => "aggregate",
            Self::Other => "other",
        }
    }

    /// Which of the [`METHODS`] make operators of this kind, as bits.
    fn methods(self) -> u32 {
        let [hash, merge, nested, seq, index, index_only, bitmap] = METHODS.map(|method| method.bit);
        match self {
            Self::SeqScan => seq,
            Self::IndexScan => index,
            Self::IndexOnlyScan => index_only,
            Self::BitmapScan => bitmap,
            Self::HashJoin => hash,
            Self::MergeJoin | Self::Sort => merge,
            Self::IndexedLoop | Self::MemoizedLoop => nested | index,
            Self::Loop => nested,
            Self::Start | Self::Compilation | Self::Materialize | Self::Aggregate | Self::Other => 0,
        }
    }
}

/// What PostgreSQL estimates a plan to spend, by kind of operator, in its unit of cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct PlanCosts {
    by_kind: [f32; KINDS],
}

impl PlanCosts {
    /// Of an execution without any operator.
    pub fn of_start(uses_jit: bool) -> Self {
        let mut costs = Self::default();
        costs.add(OperatorKind::Start, FIXED);
        costs.add(OperatorKind::Compilation, if uses_jit { FIXED } else { 0.0 });
        costs
    }

    /// Adds an operator of which a share counts, with its total cost and that of its inputs; answers which share of these counts.
    /// An operator that costs less than its inputs does not read them to their end (Limit, a merge join).
    pub fn spend(&mut self, kind: OperatorKind, share: f64, total: f64, of_inputs: f64) -> f64 {
        let (total, of_inputs) = (without_penalties(total), without_penalties(of_inputs));
        if of_inputs > total {
            return share * (total / of_inputs).max(0.0);
        }
        self.add(kind, share * (total - of_inputs));
        share
    }

    fn add(&mut self, kind: OperatorKind, cost: f64) {
        if let Some(sum) = self.by_kind.get_mut(kind as usize) {
            *sum += cost as f32;
        }
    }

    fn parts(&self) -> impl Iterator<Item = f64> {
        self.by_kind.iter().map(|&cost| f64::from(cost))
    }

    fn total(&self) -> f64 {
        self.parts().sum()
    }
}

/// A cost without what was added for methods that are switched off.
fn without_penalties(cost: f64) -> f64 {
    if cost < SWITCHED_OFF / 2.0 {
        return cost;
    }
    (cost - (cost / SWITCHED_OFF).round() * SWITCHED_OFF).max(0.0)
}

/// What a plan took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// The statement it is of.
    pub statement: u64,
    /// What it was estimated to spend.
    pub costs: PlanCosts,
    /// Milliseconds, or after how many it was given up.
    pub outcome: Result<f64, f64>,
}

/// Milliseconds per unit of cost, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct OperatorTimes {
    /// Natural logarithms.
    logs: [f32; KINDS],
    /// Plans that it was fitted to; 0 where nothing is known.
    plans: u32,
}

impl OperatorTimes {
    /// Fits them to what plans took; `None` of too few. Each statement counts as the root of its number of plans.
    ///
    /// Complexity: O(plans · kinds²) per step, of which there are at most twenty.
    pub fn fit(timings: &[Timing]) -> Option<Self> {
        let usable: Vec<&Timing> = timings.iter().filter(|timing| is_usable(timing)).collect();
        let mut plans_of: HashMap<u64, u32> = HashMap::new();
        usable
            .iter()
            .for_each(|timing| *plans_of.entry(timing.statement).or_default() += 1);
        if usable.len() < LEAST_PLANS || plans_of.len() < LEAST_STATEMENTS {
            return None;
        }
        let plans: Vec<Plan> = usable.iter().map(|timing| Plan::of(timing, &plans_of)).collect();
        let usual = usual_log(&plans)?;
        let mut logs = [usual; KINDS];
        for _ in 0..STEPS {
            let steps = step(&plans, &logs, usual)?;
            let longest = steps
                .iter()
                .fold(0.0, |longest: f64, step| longest.max(step.abs()));
            logs.iter_mut()
                .zip(&steps)
                .for_each(|(log, step)| *log += step.clamp(-STEP, STEP));
            if longest < FOUND {
                break;
            }
        }
        logs.iter().all(|log| log.is_finite()).then(|| Self {
            logs: logs.map(|log| log as f32),
            plans: u32::try_from(plans.len()).unwrap_or(u32::MAX),
        })
    }

    /// Plans that it was fitted to; 0 where nothing is known.
    pub fn plans(&self) -> u32 {
        self.plans
    }

    /// Milliseconds per unit of cost, by kind of operator; none where nothing is known.
    pub fn per_unit(&self) -> impl Iterator<Item = (OperatorKind, f64)> {
        let known = if self.plans > 0 { KINDS } else { 0 };
        let times = OperatorKind::ALL.into_iter().zip(self.logs).take(known);
        // What an execution takes as a whole has no cost of PostgreSQL's.
        let are_operators =
            |kind: OperatorKind| !matches!(kind, OperatorKind::Start | OperatorKind::Compilation);
        times
            .filter(move |&(kind, _)| are_operators(kind))
            .map(|(kind, log)| (kind, f64::from(log).exp()))
    }

    /// What a plan is predicted to take, in milliseconds; `None` where nothing is known.
    pub fn predicted_ms(&self, costs: &PlanCosts) -> Option<f64> {
        let ms: f64 = self.parts_ms(costs).iter().sum();
        (self.plans > 0 && ms > 0.0 && ms.is_finite()).then_some(ms)
    }

    fn parts_ms(&self, costs: &PlanCosts) -> [f64; KINDS] {
        let logs = self.logs.map(f64::from);
        parts_ms(costs, &logs)
    }

    /// The natural logarithm of what a plan is predicted to take over what another one is; `None` where nothing is known.
    pub fn log_ratio(&self, costs: &PlanCosts, other: &PlanCosts) -> Option<f64> {
        Some((self.predicted_ms(costs)? / self.predicted_ms(other)?).ln())
    }

    /// What is missed of the log ratio of each arm to this stock plan, by what was of those measured.
    pub fn missed<'m>(
        &self,
        stock: &PlanSketch,
        measured: impl Iterator<Item = HintedPlan<'m>>,
    ) -> [f64; ARMS] {
        let mut sums = [(0.0, NOTHING_MISSED); ARMS];
        for plan in measured {
            let similarity = stock.similarity(plan.sketch);
            if similarity < LEAST_SIMILARITY {
                continue;
            }
            let weight = similarity.powi(SHARPNESS);
            let Some((lesson, missed)) = self.missed_of(&plan) else {
                continue;
            };
            let taught = sums.iter_mut().zip(lesson.of_arms()).filter(|(_, is_of)| **is_of);
            taught.for_each(|((sum, weights), _)| {
                *sum += weight * missed;
                *weights += weight;
            });
        }
        sums.map(|(sum, weights)| sum / weights)
    }

    fn missed_of(&self, plan: &HintedPlan<'_>) -> Option<(Lesson, f64)> {
        let stock_ms = plan.stock.outcome.ok()?;
        let (Ok(ms) | Err(ms)) = plan.timing.outcome;
        let lesson = Lesson::of(&Measured {
            hints: plan.hints,
            methods: plan.methods,
            ratio: ms / stock_ms,
            is_given_up: plan.timing.outcome.is_err(),
        })?;
        let missed = lesson.log_ratio() - self.log_ratio(&plan.timing.costs, &plan.stock.costs)?;
        // A plan that was given up and predicted to be slower is as was expected.
        let least = if plan.timing.outcome.is_err() {
            0.0
        } else {
            -MOST_MISSED
        };
        missed
            .is_finite()
            .then(|| (lesson, missed.clamp(least, MOST_MISSED)))
    }

    /// The hint sets under which a plan may be faster than this one, those first that switch off what is predicted to take most of its
    /// time; none where nothing is known.
    pub fn candidates(&self, costs: &PlanCosts, possible: &Possibilities) -> Vec<HintSet> {
        let Some(total_ms) = self.predicted_ms(costs) else {
            return Vec::new();
        };
        let parts_ms = self.parts_ms(costs);
        let share = |hints: HintSet| {
            let of_kinds = OperatorKind::ALL.iter().zip(&parts_ms);
            let is_off = |(kind, _): &(&OperatorKind, &f64)| kind.methods() & hints.bits() != 0;
            let ms: f64 = of_kinds.filter(is_off).map(|(_, ms)| ms).sum();
            ms / total_ms - LEAST_SHARE * hints.methods().count() as f64
        };
        let methods = arms()
            .into_iter()
            .filter(|hints| hints.is_of_methods() && possible.allow(*hints));
        let mut shares: Vec<(f64, HintSet)> = methods.map(|hints| (share(hints), hints)).collect();
        shares.retain(|&(share, _)| share > 0.0);
        shares.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        shares
            .into_iter()
            .map(|(_, hints)| hints)
            .take(CANDIDATES)
            .collect()
    }
}

/// A plan under a hint set that was measured beside the stock plan.
#[derive(Debug, Clone, Copy)]
pub struct HintedPlan<'m> {
    /// The stock plan.
    pub sketch: &'m PlanSketch,
    /// What it takes.
    pub stock: &'m Timing,
    /// The hint set.
    pub hints: HintSet,
    /// The methods that its plan uses, as bits of [`METHODS`].
    pub methods: u32,
    /// What that takes.
    pub timing: &'m Timing,
}

/// How sure it is that a plan is faster than another one: the probability that the logarithm of their latencies' ratio, normal about the
/// expected one, is below 0.
pub fn confidence_in_gain(expected_log_ratio: f64) -> f64 {
    cumulative(-expected_log_ratio / DEVIATION)
}

/// Whether a plan that PostgreSQL estimates to cost this much may be taken instead of its own.
pub fn is_credible(cost: f64, own_cost: f64) -> bool {
    cost <= DEAREST * own_cost
}

fn is_usable(timing: &Timing) -> bool {
    let (Ok(ms) | Err(ms)) = timing.outcome;
    let total = timing.costs.total();
    ms > 0.0
        && ms.is_finite()
        && total > 0.0
        && total.is_finite()
        && timing.costs.parts().all(|cost| cost >= 0.0)
}

/// A plan to be fitted.
struct Plan {
    costs: PlanCosts,
    log_ms: f64,
    is_bound: bool,
    weight: f64,
}

impl Plan {
    fn of(timing: &Timing, plans_of: &HashMap<u64, u32>) -> Self {
        let (Ok(ms) | Err(ms)) = timing.outcome;
        let plans = plans_of.get(&timing.statement).copied().unwrap_or(1);
        Self {
            costs: timing.costs,
            log_ms: ms.ln(),
            is_bound: timing.outcome.is_err(),
            weight: 1.0 / f64::from(plans).sqrt(),
        }
    }
}

/// The median of log milliseconds per unit of cost, of plans that ended.
fn usual_log(plans: &[Plan]) -> Option<f64> {
    let ended = plans.iter().filter(|plan| !plan.is_bound);
    let mut logs: Vec<f64> = ended.map(|plan| plan.log_ms - plan.costs.total().ln()).collect();
    logs.sort_by(f64::total_cmp);
    logs.get(logs.len() / 2).copied()
}

fn parts_ms(costs: &PlanCosts, logs: &[f64; KINDS]) -> [f64; KINDS] {
    let mut parts = logs.map(f64::exp);
    parts
        .iter_mut()
        .zip(costs.parts())
        .for_each(|(part, cost)| *part *= cost);
    parts
}

/// A step of Gauss-Newton.
fn step(plans: &[Plan], logs: &[f64; KINDS], usual: f64) -> Option<Vec<f64>> {
    let mut equations = NormalEquations::new(KINDS, RIDGE);
    let mut right: Vec<f64> = logs.iter().map(|log| RIDGE * (usual - log)).collect();
    for plan in plans {
        let parts = parts_ms(&plan.costs, logs);
        let predicted: f64 = parts.iter().sum();
        let residual = plan.log_ms - predicted.ln();
        if !residual.is_finite() || (plan.is_bound && residual <= 0.0) {
            continue;
        }
        let weight = plan.weight / (residual.abs() / USUAL).max(1.0);
        // The derivative of the log of a sum by the log of a part is the part's share.
        let shares = parts.map(|part| weight.sqrt() * part / predicted);
        equations.add(&shares, 0.0);
        let of_plan = shares.iter().map(|share| share * weight.sqrt() * residual);
        right.iter_mut().zip(of_plan).for_each(|(sum, part)| *sum += part);
    }
    equations.with_right(right).solve()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cardinality::hash_words;
    use proptest::prelude::*;

    const ALL: Possibilities = Possibilities::ALL;

    /// What a hash join, a merge join and reading tables take per unit.
    const HASH: f64 = 0.05;
    const MERGE: f64 = 0.01;
    const SEQ: f64 = 0.02;

    fn costs(seq: f64, hash: f64, merge: f64) -> PlanCosts {
        let mut costs = PlanCosts::of_start(false);
        for (kind, cost) in [
            (OperatorKind::SeqScan, seq),
            (OperatorKind::HashJoin, hash),
            (OperatorKind::MergeJoin, merge),
        ] {
            costs.spend(kind, 1.0, cost, 0.0);
        }
        costs
    }

    fn took(seq: f64, hash: f64, merge: f64) -> f64 {
        1.0 + SEQ * seq + HASH * hash + MERGE * merge
    }

    /// Statements with a plan by each kind of join, of costs between 1,000 and 100,000.
    fn timings(statements: u64, noise: f64) -> Vec<Timing> {
        let random = |words: [u64; 2]| (hash_words(words) >> 11) as f64 / (1u64 << 53) as f64;
        let cost = |statement, part| 1e3 * 100f64.powf(random([statement, part]));
        let of_one = |statement: u64| {
            let (seq, join) = (cost(statement, 0), cost(statement, 1));
            [(join, 0.0), (0.0, join)].map(|(hash, merge)| Timing {
                statement,
                costs: costs(seq, hash, merge),
                outcome: Ok(
                    took(seq, hash, merge) * (noise * (random([statement, merge as u64]) - 0.5)).exp()
                ),
            })
        };
        (0..statements).flat_map(of_one).collect()
    }

    fn without_hash() -> HintSet {
        HintSet::from_bits(METHODS[0].bit)
    }

    #[test]
    fn it_finds_what_operators_take() {
        let times = OperatorTimes::fit(&timings(50, 0.2)).expect("enough plans");
        assert_eq!(times.plans(), 100);
        let per_unit: Vec<_> = times.per_unit().collect();
        assert_eq!(per_unit.len(), KINDS - 2);
        let hash = per_unit.iter().find(|(kind, _)| kind.name() == "hash join");
        assert!(
            hash.is_some_and(|(_, ms)| (ms / HASH).ln().abs() < 0.2),
            "{per_unit:?}"
        );
        for (seq, hash, merge) in [(5e3, 2e4, 0.0), (1e5, 0.0, 3e4), (2e3, 2e3, 2e3)] {
            let predicted = times.predicted_ms(&costs(seq, hash, merge)).expect("times");
            let off = (predicted / took(seq, hash, merge)).ln().abs();
            assert!(off < 0.2, "{off}");
        }
    }

    #[test]
    fn of_too_few_nothing_is_said() {
        assert_eq!(OperatorTimes::fit(&timings(9, 0.0)), None);
        let of_one: Vec<Timing> = timings(50, 0.0)
            .into_iter()
            .map(|timing| Timing {
                statement: 1,
                ..timing
            })
            .collect();
        assert_eq!(OperatorTimes::fit(&of_one), None);
        let nothing = OperatorTimes::default();
        let plan = costs(1e4, 1e4, 0.0);
        assert_eq!(nothing.predicted_ms(&plan), None);
        assert_eq!(nothing.log_ratio(&plan, &plan), None);
        assert_eq!(nothing.per_unit().count(), 0);
        assert_eq!(nothing.candidates(&plan, &ALL), []);
    }

    #[test]
    fn a_plan_that_was_given_up_makes_its_operators_slower_and_never_faster() {
        let ended: Vec<Timing> = timings(50, 0.0);
        let given_up = |share: f64| -> Vec<Timing> {
            let bounded = ended.iter().enumerate().map(|(at, timing)| match at % 2 {
                0 => *timing,
                _ => Timing {
                    outcome: timing.outcome.and_then(|ms| Err(ms * share)),
                    ..*timing
                },
            });
            bounded.collect()
        };
        let merge = costs(1e3, 0.0, 1e5);
        let predicted = |timings: &[Timing]| {
            let times = OperatorTimes::fit(timings).expect("enough plans");
            times.predicted_ms(&merge).expect("times")
        };
        let (early, late) = (predicted(&given_up(0.01)), predicted(&given_up(10.0)));
        assert!(late > 5.0 * took(1e3, 0.0, 1e5), "{late}");
        assert!(early > took(1e3, 0.0, 1e5), "{early}");
    }

    #[test]
    fn what_takes_most_of_the_time_is_switched_off_first_and_what_takes_none_never() {
        let times = OperatorTimes::fit(&timings(50, 0.1)).expect("enough plans");
        let candidates = times.candidates(&costs(1e3, 1e5, 0.0), &ALL);
        assert_eq!(candidates.first(), Some(&without_hash()));
        assert!(candidates.len() <= CANDIDATES);
        let merge = METHODS[1].bit;
        assert!(
            candidates.iter().all(|hints| hints.bits() != merge),
            "{candidates:?}"
        );
        let none = Possibilities {
            is_without_methods: true,
            ..ALL
        };
        assert_eq!(times.candidates(&costs(1e3, 1e5, 0.0), &none), []);
    }

    #[test]
    fn the_usual_confidence_asks_for_six_tenths_of_the_time() {
        assert!(confidence_in_gain(0.59f64.ln()) > 0.8 && confidence_in_gain(0.61f64.ln()) < 0.8);
        assert!((confidence_in_gain(0.0) - 0.5).abs() < 1e-9);
        let times = OperatorTimes::fit(&timings(50, 0.0)).expect("enough plans");
        let (plan, own) = (costs(1e3, 0.0, 1e5), costs(1e3, 1e5, 0.0));
        let log_ratio = times.log_ratio(&plan, &own).expect("times");
        let true_ratio = took(1e3, 0.0, 1e5) / took(1e3, 1e5, 0.0);
        assert!((log_ratio - true_ratio.ln()).abs() < 0.1, "{log_ratio}");
    }

    #[test]
    fn what_was_missed_of_a_hint_set_is_missed_again_where_plans_are_alike() {
        let times = OperatorTimes::fit(&timings(50, 0.0)).expect("enough plans");
        let [like, unlike] = [[1 << 32, 2 << 32], [8 << 32, 9 << 32]].map(PlanSketch::of);
        let stock = Timing {
            statement: 1,
            costs: costs(1e3, 1e5, 0.0),
            outcome: Ok(took(1e3, 1e5, 0.0)),
        };
        let missed_of = |plan: &PlanSketch, costs, outcome| {
            let timing = Timing {
                costs,
                outcome,
                ..stock
            };
            let measured = HintedPlan {
                sketch: &like,
                stock: &stock,
                hints: without_hash(),
                methods: 0,
                timing: &timing,
            };
            let missed = times.missed(plan, std::iter::repeat_n(measured, 9));
            let arm = arms().iter().position(|&arm| arm == without_hash());
            missed[arm.expect("an arm")]
        };
        let missed = |plan: &PlanSketch, outcome| missed_of(plan, costs(1e3, 0.0, 1e5), outcome);
        let as_predicted = took(1e3, 0.0, 1e5);
        assert!(missed(&like, Ok(as_predicted)).abs() < 0.1);
        assert!(missed(&like, Ok(2.0 * as_predicted)) > 0.5);
        assert!(missed(&like, Err(4.0 * as_predicted)) > 0.5);
        // Given up, it is taken to be slower than the stock plan, and was expected to be if it was predicted so.
        assert!(missed(&like, Err(0.1)) > 0.5);
        assert_eq!(missed_of(&like, costs(1e5, 1e5, 0.0), Err(0.1)), 0.0);
        assert_eq!(missed(&unlike, Ok(2.0 * as_predicted)), 0.0);
    }

    #[test]
    fn only_a_share_of_what_is_not_read_to_its_end_counts() {
        let mut costs = PlanCosts::default();
        let share = costs.spend(OperatorKind::Other, 1.0, 10.0, 1000.0);
        assert_eq!(share, 0.01);
        costs.spend(OperatorKind::SeqScan, share, 1000.0, 0.0);
        assert!((costs.total() - 10.0).abs() < 1e-3, "{costs:?}");
    }

    #[test]
    fn what_switched_off_methods_cost_on_top_does_not_count() {
        let mut costs = PlanCosts::default();
        let share = costs.spend(OperatorKind::HashJoin, 1.0, 3e10 + 500.0, 2e10 + 100.0);
        assert_eq!(share, 1.0);
        assert!((costs.total() - 400.0).abs() < 1e-3, "{costs:?}");
        assert!(is_credible(149.0, 100.0) && !is_credible(1e10, 100.0));
    }

    proptest! {
        #[test]
        fn any_costs_and_times_are_fitted_or_left(parts in prop::collection::vec((0u64..30, 0.0..1e12f64, 0.0..1e12f64, -1.0..1e9f64, any::<bool>()), 0..80)) {
            let timings: Vec<Timing> = parts
                .into_iter()
                .map(|(statement, seq, hash, ms, has_ended)| Timing {
                    statement,
                    costs: costs(seq, hash, 0.0),
                    outcome: if has_ended { Ok(ms) } else { Err(ms) },
                })
                .collect();
            if let Some(times) = OperatorTimes::fit(&timings) {
                let ms = times.predicted_ms(&costs(1e4, 1e4, 1e4));
                prop_assert!(ms.is_none_or(|ms| ms > 0.0 && ms.is_finite()));
            }
        }
    }
}

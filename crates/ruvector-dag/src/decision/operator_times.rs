//! Stage 5 of 9, decision: how long a unit of PostgreSQL's cost takes on this server, by kind of operator, and so which of several
//! plans of a statement never seen is the fastest.
//!
//! A plan takes Σ cₖ tₖ milliseconds: cₖ is what PostgreSQL estimates it to spend on operators of a kind, tₖ what a unit of that
//! takes. It is the model of Wu et al. ("Predicting query execution time: are optimizer cost models really unusable?", ICDE
//! 2013) by operators instead of resources. [`super::planner_costs`] corrects PostgreSQL's constants by plans whose row counts were right; here
//! all plans count, so that tₖ also holds what estimates of such an operator's input are usually off by.
//!
//! The logarithms of tₖ are fitted to those of latencies by Gauss-Newton: with Huber's weights (1964), with a ridge towards the same
//! time for all (PostgreSQL's own opinion), a plan that was given up counting only where it is predicted to end earlier. Each statement has an
//! effect of its own, which all its plans share (a random intercept; Laird and Ware 1982): estimates that are off by a factor
//! make all plans of a statement so much slower, which says little about operators. What is left is what its plans differ by, and that is
//! what one is chosen by.
//!
//! Simulated (`make bench-simulation LIMIT=8`) on the latencies of 49 hint sets of 87 STATS statements, 100 random splits into two thirds to
//! learn from and a third to judge by: 0.88 to 0.89 of stock's time on statements never seen, 9 % of them planned differently, 0.8 % slower by more than
//! a fifth and 20 ms. The constants were chosen in earlier simulations on the same latencies.

use super::hints::{HintSet, arms};
use super::plan_costs::{KINDS, OperatorKind, PlanCosts};
use super::trial::Possibilities;
use crate::learning::normal_equations::NormalEquations;
use std::collections::BTreeMap;

/// Plans and statements below which nothing is said.
const LEAST_PLANS: usize = 20;
const LEAST_STATEMENTS: usize = 10;
/// Weight of the prior that a kind takes as long per unit as all others.
const RIDGE: f64 = 0.001;
/// Weight of the prior that a statement has no effect of its own, in plans.
const NO_EFFECT: f64 = 0.2;
/// The most that a step changes a statement's effect.
const EFFECT_STEP: f64 = 2.0;
/// Residuals of log latencies beyond which an execution counts less.
const USUAL: f64 = 1.0;
/// The most that a step changes the logarithm of a time.
const STEP: f64 = 1.0;
const STEPS: usize = 20;
/// A step below which the fit is found.
const FOUND: f64 = 1e-4;
/// Hint sets that are planned with at most.
const CANDIDATES: usize = 12;
/// What a method that is switched off must be predicted to take of the plan's time.
const LEAST_SHARE: f64 = 0.02;

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
    /// That of a unit of cost, whatever is done, as the slowest plans of statements usually take: they run their stock plans and faster ones.
    of_slowest: f32,
    /// Plans that it was fitted to; 0 where nothing is known.
    plans: u32,
}

impl OperatorTimes {
    /// Fits them to what plans took; `None` of too few.
    ///
    /// Complexity: O(plans · kinds²) per step, of which there are at most twenty.
    pub fn fit(timings: &[Timing]) -> Option<Self> {
        let mut statements: BTreeMap<u64, Statement> = BTreeMap::new();
        let usable = timings.iter().filter(|timing| is_usable(timing));
        usable.for_each(|timing| statements.entry(timing.statement).or_default().add(timing));
        let mut statements: Vec<Statement> = statements.into_values().collect();
        let plans: usize = statements.iter().map(|statement| statement.plans.len()).sum();
        if plans < LEAST_PLANS || statements.len() < LEAST_STATEMENTS {
            return None;
        }
        let usual = usual_log(&statements)?;
        let mut logs = [usual; KINDS];
        for _ in 0..STEPS {
            let longest = step(&mut statements, &mut logs, usual)?;
            if longest < FOUND {
                break;
            }
        }
        logs.iter().all(|log| log.is_finite()).then(|| Self {
            logs: logs.map(|log| log as f32),
            of_slowest: usual_of_slowest(&statements).unwrap_or(usual) as f32,
            plans: u32::try_from(plans).unwrap_or(u32::MAX),
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

    /// What a plan takes at least, as far as is known: by its operators, or by its cost as a whole. Either is often several times too much.
    pub fn least_ms(&self, costs: &PlanCosts) -> Option<f64> {
        let by_cost = costs.of_operators() * f64::from(self.of_slowest).exp();
        self.predicted_ms(costs).map(|predicted| predicted.min(by_cost))
    }

    fn parts_ms(&self, costs: &PlanCosts) -> [f64; KINDS] {
        let logs = self.logs.map(f64::from);
        parts_ms(costs, &logs)
    }

    /// The natural logarithm of what a plan is predicted to take over what another one is; `None` where nothing is known.
    pub fn log_ratio(&self, costs: &PlanCosts, other: &PlanCosts) -> Option<f64> {
        Some((self.predicted_ms(costs)? / self.predicted_ms(other)?).ln())
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
}

/// A statement's plans, and the logarithm of by how much all of them take longer than predicted.
#[derive(Default)]
struct Statement {
    plans: Vec<Plan>,
    effect: f64,
}

/// A plan where it is linear: the derivatives of its predicted log latency by those of the times, what that misses, and how much this
/// counts.
struct Tangent {
    shares: [f64; KINDS],
    residual: f64,
    weight: f64,
}

impl Plan {
    /// `None` of a plan that was given up and is predicted to take longer.
    fn tangent(&self, logs: &[f64; KINDS], effect: f64) -> Option<Tangent> {
        let parts = parts_ms(&self.costs, logs);
        let predicted: f64 = parts.iter().sum();
        let residual = self.log_ms - predicted.ln() - effect;
        (residual.is_finite() && !(self.is_bound && residual <= 0.0)).then(|| Tangent {
            // The derivative of the log of a sum by the log of a part is the part's share.
            shares: parts.map(|part| part / predicted),
            residual,
            weight: 1.0 / (residual.abs() / USUAL).max(1.0),
        })
    }
}

impl Statement {
    fn add(&mut self, timing: &Timing) {
        let (Ok(ms) | Err(ms)) = timing.outcome;
        self.plans.push(Plan {
            costs: timing.costs,
            log_ms: ms.ln(),
            is_bound: timing.outcome.is_err(),
        });
    }

    /// Log milliseconds per unit of cost of its plans that ended.
    fn logs_per_unit(&self) -> impl Iterator<Item = f64> {
        let ended = self.plans.iter().filter(|plan| !plan.is_bound);
        ended.map(|plan| plan.log_ms - plan.costs.total().ln())
    }

    /// Adds its plans to the equations, its own effect eliminated: what each differs by from their mean, and the mean for as much as the
    /// effect is not free to take up. Answers the mean.
    fn add_to(&self, equations: &mut NormalEquations, logs: &[f64; KINDS]) -> Option<Tangent> {
        let tangents: Vec<Tangent> = self
            .plans
            .iter()
            .filter_map(|plan| plan.tangent(logs, self.effect))
            .collect();
        let mean = Tangent::mean(&tangents)?;
        for tangent in &tangents {
            let weight = tangent.weight.sqrt();
            let shares: [f64; KINDS] =
                std::array::from_fn(|kind| weight * (tangent.shares[kind] - mean.shares[kind]));
            equations.add(&shares, weight * (tangent.residual - mean.residual));
        }
        let weight = (mean.weight * NO_EFFECT / (mean.weight + NO_EFFECT)).sqrt();
        let shares = mean.shares.map(|share| weight * share);
        equations.add(&shares, weight * (mean.residual + self.effect));
        Some(mean)
    }

    /// Takes up what is left of the mean after a step of the times.
    fn follow(&mut self, mean: &Tangent, steps: &[f64]) {
        let moved: f64 = mean
            .shares
            .iter()
            .zip(steps)
            .map(|(share, step)| share * step)
            .sum();
        let left = mean.weight * (mean.residual - moved) - NO_EFFECT * self.effect;
        self.effect += (left / (mean.weight + NO_EFFECT)).clamp(-EFFECT_STEP, EFFECT_STEP);
    }
}

impl Tangent {
    /// Their weighted mean, with the sum of their weights; `None` of none.
    fn mean(tangents: &[Self]) -> Option<Self> {
        let weight: f64 = tangents.iter().map(|tangent| tangent.weight).sum();
        let mean = |of: &dyn Fn(&Self) -> f64| {
            tangents
                .iter()
                .map(|tangent| tangent.weight * of(tangent))
                .sum::<f64>()
                / weight
        };
        (weight > 0.0).then(|| Self {
            shares: std::array::from_fn(|kind| mean(&|tangent| tangent.shares[kind])),
            residual: mean(&|tangent| tangent.residual),
            weight,
        })
    }
}

/// The median of log milliseconds per unit of cost, of plans that ended.
fn usual_log(statements: &[Statement]) -> Option<f64> {
    median(statements.iter().flat_map(Statement::logs_per_unit).collect())
}

/// The same of each statement's slowest plan by that measure.
fn usual_of_slowest(statements: &[Statement]) -> Option<f64> {
    let slowest = |statement: &Statement| statement.logs_per_unit().max_by(f64::total_cmp);
    median(statements.iter().filter_map(slowest).collect())
}

fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

fn parts_ms(costs: &PlanCosts, logs: &[f64; KINDS]) -> [f64; KINDS] {
    let mut parts = logs.map(f64::exp);
    parts
        .iter_mut()
        .zip(costs.parts())
        .for_each(|(part, cost)| *part *= cost);
    parts
}

/// A step of Gauss-Newton; answers by how much the logarithm of a time changed at most.
fn step(statements: &mut [Statement], logs: &mut [f64; KINDS], usual: f64) -> Option<f64> {
    let mut equations = NormalEquations::new(KINDS, 0.0);
    for (kind, log) in logs.iter().enumerate() {
        let mut prior = [0.0; KINDS];
        prior[kind] = RIDGE.sqrt();
        equations.add(&prior, RIDGE.sqrt() * (usual - log));
    }
    let means: Vec<Option<Tangent>> = statements
        .iter()
        .map(|statement| statement.add_to(&mut equations, logs))
        .collect();
    let steps = equations.solve()?;
    let steps: Vec<f64> = steps.into_iter().map(|step| step.clamp(-STEP, STEP)).collect();
    logs.iter_mut().zip(&steps).for_each(|(log, step)| *log += step);
    for (statement, mean) in statements.iter_mut().zip(&means) {
        mean.iter().for_each(|mean| statement.follow(mean, &steps));
    }
    Some(steps.iter().fold(0.0, |longest, step| longest.max(step.abs())))
}

#[cfg(test)]
mod tests {
    use super::super::hints::METHODS;
    use super::*;
    use crate::cardinality::hash_words;
    use proptest::prelude::*;

    const ALL: Possibilities = Possibilities::ALL;

    /// What a hash join, a merge join and reading tables take per unit.
    const HASH: f64 = 0.05;
    const MERGE: f64 = 0.01;
    const SEQ: f64 = 0.02;

    fn costs(seq: f64, hash: f64, merge: f64) -> PlanCosts {
        let mut costs = PlanCosts::of_start();
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
    fn it_predicts_ratios() {
        let times = OperatorTimes::fit(&timings(50, 0.0)).expect("enough plans");
        let (plan, own) = (costs(1e3, 0.0, 1e5), costs(1e3, 1e5, 0.0));
        let log_ratio = times.log_ratio(&plan, &own).expect("times");
        let true_ratio = took(1e3, 0.0, 1e5) / took(1e3, 1e5, 0.0);
        assert!((log_ratio - true_ratio.ln()).abs() < 0.1, "{log_ratio}");
    }

    #[test]
    fn what_makes_all_plans_of_a_statement_slower_says_nothing_about_operators() {
        // A third of the statements takes a hundred times as long, and only their hash joins are known.
        let uneven: Vec<Timing> = timings(60, 0.0)
            .into_iter()
            .filter(|timing| timing.statement % 3 != 0 || timing.costs.of(OperatorKind::MergeJoin) == 0.0)
            .map(|timing| Timing {
                outcome: timing
                    .outcome
                    .map(|ms| if timing.statement % 3 == 0 { 100.0 * ms } else { ms }),
                ..timing
            })
            .collect();
        let times = OperatorTimes::fit(&uneven).expect("enough plans");
        let log_ratio = times.log_ratio(&costs(1e3, 1e5, 0.0), &costs(1e3, 0.0, 1e5));
        let true_ratio = took(1e3, 1e5, 0.0) / took(1e3, 0.0, 1e5);
        assert!(
            log_ratio.is_some_and(|ratio| (ratio - true_ratio.ln()).abs() < 0.4),
            "{log_ratio:?}"
        );
    }

    #[test]
    fn a_plan_takes_at_least_what_its_cost_and_its_operators_say() {
        let times = OperatorTimes::fit(&timings(50, 0.0)).expect("enough plans");
        for costs in [costs(10.0, 0.0, 0.0), costs(1e3, 0.0, 1e5), costs(1e3, 1e5, 0.0)] {
            let (least, predicted) = (times.least_ms(&costs), times.predicted_ms(&costs));
            assert!(least > Some(0.0) && least <= predicted, "{least:?} {predicted:?}");
        }
        // What it takes to start is no cost of its.
        assert!(times.least_ms(&costs(10.0, 0.0, 0.0)) < Some(1.0));
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

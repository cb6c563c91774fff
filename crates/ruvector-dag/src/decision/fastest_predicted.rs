//! Stage 5 of 9, decision: which of several plans of a statement never seen is taken instead of its stock plan.
//!
//! Constants were chosen as those of [`super::operator_times`].

use super::hints::HintSet;
use super::operator_times::OperatorTimes;
use super::plan_costs::PlanCosts;
use super::trial::Possibilities;
use crate::learning::normal::cumulative;

/// A plan that PostgreSQL estimates to cost more than so many times its own is not taken: the less it is believed, the more does its opinion
/// count.
const DEAREST: f64 = 1.5;
/// Standard deviation of what a predicted log ratio of two plans is off by: it makes a confidence of 0.8 ask for a ratio of 0.6.
const DEVIATION: f64 = 0.607;
/// What planning may take of the time that a statement is predicted to take.
const PLANNING_SHARE: f64 = 0.02;

/// The plan of a statement never seen that is predicted to be the fastest, of those that were compared so far.
#[derive(Debug, Clone, Copy)]
pub struct FastestPredicted {
    times: OperatorTimes,
    stock: PlanCosts,
    /// How sure it must be that a plan is faster than the stock plan.
    confidence: f64,
    /// The log ratio of the best plan's predicted time to the stock plan's.
    best: f64,
}

impl FastestPredicted {
    /// The stock plan, by what operators take; another plan is taken with this confidence.
    pub fn of_stock(stock: PlanCosts, times: OperatorTimes, confidence: f64) -> Self {
        Self {
            times,
            stock,
            confidence,
            best: 0.0,
        }
    }

    /// The hint sets to plan with, those first that promise most; none where nothing is known.
    pub fn candidates(&self, possible: &Possibilities) -> Vec<HintSet> {
        self.times.candidates(&self.stock, possible)
    }

    /// Whether another plan is taken instead of the best one so far, where PostgreSQL estimates the two to cost so much.
    pub fn takes(&mut self, costs: &PlanCosts, cost: f64, stock_cost: f64) -> bool {
        let expected = self.times.log_ratio(costs, &self.stock);
        let is_faster =
            |&expected: &f64| expected < self.best && confidence_in_gain(expected) > self.confidence;
        let Some(expected) = expected.filter(is_faster) else {
            return false;
        };
        let is_taken = is_credible(cost, stock_cost);
        if is_taken {
            self.best = expected;
        }
        is_taken
    }

    /// Whether there is time for another planning after so many milliseconds of it; of a statement that is predicted to take little there
    /// is not.
    pub fn allows_planning(&self, spent_ms: f64) -> bool {
        let stock_ms = self.times.least_ms(&self.stock);
        stock_ms.is_some_and(|stock_ms| spent_ms <= PLANNING_SHARE * stock_ms)
    }
}

/// How sure it is that a plan is faster than another one: the probability that the logarithm of their latencies' ratio, normal about the
/// expected one, is below 0.
fn confidence_in_gain(expected_log_ratio: f64) -> f64 {
    cumulative(-expected_log_ratio / DEVIATION)
}

/// Whether a plan that PostgreSQL estimates to cost this much may be taken instead of its own.
fn is_credible(cost: f64, own_cost: f64) -> bool {
    cost <= DEAREST * own_cost
}

#[cfg(test)]
mod tests {
    use super::super::operator_times::Timing;
    use super::super::plan_costs::OperatorKind;
    use super::*;

    fn costs(hash: f64, merge: f64) -> PlanCosts {
        let mut costs = PlanCosts::of_start();
        costs.spend(OperatorKind::HashJoin, 1.0, hash, 0.0);
        costs.spend(OperatorKind::MergeJoin, 1.0, merge, 0.0);
        costs
    }

    /// Where a hash join takes ten times as long per unit of cost as a merge join.
    fn times() -> OperatorTimes {
        let timings: Vec<Timing> = (0..20)
            .flat_map(|statement| {
                let cost = 1000.0 * (statement + 1) as f64;
                [(cost, 0.0, 0.1), (0.0, cost, 0.01)].map(|(hash, merge, per_unit)| Timing {
                    statement,
                    costs: costs(hash, merge),
                    outcome: Ok(1.0 + per_unit * cost),
                })
            })
            .collect();
        OperatorTimes::fit(&timings).expect("enough plans")
    }

    #[test]
    fn the_usual_confidence_asks_for_six_tenths_of_the_time() {
        assert!(confidence_in_gain(0.59f64.ln()) > 0.8 && confidence_in_gain(0.61f64.ln()) < 0.8);
        assert!((confidence_in_gain(0.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn the_fastest_of_all_is_taken() {
        let mut plan = FastestPredicted::of_stock(costs(1e5, 0.0), times(), 0.8);
        assert!(!plan.takes(&costs(9e4, 1e4), 100.0, 100.0), "of 0.9 of the time");
        assert!(plan.takes(&costs(3e4, 7e4), 100.0, 100.0));
        assert!(!plan.takes(&costs(4e4, 6e4), 100.0, 100.0), "slower than that");
        assert!(plan.takes(&costs(0.0, 1e5), 100.0, 100.0));
    }

    #[test]
    fn what_postgresql_holds_to_be_much_dearer_is_not_taken_nor_compared_with() {
        let mut plan = FastestPredicted::of_stock(costs(1e5, 0.0), times(), 0.8);
        assert!(!plan.takes(&costs(0.0, 1e5), 151.0, 100.0));
        assert!(plan.takes(&costs(2e4, 8e4), 149.0, 100.0));
    }

    #[test]
    fn where_nothing_is_known_nothing_is_planned_nor_taken() {
        let mut plan = FastestPredicted::of_stock(costs(1e5, 0.0), OperatorTimes::default(), 0.8);
        assert!(!plan.allows_planning(0.0));
        assert_eq!(plan.candidates(&Possibilities::ALL), []);
        assert!(!plan.takes(&costs(0.0, 1e5), 1.0, 100.0));
    }

    #[test]
    fn planning_takes_a_fiftieth_of_the_time_at_most() {
        let plan = FastestPredicted::of_stock(costs(1e5, 0.0), times(), 0.8);
        let least_ms = times().least_ms(&costs(1e5, 0.0)).expect("times");
        assert!(plan.allows_planning(0.019 * least_ms));
        assert!(!plan.allows_planning(0.021 * least_ms));
    }
}

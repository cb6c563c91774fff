//! What owners see of a statement class's evidence beside its latencies, and what they say about it.

use super::evidence::{Decision, StatementEvidence};
use super::plan_evidence::PlanEvidence;
use super::sequential;

/// What a class is pinned to.
const STOCK: u32 = 1;
const PLAN: u32 = 2;

impl StatementEvidence {
    /// The plan that a decision led to.
    pub fn plan_of(&self, decision: Decision) -> Option<&PlanEvidence> {
        match decision.is_stock() {
            true => self.stock(),
            false => self
                .plans()
                .filter(|plan| plan.decision == decision)
                .min_by(|a, b| a.typical_or_max().total_cmp(&b.typical_or_max())),
        }
    }

    /// How sure it is, in [0, 1), that the plan in use and the stock plan differ in latency, by the sequential test; while
    /// the stock plan is in use, that it and the fastest other one differ. `None` while there is nothing to compare.
    pub fn confidence(&self) -> Option<f64> {
        let used = self.settled().decision;
        let other = match used.is_stock() {
            true => self.fastest_other(),
            false => self.plan_of(used),
        };
        sequential::confidence(other?.samples_ms(), self.stock()?.samples_ms())
    }

    /// The share of the stock plan's latency that the plan in use saves, as measured: 0 where others were tried and stock
    /// is in use; `None` where nothing else was measured.
    pub fn improvement(&self) -> Option<f64> {
        let stock_ms = self.stock()?.expected_ms()?;
        let used = self.settled().decision;
        if used.is_stock() {
            return (self.trials > 0).then_some(0.0);
        }
        let used_ms = self.plan_of(used)?.typical_ms()?;
        (stock_ms > 0.0).then(|| 1.0 - used_ms / stock_ms)
    }

    /// Plans other than stock's, the fastest first; those that were only cut off come last.
    pub fn tried(&self) -> Vec<&PlanEvidence> {
        let mut tried: Vec<_> = self
            .plans()
            .filter(|plan| !plan.decision.is_stock() && plan.runs + plan.cut_off_runs > 0)
            .collect();
        tried.sort_by(|a, b| a.typical_or_max().total_cmp(&b.typical_or_max()));
        tried
    }

    fn fastest_other(&self) -> Option<&PlanEvidence> {
        self.tried().into_iter().find(|plan| plan.runs > 0)
    }

    /// The shape of the fastest plan whose decision is described so; 0 stands for stock.
    pub fn shape_described_as(&self, description: &str) -> Option<u64> {
        if Decision::STOCK.describe() == description {
            return Some(0);
        }
        let is_meant = |plan: &&&PlanEvidence| plan.runs > 0 && plan.decision.describe() == description;
        self.tried().iter().find(is_meant).map(|plan| plan.shape)
    }

    /// Pins the class to the plan in use, or to stock's when that is in use.
    pub fn pin(&mut self) {
        self.unpin();
        let used = self.settled().decision;
        let plan = self.plan_of(used).filter(|_| !used.is_stock());
        self.pin_to(plan.map_or(0, |plan| plan.shape));
    }

    /// Pins the class to a plan, or to stock's with 0.
    pub fn pin_to(&mut self, shape: u64) {
        self.pinned_shape = shape;
        self.pinned = if shape == 0 { STOCK } else { PLAN };
    }

    /// Leaves the choice to the evidence again.
    pub fn unpin(&mut self) {
        self.pinned = 0;
        self.pinned_shape = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Run;
    use super::super::hints::HintSet;
    use super::super::lifecycle::State;
    use super::super::table_state::TableState;
    use super::*;

    fn run(shape: u64, decision: Decision, outcome: Result<f64, f64>) -> Run {
        Run {
            shape,
            decision,
            total_cost: 1.0,
            outcome,
            taught: false,
            is_trial: false,
            is_dream: false,
            uses_jit: false,
            is_parallel: false,
            methods: 0,
            spilled_mb: 0,
            tables: TableState::default(),
        }
    }

    fn evidence(other_ms: f64) -> StatementEvidence {
        let mut evidence = StatementEvidence::default();
        let hinted = Decision {
            hints: HintSet::from_bits(1),
            ..Decision::STOCK
        };
        for _ in 0..4 {
            evidence.record(&run(1, Decision::STOCK, Ok(100.0)));
            evidence.record(&run(2, hinted, Ok(other_ms)));
        }
        evidence
    }

    #[test]
    fn a_plan_that_is_much_faster_is_surely_faster() {
        let evidence = evidence(20.0);
        assert!(
            evidence
                .confidence()
                .is_some_and(|sure| (0.95..1.0).contains(&sure))
        );
        assert!(
            evidence
                .improvement()
                .is_some_and(|saved| (saved - 0.8).abs() < 1e-6)
        );
    }

    #[test]
    fn equal_plans_are_not_told_apart() {
        let evidence = evidence(100.0);
        assert_eq!(evidence.confidence(), Some(0.0));
        assert_eq!(evidence.improvement(), Some(0.0));
    }

    #[test]
    fn nothing_is_said_of_a_class_without_another_plan() {
        let mut evidence = StatementEvidence::default();
        evidence.record(&run(1, Decision::STOCK, Ok(100.0)));
        assert_eq!(evidence.confidence(), None);
        assert_eq!(evidence.improvement(), None);
    }

    #[test]
    fn a_class_is_pinned_by_the_words_users_read_and_unpinned() {
        let mut evidence = evidence(20.0);
        assert_eq!(evidence.shape_described_as("no hash join"), Some(2));
        assert_eq!(evidence.shape_described_as("no merge join"), None);
        evidence.pin_to(evidence.shape_described_as("stock plan").unwrap());
        assert_eq!(evidence.choose().state, State::Pinned);
        assert!(evidence.choose().decision.is_stock());
        evidence.unpin();
        assert_eq!(evidence.choose().state, State::Applied);
    }
}

//! Stage 8 of 9, learning: what hint sets are expected to do to statements on which they were not tried, for the choice of the next
//! trial.
//!
//! The matrix of log ratios to the stock plan's latency, statements × hint sets, is completed at low rank
//! ([`Completion`]; Yi et al., "Low Rank Learning for Offline Query Optimization", 2025). What is completed is what
//! [`OperatorTimes`](super::OperatorTimes) miss: a cell's prediction is what they say of the hint set's plan, where it was planned, and the completed
//! rest. A trial that was given up is a lower bound.
//!
//! The choice among trials takes them up in [`ArmStatistics::gains_per_time_with`](super::ArmStatistics::gains_per_time_with).

use super::hints::ARMS;
use super::similar::Experience;
use crate::learning::completion::{Cell, Completion, CompletionConfig};
use std::collections::HashMap;

/// Simulated with the trials of 87 STATS statements (their 48 hint sets beside stock).
const CONFIG: CompletionConfig = CompletionConfig {
    rank: 2,
    ridge: 1.0,
    sweeps: 15,
    seed: 1,
};
/// Predicted log ratios beyond these say no more than these.
const SAID: f64 = 2.0;

/// Natural logarithms of ratios to the stock plan's latency, by arm.
pub type LogRatios = [Option<f32>; ARMS];

/// What is known of a statement.
#[derive(Debug, Clone)]
pub struct KnownStatement {
    /// Its class.
    pub class: u64,
    /// What was measured.
    pub experience: Experience,
    /// What the plans of hint sets are predicted to take, where they were planned.
    pub predicted: LogRatios,
}

/// The completed matrix.
#[derive(Debug, Clone, Default)]
pub struct ExpectedRatios {
    by_class: HashMap<u64, [f64; ARMS]>,
}

impl ExpectedRatios {
    /// Completes what is known; nothing is expected where that is nothing.
    ///
    /// Complexity: that of [`Completion::fit`]. Deterministic.
    pub fn of(statements: &[KnownStatement]) -> Self {
        let cells: Vec<Cell> = statements.iter().enumerate().flat_map(cells).collect();
        let Ok(completion) = Completion::fit(statements.len(), STOCK + 1, &cells, &CONFIG) else {
            return Self::default();
        };
        let expected = |(row, known): (usize, &KnownStatement)| {
            let of_arm = |arm: usize| {
                let missed = completion.predict(row, arm).map_or(0.0, |cell| cell.mean);
                known.predicted(arm) + missed
            };
            (known.class, std::array::from_fn(of_arm))
        };
        Self {
            by_class: statements.iter().enumerate().map(expected).collect(),
        }
    }

    /// The expected log ratios of a statement's arms; `None` where it is not known.
    pub fn of_class(&self, class: u64) -> Option<&[f64; ARMS]> {
        self.by_class.get(&class)
    }
}

/// The column of the stock plan, whose ratio is 1.
const STOCK: usize = ARMS;

impl KnownStatement {
    fn predicted(&self, arm: usize) -> f64 {
        let said = self.predicted.get(arm).copied().flatten();
        said.map_or(0.0, |log_ratio| f64::from(log_ratio).clamp(-SAID, SAID))
    }
}

fn cells((row, known): (usize, &KnownStatement)) -> impl Iterator<Item = Cell> {
    let measured = known.experience.measured();
    let of_arm = move |(arm, log_ratio): (usize, f64)| Cell {
        row,
        column: arm,
        value: log_ratio - known.predicted(arm),
        is_lower_bound: Experience::is_given_up(log_ratio),
    };
    let stock = Cell {
        row,
        column: STOCK,
        value: 0.0,
        is_lower_bound: false,
    };
    measured.map(of_arm).chain([stock])
}

#[cfg(test)]
mod tests {
    use super::super::hints::{HintSet, METHODS, arm_of};
    use super::super::similar::{Lesson, Measured, PlanSketch};
    use super::*;

    fn without(place: usize) -> HintSet {
        HintSet::from_bits(METHODS[place].bit)
    }

    fn statement(class: u64, measured: &[(usize, f64, bool)]) -> KnownStatement {
        let mut experience = Experience::new(class, PlanSketch::of([class << 32]));
        for &(place, ratio, is_given_up) in measured {
            let lesson = Lesson::of(&Measured {
                hints: without(place),
                methods: 0,
                ratio,
                is_given_up,
            });
            experience.learn(&lesson.expect("a lesson"));
        }
        KnownStatement {
            class,
            experience,
            predicted: [None; ARMS],
        }
    }

    fn expected(ratios: &ExpectedRatios, class: u64, place: usize) -> f64 {
        let arm = arm_of(without(place)).expect("an arm");
        ratios.of_class(class).expect("known")[arm]
    }

    #[test]
    fn what_was_faster_on_others_is_expected_to_be_faster() {
        let mut known: Vec<_> = (1..20)
            .map(|class| statement(class, &[(0, 0.3, false), (1, 0.9, true)]))
            .collect();
        known.push(statement(20, &[]));
        let ratios = ExpectedRatios::of(&known);
        assert!(expected(&ratios, 20, 0) < -0.5, "{}", expected(&ratios, 20, 0));
        assert!(expected(&ratios, 20, 1) > expected(&ratios, 20, 0) + 0.5);
        assert!(ratios.of_class(21).is_none());
    }

    #[test]
    fn of_statements_of_two_kinds_one_trial_tells_which_it_is() {
        // What makes one kind faster makes the other slower, and the other way round.
        let kind = |class: u64| match class % 2 {
            0 => [(0, 0.2, false), (1, 0.9, true), (2, 0.2, false)],
            _ => [(0, 0.9, true), (1, 0.2, false), (2, 0.9, true)],
        };
        let mut known: Vec<_> = (1..41).map(|class| statement(class, &kind(class))).collect();
        known.push(statement(50, &[(0, 0.2, false)]));
        known.push(statement(51, &[(1, 0.2, false)]));
        let ratios = ExpectedRatios::of(&known);
        assert!(expected(&ratios, 50, 2) < expected(&ratios, 51, 2) - 0.3);
    }

    #[test]
    fn predictions_are_where_it_begins() {
        let mut known: Vec<_> = (1..10).map(|class| statement(class, &[])).collect();
        let arm = arm_of(without(0)).expect("an arm");
        known[0].predicted[arm] = Some(-0.7);
        let ratios = ExpectedRatios::of(&known);
        assert!((expected(&ratios, 1, 0) + 0.7).abs() < 0.05);
        assert!(expected(&ratios, 2, 0).abs() < 0.05);
    }

    #[test]
    fn of_nothing_nothing_is_expected() {
        assert!(ExpectedRatios::of(&[]).of_class(1).is_none());
    }
}

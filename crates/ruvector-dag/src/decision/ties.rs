//! Ties: plans that PostgreSQL estimates to cost about as much as its own. What is faster among those carries over from
//! statement to statement, since the estimate has no say; what it holds to be much dearer does so hardly.
//!
//! On the STATS statements (49 hint sets each, 60 random splits into two thirds to learn from and a third to judge by; a table of
//! latencies, no server), choosing among ties by this rule took 0.90 of stock's time on statements never seen when seven of ten plans that
//! are ties had been measured on the others, with 1 % of them slower by more than a fifth; 0.95 with 3 % when four of ten had.
//! Without a bound on the cost no rule took less than 0.90.

use super::hints::{ARMS, HintSet, arm_of, arms};
use serde::{Deserialize, Serialize};

/// A plan is a tie up to this many times the stock plan's cost.
pub const TIE: f64 = 1.1;
/// Share of stock's latency above which a plan has lost, and that a trial must have been given to tell so.
const LOST: f64 = 0.95;
const TOLD: f64 = 0.9;
/// What a trial that was given up is taken to need, as a share of stock's latency.
const GIVEN_UP: f64 = 1.35;
/// Statements on which a hint set must have been a tie …
const LEAST_RUNS: f32 = 3.0;
/// … the share of them on which it may have lost …
const MOST_LOST: f32 = 0.1;
/// … and the mean logarithm of its latency over stock's it must stay below, after so many assumed runs of this outcome.
const LEAST_GAIN: f32 = -0.05;
const ASSUMED_RUNS: f32 = 3.0;
const ASSUMED: f32 = 0.1;
/// Weight of the earlier runs of an arm at each new one.
const DISCOUNT: f32 = 0.99;
/// Hint sets that are planned with at most.
const PREFERRED: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[repr(C)]
struct Arm {
    runs: f32,
    lost: f32,
    log_ratios: f32,
}

impl Arm {
    fn mean(&self) -> f32 {
        (self.log_ratios + ASSUMED_RUNS * ASSUMED) / (self.runs + ASSUMED_RUNS)
    }

    fn is_trusted(&self) -> bool {
        self.runs >= LEAST_RUNS && self.lost <= MOST_LOST * self.runs && self.mean() < LEAST_GAIN
    }
}

/// How each hint set did where it was a tie.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct TieStatistics {
    arms: [Arm; ARMS],
}

impl Default for TieStatistics {
    fn default() -> Self {
        Self {
            arms: [Arm::default(); ARMS],
        }
    }
}

impl TieStatistics {
    /// Counts a plan that was a tie and was measured: `ratio` of its latency to stock's; for a trial that was given up the share
    /// of stock's that it was given.
    pub fn record(&mut self, hints: HintSet, ratio: f64, is_given_up: bool) {
        let arm = arm_of(hints).and_then(|place| self.arms.get_mut(place));
        let Some(arm) = arm.filter(|_| ratio > 0.0 && (!is_given_up || ratio >= TOLD)) else {
            return;
        };
        let ratio = if is_given_up { GIVEN_UP } else { ratio };
        let Arm {
            runs,
            lost,
            log_ratios,
        } = arm;
        [&mut *runs, &mut *lost, &mut *log_ratios]
            .into_iter()
            .for_each(|sum| *sum *= DISCOUNT);
        *runs += 1.0;
        *lost += if ratio > LOST { 1.0 } else { 0.0 };
        *log_ratios += ratio.ln() as f32;
    }

    /// The hint sets that a statement never seen may be planned with where they are ties, the most promising first.
    pub fn preferred(&self) -> Vec<HintSet> {
        let trusted = self.arms.iter().zip(arms()).filter(|(arm, _)| arm.is_trusted());
        let mut trusted: Vec<_> = trusted.map(|(arm, hints)| (arm.mean(), hints)).collect();
        trusted.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        trusted
            .into_iter()
            .map(|(_, hints)| hints)
            .take(PREFERRED)
            .collect()
    }

    /// Runs, losses and sums of log ratios of each hint set, to store.
    pub fn counts(&self) -> Vec<[f32; 3]> {
        let counts = |arm: &Arm| [arm.runs, arm.lost, arm.log_ratios];
        self.arms.iter().map(counts).collect()
    }

    /// Statistics from stored counts; those of another version begin anew.
    pub fn from_counts(counts: &[[f32; 3]]) -> Self {
        let arm = |&[runs, lost, log_ratios]: &[f32; 3]| Arm {
            runs,
            lost,
            log_ratios,
        };
        let arms: Vec<Arm> = counts.iter().map(arm).collect();
        arms.try_into()
            .map_or_else(|_| Self::default(), |arms| Self { arms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_merge() -> HintSet {
        arms()[1]
    }

    fn recorded(outcomes: &[(f64, bool)]) -> TieStatistics {
        let mut ties = TieStatistics::default();
        outcomes
            .iter()
            .for_each(|&(ratio, is_given_up)| ties.record(no_merge(), ratio, is_given_up));
        ties
    }

    #[test]
    fn what_was_faster_on_three_statements_is_preferred() {
        assert!(recorded(&[(0.5, false); 2]).preferred().is_empty());
        assert_eq!(recorded(&[(0.5, false); 4]).preferred(), [no_merge()]);
    }

    #[test]
    fn what_lost_on_more_than_a_tenth_is_not() {
        let mut outcomes = vec![(0.3, false); 11];
        outcomes.push((0.95, true));
        assert_eq!(recorded(&outcomes).preferred(), [no_merge()]);
        outcomes.push((1.5, false));
        assert!(recorded(&outcomes).preferred().is_empty());
    }

    #[test]
    fn a_trial_given_up_early_tells_nothing() {
        let mut outcomes = vec![(0.5, false); 4];
        outcomes.extend([(0.3, true); 9]);
        assert_eq!(recorded(&outcomes).preferred(), [no_merge()]);
    }

    #[test]
    fn the_most_promising_comes_first_and_few_are_planned() {
        let mut ties = TieStatistics::default();
        for (place, hints) in arms().into_iter().take(6).enumerate() {
            (0..5).for_each(|_| ties.record(hints, 0.9 - 0.1 * place as f64, false));
        }
        assert_eq!(ties.preferred(), [arms()[5], arms()[4], arms()[3]]);
        assert_eq!(TieStatistics::from_counts(&ties.counts()), ties);
        assert_eq!(TieStatistics::from_counts(&[]), TieStatistics::default());
    }
}

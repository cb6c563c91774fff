//! Whether a statement stayed slower than its baseline after the executions in which that may still be found out.

use super::is_slower;
use crate::session::median;
use serde::Serialize;

/// Executions that may be slow.
const FREE: usize = 5;
/// As many slow ones in a row are no accident.
const RUN: usize = 3;

/// The executions of one statement on one state of the data.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct Check {
    /// Median of all stock executions.
    pub(super) baseline_ms: f64,
    pub(super) executions: usize,
    /// Numbers, from 1, of the slow executions after the free ones.
    pub(super) slow: Vec<usize>,
    /// Median after the free ones.
    pub(super) later_median_ms: f64,
    /// The most slow ones in a row.
    pub(super) longest_slow_run: usize,
}

impl Check {
    /// Nothing when there are no executions after the free ones.
    pub(super) fn of(baseline: &[f64], executions_ms: &[f64]) -> Option<Self> {
        let later = executions_ms.get(FREE..).filter(|later| !later.is_empty())?;
        let baseline_ms = median(baseline);
        let mut check = Self {
            baseline_ms,
            executions: executions_ms.len(),
            slow: Vec::new(),
            later_median_ms: median(later),
            longest_slow_run: 0,
        };
        let mut run = 0;
        for (at, &took_ms) in later.iter().enumerate() {
            run = if is_slower(took_ms, baseline_ms) {
                run + 1
            } else {
                0
            };
            if run > 0 {
                check.slow.push(FREE + at + 1);
            }
            check.longest_slow_run = check.longest_slow_run.max(run);
        }
        Some(check)
    }

    /// Slower in the middle of what came later.
    pub(super) fn is_slower_in_the_median(&self) -> bool {
        is_slower(self.later_median_ms, self.baseline_ms)
    }

    /// Slower several times in a row.
    pub(super) fn has_a_slow_run(&self) -> bool {
        self.longest_slow_run >= RUN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_five_executions_are_free() {
        let check = Check::of(&[100.0], &[900.0, 900.0, 900.0, 900.0, 900.0, 119.0]).expect("a sixth");
        assert_eq!(check.slow, Vec::<usize>::new());
        assert!(!check.is_slower_in_the_median() && !check.has_a_slow_run());
        assert_eq!(Check::of(&[100.0], &[900.0; 5]), None);
    }

    #[test]
    fn a_slow_run_is_found_under_a_good_median() {
        let mut executions = vec![80.0; 14];
        executions[7..10].fill(130.0);
        let check = Check::of(&[90.0, 110.0], &executions).expect("later ones");
        assert_eq!(check.slow, [8, 9, 10]);
        assert!(check.has_a_slow_run() && !check.is_slower_in_the_median());
    }

    #[test]
    fn a_slow_median_is_found() {
        let executions: Vec<f64> = (0..12).map(|at| if at % 3 == 0 { 80.0 } else { 130.0 }).collect();
        let check = Check::of(&[100.0], &executions).expect("later ones");
        assert!(check.is_slower_in_the_median() && !check.has_a_slow_run());
    }
}

//! What learning cost and when it has paid for itself.

use serde::Serialize;

/// One repetition of the workload.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Repetition {
    pub(super) stock_ms: f64,
    pub(super) learned_ms: f64,
    /// Spent on trials between this repetition and the next.
    pub(super) trials_ms: f64,
}

/// Everything spent up to and with a repetition.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct Point {
    pub(super) repetition: usize,
    pub(super) stock_ms: f64,
    pub(super) learned_ms: f64,
    pub(super) trials_ms: f64,
    /// Learned and trials over stock.
    pub(super) ratio: f64,
}

impl Point {
    pub(super) fn spent_ms(&self) -> f64 {
        self.learned_ms + self.trials_ms
    }
}

/// The cumulative curve.
pub(super) fn curve(repetitions: &[Repetition]) -> Vec<Point> {
    let mut sum = Repetition::default();
    repetitions
        .iter()
        .enumerate()
        .map(|(at, one)| {
            sum.stock_ms += one.stock_ms;
            sum.learned_ms += one.learned_ms;
            sum.trials_ms += one.trials_ms;
            Point {
                repetition: at + 1,
                stock_ms: sum.stock_ms,
                learned_ms: sum.learned_ms,
                trials_ms: sum.trials_ms,
                ratio: (sum.learned_ms + sum.trials_ms) / sum.stock_ms,
            }
        })
        .collect()
}

/// The repetition from which on no more was spent than stock would have been; nothing if the run ends before.
pub(super) fn paid_back_after(curve: &[Point]) -> Option<usize> {
    let paid = curve.iter().rev().take_while(|point| point.ratio <= 1.0);
    paid.last().map(|point| point.repetition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(times: &[(f64, f64)]) -> Vec<Point> {
        let repetitions: Vec<Repetition> = times
            .iter()
            .map(|&(learned_ms, trials_ms)| Repetition {
                stock_ms: 100.0,
                learned_ms,
                trials_ms,
            })
            .collect();
        curve(&repetitions)
    }

    #[test]
    fn trials_count_as_spent() {
        let curve = ran(&[(100.0, 60.0), (50.0, 20.0), (50.0, 0.0)]);
        assert_eq!(curve[1].spent_ms(), 230.0);
        assert_eq!(paid_back_after(&curve), Some(3));
    }

    #[test]
    fn what_is_lost_again_is_not_paid_back() {
        assert_eq!(
            paid_back_after(&ran(&[(90.0, 0.0), (150.0, 0.0), (50.0, 0.0)])),
            Some(3)
        );
        assert_eq!(paid_back_after(&ran(&[(90.0, 0.0), (150.0, 0.0)])), None);
        assert_eq!(paid_back_after(&[]), None);
    }
}

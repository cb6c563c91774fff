//! How good an execution was, as a number in [0, 1].
//!
//! Latencies are compared by their ratio, so that statements of milliseconds and of minutes count alike. With r the
//! latency divided by the stock plan's, the quality is `1 / (1 + r)`: 1/2 for a plan as fast as stock, 2/3 for one twice
//! as fast, 1/3 for one half as fast. It is the logistic function of the difference of the logarithms, hence the
//! probability that a paired comparison would prefer the plan in the model of Bradley and Terry, "Rank Analysis of
//! Incomplete Block Designs", 1952.

/// Of what can't be compared: as good as stock.
pub const NEUTRAL: f32 = 0.5;

/// The smallest time and cost that has a logarithm here: a nanosecond, in milliseconds.
const SMALLEST: f64 = 1e-6;

/// The natural logarithm of a time or a cost; what is not positive counts as the smallest, infinity as the largest.
pub fn log_of_positive(number: f64) -> f64 {
    // A comparison that is false for what is not a number.
    if number > SMALLEST {
        number.min(f64::MAX).ln()
    } else {
        SMALLEST.ln()
    }
}

/// The quality of an execution from the natural logarithms of its latency and of the stock plan's.
///
/// Without a baseline it is [`NEUTRAL`]. A cancelled execution took longer than its latency says, so that the formula
/// gives an upper bound of its quality: it gets half of that, the middle of what is possible; without a baseline, half
/// of neutral.
pub fn quality(log_latency: f64, baseline_log_latency: Option<f64>, is_cut_off: bool) -> f32 {
    // Of no baseline no exponential is taken, not even one that is thrown away: valgrind would see what it is made of.
    let compared = match baseline_log_latency {
        Some(baseline) => (1.0 / (1.0 + (log_latency - baseline).exp())) as f32,
        None => NEUTRAL,
    };
    // What can't be compared gives no number.
    let compared = if compared.is_nan() { NEUTRAL } else { compared };
    if is_cut_off { compared / 2.0 } else { compared }
}

/// The reward of a step that expected `expected` rows and counted `counted`: one over the q-error, in (0, 1], 1 for an
/// exact expectation. Less than one row counts as one, as the planner has it.
///
/// Moerkotte, Neumann, Steidl: "Preventing Bad Plans by Bounding the Impact of Cardinality Estimation Errors", 2009.
pub fn of_row_count(expected: f64, counted: f64) -> f32 {
    let (expected, counted) = (expected.max(1.0), counted.max(1.0));
    (expected.min(counted) / expected.max(counted)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_is_one_half_at_the_baseline_and_symmetric_in_the_ratio() {
        assert_eq!(quality(2.0, Some(2.0), false), 0.5);
        assert!((quality(0.0, Some(2f64.ln()), false) - 2.0 / 3.0).abs() < 1e-6);
        for ratio in [0.01f64, 0.5, 3.0, 1e4] {
            let (slow, fast) = (ratio.ln(), -ratio.ln());
            let sum = quality(slow, Some(0.0), false) + quality(fast, Some(0.0), false);
            assert!((sum - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn quality_is_a_share_whatever_is_given() {
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 0.0];
        for latency in odd {
            for baseline in odd {
                for is_cut_off in [false, true] {
                    let quality = quality(latency, Some(baseline), is_cut_off);
                    assert!((0.0..=1.0).contains(&quality), "{latency} {baseline}: {quality}");
                }
            }
        }
    }

    #[test]
    fn a_cancelled_execution_is_rated_below_one_that_ended_at_that_time() {
        assert!(quality(1.0, Some(3.0), true) < quality(1.0, Some(3.0), false));
        assert!(quality(1.0, None, true) < NEUTRAL);
    }

    #[test]
    fn the_reward_of_a_row_count_is_one_over_the_q_error() {
        assert_eq!(of_row_count(10.0, 10.0), 1.0);
        assert_eq!(of_row_count(10.0, 1_000.0), 0.01);
        assert_eq!(of_row_count(1_000.0, 10.0), 0.01);
        assert_eq!(of_row_count(0.0, 0.0), 1.0);
    }

    #[test]
    fn every_number_has_a_logarithm() {
        for number in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
            assert!(log_of_positive(number).is_finite());
        }
        assert_eq!(log_of_positive(1.0), 0.0);
    }
}

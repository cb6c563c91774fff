//! Healing: whether what is measured now differs from what was measured before, as prediction errors do when data changes.
//!
//! The test is Brunner and Munzel's (2000): whether a current value is as often above as below one of the baseline. It goes by
//! ranks, so that single wild values count no more than others, and it needs neither equal spreads nor distinct values.
//! Values must be independent of each other: those of one execution are one value.

use super::robust;
use std::cmp::Ordering;

/// Values of each sample from which on the test holds its level (Brunner and Munzel 2000).
const LEAST_VALUES: usize = 10;
/// The normal quantile of 99.5 %: significant at 1 %, two-sided, since this is looked at again and again.
const NORMAL_995: f64 = 2.575_829_303_548_9;

/// Which values are the better ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// As of errors and latencies.
    Lower,
    /// As of hit rates and recall.
    Higher,
}

/// Where values went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// To better ones.
    Improving,
    /// Nowhere, as far as can be told.
    Stable,
    /// To worse ones.
    Worsening,
}

impl Trend {
    /// Its name: `improving`, `stable` or `worsening`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Improving => "improving",
            Self::Stable => "stable",
            Self::Worsening => "worsening",
        }
    }
}

/// How current values compare with a baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// The median of the baseline.
    pub baseline: f64,
    /// The median of the current values.
    pub current: f64,
    /// How many of the baseline's robust standard deviations the current median is above its own, between -1e6 and 1e6.
    pub magnitude: f64,
    /// Whether the samples differ, at a level of 1 %.
    pub is_significant: bool,
    /// Where values went; stable unless that is significant.
    pub trend: Trend,
}

/// Compares current values with a baseline; `None` with less than ten usable values of either. What is not a number,
/// infinite or beyond 1e150 is left out.
///
/// Complexity: O(n ln n).
#[must_use]
pub fn drift(baseline: &[f64], current: &[f64], better: Better) -> Option<Drift> {
    let (before, now) = (usable_ascending(baseline), usable_ascending(current));
    if before.len().min(now.len()) < LEAST_VALUES {
        return None;
    }
    let change = compare(&before, &now);
    Some(Drift {
        baseline: robust::median(&before),
        current: robust::median(&now),
        magnitude: robust::z_score(&before, robust::median(&now)),
        is_significant: change != Ordering::Equal,
        trend: match (change, better) {
            (Ordering::Equal, _) => Trend::Stable,
            (Ordering::Less, Better::Lower) | (Ordering::Greater, Better::Higher) => Trend::Improving,
            (Ordering::Less, Better::Higher) | (Ordering::Greater, Better::Lower) => Trend::Worsening,
        },
    })
}

fn usable_ascending(values: &[f64]) -> Vec<f64> {
    let mut usable: Vec<f64> = values
        .iter()
        .copied()
        .filter(|&value| robust::is_usable(value))
        .collect();
    usable.sort_unstable_by(f64::total_cmp);
    usable
}

/// Whether the values of `now` are significantly above or below those of `before`; both ascending.
fn compare(before: &[f64], now: &[f64]) -> Ordering {
    let (of_before, of_now) = (Placements::of(before, now), Placements::of(now, before));
    let difference = of_now.mean - 0.5;
    let (noise_before, noise_now) = (of_before.noise(), of_now.noise());
    let noise = noise_before + noise_now;
    // Where the samples don't overlap there is no noise, and nothing is surer.
    let freedom =
        noise * noise / (noise_before.powi(2) / of_before.freedom() + noise_now.powi(2) / of_now.freedom());
    let critical = if noise > 0.0 {
        t_quantile(freedom) * noise.sqrt()
    } else {
        0.0
    };
    match difference.abs() > critical {
        true => difference.total_cmp(&0.0),
        false => Ordering::Equal,
    }
}

/// For each value of a sample the share of the other sample that it is above, where equal ones count half.
struct Placements {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Placements {
    /// Both ascending.
    fn of(sample: &[f64], other: &[f64]) -> Self {
        let place = |value: &f64| {
            let below = other.partition_point(|theirs| theirs < value);
            let up_to = other.partition_point(|theirs| theirs <= value);
            0.5 * (below + up_to) as f64 / other.len() as f64
        };
        let places: Vec<f64> = sample.iter().map(place).collect();
        let count = places.len() as f64;
        let mean = places.iter().sum::<f64>() / count;
        let squares: f64 = places.iter().map(|place| (place - mean).powi(2)).sum();
        Self {
            count,
            mean,
            variance: squares / (count - 1.0),
        }
    }

    fn freedom(&self) -> f64 {
        self.count - 1.0
    }

    /// The variance of the mean.
    fn noise(&self) -> f64 {
        self.variance / self.count
    }
}

/// The 99.5 % quantile of Student's t, to 1e-3 from nine degrees of freedom on (Abramowitz and Stegun 1964, 26.7.5).
fn t_quantile(freedom: f64) -> f64 {
    let x = NORMAL_995;
    let terms = [
        (x.powi(3) + x) / 4.0,
        (5.0 * x.powi(5) + 16.0 * x.powi(3) + 3.0 * x) / 96.0,
        (3.0 * x.powi(7) + 19.0 * x.powi(5) + 17.0 * x.powi(3) - 15.0 * x) / 384.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| (sum + term) / freedom) + x
}

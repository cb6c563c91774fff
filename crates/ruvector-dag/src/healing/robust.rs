//! Healing: middle and spread of values among which some are wrong.

/// What makes the median absolute deviation of a normal distribution its standard deviation (Iglewicz and Hoaglin 1993).
const OF_MEDIAN: f64 = 1.0 / 0.6745;
/// What makes the mean absolute deviation of a normal distribution its standard deviation: the root of π / 2.
const OF_MEAN: f64 = 1.253_314_137_315_5;
/// The share of a value that rounding may make of no difference.
const ROUNDING: f64 = 1e-9;
/// The greatest magnitude that counts: sums and products of what is beyond may overflow.
const GREATEST: f64 = 1e150;
/// How many deviations there are at most: what is further off tells no more.
const FARTHEST: f64 = 1e6;

/// Whether a value can be reckoned with.
pub(super) fn is_usable(value: f64) -> bool {
    value.abs() <= GREATEST
}

/// Of ascending values; 0 of none.
pub(super) fn median(ascending: &[f64]) -> f64 {
    let upper = ascending.len() / 2;
    let lower = ascending.len().saturating_sub(1) / 2;
    match (ascending.get(lower), ascending.get(upper)) {
        (Some(lower), Some(upper)) => 0.5 * (lower + upper),
        _ => 0.0,
    }
}

/// The median of the distances to `middle`.
///
/// Complexity: O(n); the distances below and above the middle are in order already and are merged up to their median.
fn median_deviation(ascending: &[f64], middle: f64) -> f64 {
    let (below, above) = ascending.split_at(ascending.partition_point(|&value| value < middle));
    let mut below = below.iter().rev().map(|value| middle - value).peekable();
    let mut above = above.iter().map(|value| value - middle).peekable();
    let mut distances = std::iter::from_fn(|| match (below.peek(), above.peek()) {
        (Some(low), Some(high)) if low < high => below.next(),
        (Some(_), None) => below.next(),
        _ => above.next(),
    });
    let count = ascending.len();
    let lower = distances.nth(count.saturating_sub(1) / 2).unwrap_or(0.0);
    let upper = if count.is_multiple_of(2) {
        distances.next()
    } else {
        None
    };
    0.5 * (lower + upper.unwrap_or(lower))
}

/// How many robust standard deviations `value` is above the median of `ascending`, between -1e6 and 1e6: the modified
/// z-score of Iglewicz and Hoaglin (1993).
///
/// Where more than half of the values are the same, their median absolute deviation is 0 and the mean one is taken, of `value`
/// too: so that one that differs from n equal ones is 0.8 (n + 1) deviations off, whatever the unit. A difference that
/// rounding may have made is none.
///
/// Complexity: O(n).
pub(super) fn z_score(ascending: &[f64], value: f64) -> f64 {
    let middle = median(ascending);
    let difference = value - middle;
    if difference.abs() <= ROUNDING * middle.abs() {
        return 0.0;
    }
    let by_median = median_deviation(ascending, middle);
    let deviation = if by_median > ROUNDING * middle.abs() {
        OF_MEDIAN * by_median
    } else {
        let sum: f64 = ascending.iter().map(|other| (other - middle).abs()).sum();
        OF_MEAN * (sum + difference.abs()) / (ascending.len() as f64 + 1.0)
    };
    (difference / deviation).clamp(-FARTHEST, FARTHEST)
}

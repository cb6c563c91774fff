//! Healing: when a series that rises will cross a threshold, so that something can be done before.
//!
//! Whether it rises is told by the test of Mann (1945) and Kendall (1975), how fast by the median of the slopes between any two
//! points (Theil 1950, Sen 1968): up to 29 % of wild points change neither much. Two things are assumed: that what rose goes on
//! rising as fast, and that the points' noise is independent: a wave that is longer than the history looks like a rise.

use super::robust;

/// Points from which on Mann and Kendall's statistic is normal enough.
const LEAST_POINTS: usize = 10;
/// The newest points that are looked at: their pairs are 130,000.
const MOST_POINTS: usize = 512;
/// The normal quantile of 99 %: rising at a level of 1 %, one-sided.
const NORMAL_99: f64 = 2.326_347_874_040_8;

/// When a series is expected to reach its threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Seconds from the last point on; 0 where it is there already.
    pub in_seconds: f64,
    /// What the series gains in a second.
    pub slope: f64,
    /// Where the line through the series is at the last point.
    pub level: f64,
}

/// When the series of (seconds, value) is expected to reach `threshold`: `None` with less than ten points, where it does not
/// rise significantly, and where it will take longer than `horizon` seconds. Points need no order; those that are not
/// finite, or beyond 1e150, are left out, and of more than 512 the oldest.
///
/// Complexity: O(n² ln n) time and O(n²) room: four milliseconds and a megabyte for 512 points.
#[must_use]
pub fn crossing(history: &[(f64, f64)], threshold: f64, horizon: f64) -> Option<Forecast> {
    let points = usable(history);
    let (last, _) = *points.last().filter(|_| points.len() >= LEAST_POINTS)?;
    if !is_rising(&points) {
        return None;
    }
    let slope = median_slope(&points).filter(|slope| *slope > 0.0)?;
    let mut levels: Vec<f64> = points
        .iter()
        .map(|(at, value)| value + slope * (last - at))
        .collect();
    levels.sort_unstable_by(f64::total_cmp);
    let level = robust::median(&levels);
    let in_seconds = ((threshold - level) / slope).max(0.0);
    (in_seconds <= horizon).then_some(Forecast {
        in_seconds,
        slope,
        level,
    })
}

/// The newest usable points, the oldest of them first.
fn usable(history: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let is_usable = |point: &&(f64, f64)| robust::is_usable(point.0) && robust::is_usable(point.1);
    let mut points: Vec<(f64, f64)> = history.iter().filter(is_usable).copied().collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.split_off(points.len().saturating_sub(MOST_POINTS))
}

/// All pairs of points, the older one first.
fn pairs(points: &[(f64, f64)]) -> impl Iterator<Item = (&(f64, f64), &(f64, f64))> {
    let with_newer = |(at, older)| points[at + 1..].iter().map(move |newer| (older, newer));
    points.iter().enumerate().flat_map(with_newer)
}

fn is_rising(points: &[(f64, f64)]) -> bool {
    let signs = pairs(points).filter(|(older, newer)| newer.0 > older.0);
    let score: f64 = signs
        .map(|(older, newer)| f64::from(i8::from(newer.1 > older.1) - i8::from(newer.1 < older.1)))
        .sum();
    let term = |count: f64| count * (count - 1.0) * (2.0 * count + 5.0);
    let mut values: Vec<f64> = points.iter().map(|point| point.1).collect();
    values.sort_unstable_by(f64::total_cmp);
    let ties: f64 = values
        .chunk_by(|a, b| a == b)
        .map(|equal| term(equal.len() as f64))
        .sum();
    let variance = (term(points.len() as f64) - ties) / 18.0;
    variance > 0.0 && score - 1.0 >= NORMAL_99 * variance.sqrt()
}

fn median_slope(points: &[(f64, f64)]) -> Option<f64> {
    let apart = pairs(points).filter(|(older, newer)| newer.0 > older.0);
    let mut slopes: Vec<f64> = apart
        .map(|(older, newer)| (newer.1 - older.1) / (newer.0 - older.0))
        .filter(|slope| slope.is_finite())
        .collect();
    slopes.sort_unstable_by(f64::total_cmp);
    (!slopes.is_empty()).then(|| robust::median(&slopes))
}

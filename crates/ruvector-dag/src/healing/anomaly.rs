//! Healing: values that are unlike the ones before them.
//!
//! A value is judged by its distance to the median of the values before it, in median absolute deviations, so that outliers
//! hardly move what they are judged by until they are half of the window (Iglewicz and Hoaglin 1993). A lasting change is
//! therefore told until half of the window is new, and is what is usual from then on. Complexity: O(window) for each value,
//! 16 bytes of room for each value of the window.

use super::robust;
use crate::Error;
use std::collections::VecDeque;

/// Values in a window at least, so that a quarter of them has a median to speak of, and at most.
const WINDOWS: std::ops::RangeInclusive<usize> = 32..=65_536;

/// How far off a value is, in doublings of the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Less than twice the threshold.
    Low,
    /// Less than four times the threshold.
    Medium,
    /// Less than eight times the threshold.
    High,
    /// More.
    Critical,
}

impl Severity {
    /// Its name: `low`, `medium`, `high` or `critical`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    fn of(z_score: f64, threshold: f64) -> Self {
        match z_score.abs() / threshold {
            thresholds if thresholds < 2.0 => Self::Low,
            thresholds if thresholds < 4.0 => Self::Medium,
            thresholds if thresholds < 8.0 => Self::High,
            _ => Self::Critical,
        }
    }
}

/// A value that is unlike the ones before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anomaly {
    /// The value.
    pub value: f64,
    /// The median of the values before it, in their unit.
    pub median: f64,
    /// How many robust standard deviations the value is above the median, between -1e6 and 1e6; negative below it.
    pub z_score: f64,
    /// How far off that is.
    pub severity: Severity,
}

/// Tells which values of a stream are anomalies. By default of a window of 256 with the threshold 3.5, which Iglewicz and
/// Hoaglin (1993) recommend.
#[derive(Debug, Clone, PartialEq)]
pub struct AnomalyDetector {
    window: usize,
    threshold: f64,
    /// The values of the window in their order.
    recent: VecDeque<f64>,
    /// The same in ascending order.
    ascending: Vec<f64>,
}

impl Default for AnomalyDetector {
    fn default() -> Self {
        Self {
            window: 256,
            threshold: 3.5,
            recent: VecDeque::new(),
            ascending: Vec::new(),
        }
    }
}

impl AnomalyDetector {
    /// A detector that compares with the last `window` values and tells those that are at least `threshold` robust standard
    /// deviations from their median.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a window outside 32 to 65,536, and a threshold that is not a positive number.
    pub fn new(window: usize, threshold: f64) -> Result<Self, Error> {
        let invalid = |name, given| Err(Error::InvalidSetting { name, given });
        if !WINDOWS.contains(&window) {
            return invalid("window", window as f64);
        }
        if !(threshold.is_finite() && threshold > 0.0) {
            return invalid("threshold", threshold);
        }
        Ok(Self {
            window,
            threshold,
            ..Self::default()
        })
    }

    /// Judges a value by the ones before it, and remembers it. Silent until there are a quarter of the window; what is not
    /// a number, infinite or beyond 1e150 is neither judged nor remembered.
    pub fn observe(&mut self, value: f64) -> Option<Anomaly> {
        if !robust::is_usable(value) {
            return None;
        }
        let anomaly = self.judge(value);
        self.remember(value);
        anomaly
    }

    fn judge(&self, value: f64) -> Option<Anomaly> {
        if self.ascending.len() < self.window.div_ceil(4) {
            return None;
        }
        let z_score = robust::z_score(&self.ascending, value);
        (z_score.abs() >= self.threshold).then(|| Anomaly {
            value,
            median: robust::median(&self.ascending),
            z_score,
            severity: Severity::of(z_score, self.threshold),
        })
    }

    fn remember(&mut self, value: f64) {
        if self.recent.len() >= self.window
            && let Some(oldest) = self.recent.pop_front()
            && let Ok(at) = self.ascending.binary_search_by(|other| other.total_cmp(&oldest))
        {
            self.ascending.remove(at);
        }
        self.recent.push_back(value);
        let at = self
            .ascending
            .partition_point(|other| other.total_cmp(&value).is_lt());
        self.ascending.insert(at, value);
    }
}

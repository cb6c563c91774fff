//! Mean and spread of logarithms, of which older ones fade.

use super::sequential::Summary;
use serde::{Deserialize, Serialize};

/// Executions that an average reaches back: what is older fades.
const WINDOW: f32 = 24.0;

/// How many logarithms there were, as far as they count, their mean, and the sum of squared deviations from it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[repr(C)]
pub(super) struct LogLatency {
    pub(super) count: f32,
    pub(super) mean: f32,
    squares: f32,
}

impl LogLatency {
    /// Adds one; beyond [`WINDOW`] older ones fade (West 1979, with a bounded weight).
    pub(super) fn add(&mut self, value: f64) {
        if self.count >= WINDOW {
            self.squares *= (WINDOW - 1.0) / WINDOW;
            self.count = WINDOW - 1.0;
        }
        self.count += 1.0;
        let before = value as f32 - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value as f32 - self.mean);
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            count: f64::from(self.count),
            mean: f64::from(self.mean),
            squares: f64::from(self.squares),
        }
    }

    /// The geometric mean of what was added; none of nothing.
    pub(super) fn typical(&self) -> Option<f64> {
        (self.count > 0.0).then(|| f64::from(self.mean).exp())
    }
}

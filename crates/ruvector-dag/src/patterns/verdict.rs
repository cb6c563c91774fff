//! The verdict on a pattern: whether its executions were better than stock, from their rewards, the rewards' spread and
//! how many there are.
//!
//! Rewards are qualities in [0, 1] with 1/2 for "as good as stock" (`trajectory::reward`). With mean m, standard
//! deviation s (that of the executions themselves, Σ (x − m)² / n = s²) and n executions the mean is known to within `h = 1.645 σ / √n` (one-sided 5 % on each side), where
//! `σ² = (σ₀² + n s²) / n`: the prior spread σ₀ = 1/4 counts as one more degree of freedom, so that few executions
//! that happen to agree prove little. Success when m − h > 1/2, failure when m + h < 1/2, else partial. One execution is
//! a success from m > 0.911, that is ten times as fast as stock; four that agree from m > 0.603, a third faster.
//!
//! Source of the prior: the scaled inverse χ² prior of a normal variance, Gelman et al., "Bayesian Data Analysis", 3rd
//! edition 2013, section 2.6.

use serde::{Deserialize, Serialize};

/// The quality of the stock plan.
pub(super) const STOCK: f64 = 0.5;
/// The spread expected before anything was seen: rewards in [0, 1] can't spread more than twice as much.
const PRIOR_DEVIATION: f64 = 0.25;
/// The 95 % quantile of the normal distribution.
const Z: f64 = 1.645;

/// What a pattern's executions say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Better than stock.
    Success,
    /// Not known to be better or worse.
    Partial,
    /// Worse than stock.
    Failure,
}

impl Verdict {
    /// Its name: `success`, `partial` or `failure`.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Success => "success",
            Verdict::Partial => "partial",
            Verdict::Failure => "failure",
        }
    }

    /// The verdict on `size` executions of this mean quality and standard deviation; partial when there are none.
    pub fn of(quality: f32, deviation: f32, size: u32) -> Self {
        let (mean, half_width) = (f64::from(quality), half_width(deviation, size));
        if mean - half_width > STOCK {
            Verdict::Success
        } else if mean + half_width < STOCK {
            Verdict::Failure
        } else {
            Verdict::Partial
        }
    }
}

/// How well the mean quality of `size` executions of this standard deviation is known, in [0, 1]: one minus the width of
/// the interval it is in, 0 when there are none.
pub fn confidence(deviation: f32, size: u32) -> f32 {
    (1.0 - 2.0 * half_width(deviation, size)).clamp(0.0, 1.0) as f32
}

/// See the module's text; infinite when nothing was seen.
fn half_width(deviation: f32, size: u32) -> f64 {
    if size == 0 || !deviation.is_finite() {
        return f64::INFINITY;
    }
    let (size, deviation) = (f64::from(size), f64::from(deviation));
    let variance = (PRIOR_DEVIATION * PRIOR_DEVIATION + size * deviation * deviation) / size;
    Z * (variance / size).sqrt()
}

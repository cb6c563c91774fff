//! Stage 8 of 9, learning: Φ, what a dream is worth before it costs anything.
//!
//! Φ = noveltyᵃ · coherenceᵇ · useᶜ with a + b + c = 1, a weighted geometric mean: in [0, 1], rising in each part, and zero
//! when one is. The name is that of the original design, where it came from integrated information theory; here it is
//! this formula and no more. The parts:
//!
//! - novelty = 1 − e^(−(σ + |μ − ln best|)), μ and σ mean and deviation of the predicted log latency: nothing is learned
//!   from a run whose time is known and that of the best known plan;
//! - coherence: the share of the spread of latencies that the model explains for this statement and this decision, so that
//!   a dream is not taken from noise;
//! - expected use = P(faster than the best known) · n / (n + n½), n the executions expected.

use super::normal;
use crate::Error;

/// What Φ is made of, each in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhiParts {
    /// How much a trial would teach.
    pub novelty: f64,
    /// How far the prediction hangs together with what is known.
    pub coherence: f64,
    /// How probably and how often the result would be used.
    pub expected_use: f64,
}

/// Rates dreams.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhiEvaluator {
    /// Exponents of novelty, coherence and expected use; scaled to sum to 1.
    weights: [f64; 3],
    /// Executions at which the frequency counts half.
    half_use: f64,
}

impl Default for PhiEvaluator {
    /// Equal weights; ten executions count half.
    fn default() -> Self {
        Self {
            weights: [1.0 / 3.0; 3],
            half_use: 10.0,
        }
    }
}

impl PhiEvaluator {
    /// An evaluator of these weights (novelty, coherence, expected use) and executions at which the frequency counts half.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] unless all are above 0 and finite.
    pub fn new(weights: [f64; 3], half_use: f64) -> Result<Self, Error> {
        for (name, given) in [
            ("weight of novelty", weights[0]),
            ("weight of coherence", weights[1]),
            ("weight of expected use", weights[2]),
            ("executions that count half", half_use),
        ] {
            if !(given > 0.0 && given.is_finite()) {
                return Err(Error::InvalidSetting { name, given });
            }
        }
        let sum: f64 = weights.iter().sum();
        Ok(Self {
            weights: weights.map(|weight| weight / sum),
            half_use,
        })
    }

    /// The parts of a predicted log latency: the best known one, mean, deviation and coherence of the prediction, the
    /// executions expected.
    pub fn parts(&self, best: f64, mean: f64, deviation: f64, coherence: f64, executions: f64) -> PhiParts {
        let executions = executions.max(0.0);
        let departure = deviation.max(0.0) + (mean - best).abs();
        PhiParts {
            novelty: unit(1.0 - (-departure).exp()),
            coherence: unit(coherence),
            expected_use: unit(chance_below(best, mean, deviation))
                * unit(executions / (executions + self.half_use)),
        }
    }

    /// Φ in [0, 1]. Parts out of their range count as its nearest end, what is not a number as 0.
    pub fn phi(&self, parts: &PhiParts) -> f64 {
        let parts = [parts.novelty, parts.coherence, parts.expected_use].map(unit);
        let product: f64 = parts
            .iter()
            .zip(self.weights)
            .map(|(part, weight)| part.powf(weight))
            .product();
        product.min(1.0)
    }
}

/// P(X < best) of a normal log latency.
fn chance_below(best: f64, mean: f64, deviation: f64) -> f64 {
    if deviation > 0.0 {
        normal::cumulative((best - mean) / deviation)
    } else {
        f64::from(u8::from(mean < best))
    }
}

fn unit(value: f64) -> f64 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(0.0, 1.0)
    }
}

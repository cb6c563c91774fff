//! What adapters are trained for: predictions of log latency from adapted embeddings, and the gradients of their losses.
//!
//! - [`LatencyHead`]: a linear prediction, fitted by ridge regression (Hoerl and Kennard, 1970). Its adapters learn what
//!   a line over the plain embedding can't hold: products of attention and coordinates.
//! - [`KernelRegression`]: the mean of known latencies, weighed by likeness to the adapted embedding (Nadaraya and Watson,
//!   1964). Its adapters learn a metric: Weinberger and Tesauro, "Metric Learning for Kernel Regression", 2007. This is
//!   what a search for similar patterns needs, because patterns are compared by cosine.
//!
//! The loss is half the squared error of the natural logarithm, so that errors are ratios. A latency that is only a lower
//! bound (the execution was cancelled) costs nothing when more is predicted, as in Tobin, "Estimation of Relationships
//! for Limited Dependent Variables", 1958, in the limit of little noise.

use crate::Error;
use crate::embedding::{DIMENSIONS, PlanEmbedding};
use serde::{Deserialize, Serialize};

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The number to predict, such as a log latency less what is known of it otherwise.
    pub value: f64,
    /// Whether the truth is this or more.
    pub is_lower_bound: bool,
}

impl Target {
    /// A number that was measured.
    pub fn exact(value: f64) -> Self {
        Self {
            value,
            is_lower_bound: false,
        }
    }

    /// What a prediction is off by: the derivative of the loss with respect to it.
    pub fn error_of(self, prediction: f64) -> f64 {
        let error = prediction - self.value;
        if self.is_lower_bound {
            error.min(0.0)
        } else {
            error
        }
    }
}

/// A prediction with the direction in which it grows.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The number predicted.
    pub value: f64,
    /// Its gradient with respect to the adapted embedding, 256 numbers: the score of EWC++.
    pub gradient: Vec<f32>,
}

impl Prediction {
    /// The gradient of the loss with respect to the adapted embedding.
    pub fn loss_gradient(&self, target: Target) -> Vec<f32> {
        let error = target.error_of(self.value) as f32;
        self.gradient.iter().map(|number| error * number).collect()
    }
}

/// A linear prediction from an adapted embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct LatencyHead {
    weights: Vec<f32>,
    bias: f64,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    weights: Vec<f32>,
    bias: f64,
}

impl From<LatencyHead> for Stored {
    fn from(head: LatencyHead) -> Self {
        Self {
            weights: head.weights,
            bias: head.bias,
        }
    }
}

impl TryFrom<Stored> for LatencyHead {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        Self::new(stored.weights, stored.bias)
    }
}

impl LatencyHead {
    /// The head with these 256 weights and this bias.
    ///
    /// # Errors
    /// [`Error::InvalidWeights`] for another number of weights, and for what is not finite.
    pub fn new(weights: Vec<f32>, bias: f64) -> Result<Self, Error> {
        super::low_rank::check_parameters(&weights, DIMENSIONS)?;
        if !bias.is_finite() {
            let what = "a bias that is not a number";
            return Err(Error::InvalidWeights { what });
        }
        Ok(Self { weights, bias })
    }

    /// The ridge regression of targets on embeddings: the least Σ error² + `ridge` |weights|², the bias being free.
    /// `None` without a pair, and when `ridge` is not positive.
    ///
    /// Complexity: O(n · 256² + 256³).
    pub fn fit(pairs: &[(&PlanEmbedding, f64)], ridge: f64) -> Option<Self> {
        let count = pairs.len() as f64;
        if pairs.is_empty() || !(ridge > 0.0 && ridge.is_finite()) {
            return None;
        }
        let mut center = vec![0.0f64; DIMENSIONS];
        for (embedding, _) in pairs {
            let coordinates = embedding.as_slice().iter();
            center
                .iter_mut()
                .zip(coordinates)
                .for_each(|(sum, &x)| *sum += f64::from(x) / count);
        }
        let mean = pairs.iter().map(|(_, target)| target).sum::<f64>() / count;
        let mut system = super::normal_equations::NormalEquations::new(DIMENSIONS, ridge);
        for (embedding, target) in pairs {
            let coordinates = embedding.as_slice().iter().zip(&center);
            let centered: Vec<f64> = coordinates.map(|(&x, center)| f64::from(x) - center).collect();
            system.add(&centered, target - mean);
        }
        let weights = system.solve()?;
        let bias = mean - simd::dot_f64(&weights, &center);
        let weights = weights.into_iter().map(|weight| weight as f32).collect();
        Self::new(weights, bias).ok()
    }

    /// The weights.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The prediction for an adapted embedding.
    pub fn predict(&self, adapted: &PlanEmbedding) -> Prediction {
        Prediction {
            value: self.bias + f64::from(simd::dot(&self.weights, adapted.as_slice())),
            gradient: self.weights.clone(),
        }
    }
}

/// A prediction by likeness: `Σ_i p_i y_i` with p the softmax of `sharpness · cosine`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelRegression {
    /// How much more the more similar count; a kernel of width 1/√sharpness.
    pub sharpness: f64,
}

impl KernelRegression {
    /// The prediction for an adapted embedding from known ones; `None` when none is known. Leave out what is predicted:
    /// it knows itself.
    ///
    /// Its gradient is `sharpness · Σ_i p_i (y_i - prediction) e_i`, the known embeddings taken as they are.
    ///
    /// Complexity: O(known · 256).
    pub fn predict(&self, adapted: &PlanEmbedding, known: &[(&PlanEmbedding, f64)]) -> Option<Prediction> {
        let exponents: Vec<f64> = known
            .iter()
            .map(|(embedding, _)| self.sharpness * f64::from(adapted.cosine(embedding)))
            .collect();
        let greatest = exponents.iter().copied().reduce(f64::max)?;
        let weights: Vec<f64> = exponents
            .iter()
            .map(|exponent| (exponent - greatest).exp())
            .collect();
        let total: f64 = weights.iter().sum();
        let value = weights
            .iter()
            .zip(known)
            .map(|(weight, (_, y))| weight * y)
            .sum::<f64>()
            / total;
        let mut gradient = vec![0.0; DIMENSIONS];
        for (weight, (embedding, y)) in weights.iter().zip(known) {
            let factor = self.sharpness * weight / total * (y - value);
            simd::axpy(factor as f32, embedding.as_slice(), &mut gradient);
        }
        Some(Prediction { value, gradient })
    }
}

//! What is to be learned from one execution: the direction in which the adapted embedding should move.
//!
//! By rewards alone, REINFORCE (Williams, "Simple Statistical Gradient-Following Algorithms", 1992): were what is seen
//! in a step, a, drawn from a normal distribution of unit variance around the adapted embedding e', the gradient of the
//! expected reward would be the mean of `(r - b) (a - e')` for any baseline b. With the trajectory's mean reward as b the
//! advantages sum to 0 and e' drops out:
//!
//! ```text
//! gradient = 1/n Σ_t (r_t - mean r) a_t
//! ```
//!
//! The mean includes r_t itself, which shortens the estimate by the factor 1 - 1/n and leaves its direction.
//! Where a prediction can be compared with what was measured, the gradient of its loss is the better signal: it says what
//! was wrong, not only how wrong it was.

use super::Trajectory;
use crate::OperatorType;
use crate::embedding::{DIMENSIONS, PlanEmbedding};

/// A direction for the adapters of one plan.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningSignal {
    /// The embedding that was adapted.
    pub embedding: PlanEmbedding,
    /// The operator types of the plan and the attention that each got.
    pub operator_types: Vec<(OperatorType, f32)>,
    /// Where the adapted embedding should move: 256 numbers, of norm 1 at most.
    pub gradient: Vec<f32>,
    /// How much the signal counts, in [0, 1].
    pub quality: f32,
}

impl LearningSignal {
    /// The REINFORCE estimate of a trajectory, counted by its quality. With fewer than two steps, or steps of equal
    /// rewards, there is nothing to compare and the gradient is 0.
    ///
    /// Complexity: O(steps · dimensions).
    pub fn from_trajectory(trajectory: &Trajectory) -> Self {
        let steps = &trajectory.steps;
        let count = steps.len().max(1) as f32;
        let mean = steps.iter().map(|step| step.reward).sum::<f32>() / count;
        let mut gradient = vec![0.0; DIMENSIONS];
        for step in steps {
            simd::axpy((step.reward - mean) / count, &step.activations, &mut gradient);
        }
        Self::new(
            trajectory.embedding.clone(),
            trajectory.operator_types.clone(),
            gradient,
            trajectory.quality,
        )
    }

    /// The signal of a loss, given its gradient with respect to the adapted embedding: the opposite direction, counted
    /// whole.
    pub fn from_loss(
        embedding: PlanEmbedding,
        operator_types: Vec<(OperatorType, f32)>,
        loss_gradient: &[f32],
    ) -> Self {
        let gradient = loss_gradient.iter().map(|number| -number).collect();
        Self::new(embedding, operator_types, gradient, 1.0)
    }

    /// Cuts what is given to what the fields promise: 256 finite numbers of norm 1 at most (gradient clipping: Pascanu,
    /// Mikolov, Bengio, "On the difficulty of training recurrent neural networks", 2013), a share as quality.
    fn new(
        embedding: PlanEmbedding,
        operator_types: Vec<(OperatorType, f32)>,
        mut gradient: Vec<f32>,
        quality: f32,
    ) -> Self {
        gradient.resize(DIMENSIONS, 0.0);
        let norm = simd::dot(&gradient, &gradient).sqrt();
        if !norm.is_finite() {
            gradient.fill(0.0);
        } else if norm > 1.0 {
            gradient.iter_mut().for_each(|number| *number /= norm);
        }
        let quality = if quality.is_nan() {
            0.0
        } else {
            quality.clamp(0.0, 1.0)
        };
        Self {
            embedding,
            operator_types,
            gradient,
            quality,
        }
    }
}

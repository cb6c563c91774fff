//! Both kinds of adapters in a row, trained by one loss: the base first, then those of the operator types.
//!
//! Their parameters count as one vector, the base's first, which is what EWC++ watches.

use super::{BaseLora, EwcPlusPlus, MicroLora};
use crate::embedding::PlanEmbedding;
use crate::{Error, OperatorType};
use serde::{Deserialize, Serialize};

/// The adapters that a plan's embedding passes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanAdapters {
    /// The one of all plans.
    pub base: BaseLora,
    /// Those of the operator types.
    pub micro: MicroLora,
}

/// A gradient of a loss with respect to the parameters of all adapters, the base's first.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterGradient(pub Vec<f32>);

impl PlanAdapters {
    /// How many parameters there are.
    pub fn parameter_count(&self) -> usize {
        self.base.parameters().len() + self.micro.parameters().len()
    }

    /// All parameters, the base's first.
    pub fn parameters(&self) -> Vec<f32> {
        [self.base.parameters(), self.micro.parameters()].concat()
    }

    /// Replaces all parameters.
    ///
    /// # Errors
    /// [`Error::InvalidWeights`] for parameters of other ranks, and for what is not finite; then nothing is replaced.
    pub fn set_parameters(&mut self, parameters: &[f32]) -> Result<(), Error> {
        let count = self.base.parameters().len().min(parameters.len());
        let (of_base, of_micro) = parameters.split_at(count);
        let mut base = self.base.clone();
        base.set_parameters(of_base)?;
        self.micro.set_parameters(of_micro)?;
        self.base = base;
        Ok(())
    }

    /// The adapted embedding of a plan with these operator types and attention shares.
    pub fn forward(&self, embedding: &PlanEmbedding, types: &[(OperatorType, f32)]) -> PlanEmbedding {
        self.micro.forward(&self.base.forward(embedding), types)
    }

    /// The gradient of a loss, given its gradient with respect to the adapted embedding of this plan.
    pub fn gradient(
        &self,
        embedding: &PlanEmbedding,
        types: &[(OperatorType, f32)],
        upstream: &[f32],
    ) -> AdapterGradient {
        let between = self.base.forward(embedding);
        let mut of_micro = vec![0.0; self.micro.parameters().len()];
        let of_between = self
            .micro
            .add_gradient(1.0, &between, types, upstream, &mut of_micro);
        let mut gradient = self.base.gradient(embedding, &of_between);
        gradient.append(&mut of_micro);
        AdapterGradient(gradient)
    }

    /// Moves all parameters against a gradient.
    pub fn update(&mut self, gradient: &AdapterGradient, learning_rate: f32) {
        let (of_base, of_micro) = gradient
            .0
            .split_at(self.base.parameters().len().min(gradient.0.len()));
        self.base.update(of_base, learning_rate);
        self.micro.update(of_micro, learning_rate);
    }

    /// The same under EWC++: the gradient is first bent so that earlier tasks are kept
    /// ([`EwcPlusPlus::constrain_at`]).
    pub fn update_constrained(
        &mut self,
        gradient: &mut AdapterGradient,
        ewc: &EwcPlusPlus,
        learning_rate: f32,
    ) {
        ewc.constrain_at(&mut gradient.0, &self.parameters());
        self.update(gradient, learning_rate);
    }
}

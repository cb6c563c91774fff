//! Loop A's adapters: one of rank 1 or 2 per operator type, each counting as much as attention gives to its type.
//!
//! ```text
//! e' = normalise(e + Σ_type attention(type) · s B_type A_type e)
//! ```
//!
//! The attention makes the correction bilinear in what the plan consists of and what it looks like: a type's adapter
//! learns how plans behave that spend their time in operators of that type. Formulas and sources: `low_rank.rs`.
//!
//! Signals are summed up and applied together (see [`FLUSH_AT`]): single executions are noise.

use super::low_rank::{self, Adapted, LowRank};
use crate::embedding::{DIMENSIONS, PlanEmbedding};
use crate::trajectory::LearningSignal;
use crate::{Error, OperatorType};
use serde::{Deserialize, Serialize};

/// The greatest rank.
pub const MAX_RANK: usize = 2;
/// After how many signals [`MicroLora::learn`] applies them.
pub const FLUSH_AT: usize = 100;

/// The adapters of all operator types.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct MicroLora {
    rank: usize,
    /// Of all types by code.
    parameters: Vec<f32>,
    /// The sum of the gradients that wait; empty when none does.
    waiting: Vec<f32>,
    pending: usize,
}

/// What is kept of it: signals that wait are not.
#[derive(Serialize, Deserialize)]
struct Stored {
    rank: usize,
    parameters: Vec<f32>,
}

impl From<MicroLora> for Stored {
    fn from(lora: MicroLora) -> Self {
        Self {
            rank: lora.rank,
            parameters: lora.parameters,
        }
    }
}

impl TryFrom<Stored> for MicroLora {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let mut lora = Self::new(stored.rank, 0)?;
        lora.set_parameters(&stored.parameters)?;
        Ok(lora)
    }
}

impl MicroLora {
    /// Adapters of this rank that change nothing yet. Equal seeds learn alike.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a rank that is not 1 or 2.
    pub fn new(rank: usize, seed: u64) -> Result<Self, Error> {
        low_rank::check_rank("micro_lora_rank", rank, MAX_RANK)?;
        let types = OperatorType::ALL.iter();
        let parameters = types
            .flat_map(|kind| low_rank::untrained(rank, seed, u64::from(kind.code())))
            .collect();
        Ok(Self {
            rank,
            parameters,
            waiting: Vec::new(),
            pending: 0,
        })
    }

    /// The rank.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The adapted embedding of a plan with these operator types and attention shares.
    ///
    /// Complexity: O(types · rank · 256).
    pub fn forward(&self, embedding: &PlanEmbedding, types: &[(OperatorType, f32)]) -> PlanEmbedding {
        self.adapt(embedding, types).embedding
    }

    fn adapt(&self, embedding: &PlanEmbedding, types: &[(OperatorType, f32)]) -> Adapted {
        let mut correction = [0.0; DIMENSIONS];
        for (adapter, attention) in self.adapters(types) {
            adapter.add_correction(attention, embedding.as_slice(), &mut correction);
        }
        Adapted::new(embedding, &correction)
    }

    /// The adapters of these types, with the attention to each.
    pub(super) fn adapters(&self, types: &[(OperatorType, f32)]) -> impl Iterator<Item = (LowRank<'_>, f32)> {
        types.iter().filter_map(|&(kind, attention)| {
            let adapter = self.parameters.get(self.place(kind))?;
            Some((LowRank::new(adapter), attention))
        })
    }

    /// Where a type's parameters are.
    fn place(&self, kind: OperatorType) -> std::ops::Range<usize> {
        let size = low_rank::parameter_count(self.rank);
        let at = usize::from(kind.code()).saturating_sub(1) * size;
        at..at + size
    }

    /// The gradient of a loss with respect to all parameters, given its gradient with respect to the adapted embedding
    /// of this plan.
    pub fn gradient(
        &self,
        embedding: &PlanEmbedding,
        types: &[(OperatorType, f32)],
        upstream: &[f32],
    ) -> Vec<f32> {
        let mut gradient = vec![0.0; self.parameters.len()];
        self.add_gradient(1.0, embedding, types, upstream, &mut gradient);
        gradient
    }

    /// Adds `factor` times the gradient to a sum over all parameters, and gives the gradient with respect to the
    /// embedding that was adapted.
    pub(super) fn add_gradient(
        &self,
        factor: f32,
        embedding: &PlanEmbedding,
        types: &[(OperatorType, f32)],
        upstream: &[f32],
        sum: &mut [f32],
    ) -> Vec<f32> {
        let upstream = self.adapt(embedding, types).before_scaling(upstream);
        let mut of_input = upstream.clone();
        for &(kind, attention) in types {
            let place = self.place(kind);
            let (Some(parameters), Some(sum)) = (self.parameters.get(place.clone()), sum.get_mut(place))
            else {
                continue;
            };
            let adapter = LowRank::new(parameters);
            adapter.add_gradient(factor * attention, embedding.as_slice(), &upstream, sum);
            adapter.add_input_gradient(attention, &upstream, &mut of_input);
        }
        of_input
    }

    /// Adds a signal to those that wait, counted by its quality.
    pub fn accumulate(&mut self, signal: &LearningSignal) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.resize(self.parameters.len(), 0.0);
        // The signal's gradient says where to go, a loss's where not to.
        let (types, upstream) = (&signal.operator_types, &signal.gradient);
        self.add_gradient(-signal.quality, &signal.embedding, types, upstream, &mut waiting);
        self.waiting = waiting;
        self.pending += 1;
    }

    /// How many signals wait.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Takes the mean gradient of the signals that wait; `None` when none does.
    pub fn take_gradient(&mut self) -> Option<Vec<f32>> {
        if self.pending == 0 {
            return None;
        }
        let mut gradient = std::mem::take(&mut self.waiting);
        let count = self.pending as f32;
        gradient.iter_mut().for_each(|number| *number /= count);
        self.pending = 0;
        Some(gradient)
    }

    /// Applies the signals that wait: one step of this length along their mean.
    pub fn flush(&mut self, learning_rate: f32) {
        if let Some(gradient) = self.take_gradient() {
            self.update(&gradient, learning_rate);
        }
    }

    /// Adds a signal and applies all that wait when they are [`FLUSH_AT`]; whether it did.
    pub fn learn(&mut self, signal: &LearningSignal, learning_rate: f32) -> bool {
        self.accumulate(signal);
        let is_due = self.pending >= FLUSH_AT;
        if is_due {
            self.flush(learning_rate);
        }
        is_due
    }

    /// Moves the parameters against a gradient of a loss. No row grows beyond its longest, so that no signal, however
    /// often repeated, makes a correction much longer than the embedding.
    pub fn update(&mut self, gradient: &[f32], learning_rate: f32) {
        low_rank::descend(&mut self.parameters, self.rank, gradient, learning_rate);
    }

    /// Forgets the corrections and the signals that wait, for adapters that were merged; what A looks at stays.
    pub fn reset(&mut self) {
        for adapter in self
            .parameters
            .chunks_exact_mut(low_rank::parameter_count(self.rank))
        {
            let (_, up) = adapter.split_at_mut(self.rank * DIMENSIONS);
            up.fill(0.0);
        }
        self.waiting = Vec::new();
        self.pending = 0;
    }

    /// All parameters, type by type, of each the rows of A, then the columns of B.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// Replaces the parameters. Those of a version that knew fewer operator types are taken, too: the others stay.
    ///
    /// # Errors
    /// [`Error::InvalidWeights`] for parameters of another rank, and for what is not finite.
    pub fn set_parameters(&mut self, parameters: &[f32]) -> Result<(), Error> {
        let is_whole = !parameters.is_empty()
            && parameters
                .len()
                .is_multiple_of(low_rank::parameter_count(self.rank));
        let count = if is_whole {
            parameters.len()
        } else {
            self.parameters.len()
        };
        low_rank::check_parameters(parameters, count)?;
        let known = self.parameters.get_mut(..count).ok_or(Error::InvalidWeights {
            what: "more operator types than there are",
        })?;
        known.copy_from_slice(parameters);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_count_from_one_without_gaps() {
        for (at, kind) in OperatorType::ALL.iter().enumerate() {
            assert_eq!(usize::from(kind.code()), at + 1);
        }
    }
}

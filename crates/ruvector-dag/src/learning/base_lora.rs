//! Loop B's adapter: one of rank 8 for all plans, `e' = normalise(e + s B A e)`. Formulas and sources: `low_rank.rs`.
//!
//! What adapters of operator types learned can be merged into it ([`BaseLora::merge`]); the engine doesn't, since a merge
//! factors the parameters anew, which EWC++'s anchors would not survive: the corrections of both, averaged over the attention of the
//! workload, are a matrix of higher rank, of which the nearest of its own rank is kept (Eckart and Young, "The
//! Approximation of One Matrix by Another of Lower Rank", 1936).

use super::low_rank::{self, Adapted, LowRank};
use super::singular::{self, OuterProduct};
use super::{EwcPlusPlus, MicroLora};
use crate::embedding::{DIMENSIONS, PlanEmbedding};
use crate::{Error, OperatorType};
use serde::{Deserialize, Serialize};

/// The greatest rank.
pub const MAX_RANK: usize = 64;
/// The length of a row of A in an adapter that was merged: what it begins with on average.
const DOWN_NORM: f32 = 16.0;
/// Singular values below this share of the largest are rounding.
const NEGLIGIBLE: f64 = 1e-6;

/// The adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct BaseLora {
    rank: usize,
    seed: u64,
    parameters: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    rank: usize,
    seed: u64,
    parameters: Vec<f32>,
}

impl From<BaseLora> for Stored {
    fn from(lora: BaseLora) -> Self {
        Self {
            rank: lora.rank,
            seed: lora.seed,
            parameters: lora.parameters,
        }
    }
}

impl TryFrom<Stored> for BaseLora {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let mut lora = Self::new(stored.rank, stored.seed)?;
        lora.set_parameters(&stored.parameters)?;
        Ok(lora)
    }
}

impl BaseLora {
    /// An adapter of this rank that changes nothing yet. Equal seeds learn alike.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a rank that is not from 1 to 64.
    pub fn new(rank: usize, seed: u64) -> Result<Self, Error> {
        low_rank::check_rank("base_lora_rank", rank, MAX_RANK)?;
        Ok(Self {
            rank,
            seed,
            parameters: low_rank::untrained(rank, seed, 0),
        })
    }

    /// The rank.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The adapted embedding.
    ///
    /// Complexity: O(rank · 256).
    pub fn forward(&self, embedding: &PlanEmbedding) -> PlanEmbedding {
        self.adapt(embedding).embedding
    }

    fn adapter(&self) -> LowRank<'_> {
        LowRank::new(&self.parameters)
    }

    fn adapt(&self, embedding: &PlanEmbedding) -> Adapted {
        let mut correction = [0.0; DIMENSIONS];
        self.adapter()
            .add_correction(1.0, embedding.as_slice(), &mut correction);
        Adapted::new(embedding, &correction)
    }

    /// The gradient of a loss with respect to the parameters, given its gradient with respect to the adapted embedding.
    pub fn gradient(&self, embedding: &PlanEmbedding, upstream: &[f32]) -> Vec<f32> {
        let upstream = self.adapt(embedding).before_scaling(upstream);
        let mut gradient = vec![0.0; self.parameters.len()];
        self.adapter()
            .add_gradient(1.0, embedding.as_slice(), &upstream, &mut gradient);
        gradient
    }

    /// Moves the parameters against a gradient of a loss. No row grows beyond its longest.
    pub fn update(&mut self, gradient: &[f32], learning_rate: f32) {
        low_rank::descend(&mut self.parameters, self.rank, gradient, learning_rate);
    }

    /// The same under EWC++: the gradient is first bent so that earlier tasks are kept
    /// ([`EwcPlusPlus::constrain_at`]).
    pub fn update_constrained(&mut self, gradient: &mut [f32], ewc: &EwcPlusPlus, learning_rate: f32) {
        ewc.constrain_at(gradient, &self.parameters);
        self.update(gradient, learning_rate);
    }

    /// Takes over what the adapters of operator types learned, for a workload of these attention shares. Returns the
    /// share of the corrections' energy (squared singular values) that fits into the rank, 1 when there is nothing to
    /// take over.
    ///
    /// An approximation: afterwards every plan gets the correction of the mean plan, whatever its types. Reset the
    /// merged adapters ([`MicroLora::reset`]), else their corrections count twice.
    ///
    /// Complexity: O((rank + rank of `micro` · types)² · 256) per sweep of some ten.
    pub fn merge(&mut self, micro: &MicroLora, shares: &[(OperatorType, f32)]) -> f32 {
        let own = self.adapter();
        let adapters = micro.adapters(shares).chain([(own, 1.0)]);
        let products: Vec<OuterProduct<'_>> = adapters
            .flat_map(|(adapter, share)| {
                let factor = f64::from(share * adapter.scale());
                adapter
                    .pairs()
                    .map(move |(right, left)| OuterProduct { factor, left, right })
            })
            .collect();
        let found = singular::decompose(&products);
        let energy =
            |values: &[singular::Triple]| values.iter().map(|triple| triple.value.powi(2)).sum::<f64>();
        let all = energy(&found);
        if all == 0.0 {
            return 1.0;
        }
        let kept = found.get(..self.rank).unwrap_or(&found);
        let share = energy(kept) / all;
        self.parameters = self.parameters_of(kept);
        share as f32
    }

    /// The parameters with these singular triples; what is left of the rank begins anew.
    fn parameters_of(&self, triples: &[singular::Triple]) -> Vec<f32> {
        let mut parameters = low_rank::untrained(self.rank, self.seed, 0);
        let scale = f64::from(self.adapter().scale());
        let smallest = NEGLIGIBLE * triples.first().map_or(0.0, |triple| triple.value);
        let (downs, ups) = parameters.split_at_mut(self.rank * DIMENSIONS);
        let rows = downs
            .chunks_exact_mut(DIMENSIONS)
            .zip(ups.chunks_exact_mut(DIMENSIONS));
        let significant = triples.iter().filter(|triple| triple.value > smallest);
        for ((down, up), triple) in rows.zip(significant) {
            let length = triple.value / (scale * f64::from(DOWN_NORM));
            fill(down, &triple.right, f64::from(DOWN_NORM));
            fill(up, &triple.left, length);
            low_rank::shorten_up(up);
        }
        parameters
    }

    /// The parameters: the rows of A, then the columns of B.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// Replaces the parameters.
    ///
    /// # Errors
    /// [`Error::InvalidWeights`] for parameters of another rank, and for what is not finite.
    pub fn set_parameters(&mut self, parameters: &[f32]) -> Result<(), Error> {
        low_rank::check_parameters(parameters, self.parameters.len())?;
        self.parameters.copy_from_slice(parameters);
        Ok(())
    }
}

/// Writes a multiple of a vector.
fn fill(row: &mut [f32], vector: &[f64], factor: f64) {
    row.iter_mut()
        .zip(vector)
        .for_each(|(row, number)| *row = (factor * number) as f32);
}

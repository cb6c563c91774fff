//! Stage 4 of 9, embedding: a plan as a point on a sphere, so that similar plans are close.
//!
//! 256 coordinates in three blocks, each of unit length times the root of its weight, so that the cosine of two plans is
//! the weighted mean of three likenesses:
//!
//! | block | coordinates | likeness of | weight |
//! |---|---|---|---|
//! | operators | 64 | the operators, as attention weighs them (`pooling`) | 0.10 |
//! | shape | 96 | what feeds what, as attention weighs it (`pooling`) | 0.10 |
//! | magnitudes | 96 | how much work it is, on a logarithmic scale (`magnitude`) | 0.80 |
//!
//! A block without content (the shape of one operator) is left out, and the others share its weight. Operators' numbers and
//! the order in which they were added don't count, but for rounding.

mod features;
mod magnitude;
mod pooling;
mod projection;
pub mod evaluation;
pub mod hypervector;

pub(crate) use features::{Context, describe};
pub use features::{FAMILIES, FEATURES, NUMBERS, operator_features};

use crate::attention::AttentionScores;
use crate::{Error, QueryDag};
use magnitude::MAGNITUDES;
use projection::{OPERATORS, SHAPE};
use serde::{Deserialize, Serialize};

/// Coordinates of an embedding.
pub const DIMENSIONS: usize = OPERATORS + SHAPE + MAGNITUDES;
const _: () = assert!(DIMENSIONS == 256, "stored embeddings have 256 coordinates");

/// Shares of the blocks in the cosine: operators, shape, magnitudes. They sum to 1.
///
/// Magnitudes predict latency best (what time is made of are sums, which they hold); the other two keep plans apart that do
/// as much work in another way, which is what decisions are about.
const BLOCK_WEIGHTS: [f32; 3] = [0.10, 0.10, 0.80];

/// A plan as 256 numbers of unit norm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<f32>", try_from = "Vec<f32>")]
pub struct PlanEmbedding(Box<[f32; DIMENSIONS]>);

impl PlanEmbedding {
    /// The embedding of a plan whose operators have these scores, in the order of [`QueryDag::nodes`].
    ///
    /// Complexity: O((V + E) · features), allocations for the plan as a whole and none per operator.
    ///
    /// # Errors
    /// [`Error::InvalidEmbedding`] when there are not as many scores as operators.
    pub fn new(dag: &QueryDag, scores: &AttentionScores) -> Result<Self, Error> {
        let scores = scores.as_slice();
        if scores.len() != dag.len() {
            let what = "as many scores as operators are needed";
            return Err(Error::InvalidEmbedding { what });
        }
        let features = operator_features(dag);
        let mut coordinates = Box::new([0.0; DIMENSIONS]);
        let (operators, rest) = coordinates.split_at_mut(OPERATORS);
        let (shape, magnitudes) = rest.split_at_mut(SHAPE);
        operators.copy_from_slice(&pooling::operators(&features, scores));
        shape.copy_from_slice(&pooling::shape(dag, &features, scores));
        magnitudes.copy_from_slice(&magnitude::magnitudes(dag, scores));
        for (block, weight) in [operators, shape, magnitudes].into_iter().zip(BLOCK_WEIGHTS) {
            scale_to(block, weight.sqrt());
        }
        scale_to(coordinates.as_mut_slice(), 1.0);
        Ok(Self(coordinates))
    }

    /// The embedding in which all operators count the same: what attention is to beat.
    ///
    /// # Errors
    /// As [`PlanEmbedding::new`].
    pub fn uniform(dag: &QueryDag) -> Result<Self, Error> {
        let share = 1.0 / dag.len().max(1) as f64;
        Self::new(dag, &AttentionScores::new(vec![share; dag.len()]))
    }

    /// The embedding in the direction of 256 numbers, such as a mean of embeddings.
    ///
    /// # Errors
    /// [`Error::InvalidEmbedding`] when there are not 256, or when they have no direction: all are 0, or one isn't finite.
    pub fn normalised(numbers: &[f32]) -> Result<Self, Error> {
        let mut numbers = numbers.to_vec();
        scale_to(&mut numbers, 1.0);
        Self::try_from(numbers)
    }

    /// The numbers.
    pub fn as_slice(&self) -> &[f32] {
        self.0.as_slice()
    }

    /// The cosine of the angle to another embedding, in [-1, 1]; 1 for equal plans.
    pub fn cosine(&self, other: &Self) -> f32 {
        simd::dot(self.as_slice(), other.as_slice()).clamp(-1.0, 1.0)
    }
}

impl AsRef<PlanEmbedding> for PlanEmbedding {
    fn as_ref(&self) -> &PlanEmbedding {
        self
    }
}

impl AsRef<[f32]> for PlanEmbedding {
    fn as_ref(&self) -> &[f32] {
        self.as_slice()
    }
}

impl From<PlanEmbedding> for Vec<f32> {
    fn from(embedding: PlanEmbedding) -> Self {
        embedding.0.to_vec()
    }
}

impl TryFrom<Vec<f32>> for PlanEmbedding {
    type Error = Error;

    fn try_from(numbers: Vec<f32>) -> Result<Self, Error> {
        let refuse = |what| Error::InvalidEmbedding { what };
        let coordinates: Box<[f32; DIMENSIONS]> =
            numbers.try_into().map_err(|_| refuse("256 numbers are needed"))?;
        let norm = simd::dot(coordinates.as_slice(), coordinates.as_slice());
        // Comparing in this way refuses what is not a number, too.
        if (norm - 1.0).abs() < 1e-3 {
            Ok(Self(coordinates))
        } else {
            Err(refuse("the norm is not 1"))
        }
    }
}

/// What one operator alone would be in the first coordinates of an embedding: its block of operators, of its usual length.
pub(crate) fn operator_coordinates(features: &[f32; FEATURES]) -> [f32; OPERATORS] {
    let mut block = pooling::operators(std::slice::from_ref(features), &[1.0]);
    let [weight, ..] = BLOCK_WEIGHTS;
    scale_to(&mut block, weight.sqrt());
    block
}

/// A plan found near another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Its place among the candidates.
    pub at: usize,
    /// Its cosine.
    pub cosine: f32,
}

/// The `k` candidates of the greatest cosine, nearest first, equally near ones in their order; fewer when there are fewer.
///
/// Exact, for small sets. Complexity: O(candidates · dimensions + k log k).
pub fn nearest<'e>(
    embedding: &PlanEmbedding,
    candidates: impl IntoIterator<Item = &'e PlanEmbedding>,
    k: usize,
) -> Vec<Neighbour> {
    let neighbour = |(at, candidate): (usize, &PlanEmbedding)| Neighbour {
        at,
        cosine: embedding.cosine(candidate),
    };
    let mut found: Vec<Neighbour> = candidates.into_iter().enumerate().map(neighbour).collect();
    let nearer = |a: &Neighbour, b: &Neighbour| b.cosine.total_cmp(&a.cosine).then(a.at.cmp(&b.at));
    if k < found.len() {
        found.select_nth_unstable_by(k, nearer);
        found.truncate(k);
    }
    found.sort_unstable_by(nearer);
    found
}

/// Scales a block to this length; one without content stays.
fn scale_to(block: &mut [f32], length: f32) {
    let norm: f64 = block.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    if norm > 0.0 && norm.is_finite() {
        let factor = f64::from(length) / norm.sqrt();
        block
            .iter_mut()
            .for_each(|x| *x = (f64::from(*x) * factor) as f32);
    }
}

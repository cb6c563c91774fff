//! The arithmetic that both kinds of adapters share: a correction of low rank on the sphere of embeddings.
//!
//! ```text
//! z = e + Σ w s B A e,   e' = z / |z|,   s = 1 / √rank
//! ```
//!
//! with A of `rank` rows and B of `rank` columns, 256 numbers each, and w a weight. Hu et al., "LoRA: Low-Rank Adaptation
//! of Large Language Models", 2021; the scale 1/√rank is that of Kalajdzievski, "A Rank Stabilization Scaling Factor for
//! Fine-Tuning with LoRA", 2023. A begins with random numbers of unit variance, so that A e is about 1 for an e of unit
//! norm, and B with zeros, so that an adapter that has learned nothing changes nothing.
//!
//! Parameters lie row by row: A's rows, then B's columns.

use crate::Error;
use crate::cardinality::hash_words;
use crate::embedding::{DIMENSIONS, PlanEmbedding};

/// The longest row of A: twice what it begins with on average.
const MAX_DOWN_NORM: f32 = 32.0;
/// The longest column of B: a correction is about as long as the embedding at most.
const MAX_UP_NORM: f32 = 1.0;
/// A sum shorter than this has no direction to speak of.
const MIN_NORM: f32 = 1e-3;

/// How many parameters an adapter of this rank has.
pub(super) const fn parameter_count(rank: usize) -> usize {
    2 * rank * DIMENSIONS
}

/// The parameters of an adapter that has learned nothing.
pub(super) fn untrained(rank: usize, seed: u64, number: u64) -> Vec<f32> {
    let mut parameters: Vec<f32> = (0..rank as u64)
        .flat_map(|row| random_row(seed, number, row))
        .collect();
    parameters.resize(parameter_count(rank), 0.0);
    parameters
}

/// A row of A as it begins: uniform numbers of mean 0 and variance 1.
pub(super) fn random_row(seed: u64, number: u64, row: u64) -> impl Iterator<Item = f32> {
    (0..DIMENSIONS as u64).map(move |at| {
        let bits = hash_words([seed, number, row, at]) >> 40;
        let below_one = bits as f32 / (1u64 << 24) as f32;
        (2.0 * below_one - 1.0) * 3f32.sqrt()
    })
}

/// One adapter's matrices.
#[derive(Clone, Copy)]
pub(super) struct LowRank<'p> {
    down: &'p [f32],
    up: &'p [f32],
    scale: f32,
}

impl<'p> LowRank<'p> {
    /// The adapter of these parameters.
    pub(super) fn new(parameters: &'p [f32]) -> Self {
        let (down, up) = parameters.split_at(parameters.len() / 2);
        let rank = (down.len() / DIMENSIONS).max(1) as f32;
        Self {
            down,
            up,
            scale: 1.0 / rank.sqrt(),
        }
    }

    /// s.
    pub(super) fn scale(&self) -> f32 {
        self.scale
    }

    /// Pairs of a row of A and a column of B.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'p [f32], &'p [f32])> + use<'p> {
        let (down, up) = (
            self.down.chunks_exact(DIMENSIONS),
            self.up.chunks_exact(DIMENSIONS),
        );
        down.zip(up)
    }

    /// Adds `weight s B A input` to a sum.
    pub(super) fn add_correction(&self, weight: f32, input: &[f32], sum: &mut [f32]) {
        for (down, up) in self.pairs() {
            simd::axpy(weight * self.scale * simd::dot(down, input), up, sum);
        }
    }

    /// Adds the gradient with respect to the parameters, given that with respect to z.
    pub(super) fn add_gradient(&self, weight: f32, input: &[f32], upstream: &[f32], gradient: &mut [f32]) {
        let factor = weight * self.scale;
        let (of_down, of_up) = gradient.split_at_mut(gradient.len() / 2);
        let rows = of_down
            .chunks_exact_mut(DIMENSIONS)
            .zip(of_up.chunks_exact_mut(DIMENSIONS));
        for ((down, up), (of_down, of_up)) in self.pairs().zip(rows) {
            simd::axpy(factor * simd::dot(up, upstream), input, of_down);
            simd::axpy(factor * simd::dot(down, input), upstream, of_up);
        }
    }

    /// Adds the correction's part of the gradient with respect to the input, given that with respect to z.
    pub(super) fn add_input_gradient(&self, weight: f32, upstream: &[f32], sum: &mut [f32]) {
        for (down, up) in self.pairs() {
            simd::axpy(weight * self.scale * simd::dot(up, upstream), down, sum);
        }
    }
}

/// An adapted embedding, with what its gradient needs.
pub(super) struct Adapted {
    pub(super) embedding: PlanEmbedding,
    norm: f32,
}

impl Adapted {
    /// The embedding plus a correction, scaled to unit norm. One without a correction is the embedding to the bit, as is
    /// one whose sum has no direction.
    pub(super) fn new(embedding: &PlanEmbedding, correction: &[f32]) -> Self {
        let unchanged = || Self {
            embedding: embedding.clone(),
            norm: 1.0,
        };
        if correction.iter().all(|&number| number == 0.0) {
            return unchanged();
        }
        let mut sum = embedding.as_slice().to_vec();
        simd::axpy(1.0, correction, &mut sum);
        let norm = simd::dot(&sum, &sum).sqrt();
        // Comparing in this way refuses what is not a number, too.
        if !(norm > MIN_NORM && norm.is_finite()) {
            return unchanged();
        }
        sum.iter_mut().for_each(|number| *number /= norm);
        PlanEmbedding::try_from(sum).map_or_else(|_| unchanged(), |embedding| Self { embedding, norm })
    }

    /// The gradient with respect to z, given that with respect to e': `(g - (g·e') e') / |z|`.
    pub(super) fn before_scaling(&self, gradient: &[f32]) -> Vec<f32> {
        let adapted = self.embedding.as_slice();
        let along = simd::dot(gradient, adapted);
        let mut before: Vec<f32> = gradient.iter().map(|number| number / self.norm).collect();
        before.resize(DIMENSIONS, 0.0);
        simd::axpy(-along / self.norm, adapted, &mut before);
        before
    }
}

/// Moves the parameters of adapters of this rank against a gradient and keeps their rows short. A row whose step is not
/// finite stays as it is.
pub(super) fn descend(parameters: &mut [f32], rank: usize, gradient: &[f32], learning_rate: f32) {
    let rows = parameters
        .chunks_exact_mut(DIMENSIONS)
        .zip(gradient.chunks_exact(DIMENSIONS));
    for (at, (row, gradient)) in rows.enumerate() {
        let step = learning_rate * learning_rate * simd::dot(gradient, gradient);
        if !step.is_finite() || step == 0.0 {
            continue;
        }
        simd::axpy(-learning_rate, gradient, row);
        let is_down = at % (2 * rank) < rank;
        shorten(row, if is_down { MAX_DOWN_NORM } else { MAX_UP_NORM });
    }
}

/// Scales a row down to this length.
pub(super) fn shorten(row: &mut [f32], longest: f32) {
    let norm = simd::dot(row, row).sqrt();
    if norm > longest {
        row.iter_mut().for_each(|number| *number *= longest / norm);
    }
}

/// Scales a column of B down to the longest that is allowed.
pub(super) fn shorten_up(row: &mut [f32]) {
    shorten(row, MAX_UP_NORM);
}

/// Refuses a rank out of its range.
pub(super) fn check_rank(name: &'static str, rank: usize, largest: usize) -> Result<(), Error> {
    if (1..=largest).contains(&rank) {
        return Ok(());
    }
    let given = rank as f64;
    Err(Error::InvalidSetting { name, given })
}

/// Refuses parameters of another number, or that are no numbers.
pub(super) fn check_parameters(parameters: &[f32], expected: usize) -> Result<(), Error> {
    let refuse = |what| Err(Error::InvalidWeights { what });
    if parameters.len() != expected {
        return refuse("another number of parameters");
    }
    if !parameters.iter().all(|number| number.is_finite()) {
        return refuse("a parameter that is not a number");
    }
    Ok(())
}

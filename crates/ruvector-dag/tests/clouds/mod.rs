//! Clouds of unit vectors, from easy to hard, for recall and for time.

use ruvector_dag::cardinality::hash_words;
use ruvector_dag::embedding::{DIMENSIONS, PlanEmbedding};

/// A number from about the normal distribution: the sum of twelve uniform ones.
fn normal(seed: u64, at: u64, coordinate: u64) -> f32 {
    let first = hash_words([seed, at, coordinate]);
    let words = [
        first,
        first.rotate_left(32),
        hash_words([first]),
        hash_words([first, 1]),
    ];
    let sum: u64 = words
        .iter()
        .flat_map(|word| [word & 0xffff, word >> 16 & 0xffff, word >> 48])
        .sum();
    sum as f32 / 65_536.0 - 6.0
}

fn vector(seed: u64, at: u64) -> Vec<f32> {
    (0..DIMENSIONS as u64)
        .map(|coordinate| normal(seed, at, coordinate))
        .collect()
}

/// How vectors lie.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cloud {
    /// In all directions.
    Scattered,
    /// In so many clusters, each as wide as this share of the sphere's radius.
    Clustered(u64, f32),
    /// In few dimensions of the 256, as embeddings of plans that differ in few features.
    Flat(u64),
}

/// A set of `n` vectors, and queries from the same distribution when `seed` is another but `shape` the same.
pub(crate) fn cloud(kind: Cloud, shape: u64, seed: u64, n: u64) -> Vec<PlanEmbedding> {
    let of_place = |at: u64| -> Vec<f32> {
        let own = vector(seed, at);
        match kind {
            Cloud::Scattered => own,
            Cloud::Clustered(clusters, width) => {
                let middle = vector(shape, hash_words([seed, at]) % clusters);
                middle
                    .iter()
                    .zip(own)
                    .map(|(middle, own)| middle + width * own)
                    .collect()
            }
            Cloud::Flat(dimensions) => {
                let axes = (0..dimensions).map(|axis| vector(shape, axis)).zip(&own);
                let start = vector(shape, dimensions);
                axes.fold(start, |sum, (axis, share)| {
                    sum.iter()
                        .zip(axis)
                        .map(|(sum, axis)| sum + 0.2 * share * axis)
                        .collect()
                })
            }
        }
    };
    (0..n)
        .map(|at| PlanEmbedding::normalised(&of_place(at)).expect("a direction"))
        .collect()
}

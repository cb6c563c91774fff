//! Clouds of unit vectors, from easy to hard, for recall and for time.

use ruvector_dag::cardinality::hash_words;
use ruvector_dag::embedding::{DIMENSIONS, PlanEmbedding};

/// 256 numbers from about the normal distribution: each the sum of four uniform ones.
fn vector(seed: u64, at: u64) -> Vec<f32> {
    let of_word = |coordinate: u64| {
        let word = hash_words([seed, at, coordinate]);
        let sum = (word & 0xffff) + (word >> 16 & 0xffff) + (word >> 32 & 0xffff) + (word >> 48);
        (sum as f32 / 65_536.0 - 2.0) * 3f32.sqrt()
    };
    (0..DIMENSIONS as u64).map(of_word).collect()
}

/// How vectors lie.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cloud {
    /// In all directions.
    Scattered,
    /// In so many clusters, up to 300, each as wide as this share of the sphere's radius.
    Clustered(usize, f32),
    /// In few dimensions of the 256, as embeddings of plans that differ in few features.
    Flat(usize),
}

/// `n` vectors, and queries from the same distribution when `seed` is another but `shape` the same.
pub(crate) fn cloud(kind: Cloud, shape: u64, seed: u64, n: u64) -> Vec<PlanEmbedding> {
    let of_shape: Vec<Vec<f32>> = (0..300).map(|at| vector(shape, at)).collect();
    let of_place = |at: u64| -> Vec<f32> {
        let own = vector(seed, at);
        match kind {
            Cloud::Scattered => own,
            Cloud::Clustered(clusters, width) => {
                let middle = &of_shape[(hash_words([seed, at]) % clusters as u64) as usize];
                middle
                    .iter()
                    .zip(own)
                    .map(|(middle, own)| middle + width * own)
                    .collect()
            }
            Cloud::Flat(dimensions) => {
                let (axes, rest) = of_shape.split_at(dimensions);
                let start = rest[0].clone();
                let axes = axes.iter().zip(&own);
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

//! Fixed random projections of operator features: rows of signs (Achlioptas 2003), drawn once from a seed.
//!
//! A sum of features times random signs keeps dot products in expectation, with a variance that falls with the number of
//! coordinates. Features are mostly zero (one type of many), so a projection adds the rows of those that are not. The
//! signs are part of every stored embedding: the seed never changes.

use super::features::FEATURES;
use crate::cardinality::hash_words;
use std::sync::LazyLock;

/// Coordinates of the pooled operators.
pub(super) const OPERATORS: usize = 64;
/// Coordinates of the shape.
pub(super) const SHAPE: usize = 96;

const SEED: u64 = 0x7275_7665_6374_6f72;

/// A projection of features to `N` coordinates.
pub(super) struct Projection<const N: usize> {
    signs: Vec<[f32; N]>,
}

impl<const N: usize> Projection<N> {
    fn new(number: u64) -> Self {
        let sign = |feature: usize, at: usize| {
            let bits = hash_words([SEED, number, feature as u64, at as u64 / 64]);
            if bits >> (at % 64) & 1 == 1 { 1.0 } else { -1.0 }
        };
        let row = |feature| std::array::from_fn(|at| sign(feature, at));
        Self {
            signs: (0..FEATURES).map(row).collect(),
        }
    }

    /// Projects features; the result is not scaled.
    pub(super) fn project(&self, features: &[f32; FEATURES]) -> [f32; N] {
        let mut sum = [0.0; N];
        for (&feature, signs) in features.iter().zip(&self.signs) {
            if feature != 0.0 {
                sum.iter_mut()
                    .zip(signs)
                    .for_each(|(sum, sign)| *sum += feature * sign);
            }
        }
        sum
    }
}

/// The projections an embedding needs.
pub(super) struct Projections {
    pub(super) operators: Projection<OPERATORS>,
    pub(super) input: Projection<SHAPE>,
    pub(super) consumer: Projection<SHAPE>,
}

/// Drawn at first use: a kilobyte per feature.
pub(super) static PROJECTIONS: LazyLock<Projections> = LazyLock::new(|| Projections {
    operators: Projection::new(0),
    input: Projection::new(1),
    consumer: Projection::new(2),
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signs_are_the_stored_ones_and_balanced() {
        let mut first = [0.0; FEATURES];
        first[0] = 1.0;
        let projected = PROJECTIONS.operators.project(&first);
        let bits = (0..64).fold(0u64, |bits, at| bits | u64::from(projected[at] > 0.0) << at);
        assert_eq!(bits, hash_words([SEED, 0, 0, 0]));
        let all = PROJECTIONS.input.signs.iter().flatten();
        let mean = all.sum::<f32>() / (FEATURES * SHAPE) as f32;
        assert!(mean.abs() < 0.05, "{mean}");
    }

    #[test]
    fn dot_products_are_kept_up_to_their_spread() {
        let features = |seed: u64| -> [f32; FEATURES] {
            std::array::from_fn(|at| (hash_words([seed, at as u64]) % 1000) as f32 / 500.0 - 1.0)
        };
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let mut errors = 0.0;
        for seed in 0..200 {
            let (a, b) = (features(2 * seed), features(2 * seed + 1));
            let project = |features| PROJECTIONS.input.project(features);
            let kept = dot(&project(&a), &project(&b)) / SHAPE as f32;
            let spread = (dot(&a, &a) * dot(&b, &b) / SHAPE as f32).sqrt();
            errors += ((kept - dot(&a, &b)) / spread).powi(2) / 200.0;
        }
        // The variance of a sign projection is below (|a|² |b|² + <a, b>²) / N.
        assert!(errors < 2.0, "{errors}");
    }
}

//! What attention pools: the operators, and the edges between them.

use super::features::FEATURES;
use super::projection::{OPERATORS, PROJECTIONS, SHAPE};
use crate::QueryDag;

/// The mean of the operators' features, weighed by their scores, projected.
///
/// Projecting is linear, so the mean is projected once instead of each operator: the same up to rounding.
///
/// Complexity: O(V · features).
pub(super) fn operators(features: &[[f32; FEATURES]], scores: &[f64]) -> [f32; OPERATORS] {
    let mut mean = [0.0f64; FEATURES];
    for (features, score) in features.iter().zip(scores) {
        mean.iter_mut()
            .zip(features)
            .for_each(|(mean, &feature)| *mean += score * f64::from(feature));
    }
    PROJECTIONS.operators.project(&mean.map(|mean| mean as f32))
}

/// The shape: the sum over edges of the products of what the input and the consumer are, each weighed by the mean of the
/// two scores.
///
/// The product of two independent sign projections of x and y is a sketch of the outer product x ⊗ y (Kar and Karnick
/// 2012): the dot product of two such sums estimates Σ over pairs of edges ⟨input, input'⟩ · ⟨consumer, consumer'⟩, which
/// is large when like operators feed like operators. Inner inputs are shifted by one coordinate, so that outer and inner
/// differ.
///
/// Complexity: O(E · features + V · features · coordinates), no allocation.
pub(super) fn shape(dag: &QueryDag, features: &[[f32; FEATURES]], scores: &[f64]) -> [f32; SHAPE] {
    let mut sum = [0.0f64; SHAPE];
    for (at, consumer) in features.iter().enumerate() {
        let Some((outer, inner)) = dag.input_positions(at).split_first() else {
            continue;
        };
        let weight = |input: usize| (scores[at] + scores[input]) / 2.0;
        let pool = |inputs: &[usize]| {
            let mut pooled = [0.0f32; FEATURES];
            for &input in inputs {
                let weight = weight(input) as f32;
                pooled
                    .iter_mut()
                    .zip(&features[input])
                    .for_each(|(pooled, feature)| *pooled += weight * feature);
            }
            PROJECTIONS.input.project(&pooled)
        };
        let consumer = PROJECTIONS.consumer.project(consumer);
        let mut input = pool(std::slice::from_ref(outer));
        if !inner.is_empty() {
            let mut inner = pool(inner);
            inner.rotate_right(1);
            input
                .iter_mut()
                .zip(inner)
                .for_each(|(input, inner)| *input += inner);
        }
        sum.iter_mut()
            .zip(input.iter().zip(consumer))
            .for_each(|(sum, (input, consumer))| *sum += f64::from(input * consumer));
    }
    sum.map(|sum| sum as f32)
}

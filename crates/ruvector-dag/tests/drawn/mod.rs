//! Random numbers, embeddings and types for the tests of what learns.

use ruvector_dag::OperatorType;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::embedding::{DIMENSIONS, PlanEmbedding};

/// Numbers from -1 to 1.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let number = |at| (hash_words([seed, at]) >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
    (0..count as u64).map(number).collect()
}

/// A vector scaled to unit norm.
pub(crate) fn unit(mut numbers: Vec<f32>) -> PlanEmbedding {
    let norm = numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
    numbers.iter_mut().for_each(|x| *x /= norm);
    PlanEmbedding::try_from(numbers).expect("256 numbers of unit norm")
}

/// A random embedding.
pub(crate) fn embedding(seed: u64) -> PlanEmbedding {
    unit(numbers(seed, DIMENSIONS))
}

/// Three types whose shares sum to 1.
pub(crate) fn types() -> Vec<(OperatorType, f32)> {
    vec![
        (OperatorType::SeqScan, 0.5),
        (OperatorType::HashJoin, 0.375),
        (OperatorType::Sort, 0.125),
    ]
}

/// The inner product in double precision.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

//! What is known of an operator, as numbers of about the same size: the one description that attention and embeddings
//! share.
//!
//! The first [`NUMBERS`] features are measures, most of them logarithms to base 2 scaled to [0, 1] (or [-1, 1] where
//! they have a sign); the other [`FAMILIES`] say which kind of operator it is: 1 in the place of its family, 0 elsewhere.
//!
//! | feature | measure | what is 1 |
//! |---|---|---|
//! | 0 | rows expected | 2^40 rows |
//! | 1 | self cost | 2^40 units |
//! | 2 | total cost | 2^40 units |
//! | 3 | share of the plan's self cost | all of it |
//! | 4 | width | 2^16 bytes |
//! | 5 | height: edges from the farthest source | 2^8 |
//! | 6 | nesting: edges to the farthest sink | 2^8 |
//! | 7 | selectivity: rows per row of its inputs, signed; 0 for a source | 2^40 |
//! | 8 | misestimate: rows counted per row expected, signed; 0 when not counted | 2^20 |
//! | 9 | whether rows were counted | they were |
//! | 10 | parallel workers | 15 |
//! | 11 | inputs | 15 |
//!
//! Larger values are cut off. No feature depends on operator numbers or on the order in which operators were added, and
//! none on a mathematics library: the logarithm is written out, so that all platforms give the same bits.

use crate::QueryDag;
use crate::attention::Facts;
use crate::dag::{OperatorNode, OperatorType};

/// How many features are measures.
pub const NUMBERS: usize = 12;
/// How many families operators are sorted into.
pub const FAMILIES: usize = 20;
/// How many features an operator has.
pub const FEATURES: usize = NUMBERS + FAMILIES;

/// What the graph, not the operator alone, says.
pub(crate) struct Context {
    /// Its own cost.
    pub(crate) self_cost: f64,
    /// Its share of the plan's self cost.
    pub(crate) share: f64,
    /// Edges from the farthest source.
    pub(crate) height: u32,
    /// Edges to the farthest sink.
    pub(crate) nesting: u32,
    /// Rows of all inputs together; `None` for a source.
    pub(crate) input_rows: Option<f64>,
    /// The number of inputs.
    pub(crate) inputs: usize,
}

/// The features of all operators, in the order of [`QueryDag::nodes`].
///
/// Complexity: O(V + E).
pub fn operator_features(dag: &QueryDag) -> Vec<[f32; FEATURES]> {
    let facts = Facts::of(dag);
    let described = dag.nodes().enumerate();
    described
        .map(|(at, node)| {
            let (numbers, family) = describe(node, &facts.context(at));
            let mut features = [0.0; FEATURES];
            features[..NUMBERS].copy_from_slice(&numbers);
            features[NUMBERS + family] = 1.0;
            features
        })
        .collect()
}

/// The measures of an operator and its family.
#[inline]
pub(crate) fn describe(node: &OperatorNode, context: &Context) -> ([f32; NUMBERS], usize) {
    let rows = log2_of_more(node.rows);
    let flow = context.input_rows.map_or(0.0, |input| rows - log2_of_more(input));
    let error = node
        .actual_rows
        .map_or(0.0, |actual| log2(actual.max(1.0)) - log2(node.rows.max(1.0)));
    let numbers = [
        unsigned(rows, 40.0),
        unsigned(log2_of_more(context.self_cost), 40.0),
        unsigned(log2_of_more(node.total_cost), 40.0),
        context.share as f32,
        unsigned(log2_of_more(f64::from(node.width)), 16.0),
        unsigned(log2_of_more(f64::from(context.height)), 8.0),
        unsigned(log2_of_more(f64::from(context.nesting)), 8.0),
        signed(flow, 40.0),
        signed(error, 20.0),
        f32::from(u8::from(node.actual_rows.is_some())),
        unsigned(log2_of_more(f64::from(node.workers)), 4.0),
        unsigned(log2_of_more(context.inputs as f64), 4.0),
    ];
    (numbers, family(node.operator_type))
}

fn unsigned(bits: f64, one: f64) -> f32 {
    (bits / one).min(1.0) as f32
}

fn signed(bits: f64, one: f64) -> f32 {
    (bits / one).clamp(-1.0, 1.0) as f32
}

/// log2(1 + value).
#[inline]
fn log2_of_more(value: f64) -> f64 {
    log2(1.0 + value)
}

/// The logarithm to base 2 of a normal positive number, within 1e-6: exponent plus a series of the inverse hyperbolic
/// tangent of the mantissa.
#[inline]
fn log2(value: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = value.to_bits();
    // The mantissa in [sqrt(1/2), sqrt(2)), so that the series is short: with a high one, the next exponent.
    let is_high = u64::from(bits & MANTISSA > 0x6_a09e_667f_3bcc);
    let exponent = (bits >> 52) + is_high;
    let mantissa = f64::from_bits((bits & MANTISSA) | ((1023 - is_high) << 52));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = s * (1.0 + square * (1.0 / 3.0 + square * (0.2 + square * (1.0 / 7.0))));
    (exponent as f64 - 1023.0) + series * (2.0 * std::f64::consts::LOG2_E)
}

/// Operators that behave alike.
fn family(operator_type: OperatorType) -> usize {
    use OperatorType as T;
    match operator_type {
        T::SeqScan | T::SampleScan => 0,
        T::IndexScan | T::IndexOnlyScan => 1,
        T::BitmapIndexScan | T::BitmapHeapScan | T::BitmapAnd | T::BitmapOr => 2,
        T::TidScan | T::TidRangeScan => 3,
        T::HnswScan | T::IvfFlatScan => 4,
        T::SubqueryScan | T::CteScan | T::WorkTableScan | T::NamedTuplestoreScan => 5,
        T::FunctionScan | T::ValuesScan | T::TableFunctionScan => 6,
        T::ForeignScan | T::CustomScan => 7,
        T::NestedLoop => 8,
        T::MergeJoin => 9,
        T::HashJoin => 10,
        T::Hash => 11,
        T::Materialize | T::Memoize => 12,
        T::Sort | T::IncrementalSort => 13,
        T::Group | T::Aggregate | T::Unique => 14,
        T::WindowAgg | T::ProjectSet => 15,
        T::Append | T::MergeAppend | T::SetOp | T::RecursiveUnion => 16,
        T::Gather | T::GatherMerge => 17,
        T::Result | T::Filter | T::Limit | T::LockRows => 18,
        T::ModifyTable => 19,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_that_of_the_library() {
        let mut value = 1.0f64;
        while value < 1e300 {
            assert!((log2(value) - value.log2()).abs() < 1e-6, "{value}");
            value *= 1.003_7;
        }
        assert_eq!(log2(1.0), 0.0);
        assert!((log2(f64::MAX) - 1024.0).abs() < 1e-6);
    }

    #[test]
    fn every_type_has_a_family() {
        let families: std::collections::BTreeSet<usize> =
            OperatorType::ALL.iter().map(|&kind| family(kind)).collect();
        assert!(families.into_iter().eq(0..FAMILIES));
    }
}

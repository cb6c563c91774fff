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
    let counted = node.actual_rows;
    let at_least_one = |rows: f64| narrow(rows.max(1.0) - 1.0);
    // All logarithms at once, so that the compiler takes several at a time.
    let mut logs = [
        narrow(node.rows),
        narrow(context.self_cost),
        narrow(node.total_cost),
        node.width as f32,
        context.height as f32,
        context.nesting as f32,
        narrow(context.input_rows.unwrap_or(node.rows)),
        at_least_one(counted.unwrap_or(node.rows)),
        at_least_one(node.rows),
        node.workers as f32,
        context.inputs as f32,
        0.0,
    ];
    for value in &mut logs {
        *value = log2_of_more(*value);
    }
    let [
        rows,
        self_cost,
        total_cost,
        width,
        height,
        nesting,
        input_rows,
        actual,
        expected,
        workers,
        inputs,
        _,
    ] = logs;
    let numbers = [
        (rows / 40.0).min(1.0),
        (self_cost / 40.0).min(1.0),
        (total_cost / 40.0).min(1.0),
        context.share as f32,
        (width / 16.0).min(1.0),
        (height / 8.0).min(1.0),
        (nesting / 8.0).min(1.0),
        ((rows - input_rows) / 40.0).clamp(-1.0, 1.0),
        ((actual - expected) / 20.0).clamp(-1.0, 1.0),
        f32::from(u8::from(counted.is_some())),
        (workers / 4.0).min(1.0),
        (inputs / 4.0).min(1.0),
    ];
    (numbers, family(node.operator_type))
}

/// In single precision; what is too large for it is cut off later anyway.
#[inline]
fn narrow(value: f64) -> f32 {
    value.min(1e38) as f32
}

/// log2(1 + value) for a value that is not negative, within 2e-5: the exponent plus a polynomial of the mantissa that is
/// exact at its ends.
#[inline]
fn log2_of_more(value: f32) -> f32 {
    const MANTISSA: u32 = (1 << 23) - 1;
    let bits = (1.0 + value).to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    let t = f32::from_bits((bits & MANTISSA) | (127 << 23)) - 1.0;
    let p = 0.442_654_07 + t * (-0.276_569_5 + t * (0.184_100_83 + t * (-0.097_201_83 + t * 0.025_691_263)));
    exponent as f32 + t * (1.0 + (1.0 - t) * p)
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
        let mut value = 1e-7f32;
        while value < 1e38 {
            assert!(
                (log2_of_more(value) - (1.0 + value).log2()).abs() < 2e-5,
                "{value}"
            );
            value *= 1.001;
        }
        assert_eq!(log2_of_more(0.0), 0.0);
        assert_eq!(log2_of_more(7.0), 3.0);
    }

    #[test]
    fn every_type_has_a_family() {
        let families: std::collections::BTreeSet<usize> =
            OperatorType::ALL.iter().map(|&kind| family(kind)).collect();
        assert!(families.into_iter().eq(0..FAMILIES));
    }
}

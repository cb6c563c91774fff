//! How much an operator does, apart from what it costs: rows touched and steps per row, for the models that have no
//! formula per operator.

use super::CostContext;
use crate::dag::{OperatorNode, OperatorType};

/// pgvector's default of `hnsw.ef_search`.
pub(super) const HNSW_BREADTH: u32 = 40;

/// Rows an operator touches: what comes in, or what a scan gives.
pub(super) fn rows_touched(operator: &OperatorNode, context: &CostContext) -> f64 {
    match operator.operator_type {
        _ if context.inputs.is_empty() => operator.rows,
        OperatorType::NestedLoop => context.outer().rows * context.inner().rows.max(1.0),
        _ => context.rows().max(operator.rows),
    }
}

/// Bytes of those rows.
pub(super) fn bytes_touched(operator: &OperatorNode, context: &CostContext) -> f64 {
    if context.inputs.is_empty() {
        operator.rows * f64::from(operator.width.max(1))
    } else {
        context.bytes()
    }
}

/// Comparisons, probes or distances per touched row, and one for each condition.
pub(super) fn steps_per_row(operator: &OperatorNode, rows: f64) -> f64 {
    let by_kind = match operator.operator_type {
        // Comparison sorts and merges: log2 n.
        OperatorType::Sort
        | OperatorType::IncrementalSort
        | OperatorType::GatherMerge
        | OperatorType::MergeAppend => rows.max(2.0).log2(),
        // A hash and a probe.
        OperatorType::HashJoin | OperatorType::Hash | OperatorType::Aggregate | OperatorType::Memoize => 2.0,
        // A distance to each neighbour of a candidate: 2m with pgvector's m = 16.
        OperatorType::HnswScan => 32.0,
        _ => 1.0,
    };
    by_kind + operator.conditions() as f64
}

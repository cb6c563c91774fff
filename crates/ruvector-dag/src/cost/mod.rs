//! Costs from elsewhere: a model gives an operator's own cost, so that a plan can be weighed for other machines.
//!
//! Each model has its unit; costs of different models don't compare.

mod chip;
mod embedded;
mod postgres;

pub use chip::ChipCostModel;
pub use embedded::EmbeddedCostModel;
pub use postgres::PostgresCostModel;

use crate::dag::{OperatorNode, OperatorType};

/// What a model is told beside the operator.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CostContext {
    /// Rows of all inputs together.
    pub input_rows: f64,
    /// Number of inputs.
    pub inputs: usize,
}

/// Gives operators costs.
pub trait CostModel: Send + Sync {
    /// The cost of the operator by itself, in the model's unit.
    fn estimate_cost(&self, operator: &OperatorNode, context: &CostContext) -> f64;

    /// The rows the operator gives: what was counted, else what the planner expects, else its input.
    fn estimate_cardinality(&self, operator: &OperatorNode, context: &CostContext) -> u64 {
        let expected = if operator.rows > 0.0 {
            operator.rows
        } else {
            context.input_rows
        };
        operator.actual_rows.unwrap_or(expected).max(0.0) as u64
    }

    /// A factor on every cost.
    fn platform_overhead(&self) -> f64 {
        1.0
    }
}

/// Rows an operator touches: what comes in, or what a scan gives.
fn rows_touched(operator: &OperatorNode, context: &CostContext) -> f64 {
    if context.inputs == 0 {
        operator.rows
    } else {
        context.input_rows.max(operator.rows)
    }
}

/// Comparisons or hash probes per touched row: log₂ n for what sorts, one or two for what hashes or joins.
fn steps_per_row(operator: &OperatorNode, rows: f64) -> f64 {
    match operator.operator_type {
        OperatorType::Sort
        | OperatorType::MergeJoin
        | OperatorType::GatherMerge
        | OperatorType::MergeAppend => rows.max(2.0).log2(),
        OperatorType::HashJoin | OperatorType::Hash | OperatorType::Aggregate | OperatorType::Memoize => 2.0,
        OperatorType::HnswScan => f64::from(operator.search_breadth.unwrap_or(40)),
        _ => 1.0,
    }
}

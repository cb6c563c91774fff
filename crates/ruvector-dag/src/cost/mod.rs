//! Costs from elsewhere: a model gives an operator's own cost, so that a plan can be weighed for other machines.
//!
//! Each model has its unit; costs of different models don't compare. A model sees one operator and its inputs, never the
//! graph: what running an input again costs stays with that input.

mod chip;
mod embedded;
mod postgres;
mod work;

pub use chip::ChipCostModel;
pub use embedded::EmbeddedCostModel;
pub use postgres::{PostgresCostModel, RelationStatistics};

use crate::dag::{OperatorNode, OperatorType};

/// What one input delivers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Input {
    /// Rows, per execution.
    pub rows: f64,
    /// Bytes of an average row.
    pub width: u32,
}

/// What a model is told beside the operator.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CostContext<'d> {
    /// The inputs, outer before inner.
    pub inputs: &'d [Input],
}

impl CostContext<'_> {
    /// Rows of all inputs together.
    pub fn rows(&self) -> f64 {
        self.inputs.iter().map(|input| input.rows).sum()
    }

    /// Bytes of all inputs together; a row of unknown width counts as one byte.
    pub fn bytes(&self) -> f64 {
        self.inputs
            .iter()
            .map(|input| input.rows * f64::from(input.width.max(1)))
            .sum()
    }

    /// The outer input, of nothing when there is none.
    pub fn outer(&self) -> Input {
        self.inputs.first().copied().unwrap_or_default()
    }

    /// The inner input, of nothing when there is none.
    pub fn inner(&self) -> Input {
        self.inputs.get(1).copied().unwrap_or_default()
    }
}

/// Share of rows that pass a condition nothing is known of (`DEFAULT_INEQ_SEL` of PostgreSQL's selfuncs.h).
const UNKNOWN_SELECTIVITY: f64 = 1.0 / 3.0;
/// Groups of keys nothing is known of (`DEFAULT_NUM_DISTINCT` there).
const UNKNOWN_GROUPS: f64 = 200.0;
/// Rows of a relation nothing is known of: ten pages of forty bytes a row, PostgreSQL's guess for a new table.
const UNKNOWN_ROWS: f64 = 2000.0;

/// Gives operators costs.
pub trait CostModel: Send + Sync {
    /// The cost of the operator by itself, in the model's unit: finite and not negative.
    fn estimate_cost(&self, operator: &OperatorNode, context: &CostContext) -> f64;

    /// The rows the operator gives per execution: what was counted, else what the planner expects, else PostgreSQL's
    /// guesses where it knows nothing, from the inputs.
    fn estimate_cardinality(&self, operator: &OperatorNode, context: &CostContext) -> u64 {
        let expected = if operator.rows > 0.0 {
            operator.rows
        } else {
            unplanned_rows(operator, context)
        };
        operator.actual_rows.unwrap_or(expected) as u64
    }

    /// A factor on every cost.
    fn platform_overhead(&self) -> f64 {
        1.0
    }
}

/// Rows of an operator that no planner has seen.
fn unplanned_rows(operator: &OperatorNode, context: &CostContext) -> f64 {
    let before_filter = match operator.operator_type {
        OperatorType::HnswScan => f64::from(operator.search_breadth.unwrap_or(work::HNSW_BREADTH)),
        OperatorType::Aggregate | OperatorType::Group => context.rows().min(UNKNOWN_GROUPS),
        OperatorType::Result if context.inputs.is_empty() => 1.0,
        kind if kind.is_join() => context.outer().rows.max(context.inner().rows),
        kind if kind.is_scan() && context.inputs.is_empty() => UNKNOWN_ROWS,
        _ => context.rows(),
    };
    let conditions = operator
        .clauses
        .iter()
        .filter(|clause| clause.kind == crate::ClauseKind::Filter)
        .count();
    before_filter * UNKNOWN_SELECTIVITY.powi(conditions as i32)
}

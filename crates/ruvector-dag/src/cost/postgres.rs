//! PostgreSQL's cost parameters on an operator's rows (optimizer/path/costsize.c), for graphs that carry no costs.

use super::{CostContext, CostModel, rows_touched, steps_per_row};
use crate::dag::{OperatorNode, OperatorType};

/// Bytes of a page.
const PAGE: f64 = 8192.0;

/// Unit: one sequential page read, as in PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PostgresCostModel {
    /// A page read in order.
    pub seq_page_cost: f64,
    /// A page read at random.
    pub random_page_cost: f64,
    /// A row processed.
    pub cpu_tuple_cost: f64,
    /// An index entry processed.
    pub cpu_index_tuple_cost: f64,
    /// An operator or function call.
    pub cpu_operator_cost: f64,
}

/// The defaults of postgresql.conf.
impl Default for PostgresCostModel {
    fn default() -> Self {
        Self {
            seq_page_cost: 1.0,
            random_page_cost: 4.0,
            cpu_tuple_cost: 0.01,
            cpu_index_tuple_cost: 0.005,
            cpu_operator_cost: 0.0025,
        }
    }
}

impl CostModel for PostgresCostModel {
    fn estimate_cost(&self, operator: &OperatorNode, context: &CostContext) -> f64 {
        let rows = rows_touched(operator, context);
        let pages = (rows * f64::from(operator.width.max(1)) / PAGE).ceil();
        let clauses = operator.clauses.len() as f64;
        let io = match operator.operator_type {
            OperatorType::SeqScan | OperatorType::SampleScan => pages * self.seq_page_cost,
            OperatorType::IndexScan | OperatorType::BitmapHeapScan | OperatorType::TidScan => {
                rows.min(pages.max(1.0)) * self.random_page_cost
            }
            OperatorType::IndexOnlyScan
            | OperatorType::BitmapIndexScan
            | OperatorType::HnswScan
            | OperatorType::IvfFlatScan => self.random_page_cost,
            _ => 0.0,
        };
        let index = if operator.index.is_some() {
            rows * self.cpu_index_tuple_cost
        } else {
            0.0
        };
        let steps = steps_per_row(operator, rows) + clauses;
        io + index + rows * (self.cpu_tuple_cost + steps * self.cpu_operator_cost)
    }
}

//! A small device: rows are processed in little memory, and what does not fit goes to flash and back.

use super::{CostContext, CostModel, rows_touched, steps_per_row};
use crate::dag::{OperatorNode, OperatorType};

/// Bytes moved by one flash access.
const FLASH_PAGE: f64 = 4096.0;
/// Nanoseconds of one step on one row: some tens of instructions at some tens of megahertz.
const STEP_NS: f64 = 500.0;

/// Unit: nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EmbeddedCostModel {
    /// Working memory in KiB.
    pub ram_kb: u32,
    /// Nanoseconds to read or write a page of flash.
    pub flash_latency_ns: u32,
}

impl CostModel for EmbeddedCostModel {
    fn estimate_cost(&self, operator: &OperatorNode, context: &CostContext) -> f64 {
        let rows = rows_touched(operator, context);
        let bytes = rows * f64::from(operator.width.max(1));
        let latency = f64::from(self.flash_latency_ns);
        let read = if operator.operator_type.is_scan() {
            (bytes / FLASH_PAGE).ceil() * latency
        } else {
            0.0
        };
        let keeps_input = matches!(
            operator.operator_type,
            OperatorType::Sort | OperatorType::Hash | OperatorType::Materialize | OperatorType::Aggregate
        );
        let overflow = (bytes - f64::from(self.ram_kb) * 1024.0).max(0.0);
        // Written once and read once.
        let spilled = if keeps_input {
            2.0 * (overflow / FLASH_PAGE).ceil() * latency
        } else {
            0.0
        };
        read + spilled + rows * steps_per_row(operator, rows) * STEP_NS
    }
}

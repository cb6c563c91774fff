//! A small device: rows are processed in little memory, and what does not fit goes to flash and back.
//!
//! `cost = read + spilled + rows * steps * STEP_NS` in nanoseconds, where a scan reads `ceil(bytes / page)` pages of
//! flash, an operator that keeps its input writes what exceeds memory once and reads it once, and a step is a
//! comparison, a hash probe or a condition. The form is that of the external memory model (Aggarwal and Vitter 1988):
//! transfers of blocks between a small memory and a big slow one, plus work inside.

use super::work::{bytes_touched, rows_touched, steps_per_row};
use super::{CostContext, CostModel};
use crate::dag::OperatorNode;

/// Bytes moved by one flash access, the page of common NAND flash.
const FLASH_PAGE: f64 = 4096.0;
/// Nanoseconds of one step on one row: some forty instructions at 80 MHz.
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
        let bytes = bytes_touched(operator, context);
        let latency = f64::from(self.flash_latency_ns);
        let read = if operator.operator_type.is_scan() {
            (bytes / FLASH_PAGE).ceil() * latency
        } else {
            0.0
        };
        let overflow = (bytes - f64::from(self.ram_kb) * 1024.0).max(0.0);
        let keeps_input = operator.operator_type.keeps_input();
        let spilled = if keeps_input {
            2.0 * (overflow / FLASH_PAGE).ceil() * latency
        } else {
            0.0
        };
        read + spilled + rows * steps_per_row(operator, rows) * STEP_NS
    }
}

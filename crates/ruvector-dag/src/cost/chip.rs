//! A pipelined core: steps cost cycles, a wrong guess refills the pipeline, each new cache line stalls.

use super::{CostContext, CostModel, rows_touched, steps_per_row};
use crate::dag::OperatorNode;

/// Cycles of one step when all goes well.
const STEP_CYCLES: f64 = 4.0;
/// Share of steps whose branch is guessed wrong.
const MISPREDICTED: f64 = 0.05;
/// Cycles to fetch a cache line from memory.
const LINE_CYCLES: f64 = 100.0;

/// Unit: nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChipCostModel {
    /// Clock in MHz; 0 counts as 1.
    pub clock_mhz: u32,
    /// Stages refilled after a wrong guess.
    pub pipeline_depth: u8,
    /// Bytes of a cache line; 0 counts as 1.
    pub cache_line_bytes: u8,
}

impl CostModel for ChipCostModel {
    fn estimate_cost(&self, operator: &OperatorNode, context: &CostContext) -> f64 {
        let rows = rows_touched(operator, context);
        let step = STEP_CYCLES + MISPREDICTED * f64::from(self.pipeline_depth);
        let lines = rows * f64::from(operator.width.max(1)) / f64::from(self.cache_line_bytes.max(1));
        let cycles = rows * steps_per_row(operator, rows) * step + lines.ceil() * LINE_CYCLES;
        cycles * 1000.0 / f64::from(self.clock_mhz.max(1))
    }
}

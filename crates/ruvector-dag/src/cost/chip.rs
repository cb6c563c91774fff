//! A pipelined core: steps cost cycles, a wrong guess refills the pipeline, each new cache line stalls.
//!
//! `cycles = rows * steps * (STEP_CYCLES + MISPREDICTED * pipeline_depth) + lines * LINE_CYCLES` and
//! `ns = cycles * 1000 / clock_mhz`, the usual sum of base cycles, misprediction and miss stalls (Hennessy and
//! Patterson, "Computer Architecture", chapters 2 and 3; for databases Ailamaki et al. 1999, "DBMSs on a modern
//! processor: where does time go?"). Rows that arrive from a scan are new to the cache; those of an input were just
//! written and are read again only by operators that keep them.

use super::work::{bytes_touched, rows_touched, steps_per_row};
use super::{CostContext, CostModel};
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
        let kind = operator.operator_type;
        let new_bytes = if kind.is_scan() || kind.keeps_input() {
            bytes_touched(operator, context)
        } else {
            0.0
        };
        let lines = (new_bytes / f64::from(self.cache_line_bytes.max(1))).ceil();
        let cycles = rows * steps_per_row(operator, rows) * step + lines * LINE_CYCLES;
        cycles * 1000.0 / f64::from(self.clock_mhz.max(1))
    }
}

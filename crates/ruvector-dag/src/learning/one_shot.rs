//! Stage 8 of 9, learning: what surprised beyond its interval is remembered after one execution, and longer than the rest:
//! it is recalled when the memory of executions has let it go (`btsp_memory`).

use super::btsp_memory::{BtspMemory, Experience};
use super::model::{LatencyModel, LatencyPrediction, LatencyQuery, RECALLED_DEVIATION, Source};
use crate::trajectory::Trajectory;

impl LatencyModel {
    /// What is remembered of a statement that surprised once, the less sure the longer ago.
    pub(super) fn recalled_in_one_shot(&self, query: &LatencyQuery) -> Option<LatencyPrediction> {
        let recall = self.shots.recall(query.statement, self.now_us)?;
        let memory = recall.memory;
        (memory.decision == query.decision && !memory.is_cut_off).then(|| {
            let faded = (1.0 - recall.eligibility) * self.line.deviation().powi(2);
            LatencyPrediction {
                log_latency: memory.log_latency,
                deviation: (2.0 * RECALLED_DEVIATION.powi(2) + faded).sqrt(),
                source: Source::Recalled,
            }
        })
    }

    /// Remembers in one shot what is off by more than its interval.
    pub(super) fn remember_surprise(
        &mut self,
        seen: &Trajectory,
        predicted: &LatencyPrediction,
        surprise: f64,
    ) {
        self.now_us = self.now_us.max(seen.at_us);
        let is_beyond = surprise > 1.645 * predicted.deviation;
        self.shots.observe(&Experience {
            statement: seen.statement,
            embedding: &seen.embedding,
            decision: seen.decision,
            log_latency: seen.log_latency,
            is_cut_off: seen.is_cut_off,
            // What is not a number surprises nobody.
            predicted: if is_beyond {
                predicted.log_latency
            } else {
                f64::NAN
            },
            at_us: seen.at_us,
        });
    }

    /// Takes over what was remembered in one shot elsewhere, as much as there is room for.
    pub(super) fn take_shots(&mut self, shots: BtspMemory) {
        let set = shots.memories().iter().map(|memory| memory.set_at_us);
        let ran = self.memory.executions().iter().map(|known| known.at_us);
        self.now_us = set.chain(ran).max().unwrap_or(0);
        self.shots = shots.within(self.shots.config());
    }
}

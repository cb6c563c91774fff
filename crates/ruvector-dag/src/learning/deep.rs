//! Stage 8 of 9, learning: loop C, when the server is idle and for as long as it is given.
//!
//! A quarter of the time trains the adapter of all plans, half of it replays what surprised, and what is left dreams: plans
//! that were never run for statements that were, rated by Φ. Dreams are only planned here; running them is a decision.

use super::consolidator::{Consolidation, Memory, MemoryConsolidator};
use super::dream::{Dream, Experience};
use super::engine::DagSonaEngine;
use super::training::{Training, train_validated};

/// Steps of training that no budget exceeds.
const STEPS: usize = 1_000;

/// What a run of loop C did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeepReport {
    /// What training did.
    pub training: Training,
    /// What was replayed.
    pub consolidation: Consolidation,
    /// Trials that are worth their time, the greatest expected gain per second first.
    pub dreams: Vec<Dream>,
    /// Patterns that were near-equal to others and became one with them.
    pub merged: usize,
}

impl DagSonaEngine {
    /// Loop C for `budget_us` microseconds on `clock`: up to `count` dreams. The budget is overrun by at most one step of
    /// training, one replay and one completion of the matrix.
    pub fn deep_learn(&mut self, mut clock: impl FnMut() -> u64, budget_us: u64, count: usize) -> DeepReport {
        let start = clock();
        let mut report = DeepReport::default();
        if self.model.mechanisms.lora {
            let ewc = self.model.mechanisms.ewc.then_some(&self.ewc);
            let deadline = start.saturating_add(budget_us / 4);
            let work = (STEPS, self.config.base_learning_rate);
            report.training = train_validated(&mut self.model, ewc, work, || clock() >= deadline);
        }
        let left = (start.saturating_add(3 * (budget_us / 4))).saturating_sub(clock());
        report.consolidation = self.consolidate(&mut clock, left);
        if clock() < start.saturating_add(budget_us) {
            report.merged = self.bank.merge_similar();
            report.dreams = self.dream(count);
        }
        report
    }

    /// Up to `count` trials that are worth their time, the greatest expected gain per second first. Statements are
    /// expected to run as often as they did.
    pub fn dream(&self, count: usize) -> Vec<Dream> {
        let known = self.model.memory.executions();
        let experiences: Vec<Experience> = known
            .iter()
            .map(|seen| Experience {
                statement: seen.statement,
                decision: seen.decision,
                log_latency: seen.log_latency,
                is_cut_off: seen.is_cut_off,
            })
            .collect();
        let mut runs = std::collections::BTreeMap::<u64, f64>::new();
        for seen in known {
            *runs.entry(seen.statement).or_default() += f64::from(seen.runs);
        }
        let executions = |statement| runs.get(&statement).copied().unwrap_or(0.0);
        // A configuration that was accepted does not fail.
        self.dreams
            .plan(&experiences, executions, count)
            .unwrap_or_default()
    }

    /// Predicts what surprised again, the most surprising first, each from other statements.
    fn consolidate(&mut self, clock: impl FnMut() -> u64, budget_us: u64) -> Consolidation {
        let known = self.model.memory.executions();
        let mut memory = MemoryConsolidator::new(known.len());
        for (at, seen) in known.iter().enumerate() {
            let surprise = f64::from(seen.surprise);
            memory.remember(Memory {
                class: seen.template,
                surprise,
                item: at,
            });
        }
        let model = &self.model;
        let result = memory.consolidate(clock, budget_us, |&at| model.surprise(at));
        for memory in memory.memories() {
            self.model.memory.set_surprise(memory.item, memory.surprise);
        }
        result
    }
}

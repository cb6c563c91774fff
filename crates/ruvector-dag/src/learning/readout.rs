//! Stage 8 of 9, learning: what the adapters alone say of a plan's latency, in their weights and not in what is remembered.
//!
//! ```text
//! h(plan) = w · (A(e) − e)
//! ```
//!
//! is added to the line through log cost: e the plan's embedding, A(e) the same as the adapters see it, w a fixed direction
//! drawn from the seed, so that all that is learned is in the adapters, where EWC++ keeps it. Adapters that have learned
//! nothing add nothing. Neighbours correct what is left: when executions of a workload have left the memory, h is what
//! remains of it.
//!
//! Training goes through the new executions one by one, as they came (stochastic gradient descent under EWC++), a few
//! times; what it does to executions of templates that trained nothing decides whether it stays. What matters to a task is
//! weighed when it has been trained: the gradients of h at the end of training are the scores of EWC++.

use super::adapters::AdapterGradient;
use super::ewc::EwcPlusPlus;
use super::model::LatencyModel;
use super::training::is_held_out_template;
use crate::Error;
use crate::cardinality::hash_words;
use crate::embedding::{DIMENSIONS, PlanEmbedding};
use crate::interruptible::{IsOver, check};
use crate::trajectory::Trajectory;

/// Times that new executions are gone through.
const PASSES: usize = 3;
/// Steps of a run of training.
const MAX_STEPS: usize = 3_000;
/// What w is drawn for, so that no other draws depend on it.
const PURPOSE: u64 = 0x7265_6164;
/// The greatest coordinate of w: the weight that the adapters' corrections get. EWC++'s λ means what it does for a w of
/// this size (`ewc.rs`); chosen on the workloads of the forgetting experiment.
const REACH: f32 = 0.25;
/// The greatest error that a step follows, so that no execution moves more than others (Huber, "Robust Estimation of a
/// Location Parameter", 1964).
const GREATEST_ERROR: f64 = 1.0;
/// What h says at most, in natural logarithms.
const GREATEST: f64 = 10.0;

/// The fixed direction.
#[derive(Debug, Clone)]
pub(super) struct Readout {
    weights: Vec<f32>,
}

impl Readout {
    /// The direction of a seed.
    pub(super) fn new(seed: u64) -> Self {
        let weight = |at: u64| {
            let below_one = (hash_words([seed, PURPOSE, at]) >> 40) as f32 / (1u64 << 24) as f32;
            REACH * (2.0 * below_one - 1.0)
        };
        Self {
            weights: (0..DIMENSIONS as u64).map(weight).collect(),
        }
    }

    /// w.
    pub(super) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// h of an embedding that was adapted.
    pub(super) fn offset(&self, embedding: &PlanEmbedding, adapted: &PlanEmbedding) -> f64 {
        let value = |embedding: &PlanEmbedding| f64::from(simd::dot(&self.weights, embedding.as_slice()));
        (value(adapted) - value(embedding)).clamp(-GREATEST, GREATEST)
    }
}

impl LatencyModel {
    /// What h misses of a run, and the gradient of h by the parameters of all adapters.
    pub(super) fn score(&self, seen: &Trajectory) -> (f64, AdapterGradient) {
        let (types, embedding) = (&seen.operator_types, &seen.embedding);
        let gradient = self.adapters.gradient(embedding, types, self.readout.weights());
        (self.missed(seen), gradient)
    }

    /// What line and readout predict too much.
    pub(super) fn missed(&self, seen: &Trajectory) -> f64 {
        let (_, offset) = self.adapt(&seen.embedding, &seen.operator_types);
        let error = self.prior().at(seen.log_cost) + offset - seen.log_latency;
        // A bound that is reached is no error.
        if seen.is_cut_off { error.min(0.0) } else { error }
    }

    /// Trains on new executions; whether what was learned stays. Executions are seen anew afterwards.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when it is over before; executions are then as they were seen before.
    pub(super) fn train_readout(
        &mut self,
        new: &[Trajectory],
        ewc: Option<&mut EwcPlusPlus>,
        learning_rate: f32,
        is_over: &mut IsOver<'_>,
    ) -> Result<bool, Error> {
        let of = |is_asked: bool| {
            new.iter()
                .filter(move |seen| is_held_out_template(seen.template) == is_asked)
        };
        let trained: Vec<&Trajectory> = of(false).collect();
        let before = (self.adapters.clone(), self.squared_errors(of(true)));
        let steps = (PASSES * trained.len()).min(MAX_STEPS);
        for seen in trained.iter().cycle().take(steps) {
            check(is_over)?;
            self.step(seen, ewc.as_deref(), learning_rate);
        }
        let is_better = self.squared_errors(of(true)) <= before.1;
        if !is_better {
            self.adapters = before.0;
        }
        if let Some(ewc) = ewc {
            for seen in new {
                check(is_over)?;
                ewc.weigh(&self.score(seen).1.0);
            }
        }
        self.readapt();
        Ok(is_better)
    }

    fn step(&mut self, seen: &Trajectory, ewc: Option<&EwcPlusPlus>, learning_rate: f32) {
        let (error, mut gradient) = self.score(seen);
        let error = error.clamp(-GREATEST_ERROR, GREATEST_ERROR) as f32;
        gradient.0.iter_mut().for_each(|number| *number *= error);
        match ewc {
            Some(ewc) => self
                .adapters
                .update_constrained(&mut gradient, ewc, learning_rate),
            None => self.adapters.update(&gradient, learning_rate),
        }
    }

    fn squared_errors<'t>(&self, seen: impl Iterator<Item = &'t Trajectory>) -> f64 {
        seen.map(|seen| self.missed(seen).powi(2)).sum()
    }
}

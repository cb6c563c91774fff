//! Stage 8 of 9, learning: loop A, with each statement.
//!
//! Before the statement: its plan as the adapters see it, the latency to expect, the patterns near. After it: the surprise
//! is remembered, what the adapters of its operator types are to learn is summed up and applied each hundred statements,
//! and the trajectory is left for loop B.

use super::adapters::AdapterGradient;
use super::engine::DagSonaEngine;
use super::memory::Seen;
use super::model::{LatencyPrediction, LatencyQuery};
use crate::attention::AttentionScores;
use crate::embedding::PlanEmbedding;
use crate::patterns::Match;
use crate::trajectory::{LearningSignal, Trajectory, type_attention};
use crate::{Error, OperatorType, QueryDag};

/// Patterns that are looked for.
const MATCHES: usize = 5;
/// Executions seen anew with each statement after the adapters changed: with 2,000 remembered and a flush each 100
/// statements nearly all before the next one.
const READAPTED: usize = 16;
/// Cosine from which a plan is of a pattern.
pub(super) const NEAR: f32 = 0.9;

/// What is known before a statement runs.
#[derive(Debug, Clone, PartialEq)]
pub struct PreQuery {
    /// The embedding of its plan.
    pub embedding: PlanEmbedding,
    /// The same as the adapters see it.
    pub adapted: PlanEmbedding,
    /// The types of its operators and the attention that each got.
    pub operator_types: Vec<(OperatorType, f32)>,
    /// The latency to expect.
    pub prediction: LatencyPrediction,
    /// The patterns near it, nearest first.
    pub matches: Vec<Match>,
}

/// What was learned after a statement ran.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PostQuery {
    /// What was expected from all that was known before.
    pub expected: LatencyPrediction,
    /// By how much that was wrong: the absolute error of the natural logarithm.
    pub surprise: f64,
    /// Whether there was room for the trajectory.
    pub is_recorded: bool,
    /// Whether the adapters of the operator types changed now.
    pub is_flushed: bool,
}

impl DagSonaEngine {
    /// What is known of a plan with these scores before it runs.
    ///
    /// Complexity: O(operators · features + types · rank · dimensions), and O((memory + patterns) · dimensions) for the
    /// search unless the statement is recalled.
    ///
    /// # Errors
    /// [`Error::InvalidEmbedding`] when there are not as many scores as operators.
    pub fn pre_query(
        &self,
        dag: &QueryDag,
        scores: &AttentionScores,
        query: &LatencyQuery,
    ) -> Result<PreQuery, Error> {
        let embedding = PlanEmbedding::new(dag, scores)?;
        let operator_types = type_attention(dag, scores);
        let seen = self.model.adapt(&embedding, &operator_types);
        let matches = self.bank.search(&embedding, MATCHES, NEAR);
        Ok(PreQuery {
            prediction: self.predict_adapted(query, &seen, &matches),
            embedding,
            adapted: seen.0,
            operator_types,
            matches,
        })
    }

    /// The latency to expect of a plan with this embedding and these operator types.
    pub fn predict(
        &self,
        query: &LatencyQuery,
        embedding: &PlanEmbedding,
        types: &[(OperatorType, f32)],
    ) -> LatencyPrediction {
        let matches = self.bank.search(embedding, MATCHES, NEAR);
        self.predict_adapted(query, &self.model.adapt(embedding, types), &matches)
    }

    fn predict_adapted(&self, query: &LatencyQuery, seen: &Seen, matches: &[Match]) -> LatencyPrediction {
        let patterns = matches.iter().filter_map(|found| {
            let pattern = self.bank.get(found.id)?;
            Some((f64::from(found.similarity), pattern.log_latency))
        });
        self.model.predict(query, seen, patterns)
    }

    /// Learns from a run at once, and leaves it for loop B.
    ///
    /// Complexity: O((memory + types · rank) · dimensions).
    pub fn post_query(&mut self, trajectory: Trajectory) -> PostQuery {
        let observed = self.model.observe(&trajectory);
        let mut is_flushed = false;
        if self.model.mechanisms.lora {
            let boost = self.boost_of(&trajectory.embedding);
            self.accumulate(observed.signal(&trajectory), boost);
            // Steps that can be compared say more than the whole.
            if trajectory.steps.len() > 1 {
                self.accumulate(LearningSignal::from_trajectory(&trajectory), boost);
            }
            is_flushed = self.flush_when_due();
        }
        PostQuery {
            expected: observed.predicted,
            surprise: observed.surprise,
            is_recorded: self.buffer.push(trajectory),
            is_flushed,
        }
    }

    fn accumulate(&mut self, mut signal: LearningSignal, boost: f32) {
        signal.quality *= boost;
        self.model.adapters.micro.accumulate(&signal);
    }

    fn flush_when_due(&mut self) -> bool {
        self.since_flush += 1;
        let is_due = self.since_flush >= self.config.flush_interval;
        if is_due {
            self.since_flush = 0;
            self.flush();
        }
        self.model.readapt_some(READAPTED);
        is_due
    }

    /// Applies what the adapters of the operator types are to learn, held back by what is to be kept.
    fn flush(&mut self) {
        let Some(of_micro) = self.model.adapters.micro.take_gradient() else {
            return;
        };
        let mut gradient = vec![0.0; self.model.adapters.base.parameters().len()];
        gradient.extend(of_micro);
        let mut gradient = AdapterGradient(gradient);
        let rate = self.config.micro_learning_rate;
        if self.model.mechanisms.ewc {
            self.model
                .adapters
                .update_constrained(&mut gradient, &self.ewc, rate);
        } else {
            self.model.adapters.update(&gradient, rate);
        }
        self.model.memory.mark_stale();
    }

    /// By how much more is learned from this plan: the greatest boost of the patterns near it.
    fn boost_of(&self, embedding: &PlanEmbedding) -> f32 {
        let boosts = self.boosts.iter().filter(|(id, _)| {
            let pattern = self.bank.get(**id);
            pattern.is_some_and(|pattern| pattern.centroid.cosine(embedding) >= NEAR)
        });
        boosts.map(|(_, &boost)| boost).fold(1.0, f32::max)
    }
}

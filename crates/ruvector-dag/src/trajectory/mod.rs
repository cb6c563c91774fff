//! Stage 7 of 9, trajectory: what one execution did, and what can be learned from it.
//!
//! A session makes a [`Trajectory`] of every execution it watches ([`TrajectoryBuilder`]), rates it ([`reward`]) and puts
//! it into a [`TrajectoryBuffer`], never waiting. The learner drains the buffer and turns each trajectory into a
//! [`LearningSignal`].

pub mod reward;
mod buffer;
mod signal;

pub use buffer::TrajectoryBuffer;
pub use signal::LearningSignal;

use crate::attention::{AttentionScores, MechanismId};
use crate::embedding::{PlanEmbedding, operator_coordinates, operator_features};
use crate::{OperatorType, QueryDag};
use serde::{Deserialize, Serialize};

/// One step of an execution: what was seen when, and how good it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What was seen: up to 256 coordinates in the space of embeddings; those that are missing count as 0.
    pub activations: Vec<f32>,
    /// The attention paid, one share per thing attended to; informative, and free in its length.
    pub attention: Vec<f32>,
    /// How good the step was, greater is better.
    pub reward: f32,
    /// When, in microseconds of the caller's clock.
    pub at_us: u64,
}

/// One execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trajectory {
    /// The statement class, constants included.
    pub statement: u64,
    /// The statement class, constants left out.
    pub template: u64,
    /// Which decision the plan was made with; 0 is stock.
    pub decision: u64,
    /// The attention mechanism that weighed the operators, if one was chosen.
    pub mechanism: Option<MechanismId>,
    /// The embedding of the executed plan.
    pub embedding: PlanEmbedding,
    /// The operator types of the plan and the attention that each got; the shares sum to 1.
    pub operator_types: Vec<(OperatorType, f32)>,
    /// Natural logarithm of the planner's total cost.
    pub log_cost: f64,
    /// Natural logarithm of the latency in milliseconds.
    pub log_latency: f64,
    /// Whether the execution was cancelled, so that the latency is a lower bound.
    pub is_cut_off: bool,
    /// Natural logarithm of the stock plan's latency in milliseconds, where it is known.
    pub baseline_log_latency: Option<f64>,
    /// The reward, in [0, 1]: see [`reward::quality`].
    pub quality: f32,
    /// The steps, in the order they were taken.
    pub steps: Vec<Step>,
    /// When the execution ended, in microseconds of the caller's clock.
    pub at_us: u64,
}

/// A trajectory under construction: of the stock plan, without attention and without steps, until told otherwise.
#[derive(Debug, Clone)]
pub struct TrajectoryBuilder {
    trajectory: Trajectory,
}

impl TrajectoryBuilder {
    /// An execution of the plan with this embedding, of this statement class and template.
    pub fn new(statement: u64, template: u64, embedding: PlanEmbedding) -> Self {
        Self {
            trajectory: Trajectory {
                statement,
                template,
                decision: 0,
                mechanism: None,
                embedding,
                operator_types: Vec::new(),
                log_cost: 0.0,
                log_latency: 0.0,
                is_cut_off: false,
                baseline_log_latency: None,
                quality: 0.0,
                steps: Vec::new(),
                at_us: 0,
            },
        }
    }

    /// Which decision the plan was made with.
    #[must_use]
    pub fn decision(mut self, decision: u64) -> Self {
        self.trajectory.decision = decision;
        self
    }

    /// Which mechanism weighed the operators.
    #[must_use]
    pub fn mechanism(mut self, mechanism: MechanismId) -> Self {
        self.trajectory.mechanism = Some(mechanism);
        self
    }

    /// The attention each operator type got, as [`type_attention`] gives it.
    #[must_use]
    pub fn operator_types(mut self, types: Vec<(OperatorType, f32)>) -> Self {
        self.trajectory.operator_types = types;
        self
    }

    /// The planner's total cost; only positive costs have a logarithm, others count as the smallest.
    #[must_use]
    pub fn cost(mut self, total_cost: f64) -> Self {
        self.trajectory.log_cost = reward::log_of_positive(total_cost);
        self
    }

    /// The stock plan's latency in milliseconds.
    #[must_use]
    pub fn baseline(mut self, latency_ms: f64) -> Self {
        self.trajectory.baseline_log_latency = Some(reward::log_of_positive(latency_ms));
        self
    }

    /// That the execution was cancelled.
    #[must_use]
    pub fn cut_off(mut self) -> Self {
        self.trajectory.is_cut_off = true;
        self
    }

    /// Adds a step.
    pub fn add_step(&mut self, activations: Vec<f32>, attention: Vec<f32>, reward: f32, at_us: u64) {
        self.trajectory.steps.push(Step {
            activations,
            attention,
            reward,
            at_us,
        });
    }

    /// Adds a step for each operator whose rows were counted, in the order of the plan's nodes: what the operator alone
    /// would be in the embedding of the plan as it was planned, its attention, and one over its q-error as the reward.
    /// The signal then leads from operators whose rows the planner gets wrong to those it gets right. Nothing where there
    /// are not as many scores as operators.
    ///
    /// Complexity: O(V · features).
    pub fn add_operators(&mut self, dag: &QueryDag, scores: &AttentionScores, at_us: u64) {
        let scores = scores.as_slice();
        if scores.len() != dag.len() {
            return;
        }
        let features = operator_features(&dag.as_planned());
        for ((node, features), &score) in dag.nodes().zip(&features).zip(scores) {
            if let Some(counted) = node.actual_rows {
                let reward = reward::of_row_count(node.rows, counted);
                self.add_step(
                    operator_coordinates(features).to_vec(),
                    vec![score as f32],
                    reward,
                    at_us,
                );
            }
        }
    }

    /// The trajectory of an execution that ended at `at_us` after `latency_ms` milliseconds, rated by
    /// [`reward::quality`].
    pub fn build(self, latency_ms: f64, at_us: u64) -> Trajectory {
        let mut trajectory = self.trajectory;
        trajectory.log_latency = reward::log_of_positive(latency_ms);
        trajectory.at_us = at_us;
        trajectory.quality = reward::quality(
            trajectory.log_latency,
            trajectory.baseline_log_latency,
            trajectory.is_cut_off,
        );
        trajectory
    }
}

/// The attention that each operator type of a plan got, by code; the shares sum to 1. Empty for an empty plan and where
/// there are not as many scores as operators.
///
/// Complexity: O(V log T) for T types.
pub fn type_attention(dag: &QueryDag, scores: &AttentionScores) -> Vec<(OperatorType, f32)> {
    let scores = scores.as_slice();
    if scores.len() != dag.len() {
        return Vec::new();
    }
    let mut shares: Vec<(OperatorType, f32)> = Vec::new();
    for (node, &score) in dag.nodes().zip(scores) {
        match shares.binary_search_by_key(&node.operator_type, |&(kind, _)| kind) {
            Ok(at) => shares
                .get_mut(at)
                .into_iter()
                .for_each(|(_, share)| *share += score as f32),
            Err(at) => shares.insert(at, (node.operator_type, score as f32)),
        }
    }
    let sum: f32 = shares.iter().map(|(_, share)| share).sum();
    if sum > 0.0 {
        shares.iter_mut().for_each(|(_, share)| *share /= sum);
    }
    shares
}

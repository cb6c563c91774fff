//! Stage 8 of 9, learning: the model of log latency that all three loops work on.
//!
//! A statement that ran under the decision is recalled; else the line through log cost is corrected by the nearest
//! executions in the space of the adapters; else the line is all there is. Each of these has its own calibration, and
//! neighbours have two: where some are of the statement's template, and where all are strangers.

use super::adapters::PlanAdapters;
use super::base_lora::BaseLora;
use super::config::{Mechanisms, SonaConfig};
use super::conformal::Calibration;
use super::latency::{self, CostLine, Neighbour};
use super::memory::{Execution, ExecutionMemory};
use super::micro_lora::MicroLora;
use crate::embedding::{DIMENSIONS, PlanEmbedding};
use crate::trajectory::{LearningSignal, Trajectory};
use crate::{Error, OperatorType};
use serde::{Deserialize, Serialize};

/// Where a prediction comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The statement ran under this decision.
    Recalled,
    /// The nearest executions, some of them of the statement's template.
    Template,
    /// The nearest executions, none of them of the statement's template.
    Strangers,
    /// The line through log cost.
    CostAlone,
}

/// A predicted latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyPrediction {
    /// The natural logarithm of the latency in milliseconds.
    pub log_latency: f64,
    /// Its standard deviation, calibrated: 90 % of the truths are within 1.645 of these.
    pub deviation: f64,
    /// Where it comes from.
    pub source: Source,
}

impl LatencyPrediction {
    /// Milliseconds between which 90 % of the latencies are expected.
    pub fn interval_90(&self) -> (f64, f64) {
        let reach = 1.645 * self.deviation;
        ((self.log_latency - reach).exp(), (self.log_latency + reach).exp())
    }
}

/// What a prediction is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyQuery {
    /// The statement's class, constants included.
    pub statement: u64,
    /// The statement's class, constants left out.
    pub template: u64,
    /// The decision, 0 for stock.
    pub decision: u64,
    /// The natural logarithm of the planner's total cost.
    pub log_cost: f64,
}

impl LatencyQuery {
    /// What predicts a trajectory.
    pub fn of(trajectory: &Trajectory) -> Self {
        Self {
            statement: trajectory.statement,
            template: trajectory.template,
            decision: trajectory.decision,
            log_cost: trajectory.log_cost,
        }
    }
}

/// Deviation of a recalled latency before calibration, after one run.
const RECALLED_DEVIATION: f64 = 0.2;

#[derive(Debug, Clone)]
pub(super) struct LatencyModel {
    pub(super) line: CostLine,
    pub(super) memory: ExecutionMemory,
    pub(super) adapters: PlanAdapters,
    /// In the order of [`Source`].
    pub(super) calibrations: [Calibration; 4],
    pub(super) mechanisms: Mechanisms,
    neighbours: usize,
}

impl LatencyModel {
    pub(super) fn new(config: &SonaConfig) -> Result<Self, Error> {
        Ok(Self {
            line: CostLine::default(),
            memory: ExecutionMemory::new(config.memory_capacity),
            adapters: PlanAdapters {
                base: BaseLora::new(config.base_rank, config.seed)?,
                micro: MicroLora::new(config.micro_rank, config.seed)?,
            },
            calibrations: Default::default(),
            mechanisms: config.mechanisms,
            neighbours: config.neighbours,
        })
    }

    /// A plan as the adapters see it.
    pub(super) fn adapt(&self, embedding: &PlanEmbedding, types: &[(OperatorType, f32)]) -> PlanEmbedding {
        if self.mechanisms.lora {
            self.adapters.forward(embedding, types)
        } else {
            embedding.clone()
        }
    }

    /// Sees all executions anew, after the adapters changed.
    pub(super) fn readapt(&mut self) {
        let mut memory = std::mem::take(&mut self.memory);
        memory.adapt(|known| self.adapt(&known.embedding, &known.operator_types));
        self.memory = memory;
    }

    /// The latency to expect; `patterns` near the plan, by cosine and log latency, count where no execution is remembered.
    pub(super) fn predict(
        &self,
        query: &LatencyQuery,
        adapted: &PlanEmbedding,
        patterns: impl Iterator<Item = (f64, f64)>,
    ) -> LatencyPrediction {
        self.calibrated(self.recalled(query).unwrap_or_else(|| {
            let mut neighbours = self.nearest(adapted, |_| true);
            if neighbours.is_empty() && self.mechanisms.neighbours {
                let expected = self.line.at(query.log_cost);
                neighbours.extend(patterns.map(|(cosine, log_latency)| Neighbour {
                    at: usize::MAX,
                    cosine,
                    residual: log_latency - expected,
                }));
            }
            self.corrected(query, &neighbours)
        }))
    }

    fn recalled(&self, query: &LatencyQuery) -> Option<LatencyPrediction> {
        let known = self.memory.get(query.statement, query.decision)?;
        (self.mechanisms.recall && !known.is_cut_off).then(|| LatencyPrediction {
            log_latency: known.log_latency,
            deviation: RECALLED_DEVIATION * (1.0 + 1.0 / f64::from(known.runs.max(1))).sqrt(),
            source: Source::Recalled,
        })
    }

    /// The line and what its neighbours add, before calibration.
    pub(super) fn corrected(&self, query: &LatencyQuery, neighbours: &[Neighbour]) -> LatencyPrediction {
        let of_near = |near: &Neighbour| self.memory.executions().get(near.at);
        let is_known = |near: &Neighbour| of_near(near).is_some_and(|known| known.template == query.template);
        let spread = self.line.deviation();
        let correction = latency::correction(neighbours, spread);
        LatencyPrediction {
            log_latency: self.line.at(query.log_cost) + correction.residual,
            deviation: correction.deviation,
            source: match neighbours {
                [] => Source::CostAlone,
                _ if neighbours.iter().any(is_known) => Source::Template,
                _ => Source::Strangers,
            },
        }
    }

    fn calibrated(&self, prediction: LatencyPrediction) -> LatencyPrediction {
        let factor = self.calibrations[prediction.source as usize].factor();
        LatencyPrediction {
            deviation: prediction.deviation * factor,
            ..prediction
        }
    }

    /// The nearest executions among those asked for, with what the line misses at them.
    pub(super) fn nearest(
        &self,
        adapted: &PlanEmbedding,
        is_asked: impl Fn(&Execution) -> bool,
    ) -> Vec<Neighbour> {
        if !self.mechanisms.neighbours {
            return Vec::new();
        }
        let known = self.memory.executions();
        let all = known.iter().zip(self.memory.adapted()).enumerate();
        let asked = all.filter(|(_, (known, _))| is_asked(known));
        let candidates = asked.map(|(at, (_, adapted))| (at, adapted));
        let mut found = latency::nearest(adapted, candidates, self.neighbours);
        for near in &mut found {
            near.residual = known.get(near.at).map_or(0.0, |known| self.residual(known));
        }
        found
    }

    /// What the line misses.
    pub(super) fn residual(&self, known: &Execution) -> f64 {
        known.log_latency - self.line.at(known.log_cost)
    }

    /// Learns from a run at once: the calibration, the line, the memory. Answers the signed error ŷ − y of the prediction
    /// from what was known before; none where a run was cut off above it.
    pub(super) fn observe(&mut self, trajectory: &Trajectory) -> Observed {
        let adapted = self.adapt(&trajectory.embedding, &trajectory.operator_types);
        let query = LatencyQuery::of(trajectory);
        let neighbours = self.nearest(&adapted, |known| known.statement != trajectory.statement);
        let by_neighbours = self.corrected(&query, &neighbours);
        let prediction = self.recalled(&query).unwrap_or(by_neighbours);
        let error = |predicted: f64| {
            let error = predicted - trajectory.log_latency;
            // A bound that is reached is no error.
            if trajectory.is_cut_off {
                error.min(0.0)
            } else {
                error
            }
        };
        let surprise = error(prediction.log_latency).abs();
        let gradient = self.gradient(&neighbours, error(by_neighbours.log_latency));
        if !trajectory.is_cut_off {
            self.calibrations[prediction.source as usize].add(surprise, prediction.deviation);
            self.line.add(trajectory.log_cost, trajectory.log_latency);
        }
        self.memory.add(trajectory, adapted, surprise);
        Observed {
            predicted: self.calibrated(prediction),
            surprise,
            gradient,
            between: self.adapters.base.forward(&trajectory.embedding),
        }
    }

    /// Merges the adapters of the operator types into that of all plans, for a workload of these attention shares, unless
    /// predictions from what is remembered get worse by it; either way they begin anew.
    pub(super) fn merge_micro(&mut self, shares: &[(OperatorType, f32)], seed: u64) {
        let before = self.adapters.base.clone();
        let rank = self.adapters.micro.rank();
        self.adapters.base.merge(&self.adapters.micro, shares);
        if let Ok(micro) = MicroLora::new(rank, seed) {
            self.adapters.micro = micro;
        }
        let merged = std::mem::replace(&mut self.adapters.base, before);
        self.readapt();
        let without = super::training::error(self);
        let before = std::mem::replace(&mut self.adapters.base, merged);
        self.readapt();
        if super::training::error(self) > without {
            self.adapters.base = before;
            self.readapt();
        }
    }

    /// By how much an execution is missed when it is predicted from other statements.
    pub(super) fn surprise(&self, at: usize) -> f64 {
        let known = self
            .memory
            .executions()
            .get(at)
            .zip(self.memory.adapted().get(at));
        known.map_or(0.0, |(execution, adapted)| {
            let neighbours = self.nearest(adapted, |other| other.statement != execution.statement);
            let missed = latency::correction(&neighbours, 0.0).residual - self.residual(execution);
            if execution.is_cut_off {
                missed.min(0.0)
            } else {
                missed
            }
            .abs()
        })
    }

    /// The gradients of the squared error of a run and of its prediction, by the parameters of the adapter of all plans.
    pub(super) fn gradients(&self, trajectory: &Trajectory) -> (Vec<f32>, Vec<f32>) {
        let adapted = self.adapt(&trajectory.embedding, &trajectory.operator_types);
        let neighbours = self.nearest(&adapted, |known| known.statement != trajectory.statement);
        let query = LatencyQuery::of(trajectory);
        let error = self.corrected(&query, &neighbours).log_latency - trajectory.log_latency;
        let error = if trajectory.is_cut_off {
            error.min(0.0)
        } else {
            error
        };
        // Half of the gradient of an error of one is that of the prediction.
        let of_prediction = self.gradient(&neighbours, 0.5);
        let score = self.adapters.base.gradient(&trajectory.embedding, &of_prediction);
        let loss = score.iter().map(|number| number * (2.0 * error) as f32).collect();
        (loss, score)
    }

    /// The gradient of the squared error by the adapted embedding.
    fn gradient(&self, neighbours: &[Neighbour], error: f64) -> Vec<f32> {
        let mut gradient = vec![0.0; DIMENSIONS];
        for (near, pull) in neighbours.iter().zip(latency::pulls(neighbours)) {
            if let Some(adapted) = self.memory.adapted().get(near.at) {
                simd::axpy((2.0 * error * pull) as f32, adapted.as_slice(), &mut gradient);
            }
        }
        gradient
    }
}

/// What a run taught.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    /// What was predicted before.
    pub(super) predicted: LatencyPrediction,
    /// The absolute error.
    pub(super) surprise: f64,
    /// Of the squared error of the neighbours' prediction, by the adapted embedding.
    gradient: Vec<f32>,
    /// The embedding as the adapters of the operator types get it.
    between: PlanEmbedding,
}

impl Observed {
    /// As the adapters per operator type take it.
    pub(super) fn signal(&self, trajectory: &Trajectory) -> LearningSignal {
        let types = trajectory.operator_types.clone();
        LearningSignal::from_loss(self.between.clone(), types, &self.gradient)
    }
}

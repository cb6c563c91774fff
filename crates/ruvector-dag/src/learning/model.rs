//! Stage 8 of 9, learning: the model of log latency that all three loops work on.
//!
//! A statement that ran under the decision is recalled; else the line through log cost is corrected by the nearest
//! executions in the space of the adapters; else the line is all there is. Each of these has its own calibration, and
//! neighbours have two: where some are of the statement's template, and where all are strangers.

use super::adapters::PlanAdapters;
use super::base_lora::BaseLora;
use super::btsp_memory::{BtspConfig, BtspMemory};
use super::config::{Mechanisms, SonaConfig};
use super::conformal::Calibration;
use super::latency::{self, CostLine, Neighbour};
use super::memory::{Execution, ExecutionMemory, Seen};
use super::micro_lora::MicroLora;
use super::readout::Readout;
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
    /// The latency to expect, in milliseconds: always finite.
    pub fn expected_ms(&self) -> f64 {
        self.log_latency.clamp(-MOST, MOST).exp()
    }

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

/// The greatest logarithm of milliseconds that is predicted, and of how far off it may be: e^100 is no latency, but with
/// 1.645 deviations of it still a number.
const MOST: f64 = 100.0;
/// Deviation of a recalled latency before calibration, after one run.
pub(super) const RECALLED_DEVIATION: f64 = 0.2;

/// Executions whose nearest strangers are looked for.
const REACH_CASES: usize = 256;

#[derive(Debug, Clone)]
pub(super) struct LatencyModel {
    /// Of all that was seen, the old ever less so.
    pub(super) line: CostLine,
    /// The line that the readout adds to, from the end of the first task on: what is kept of a task would not fit a line
    /// that follows the next one. Until then the line after the latest training.
    pub(super) reference: CostLine,
    /// Whether a task has ended.
    pub(super) is_anchored: bool,
    pub(super) readout: Readout,
    pub(super) memory: ExecutionMemory,
    pub(super) adapters: PlanAdapters,
    /// What surprised beyond its interval, remembered longer than other executions are.
    pub(super) shots: BtspMemory,
    /// The time of the latest execution.
    pub(super) now_us: u64,
    /// In the order of [`Source`].
    pub(super) calibrations: [Calibration; 4],
    pub(super) mechanisms: Mechanisms,
    /// The squared distance within which most of what is remembered has an execution of another template.
    pub(super) reach: f64,
    neighbours: usize,
}

impl LatencyModel {
    pub(super) fn new(config: &SonaConfig) -> Result<Self, Error> {
        Ok(Self {
            line: CostLine::default(),
            reference: CostLine::default(),
            is_anchored: false,
            readout: Readout::new(config.seed),
            memory: ExecutionMemory::new(config.memory_capacity),
            adapters: PlanAdapters {
                base: BaseLora::new(config.base_rank, config.seed)?,
                micro: MicroLora::new(config.micro_rank, config.seed)?,
            },
            shots: BtspMemory::new(BtspConfig {
                capacity: (config.memory_capacity / 2).clamp(1, BtspConfig::default().capacity),
                ..BtspConfig::default()
            })?,
            now_us: 0,
            calibrations: Default::default(),
            mechanisms: config.mechanisms,
            reach: f64::INFINITY,
            neighbours: config.neighbours,
        })
    }

    /// A plan as the adapters see it, and what the readout adds to the line for it.
    pub(super) fn adapt(&self, embedding: &PlanEmbedding, types: &[(OperatorType, f32)]) -> Seen {
        if !self.mechanisms.lora {
            return (embedding.clone(), 0.0);
        }
        let adapted = self.adapters.forward(embedding, types);
        let offset = self.readout.offset(embedding, &adapted);
        (adapted, offset)
    }

    /// Sees all executions anew, after the adapters changed.
    pub(super) fn readapt(&mut self) {
        let mut memory = std::mem::take(&mut self.memory);
        memory.adapt(|known| self.adapt(&known.embedding, &known.operator_types));
        self.memory = memory;
    }

    /// Sees up to `count` of those that wait since the adapters changed anew.
    pub(super) fn readapt_some(&mut self, count: usize) {
        let mut memory = std::mem::take(&mut self.memory);
        memory.adapt_some(count, |known| self.adapt(&known.embedding, &known.operator_types));
        self.memory = memory;
    }

    /// The line that readout and neighbours correct.
    pub(super) fn prior(&self) -> &CostLine {
        let is_fixed = self.mechanisms.lora && !self.reference.is_empty();
        if is_fixed { &self.reference } else { &self.line }
    }

    /// The latency to expect; `patterns` near the plan, by cosine and log latency, count where no execution is remembered.
    pub(super) fn predict(
        &self,
        query: &LatencyQuery,
        seen: &Seen,
        patterns: impl Iterator<Item = (f64, f64)>,
    ) -> LatencyPrediction {
        self.calibrated(self.recalled(query).unwrap_or_else(|| {
            let mut neighbours = self.nearest(&seen.0, |_| true);
            if neighbours.is_empty() && self.mechanisms.neighbours {
                let expected = self.prior().at(query.log_cost) + seen.1;
                neighbours.extend(patterns.map(|(cosine, log_latency)| Neighbour {
                    at: usize::MAX,
                    cosine,
                    residual: log_latency - expected,
                }));
            }
            self.corrected(query, seen.1, &neighbours)
        }))
    }

    fn recalled(&self, query: &LatencyQuery) -> Option<LatencyPrediction> {
        if !self.mechanisms.recall {
            return None;
        }
        match self.memory.get(query.statement, query.decision) {
            Some(known) => (!known.is_cut_off).then(|| LatencyPrediction {
                log_latency: known.log_latency,
                deviation: RECALLED_DEVIATION * (1.0 + 1.0 / f64::from(known.runs.max(1))).sqrt(),
                source: Source::Recalled,
            }),
            None => self.recalled_in_one_shot(query),
        }
    }

    /// The line and what its neighbours add, before calibration.
    pub(super) fn corrected(
        &self,
        query: &LatencyQuery,
        offset: f64,
        neighbours: &[Neighbour],
    ) -> LatencyPrediction {
        let of_near = |near: &Neighbour| self.memory.executions().get(near.at);
        let is_known = |near: &Neighbour| of_near(near).is_some_and(|known| known.template == query.template);
        let spread = self.line.deviation();
        let correction = latency::correction(neighbours, spread, self.reach);
        LatencyPrediction {
            log_latency: self.prior().at(query.log_cost) + offset + correction.residual,
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
            log_latency: prediction.log_latency.clamp(-MOST, MOST),
            deviation: (prediction.deviation * factor).min(MOST),
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
            near.residual = self.residual(near.at);
        }
        found
    }

    /// What line and readout miss at an execution.
    pub(super) fn residual(&self, at: usize) -> f64 {
        let known = self.memory.executions().get(at);
        known.map_or(0.0, |known| {
            known.log_latency - self.prior().at(known.log_cost) - self.memory.offset(at)
        })
    }

    /// Learns from a run at once: the calibration, the line, the memory. Answers the signed error ŷ − y of the prediction
    /// from what was known before; none where a run was cut off above it.
    pub(super) fn observe(&mut self, trajectory: &Trajectory) -> Observed {
        let seen = self.adapt(&trajectory.embedding, &trajectory.operator_types);
        let query = LatencyQuery::of(trajectory);
        let neighbours = self.nearest(&seen.0, |known| known.statement != trajectory.statement);
        let by_neighbours = self.corrected(&query, seen.1, &neighbours);
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
        let mut gradient = self.gradient(&neighbours, error(by_neighbours.log_latency));
        simd::axpy(
            2.0 * self.missed(trajectory) as f32,
            self.readout.weights(),
            &mut gradient,
        );
        if !trajectory.is_cut_off {
            if prediction.source == Source::Recalled || !self.line.is_young() {
                self.calibrations[prediction.source as usize].add(surprise, prediction.deviation);
            }
            self.line.add(trajectory.log_cost, trajectory.log_latency);
        }
        let predicted = self.calibrated(prediction);
        self.remember_surprise(trajectory, &predicted, surprise);
        self.memory.add(trajectory, seen, surprise);
        Observed {
            predicted,
            surprise,
            gradient,
            between: self.adapters.base.forward(&trajectory.embedding),
        }
    }

    /// Finds how far plans are from those of other templates, within which neighbours are believed.
    pub(super) fn find_reach(&mut self) {
        let known = self.memory.executions().iter().zip(self.memory.adapted());
        let stride = self.memory.executions().len().div_ceil(REACH_CASES).max(1);
        let nearest = known.step_by(stride).filter_map(|(execution, adapted)| {
            let strangers = self.nearest(adapted, |other| other.template != execution.template);
            strangers.first().map(latency::squared_distance)
        });
        let mut distances: Vec<f64> = nearest.collect();
        distances.sort_by(f64::total_cmp);
        let most = distances.len() * 19 / 20;
        self.reach = distances.get(most).copied().unwrap_or(f64::INFINITY);
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
            let missed = latency::correction(&neighbours, 0.0, self.reach).residual - self.residual(at);
            if execution.is_cut_off {
                missed.min(0.0)
            } else {
                missed
            }
            .abs()
        })
    }

    /// The gradient of the squared error by the adapted embedding.
    fn gradient(&self, neighbours: &[Neighbour], error: f64) -> Vec<f32> {
        let mut gradient = vec![0.0; DIMENSIONS];
        for (near, pull) in neighbours.iter().zip(latency::pulls(neighbours, self.reach)) {
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

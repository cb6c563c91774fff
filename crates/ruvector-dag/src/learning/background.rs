//! Stage 8 of 9, learning: loop B. Drains the buffer, notices another workload, trains the adapter of all plans under
//! EWC++, calibrates, and turns trajectories into patterns: k-means++ over their plans, per cluster the best decision.

use super::conformal::Calibration;
use super::engine::DagSonaEngine;
use super::model::{LatencyModel, LatencyQuery, Source};
use super::training::{Training, is_held_out, train_validated};
use crate::Error;
use crate::embedding::PlanEmbedding;
use crate::interruptible::{IsOver, check};
use crate::patterns::Pattern;
use crate::patterns::kmeans::{Clustering, MAX_ITERATIONS, kmeans_pp_until};
use crate::trajectory::Trajectory;
use std::collections::BTreeMap;

/// The eligibility below which what was remembered in one shot goes: three days by default.
const FADED: f64 = 0.05;

/// What a run of loop B did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BackgroundReport {
    /// Trajectories drained.
    pub drained: usize,
    /// Of these good enough to become patterns.
    pub kept: usize,
    /// Patterns found in them.
    pub found: usize,
    /// Patterns that were near-equal to others and became one with them.
    pub merged: usize,
    /// Patterns that had to go.
    pub evicted: usize,
    /// What training did.
    pub training: Training,
    /// Whether what the readout learned stays.
    pub is_readout_kept: bool,
    /// Whether another workload was noticed, so that what was learned is kept from now on.
    pub is_boundary: bool,
}

impl DagSonaEngine {
    /// Loop B at this time.
    ///
    /// Complexity: O(steps · memory · (neighbours + rank) · dimensions + min(memory, 1,000) · memory · dimensions) for
    /// training, O(trajectories · clusters · dimensions) per iteration for clustering.
    pub fn background_learn(&mut self, now_us: u64) -> BackgroundReport {
        // Nobody stops it.
        self.background_learn_until(now_us, &mut || false)
            .unwrap_or_default()
    }

    /// As [`DagSonaEngine::background_learn`], unless it is over before.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when it is: the trajectories are drained and some of them learned from, so that whoever wants
    /// all or nothing goes back to a state that was kept.
    pub fn background_learn_until(
        &mut self,
        now_us: u64,
        is_over: &mut IsOver<'_>,
    ) -> Result<BackgroundReport, Error> {
        let trajectories = self.buffer.drain();
        let mut report = BackgroundReport {
            drained: trajectories.len(),
            ..BackgroundReport::default()
        };
        if self.model.mechanisms.lora {
            report.is_boundary = self.watch(&trajectories, is_over)?;
            report.is_readout_kept = self.train_readout(&trajectories, is_over)?;
            let work = (self.config.training_steps, self.config.base_learning_rate);
            let ewc = self.model.mechanisms.ewc.then_some(&self.ewc);
            report.training = train_validated(&mut self.model, ewc, work, &mut *is_over);
        }
        check(is_over)?;
        self.model.find_reach();
        calibrate(&mut self.model, is_over)?;
        let threshold = self.config.quality_threshold;
        let kept: Vec<&Trajectory> = trajectories
            .iter()
            .filter(|seen| seen.quality >= threshold)
            .collect();
        report.kept = kept.len();
        report.found = self.find_patterns(&kept, now_us, is_over)?;
        report.merged = self.bank.merge_similar_until(is_over)?;
        self.bank.decay(now_us);
        report.evicted = self.bank.evict(self.config.pattern_capacity).len();
        self.fade_boosts();
        self.model.shots.fade(now_us, FADED);
        Ok(report)
    }

    /// Shows the gradients of new trajectories to EWC++; ends the task at hand where they become others.
    fn watch(&mut self, trajectories: &[Trajectory], is_over: &mut IsOver<'_>) -> Result<bool, Error> {
        let mut is_boundary = false;
        let untrained = LatencyModel::new(&self.config)?;
        for trajectory in trajectories.iter().filter(|_| self.model.mechanisms.ewc) {
            check(is_over)?;
            let mut gradient = untrained.score(trajectory).1;
            let error = self.model.missed(trajectory);
            gradient.0.iter_mut().for_each(|number| *number *= error as f32);
            if self.ewc.notices(&gradient.0) {
                is_boundary |= self.ewc.consolidate(&self.model.adapters.parameters());
            }
        }
        self.model.is_anchored |= is_boundary;
        Ok(is_boundary)
    }

    fn train_readout(
        &mut self,
        trajectories: &[Trajectory],
        is_over: &mut IsOver<'_>,
    ) -> Result<bool, Error> {
        if !self.model.is_anchored {
            self.model.reference = self.model.line;
        }
        let ewc = self.model.mechanisms.ewc.then_some(&mut self.ewc);
        let rate = self.config.micro_learning_rate;
        self.model.train_readout(trajectories, ewc, rate, is_over)
    }

    /// Turns trajectories into patterns; answers how many.
    fn find_patterns(
        &mut self,
        trajectories: &[&Trajectory],
        now_us: u64,
        is_over: &mut IsOver<'_>,
    ) -> Result<usize, Error> {
        let points: Vec<&PlanEmbedding> = trajectories.iter().map(|seen| &seen.embedding).collect();
        let (clusters, seed) = (self.config.clusters, self.config.seed);
        let clustering = kmeans_pp_until(&points, clusters, seed, MAX_ITERATIONS, is_over)?;
        Ok(self.store_patterns(trajectories, &clustering, now_us))
    }

    /// Stores a pattern per cluster of trajectories; answers how many.
    pub(super) fn store_patterns(
        &mut self,
        trajectories: &[&Trajectory],
        clustering: &Clustering,
        now_us: u64,
    ) -> usize {
        let mut found = 0;
        for (centroid, members) in clustering.centroids.iter().zip(clustering.members()) {
            let members: Vec<&Trajectory> = members
                .into_iter()
                .filter_map(|at| trajectories.get(at).copied())
                .collect();
            let Ok(centroid) = PlanEmbedding::normalised(centroid) else {
                continue;
            };
            let pattern = self.pattern(centroid, &members, now_us);
            found += usize::from(!members.is_empty() && self.bank.store(pattern).is_ok());
        }
        found
    }

    fn pattern(&self, centroid: PlanEmbedding, members: &[&Trajectory], now_us: u64) -> Pattern {
        let (quality, deviation) = mean_and_deviation(members.iter().map(|seen| f64::from(seen.quality)));
        let mut pattern = Pattern::new(
            centroid,
            members.len() as u32,
            quality as f32,
            deviation as f32,
            now_us,
        );
        (pattern.decision, pattern.decision_gain) = self.best_decision(members);
        let complete = members.iter().filter(|seen| !seen.is_cut_off);
        pattern.log_latency = mean_and_deviation(complete.map(|seen| seen.log_latency)).0;
        pattern
    }

    /// The decision that gains most for sure: the greatest mean gain over stock less its standard error. Stock when none
    /// gains, or nothing can be compared.
    fn best_decision(&self, members: &[&Trajectory]) -> (u64, f32) {
        let mut gains: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for seen in members.iter().filter(|seen| seen.decision != 0) {
            let stock = || {
                self.model
                    .memory
                    .get(seen.statement, 0)
                    .map(|stock| stock.log_latency)
            };
            if let Some(baseline) = seen.baseline_log_latency.or_else(stock) {
                gains
                    .entry(seen.decision)
                    .or_default()
                    .push(baseline - seen.log_latency);
            }
        }
        let sure = gains.into_iter().map(|(decision, gains)| {
            let count = gains.len() as f64;
            let (mean, deviation) = mean_and_deviation(gains.into_iter());
            // The prior deviation counts as one more run, as in the verdict on patterns.
            let error = ((0.25 + (count - 1.0) * deviation * deviation) / (count * count)).sqrt();
            (decision, mean, mean - error)
        });
        let best = sure
            .filter(|(_, _, sure)| *sure > 0.0)
            .max_by(|a, b| a.2.total_cmp(&b.2));
        best.map_or((0, 0.0), |(decision, gain, _)| (decision, gain as f32))
    }
}

/// Scores what is remembered anew, each execution predicted from other statements and from other templates: that is what
/// will be asked for, and the adapters have changed. Where adapters were trained, only templates that trained nothing are
/// scored.
fn calibrate(model: &mut LatencyModel, is_over: &mut IsOver<'_>) -> Result<(), Error> {
    let (mut of_template, mut of_strangers) = (Calibration::default(), Calibration::default());
    let mut of_cost = Calibration::default();
    // More than a calibration remembers of what trained nothing is not needed.
    let stride = model.memory.executions().len().div_ceil(2_560).max(1);
    let known = model.memory.executions().iter().zip(model.memory.adapted());
    for (at, (execution, adapted)) in known.enumerate().step_by(stride).filter(|(_, (execution, _))| {
        !execution.is_cut_off && (is_held_out(execution) || !model.mechanisms.lora)
    }) {
        check(is_over)?;
        let query = LatencyQuery {
            statement: execution.statement,
            template: execution.template,
            decision: execution.decision,
            log_cost: execution.log_cost,
        };
        let score = |neighbours: &[_], asked: Source, calibration: &mut Calibration| {
            let prediction = model.corrected(&query, model.memory.offset(at), neighbours);
            if prediction.source == asked {
                calibration.add(
                    prediction.log_latency - execution.log_latency,
                    prediction.deviation,
                );
            }
        };
        let others = model.nearest(adapted, |other| other.statement != execution.statement);
        score(&others, Source::Template, &mut of_template);
        let strangers = model.nearest(adapted, |other| other.template != execution.template);
        score(&strangers, Source::Strangers, &mut of_strangers);
        score(&[], Source::CostAlone, &mut of_cost);
    }
    let anew = [
        (of_template, Source::Template),
        (of_strangers, Source::Strangers),
        (of_cost, Source::CostAlone),
    ];
    for (calibration, source) in anew {
        if !calibration.is_empty() {
            model.calibrations[source as usize] = calibration;
        }
    }
    Ok(())
}

/// Mean and standard deviation; zero without numbers.
fn mean_and_deviation(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (count, mean, squares) = numbers.fold((0.0, 0.0, 0.0), |(count, mean, squares), number| {
        let (count, offset) = (count + 1.0, number - mean);
        let mean: f64 = mean + offset / count;
        (count, mean, squares + offset * (number - mean))
    });
    let deviation: f64 = if count > 0.0 { squares / count } else { 0.0 };
    (mean, deviation.sqrt())
}

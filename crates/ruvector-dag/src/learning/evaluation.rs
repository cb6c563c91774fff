//! Stage 8 of 9, learning: what the learning system predicts, and what each of its mechanisms earns.
//!
//! Trajectories are parted into folds by statement or by template. Each fold is predicted by an engine that learned from
//! the others in the order they came, with a run of loop B after each half: neither the constants nor, by template, the
//! statements' text was ever seen. Errors are absolute errors of the natural logarithm of the latency.

use super::DagSonaEngine;
use super::config::{Mechanisms, SonaConfig};
use super::model::LatencyQuery;
use crate::attention::AttentionScores;
use crate::cardinality::hash_words;
use crate::embedding::PlanEmbedding;
use crate::trajectory::{Trajectory, type_attention};
use crate::{Error, QueryDag};
use std::collections::{BTreeMap, BTreeSet};

/// What must not have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// The statement, constants included.
    Statement,
    /// The statement's template.
    Template,
}

/// Errors of predictions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LatencyErrors {
    /// Mean absolute error.
    pub mean: f64,
    /// Its median.
    pub median: f64,
    /// Its 95th percentile.
    pub p95: f64,
    /// Share of the latencies within the intervals given as holding 90 %.
    pub coverage_90: f64,
    /// Predictions.
    pub predicted: usize,
}

impl LatencyErrors {
    /// The q-error (the greater over the smaller) that belongs to an error.
    pub fn q_error(error: f64) -> f64 {
        error.exp()
    }

    fn of(mut errors: Vec<(f64, bool)>) -> Self {
        let count = errors.len();
        let share = |sum: f64| sum / count.max(1) as f64;
        errors.sort_by(|a, b| a.0.total_cmp(&b.0));
        let quantile = |part: f64| {
            let at = (part * count as f64).ceil() as usize;
            errors.get(at.saturating_sub(1)).map_or(0.0, |error| error.0)
        };
        Self {
            mean: share(errors.iter().map(|error| error.0).sum()),
            median: quantile(0.5),
            p95: quantile(0.95),
            coverage_90: share(errors.iter().filter(|error| error.1).count() as f64),
            predicted: count,
        }
    }
}

/// What is left when a mechanism is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ablation {
    /// Everything.
    pub full: LatencyErrors,
    /// Without the adapters.
    pub no_lora: LatencyErrors,
    /// All operators pooled alike.
    pub no_attention: LatencyErrors,
    /// Without the protection of what was learned before.
    pub no_ewc: LatencyErrors,
    /// The nearest executions alone: neither cost nor adapters.
    pub nearest_only: LatencyErrors,
    /// The line through log cost.
    pub cost_only: LatencyErrors,
}

impl Ablation {
    /// The rows of the table, by name.
    pub fn rows(&self) -> [(&'static str, LatencyErrors); 6] {
        [
            ("full", self.full),
            ("no LoRA", self.no_lora),
            ("no attention pooling", self.no_attention),
            ("no EWC", self.no_ewc),
            ("nearest neighbour only", self.nearest_only),
            ("cost alone", self.cost_only),
        ]
    }
}

/// The same execution with all operators of its plan pooled alike, in the embedding and among the types.
///
/// # Errors
/// As [`PlanEmbedding::new`].
pub fn pooled_alike(seen: &Trajectory, dag: &QueryDag) -> Result<Trajectory, Error> {
    let scores = AttentionScores::new(vec![1.0 / dag.len().max(1) as f64; dag.len()]);
    Ok(Trajectory {
        embedding: PlanEmbedding::new(dag, &scores)?,
        operator_types: type_attention(dag, &scores),
        ..seen.clone()
    })
}

/// Runs the ablation. `uniform` are the trajectories as [`pooled_alike`] makes them, in their order; `folds` is how many parts the statements or templates are dealt into, at least 2: as many as there are, or more,
/// leaves out one at a time.
///
/// Deterministic. Complexity: 6 · folds times learning from all trajectories.
///
/// # Errors
/// [`Error::InvalidSetting`] for fewer than 2 folds or another number of uniform trajectories, and those of the configuration.
pub fn ablate(
    trajectories: &[Trajectory],
    uniform: &[Trajectory],
    left_out: LeftOut,
    folds: u64,
    config: &SonaConfig,
) -> Result<Ablation, Error> {
    if uniform.len() != trajectories.len() {
        let (name, given) = ("uniform trajectories", uniform.len() as f64);
        return Err(Error::InvalidSetting { name, given });
    }
    let errors = |mechanisms: Mechanisms, trajectories: &[Trajectory]| {
        let config = SonaConfig {
            mechanisms,
            ..*config
        };
        cross_validate(trajectories, left_out, folds, &config)
    };
    let all = config.mechanisms;
    // Of equal costs the line is the mean.
    let free: Vec<Trajectory> = trajectories
        .iter()
        .map(|trajectory| Trajectory {
            log_cost: 0.0,
            ..trajectory.clone()
        })
        .collect();
    let cost = Mechanisms {
        lora: false,
        neighbours: false,
        recall: false,
        ewc: false,
    };
    Ok(Ablation {
        full: errors(all, trajectories)?,
        no_lora: errors(Mechanisms { lora: false, ..all }, trajectories)?,
        no_attention: errors(all, uniform)?,
        no_ewc: errors(Mechanisms { ewc: false, ..all }, trajectories)?,
        nearest_only: errors(Mechanisms { lora: false, ..all }, &free)?,
        cost_only: errors(cost, trajectories)?,
    })
}

/// Predicts each complete trajectory from those of the other folds.
///
/// # Errors
/// As [`ablate`].
pub fn cross_validate(
    trajectories: &[Trajectory],
    left_out: LeftOut,
    folds: u64,
    config: &SonaConfig,
) -> Result<LatencyErrors, Error> {
    if folds < 2 {
        let (name, given) = ("folds", folds as f64);
        return Err(Error::InvalidSetting { name, given });
    }
    let key = |trajectory: &Trajectory| {
        let key = match left_out {
            LeftOut::Statement => trajectory.statement,
            LeftOut::Template => trajectory.template,
        };
        hash_words([config.seed, key])
    };
    let keys: BTreeSet<u64> = trajectories.iter().map(key).collect();
    let parts: BTreeMap<u64, u64> = keys.into_iter().zip((0..folds).cycle()).collect();
    let fold = |trajectory: &Trajectory| parts.get(&key(trajectory)).copied();
    let mut errors = Vec::new();
    for part in (0..folds.min(parts.len() as u64)).map(Some) {
        let known: Vec<&Trajectory> = trajectories.iter().filter(|seen| fold(seen) != part).collect();
        let engine = learned(&known, config)?;
        let asked = trajectories
            .iter()
            .filter(|seen| fold(seen) == part && !seen.is_cut_off);
        errors.extend(asked.map(|seen| error(&engine, seen)));
    }
    Ok(LatencyErrors::of(errors))
}

fn learned(trajectories: &[&Trajectory], config: &SonaConfig) -> Result<DagSonaEngine, Error> {
    let mut engine = DagSonaEngine::new(*config)?;
    for half in trajectories.chunks(trajectories.len().div_ceil(2).max(1)) {
        for &trajectory in half {
            engine.post_query(trajectory.clone());
        }
        let now_us = half.last().map_or(0, |seen| seen.at_us);
        engine.background_learn(now_us);
    }
    Ok(engine)
}

/// The absolute error, and whether the interval holds the truth.
fn error(engine: &DagSonaEngine, seen: &Trajectory) -> (f64, bool) {
    let prediction = engine.predict(&LatencyQuery::of(seen), &seen.embedding, &seen.operator_types);
    let error = (prediction.log_latency - seen.log_latency).abs();
    (error, error <= 1.645 * prediction.deviation)
}

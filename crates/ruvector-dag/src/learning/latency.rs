//! Stage 8 of 9, learning: log latency as a line through log cost, and what the line misses at the nearest executions.
//!
//! ŷ = line(log cost) + Σ wᵢ rᵢ / (w₀ + Σ wᵢ), rᵢ what the line missed at the i-th of the k nearest, wᵢ = 1 / (dᵢ² + ε), dᵢ the
//! chord between the adapted embeddings, and w₀ the weight of a miss of zero: far from all that is known, cost decides.
//!
//! The gradient of (ŷ − y)² by the adapted embeddings of the query and of its neighbours is what the adapters learn from:
//! metric learning for kernel regression (Weinberger and Tesauro 2007). Adapted embeddings are of unit norm, so that
//! d² = 2 − 2 cos and ∂wᵢ/∂cosᵢ = 2 wᵢ².

use crate::embedding::PlanEmbedding;
use serde::{Deserialize, Serialize};

/// Squared distance below which nearness stops to count: that of plans whose costs are some percent apart.
const BLUR: f64 = 1e-3;
/// Squared distance at which a miss of zero stands.
const FAR: f64 = 0.3;
/// Least deviation of a prediction: that of repeating the same run.
const LEAST_DEVIATION: f64 = 0.05;

/// log latency = mean + slope · (log cost − mean), by ridge regression, fed one by one (Welford 1962).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct CostLine {
    count: f64,
    mean_cost: f64,
    mean_latency: f64,
    /// Σ of squared offsets of log cost, Σ of the products of offsets, Σ of squared offsets of log latency.
    moments: [f64; 3],
}

impl CostLine {
    /// Observations after which the oldest begin to be forgotten.
    const MEMORY: f64 = 10_000.0;
    /// Observations from which its deviation means something.
    const GROWN: f64 = 10.0;
    /// The slope is drawn to 1, latency in proportion to cost, as by this much of squared offsets of log cost (ridge
    /// regression towards a guess): a workload of nearly equal costs says nothing about other costs.
    const PROPORTION: f64 = 100.0;

    /// Adds an observation: natural logarithms of cost and latency. What is not finite is left out.
    pub(super) fn add(&mut self, log_cost: f64, log_latency: f64) {
        if !(log_cost.is_finite() && log_latency.is_finite()) {
            return;
        }
        if self.count >= Self::MEMORY {
            let kept = 1.0 - 1.0 / Self::MEMORY;
            self.count *= kept;
            self.moments = self.moments.map(|moment| moment * kept);
        }
        self.count += 1.0;
        let (cost, latency) = (log_cost - self.mean_cost, log_latency - self.mean_latency);
        self.mean_cost += cost / self.count;
        self.mean_latency += latency / self.count;
        self.moments[0] += cost * (log_cost - self.mean_cost);
        self.moments[1] += cost * (log_latency - self.mean_latency);
        self.moments[2] += latency * (log_latency - self.mean_latency);
    }

    /// The log latency at a log cost; 0 before any observation.
    pub(super) fn at(&self, log_cost: f64) -> f64 {
        self.mean_latency + self.slope() * (log_cost - self.mean_cost)
    }

    /// What a doubling of the cost adds, in doublings.
    pub(super) fn slope(&self) -> f64 {
        (self.moments[1] + Self::PROPORTION) / (self.moments[0] + Self::PROPORTION)
    }

    /// The standard deviation of what the line misses.
    pub(super) fn deviation(&self) -> f64 {
        let slope = self.slope();
        let left = self.moments[2] - slope * (2.0 * self.moments[1] - slope * self.moments[0]);
        (left.max(0.0) / self.count.max(1.0)).sqrt()
    }

    /// Whether it has seen too little to say how far off it is.
    pub(super) fn is_young(&self) -> bool {
        self.count < Self::GROWN
    }

    /// Whether nothing was observed.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0.0
    }

    /// Whether all numbers are possible ones.
    pub(super) fn is_valid(&self) -> bool {
        let numbers = [self.count, self.mean_cost, self.mean_latency];
        let is_finite = numbers
            .iter()
            .chain(&self.moments)
            .all(|number| number.is_finite());
        is_finite && self.count >= 0.0 && self.moments[0] >= 0.0 && self.moments[2] >= 0.0
    }
}

/// A known execution near the one asked for: its cosine, and what the line missed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Neighbour {
    /// Its place in the memory.
    pub(super) at: usize,
    pub(super) cosine: f64,
    pub(super) residual: f64,
}

/// What the neighbours say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Correction {
    /// To be added to the line.
    pub(super) residual: f64,
    /// Of the prediction, before calibration.
    pub(super) deviation: f64,
}

fn weight(neighbour: &Neighbour) -> f64 {
    1.0 / (squared_distance(neighbour) + BLUR)
}

const FAR_WEIGHT: f64 = 1.0 / (FAR + BLUR);

/// The squared distance of a neighbour.
pub(super) fn squared_distance(neighbour: &Neighbour) -> f64 {
    (2.0 - 2.0 * neighbour.cosine).max(0.0)
}

/// How much neighbours count for a plan that is farther from all of them than what is remembered is from each other: such
/// a plan is of another kind, whose misses theirs say nothing about.
fn familiarity(neighbours: &[Neighbour], reach: f64) -> f64 {
    let nearest = neighbours
        .iter()
        .map(squared_distance)
        .fold(f64::INFINITY, f64::min);
    if nearest <= reach {
        1.0
    } else {
        ((reach + BLUR) / (nearest + BLUR)).powi(2)
    }
}

/// The correction by the nearest executions; `spread` is the deviation of what the line misses, `reach` the
/// squared distance up to which plans are familiar.
pub(super) fn correction(neighbours: &[Neighbour], spread: f64, reach: f64) -> Correction {
    let familiarity = familiarity(neighbours, reach);
    let weight = |near: &Neighbour| familiarity * weight(near);
    let total: f64 = FAR_WEIGHT + neighbours.iter().map(weight).sum::<f64>();
    let mean = |of: &dyn Fn(&Neighbour) -> f64| {
        neighbours
            .iter()
            .map(|near| weight(near) / total * of(near))
            .sum::<f64>()
    };
    let residual = mean(&|near| near.residual);
    let far = FAR_WEIGHT / total * (spread * spread + residual * residual);
    let variance = far + mean(&|near| (near.residual - residual).powi(2));
    Correction {
        residual,
        deviation: variance.sqrt().max(LEAST_DEVIATION),
    }
}

/// The share of each neighbour in the correction; what they lack to 1 is that of the miss of zero.
pub(super) fn shares(neighbours: &[Neighbour], reach: f64) -> Vec<f64> {
    let familiarity = familiarity(neighbours, reach);
    let weight = |near: &Neighbour| familiarity * weight(near);
    let total: f64 = FAR_WEIGHT + neighbours.iter().map(weight).sum::<f64>();
    neighbours.iter().map(|near| weight(near) / total).collect()
}

/// ∂ŷ/∂cosᵢ for each neighbour: by how much the prediction rises as the neighbour comes nearer.
pub(super) fn pulls(neighbours: &[Neighbour], reach: f64) -> Vec<f64> {
    let familiarity = familiarity(neighbours, reach);
    let weight = |near: &Neighbour| familiarity * weight(near);
    let total: f64 = FAR_WEIGHT + neighbours.iter().map(weight).sum::<f64>();
    let residual = neighbours
        .iter()
        .map(|near| weight(near) / total * near.residual)
        .sum::<f64>();
    let pull =
        |near: &Neighbour| 2.0 * weight(near).powi(2) / (familiarity * total) * (near.residual - residual);
    neighbours.iter().map(pull).collect()
}

/// The nearest `k` of these embeddings with their places, nearest first, equally near ones in their order.
///
/// Complexity: O(candidates · (dimensions + k)), nothing allocated but the result.
pub(super) fn nearest<'e>(
    query: &PlanEmbedding,
    candidates: impl Iterator<Item = (usize, &'e PlanEmbedding)>,
    k: usize,
) -> Vec<Neighbour> {
    let mut found: Vec<Neighbour> = Vec::with_capacity(k + 1);
    for (at, candidate) in candidates {
        let cosine = f64::from(query.cosine(candidate));
        if found.len() == k && found.last().is_none_or(|worst| cosine <= worst.cosine) {
            continue;
        }
        let place = found.partition_point(|near| near.cosine >= cosine);
        let residual = 0.0;
        found.insert(place, Neighbour { at, cosine, residual });
        found.truncate(k);
    }
    found
}

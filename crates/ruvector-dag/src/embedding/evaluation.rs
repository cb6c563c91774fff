//! Does the embedding know what a plan will take? Latency predicted from the nearest plans of *other* statements, against
//! prediction from PostgreSQL's cost alone.
//!
//! Leave one statement out: a plan's latency is predicted from the plans of all other statements. Predictors:
//! the mean; a line through log cost (least squares); the `k` nearest neighbours by cosine, weighed; and the line
//! corrected by the neighbours' residuals. Errors are mean absolute errors of the natural logarithm of the latency: 0.1 is
//! about ten percent. Whether attention earns its keep is the difference to [`PlanEmbedding::uniform`].

use super::PlanEmbedding;

/// What is known of one execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// The statement, by its class.
    pub statement: u64,
    /// The natural logarithm of the latency in milliseconds.
    pub log_latency: f64,
    /// The natural logarithm of PostgreSQL's total cost.
    pub log_cost: f64,
}

/// Mean absolute errors of log latency.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PredictionErrors {
    /// Of the mean of the other statements.
    pub mean: f64,
    /// Of a line through log cost.
    pub cost: f64,
    /// Of the nearest neighbours.
    pub neighbours: f64,
    /// Of the line, corrected by what it misses at the nearest neighbours.
    pub neighbours_over_cost: f64,
    /// Observations predicted: those of which other statements are known.
    pub predicted: usize,
}

/// Predicts each observation from those of other statements. `embeddings` are the observations' plans, in their order;
/// what has no counterpart is left out. NaN errors mean that an observation is not a number.
///
/// Complexity: O(observations² · dimensions).
pub fn leave_one_statement_out(
    observations: &[Observation],
    embeddings: &[PlanEmbedding],
    k: usize,
) -> PredictionErrors {
    let samples: Vec<Sample> = observations.iter().zip(embeddings).collect();
    let mut sum = PredictionErrors::default();
    let mut others = Vec::with_capacity(samples.len());
    for sample in &samples {
        others.clear();
        let is_other = |other: &&Sample| other.0.statement != sample.0.statement;
        others.extend(samples.iter().filter(is_other).copied());
        if others.is_empty() {
            continue;
        }
        let error = |prediction: f64| (prediction - sample.0.log_latency).abs();
        let line = Line::through(&others);
        let neighbours = Neighbourhood::of(sample.1, &others, k);
        let at_cost = line.at(sample.0.log_cost);
        sum.mean += error(line.mean_latency);
        sum.cost += error(at_cost);
        sum.neighbours += error(neighbours.mean(|other| other.log_latency));
        let residual = neighbours.mean(|other| other.log_latency - line.at(other.log_cost));
        sum.neighbours_over_cost += error(at_cost + residual);
        sum.predicted += 1;
    }
    let count = sum.predicted.max(1) as f64;
    PredictionErrors {
        mean: sum.mean / count,
        cost: sum.cost / count,
        neighbours: sum.neighbours / count,
        neighbours_over_cost: sum.neighbours_over_cost / count,
        predicted: sum.predicted,
    }
}

/// How well one observation is predicted from others: absolute errors of log latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Of a line through log cost.
    pub cost_error: f64,
    /// Of the nearest neighbours.
    pub neighbours_error: f64,
}

impl Prediction {
    /// What the embedding earned, in [0, 1]: ½ when it predicts as well as cost does, more when it does better.
    pub fn reward(&self) -> f64 {
        let sum = self.cost_error + self.neighbours_error;
        if sum > 0.0 && sum.is_finite() {
            self.cost_error / sum
        } else {
            0.5
        }
    }
}

/// Predicts an observation from those of other statements, of which there must be one.
///
/// Complexity: O(others · dimensions).
pub fn predict(target: Sample<'_>, others: &[Sample<'_>], k: usize) -> Prediction {
    let error = |prediction: f64| (prediction - target.0.log_latency).abs();
    let neighbours = Neighbourhood::of(target.1, others, k);
    Prediction {
        cost_error: error(Line::through(others).at(target.0.log_cost)),
        neighbours_error: error(neighbours.mean(|other| other.log_latency)),
    }
}

/// An observation and its plan.
pub type Sample<'e> = (&'e Observation, &'e PlanEmbedding);

/// log latency = mean + slope · (log cost − mean), by least squares.
struct Line {
    mean_latency: f64,
    mean_cost: f64,
    slope: f64,
}

impl Line {
    fn through(samples: &[Sample]) -> Self {
        let count = samples.len().max(1) as f64;
        let mean =
            |of: fn(&Observation) -> f64| samples.iter().map(|(seen, _)| of(seen)).sum::<f64>() / count;
        let (mean_latency, mean_cost) = (mean(|seen| seen.log_latency), mean(|seen| seen.log_cost));
        let (over, under) = samples.iter().fold((0.0, 0.0), |(over, under), (seen, _)| {
            let offset = seen.log_cost - mean_cost;
            (
                over + offset * (seen.log_latency - mean_latency),
                under + offset * offset,
            )
        });
        Self {
            mean_latency,
            mean_cost,
            slope: if under > 0.0 { over / under } else { 0.0 },
        }
    }

    fn at(&self, log_cost: f64) -> f64 {
        self.mean_latency + self.slope * (log_cost - self.mean_cost)
    }
}

/// The nearest plans, each weighed by how near it is: by 1 / (distance² + ε), where ε keeps equal plans from being all.
struct Neighbourhood<'e> {
    weighed: Vec<(f64, &'e Observation)>,
}

impl<'e> Neighbourhood<'e> {
    /// Squared distance below which nearness stops to count: that of plans whose costs are some percent apart.
    const BLUR: f64 = 1e-3;

    fn of(embedding: &PlanEmbedding, others: &[Sample<'e>], k: usize) -> Self {
        let candidates = others.iter().map(|(_, candidate)| *candidate);
        let found = super::nearest(embedding, candidates, k.max(1));
        let weighed = found.into_iter().filter_map(|neighbour| {
            let squared_distance = 2.0 * (1.0 - f64::from(neighbour.cosine));
            let weight = 1.0 / (squared_distance + Self::BLUR);
            others.get(neighbour.at).map(|other| (weight, other.0))
        });
        Self {
            weighed: weighed.collect(),
        }
    }

    fn mean(&self, of: impl Fn(&Observation) -> f64) -> f64 {
        let total: f64 = self.weighed.iter().map(|(weight, _)| weight).sum();
        self.weighed
            .iter()
            .map(|(weight, seen)| weight / total * of(seen))
            .sum()
    }
}

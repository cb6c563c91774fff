//! Stage 8 of 9, learning: dreams, plans that were never run for statements that were.
//!
//! The matrix of log latencies, statements × decisions, is completed (`completion`). A missing cell is then a normal log
//! latency of mean μ and deviation σ, and the trial with the greatest expected gain per second comes first:
//!
//! - gain = n · E[max(best − L, 0)], n the executions expected, best the least latency known of the statement;
//! - cost = E[min(L, limit)], limit = 1.1 · best: a trial that gets that far has lost, and its cell is known from below.
//!
//! Yi et al. (2025) take the greatest predicted ratio of gain. The expectation is better founded: it also counts a
//! decision whose mean is no better but whose doubt is great (expected improvement, Jones et al. 1998; per cost, Snoek et
//! al. 2012), and it weighs statements by what they cost the workload.

use super::completion::{Cell, CellEstimate, Completion, CompletionConfig};
use super::normal::cumulative;
use super::phi::{PhiEvaluator, PhiParts};
use crate::Error;
use std::collections::BTreeMap;

/// A statement ran with a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Experience {
    /// The statement's class.
    pub statement: u64,
    /// The decision, 0 for stock.
    pub decision: u64,
    /// The natural logarithm of the latency in milliseconds.
    pub log_latency: f64,
    /// Whether the run was cut off: then the latency is a lower bound.
    pub is_cut_off: bool,
}

/// A trial that is worth its time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dream {
    /// The statement's class.
    pub statement: u64,
    /// The decision that was never run for it.
    pub decision: u64,
    /// The predicted natural logarithm of the latency in milliseconds.
    pub log_latency: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// What Φ is made of.
    pub parts: PhiParts,
    /// Φ, in [0, 1].
    pub phi: f64,
    /// Milliseconds that the executions to come are expected to save.
    pub expected_gain_ms: f64,
    /// Milliseconds that the trial is expected to take.
    pub expected_cost_ms: f64,
    /// Milliseconds after which the trial is to be cut off.
    pub time_limit_ms: f64,
}

impl Dream {
    /// Expected gain per second of trial, in milliseconds.
    pub fn gain_per_second(&self) -> f64 {
        self.expected_gain_ms / (self.expected_cost_ms / 1e3).max(f64::MIN_POSITIVE)
    }
}

/// What is dreamt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DreamConfig {
    /// How the matrix is completed.
    pub completion: CompletionConfig,
    /// Least Φ.
    pub phi_threshold: f64,
    /// Time limit of a trial over the best time known, above 1.
    pub limit_factor: f64,
    /// The least deviation believed: that of repeating the same run.
    pub least_deviation: f64,
}

impl Default for DreamConfig {
    /// Φ of at least 0.3, as in the original design; trials of up to 1.1 times the best.
    fn default() -> Self {
        Self {
            completion: CompletionConfig::default(),
            phi_threshold: 0.3,
            limit_factor: 1.1,
            least_deviation: 0.05,
        }
    }
}

/// Plans trials; running them is up to others.
#[derive(Debug, Clone, Default)]
pub struct DreamEngine {
    config: DreamConfig,
    phi: PhiEvaluator,
}

impl DreamEngine {
    /// An engine.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a number out of its range.
    pub fn new(config: DreamConfig, phi: PhiEvaluator) -> Result<Self, Error> {
        config.completion.validate()?;
        let refuse = |name, given| Err(Error::InvalidSetting { name, given });
        if !(0.0..=1.0).contains(&config.phi_threshold) {
            return refuse("threshold of phi", config.phi_threshold);
        }
        if !(config.limit_factor > 1.0 && config.limit_factor.is_finite()) {
            return refuse("time limit of a dream", config.limit_factor);
        }
        if !(config.least_deviation > 0.0 && config.least_deviation.is_finite()) {
            return refuse("least deviation of a dream", config.least_deviation);
        }
        Ok(Self { config, phi })
    }

    /// Up to `count` trials of what is not known, the greatest expected gain per second first, equal ones by statement and
    /// decision. `executions` says how often a statement is expected to run.
    ///
    /// Deterministic. Complexity: that of [`Completion::fit`] and O(statements · decisions · rank³).
    ///
    /// # Errors
    /// None with a configuration that was accepted.
    pub fn plan(
        &self,
        experiences: &[Experience],
        executions: impl Fn(u64) -> f64,
        count: usize,
    ) -> Result<Vec<Dream>, Error> {
        let known = Known::of(experiences);
        let (statements, decisions) = (known.statements.len(), known.decisions.len());
        let completion = Completion::fit(statements, decisions, &known.cells(), &self.config.completion)?;
        let mut dreams = Vec::new();
        for (row, &statement) in known.statements.iter().enumerate() {
            let Some(best) = known.best(statement) else {
                continue;
            };
            for (column, &decision) in known.decisions.iter().enumerate() {
                let is_open = known.is_open(statement, decision, best);
                if let Some(estimate) = completion.predict(row, column).filter(|_| is_open) {
                    dreams.push(self.dream((statement, decision), best, &estimate, executions(statement)));
                }
            }
        }
        dreams.retain(|dream| dream.phi >= self.config.phi_threshold && dream.expected_gain_ms > 0.0);
        dreams.sort_by(|a, b| {
            b.gain_per_second()
                .total_cmp(&a.gain_per_second())
                .then((a.statement, a.decision).cmp(&(b.statement, b.decision)))
        });
        dreams.truncate(count);
        Ok(dreams)
    }

    fn dream(&self, pair: (u64, u64), best: f64, estimate: &CellEstimate, executions: f64) -> Dream {
        let deviation = estimate.deviation.max(self.config.least_deviation);
        let latency = LogNormal {
            mean: estimate.mean,
            deviation,
        };
        let parts = self
            .phi
            .parts(best, estimate.mean, deviation, estimate.coherence, executions);
        let time_limit_ms = best.exp() * self.config.limit_factor;
        Dream {
            statement: pair.0,
            decision: pair.1,
            log_latency: estimate.mean,
            deviation,
            parts,
            phi: self.phi.phi(&parts),
            expected_gain_ms: executions.max(0.0) * latency.expected_below(best.exp()),
            expected_cost_ms: latency.expected_up_to(time_limit_ms),
            time_limit_ms,
        }
    }
}

/// A latency whose logarithm is normal.
struct LogNormal {
    mean: f64,
    deviation: f64,
}

impl LogNormal {
    /// E[L; L < bound], and P(L < bound).
    fn truncated(&self, bound: f64) -> (f64, f64) {
        let z = (bound.ln() - self.mean) / self.deviation;
        let mean = (self.mean + 0.5 * self.deviation * self.deviation).exp();
        // An overflow meets a probability of zero.
        let part = cumulative(z - self.deviation);
        (if part > 0.0 { mean * part } else { 0.0 }, cumulative(z))
    }

    /// E[max(bound − L, 0)].
    fn expected_below(&self, bound: f64) -> f64 {
        let (part, chance) = self.truncated(bound);
        (bound * chance - part).max(0.0)
    }

    /// E[min(L, bound)].
    fn expected_up_to(&self, bound: f64) -> f64 {
        (bound - self.expected_below(bound)).max(0.0)
    }
}

/// What is known of each pair.
#[derive(Debug, Clone, Copy, Default)]
struct Runs {
    sum: f64,
    count: u32,
    bound: Option<f64>,
}

struct Known {
    pairs: BTreeMap<(u64, u64), Runs>,
    /// Sorted.
    statements: Vec<u64>,
    /// Sorted.
    decisions: Vec<u64>,
}

impl Known {
    fn of(experiences: &[Experience]) -> Self {
        let mut pairs: BTreeMap<(u64, u64), Runs> = BTreeMap::new();
        for seen in experiences.iter().filter(|seen| seen.log_latency.is_finite()) {
            let runs = pairs.entry((seen.statement, seen.decision)).or_default();
            if seen.is_cut_off {
                let bound = runs
                    .bound
                    .map_or(seen.log_latency, |bound| bound.max(seen.log_latency));
                runs.bound = Some(bound);
            } else {
                runs.sum += seen.log_latency;
                runs.count += 1;
            }
        }
        let mut statements: Vec<u64> = pairs.keys().map(|pair| pair.0).collect();
        let mut decisions: Vec<u64> = pairs.keys().map(|pair| pair.1).collect();
        statements.dedup();
        decisions.sort_unstable();
        decisions.dedup();
        Self {
            pairs,
            statements,
            decisions,
        }
    }

    /// Complete runs count by their mean; only where there are none do bounds.
    fn cells(&self) -> Vec<Cell> {
        let cell = |(pair, runs): (&(u64, u64), &Runs)| {
            Some(Cell {
                row: self.statements.binary_search(&pair.0).ok()?,
                column: self.decisions.binary_search(&pair.1).ok()?,
                value: runs.mean().or(runs.bound)?,
                is_lower_bound: runs.count == 0,
            })
        };
        self.pairs.iter().filter_map(cell).collect()
    }

    /// The least mean log latency of a statement; `None` when no run of it was complete.
    fn best(&self, statement: u64) -> Option<f64> {
        let of_statement = self.pairs.range((statement, 0)..=(statement, u64::MAX));
        of_statement
            .filter_map(|(_, runs)| runs.mean())
            .min_by(f64::total_cmp)
    }

    /// Whether a pair never ran to its end, and was not cut off later than at the best time.
    fn is_open(&self, statement: u64, decision: u64, best: f64) -> bool {
        self.pairs
            .get(&(statement, decision))
            .is_none_or(|runs| runs.count == 0 && runs.bound.is_none_or(|bound| bound < best))
    }
}

impl Runs {
    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

//! Which of two plans is faster, from a few latencies of each, however often one looks.
//!
//! A normal mixture sequential probability ratio test on the difference of mean log latencies (Robbins 1970; Johari et
//! al. 2017): its statistic is a betting score that exceeds 1/α with a probability of at most α under the null, at
//! whatever moment one stops. The variance is pooled and drawn towards that of a quiet machine, since there are few runs.

/// Standard deviation of log latency on a quiet machine, before anything is measured.
const QUIET: f64 = 0.12;
/// Runs that this is worth.
const QUIET_RUNS: f64 = 4.0;
/// Standard deviation of the differences of log latency that are expected among plans.
const EFFECT: f64 = 0.5;
/// The score from which on a difference is believed: α = 5 %.
const BELIEVED: f64 = 20.0;

/// How two plans compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The first is faster.
    Faster,
    /// The first is slower.
    Slower,
    /// Not enough runs to tell.
    Unclear,
}

/// Compares the latencies of a plan with those of another, in milliseconds.
pub fn compare(plan_ms: &[f32], other_ms: &[f32]) -> Comparison {
    let (Some(plan), Some(other)) = (Summary::of(plan_ms), Summary::of(other_ms)) else {
        return Comparison::Unclear;
    };
    compare_summaries(&plan, &other)
}

/// The same of what was summed up; where old samples fade from them, validity at any time is approximate.
pub(super) fn compare_summaries(plan: &Summary, other: &Summary) -> Comparison {
    if betting_score(plan, other) < BELIEVED {
        Comparison::Unclear
    } else if plan.mean < other.mean {
        Comparison::Faster
    } else {
        Comparison::Slower
    }
}

/// How sure it is that two plans differ in latency, in [0, 1): 1 less the inverse of the betting score, 0 for scores that
/// speak for no difference. `None` without runs of both.
pub fn confidence(plan_ms: &[f32], other_ms: &[f32]) -> Option<f64> {
    confidence_of(&Summary::of(plan_ms)?, &Summary::of(other_ms)?)
}

/// The same of what was summed up.
pub(super) fn confidence_of(plan: &Summary, other: &Summary) -> Option<f64> {
    let score = (plan.count > 0.0 && other.count > 0.0).then(|| betting_score(plan, other))?;
    Some((1.0 - 1.0 / score).clamp(0.0, 1.0 - f64::EPSILON))
}

/// Logarithms of latencies: how many, their mean, and the sum of squared deviations from it.
pub(super) struct Summary {
    pub(super) count: f64,
    pub(super) mean: f64,
    pub(super) squares: f64,
}

impl Summary {
    /// Of log latencies; none of nothing.
    fn of(samples_ms: &[f32]) -> Option<Self> {
        let count = samples_ms.len() as f64;
        let logs = || samples_ms.iter().map(|&ms| f64::from(ms).max(1e-3).ln());
        let mean = logs().sum::<f64>() / count;
        (count > 0.0).then(|| Self {
            count,
            mean,
            squares: logs().map(|log| (log - mean).powi(2)).sum(),
        })
    }
}

fn betting_score(plan: &Summary, other: &Summary) -> f64 {
    let freedom = QUIET_RUNS + plan.count + other.count - 2.0;
    let variance = (QUIET_RUNS * QUIET * QUIET + plan.squares + other.squares) / freedom;
    let noise = variance * (1.0 / plan.count + 1.0 / other.count);
    let effect = EFFECT * EFFECT;
    let exponent = (plan.mean - other.mean).powi(2) * effect / (2.0 * noise * (noise + effect));
    (noise / (noise + effect)).sqrt() * exponent.min(700.0).exp()
}

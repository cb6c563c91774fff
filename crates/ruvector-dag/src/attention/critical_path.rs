//! Critical path attention: an operator attends to what feeds it, and more to the costliest way that leads to it.
//!
//! - mask(q): q and what feeds it.
//! - bias(q, v): +β if v lies on the costliest path to the result through q. Of that path the mask leaves the part that
//!   leads to q: q, its costliest input by the self costs along the way, that one's costliest input and so on; of equal
//!   ones the first.
//! - Complexity: as topological; the paths add one pass in each direction.
//! - Source: the critical path method (Kelley and Walker 1959).
//!
//! Job: statements whose slowest executions are far slower than their median.

use super::closure::{Sums, feeding_factors};
use super::facts::SINK;
use super::kernel::{LANES, Lanes, add, inner, lift};
use super::parameters::{check, fingerprint};
use super::{AttentionScores, DagAttention, Facts, Mechanism, MechanismId, common_form};
use crate::{Error, OperatorId, QueryDag};
use serde::Deserialize;

const NAME: &str = MechanismId::CriticalPath.name();

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CriticalPathParameters {
    /// What is added to the logits of operators on the path, 0 to 20; 2 by default.
    pub beta: f64,
}

impl Default for CriticalPathParameters {
    fn default() -> Self {
        Self { beta: 2.0 }
    }
}

/// See the module's text: q attends to the costliest way to it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CriticalPathAttention {
    parameters: CriticalPathParameters,
}

impl CriticalPathAttention {
    /// The mechanism with these parameters.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`].
    pub fn new(parameters: CriticalPathParameters) -> Result<Self, Error> {
        let beta = parameters.beta;
        check(NAME, "beta", beta, (0.0..=20.0).contains(&beta), "from 0 to 20")?;
        Ok(Self { parameters })
    }
}

/// By position the input that the costliest way comes through, [`SINK`] for a source.
fn costliest_inputs(facts: &Facts<'_>) -> Vec<u32> {
    let mut ways = vec![(0.0f64, SINK); facts.len()];
    for &position in &facts.order {
        let at = position as usize;
        let (mut cost, mut best) = (0.0, SINK);
        for &input in facts.dag.input_positions(at) {
            if best == SINK || ways[input].0 > cost {
                (cost, best) = (ways[input].0, input as u32);
            }
        }
        ways[at] = (cost + facts.of[at].weight, best);
    }
    ways.into_iter().map(|(_, best)| best).collect()
}

/// For each operator the sum of the contents of the costliest way to it.
fn over_ways(facts: &Facts<'_>, best: &[u32], lanes: &mut [Lanes]) -> Vec<f64> {
    let mut sums = vec![0.0; facts.len()];
    for &position in &facts.order {
        let at = position as usize;
        let lifted = lift(&facts.of[at].direction);
        let mut sum = lanes.get(best[at] as usize).copied().unwrap_or([0.0; LANES]);
        add(&mut sum, 1.0, &lifted);
        sums[at] = inner(&lifted, &sum);
        lanes[at] = sum;
    }
    sums
}

/// For each operator the sum of weighted contents of those whose costliest way it lies on.
fn over_wayfarers(facts: &Facts<'_>, best: &[u32], weights: &[f64], lanes: &mut [Lanes]) -> Vec<f64> {
    let mut sums = vec![0.0; facts.len()];
    lanes.fill([0.0; LANES]);
    for &position in facts.order.iter().rev() {
        let at = position as usize;
        let lifted = lift(&facts.of[at].direction);
        let mut sum = lanes[at];
        add(&mut sum, weights[at], &lifted);
        sums[at] = inner(&lifted, &sum);
        if let Some(input) = lanes.get_mut(best[at] as usize) {
            add(input, 1.0, &sum);
        }
    }
    sums
}

impl Mechanism for CriticalPathAttention {
    fn scores(&self, facts: &Facts<'_>) -> Vec<f64> {
        let extra = self.parameters.beta.exp_m1();
        let best = costliest_inputs(facts);
        let mut lanes = vec![[0.0; LANES]; facts.len()];
        let mut sums = Sums::new(facts);
        let mut shares = sums.over_feeding(|_| 1.0);
        for (at, on_way) in over_ways(facts, &best, &mut lanes).into_iter().enumerate() {
            shares[at] = facts.of[at].weight / (shares[at] + extra * on_way);
        }
        let mut scores = sums.over_fed(&shares);
        let wayfarers = over_wayfarers(facts, &best, &shares, &mut lanes);
        for (score, on_way) in scores.iter_mut().zip(wayfarers) {
            *score += extra * on_way;
        }
        scores
    }

    fn factors(&self, facts: &Facts<'_>, at: usize) -> Vec<f64> {
        let best = costliest_inputs(facts);
        let mut factors = feeding_factors(facts, at, |_| 1.0);
        let mut position = at;
        while let Some(factor) = factors.get_mut(position) {
            *factor = self.parameters.beta.exp();
            position = best[position] as usize;
        }
        factors
    }
}

impl DagAttention for CriticalPathAttention {
    common_form!();

    fn name(&self) -> &'static str {
        NAME
    }

    fn complexity(&self) -> &'static str {
        "O(n (1 + s))"
    }

    fn parameters_fingerprint(&self) -> u64 {
        fingerprint(NAME, &[self.parameters.beta])
    }
}

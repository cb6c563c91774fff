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
use super::kernel::{LANES, add};
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

/// The costliest way to an operator.
#[derive(Clone, Copy)]
struct Way {
    cost: f64,
    /// The input it comes through, [`SINK`] for a source.
    input: u32,
}

/// The costliest ways, by position.
fn costliest_ways(facts: &Facts<'_>) -> Vec<Way> {
    let none = Way {
        cost: 0.0,
        input: SINK,
    };
    let mut ways = vec![none; facts.len()];
    for &position in &facts.order {
        let at = position as usize;
        let mut best = none;
        for &input in facts.dag.input_positions(at) {
            let cost = ways[input].cost;
            if best.input == SINK || cost > best.cost {
                let input = input as u32;
                best = Way { cost, input };
            }
        }
        best.cost += facts.of[at].weight;
        ways[at] = best;
    }
    ways
}

impl Mechanism for CriticalPathAttention {
    fn scores(&self, facts: &Facts<'_>) -> Vec<f64> {
        let extra = self.parameters.beta.exp_m1();
        let best = costliest_ways(facts);
        let mut ways = vec![[0.0; LANES]; facts.len()];
        let mut sums = Sums::new(facts);
        // The costliest way to an operator is the one to its costliest input, and itself.
        let mut scores = sums.over_feeding(
            |_| 1.0,
            |at, lifted, sum| {
                let mut way = ways.get(best[at].input as usize).copied().unwrap_or([0.0; LANES]);
                add(&mut way, extra, lifted);
                add(sum, 1.0, &way);
                ways[at] = way;
            },
        );
        for (score, weight) in scores.iter_mut().zip(facts.weights()) {
            *score = weight / *score;
        }
        ways.fill([0.0; LANES]);
        // And whoever comes through an operator comes through its costliest input.
        sums.over_fed(&mut scores, |at, weight, lifted, sum| {
            let mut way = ways[at];
            add(&mut way, extra * weight, lifted);
            add(sum, 1.0, &way);
            if let Some(input) = ways.get_mut(best[at].input as usize) {
                add(input, 1.0, &way);
            }
        });
        scores
    }

    fn factors(&self, facts: &Facts<'_>, at: usize) -> Vec<f64> {
        let best = costliest_ways(facts);
        let mut factors = feeding_factors(facts, at, |_| 1.0);
        let mut position = at;
        while let Some(factor) = factors.get_mut(position) {
            *factor = self.parameters.beta.exp();
            position = best[position].input as usize;
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

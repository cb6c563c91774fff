//! Causal cone attention: an operator attends to what feeds it, less with every hop and not at all beyond a distance.
//!
//! - mask(q): q and what feeds it, up to `max_depth` hops, counted along the shortest way.
//! - bias(q, v): -λ hops, with λ = -ln(`decay`): a factor of `decay` per hop.
//! - Complexity: O(n h) for trees, h being `max_depth`: from each operator up to those that see it. Above a shared
//!   operator the neighbourhood may be wider than h.
//! - Source: the light cone as a mask (only what could have had an effect counts); the bias is that of attention with
//!   linear biases (Press, Smith, Lewis 2022).
//!
//! Job: writes, where what lies close before an operator explains it.

use super::closure::Walk;
use super::facts::{SHARED, SINK};
use super::parameters::{check, fingerprint};
use super::{AttentionScores, DagAttention, Facts, Mechanism, MechanismId, common_form};
use crate::{Error, OperatorId, QueryDag};
use serde::Deserialize;

const NAME: &str = MechanismId::CausalCone.name();
/// No plan has more levels than this.
const DEEPEST: u32 = 10_000;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CausalConeParameters {
    /// Hops that an operator sees, 0 to 10,000; 10 by default.
    pub max_depth: u32,
    /// The factor e^-λ per hop, above 0 and up to 1; 0.8 by default.
    pub decay: f64,
}

impl Default for CausalConeParameters {
    fn default() -> Self {
        Self {
            max_depth: 10,
            decay: 0.8,
        }
    }
}

/// See the module's text: q attends to what feeds it closely.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CausalConeAttention {
    parameters: CausalConeParameters,
}

impl CausalConeAttention {
    /// The mechanism with these parameters.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`].
    pub fn new(parameters: CausalConeParameters) -> Result<Self, Error> {
        let CausalConeParameters { max_depth, decay } = parameters;
        check(
            NAME,
            "max_depth",
            f64::from(max_depth),
            max_depth <= DEEPEST,
            "from 0 to 10000",
        )?;
        check(
            NAME,
            "decay",
            decay,
            (1e-6..=1.0).contains(&decay),
            "from 1e-6 to 1",
        )?;
        Ok(Self { parameters })
    }

    /// e to the bias by number of hops.
    fn by_hops(&self, facts: &Facts<'_>) -> Vec<f64> {
        let farthest = (self.parameters.max_depth as usize).min(facts.len());
        let mut factor = 1.0f64;
        let mut factors = Vec::with_capacity(farthest + 1);
        for _ in 0..=farthest {
            factors.push(factor);
            // Never 0, so that what is seen counts.
            factor = (factor * self.parameters.decay).max(f64::MIN_POSITIVE);
        }
        factors
    }

    /// Calls `visit` for each operator that has `at` in its cone, itself included, with the hops between them.
    #[inline]
    fn seen_by(&self, facts: &Facts<'_>, walk: &mut Walk, at: usize, mut visit: impl FnMut(usize, usize)) {
        let limit = self.parameters.max_depth;
        let (mut position, mut hops) = (at, 0);
        loop {
            visit(position, hops as usize);
            if hops == limit {
                return;
            }
            match facts.of[position].consumer {
                SINK => return,
                SHARED => break,
                consumer => position = consumer as usize,
            }
            hops += 1;
        }
        walk.levels(facts, position as u32, limit - hops, |above, more| {
            visit(above, (hops + more) as usize);
        });
    }
}

impl Mechanism for CausalConeAttention {
    fn scores(&self, facts: &Facts<'_>) -> Vec<f64> {
        let by_hops = self.by_hops(facts);
        let mut walk = Walk::default();
        let mut shares = vec![0.0; facts.len()];
        for at in 0..facts.len() {
            self.seen_by(facts, &mut walk, at, |above, hops| {
                shares[above] += by_hops[hops] * facts.content(above, at);
            });
        }
        for (share, weight) in shares.iter_mut().zip(facts.weights()) {
            *share = weight / *share;
        }
        let mut scores = vec![0.0; facts.len()];
        for (at, score) in scores.iter_mut().enumerate() {
            self.seen_by(facts, &mut walk, at, |above, hops| {
                *score += shares[above] * by_hops[hops] * facts.content(above, at);
            });
        }
        scores
    }

    fn factors(&self, facts: &Facts<'_>, at: usize) -> Vec<f64> {
        let by_hops = self.by_hops(facts);
        let mut hops_to = vec![usize::MAX; facts.len()];
        hops_to[at] = 0;
        let mut open = std::collections::VecDeque::from([at]);
        while let Some(position) = open.pop_front() {
            let hops = hops_to[position] + 1;
            if hops > self.parameters.max_depth as usize {
                break;
            }
            for &input in facts.dag.input_positions(position) {
                if hops_to[input] == usize::MAX {
                    hops_to[input] = hops;
                    open.push_back(input);
                }
            }
        }
        let factor = |&hops: &usize| by_hops.get(hops).copied().unwrap_or(0.0);
        hops_to.iter().map(factor).collect()
    }
}

impl DagAttention for CausalConeAttention {
    common_form!();

    fn name(&self) -> &'static str {
        NAME
    }

    fn complexity(&self) -> &'static str {
        "O(n max_depth)"
    }

    fn parameters_fingerprint(&self) -> u64 {
        let CausalConeParameters { max_depth, decay } = self.parameters;
        fingerprint(NAME, &[f64::from(max_depth), decay])
    }
}

//! Hierarchical Lorentz attention: an operator attends to all, less the farther apart they are in hyperbolic space.
//!
//! - mask(q): all operators.
//! - bias(q, v): -d(q, v) / τ, d being the distance on the hyperboloid of curvature -κ,
//!   d = acosh(-<x_q, x_v>_L) / sqrt(κ). The point of an operator is x = (cosh r, e sinh r): its radius r = ln(1 + depth)
//!   is given by its depth below the result, which sits at the origin as the root of a hierarchy should; the directions e
//!   of different operators are orthogonal. So -<x_q, x_v>_L = cosh r_q cosh r_v for different operators, and the
//!   distance of an operator to itself is 0.
//! - Complexity: O(n + l²), l being the number of levels, at most 128: operators of one level share their distances. Up
//!   to depth 64 a level is a depth; deeper ones are within 3.2 % of their level's depth, so that the bias is within
//!   0.064 / (τ sqrt(κ)) of the exact one; depths beyond 2,900 count as 2,900.
//! - Source: Nickel and Kiela 2018, "Learning Continuous Hierarchies in the Lorentz Model of Hyperbolic Geometry".
//!
//! Job: deep plans, where sums along the edges would give the leaves everything.

use super::kernel::{LANES, Lanes, SELF, add, inner, lift};
use super::parameters::{check, fingerprint};
use super::{AttentionScores, DagAttention, Facts, Mechanism, MechanismId, common_form};
use crate::{Error, OperatorId, QueryDag};
use serde::Deserialize;

const NAME: &str = MechanismId::HierarchicalLorentz.name();
/// Levels that are one depth each, from 0.
const EXACT: usize = 65;
/// All levels.
const LEVELS: usize = 128;
/// How much deeper each further level is.
const RATIO: f64 = 1.0625;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HierarchicalLorentzParameters {
    /// Minus the curvature of the hyperboloid, κ, 0.01 to 100; 1 by default.
    pub curvature: f64,
    /// The distance τ that lowers attention by a factor of e, 0.1 to 100; 1 by default.
    pub tau: f64,
}

impl Default for HierarchicalLorentzParameters {
    fn default() -> Self {
        Self {
            curvature: 1.0,
            tau: 1.0,
        }
    }
}

/// See the module's text: q attends to what is near in hyperbolic space. Makes a table of 16,384 numbers once.
#[derive(Debug, Clone, PartialEq)]
pub struct HierarchicalLorentzAttention {
    parameters: HierarchicalLorentzParameters,
    /// e to the bias of different operators, by the level of one and that of the other.
    factors: Vec<[f64; LEVELS]>,
}

impl Default for HierarchicalLorentzAttention {
    fn default() -> Self {
        Self::with(HierarchicalLorentzParameters::default())
    }
}

/// The level of a depth.
fn level(depth: u32) -> usize {
    let depth = depth as usize;
    if depth < EXACT {
        return depth;
    }
    let beyond = (depth as f64 / (EXACT as f64 - 0.5)).ln() / RATIO.ln();
    (EXACT + beyond as usize).min(LEVELS - 1)
}

/// The radius of a level.
fn radius(level: usize) -> f64 {
    let depth = if level < EXACT {
        level as f64
    } else {
        // The middle of the level's depths, on the scale of logarithms.
        (EXACT as f64 - 0.5) * RATIO.powf((level - EXACT) as f64 + 0.5)
    };
    depth.ln_1p()
}

impl HierarchicalLorentzAttention {
    /// The mechanism with these parameters.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`].
    pub fn new(parameters: HierarchicalLorentzParameters) -> Result<Self, Error> {
        let HierarchicalLorentzParameters { curvature, tau } = parameters;
        check(
            NAME,
            "curvature",
            curvature,
            (0.01..=100.0).contains(&curvature),
            "from 0.01 to 100",
        )?;
        check(NAME, "tau", tau, (0.1..=100.0).contains(&tau), "from 0.1 to 100")?;
        Ok(Self::with(parameters))
    }

    fn with(parameters: HierarchicalLorentzParameters) -> Self {
        let HierarchicalLorentzParameters { curvature, tau } = parameters;
        let mut factors = vec![[0.0; LEVELS]; LEVELS];
        let scale = -1.0 / (curvature.sqrt() * tau);
        let cosines: [f64; LEVELS] = std::array::from_fn(|level| radius(level).cosh());
        for level in 0..LEVELS {
            for other in 0..=level {
                let distance = (cosines[level] * cosines[other]).acosh();
                let factor = (scale * distance).exp();
                (factors[level][other], factors[other][level]) = (factor, factor);
            }
        }
        Self { parameters, factors }
    }

    /// For each operator q the sum of `weights[v] e^bias(q, v) content(q, v)` over all v. Symmetric, so that it serves both
    /// for denominators and for scores.
    fn over_all(&self, facts: &Facts<'_>, levels: &[u8], weights: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut by_level = [[0.0; LANES]; LEVELS];
        let mut deepest = 0;
        for (at, &level) in levels.iter().enumerate() {
            add(
                &mut by_level[usize::from(level)],
                weights(at),
                &lift(&facts.of[at].direction),
            );
            deepest = deepest.max(usize::from(level));
        }
        let seen = self.seen_from(&by_level[..=deepest]);
        let sum = |(at, &level): (usize, &u8)| {
            let level = usize::from(level);
            // In the sum it counts as if it were another operator of its level.
            let itself = weights(at) * SELF * (1.0 - self.factors[level][level]);
            inner(&lift(&facts.of[at].direction), &seen[level]) + itself
        };
        levels.iter().enumerate().map(sum).collect()
    }

    /// The sums over all levels, weighted as each level sees them.
    fn seen_from(&self, by_level: &[Lanes]) -> Vec<Lanes> {
        let seen = self.factors.iter().take(by_level.len()).map(|factors| {
            let mut sum = [0.0; LANES];
            for (factor, lanes) in factors.iter().zip(by_level) {
                add(&mut sum, *factor, lanes);
            }
            sum
        });
        seen.collect()
    }
}

fn levels(facts: &Facts<'_>) -> Vec<u8> {
    facts.of.iter().map(|fact| level(fact.nesting) as u8).collect()
}

impl Mechanism for HierarchicalLorentzAttention {
    fn scores(&self, facts: &Facts<'_>) -> Vec<f64> {
        let levels = levels(facts);
        let mut shares = self.over_all(facts, &levels, |_| 1.0);
        for (share, weight) in shares.iter_mut().zip(facts.weights()) {
            *share = weight / *share;
        }
        self.over_all(facts, &levels, |at| shares[at])
    }

    fn factors(&self, facts: &Facts<'_>, at: usize) -> Vec<f64> {
        let levels = levels(facts);
        let seen = &self.factors[usize::from(levels[at])];
        let mut factors: Vec<f64> = levels.iter().map(|&level| seen[usize::from(level)]).collect();
        factors[at] = 1.0;
        factors
    }
}

impl DagAttention for HierarchicalLorentzAttention {
    common_form!();

    fn name(&self) -> &'static str {
        NAME
    }

    fn complexity(&self) -> &'static str {
        "O(n + levels²)"
    }

    fn parameters_fingerprint(&self) -> u64 {
        fingerprint(NAME, &[self.parameters.curvature, self.parameters.tau])
    }
}

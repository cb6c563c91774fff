//! Parallel branch attention: an operator attends to those that work beside it, more to the heavier branches.
//!
//! - mask(q): operators that neither feed q nor are fed by it, and q.
//! - bias(q, v): -ρ (x_q - x_v), ρ being the sync penalty and x the share of the plan's cost in the branch an operator
//!   lies on: minus the imbalance of the two branches, so that a lighter branch, which has to wait, attends to the
//!   heavier one. A branch goes down from the operator where it meets others, or from a result, and includes all
//!   that feeds it; an operator lies on the smallest branch around it.
//! - Complexity: as topological, with two more passes: the operators beside q are all, less those that feed it or are
//!   fed by it.
//! - Source: the bias as in attention with linear biases (Press, Smith, Lewis 2022); the imbalance is that of a barrier,
//!   whose time is that of its slowest branch (Amdahl 1967).
//!
//! Job: plans with many parallel branches.

use super::closure::{Sums, Walk, feeding_factors};
use super::facts::{SHARED, SINK};
use super::kernel::{LANES, SELF, add, inner, lift};
use super::parameters::{check, fingerprint};
use super::{AttentionScores, DagAttention, Facts, Mechanism, MechanismId, common_form};
use crate::{Error, OperatorId, QueryDag};
use serde::Deserialize;

const NAME: &str = MechanismId::ParallelBranch.name();

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParallelBranchParameters {
    /// What an imbalance of the whole cost is worth, ρ, 0 to 10; 2 by default.
    pub sync_penalty: f64,
}

impl Default for ParallelBranchParameters {
    fn default() -> Self {
        Self { sync_penalty: 2.0 }
    }
}

/// See the module's text: q attends to what works beside it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ParallelBranchAttention {
    parameters: ParallelBranchParameters,
}

impl ParallelBranchAttention {
    /// The mechanism with these parameters.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`].
    pub fn new(parameters: ParallelBranchParameters) -> Result<Self, Error> {
        let penalty = parameters.sync_penalty;
        check(
            NAME,
            "sync_penalty",
            penalty,
            (0.0..=10.0).contains(&penalty),
            "from 0 to 10",
        )?;
        Ok(Self { parameters })
    }

    /// e to the part of the bias that depends on v; that of q is the same for all v, but for q itself, which has the bias
    /// 0: e^(ρ x_q) here.
    fn gates(&self, facts: &Facts<'_>) -> Vec<f64> {
        let mut gates = branch_shares(facts);
        for gate in &mut gates {
            *gate = (self.parameters.sync_penalty * *gate).exp();
        }
        gates
    }
}

/// By position the share of the plan's cost in the operator's branch.
fn branch_shares(facts: &Facts<'_>) -> Vec<f64> {
    let mut shares: Vec<f64> = facts.weights().collect();
    for &position in &facts.order {
        let at = position as usize;
        if let Some(consumer) = branch_consumer(facts, at) {
            shares[consumer] += shares[at];
        }
    }
    add_shared(facts, &mut shares);
    for &position in facts.order.iter().rev() {
        let at = position as usize;
        let consumer = branch_consumer(facts, at);
        let is_alone = |&consumer: &usize| facts.dag.input_positions(consumer).len() == 1;
        shares[at] = match consumer.filter(is_alone) {
            Some(consumer) => shares[consumer],
            None => shares[at].min(1.0),
        };
    }
    shares
}

/// The only consumer.
fn branch_consumer(facts: &Facts<'_>, at: usize) -> Option<usize> {
    match facts.of[at].consumer {
        SINK | SHARED => None,
        consumer => Some(consumer as usize),
    }
}

/// Adds the shares of shared subplans to all that they feed.
fn add_shared(facts: &Facts<'_>, shares: &mut [f64]) {
    let trees: Vec<f64> = facts
        .shared
        .iter()
        .map(|&shared| shares[shared as usize])
        .collect();
    let mut walk = Walk::default();
    for (&shared, tree) in facts.shared.iter().zip(trees) {
        walk.up(facts, shared, |above| shares[above] += tree);
    }
}

/// For each operator the sum of `weights[v] content(q, v)` over itself and those beside it.
fn over_beside(facts: &Facts<'_>, sums: &mut Sums<'_, '_>, weights: &[f64]) -> Vec<f64> {
    let mut all = [0.0; LANES];
    for (fact, weight) in facts.of.iter().zip(weights) {
        add(&mut all, *weight, &lift(&fact.direction));
    }
    let mut beside = sums.over_feeding(|at| weights[at], |_, _, _| {});
    let mut fed = weights.to_vec();
    sums.over_fed(&mut fed, |_, _, _, _| {});
    for (feeding, fed) in beside.iter_mut().zip(fed) {
        *feeding += fed;
    }
    for (at, sum) in beside.iter_mut().enumerate() {
        let itself = weights[at] * SELF;
        // It is in both sums. What is left after rounding can't be less than itself.
        *sum = (inner(&lift(&facts.of[at].direction), &all) - *sum + 2.0 * itself).max(itself);
    }
    beside
}

impl Mechanism for ParallelBranchAttention {
    fn scores(&self, facts: &Facts<'_>) -> Vec<f64> {
        let gates = self.gates(facts);
        let mut sums = Sums::new(facts);
        let mut shares = over_beside(facts, &mut sums, &gates);
        for (share, weight) in shares.iter_mut().zip(facts.weights()) {
            *share = weight / *share;
        }
        let mut scores = over_beside(facts, &mut sums, &shares);
        for (score, gate) in scores.iter_mut().zip(&gates) {
            *score *= gate;
        }
        scores
    }

    fn factors(&self, facts: &Facts<'_>, at: usize) -> Vec<f64> {
        let feeding = feeding_factors(facts, at, |_| 1.0);
        let mut factors = self.gates(facts);
        let own = factors[at];
        for (factor, feeding) in factors.iter_mut().zip(feeding) {
            *factor *= 1.0 - feeding;
        }
        Walk::default().up(facts, at as u32, |above| factors[above] = 0.0);
        factors[at] = own;
        factors
    }
}

impl DagAttention for ParallelBranchAttention {
    common_form!();

    fn name(&self) -> &'static str {
        NAME
    }

    fn complexity(&self) -> &'static str {
        "O(n (1 + s))"
    }

    fn parameters_fingerprint(&self) -> u64 {
        fingerprint(NAME, &[self.parameters.sync_penalty])
    }
}

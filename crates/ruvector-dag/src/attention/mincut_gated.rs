//! Min-cut gated attention: an operator attends to what feeds it as far as that is under tension.
//!
//! - mask(q): q and what feeds it.
//! - bias(q, v): the logarithm of a gate in (0, 1), sigmoid((tension(v) - θ) / τ), with the tension of `mincut`.
//! - Complexity: as topological, and that of the tensions.
//! - Source: a gate on a logit is a forget gate (Hochreiter and Schmidhuber 1997; in attention: Lin et al. 2025,
//!   "Forgetting Transformer"); the min-cut as the signal is the original design's.
//!
//! Job: plans under tension. The gate closes on slack operators.

use super::closure::{feeding_factors, gated_scores};
use super::parameters::{check, fingerprint};
use super::{AttentionScores, DagAttention, Facts, Mechanism, MechanismId, common_form};
use crate::{Error, OperatorId, QueryDag};
use serde::Deserialize;

const NAME: &str = MechanismId::MincutGated.name();

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MinCutGatedParameters {
    /// The tension θ at which the gate is half open, 0 to 1; 0.5 by default.
    pub theta: f64,
    /// How much tension τ opens it by a factor of e where it is nearly shut, 0.01 to 10; 0.1 by default.
    pub tau: f64,
}

impl Default for MinCutGatedParameters {
    fn default() -> Self {
        Self { theta: 0.5, tau: 0.1 }
    }
}

/// See the module's text: q attends to what is under tension.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MinCutGatedAttention {
    parameters: MinCutGatedParameters,
}

impl MinCutGatedAttention {
    /// The mechanism with these parameters.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`].
    pub fn new(parameters: MinCutGatedParameters) -> Result<Self, Error> {
        let MinCutGatedParameters { theta, tau } = parameters;
        check(NAME, "theta", theta, (0.0..=1.0).contains(&theta), "from 0 to 1")?;
        check(NAME, "tau", tau, (0.01..=10.0).contains(&tau), "from 0.01 to 10")?;
        Ok(Self { parameters })
    }

    /// By position how open each operator's gate is. Above e^-100, since θ, τ and tensions have bounds; what is not a
    /// number counts as no tension.
    fn gates(&self, facts: &Facts<'_>) -> Vec<f64> {
        let MinCutGatedParameters { theta, tau } = self.parameters;
        let mut gates = crate::mincut::tensions(facts.dag);
        for gate in &mut gates {
            let tension = if *gate > 0.0 { gate.min(1.0) } else { 0.0 };
            *gate = 1.0 / (1.0 + ((theta - tension) / tau).exp());
        }
        gates
    }
}

impl Mechanism for MinCutGatedAttention {
    fn scores(&self, facts: &Facts<'_>) -> Vec<f64> {
        let gates = self.gates(facts);
        gated_scores(facts, |at| gates[at])
    }

    fn factors(&self, facts: &Facts<'_>, at: usize) -> Vec<f64> {
        let gates = self.gates(facts);
        feeding_factors(facts, at, |at| gates[at])
    }
}

impl DagAttention for MinCutGatedAttention {
    common_form!();

    fn name(&self) -> &'static str {
        NAME
    }

    fn complexity(&self) -> &'static str {
        "O(n (1 + s))"
    }

    fn parameters_fingerprint(&self) -> u64 {
        fingerprint(NAME, &[self.parameters.theta, self.parameters.tau])
    }
}

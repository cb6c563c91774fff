//! Topological attention: an operator attends to what feeds it, transitively, and to itself.
//!
//! - mask(q): q and what feeds it.
//! - bias(q, v): 0.
//! - Complexity: O(V + E), times the number of shared operators where there are any.
//! - Source: attention along the partial order of a directed acyclic graph (Luo, Thost, Shi 2023, "Transformers over
//!   Directed Acyclic Graphs").
//!
//! Job: the default. Operators that much of the cost depends on score high.

use super::closure::{feeding_factors, gated_scores};
use super::{AttentionScores, DagAttention, Facts, Mechanism, MechanismId, common_form};
use crate::{Error, OperatorId, QueryDag};
use serde::Deserialize;

const NAME: &str = MechanismId::Topological.name();

/// There is nothing to set.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopologicalParameters {}

/// See the module's text: q attends to what feeds it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TopologicalAttention;

impl TopologicalAttention {
    /// The mechanism.
    pub fn new(_parameters: TopologicalParameters) -> Self {
        Self
    }
}

impl Mechanism for TopologicalAttention {
    fn scores(&self, facts: &Facts<'_>) -> Vec<f64> {
        gated_scores(facts, |_| 1.0)
    }

    fn factors(&self, facts: &Facts<'_>, at: usize) -> Vec<f64> {
        feeding_factors(facts, at, |_| 1.0)
    }
}

impl DagAttention for TopologicalAttention {
    common_form!();

    fn name(&self) -> &'static str {
        NAME
    }

    fn complexity(&self) -> &'static str {
        "O(n (1 + s))"
    }

    fn parameters_fingerprint(&self) -> u64 {
        super::parameters::fingerprint(NAME, &[])
    }
}

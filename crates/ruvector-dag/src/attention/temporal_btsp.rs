//! Temporal attention by behavioural time-scale plasticity (BTSP): an operator attends to what feeds it, and more to what
//! lately behaved unexpectedly.
//!
//! - mask(q): q and what feeds it.
//! - bias(q, v): log(1 + eligibility trace of v). The trace belongs to the kind of operator (its type and its relation or
//!   index). One execution whose rows were off by a factor of `plateau` sets it to `eligibility`, whatever it was (one
//!   shot); then it decays as e^(-age / `time_constant`).
//! - Complexity: as topological, and O(log t) per operator with t traces, at most [`CAPACITY`].
//! - Source: Bittner, Milstein, Grienberger, Romani, Magee 2017, "Behavioral time scale synaptic plasticity underlies CA1
//!   place fields".
//!
//! Job: statements that follow each other in time. There is no clock here: the caller gives times, in seconds since any
//! origin, and `forward` looks at the traces as of the last time given.

use super::closure::{feeding_factors, gated_scores};
use super::parameters::{check, fingerprint};
use super::{AttentionScores, DagAttention, Facts, Mechanism, MechanismId, common_form};
use crate::OperatorNode;
use crate::cardinality::{hash_bytes, hash_words};
use crate::{Error, OperatorId, QueryDag};
use serde::Deserialize;

const NAME: &str = MechanismId::TemporalBtsp.name();
/// Traces that are kept; the weakest goes first.
pub const CAPACITY: usize = 1024;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemporalBTSPParameters {
    /// The factor between rows expected and rows counted that sets a trace, 1 to 1e9; 4 by default.
    pub plateau: f64,
    /// What a trace is set to, 0 to 1e6; 4 by default.
    pub eligibility: f64,
    /// The seconds in which a trace falls by a factor of e, 1e-3 to 1e9; 3,600 by default.
    pub time_constant: f64,
}

impl Default for TemporalBTSPParameters {
    fn default() -> Self {
        Self {
            plateau: 4.0,
            eligibility: 4.0,
            time_constant: 3600.0,
        }
    }
}

/// A trace and when it was set.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Trace {
    operator: u64,
    set_at: f64,
}

/// See the module's text: q attends to what lately surprised.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TemporalBTSPAttention {
    parameters: TemporalBTSPParameters,
    /// Sorted by operator.
    traces: Vec<Trace>,
    now: f64,
}

/// What makes two operators the same kind.
fn kind(node: &OperatorNode) -> u64 {
    let name = |text: &Option<String>| text.as_deref().map_or(0, |text| hash_bytes(text.as_bytes()));
    hash_words([
        u64::from(node.operator_type.code()),
        name(&node.relation),
        name(&node.index),
    ])
}

impl TemporalBTSPAttention {
    /// The mechanism with these parameters, without traces, at time 0.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`].
    pub fn new(parameters: TemporalBTSPParameters) -> Result<Self, Error> {
        let TemporalBTSPParameters {
            plateau,
            eligibility,
            time_constant,
        } = parameters;
        check(
            NAME,
            "plateau",
            plateau,
            (1.0..=1e9).contains(&plateau),
            "from 1 to 1e9",
        )?;
        check(
            NAME,
            "eligibility",
            eligibility,
            (0.0..=1e6).contains(&eligibility),
            "from 0 to 1e6",
        )?;
        let is_valid = (1e-3..=1e9).contains(&time_constant);
        check(NAME, "time_constant", time_constant, is_valid, "from 1e-3 to 1e9")?;
        Ok(Self {
            parameters,
            ..Self::default()
        })
    }

    /// Takes in an executed plan at a time in seconds: every operator whose counted rows are off by the plateau or more
    /// sets its trace. Returns how many did.
    pub fn observe(&mut self, dag: &QueryDag, seconds: f64) -> usize {
        self.advance(seconds);
        let surprises = dag.nodes().filter(|node| {
            node.q_error()
                .is_some_and(|error| error >= self.parameters.plateau)
        });
        let kinds: Vec<u64> = surprises.map(kind).collect();
        kinds.iter().for_each(|&kind| self.set(kind));
        kinds.len()
    }

    /// Lets time pass, in seconds; an earlier time than the last changes nothing.
    pub fn advance(&mut self, seconds: f64) {
        if seconds.is_finite() {
            self.now = self.now.max(seconds);
        }
    }

    /// The trace of an operator's kind now, 0 if there is none.
    pub fn trace(&self, node: &OperatorNode) -> f64 {
        self.trace_of(kind(node))
    }

    fn set(&mut self, operator: u64) {
        let trace = Trace {
            operator,
            set_at: self.now,
        };
        match self.place(operator) {
            Ok(at) => self.traces[at] = trace,
            Err(_) if self.traces.len() >= CAPACITY => {
                self.forget_weakest();
                self.set(operator);
            }
            Err(at) => self.traces.insert(at, trace),
        }
    }

    fn forget_weakest(&mut self) {
        let ages = self.traces.iter().enumerate();
        let oldest = ages.min_by(|(_, a), (_, b)| a.set_at.total_cmp(&b.set_at));
        if let Some((at, _)) = oldest {
            self.traces.remove(at);
        }
    }

    fn place(&self, operator: u64) -> Result<usize, usize> {
        self.traces
            .binary_search_by_key(&operator, |trace| trace.operator)
    }

    fn trace_of(&self, operator: u64) -> f64 {
        let Some(trace) = self.place(operator).ok().and_then(|at| self.traces.get(at)) else {
            return 0.0;
        };
        let age = (self.now - trace.set_at) / self.parameters.time_constant;
        self.parameters.eligibility * (-age).exp()
    }

    /// By position 1 + trace; empty when there are no traces.
    fn gates(&self, facts: &Facts<'_>) -> Vec<f64> {
        if self.traces.is_empty() {
            return Vec::new();
        }
        facts.dag.nodes().map(|node| 1.0 + self.trace(node)).collect()
    }
}

impl Mechanism for TemporalBTSPAttention {
    fn scores(&self, facts: &Facts<'_>) -> Vec<f64> {
        let gates = self.gates(facts);
        gated_scores(facts, |at| gates.get(at).copied().unwrap_or(1.0))
    }

    fn factors(&self, facts: &Facts<'_>, at: usize) -> Vec<f64> {
        let gates = self.gates(facts);
        feeding_factors(facts, at, |at| gates.get(at).copied().unwrap_or(1.0))
    }
}

impl DagAttention for TemporalBTSPAttention {
    common_form!();

    fn name(&self) -> &'static str {
        NAME
    }

    fn complexity(&self) -> &'static str {
        "O(n (log traces + s))"
    }

    fn parameters_fingerprint(&self) -> u64 {
        let TemporalBTSPParameters {
            plateau,
            eligibility,
            time_constant,
        } = self.parameters;
        let mut words = vec![plateau, eligibility, time_constant];
        if !self.traces.is_empty() {
            words.push(self.now);
        }
        for trace in &self.traces {
            words.extend([f64::from_bits(trace.operator), trace.set_at]);
        }
        fingerprint(NAME, &words)
    }
}

//! What can be wrong with a graph, or with the bytes and texts it is read from.

use crate::OperatorId;

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An edge would close a cycle.
    #[error("an edge from operator {from} to operator {to} would close a cycle")]
    Cycle {
        /// Where the data comes from.
        from: OperatorId,
        /// Where it goes.
        to: OperatorId,
    },
    /// An operator that is not in the graph.
    #[error("there is no operator {given}")]
    UnknownOperator {
        /// The operator asked for.
        given: OperatorId,
    },
    /// An edge that is not in the graph.
    #[error("there is no edge from operator {from} to operator {to}")]
    UnknownEdge {
        /// Where the data would come from.
        from: OperatorId,
        /// Where it would go.
        to: OperatorId,
    },
    /// Two operators of one number.
    #[error("there is an operator {given} already")]
    DuplicateOperator {
        /// The number.
        given: OperatorId,
    },
    /// Two edges between the same operators.
    #[error("there is an edge from operator {from} to operator {to} already")]
    DuplicateEdge {
        /// Where the data comes from.
        from: OperatorId,
        /// Where it goes.
        to: OperatorId,
    },
    /// A number that no plan can have: negative, infinite or not a number.
    #[error("operator {operator} has no valid {field}: {given}")]
    InvalidNumber {
        /// The operator.
        operator: OperatorId,
        /// The field.
        field: &'static str,
        /// What was given.
        given: f64,
    },
    /// A capacity that no edge can have: negative or not a number.
    #[error("the edge from operator {from} to operator {to} can't have the capacity {given}")]
    InvalidCapacity {
        /// Where the data comes from.
        from: OperatorId,
        /// Where it goes.
        to: OperatorId,
        /// What was given.
        given: f64,
    },
    /// An operator that still has edges.
    #[error("operator {given} still has edges")]
    OperatorInUse {
        /// The operator.
        given: OperatorId,
    },
    /// The binary form has another version.
    #[error("binary form of version {given}, expected {expected}")]
    Version {
        /// The version found.
        given: u8,
        /// The version this crate reads.
        expected: u8,
    },
    /// The binary form ends too early, goes on too long, or holds an unknown code.
    #[error("malformed binary form at byte {position}: {what}")]
    MalformedBinary {
        /// Where.
        position: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// The JSON is not that of a graph.
    #[error("malformed JSON: {0}")]
    MalformedJson(String),
    /// The text is not the output of EXPLAIN (FORMAT JSON).
    #[error("malformed EXPLAIN output: {0}")]
    MalformedExplain(String),
    /// A plan nested deeper than any real one.
    #[error("a plan of more than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// No attention mechanism has this name.
    #[error(
        "there is no attention mechanism {given:?}; there are {}",
        crate::attention::MechanismId::names()
    )]
    UnknownMechanism {
        /// The name asked for.
        given: String,
    },
    /// A parameter of an attention mechanism is out of its range.
    #[error("{mechanism}: {parameter} must be {expected}, not {given}")]
    InvalidParameter {
        /// The mechanism's name.
        mechanism: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// What was given.
        given: f64,
    },
    /// The parameters of an attention mechanism are not a JSON object of numbers that it knows.
    #[error("malformed parameters of {mechanism}: {what}")]
    MalformedParameters {
        /// The mechanism's name.
        mechanism: &'static str,
        /// What is wrong.
        what: String,
    },
    /// A setting out of its range.
    #[error("{name} is out of its range: {given}")]
    InvalidSetting {
        /// The setting.
        name: &'static str,
        /// What was given.
        given: f64,
    },
    /// Stored rewards that cannot have been earned.
    #[error("pattern {pattern:016x} has impossible rewards")]
    InvalidArms {
        /// The pattern.
        pattern: u64,
    },
    /// Numbers that are no plan embedding.
    #[error("not an embedding: {what}")]
    InvalidEmbedding {
        /// What is wrong.
        what: &'static str,
    },
    /// Parameters that no adapter, head or constraint can have.
    #[error("not the weights of a model: {what}")]
    InvalidWeights {
        /// What is wrong.
        what: &'static str,
    },
    /// A pattern with a number that can't be.
    #[error("a pattern can't have the {field} {given}")]
    InvalidPattern {
        /// The field.
        field: &'static str,
        /// What was given.
        given: f64,
    },
    /// No room for another pattern: all that are there are pinned.
    #[error("all {limit} patterns are pinned")]
    PatternsFull {
        /// How many there is room for.
        limit: usize,
    },
    /// The caller wanted work to stop before its end.
    #[error("the work was cancelled")]
    Cancelled,
    /// A stored state that is cut short, damaged, or none at all.
    #[error("not a learned state: {what}")]
    MalformedState {
        /// What is wrong.
        what: &'static str,
    },
    /// A stored state of a version that this crate does not know yet.
    #[error("a learned state of version {given}; the newest known is {newest}")]
    NewerState {
        /// The version found.
        given: u8,
        /// The newest version this crate reads.
        newest: u8,
    },
}

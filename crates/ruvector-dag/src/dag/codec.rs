//! Two stored forms of a graph: JSON for people, and a compact binary one (a version byte, then postcard).
//!
//! Both decoders take bytes from outside: they check every invariant of a graph and reject anything else with a typed
//! error. Time and memory stay in proportion to the input: no length prefix is believed (serde reserves at most a
//! megabyte ahead of the data), and edges are checked all at once.

use super::{OperatorNode, QueryDag};
use crate::{Error, OperatorId};
use serde::{Deserialize, Serialize};

/// The version of both forms.
const VERSION: u8 = 1;

/// What is written: edges in the order of each operator's inputs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    operators: Vec<OperatorNode>,
    edges: Vec<(OperatorId, OperatorId)>,
}

/// The JSON form says its version.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Versioned {
    version: u8,
    dag: Stored,
}

impl QueryDag {
    fn stored(&self) -> Stored {
        Stored {
            operators: self.nodes.clone(),
            edges: self.edges().collect(),
        }
    }

    /// The JSON form: `{"version": 1, "dag": {"operators": [...], "edges": [[from, to], ...]}}`.
    pub fn to_json(&self) -> serde_json::Value {
        // Maps with string keys and finite numbers always have a JSON form.
        serde_json::to_value(Versioned {
            version: VERSION,
            dag: self.stored(),
        })
        .unwrap_or_default()
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// [`Error::MalformedJson`], [`Error::Version`], and those of building a graph.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Error> {
        let versioned =
            Versioned::deserialize(json).map_err(|error| Error::MalformedJson(error.to_string()))?;
        check_version(versioned.version)?;
        Self::from_parts(versioned.dag.operators, versioned.dag.edges)
    }

    /// The binary form.
    pub fn to_binary(&self) -> Vec<u8> {
        // Nothing in a graph is without a binary form.
        postcard::to_extend(&self.stored(), vec![VERSION]).unwrap_or_default()
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// [`Error::MalformedBinary`], [`Error::Version`], and those of building a graph.
    pub fn from_binary(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |position, what| Error::MalformedBinary { position, what };
        let (&version, body) = bytes.split_first().ok_or(malformed(0, "nothing"))?;
        check_version(version)?;
        let (stored, rest): (Stored, &[u8]) =
            postcard::take_from_bytes(body).map_err(|_| malformed(1, "not a graph"))?;
        if !rest.is_empty() {
            return Err(malformed(bytes.len() - rest.len(), "more than a graph"));
        }
        Self::from_parts(stored.operators, stored.edges)
    }
}

fn check_version(given: u8) -> Result<(), Error> {
    if given == VERSION {
        Ok(())
    } else {
        Err(Error::Version {
            given,
            expected: VERSION,
        })
    }
}

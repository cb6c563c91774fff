//! What one execution counted, in the least bytes: a sketch per query level, and the sets of its relations that ran to
//! their end. Kept with the execution, and learned from later.

use super::identity::RelationSet;
use super::sketch::JoinSketch;
use super::template::SubJoin;
use crate::Error;
use crate::frame::{malformed, read};
use serde::{Deserialize, Serialize};

/// The first byte.
const VERSION: u8 = 1;

/// The count of one sub-join.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SetCount {
    /// Its relations in the sketch.
    pub set: RelationSet,
    /// The planner's own estimate, out of no learned count.
    pub estimate: f64,
    /// Rows counted.
    pub rows: f64,
    /// The relation, constants included, was not known before.
    pub is_first: bool,
}

/// A query level and what was counted of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CountedSketch {
    /// The level.
    pub sketch: JoinSketch,
    /// Its counts.
    pub counts: Vec<SetCount>,
}

impl CountedSketch {
    /// The sub-joins with their counts.
    pub fn sub_joins(&self) -> impl Iterator<Item = (SubJoin, SetCount)> + '_ {
        self.counts
            .iter()
            .map(|count| (self.sketch.sub_join(count.set, count.estimate), *count))
    }

    /// The levels of an execution as bytes: a version, then postcard.
    pub fn to_binary(levels: &[Self]) -> Vec<u8> {
        // Nothing in it is without a binary form.
        postcard::to_extend(&levels, vec![VERSION]).unwrap_or_default()
    }

    /// Reads the bytes of an execution.
    ///
    /// # Errors
    /// [`Error::NewerState`], [`Error::MalformedState`].
    pub fn from_binary(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        match bytes.split_first() {
            Some((&VERSION, body)) => read(body),
            Some((&given, _)) if given > VERSION => Err(Error::NewerState {
                given,
                newest: VERSION,
            }),
            _ => Err(malformed("of no version")),
        }
    }
}

//! Stage 8 of 9, learning: several stored states as one, which is what moves between servers.
//!
//! Framed as each of them is: `RVSB`, a version, a checksum, the body. Version 1 is the only one yet. The states inside
//! have versions of their own.

use crate::Error;
use crate::frame::{Frame, malformed, read};
use serde::{Deserialize, Serialize};

/// The version that is written, the newest that is read.
pub const BUNDLE_VERSION: u8 = 1;
const MAGIC: [u8; 4] = *b"RVSB";
const FRAME: Frame = Frame {
    magic: MAGIC,
    newest: BUNDLE_VERSION,
};

/// States by name, in the order they were put in.
///
/// ```
/// use ruvector_dag::bundle::StateBundle;
///
/// let bundle = StateBundle::new(vec![("rows".to_owned(), vec![1, 2, 3])]);
/// let bytes = bundle.to_binary();
/// assert!(StateBundle::is_one(&bytes));
/// assert_eq!(StateBundle::from_binary(&bytes)?.state("rows"), Some(&[1, 2, 3][..]));
/// # Ok::<(), ruvector_dag::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateBundle {
    states: Vec<(String, Vec<u8>)>,
}

impl StateBundle {
    /// These states.
    pub fn new(states: Vec<(String, Vec<u8>)>) -> Self {
        Self { states }
    }

    /// Whether these bytes say that they are a bundle, whatever they hold.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// What the states are called.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.states.iter().map(|(name, _)| name.as_str())
    }

    /// The state with this name.
    pub fn state(&self, name: &str) -> Option<&[u8]> {
        let found = self.states.iter().find(|(own, _)| own == name);
        found.map(|(_, state)| state.as_slice())
    }

    /// As bytes.
    pub fn to_binary(&self) -> Vec<u8> {
        FRAME.wrap(BUNDLE_VERSION, self)
    }

    /// Of bytes.
    ///
    /// # Errors
    /// [`Error::NewerState`], [`Error::MalformedState`]: also of two states of the same name.
    pub fn from_binary(bytes: &[u8]) -> Result<Self, Error> {
        let (version, body) = FRAME.open(bytes)?;
        if version != BUNDLE_VERSION {
            return Err(malformed("of no version"));
        }
        let bundle: Self = read(body)?;
        let mut names: Vec<&str> = bundle.names().collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(malformed("two states of one name"));
        }
        Ok(bundle)
    }
}

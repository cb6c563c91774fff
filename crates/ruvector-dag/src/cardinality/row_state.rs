//! A row model as bytes, to survive restarts and to be handed to sessions.
//!
//! Framed as the state of learning is: `RVRM`, a version, a checksum, the body. Version 1 is the only one yet.

use super::row_model::RowModel;
use crate::Error;
use crate::frame::{Frame, malformed, read};

/// The version that is written, the newest that is read.
pub const ROW_MODEL_VERSION: u8 = 1;
const FRAME: Frame = Frame {
    magic: *b"RVRM",
    newest: ROW_MODEL_VERSION,
};
/// A model of fewer parts says too little to be worth the room.
const LEAST_PARTS: usize = 32;

impl RowModel {
    /// All that is learned.
    pub fn to_state(&self) -> Vec<u8> {
        FRAME.wrap(ROW_MODEL_VERSION, self)
    }

    /// As much of it as fits, to predict with: without neighbours, and with the parts used last, if there is no room for
    /// more. `None` when hardly anything fits.
    pub fn to_state_within(&self, bytes: usize) -> Option<Vec<u8>> {
        let whole = self.to_state();
        if whole.len() <= bytes {
            return Some(whole);
        }
        let mut parts = self.size().0;
        while parts >= LEAST_PARTS {
            let state = self.reduced(parts).to_state();
            if state.len() <= bytes {
                return Some(state);
            }
            parts = parts * 3 / 4;
        }
        None
    }

    /// The model that was stored.
    ///
    /// # Errors
    /// [`Error::NewerState`], [`Error::MalformedState`].
    pub fn from_state(bytes: &[u8]) -> Result<Self, Error> {
        match FRAME.open(bytes)? {
            (ROW_MODEL_VERSION, body) => read(body),
            _ => Err(malformed("of no version")),
        }
    }
}

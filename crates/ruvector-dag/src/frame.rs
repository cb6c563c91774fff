//! Bytes that say what they are: magic, version, checksum, body.
//!
//! Such bytes come from outside: what is damaged, cut short or newer is refused as a whole.

use crate::Error;
use crate::cardinality::hash_bytes;
use serde::{Deserialize, Serialize};

/// One kind of stored bytes.
pub(crate) struct Frame {
    pub(crate) magic: [u8; 4],
    /// The newest version that can be read.
    pub(crate) newest: u8,
}

impl Frame {
    /// Puts a body of this version into its frame.
    pub(crate) fn wrap(&self, version: u8, body: &impl Serialize) -> Vec<u8> {
        let mut framed = self.magic.to_vec();
        framed.push(version);
        let sum = framed.len();
        let begin = sum + size_of::<u64>();
        framed.resize(begin, 0);
        // Nothing that is stored is without a binary form.
        let mut framed = postcard::to_extend(body, framed).unwrap_or_default();
        if let Some((head, body)) = framed.split_at_mut_checked(begin) {
            let checksum = checksum(version, body).to_le_bytes();
            head.get_mut(sum..)
                .into_iter()
                .for_each(|place| place.copy_from_slice(&checksum));
        }
        framed
    }

    /// Version and body.
    pub(crate) fn open<'b>(&self, bytes: &'b [u8]) -> Result<(u8, &'b [u8]), Error> {
        let rest = bytes.strip_prefix(&self.magic).ok_or(malformed("other bytes"))?;
        let (&version, rest) = rest.split_first().ok_or(malformed("cut short"))?;
        if version > self.newest {
            return Err(Error::NewerState {
                given: version,
                newest: self.newest,
            });
        }
        let (sum, body) = rest.split_first_chunk().ok_or(malformed("cut short"))?;
        if u64::from_le_bytes(*sum) != checksum(version, body) {
            return Err(malformed("damaged"));
        }
        Ok((version, body))
    }
}

/// What these bytes are not.
pub(crate) fn malformed(what: &'static str) -> Error {
    Error::MalformedState { what }
}

/// The whole of a body.
pub(crate) fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Error> {
    match postcard::take_from_bytes(body) {
        Ok((state, [])) => Ok(state),
        Ok(_) => Err(malformed("more than a state")),
        Err(_) => Err(malformed("not what its version holds")),
    }
}

fn checksum(version: u8, body: &[u8]) -> u64 {
    hash_bytes(body) ^ hash_bytes(&[version])
}

//! Reading and checking parameters.

use super::MechanismId;
use crate::Error;
use crate::cardinality::{hash_bytes, hash_words};
use serde::de::DeserializeOwned;

/// Parameters from a JSON object.
pub(super) fn read<P: DeserializeOwned>(mechanism: MechanismId, text: &str) -> Result<P, Error> {
    serde_json::from_str(text).map_err(|error| Error::MalformedParameters {
        mechanism: mechanism.name(),
        what: error.to_string(),
    })
}

/// Refuses a parameter that is not in a range.
pub(super) fn check(
    mechanism: &'static str,
    parameter: &'static str,
    given: f64,
    is_valid: bool,
    expected: &'static str,
) -> Result<(), Error> {
    if is_valid {
        return Ok(());
    }
    Err(Error::InvalidParameter {
        mechanism,
        parameter,
        expected,
        given,
    })
}

/// The hash of a mechanism with these parameters.
pub(super) fn fingerprint(mechanism: &'static str, parameters: &[f64]) -> u64 {
    let name = hash_bytes(mechanism.as_bytes());
    hash_words(std::iter::once(name).chain(parameters.iter().map(|parameter| parameter.to_bits())))
}

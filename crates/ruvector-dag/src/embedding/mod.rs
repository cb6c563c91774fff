//! Stage 4 of 9, embedding: a plan as a vector.

mod features;

pub(crate) use features::{Context, describe};
pub use features::{FAMILIES, FEATURES, NUMBERS, operator_features};

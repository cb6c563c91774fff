//! Stage 4 of 9, embedding: a plan as a point on a sphere, so that similar plans are close.

mod features;

pub use features::{FEATURES, operator_features};

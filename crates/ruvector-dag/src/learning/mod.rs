//! Stage 8 of 9, learning: SONA, at three speeds.

mod normal;
mod ridge;
pub mod completion;
pub mod consolidator;
pub mod dream;
pub mod phi;

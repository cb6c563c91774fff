//! Stage 8 of 9, learning: SONA, at three speeds.

mod normal;
mod ridge;
mod config;
mod latency;
mod memory;
pub mod conformal;
pub mod coordinator;
pub mod completion;
pub mod consolidator;
pub mod dream;
pub mod phi;

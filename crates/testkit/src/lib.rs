//! Throwaway PostgreSQL clusters with the extension, for tests and benchmarks. Never touches a server it did not start.

pub mod build;
pub mod cluster;
pub mod install;
mod interrupt;
pub mod reference;
pub mod stats;

pub use cluster::{Builder, Cluster};
pub use install::Server;

/// What everything here returns.
pub type Result<T> = anyhow::Result<T>;

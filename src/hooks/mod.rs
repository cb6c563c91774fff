//! The hooks, one file each, in safe Rust: what happens before and after PostgreSQL's own work.
//!
//! A hook never fails a statement, always chains, and does nothing in parallel workers or with `dag_mode = off`. The
//! order of installation does not matter; each statement passes planner → base_relation → join_relation → executor.

pub(crate) mod planner;
pub(crate) mod base_relation;
pub(crate) mod join_relation;
pub(crate) mod executor;
pub(crate) mod trial;
pub(crate) mod explain;

/// Installs the hooks. Called once, when the library is preloaded.
pub(crate) fn init() {
    crate::pg::hook_point::install();
}

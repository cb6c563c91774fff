//! The room of `unsafe`: everything that touches PostgreSQL's memory and functions, behind safe calls.
//!
//! Rules of the room. Each unsafe block says why it is sound. No Rust value that needs dropping is alive in a frame that
//! a PostgreSQL error may jump over. Our own work runs inside [`hook_point::guarded`], which swallows and counts our own
//! failures; PostgreSQL's planning and execution run raw, so that users' errors pass untouched. All of it runs on the
//! backend's main thread.

#![allow(unsafe_code)]

pub(crate) mod compat;
pub(crate) mod raw;
pub(crate) mod list;
pub(crate) mod hint_set;
pub(crate) mod kept_plan;
pub(crate) mod trial;
pub(crate) mod scratch;
mod foreground;
mod explain;
pub(crate) mod dream;
pub(crate) mod hook_point;
pub(crate) mod ereport;
mod lock_times;
pub(crate) mod shmem;
pub(crate) mod snapshots;
mod ring;
pub(crate) mod subtransaction;
pub(crate) mod own_settings;
pub(crate) mod transaction_end;
pub(crate) mod turns;
pub(crate) mod threads;
pub(crate) mod interrupts;
pub(crate) mod io_priority;
pub(crate) mod background_worker;
pub(crate) mod catalog;
pub(crate) mod extension;
pub(crate) mod statement;
pub(crate) mod scope;
pub(crate) mod expression;
pub(crate) mod paths;
pub(crate) mod level;
mod groups;
mod level_rows;
pub(crate) mod sub_join;
pub(crate) mod plan_tree;
mod plan_costs;
pub(crate) mod counted_nodes;
pub(crate) mod node_runs;
pub(crate) mod plan_state;
pub(crate) mod operators;
pub(crate) mod columns;
pub(crate) mod query_text;
pub(crate) mod query_tree;

//! The SQL functions: shape, rights and text, no logic. One file per chapter of docs/sql.md; the declarations are in
//! `sql/`.

#![allow(
    unsafe_code,
    reason = "pgrx's macros expand to unsafe wrappers; none is written here"
)]
#![allow(
    clippy::type_complexity,
    reason = "pgrx reads a function's columns from the type written out in its signature"
)]

mod config;
mod analysis;
mod rewrite;
mod estimate;
mod attention;
mod latency;
mod learning;
mod memory;
mod shapes;
mod trajectories;
mod patterns;
mod state;
mod decisions;
mod regions;
mod advice;
mod latencies;
mod monitoring;
mod trace;
mod health;
mod healing;
mod scope;

//! End-to-end measurements on throwaway clusters. Every number is a ratio to stock PostgreSQL in the same run.

mod demo;
mod overhead;
mod plan_shape;
mod planning;
mod rows;
mod session;
mod stats;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    /// Sample data, learning, a before/after table.
    Demo(demo::Options),
    /// STATS, stock against learned.
    Stats(stats::Options),
    /// The sub-joins of STATS: PostgreSQL's estimates and exact counts.
    Rows(rows::Options),
    /// Planning time on top of stock, by number of tables.
    Planning(planning::Options),
    /// pgbench -S throughput on top of stock.
    Pgbench(overhead::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().program {
        Program::Demo(options) => demo::run(&options),
        Program::Stats(options) => stats::run(&options),
        Program::Rows(options) => rows::run(&options),
        Program::Planning(options) => planning::run(&options),
        Program::Pgbench(options) => overhead::run(&options),
    }
}

//! End-to-end measurements on throwaway clusters. Every number is a ratio to stock PostgreSQL in the same run.

mod workload;
mod rewrites;
mod session;
mod report;
mod idle_trials;
mod plan_shape;
mod demo;
mod comparison;
mod oracle;
mod simulation;
mod mixed;
mod ablation;
mod rows;
mod planning;
mod overhead;
mod instructions;
mod soak;

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
    Stats(comparison::Options),
    /// The same of a generated shop: the demo's recipe at ten times its size, 60 statements over ten tables.
    Generated(comparison::Options),
    /// The fastest of 49 hint sets and of parallel workers for small tables per statement, for the oracle column of a report.
    Oracle(oracle::Options),
    /// First sights over many splits, simulated with the latencies that `oracle` measured.
    Simulate(simulation::Options),
    /// Statements in random order by several clients at once, stock and learned in turn.
    Mixed(mixed::Options),
    /// The same run with each mechanism off.
    Ablate(ablation::Options),
    /// All statements with rewrites, stock cut off at the limit.
    Rewrites(rewrites::Options),
    /// The sub-joins of STATS: PostgreSQL's estimates and exact counts.
    Rows(rows::Options),
    /// Planning time on top of stock, by number of tables.
    Planning(planning::Options),
    /// pgbench throughput on top of stock: -S and TPC-B-like.
    Pgbench(overhead::Options),
    /// Instructions of the server per transaction of pgbench's, counted by valgrind.
    Instructions(instructions::Options),
    /// Many clients that do everything at once for a while: memory, waits for our locks, crashes.
    Soak(soak::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().program {
        Program::Demo(options) => demo::run(&options),
        Program::Stats(options) => comparison::run(&options),
        Program::Generated(options) => comparison::run(&options.of_generated()),
        Program::Oracle(options) => oracle::run(&options),
        Program::Simulate(options) => simulation::run(&options),
        Program::Mixed(options) => mixed::run(&options),
        Program::Ablate(options) => ablation::run(&options),
        Program::Rewrites(options) => rewrites::run(&options),
        Program::Rows(options) => rows::run(&options),
        Program::Planning(options) => planning::run(&options),
        Program::Pgbench(options) => overhead::run(&options),
        Program::Instructions(options) => instructions::run(&options),
        Program::Soak(options) => soak::run(&options),
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use clap::CommandFactory;

    #[test]
    fn every_program_has_options_that_go_together() {
        Arguments::command().debug_assert();
    }
}

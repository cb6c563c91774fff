//! The project's chores, one subcommand each; the Makefile only forwards here.

mod chores;
mod dockerfile;
mod installcheck;
mod majors;
mod package;
mod setup;
mod tidy;
mod valgrind;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what the build needs (Debian, as root), or say what is missing.
    Setup,
    /// Build the extension.
    Build,
    /// Install the extension into the server that pg_config belongs to.
    Install,
    /// Put the extension's files below a root directory, where an installed server has them.
    Package {
        /// The root directory, made if need be.
        #[arg(long)]
        to: PathBuf,
    },
    /// Do the Dockerfile's steps in clean folders, without Docker, and run the server they come to.
    Dockerfile,
    /// Make the Debian package.
    Deb,
    /// Write docs/reference.md anew, from the catalog of a throwaway cluster.
    Reference,
    /// Run pg_regress on a throwaway cluster.
    Installcheck {
        /// Take what the tests print as what is expected from now on.
        #[arg(long)]
        accept: bool,
    },
    /// Run pg_regress on a throwaway cluster under valgrind (Debian: valgrind), for an hour or so.
    Valgrind,
    /// Check the house rules.
    Tidy,
    /// Check formatting, lints and documentation.
    Check,
    /// Compile the extension for another major whose pg_config is given.
    Compile {
        /// Major version.
        major: u32,
        /// Its pg_config.
        pg_config: PathBuf,
    },
    /// Compile the extension for all other majors that can be had, which are fetched: PostgreSQL 16 and 18.
    Majors,
    /// Run pg_regress and the tests on clusters on another major, which is fetched: PostgreSQL 16 or 18, with pgvector.
    TestMajor {
        /// Major version.
        major: u32,
        /// Arguments for cargo test, such as `--test loop`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run all tests.
    Test,
    /// Run a program of the benches package: demo, stats, generated, oracle, mixed, ablate, rows, pgbench, planning.
    #[command(trailing_var_arg = true)]
    Bench {
        /// The program and its arguments; without any, the engine's criterion benches.
        #[arg(allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().chore {
        Chore::Setup => setup::run(),
        Chore::Build => chores::build(),
        Chore::Install => chores::install(),
        Chore::Package { to } => package::lay_out(&to),
        Chore::Dockerfile => dockerfile::run(),
        Chore::Deb => package::run(),
        Chore::Reference => chores::reference(),
        Chore::Installcheck { accept } => installcheck::run(accept),
        Chore::Valgrind => valgrind::run(),
        Chore::Tidy => tidy::run(),
        Chore::Check => chores::check(),
        Chore::Compile { major, pg_config } => chores::compile(major, &pg_config),
        Chore::Majors => majors::run(),
        Chore::TestMajor { major, arguments } => majors::test(major, &arguments),
        Chore::Test => chores::test(),
        Chore::Bench { arguments } => chores::bench(&arguments),
    }
}

//! Chores that are a few commands each.

use crate::{installcheck, setup, tidy};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;
use testkit::install::{Installed, placed, replace};
use testkit::{Server, build, reference};

/// Runs cargo in the repository.
fn cargo(arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(build::root())
        .env("RUSTDOCFLAGS", "--deny warnings")
        .args(arguments)
        .status()
        .context("can't run cargo")?;
    ensure!(status.success(), "cargo {} failed", arguments.join(" "));
    Ok(())
}

/// Builds the extension.
pub(crate) fn build() -> Result<()> {
    setup::run()?;
    println!("built {}", build::extension(setup::MAJOR)?.display());
    Ok(())
}

/// Installs the extension into the server's own folders.
pub(crate) fn install() -> Result<()> {
    setup::run()?;
    let installed = Installed::find(setup::MAJOR)?;
    for (from, to) in placed(&installed, &build::extension(setup::MAJOR)?)? {
        replace(&from, &to)?;
        println!("installed {}", to.display());
    }
    println!(
        "next: shared_preload_libraries = 'ruvector_dag' in postgresql.conf, restart, CREATE EXTENSION ruvector_dag"
    );
    Ok(())
}

/// Writes the reference page anew.
pub(crate) fn reference() -> Result<()> {
    setup::run()?;
    let page = reference::of_server(&Server::with_extension(setup::MAJOR)?)?;
    let file = build::root().join("docs/reference.md");
    fs::write(&file, page).with_context(|| format!("can't write {}", file.display()))
}

/// Formatting, lints, documentation.
pub(crate) fn check() -> Result<()> {
    setup::run()?;
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ])?;
    cargo(&["doc", "--workspace", "--no-deps", "--quiet"])
}

/// Compiles the extension against another major.
pub(crate) fn compile(major: u32, pg_config: &Path) -> Result<()> {
    build::configure(major, pg_config)?;
    let feature = format!("pg{major}");
    cargo(&[
        "check",
        "--package",
        "ruvector-dag-postgres",
        "--no-default-features",
        "--features",
        &feature,
    ])
}

/// Everything that is a test.
pub(crate) fn test() -> Result<()> {
    setup::run()?;
    tidy::run()?;
    cargo(&[
        "test",
        "--package",
        "ruvector-dag",
        "--package",
        "xtask",
        "--package",
        "ruvector-dag-bench",
    ])?;
    cargo(&["test", "--package", "ruvector-dag-testkit"])?;
    installcheck::run(false)?;
    // Each test has a cluster, and the machine two cores.
    cargo(&[
        "test",
        "--package",
        "ruvector-dag-tests",
        "--",
        "--test-threads=2",
    ])
}

/// The benches.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    setup::run()?;
    if arguments.is_empty() {
        return cargo(&["bench", "--package", "ruvector-dag"]);
    }
    if arguments[0] == "instructions" {
        setup::install_missing(&["valgrind"])?;
    }
    let mut all = vec![
        "run",
        "--quiet",
        "--release",
        "--package",
        "ruvector-dag-bench",
        "--",
    ];
    all.extend(arguments.iter().map(String::as_str));
    cargo(&all)
}

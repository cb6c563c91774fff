//! Chores that are a few commands each.

use crate::{installcheck, setup, tidy};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;
use testkit::build;
use testkit::install::{Installed, extension_files, replace};

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
    let (lib, share) = (
        installed.folder("--pkglibdir")?,
        installed.folder("--sharedir")?.join("extension"),
    );
    replace(&build::extension(setup::MAJOR)?, &lib.join("ruvector_dag.so"))?;
    for file in extension_files()? {
        replace(
            &file,
            &share.join(file.file_name().context("a file without a name")?),
        )?;
    }
    println!("installed into {} and {}", lib.display(), share.display());
    println!(
        "next: shared_preload_libraries = 'ruvector_dag' in postgresql.conf, restart, CREATE EXTENSION ruvector_dag"
    );
    Ok(())
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

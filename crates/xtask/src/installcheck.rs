//! PostgreSQL's own regression runner on `pg_regress/`, against a throwaway cluster.

use crate::setup;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::install::{Installed, private_folder};
use testkit::{Cluster, Server, build};

/// Runs the tests of `pg_regress/regress_schedule`. With `accept`, what they print becomes what is expected.
pub(crate) fn run(accept: bool) -> Result<()> {
    setup::run()?;
    let installed = Installed::find(build::major())?;
    let server = Server::with_extension(build::major())?;
    let preloaded = Cluster::builder(&server)
        .set("ruvector.dag_min_duration", "0")
        .start()?;
    regress(&installed, &server, &preloaded, "regress_schedule", accept)?;
    let bare = Cluster::builder(&server).preload("").start()?;
    regress(&installed, &server, &bare, "without_preload_schedule", accept)
}

/// Runs the tests of a schedule.
pub(crate) fn regress(
    installed: &Installed,
    server: &Server,
    cluster: &Cluster<'_>,
    schedule: &str,
    accept: bool,
) -> Result<()> {
    let runner = runner(installed)?;
    let input = private_folder("ruvector-dag-regress-", server.user.as_ref())?;
    copy_folder(&build::root().join("pg_regress"), input.path())?;
    cluster
        .client("postgres")?
        .batch_execute("CREATE DATABASE regression")?;
    let status = server
        .command(&runner)
        .arg("--use-existing")
        .arg(format!("--bindir={}", server.bin.display()))
        .arg(format!("--inputdir={}", input.path().display()))
        .arg(format!("--outputdir={}", input.path().display()))
        .arg(format!("--host={}", cluster.socket().display()))
        .args(["--port=5432", "--user=postgres", "--dbname=regression"])
        .arg(format!("--schedule={}", input.path().join(schedule).display()))
        .status()
        .context("can't run pg_regress")?;
    if accept {
        copy_folder(
            &input.path().join("results"),
            &build::root().join("pg_regress/expected"),
        )?;
    } else if !status.success() {
        println!(
            "{}",
            fs::read_to_string(input.path().join("regression.diffs")).unwrap_or_default()
        );
    }
    ensure!(accept || status.success(), "pg_regress found differences");
    Ok(())
}

/// The server's pg_regress, or that of the major that is always there: all do the same with the psql they are given, and that in
/// the wheel's PostgreSQL 18 does not start.
fn runner(installed: &Installed) -> Result<PathBuf> {
    let of = |installed: &Installed| -> Result<PathBuf> {
        let folder = installed.folder("--pkglibdir")?;
        Ok(folder.join("pgxs/src/test/regress/pg_regress"))
    };
    let own = of(installed)?;
    let version = Command::new(&own).arg("--version").output();
    match version.is_ok_and(|version| version.status.success()) {
        true => Ok(own),
        false => of(&Installed::of_debian(build::DEFAULT_MAJOR)),
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &place)?;
        } else {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

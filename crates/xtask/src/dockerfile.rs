//! The Dockerfile without Docker: its rules, and its steps done in clean folders, one for each stage's root.
//!
//! The machine stands for both images: a Debian 12 with Rust, which is the first one's, and with the server, which is the
//! second one's. An absolute path of a step is one below its stage's folder.

mod instructions;

use crate::setup;
use anyhow::{Context, Result, bail, ensure};
use instructions::{Stage, Step};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::build;
use testkit::install::{Folder, below, private_folder};
use testkit::{Cluster, Server};

/// Where the server's image looks for scripts to run in a new database.
const SCRIPTS: &str = "docker-entrypoint-initdb.d";
/// What a step knows of who calls it: nothing of this build's target folder, server or toolchain.
const ENVIRONMENT: &[&str] = &["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_NET_OFFLINE"];

/// Does the steps and sees that the server they come to has the extension.
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    let stages = of_repository()?;
    let mut roots: Vec<Folder> = Vec::new();
    for stage in &stages {
        println!("FROM {}", stage.image);
        let root = private_folder("ruvector-dag-image-", None)?;
        fs::create_dir(root.path().join(SCRIPTS))?;
        do_steps(stage, root.path(), &stages, &roots)?;
        roots.push(root);
    }
    let image = roots.last().context("no stage")?;
    serves(image.path())?;
    println!("the image's server has the extension");
    Ok(())
}

/// The repository's Dockerfile, which keeps the rules.
fn of_repository() -> Result<Vec<Stage>> {
    let text = fs::read_to_string(build::root().join("Dockerfile"))?;
    let stages = instructions::read(&text)?;
    check(&stages)?;
    Ok(stages)
}

/// What the whole has to be: built by the project's Rust for the server that it is run by, on the same Debian, and not run by
/// root.
fn check(stages: &[Stage]) -> Result<()> {
    let [build, serve] = stages else {
        bail!("there should be a stage that builds and one that serves");
    };
    let toolchain = fs::read_to_string(build::root().join("rust-toolchain.toml"))?;
    let (rust, built_on) = version_and_system(&build.image, "rust")?;
    ensure!(
        toolchain.contains(&format!("channel = \"{rust}.")),
        "{} has another Rust than rust-toolchain.toml",
        build.image
    );
    let (major, served_on) = version_and_system(&serve.image, "postgres")?;
    ensure!(
        major == setup::MAJOR.to_string(),
        "{} is not of PostgreSQL {}",
        serve.image,
        setup::MAJOR
    );
    ensure!(
        built_on == served_on,
        "built on {built_on}, but run on {served_on}"
    );
    let user = serve.steps.iter().rev().find_map(|step| match step {
        Step::User(user) => Some(user.as_str()),
        _ => None,
    });
    let number: u32 = user
        .and_then(|user| user.parse().ok())
        .context("the last stage should end with a USER by number")?;
    ensure!(number > 0, "root runs the server");
    let preloads = |step: &Step| matches!(step, Step::Command(words) if words.iter().any(|word| word == "shared_preload_libraries=ruvector_dag"));
    ensure!(
        serve.steps.last().is_some_and(preloads),
        "the last step should be a CMD that preloads the library"
    );
    Ok(())
}

/// Of `name:version-system`.
fn version_and_system<'i>(image: &'i str, name: &str) -> Result<(&'i str, &'i str)> {
    let tag = image.strip_prefix(name).and_then(|rest| rest.strip_prefix(':'));
    tag.and_then(|tag| tag.split_once('-'))
        .with_context(|| format!("{image} should be {name} with a version and a system"))
}

fn do_steps(stage: &Stage, root: &Path, stages: &[Stage], roots: &[Folder]) -> Result<()> {
    let mut folder = root.to_path_buf();
    for step in &stage.steps {
        match step {
            Step::Workdir(path) => {
                folder = below(root, path);
                fs::create_dir_all(&folder)?;
            }
            Step::Copy { from, source, to } => {
                let to = if to.is_absolute() {
                    below(root, to)
                } else {
                    folder.join(to)
                };
                match from {
                    Some(name) => {
                        let at = stages.iter().position(|stage| stage.name.as_ref() == Some(name));
                        let from = at.and_then(|at| roots.get(at)).context("no such stage")?;
                        copy(&below(from.path(), source), &to, &[])?;
                    }
                    None => copy(&build::root().join(source), &to, &ignored()?)?,
                }
            }
            Step::Run(command) => shell(&instructions::below_root(command, root), &folder)?,
            // How a container runs, not what is in it.
            Step::User(_) | Step::Command(_) => {}
        }
    }
    Ok(())
}

fn shell(command: &str, folder: &Path) -> Result<()> {
    println!("RUN {command}");
    let known = ENVIRONMENT
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    let status = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env_clear()
        .envs(known)
        .status()?;
    ensure!(status.success(), "RUN {command} failed");
    Ok(())
}

/// What `.dockerignore` keeps out of the context: names of its top folder.
fn ignored() -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string(build::root().join(".dockerignore"))?;
    Ok(text.lines().map(|name| build::root().join(name)).collect())
}

/// Copies what is in a folder, as COPY does, but what is ignored.
fn copy(from: &Path, to: &Path, ignored: &[PathBuf]) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("can't COPY {}", from.display()))? {
        let entry = entry?;
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        if ignored.contains(&path) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&path, &place, ignored)?;
        } else {
            fs::copy(&path, &place)?;
        }
    }
    Ok(())
}

/// Runs a server of the image's files and the scripts that a new database gets.
fn serves(image: &Path) -> Result<()> {
    let server = Server::with_unpacked(setup::MAJOR, image)?;
    let cluster = Cluster::builder(&server).start()?;
    let mut client = cluster.client("postgres")?;
    for script in fs::read_dir(image.join(SCRIPTS))? {
        client.batch_execute(&fs::read_to_string(script?.path())?)?;
    }
    // Only with the library that was preloaded are there numbers.
    client.batch_execute("SELECT * FROM ruvector.dag_measures()")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dockerfile_keeps_the_rules() -> Result<()> {
        of_repository().map(drop)
    }

    #[test]
    fn a_dockerfile_for_another_server_or_for_root_does_not() -> Result<()> {
        let text = fs::read_to_string(build::root().join("Dockerfile"))?;
        for (kept, broken) in [
            ("rust:1.95-bookworm", "rust:1.94-bookworm"),
            ("rust:1.95-bookworm", "rust:1.95-trixie"),
            ("postgres:15-bookworm", "postgres:16-bookworm"),
            ("USER 999", "USER 0"),
            ("USER 999", "USER postgres"),
            ("libraries=ruvector_dag", "libraries=other"),
        ] {
            let changed = text.replace(kept, broken);
            assert_ne!(changed, text);
            assert!(check(&instructions::read(&changed)?).is_err(), "{broken}");
        }
        Ok(())
    }
}

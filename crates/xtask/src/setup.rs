//! What a fresh Debian 12 with Rust lacks: the server, its headers, and clang for the bindings.

use anyhow::{Result, bail, ensure};
use nix::unistd::Uid;
use std::process::{Command, Stdio};
use testkit::{build, install::Installed};

/// The major that is installed where it lacks.
pub(crate) const MAJOR: u32 = build::DEFAULT_MAJOR;

const PACKAGES: &[&str] = &[
    "postgresql-15",
    "postgresql-server-dev-15",
    "postgresql-15-hypopg",
    "libclang-14-dev",
    "clang-14",
    "pkg-config",
];

/// Installs what is missing and tells pgrx where the server is.
pub(crate) fn run() -> Result<()> {
    install_missing(PACKAGES)?;
    let installed = Installed::find(build::major())?;
    build::configure(build::major(), &installed.pg_config)
}

/// Installs those of some packages that are missing.
pub(crate) fn install_missing(packages: &[&str]) -> Result<()> {
    let missing = packages.iter().copied().filter(|package| !is_installed(package));
    let missing: Vec<&str> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)
}

fn is_installed(package: &str) -> bool {
    let status = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output();
    // Without dpkg the packages can't be told; pg_config decides then.
    status.map_or_else(|_| true, |output| output.stdout == b"installed")
}

fn install(missing: &[&str]) -> Result<()> {
    let packages = missing.join(" ");
    if !Uid::effective().is_root() {
        bail!("missing packages; run: sudo apt-get update && sudo apt-get install {packages}");
    }
    println!("installing {packages}");
    for arguments in [&["update"][..], &["install", "--yes", "--no-install-recommends"]] {
        let mut apt = Command::new("apt-get");
        apt.arg("--quiet=2")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        if arguments[0] == "install" {
            apt.args(missing);
        }
        ensure!(apt.status()?.success(), "apt-get {} failed", arguments[0]);
    }
    Ok(())
}

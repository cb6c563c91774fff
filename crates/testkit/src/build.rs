//! Building the extension for a server, with plain cargo.

use crate::Result;
use anyhow::{Context, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The major that is built and tested by default.
pub const DEFAULT_MAJOR: u32 = 15;

/// The repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The pages of `docs/`, in order.
pub fn pages() -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(root().join("docs"))?.collect::<std::io::Result<Vec<_>>>()?;
    let paths = entries.into_iter().map(|entry| entry.path());
    let mut pages: Vec<PathBuf> = paths
        .filter(|path| path.extension() == Some("md".as_ref()))
        .collect();
    pages.sort();
    Ok(pages)
}

/// The major that is built and tested: `PG_MAJOR`, PostgreSQL 15 unless that is set.
pub fn major() -> u32 {
    let asked = std::env::var("PG_MAJOR").ok();
    asked
        .and_then(|asked| asked.parse().ok())
        .unwrap_or(DEFAULT_MAJOR)
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Tells pgrx which server to build against.
pub fn configure(major: u32, pg_config: &Path) -> Result<()> {
    let home = root().join("target/pgrx");
    std::fs::create_dir_all(&home)?;
    let file = home.join("config.toml");
    let line = format!("pg{major} = {:?}", pg_config.display().to_string());
    let before = std::fs::read_to_string(&file).unwrap_or_else(|_| "[configs]\n".to_owned());
    if before.lines().any(|known| known == line) {
        return Ok(());
    }
    let others = before
        .lines()
        .filter(|known| !known.starts_with(&format!("pg{major} ")));
    let text: String = others.map(|known| format!("{known}\n")).collect::<String>() + &line + "\n";
    // Tests start side by side, and none may read half of it.
    let new = home.join(format!("config.{}.toml", std::process::id()));
    std::fs::write(&new, text).with_context(|| format!("can't write {}", new.display()))?;
    std::fs::rename(&new, &file).with_context(|| format!("can't write {}", file.display()))
}

/// Builds the extension's library and returns its path. Each major but the default one has a folder of its own, so that
/// none is built anew because of another.
pub fn extension(major: u32) -> Result<PathBuf> {
    let target = if major == DEFAULT_MAJOR {
        target()
    } else {
        target().join(format!("pg{major}"))
    };
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root())
        .args([
            "build",
            "--release",
            "--package",
            "ruvector-dag-postgres",
            "--no-default-features",
        ])
        .args(["--features", &format!("pg{major}")])
        .arg("--target-dir")
        .arg(&target)
        .status()
        .context("can't run cargo")?;
    ensure!(status.success(), "the extension does not build");
    let library = target.join("release/libruvector_dag.so");
    if !library.exists() {
        bail!("cargo left no {}", library.display());
    }
    Ok(library)
}

//! The house rules as a test. Each rule is a function from a file to complaints, with a bad sample in its unit test.

mod agreement;
mod links;
mod messages;
mod rules;
mod tokens;
mod versions;

use anyhow::{Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::build::root;

/// A file of the repository.
pub(crate) struct SourceFile {
    /// Relative to the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A broken rule.
#[derive(Debug, PartialEq)]
pub(crate) struct Complaint {
    /// 1-based.
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// Checks every file that git knows or would add.
pub(crate) fn run() -> Result<()> {
    let files: Vec<SourceFile> = tracked()?.into_iter().filter_map(|path| read(&path)).collect();
    let mut broken = 0;
    for file in &files {
        for complaint in rules::of_file(file) {
            println!("{}:{}: {}", file.path, complaint.line, complaint.what);
            broken += 1;
        }
    }
    let mut whole = agreement::of_repository(&files);
    whole.extend(versions::of_repository(&files));
    whole.extend(messages::of_repository(&files));
    whole.extend(links::of_repository(&files));
    for complaint in whole {
        println!("{complaint}");
        broken += 1;
    }
    ensure!(broken == 0, "{broken} house rules broken");
    println!("tidy: {} files keep the house rules", files.len());
    Ok(())
}

fn tracked() -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .current_dir(root())
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()?;
    ensure!(output.status.success(), "git ls-files failed");
    Ok(String::from_utf8(output.stdout)?
        .lines()
        .map(PathBuf::from)
        .collect())
}

fn read(path: &Path) -> Option<SourceFile> {
    // Deleted and binary files have no text to check.
    let text = fs::read_to_string(root().join(path)).ok()?;
    Some(SourceFile {
        path: path.to_string_lossy().into_owned(),
        text,
    })
}

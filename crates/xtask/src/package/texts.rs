//! The words of the Debian package: its description, licence and changes.

use super::answer;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::process::Command;
use testkit::build;

/// The package's name, as PostgreSQL's packages for Debian are called.
pub(super) const NAME: &str = "postgresql-15-ruvector-dag";

const DESCRIPTION: &str = "learned query optimiser for PostgreSQL 15
 ruvector_dag counts the rows that executions really produce, plans with the
 counts from then on, tries other plans where that is safe, and keeps a plan
 only while it is measured faster than the one PostgreSQL would have made.
 Results never change.
 .
 It has to be named in shared_preload_libraries, and created in each database
 that is to be learned from: CREATE EXTENSION ruvector_dag.
";

/// What differs from one build to the next.
#[derive(Debug, Default)]
pub(super) struct Package {
    version: String,
    architecture: String,
    maintainer: String,
    /// When the packaged commit was made, since 1970.
    pub(super) seconds: i64,
    date: String,
    /// Libraries, with their versions.
    pub(super) depends: String,
}

impl Package {
    /// What the repository and the machine say; without libraries.
    pub(super) fn of_repository() -> Result<Self> {
        let seconds: i64 = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(seconds) => seconds.parse().context("SOURCE_DATE_EPOCH")?,
            Err(_) => git(&["log", "-1", "--format=%ct"])?.parse()?,
        };
        let mut date = Command::new("date");
        date.args(["--utc", "--rfc-email", "--date"])
            .arg(format!("@{seconds}"));
        Ok(Self {
            version: format!("{}-1", env!("CARGO_PKG_VERSION")),
            architecture: line(Command::new("dpkg").arg("--print-architecture"))?,
            maintainer: maintainer()?,
            seconds,
            date: line(&mut date)?,
            depends: String::new(),
        })
    }

    /// What dpkg-deb's result is to be called.
    pub(super) fn file_name(&self) -> String {
        format!("{NAME}_{}_{}.deb", self.version, self.architecture)
    }

    /// The control file of a package of so many kilobytes.
    pub(super) fn control(&self, kilobytes: u64) -> String {
        format!(
            "Package: {NAME}\nSource: ruvector-dag\nVersion: {}\nArchitecture: {}\nMaintainer: {}\n\
             Installed-Size: {kilobytes}\nDepends: postgresql-15, {}\nSuggests: postgresql-15-hypopg\n\
             Section: database\nPriority: optional\nDescription: {DESCRIPTION}",
            self.version, self.architecture, self.maintainer, self.depends
        )
    }

    /// Debian's changes: those of the package, not of what is in it.
    pub(super) fn changelog(&self) -> String {
        format!(
            "ruvector-dag ({}) unstable; urgency=medium\n\n  * Package ruvector_dag {}; its own changes are in \
             changelog.gz.\n\n -- {}  {}\n",
            self.version,
            env!("CARGO_PKG_VERSION"),
            self.maintainer,
            self.date
        )
    }

    /// The licence of the extension, and those of the crates that are linked into its library.
    pub(super) fn copyright(&self) -> Result<String> {
        let mit = std::fs::read_to_string(build::root().join("LICENSE-MIT"))?;
        let (holder, terms) = mit
            .split_once("Permission is hereby granted")
            .context("LICENSE-MIT has no terms")?;
        let holder = holder
            .lines()
            .find_map(|line| line.strip_prefix("Copyright (c) "))
            .context("LICENSE-MIT has no holder")?;
        let mut text = String::from(
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: ruvector_dag\n\
             Comment: The library contains these crates, under their own licences:\n",
        );
        for linked in crates()? {
            writeln!(text, " {linked}")?;
        }
        write!(
            text,
            "\nFiles: *\nCopyright: {holder}\nLicense: Apache-2.0 or Expat\n\nLicense: Apache-2.0\n On Debian systems \
             its text is in /usr/share/common-licenses/Apache-2.0.\n\nLicense: Expat\n"
        )?;
        for line in format!("Permission is hereby granted{terms}").trim_end().lines() {
            let line = line.trim_end();
            writeln!(text, " {}", if line.is_empty() { "." } else { line })?;
        }
        Ok(text)
    }
}

/// Who builds the package: as Debian's own tools, by DEBFULLNAME and DEBEMAIL, else as git says.
fn maintainer() -> Result<String> {
    let named =
        |variable: &str, setting: &str| std::env::var(variable).or_else(|_| git(&["config", setting]));
    let (name, address) = (named("DEBFULLNAME", "user.name"), named("DEBEMAIL", "user.email"));
    match (name, address) {
        (Ok(name), Ok(address)) => Ok(format!("{name} <{address}>")),
        _ => anyhow::bail!("who makes the package? Set DEBFULLNAME and DEBEMAIL"),
    }
}

/// Crates that are linked into the library, with version and licence.
fn crates() -> Result<Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = Command::new(cargo);
    tree.current_dir(build::root()).args([
        "tree",
        "--locked",
        "--package=ruvector-dag-postgres",
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--format={p} ({l})",
    ]);
    let told = answer(&mut tree)?;
    let lines = told.lines().filter(|line| !line.contains("(/"));
    let mut crates: Vec<String> = lines
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect();
    crates.sort();
    crates.dedup();
    Ok(crates)
}

fn git(arguments: &[&str]) -> Result<String> {
    line(Command::new("git").current_dir(build::root()).args(arguments))
}

fn line(command: &mut Command) -> Result<String> {
    Ok(answer(command)?.trim().to_owned())
}

//! A private copy of the server's installation that has the extension in it: no root, no change to the system.
//!
//! PostgreSQL finds its folders relative to its own binary (src/port/path.c), as long as they lie to each other as they
//! did when it was built. So a tree with copies of the programs, links to the rest and our three files is a complete
//! server.

use crate::{Result, build, interrupt};
use anyhow::{Context, bail, ensure};
use nix::unistd::{Uid, User, chown};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const PROGRAMS: &[&str] = &[
    "postgres",
    "initdb",
    "pg_ctl",
    "psql",
    "pgbench",
    "pg_basebackup",
    "pg_dump",
    "pg_restore",
    "pg_controldata",
    "pg_upgrade",
    "pg_checksums",
    "pg_resetwal",
    "pg_dumpall",
    "vacuumdb",
];

/// An installed PostgreSQL.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Major version.
    pub major: u32,
    /// Its pg_config.
    pub pg_config: PathBuf,
}

impl Installed {
    /// The server of a major: `PG_CONFIG`, Debian's place, or the one on the path.
    pub fn find(major: u32) -> Result<Self> {
        let candidates = [
            std::env::var_os("PG_CONFIG").map(PathBuf::from),
            Some(Self::of_debian(major).pg_config),
            Some(PathBuf::from("pg_config")),
        ];
        for pg_config in candidates.into_iter().flatten() {
            let found = Self { major, pg_config };
            if found
                .ask("--version")
                .is_ok_and(|version| version.contains(&format!("PostgreSQL {major}")))
            {
                return Ok(found);
            }
        }
        bail!("PostgreSQL {major} is not installed with its headers; run `make setup`, or set PG_CONFIG")
    }

    /// The server of a major where Debian has it, whether it is there or not.
    pub fn of_debian(major: u32) -> Self {
        let pg_config = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin/pg_config"));
        Self { major, pg_config }
    }

    /// An answer of pg_config.
    pub fn ask(&self, question: &str) -> Result<String> {
        let answer = Command::new(&self.pg_config).arg(question).output()?;
        ensure!(
            answer.status.success(),
            "{} {question} failed",
            self.pg_config.display()
        );
        Ok(String::from_utf8(answer.stdout)?.trim().to_owned())
    }

    /// A folder pg_config names.
    pub fn folder(&self, question: &str) -> Result<PathBuf> {
        Ok(PathBuf::from(self.ask(question)?))
    }
}

/// A private installation with the extension; removed when dropped.
pub struct Server {
    tree: Folder,
    /// Where its programs are.
    pub bin: PathBuf,
    /// Who runs it: an unprivileged user when we are root.
    pub user: Option<User>,
}

impl Server {
    /// Builds the extension and installs it into a private copy of PostgreSQL `major`.
    pub fn with_extension(major: u32) -> Result<Self> {
        let installed = Installed::find(major)?;
        build::configure(major, &installed.pg_config)?;
        let placed = placed(&installed, &build::extension(major)?)?;
        Self::copy(&installed, &placed)
    }

    /// The same of what a package put below `root`.
    pub fn with_unpacked(major: u32, root: &Path) -> Result<Self> {
        let installed = Installed::find(major)?;
        // The library is taken from the package, too: no path of it is read here.
        let mut placed = placed(&installed, Path::new(""))?;
        for (from, to) in &mut placed {
            *from = below(root, to);
        }
        Self::copy(&installed, &placed)
    }

    fn copy(installed: &Installed, placed: &[(PathBuf, PathBuf)]) -> Result<Self> {
        let user = unprivileged_user()?;
        let tree = private_folder("ruvector-dag-server-", user.as_ref())?;
        let within = |folder: &Path| below(tree.path(), folder);
        let (bindir, libdir, sharedir) = (
            installed.folder("--bindir")?,
            installed.folder("--pkglibdir")?,
            installed.folder("--sharedir")?,
        );
        let (bin, lib, share) = (within(&bindir), within(&libdir), within(&sharedir));
        for folder in [&bin, &lib, &share.join("extension")] {
            fs::create_dir_all(folder)?;
        }
        // A program finds itself by resolving links, so programs are copied.
        for program in PROGRAMS.iter().filter(|program| bindir.join(program).exists()) {
            fs::copy(bindir.join(program), bin.join(program))?;
        }
        link_bundled_libraries(&bindir, &bin)?;
        link_all(&libdir, &lib)?;
        link_all(&sharedir, &share)?;
        link_all(&sharedir.join("extension"), &share.join("extension"))?;
        for (from, to) in placed {
            replace(from, &within(to))?;
        }
        Ok(Self { tree, bin, user })
    }

    /// One of its programs, to run as its user.
    pub fn program(&self, name: &str) -> Command {
        self.command(&self.bin.join(name))
    }

    /// Any program, to run as its user.
    pub fn command(&self, path: &Path) -> Command {
        let mut command = Command::new(path);
        command
            .env_remove("PGOPTIONS")
            // With it, errors show where in the code they came from, which no expected output has.
            .env_remove("RUST_BACKTRACE")
            .env("LC_ALL", "C")
            .current_dir(self.tree.path());
        if let Some(user) = &self.user {
            use std::os::unix::process::CommandExt;
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }
}

/// The extension's files, the library, the control file and the scripts, each with its place in an installed server.
pub fn placed(installed: &Installed, library: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let root = build::root();
    let (lib, share) = (
        installed.folder("--pkglibdir")?,
        installed.folder("--sharedir")?.join("extension"),
    );
    let mut placed = vec![(library.to_path_buf(), lib.join("ruvector_dag.so"))];
    let control = root.join("ruvector_dag.control");
    let scripts = fs::read_dir(root.join("sql"))?.collect::<std::io::Result<Vec<_>>>()?;
    let scripts = scripts
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension() == Some("sql".as_ref()));
    for file in std::iter::once(control).chain(scripts) {
        let name = file.file_name().context("a file without a name")?;
        let place = share.join(name);
        placed.push((file, place));
    }
    Ok(placed)
}

/// An absolute path as seen from another root directory.
pub fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Copies a file over what is there, which may be a link to the system's.
pub fn replace(from: &Path, to: &Path) -> Result<()> {
    if to.symlink_metadata().is_ok() {
        fs::remove_file(to).with_context(|| format!("can't replace {}", to.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("can't write {}", to.display()))?;
    Ok(())
}

/// The programs of a Python wheel find libraries in a folder beside the installation, relative to themselves.
fn link_bundled_libraries(bindir: &Path, bin: &Path) -> Result<()> {
    let Some((from, to)) = bindir.ancestors().nth(3).zip(bin.ancestors().nth(3)) else {
        return Ok(());
    };
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.path().extension() == Some("libs".as_ref()) {
            symlink(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn link_all(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if place.symlink_metadata().is_err() {
            symlink(entry.path(), place)?;
        }
    }
    Ok(())
}

/// Somebody PostgreSQL accepts: nobody in particular unless we are root.
fn unprivileged_user() -> Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let found = ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten());
    Ok(Some(found.context(
        "PostgreSQL refuses to run as root, and there is no user postgres or nobody",
    )?))
}

/// A temporary folder; removed when dropped, and when the process is interrupted.
pub struct Folder(TempDir);

impl Folder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        interrupt::forget(self.0.path());
    }
}

/// A temporary folder that belongs to `user`.
pub fn private_folder(prefix: &str, user: Option<&User>) -> Result<Folder> {
    let folder = Folder(tempfile::Builder::new().prefix(prefix).tempdir()?);
    interrupt::remember(folder.path());
    if let Some(user) = user {
        chown(folder.path(), Some(user.uid), Some(user.gid))?;
    }
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

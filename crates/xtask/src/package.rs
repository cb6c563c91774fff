//! What is given away: the extension's files below a root directory, as `cargo pgrx package` lays them out, and the Debian
//! package made of them.

mod texts;

use crate::setup;
use anyhow::{Context, Result, ensure};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::build;
use testkit::install::{Installed, below, placed, replace};
use texts::Package;

/// What `make deb` calls, besides what the build needs.
const TOOLS: &[&str] = &["dpkg-dev", "binutils"];

/// Puts the extension's files below `root`, where an installed server has them. The library goes without its symbols.
pub(crate) fn lay_out(root: &Path) -> Result<()> {
    setup::run()?;
    let installed = Installed::find(setup::MAJOR)?;
    for (from, to) in placed(&installed, &build::extension(setup::MAJOR)?)? {
        let place = below(root, &to);
        fs::create_dir_all(place.parent().context("a file without a folder")?)?;
        replace(&from, &place)?;
        if place.extension() == Some("so".as_ref()) {
            answer(Command::new("strip").arg("--strip-unneeded").arg(&place))?;
        }
        fs::set_permissions(&place, Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// Makes the Debian package and says where it is.
pub(crate) fn run() -> Result<()> {
    println!("built {}", deb(&build::target().join("debian"))?.display());
    Ok(())
}

/// The Debian package, made anew in a folder.
fn deb(target: &Path) -> Result<PathBuf> {
    setup::install_missing(TOOLS)?;
    let root = target.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    lay_out(&root)?;
    let mut package = Package::of_repository()?;
    package.depends = libraries(target, &root)?;
    documents(&root, &package)?;
    package_control(&root, &package)?;
    let file = target.join(package.file_name());
    answer(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "--build"])
            .args([&root, &file])
            // Times of files within the package: the same commit gives the same package.
            .env("SOURCE_DATE_EPOCH", package.seconds.to_string()),
    )?;
    Ok(file)
}

/// What the library is linked with, as dependencies.
fn libraries(target: &Path, root: &Path) -> Result<String> {
    let source = target.join("debian");
    fs::create_dir_all(&source)?;
    // dpkg-shlibdeps reads it, and nothing of it but that it is there.
    fs::write(
        source.join("control"),
        "Source: ruvector-dag\n\nPackage: ruvector-dag\nArchitecture: any\n",
    )?;
    let library = Installed::find(setup::MAJOR)?
        .folder("--pkglibdir")?
        .join("ruvector_dag.so");
    let mut told = Command::new("dpkg-shlibdeps");
    told.current_dir(target)
        .arg("-O")
        .arg(format!("-e{}", below(root, &library).display()));
    let told = answer(&mut told)?;
    let depends = told.trim().strip_prefix("shlibs:Depends=");
    Ok(depends.context("dpkg-shlibdeps told no dependencies")?.to_owned())
}

/// The licence, the changes and the pages, where Debian looks for them.
fn documents(root: &Path, package: &Package) -> Result<()> {
    let repository = build::root();
    let folder = root.join("usr/share/doc").join(texts::NAME);
    fs::create_dir_all(&folder)?;
    write(&folder.join("copyright"), &package.copyright()?)?;
    write(&folder.join("changelog.Debian"), &package.changelog())?;
    write(
        &folder.join("changelog"),
        &fs::read_to_string(repository.join("CHANGELOG.md"))?,
    )?;
    for name in ["changelog", "changelog.Debian"] {
        answer(
            Command::new("gzip")
                .args(["-9", "--no-name", "--force"])
                .arg(folder.join(name)),
        )?;
    }
    let readme = repository.join("README.md");
    for page in build::pages()?.into_iter().chain([readme]) {
        let name = page.file_name().context("a page without a name")?;
        write(&folder.join(name), &fs::read_to_string(&page)?)?;
    }
    Ok(())
}

/// The folder that dpkg-deb takes the package's description from.
fn package_control(root: &Path, package: &Package) -> Result<()> {
    let files = files_below(root)?;
    let mut bytes = 0;
    let mut sums = String::new();
    for file in &files {
        bytes += fs::metadata(root.join(file))?.len();
        let line = answer(Command::new("md5sum").current_dir(root).arg(file))?;
        sums.push_str(&line);
    }
    let folder = root.join("DEBIAN");
    fs::create_dir_all(&folder)?;
    write(&folder.join("md5sums"), &sums)?;
    write(&folder.join("control"), &package.control(bytes.div_ceil(1024)))
}

/// Files below a folder, relative to it, in order.
fn files_below(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root)?.to_path_buf());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("can't write {}", path.display()))?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o644))?)
}

/// What a program that must succeed writes.
fn answer(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("can't run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::install::{Folder, private_folder};
    use testkit::{Cluster, Server};

    /// dpkg with a root directory and a database of its own, for packages whose dependencies are the machine's.
    struct Dpkg(Folder);

    impl Dpkg {
        fn new() -> Result<Self> {
            let root = private_folder("ruvector-dag-dpkg-", None)?;
            let database = root.path().join("var/lib/dpkg");
            for folder in ["info", "updates", "triggers"] {
                fs::create_dir_all(database.join(folder))?;
            }
            fs::write(database.join("status"), "")?;
            Ok(Self(root))
        }

        fn run(&self, action: &str, what: &Path) -> Result<String> {
            // Files of a package belong to root; fakeroot believes so.
            let is_root = nix::unistd::Uid::effective().is_root();
            let mut dpkg = Command::new(if is_root { "dpkg" } else { "fakeroot" });
            if !is_root {
                dpkg.arg("dpkg");
            }
            dpkg.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .arg(format!("--root={}", self.0.path().display()))
                .args(["--force-depends", "--log=/dev/null", action])
                .arg(what);
            answer(&mut dpkg)
        }
    }

    #[test]
    fn the_debian_package_is_installed_serves_and_is_removed() -> Result<()> {
        let made = private_folder("ruvector-dag-deb-", None)?;
        let package = deb(made.path())?;
        let dpkg = Dpkg::new()?;
        dpkg.run("--install", &package)?;
        let root = dpkg.0.path();
        let listed = dpkg.run("--listfiles", Path::new(texts::NAME))?;
        let files = listed.lines().map(|path| below(root, Path::new(path)));
        let files: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
        let named = |end: &str| {
            files
                .iter()
                .filter(|path| path.to_string_lossy().ends_with(end))
                .count()
        };
        assert_eq!(
            (
                named("ruvector_dag.so"),
                named("ruvector_dag.control"),
                named("copyright")
            ),
            (1, 1, 1)
        );
        assert_eq!(named(".sql"), fs::read_dir(build::root().join("sql"))?.count());
        dpkg.run("--verify", Path::new(texts::NAME))?;

        let server = Server::with_unpacked(setup::MAJOR, root)?;
        let cluster = Cluster::builder(&server).start()?;
        let mut client = cluster.client("postgres")?;
        client.batch_execute("CREATE EXTENSION ruvector_dag")?;
        // Only with the library that was preloaded are there numbers.
        client.batch_execute("SELECT * FROM ruvector.dag_measures()")?;
        let row = client.query_one(
            "SELECT extversion FROM pg_extension WHERE extname = 'ruvector_dag'",
            &[],
        )?;
        assert_eq!(row.get::<_, String>(0), env!("CARGO_PKG_VERSION"));

        dpkg.run("--purge", Path::new(texts::NAME))?;
        assert!(files.iter().all(|path| !path.exists()));
        Ok(())
    }

    #[test]
    fn lintian_finds_no_fault_in_the_debian_package() -> Result<()> {
        let made = private_folder("ruvector-dag-deb-", None)?;
        let package = deb(made.path())?;
        if Command::new("lintian").arg("--version").output().is_err() {
            println!("skipped: lintian is not installed");
            return Ok(());
        }
        let mut lintian = Command::new("lintian");
        lintian
            .args(["--allow-root", "--fail-on", "error,warning"])
            // It is for the archive only: a package that nobody asked Debian for closes no bug there.
            .args(["--suppress-tags", "initial-upload-closes-no-bugs"])
            .arg(&package);
        println!("{}", answer(&mut lintian)?);
        Ok(())
    }
}

//! A cluster in a temporary directory: its own socket, no TCP, gone when dropped.

use crate::Result;
use crate::install::{Folder, Server, private_folder};
use anyhow::{Context, bail, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postgres::{Client, NoTls};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

/// The socket's number; each cluster has a socket folder of its own.
const PORT: u16 = 5432;
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster to be.
pub struct Builder<'s> {
    server: &'s Server,
    settings: Vec<(String, String)>,
    preload: String,
    under: Vec<String>,
}

impl<'s> Builder<'s> {
    /// Adds a line to postgresql.conf.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets shared_preload_libraries; by default it is the extension alone.
    pub fn preload(mut self, libraries: &str) -> Self {
        libraries.clone_into(&mut self.preload);
        self
    }

    /// Starts the server's processes under a program, which is given with its arguments.
    pub fn under(mut self, program: &[String]) -> Self {
        program.clone_into(&mut self.under);
        self
    }

    /// Makes and starts the cluster.
    pub fn start(self) -> Result<Cluster<'s>> {
        let folder = private_folder("ruvector-dag-cluster-", self.server.user.as_ref())?;
        let data = folder.path().join("data");
        let mut initdb = self.server.program("initdb");
        initdb.args([
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]);
        check(initdb.arg("--pgdata").arg(&data).output()?, "initdb")?;
        let cluster = Cluster {
            server: self.server,
            folder,
            data,
            under: self.under,
        };
        cluster.configure(&self.settings, &self.preload)?;
        cluster.start()?;
        Ok(cluster)
    }
}

/// A running cluster.
pub struct Cluster<'s> {
    server: &'s Server,
    folder: Folder,
    data: PathBuf,
    under: Vec<String>,
}

impl<'s> Cluster<'s> {
    /// A new cluster on `server`, with the extension preloaded.
    pub fn builder(server: &'s Server) -> Builder<'s> {
        Builder {
            server,
            settings: Vec::new(),
            preload: "ruvector_dag".to_owned(),
            under: Vec::new(),
        }
    }

    fn configure(&self, settings: &[(String, String)], preload: &str) -> Result<()> {
        let mut conf = fs::OpenOptions::new()
            .append(true)
            .open(self.data.join("postgresql.conf"))?;
        writeln!(conf, "listen_addresses = ''\nport = {PORT}")?;
        writeln!(
            conf,
            "unix_socket_directories = '{}'",
            self.folder.path().display()
        )?;
        writeln!(conf, "shared_preload_libraries = '{preload}'")?;
        // Tests kill processes, not the machine: what is written survives without fsync.
        writeln!(conf, "fsync = off\nmax_wal_size = 4GB")?;
        for (name, value) in settings {
            writeln!(conf, "{name} = '{}'", value.replace('\'', "''"))?;
        }
        Ok(())
    }

    /// Starts the server and waits until it takes connections.
    pub fn start(&self) -> Result<()> {
        let log = self.log_path();
        let mut ctl = self.server.program("pg_ctl");
        ctl.arg("--pgdata")
            .arg(&self.data)
            .arg("--log")
            .arg(&log)
            .args(["--wait", "--silent"]);
        if self.under.is_empty() {
            ctl.arg("--timeout=60");
        } else {
            ctl.arg("--timeout=600").arg("-p").arg(self.wrapper()?);
        }
        ctl.arg("start");
        // The server inherits the output: a pipe would never end.
        let status = ctl
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            bail!(
                "the server does not start:\n{}",
                fs::read_to_string(log).unwrap_or_default()
            );
        }
        Ok(())
    }

    /// A program that starts the server under another one: pg_ctl takes a path only.
    fn wrapper(&self) -> Result<PathBuf> {
        let path = self.folder.path().join("postgres");
        let quoted = |word: &String| format!("'{}'", word.replace('\'', "'\\''"));
        let words: Vec<String> = self.under.iter().map(quoted).collect();
        let server = self.server.bin.join("postgres");
        fs::write(
            &path,
            format!(
                "#!/bin/sh\nexec {} '{}' \"$@\"\n",
                words.join(" "),
                server.display()
            ),
        )?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// Stops the server: smart, fast or immediate.
    pub fn stop(&self, mode: &str) -> Result<()> {
        let mut ctl = self.server.program("pg_ctl");
        ctl.arg("--pgdata")
            .arg(&self.data)
            .args(["--mode", mode, "--wait", "--silent", "stop"]);
        check(ctl.output()?, "pg_ctl stop")
    }

    /// Stops and starts the server.
    pub fn restart(&self, mode: &str) -> Result<()> {
        self.stop(mode)?;
        self.start()
    }

    /// A streaming standby of this cluster.
    pub fn standby(&self) -> Result<Cluster<'s>> {
        let folder = private_folder("ruvector-dag-standby-", self.server.user.as_ref())?;
        let data = folder.path().join("data");
        let mut backup = self.server.program("pg_basebackup");
        backup.args([
            "--username=postgres",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        ]);
        backup
            .arg("--host")
            .arg(self.folder.path())
            .args(["--port", &PORT.to_string()])
            .arg("--pgdata")
            .arg(&data);
        check(backup.output()?, "pg_basebackup")?;
        let standby = Cluster {
            server: self.server,
            folder,
            data,
            under: Vec::new(),
        };
        let mut conf = fs::OpenOptions::new()
            .append(true)
            .open(standby.data.join("postgresql.conf"))?;
        writeln!(
            conf,
            "unix_socket_directories = '{}'",
            standby.folder.path().display()
        )?;
        standby.start()?;
        Ok(standby)
    }

    /// Takes over the data of a cluster of an older major with pg_upgrade; neither may run.
    pub fn upgrade_from(&self, old: &Cluster<'_>) -> Result<()> {
        // From 18 on new clusters have checksums, and old ones must have what new ones have.
        let has_checksums = |cluster: &Cluster<'_>| -> Result<bool> {
            let mut control = cluster.server.program("pg_controldata");
            let output = control.arg(&cluster.data).output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let line = text
                .lines()
                .find(|line| line.starts_with("Data page checksum version"));
            Ok(line.is_some_and(|line| !line.ends_with(" 0")))
        };
        if has_checksums(self)? && !has_checksums(old)? {
            let mut checksums = old.server.program("pg_checksums");
            checksums
                .args(["--enable", "--no-sync", "--pgdata"])
                .arg(&old.data);
            check(checksums.output()?, "pg_checksums")?;
        }
        let mut upgrade = self.server.program("pg_upgrade");
        upgrade
            .current_dir(self.folder.path())
            .args(["--username=postgres", "--socketdir"]);
        upgrade
            .arg(self.folder.path())
            .arg("--old-bindir")
            .arg(&old.server.bin);
        upgrade.arg("--new-bindir").arg(&self.server.bin);
        upgrade
            .arg("--old-datadir")
            .arg(&old.data)
            .arg("--new-datadir")
            .arg(&self.data);
        let output = upgrade.output()?;
        ensure!(
            output.status.success(),
            "pg_upgrade failed: {}{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            self.upgrade_errors()
        );
        Ok(())
    }

    /// What pg_upgrade's own logs say of errors.
    fn upgrade_errors(&self) -> String {
        let runs = fs::read_dir(self.data.join("pg_upgrade_output.d"))
            .into_iter()
            .flatten();
        let logs = runs
            .flatten()
            .flat_map(|run| fs::read_dir(run.path().join("log")));
        let texts = logs
            .flatten()
            .flatten()
            .filter_map(|log| fs::read_to_string(log.path()).ok());
        let of_errors = |text: String| {
            let lines = text
                .lines()
                .filter(|line| line.contains("rror") || line.contains("Command was"));
            lines.map(|line| format!("{line}\n")).collect::<String>()
        };
        texts.map(of_errors).collect()
    }

    /// The folder of the data.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The folder of the socket.
    pub fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// Where the server logs.
    pub fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What the server logged.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.log_path())?)
    }

    /// A connection as the superuser.
    pub fn client(&self, database: &str) -> Result<Client> {
        self.client_as(database, "postgres")
    }

    /// A connection.
    pub fn client_as(&self, database: &str, user: &str) -> Result<Client> {
        let mut config = postgres::Config::new();
        config
            .host_path(self.folder.path())
            .port(PORT)
            .dbname(database)
            .user(user);
        config
            .connect(NoTls)
            .with_context(|| format!("can't connect to database {database} as {user}"))
    }

    /// One of the server's client programs, connected to this cluster.
    pub fn program(&self, name: &str) -> std::process::Command {
        let mut command = self.server.program(name);
        command
            .env("PGHOST", self.folder.path())
            .env("PGPORT", PORT.to_string())
            .env("PGUSER", "postgres");
        command
    }

    /// The postmaster's process id.
    pub fn postmaster(&self) -> Result<i32> {
        let file = fs::read_to_string(self.data.join("postmaster.pid"))?;
        Ok(file
            .lines()
            .next()
            .context("an empty postmaster.pid")?
            .trim()
            .parse()?)
    }

    /// Kills a process of this cluster the hard way, and waits until the postmaster knows.
    ///
    /// Before it does, it still accepts connections, only to end them with the crash.
    pub fn kill(&self, pid: i32) -> Result<()> {
        let process = Pid::from_raw(pid);
        let postmaster = self.postmaster()?;
        kill(process, Signal::SIGKILL)?;
        if pid == postmaster {
            return Ok(());
        }
        wait_for("the postmaster to see a crash", || {
            Ok((kill(process, None) == Err(Errno::ESRCH)).then_some(()))
        })
    }

    /// The server process of this title, such as "ruvector_dag launcher".
    pub fn child(&self, title: &str) -> Result<i32> {
        let postmaster = self.postmaster()?;
        let of_postmaster = |pid: &i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1));
            parent == Some(postmaster.to_string().as_str())
        };
        let titled = |pid: &i32| {
            fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(title))
        };
        let processes = fs::read_dir("/proc")?.flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(of_postmaster)
            .find(titled)
            .with_context(|| format!("no process {title:?}"))
    }

    /// Waits until the server takes connections again, after a crash.
    pub fn wait_until_up(&self, database: &str) -> Result<Client> {
        wait_for("the server", || Ok(self.client(database).ok()))
    }
}

/// Polls `probe` until it gives something.
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        ensure!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn check(output: Output, what: &str) -> Result<()> {
    ensure!(
        output.status.success(),
        "{what} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        // It may be stopped already, or never have started; the folder goes either way.
        let _ = self.stop("immediate");
    }
}

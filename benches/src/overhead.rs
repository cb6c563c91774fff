//! pgbench, read-only (`-S`) and TPC-B-like, with the extension at its defaults against without, against itself with rewrites
//! switched off, and against pg_stat_statements, in rotation.

use crate::report;
use crate::session::median;
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;
use testkit::{Cluster, Server};

/// Options of the pgbench measurement.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// pgbench's scale.
    #[arg(long, default_value_t = 10)]
    scale: u32,
    /// Clients, and threads.
    #[arg(long, default_value_t = 2)]
    clients: u32,
    /// Seconds per run.
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Rotations through the configurations.
    #[arg(long, default_value_t = 9)]
    rotations: usize,
    /// Folder of pgbench.json and pgbench.md.
    #[arg(long, default_value = "bench-out")]
    out: PathBuf,
}

/// A configuration of the cluster.
pub(crate) struct Configuration {
    pub(crate) name: &'static str,
    /// What is preloaded, and an extension of that name; nothing if empty.
    pub(crate) library: &'static str,
    /// What differs from the defaults otherwise.
    pub(crate) setting: Option<(&'static str, &'static str)>,
}

/// The first one is what others are compared with.
pub(crate) const CONFIGURATIONS: [Configuration; 5] = [
    Configuration {
        name: "without",
        library: "",
        setting: None,
    },
    Configuration {
        name: "compute_query_id = on, without",
        library: "",
        setting: Some(("compute_query_id", "on")),
    },
    Configuration {
        name: "ruvector_dag",
        library: "ruvector_dag",
        setting: None,
    },
    Configuration {
        name: "pg_stat_statements",
        library: "pg_stat_statements",
        setting: None,
    },
    Configuration {
        name: "ruvector_dag, rewrites off",
        library: "ruvector_dag",
        setting: Some(("ruvector.dag_rewrite", "off")),
    },
];

/// What pgbench runs: script, protocol, and the arguments for both.
const RUNS: [(&str, &str, &[&str]); 4] = [
    ("-S", "prepared", &["-S", "-n", "-M", "prepared"]),
    ("-S", "simple", &["-S", "-n", "-M", "simple"]),
    // Without -n the small tables, of which every transaction updates a row, are vacuumed before each run.
    ("TPC-B-like", "prepared", &["-M", "prepared"]),
    ("TPC-B-like", "simple", &["-M", "simple"]),
];

/// Measures and writes the report. One cluster, restarted with another library each time: between two clusters with the
/// same data there are differences of several per cent.
pub(crate) fn run(options: &Options) -> Result<()> {
    let server = Server::with_extension(15)?;
    let cluster = prepared(&server, options.scale)?;
    let mut text = "| script | protocol | without, tps | ruvector_dag / without | pg_stat_statements / without | compute_query_id alone \
                    / without | ruvector_dag / pg_stat_statements | rewrites on / off |\n|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    let mut json = Vec::new();
    for (script, protocol, arguments) in RUNS {
        let tps = rotate(options, &cluster, arguments)?;
        let ratio = |of: usize, to: usize| {
            let pairs = tps[of].iter().zip(&tps[to]).map(|(one, other)| one / other);
            median(&pairs.collect::<Vec<_>>())
        };
        let line = format!(
            "| {script} | {protocol} | {:.0} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} |",
            median(&tps[0]),
            ratio(2, 0),
            ratio(3, 0),
            ratio(1, 0),
            ratio(2, 3),
            ratio(2, 4)
        );
        println!("{line}");
        let _ = writeln!(text, "{line}");
        for (at, Configuration { name, .. }) in CONFIGURATIONS.iter().enumerate() {
            json.push(serde_json::json!({
                "script": script, "protocol": protocol, "configuration": name, "tps": tps[at], "ratio": ratio(at, 0),
            }));
        }
    }
    text += "\nRatios are medians of pairs of runs.\n";
    report::write(&options.out, "pgbench", &json, &text)
}

/// A cluster with pgbench's tables and every configuration's extension, in the first configuration.
pub(crate) fn prepared(server: &Server, scale: u32) -> Result<Cluster<'_>> {
    let cluster = Cluster::builder(server)
        .preload("")
        .set("autovacuum", "off")
        .start()?;
    let filled = cluster
        .program("pgbench")
        .args(["-i", "-q", "-s", &scale.to_string(), "postgres"])
        .output()?;
    ensure!(filled.status.success(), "pgbench -i failed");
    for configuration in &CONFIGURATIONS {
        restart_with(&cluster, configuration)?;
        if !configuration.library.is_empty() {
            let sql = format!("CREATE EXTENSION IF NOT EXISTS {}", configuration.library);
            cluster.client("postgres")?.batch_execute(&sql)?;
        }
    }
    restart_with(&cluster, &CONFIGURATIONS[0])?;
    Ok(cluster)
}

/// Transactions per second of every configuration, run by run.
fn rotate(
    options: &Options,
    cluster: &Cluster<'_>,
    arguments: &[&str],
) -> Result<[Vec<f64>; CONFIGURATIONS.len()]> {
    let mut tps: [Vec<f64>; CONFIGURATIONS.len()] = Default::default();
    for rotation in 0..options.rotations {
        for step in 0..CONFIGURATIONS.len() {
            // Each comes first, second and last in turn.
            let at = (step + rotation) % CONFIGURATIONS.len();
            restart_with(cluster, &CONFIGURATIONS[at])?;
            // A first second fills the caches.
            pgbench(options, cluster, arguments, 1)?;
            tps[at].push(pgbench(options, cluster, arguments, options.seconds)?);
        }
    }
    Ok(tps)
}

fn restart_with(cluster: &Cluster<'_>, configuration: &Configuration) -> Result<()> {
    let mut client = cluster.client("postgres")?;
    // An empty name would be the name of a library.
    let change = match configuration.library {
        "" => "ALTER SYSTEM RESET shared_preload_libraries".to_owned(),
        library => format!("ALTER SYSTEM SET shared_preload_libraries = '{library}'"),
    };
    client.batch_execute(&change)?;
    // Of the database: a library that is not loaded now has no settings of the system's.
    client.batch_execute("ALTER DATABASE postgres RESET ALL")?;
    if let Some((name, value)) = configuration.setting {
        client.batch_execute(&format!("ALTER DATABASE postgres SET {name} = '{value}'"))?;
    }
    cluster.restart("fast")
}

/// Transactions per second of one run.
fn pgbench(options: &Options, cluster: &Cluster<'_>, arguments: &[&str], seconds: u32) -> Result<f64> {
    let [clients, seconds] = [options.clients, seconds].map(|number| number.to_string());
    let output = cluster
        .program("pgbench")
        .args(arguments)
        .args(["-c", &clients, "-j", &clients, "-T", &seconds, "postgres"])
        .output()?;
    ensure!(
        output.status.success(),
        "pgbench failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    parse_tps(&String::from_utf8(output.stdout)?).context("pgbench printed no tps")
}

fn parse_tps(output: &str) -> Option<f64> {
    output
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::parse_tps;

    #[test]
    fn tps_is_read_from_the_output() {
        let output = "latency average = 0.1 ms\ntps = 12345.678 (without initial connection time)\n";
        assert_eq!(parse_tps(output), Some(12345.678));
    }
}

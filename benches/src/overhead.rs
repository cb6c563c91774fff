//! pgbench, read-only (`-S`) and TPC-B-like, with the extension at its defaults against without, and against
//! pg_stat_statements, in rotation.

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

/// Name, library, and whether query identifiers are computed without any library that asks for them.
const CONFIGURATIONS: [(&str, &str, bool); 4] = [
    ("without", "", false),
    ("compute_query_id = on, without", "", true),
    ("ruvector_dag", "ruvector_dag", false),
    ("pg_stat_statements", "pg_stat_statements", false),
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
    let cluster = Cluster::builder(&server)
        .preload("")
        .set("autovacuum", "off")
        .start()?;
    let scale = options.scale.to_string();
    let filled = cluster
        .program("pgbench")
        .args(["-i", "-q", "-s", &scale, "postgres"])
        .output()?;
    ensure!(filled.status.success(), "pgbench -i failed");
    for configuration in CONFIGURATIONS {
        restart_with(&cluster, configuration)?;
        let (name, library, _) = configuration;
        if !library.is_empty() {
            cluster
                .client("postgres")?
                .batch_execute(&format!("CREATE EXTENSION {name}"))?;
        }
    }
    let mut text = "| script | protocol | without, tps | ruvector_dag / without | pg_stat_statements / without | compute_query_id alone \
                    / without | ruvector_dag / pg_stat_statements |\n|---|---|---|---|---|---|---|\n"
        .to_owned();
    let mut json = Vec::new();
    for (script, protocol, arguments) in RUNS {
        let tps = rotate(options, &cluster, arguments)?;
        let ratio = |of: usize, to: usize| {
            let pairs = tps[of].iter().zip(&tps[to]).map(|(one, other)| one / other);
            median(&pairs.collect::<Vec<_>>())
        };
        let line = format!(
            "| {script} | {protocol} | {:.0} | {:.3} | {:.3} | {:.3} | {:.3} |",
            median(&tps[0]),
            ratio(2, 0),
            ratio(3, 0),
            ratio(1, 0),
            ratio(2, 3)
        );
        println!("{line}");
        let _ = writeln!(text, "{line}");
        for (at, (name, ..)) in CONFIGURATIONS.iter().enumerate() {
            json.push(serde_json::json!({
                "script": script, "protocol": protocol, "configuration": name, "tps": tps[at], "ratio": ratio(at, 0),
            }));
        }
    }
    text += "\nRatios are medians of pairs of runs.\n";
    std::fs::create_dir_all(&options.out)?;
    std::fs::write(
        options.out.join("pgbench.json"),
        serde_json::to_string_pretty(&json)?,
    )?;
    std::fs::write(options.out.join("pgbench.md"), text)?;
    Ok(())
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
            restart_with(cluster, CONFIGURATIONS[at])?;
            // A first second fills the caches.
            pgbench(options, cluster, arguments, 1)?;
            tps[at].push(pgbench(options, cluster, arguments, options.seconds)?);
        }
    }
    Ok(tps)
}

fn restart_with(cluster: &Cluster<'_>, (_, library, has_query_id): (&str, &str, bool)) -> Result<()> {
    // An empty name would be the name of a library.
    let change = if library.is_empty() {
        "ALTER SYSTEM RESET shared_preload_libraries".to_owned()
    } else {
        format!("ALTER SYSTEM SET shared_preload_libraries = '{library}'")
    };
    let identifiers = if has_query_id { "on" } else { "auto" };
    let mut client = cluster.client("postgres")?;
    client.batch_execute(&change)?;
    client.batch_execute(&format!("ALTER SYSTEM SET compute_query_id = '{identifiers}'"))?;
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

//! `pgbench -S` with the extension at its defaults against without, and against pg_stat_statements, in rotation.

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
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Rotations through the configurations.
    #[arg(long, default_value_t = 5)]
    rotations: usize,
    /// Folder of pgbench.json and pgbench.md.
    #[arg(long, default_value = "bench-out")]
    out: PathBuf,
}

const CONFIGURATIONS: [(&str, &str); 3] = [
    ("without", ""),
    ("ruvector_dag", "ruvector_dag"),
    ("pg_stat_statements", "pg_stat_statements"),
];

/// Measures and writes the report.
pub(crate) fn run(options: &Options) -> Result<()> {
    let server = Server::with_extension(15)?;
    let clusters: Vec<Cluster<'_>> = CONFIGURATIONS
        .iter()
        .map(|(name, preload)| {
            let cluster = Cluster::builder(&server)
                .preload(preload)
                .set("autovacuum", "off")
                .start()?;
            if !preload.is_empty() {
                cluster
                    .client("postgres")?
                    .batch_execute(&format!("CREATE EXTENSION {name}"))?;
            }
            let scale = options.scale.to_string();
            let filled = cluster
                .program("pgbench")
                .args(["-i", "-q", "-s", &scale, "postgres"])
                .output()?;
            ensure!(filled.status.success(), "pgbench -i failed");
            Ok(cluster)
        })
        .collect::<Result<_>>()?;
    let mut text =
        "| protocol | configuration | tps, median | / without, median of pairs |\n|---|---|---|---|\n"
            .to_owned();
    let mut json = Vec::new();
    for protocol in ["prepared", "simple"] {
        let mut tps: Vec<Vec<f64>> = vec![Vec::new(); clusters.len()];
        // A first rotation fills the caches.
        for rotation in 0..=options.rotations {
            for step in 0..clusters.len() {
                let at = (step + rotation) % clusters.len();
                let speed = pgbench(options, &clusters[at], protocol)?;
                if rotation > 0 {
                    tps[at].push(speed);
                }
            }
        }
        for (at, (name, _)) in CONFIGURATIONS.iter().enumerate() {
            let ratios: Vec<f64> = tps[at]
                .iter()
                .zip(&tps[0])
                .map(|(with, without)| with / without)
                .collect();
            let line = format!(
                "| {protocol} | {name} | {:.0} | {:.3} |",
                median(&tps[at]),
                median(&ratios)
            );
            println!("{line}");
            let _ = writeln!(text, "{line}");
            json.push(serde_json::json!({
                "protocol": protocol, "configuration": name, "tps": tps[at], "ratio": median(&ratios),
            }));
        }
    }
    std::fs::create_dir_all(&options.out)?;
    std::fs::write(
        options.out.join("pgbench.json"),
        serde_json::to_string_pretty(&json)?,
    )?;
    std::fs::write(options.out.join("pgbench.md"), text)?;
    Ok(())
}

/// Transactions per second of one run.
fn pgbench(options: &Options, cluster: &Cluster<'_>, protocol: &str) -> Result<f64> {
    let [clients, seconds] = [options.clients, options.seconds].map(|number| number.to_string());
    let output = cluster
        .program("pgbench")
        .args([
            "-S", "-n", "-M", protocol, "-c", &clients, "-j", &clients, "-T", &seconds, "postgres",
        ])
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

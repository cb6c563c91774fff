//! Instructions of the server's process per statement of pgbench's, counted by valgrind's callgrind: what the extension adds to each, without
//! the noise of clocks. A server for a single user runs the statements one after the other.

use crate::overhead::{CONFIGURATIONS, Configuration, prepared};
use crate::report;
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use testkit::{Cluster, Server};

/// Options of the count.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Transactions of the longer one of two runs. The shorter one has a quarter of them; the difference is free of what starting takes.
    #[arg(long, default_value_t = 2000)]
    transactions: usize,
    /// Folder of instructions.json and instructions.md.
    #[arg(long, default_value = "bench-out")]
    out: PathBuf,
}

/// pgbench's accounts at scale 1.
const ACCOUNTS: usize = 100_000;

/// pgbench's scripts: name, and the statements of a transaction that concerns an account.
type Script = (&'static str, fn(usize) -> String);

const SCRIPTS: [Script; 2] = [("-S", select_only), ("TPC-B-like", tpcb_like)];

fn select_only(account: usize) -> String {
    format!("SELECT abalance FROM pgbench_accounts WHERE aid = {account};\n")
}

fn tpcb_like(account: usize) -> String {
    let teller = account % 10 + 1;
    format!(
        "BEGIN;\nUPDATE pgbench_accounts SET abalance = abalance + {teller} WHERE aid = {account};\n{}\
         UPDATE pgbench_tellers SET tbalance = tbalance + {teller} WHERE tid = {teller};\n\
         UPDATE pgbench_branches SET bbalance = bbalance + {teller} WHERE bid = 1;\n\
         INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ({teller}, 1, {account}, {teller}, CURRENT_TIMESTAMP);\n\
         END;\n",
        select_only(account)
    )
}

/// Counts and writes the report.
pub(crate) fn run(options: &Options) -> Result<()> {
    let server = Server::with_extension(15)?;
    let cluster = prepared(&server, 1)?;
    cluster.stop("fast")?;
    let mut text =
        "| script | configuration | instructions per transaction | / without |\n|---|---|---|---|\n"
            .to_owned();
    let mut json = Vec::new();
    for script in SCRIPTS {
        let mut without = None;
        for configuration in &CONFIGURATIONS {
            let count = per_transaction(options, (&server, &cluster), script, configuration)?;
            let ratio = count / *without.get_or_insert(count);
            let line = format!(
                "| {} | {} | {count:.0} | {ratio:.3} |",
                script.0, configuration.name
            );
            println!("{line}");
            let _ = writeln!(text, "{line}");
            json.push(serde_json::json!({
                "script": script.0, "configuration": configuration.name, "instructions": count, "ratio": ratio,
            }));
        }
    }
    report::write(&options.out, "instructions", &json, &text)
}

fn per_transaction(
    options: &Options,
    stopped: (&Server, &Cluster<'_>),
    (_, statements): Script,
    configuration: &Configuration,
) -> Result<f64> {
    let (few, many) = (options.transactions / 4, options.transactions);
    ensure!(few > 0 && few < many, "too few transactions to count");
    let count = |transactions: usize| {
        // Spread over all of the table, the same each time.
        let accounts = (0..transactions).map(|number| number * 7919 % ACCOUNTS + 1);
        instructions(
            stopped,
            &accounts.map(statements).collect::<String>(),
            configuration,
        )
    };
    Ok((count(many)? - count(few)?) / (many - few) as f64)
}

/// Instructions of a server that starts, runs the statements and ends.
fn instructions(
    (server, cluster): (&Server, &Cluster<'_>),
    statements: &str,
    configuration: &Configuration,
) -> Result<f64> {
    let mut command = server.command(Path::new("valgrind"));
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(server.bin.join("postgres"))
        .args(["--single", "-D"])
        .arg(cluster.data())
        .arg("-c")
        .arg(format!("shared_preload_libraries={}", configuration.library));
    if configuration.library == "ruvector_dag" {
        // Everything takes some fifty times as long here. What is fast else is to count as fast.
        command.args(["-c", "ruvector.dag_min_duration=10s"]);
    }
    if let Some((name, value)) = configuration.setting {
        command.args(["-c", &format!("{name}={value}")]);
    }
    let mut running = command
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("can't run valgrind")?;
    let mut input = running.stdin.take().context("the server's input")?;
    input.write_all(statements.as_bytes())?;
    drop(input);
    let output = running.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && !told.contains("ERROR:"),
        "the server failed: {told}"
    );
    parse_count(&told).context("callgrind printed no count")
}

fn parse_count(told: &str) -> Option<f64> {
    told.lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::parse_count;

    #[test]
    fn the_count_is_read_from_what_callgrind_prints() {
        let told = "==7== Events    : Ir\n==7== Collected : 235754024\n==7==\n";
        assert_eq!(parse_count(told), Some(235_754_024.0));
    }
}

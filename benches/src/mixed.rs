//! Several clients at once: short statements in random order, in blocks of time, stock and learned in turn.

use crate::comparison::is_slower;
use crate::idle_trials::IdleTrials;
use crate::report;
use crate::session::{Outcome, Session, median, quantile};
use crate::workload::{self, DATABASE};
use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use testkit::{Cluster, Server};

/// Executions on both sides that a statement's ratio needs.
const ENOUGH: usize = 3;

/// Options of the mixed run.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    workload: workload::Options,
    /// Connections, each busy all the time.
    #[arg(long, default_value_t = 8)]
    clients: u64,
    /// Seconds per block.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Blocks of each kind.
    #[arg(long, default_value_t = 4)]
    blocks: usize,
    /// Rounds to learn, one client, before the first block.
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// After each of these rounds the server may try plans of stored statements for so many seconds.
    #[arg(long)]
    trials: Option<f64>,
    /// Statements that take less than this, in milliseconds, when run stock alone.
    #[arg(long, default_value_t = 1000.0)]
    under: f64,
    /// Decides the order.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of mixed.json and mixed.md.
    #[arg(long, default_value = "bench-out")]
    out: PathBuf,
}

struct Statement {
    id: String,
    sql: String,
    expected: Outcome,
}

/// An execution within a block.
#[derive(Clone, Copy)]
struct Execution {
    statement: usize,
    took_ms: f64,
    is_in_time: bool,
    is_same: bool,
}

/// What one kind of blocks gave.
#[derive(Default)]
struct Side {
    executions: Vec<Execution>,
    /// Statements per second, by block.
    throughput: Vec<f64>,
}

impl Side {
    fn of_statement(&self, statement: usize) -> Vec<f64> {
        let of_it = self.executions.iter().filter(|one| one.statement == statement);
        of_it.map(|one| one.took_ms).collect()
    }

    fn p95_ms(&self) -> f64 {
        let all: Vec<f64> = self.executions.iter().map(|one| one.took_ms).collect();
        quantile(&all, 0.95)
    }
}

#[derive(Serialize)]
struct Report {
    settings: serde_json::Value,
    clients: u64,
    block_s: f64,
    statements: usize,
    executions: [usize; 2],
    stock_per_s: Vec<f64>,
    learned_per_s: Vec<f64>,
    /// Median of the pairs of blocks.
    throughput_ratio: f64,
    p95_ms: [f64; 2],
    p95_ratio: f64,
    /// Statement, stock median, learned median.
    regressions: Vec<(String, f64, f64)>,
    too_few: Vec<String>,
    same_results: bool,
}

/// Measures and writes the report.
pub(crate) fn run(options: &Options) -> Result<()> {
    let server = Server::with_extension(15)?;
    let cluster = options.workload.start(&server)?;
    Session::open(&cluster, DATABASE, "CREATE EXTENSION ruvector_dag")?;
    let statements = choose(options, &cluster)?;
    ensure!(
        !statements.is_empty(),
        "no statement takes less than {} ms",
        options.under
    );
    println!(
        "{} statements take less than {} ms",
        statements.len(),
        options.under
    );
    learn(options, &cluster, &statements)?;
    let mut sides = [Side::default(), Side::default()];
    for block in 0..options.blocks {
        // The two change places from block to block.
        for kind in [block % 2, (block + 1) % 2] {
            let executions = run_block(options, &cluster, &statements, kind, block)?;
            let in_time = executions.iter().filter(|one| one.is_in_time).count();
            let throughput = in_time as f64 / options.seconds;
            println!(
                "block {}, {}: {throughput:.1} statements a second",
                block + 1,
                ["stock", "learned"][kind]
            );
            sides[kind].throughput.push(throughput);
            sides[kind].executions.extend(executions);
        }
    }
    let summary = summarize(options, &statements, &sides);
    let text = summary.markdown();
    println!("{text}");
    report::write(&options.out, "mixed", &summary, &text)?;
    ensure!(summary.same_results, "a result differs");
    Ok(())
}

fn settings_of(options: &Options, kind: usize) -> String {
    let mode = if kind == 0 {
        "; SET ruvector.dag_mode = off"
    } else {
        ""
    };
    format!("{}{mode}", options.workload.limit())
}

/// The statements that are short enough; the second run counts.
fn choose(options: &Options, cluster: &Cluster<'_>) -> Result<Vec<Statement>> {
    let mut stock = Session::open(cluster, DATABASE, &settings_of(options, 0))?;
    let mut statements = Vec::new();
    for (id, sql) in options.workload.statements()? {
        let (first_ms, expected) = stock.run(&sql)?;
        if expected == Outcome::CutOff || first_ms > 3.0 * options.under {
            continue;
        }
        if stock.run(&sql)?.0 < options.under {
            statements.push(Statement { id, sql, expected });
        }
    }
    Ok(statements)
}

fn learn(options: &Options, cluster: &Cluster<'_>, statements: &[Statement]) -> Result<()> {
    let mut learned = Session::open(cluster, DATABASE, &settings_of(options, 1))?;
    let mut trials = match options.trials {
        Some(seconds) => IdleTrials::switch_on(Session::open(cluster, DATABASE, "")?, seconds)?,
        None => None,
    };
    for _ in 0..options.rounds {
        for statement in statements {
            learned.run(&statement.sql)?;
        }
        if let Some(trials) = &mut trials {
            trials.run()?;
        }
    }
    Ok(())
}

/// All clients until the time is over; what runs then is let finish. Stock and learned get the same order.
fn run_block(
    options: &Options,
    cluster: &Cluster<'_>,
    statements: &[Statement],
    kind: usize,
    block: usize,
) -> Result<Vec<Execution>> {
    let sessions = (0..options.clients)
        .map(|_| Session::open(cluster, DATABASE, &settings_of(options, kind)))
        .collect::<Result<Vec<_>>>()?;
    let end = Instant::now() + Duration::from_secs_f64(options.seconds);
    std::thread::scope(|scope| {
        let clients: Vec<_> = sessions
            .into_iter()
            .enumerate()
            .map(|(client, session)| {
                let seed = [options.seed, block as u64, client as u64];
                scope.spawn(move || run_client(session, statements, seed, end))
            })
            .collect();
        let mut executions = Vec::new();
        for client in clients {
            executions.extend(client.join().map_err(|_| anyhow!("a client panicked"))??);
        }
        Ok(executions)
    })
}

fn run_client(
    mut session: Session,
    statements: &[Statement],
    [seed, block, client]: [u64; 3],
    end: Instant,
) -> Result<Vec<Execution>> {
    let mut executions = Vec::new();
    while Instant::now() < end {
        let drawn = engine::cardinality::hash_words([seed, block, client, executions.len() as u64]);
        let statement = (drawn % statements.len() as u64) as usize;
        let chosen = statements.get(statement).context("no statement")?;
        let (took_ms, outcome) = session.run(&chosen.sql)?;
        executions.push(Execution {
            statement,
            took_ms,
            is_in_time: Instant::now() <= end,
            is_same: outcome == Outcome::CutOff || outcome == chosen.expected,
        });
    }
    Ok(executions)
}

fn summarize(options: &Options, statements: &[Statement], [stock, learned]: &[Side; 2]) -> Report {
    let pairs = stock.throughput.iter().zip(&learned.throughput);
    let ratios: Vec<f64> = pairs.map(|(before, after)| after / before).collect();
    let (mut regressions, mut too_few) = (Vec::new(), Vec::new());
    for (at, statement) in statements.iter().enumerate() {
        let (before, after) = (stock.of_statement(at), learned.of_statement(at));
        if before.len() < ENOUGH || after.len() < ENOUGH {
            too_few.push(statement.id.clone());
        } else if is_slower(median(&after), median(&before)) {
            regressions.push((statement.id.clone(), median(&before), median(&after)));
        }
    }
    let all = || stock.executions.iter().chain(&learned.executions);
    Report {
        settings: options.workload.describe(),
        clients: options.clients,
        block_s: options.seconds,
        statements: statements.len(),
        executions: [stock.executions.len(), learned.executions.len()],
        stock_per_s: stock.throughput.clone(),
        learned_per_s: learned.throughput.clone(),
        throughput_ratio: median(&ratios),
        p95_ms: [stock.p95_ms(), learned.p95_ms()],
        p95_ratio: learned.p95_ms() / stock.p95_ms(),
        regressions,
        too_few,
        same_results: all().all(|one| one.is_same),
    }
}

impl Report {
    fn markdown(&self) -> String {
        let mut text = format!(
            "{} clients, {} statements in random order, {} pairs of blocks of {} s\n\n| | stock | learned | ratio |\n|---|---|---|---|\n",
            self.clients,
            self.statements,
            self.stock_per_s.len(),
            self.block_s
        );
        let _ = writeln!(
            text,
            "| statements a second, median of blocks (ratio: of pairs) | {:.1} | {:.1} | {:.3} |",
            median(&self.stock_per_s),
            median(&self.learned_per_s),
            self.throughput_ratio
        );
        let [before, after] = self.p95_ms;
        let _ = writeln!(
            text,
            "| p95 ms | {before:.0} | {after:.0} | {:.3} |",
            self.p95_ratio
        );
        let [before, after] = self.executions;
        let _ = writeln!(text, "| executions | {before} | {after} | |");
        let slower = self
            .regressions
            .iter()
            .map(|(id, before, after)| format!("{id} ({before:.0} → {after:.0} ms)"));
        let slower: Vec<String> = slower.collect();
        let none = |list: &[String]| {
            if list.is_empty() {
                "none".to_owned()
            } else {
                list.join(", ")
            }
        };
        let _ = writeln!(
            text,
            "\nSlower in the median by more than a tenth and 10 ms: {}. Run too seldom to tell: {}. All results identical: {}",
            none(&slower),
            none(&self.too_few),
            if self.same_results { "yes" } else { "NO" }
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_run_too_seldom_is_not_judged() {
        let execution = |statement, took_ms| Execution {
            statement,
            took_ms,
            is_in_time: true,
            is_same: true,
        };
        let side = |times: &[(usize, f64)], throughput| Side {
            executions: times.iter().map(|&(at, ms)| execution(at, ms)).collect(),
            throughput: vec![throughput],
        };
        let stock = side(&[(0, 50.0), (0, 52.0), (0, 51.0), (1, 10.0)], 4.0);
        let learned = side(&[(0, 90.0), (0, 91.0), (0, 92.0), (1, 99.0)], 3.0);
        let statement = |id: &str| Statement {
            id: id.to_owned(),
            sql: String::new(),
            expected: Outcome::CutOff,
        };
        let options = <Line as clap::Parser>::parse_from(["mixed"]).options;
        let report = summarize(&options, &[statement("a"), statement("b")], &[stock, learned]);
        assert_eq!(report.regressions, [("a".to_owned(), 51.0, 91.0)]);
        assert_eq!(report.too_few, ["b"]);
        assert_eq!(report.throughput_ratio, 0.75);
    }

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }
}

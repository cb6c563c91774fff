//! STATS: every statement stock and learned, alternating within one run, for several rounds. The last round, which is
//! the one reported, repeats each pair and takes medians.
//!
//! Statements that don't finish within the limit when run stock are reported and left out of the totals: what they
//! would take is not known.

mod prediction;
mod report;

use crate::plan_shape;
use crate::session::{Outcome, Session, median};
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use report::{Report, Statement};
use std::path::PathBuf;
use std::time::Instant;
use testkit::{Cluster, Server, stats};

/// Pairs of the last round: at least and at most, and the seconds after which no further one is begun.
const LAST_PAIRS: (usize, usize, f64) = (3, 9, 2.0);

/// Options of the STATS run.
#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Folder of the STATS data.
    #[arg(long, default_value = "../shared/stats")]
    data: PathBuf,
    /// Statements: `id<TAB>sql` or `id<TAB>published result<TAB>sql`; default: queries.tsv of the data.
    #[arg(long)]
    queries: Option<PathBuf>,
    /// Rounds; the first ones measure stock and learn.
    #[arg(long, default_value_t = 8)]
    rounds: usize,
    /// Seconds a statement may take.
    #[arg(long, default_value_t = 8.0)]
    limit: f64,
    /// Only these ids, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Folder of report.json and report.md.
    #[arg(long, default_value = "bench-out")]
    out: PathBuf,
    /// Server settings.
    #[arg(long, value_enum, default_value = "tuned")]
    settings: Settings,
}

/// Which settings the server runs with.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Settings {
    /// shared_buffers 2GB, work_mem 64MB, random_page_cost 1.1, no JIT, no parallel plans.
    Tuned,
    /// What initdb writes.
    Initdb,
}

impl Settings {
    fn lines(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Settings::Tuned => &[
                ("shared_buffers", "2GB"),
                ("work_mem", "64MB"),
                ("random_page_cost", "1.1"),
                ("jit", "off"),
                ("max_parallel_workers_per_gather", "0"),
            ],
            Settings::Initdb => &[],
        }
    }
}

/// Runs the benchmark and writes the report.
pub(crate) fn run(options: &Options) -> Result<()> {
    let server = Server::with_extension(15)?;
    let lines = options.settings.lines();
    let cluster = lines
        .iter()
        .fold(Cluster::builder(&server), |builder, (name, value)| {
            builder.set(name, value)
        });
    let cluster = cluster.set("autovacuum", "off").start()?;
    println!("loading STATS");
    let mut client = cluster.client("postgres")?;
    stats::load(&mut client, &options.data)?;
    client.batch_execute("CREATE EXTENSION ruvector_dag")?;
    let limit = format!("SET statement_timeout = '{}ms'", (options.limit * 1000.0) as u64);
    let mut stock = Session::open(
        &cluster,
        "postgres",
        &format!("{limit}; SET ruvector.dag_mode = off"),
    )?;
    let mut learned = Session::open(&cluster, "postgres", &limit)?;
    let mut statements = warm_up(options, &mut stock)?;
    for round in 0..options.rounds {
        for (position, statement) in statements.iter_mut().enumerate() {
            let stock_first = (position + round) % 2 == 0;
            let pairs = if round + 1 == options.rounds {
                LAST_PAIRS
            } else {
                (1, 1, 0.0)
            };
            run_pairs(statement, pairs, stock_first, &mut stock, &mut learned)?;
        }
        let sum =
            |times: &dyn Fn(&Statement) -> Option<f64>| statements.iter().filter_map(times).sum::<f64>();
        let (before, after) = (sum(&|s| s.stock_in(round)), sum(&|s| s.learned_in(round)));
        println!(
            "round {}: stock {before:.0} ms, learned {after:.0} ms, ratio {:.3}",
            round + 1,
            after / before
        );
    }
    println!("planning times and plans");
    for statement in &mut statements {
        compare_plans(statement, &mut stock, &mut learned)?;
    }
    let report = Report::new(options.settings_json(), statements);
    report.write(&options.out)?;
    println!("{}", report.summary());
    ensure!(
        report.all_results_same(),
        "a result differs; see {}",
        options.out.display()
    );
    Ok(())
}

impl Options {
    fn settings_json(&self) -> serde_json::Value {
        let server: serde_json::Map<_, _> = self
            .settings
            .lines()
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        serde_json::json!({
            "rounds": self.rounds,
            "limit_s": self.limit,
            "settings": format!("{:?}", self.settings).to_lowercase(),
            "server": server,
            "only": self.only,
        })
    }

    fn read_queries(&self) -> Result<Vec<(String, String)>> {
        let path = self
            .queries
            .clone()
            .unwrap_or_else(|| self.data.join("queries.tsv"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        let all = parse_queries(&text)?;
        let wanted = |id: &str| self.only.is_empty() || self.only.iter().any(|only| only == id);
        Ok(all.into_iter().filter(|(id, _)| wanted(id)).collect())
    }
}

fn parse_queries(text: &str) -> Result<Vec<(String, String)>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (id, rest) = line
                .split_once('\t')
                .with_context(|| format!("no tab in {line:?}"))?;
            let sql = rest.rsplit('\t').next().unwrap_or(rest);
            Ok((id.to_owned(), sql.to_owned()))
        })
        .collect()
}

/// Runs everything once, stock: fills the caches, finds what exceeds the limit, and what is bound by its output.
fn warm_up(options: &Options, stock: &mut Session) -> Result<Vec<Statement>> {
    let queries = options.read_queries()?;
    let count = queries.len();
    let mut statements = Vec::new();
    for (position, (id, sql)) in queries.into_iter().enumerate() {
        let (took_ms, outcome) = stock.run(&sql)?;
        println!(
            "[{}/{count}] statement {id}: {took_ms:.0} ms{}",
            position + 1,
            cut_off_mark(&outcome)
        );
        let mut statement = Statement::new(id, sql);
        match outcome {
            Outcome::CutOff => statement.is_cut_off = true,
            Outcome::Rows(_) => {
                statement.expected = Some(outcome);
                // Counting rows may take it over the limit; then it stays unknown.
                if let Ok(plan) = stock.explain("ANALYZE, TIMING OFF", &statement.sql) {
                    let (top, all) = plan_shape::join_rows(&plan["Plan"]);
                    statement.output_bound = all > 0.0 && top / all > 0.5;
                }
            }
        }
        statements.push(statement);
    }
    Ok(statements)
}

fn cut_off_mark(outcome: &Outcome) -> &'static str {
    if *outcome == Outcome::CutOff {
        ", cut off"
    } else {
        ""
    }
}

/// One round of a statement: pairs of executions, in turns stock first and learned first.
fn run_pairs(
    statement: &mut Statement,
    (least, most, seconds): (usize, usize, f64),
    stock_first: bool,
    stock: &mut Session,
    learned: &mut Session,
) -> Result<()> {
    if statement.is_cut_off {
        return Ok(());
    }
    let begun = Instant::now();
    let (mut stock_ms, mut learned_ms) = (Vec::new(), Vec::new());
    while stock_ms.len() < least || (stock_ms.len() < most && begun.elapsed().as_secs_f64() < seconds) {
        let is_stock = stock_first == (stock_ms.len() % 2 == 0);
        for is_stock in [is_stock, !is_stock] {
            let session = if is_stock { &mut *stock } else { &mut *learned };
            let (took_ms, outcome) = session.run(&statement.sql)?;
            let is_same = Some(&outcome) == statement.expected.as_ref() || outcome == Outcome::CutOff;
            statement.same_result &= is_same;
            if is_stock {
                stock_ms.push(took_ms);
                statement.is_cut_off |= outcome == Outcome::CutOff;
            } else {
                learned_ms.push(took_ms);
                statement.timeouts += usize::from(outcome == Outcome::CutOff);
            }
        }
    }
    statement.stock_rounds_ms.push(median(&stock_ms));
    statement.rounds_ms.push(median(&learned_ms));
    Ok(())
}

fn compare_plans(statement: &mut Statement, stock: &mut Session, learned: &mut Session) -> Result<()> {
    let mut planning = [Vec::new(), Vec::new()];
    let mut plans = [serde_json::Value::Null, serde_json::Value::Null];
    for _ in 0..3 {
        for (at, session) in [&mut *stock, &mut *learned].into_iter().enumerate() {
            let explained = session.explain("SUMMARY", &statement.sql)?;
            planning[at].push(explained["Planning Time"].as_f64().unwrap_or(0.0));
            plans[at] = explained["Plan"].clone();
        }
    }
    statement.planning_ms = median(&planning[0]);
    statement.learned_planning_ms = median(&planning[1]);
    statement.plan_change = plan_shape::change(&plans[0], &plans[1]);
    statement.plan = std::mem::take(&mut plans[0]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_query_file_are_read() {
        let read = parse_queries("1\tSELECT 1\n2\t99\tSELECT 2\n\n").expect("well formed");
        assert_eq!(
            read,
            [
                ("1".to_owned(), "SELECT 1".to_owned()),
                ("2".to_owned(), "SELECT 2".to_owned())
            ]
        );
        assert!(parse_queries("SELECT 1").is_err());
    }
}

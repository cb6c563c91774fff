//! The demo: a shop whose data PostgreSQL misestimates, run stock, then learning, then again.

mod shop;

use crate::idle_trials::IdleTrials;
use crate::plan_shape;
use crate::session::{Outcome, Session, median};
use anyhow::{Result, ensure};
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;
use testkit::{Cluster, Server};

/// Seconds that the server may try plans between two rounds.
const IDLE_S: f64 = 10.0;

/// Options of the demo.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Learning rounds between the two measurements.
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// Runs per measurement, stock and learned in turn.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Also write the table to this file, as Markdown.
    #[arg(long)]
    out: Option<PathBuf>,
}

struct Line {
    number: usize,
    stock_ms: f64,
    learned_ms: f64,
    change: String,
}

/// Runs the demo; fails when a result differs.
pub(crate) fn run(options: &Options) -> Result<()> {
    println!("{}", shop::RECIPE);
    let server = Server::with_extension(15)?;
    let cluster = Cluster::builder(&server)
        .set("shared_buffers", "512MB")
        .set("work_mem", "32MB")
        .set("random_page_cost", "1.1")
        .set("jit", "off")
        .set("max_parallel_workers_per_gather", "0")
        .set("autovacuum", "off")
        .start()?;
    println!("a throwaway cluster runs in {}", cluster.socket().display());
    println!("generating the data");
    let mut owner = Session::open(&cluster, "postgres", "CREATE EXTENSION ruvector_dag")?;
    owner.execute(shop::TABLES)?;
    owner.execute("VACUUM ANALYZE")?;
    let statements = shop::statements();
    let mut stock = Session::open(&cluster, "postgres", "SET ruvector.dag_mode = off")?;
    let mut learned = Session::open(&cluster, "postgres", "SET ruvector.dag_mode = on")?;
    let results = round("stock", &statements, &mut stock)?;
    let mut idle = IdleTrials::switch_on(Session::open(&cluster, "postgres", "")?, IDLE_S)?;
    for number in 1..=options.rounds {
        ensure!(
            round(&format!("learning, round {number}"), &statements, &mut learned)? == results,
            "a result differs"
        );
        if let Some(idle) = &mut idle {
            println!("trials while nobody waits: {:.0} ms", idle.run()?);
        }
    }
    println!("stock and learned in turn");
    let lines = statements
        .iter()
        .zip(&results)
        .enumerate()
        .map(|(at, (sql, result))| measure(at + 1, sql, result, options.runs, &mut stock, &mut learned))
        .collect::<Result<Vec<_>>>()?;
    let table = table(&lines);
    println!("\n{table}");
    if let Some(path) = &options.out {
        std::fs::write(path, &table)?;
    }
    Ok(())
}

/// Runs every statement once.
fn round(name: &str, statements: &[String], session: &mut Session) -> Result<Vec<Outcome>> {
    let mut total_ms = 0.0;
    let mut results = Vec::new();
    for sql in statements {
        let (took_ms, result) = session.run(sql)?;
        total_ms += took_ms;
        results.push(result);
    }
    println!("{name}: {total_ms:.0} ms");
    Ok(results)
}

fn measure(
    number: usize,
    sql: &str,
    expected: &Outcome,
    runs: usize,
    stock: &mut Session,
    learned: &mut Session,
) -> Result<Line> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        for (session, times) in [(&mut *stock, &mut before), (&mut *learned, &mut after)] {
            let (took_ms, result) = session.run(sql)?;
            ensure!(result == *expected, "statement {number} gave another result");
            times.push(took_ms);
        }
    }
    let [old, new] = [stock.explain("COSTS ON", sql)?, learned.explain("COSTS ON", sql)?];
    let change = plan_shape::change(&old, &new);
    Ok(Line {
        number,
        stock_ms: median(&before),
        learned_ms: median(&after),
        change,
    })
}

fn table(lines: &[Line]) -> String {
    let mut text = "| statement | stock ms | learned ms | ratio | plan |\n|---|---|---|---|---|\n".to_owned();
    for line in lines {
        let Line {
            number,
            stock_ms,
            learned_ms,
            change,
        } = line;
        let ratio = learned_ms / stock_ms;
        let _ = writeln!(
            text,
            "| {number} | {stock_ms:.1} | {learned_ms:.1} | {ratio:.2} | {change} |"
        );
    }
    let total = |time: fn(&Line) -> f64| lines.iter().map(time).sum::<f64>();
    let (before, after) = (total(|line| line.stock_ms), total(|line| line.learned_ms));
    let _ = writeln!(
        text,
        "| **all {}** | **{before:.0}** | **{after:.0}** | **{:.2}** | |",
        lines.len(),
        after / before
    );
    let slower = lines
        .iter()
        .filter(|line| line.learned_ms > 1.1 * line.stock_ms + 10.0)
        .count();
    let _ = writeln!(
        text,
        "\nSlower by more than a tenth and 10 ms: {slower}. All results identical."
    );
    text
}

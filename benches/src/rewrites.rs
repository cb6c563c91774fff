//! All statements with rewrites: stock once, up to a limit that counts when it is reached, then learned, round by round.
//!
//! Results are compared with stock's, and where stock does not finish with the known counts of the data.

use crate::comparison::is_slower;
use crate::idle_trials::IdleTrials;
use crate::report;
use crate::session::{Outcome, Session, median};
use crate::workload::{self, DATABASE};
use anyhow::{Result, ensure};
use clap::Args;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use testkit::Server;

/// Stock executions of a statement that seems slower than stock, and learned ones beside them.
const SUSPECT_RUNS: usize = 5;

/// Options of the run.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    workload: workload::Options,
    /// Learned rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// After each round the server may try plans of stored statements for so many seconds, which count as spent.
    #[arg(long)]
    trials: Option<f64>,
    /// Folder of rewrites.json and rewrites.md.
    #[arg(long, default_value = "bench-out")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Statement {
    id: String,
    #[serde(skip)]
    sql: String,
    stock_ms: f64,
    is_cut_off: bool,
    #[serde(skip)]
    expected: Option<Outcome>,
    rounds_ms: Vec<f64>,
    last_ms: f64,
    same_result: bool,
    is_checked: bool,
    decision: String,
    /// Rules that its plan in the end was rewritten by.
    rules: Vec<String>,
}

/// What a rule brought.
#[derive(Serialize)]
struct Rule {
    rule: String,
    /// Statements rewritten by it in the end.
    statements: usize,
    /// Milliseconds of their stock plans and in the last round; of statements with several rules in equal parts.
    stock_ms: f64,
    last_ms: f64,
}

#[derive(Serialize)]
struct Report {
    settings: serde_json::Value,
    rounds: usize,
    stock_ms: f64,
    last_ms: f64,
    rounds_ms: Vec<f64>,
    trials_ms: Vec<f64>,
    slower: Vec<String>,
    rules: Vec<Rule>,
    statements: Vec<Statement>,
}

/// Runs it and writes the report.
pub(crate) fn run(options: &Options) -> Result<()> {
    let server = Server::with_extension(15)?;
    let cluster = options.workload.start(&server)?;
    let mut owner = Session::open(&cluster, DATABASE, "CREATE EXTENSION ruvector_dag")?;
    let mut trials = match options.trials {
        Some(seconds) => IdleTrials::switch_on(Session::open(&cluster, DATABASE, "")?, seconds)?,
        None => None,
    };
    std::thread::sleep(std::time::Duration::from_millis(500));
    let limit = options.workload.limit();
    let mut stock = Session::open(
        &cluster,
        DATABASE,
        &format!("{limit}; SET ruvector.dag_mode = off"),
    )?;
    let mut learned = Session::open(&cluster, DATABASE, &limit)?;
    let known = options.workload.known_results()?;
    let mut statements = Vec::new();
    for (id, sql) in options.workload.statements()? {
        let (stock_ms, outcome) = stock.run(&sql)?;
        println!("stock {id}: {stock_ms:.0} ms");
        statements.push(statement(id, sql, stock_ms, outcome, &known));
    }
    let (mut rounds_ms, mut trials_ms) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let mut total_ms = 0.0;
        for statement in &mut statements {
            let (took_ms, outcome) = learned.run(&statement.sql)?;
            statement.note(took_ms, &outcome);
            total_ms += took_ms;
        }
        let tried_ms = trials.as_mut().map_or(Ok(0.0), IdleTrials::run)?;
        println!("round {round}: {total_ms:.0} ms, trials afterwards {tried_ms:.0} ms");
        rounds_ms.push(total_ms);
        trials_ms.push(tried_ms);
    }
    let slower = suspects(&mut statements, &mut stock, &mut learned)?;
    let names = "SELECT string_agg(rule, ',') FROM ruvector.dag_rewrite_savings()";
    let names = owner.value(names)?;
    for statement in &mut statements {
        statement.decision = owner.decision(&statement.sql)?;
        let explained = owner.explain("COSTS off", &statement.sql)?;
        let words = explained["RuVector"]
            .as_str()
            .unwrap_or_default()
            .split([' ', ',']);
        let named = words.filter(|word| names.split(',').any(|name| name == *word));
        statement.rules = named.map(str::to_owned).collect();
    }
    let report = Report {
        settings: options.workload.describe(),
        rounds: options.rounds,
        stock_ms: statements.iter().map(|one| one.stock_ms).sum(),
        last_ms: statements.iter().map(|one| one.last_ms).sum(),
        rounds_ms,
        trials_ms,
        slower,
        rules: names.split(',').map(|name| brought(name, &statements)).collect(),
        statements,
    };
    report.write(&options.out)?;
    println!("{}", report.summary());
    for one in report.rules.iter().filter(|one| one.statements > 0) {
        println!(
            "{}: {} statements, stock {:.0} ms, last round {:.0} ms",
            one.rule, one.statements, one.stock_ms, one.last_ms
        );
    }
    let differing = report.statements.iter().filter(|one| !one.same_result);
    let differing: Vec<&str> = differing.map(|one| one.id.as_str()).collect();
    ensure!(differing.is_empty(), "other results: {}", differing.join(", "));
    Ok(())
}

fn statement(
    id: String,
    sql: String,
    stock_ms: f64,
    outcome: Outcome,
    known: &HashMap<String, String>,
) -> Statement {
    let is_cut_off = outcome == Outcome::CutOff;
    let expected = match outcome {
        Outcome::CutOff => known.get(&id).map(|count| Outcome::Rows(vec![count.clone()])),
        rows => Some(rows),
    };
    Statement {
        id,
        sql,
        stock_ms,
        is_cut_off,
        is_checked: expected.is_some(),
        expected,
        rounds_ms: Vec::new(),
        last_ms: stock_ms,
        same_result: true,
        decision: String::new(),
        rules: Vec::new(),
    }
}

/// What a rule brought to the statements that it rewrote in the end.
fn brought(rule: &str, statements: &[Statement]) -> Rule {
    let rewritten = statements
        .iter()
        .filter(|one| one.rules.iter().any(|name| name == rule));
    let share = |one: &Statement| 1.0 / one.rules.len() as f64;
    Rule {
        rule: rule.to_owned(),
        statements: rewritten.clone().count(),
        // The sum of nothing is -0.
        stock_ms: rewritten
            .clone()
            .map(|one| one.stock_ms * share(one))
            .sum::<f64>()
            + 0.0,
        last_ms: rewritten.map(|one| one.last_ms * share(one)).sum::<f64>() + 0.0,
    }
}

impl Statement {
    fn note(&mut self, took_ms: f64, outcome: &Outcome) {
        let is_same = self.expected.as_ref().is_none_or(|expected| expected == outcome);
        self.same_result &= is_same || *outcome == Outcome::CutOff;
        self.rounds_ms.push(took_ms);
        self.last_ms = took_ms;
    }
}

/// Measures those again that were slower than stock, and returns those that still are.
fn suspects(statements: &mut [Statement], stock: &mut Session, learned: &mut Session) -> Result<Vec<String>> {
    let mut slower = Vec::new();
    for statement in statements.iter_mut().filter(|one| !one.is_cut_off) {
        if !is_slower(statement.last_ms, statement.stock_ms) {
            continue;
        }
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..SUSPECT_RUNS {
            times[0].push(stock.run(&statement.sql)?.0);
            times[1].push(learned.run(&statement.sql)?.0);
        }
        (statement.stock_ms, statement.last_ms) = (median(&times[0]), median(&times[1]));
        if is_slower(statement.last_ms, statement.stock_ms) {
            slower.push(statement.id.clone());
        }
    }
    Ok(slower)
}

impl Report {
    fn write(&self, folder: &std::path::Path) -> Result<()> {
        report::write(folder, "rewrites", self, &self.markdown())
    }

    fn summary(&self) -> String {
        let rewritten = |one: &&Statement| one.decision.contains("rewritten");
        let checked = self.statements.iter().filter(|one| one.is_checked).count();
        let cut_off = self.statements.iter().filter(|one| one.is_cut_off).count();
        format!(
            "{} statements, {cut_off} of them cut off when run stock, which counts with the limit\n\
             stock {:.0} ms, last round {:.0} ms, ratio {:.4} (1/{:.1})\n\
             rewritten in the end: {}\nslower than 1.1x + 10 ms in the end: {}\nresults compared: {checked}, all identical: {}",
            self.statements.len(),
            self.stock_ms,
            self.last_ms,
            self.last_ms / self.stock_ms,
            self.stock_ms / self.last_ms,
            self.statements.iter().filter(rewritten).count(),
            if self.slower.is_empty() {
                "none".to_owned()
            } else {
                self.slower.join(", ")
            },
            if self.statements.iter().all(|one| one.same_result) {
                "yes"
            } else {
                "NO"
            },
        )
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "# Rewrites\n\nSettings: `{}`\n\n{}\n\n",
            self.settings,
            self.summary()
        );
        for (round, (took_ms, tried_ms)) in self.rounds_ms.iter().zip(&self.trials_ms).enumerate() {
            let _ = writeln!(
                text,
                "- round {}: {took_ms:.0} ms, trials afterwards {tried_ms:.0} ms",
                round + 1
            );
        }
        let _ = writeln!(
            text,
            "\n| rule | statements | stock ms | last ms |\n|---|---|---|---|"
        );
        for one in &self.rules {
            let _ = writeln!(
                text,
                "| {} | {} | {:.0} | {:.0} |",
                one.rule, one.statements, one.stock_ms, one.last_ms
            );
        }
        let _ = writeln!(
            text,
            "\n| id | stock ms | first | last | decision |\n|---|---|---|---|---|"
        );
        for one in &self.statements {
            let mark = if one.is_cut_off { "over " } else { "" };
            let first_ms = one.rounds_ms.first().copied().unwrap_or(0.0);
            let _ = writeln!(
                text,
                "| {} | {mark}{:.0} | {first_ms:.0} | {:.0} | {} |",
                one.id, one.stock_ms, one.last_ms, one.decision
            );
        }
        text
    }
}

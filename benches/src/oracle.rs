//! The fastest plan that hints can get: per statement the best of 49 hint sets, every non-empty set of join methods with
//! every useful set of scan methods, and of parallel workers for small tables. What is not among them: plans from exact row counts of all sub-joins, since without
//! pg_hint_plan, which is no package of Debian 12, nothing but the planner's own estimates can be given to it.

mod hint_set;

use crate::session::{Outcome, Session, median};
use crate::workload::{self, DATABASE};
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use testkit::Server;

pub(crate) use hint_set::HintSet;

/// A plan is cut off above this factor …
const FACTOR: f64 = 1.3;
/// … and this many milliseconds over stock.
const SLACK_MS: f64 = 5.0;
const NO_LIMIT: &str = "SET statement_timeout = 0";
/// Executions of stock, and of the best plan beside them.
const REPEATED: usize = 3;

/// Options of the measurement.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    workload: workload::Options,
    /// The file to write.
    #[arg(long, default_value = "bench-out/oracle.json")]
    file: PathBuf,
    /// Keep what the file has, and measure the rest.
    #[arg(long)]
    resume: bool,
}

/// What was measured.
#[derive(Serialize, Deserialize, Default)]
pub(crate) struct Oracle {
    settings: serde_json::Value,
    statements: Vec<Statement>,
}

#[derive(Serialize, Deserialize)]
struct Statement {
    id: String,
    /// Nothing when it does not finish within the limit.
    stock_ms: Option<f64>,
    /// The best plan, repeated beside stock; stock's own time if no other was faster.
    best_ms: Option<f64>,
    best: String,
    plans: Vec<Plan>,
}

/// A plan that differs from stock's and from those before.
#[derive(Serialize, Deserialize)]
struct Plan {
    hint_set: String,
    /// Nothing when cut off.
    ms: Option<f64>,
}

impl Oracle {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("no {}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Best over stock by statement, for a run with these settings.
    pub(crate) fn ratios_for(&self, settings: &serde_json::Value) -> Result<HashMap<String, f64>> {
        for what in ["workload", "settings", "server"] {
            ensure!(
                self.settings[what] == settings[what],
                "the oracle file is of another {what}: {}",
                self.settings[what]
            );
        }
        let ratios = self.statements.iter().filter_map(|statement| {
            let ratio = statement.best_ms? / statement.stock_ms?;
            Some((statement.id.clone(), ratio))
        });
        Ok(ratios.collect())
    }

    fn statement(&self, id: &str) -> Option<&Statement> {
        self.statements.iter().find(|statement| statement.id == id)
    }

    /// What the stock plan of a statement takes, if it finishes.
    pub(crate) fn stock_ms(&self, id: &str) -> Option<f64> {
        self.statement(id)?.stock_ms
    }

    /// What the plan takes that this hint set was the first one to give, `None` of one that was cut off; `None` of a hint set that gave a plan
    /// that was known.
    pub(crate) fn plan_ms(&self, id: &str, hint_set: &str) -> Option<Option<f64>> {
        let plans = &self.statement(id)?.plans;
        let plan = plans.iter().find(|plan| plan.hint_set == hint_set)?;
        Some(plan.ms)
    }

    fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(path, serde_json::to_string_pretty(self)?)?)
    }
}

/// Measures and writes the file, statement by statement.
pub(crate) fn run(options: &Options) -> Result<()> {
    let settings = options.workload.describe();
    let mut oracle = Oracle::default();
    if options.resume && options.file.exists() {
        oracle = Oracle::read(&options.file)?;
        oracle.ratios_for(&settings)?;
    }
    oracle.settings = settings;
    let server = Server::with_extension(15)?;
    let cluster = options.workload.start(&server)?;
    let mut session = Session::open(&cluster, DATABASE, "SET ruvector.dag_mode = off")?;
    for (id, sql) in options.workload.statements()? {
        if oracle.statements.iter().any(|known| known.id == id) {
            continue;
        }
        session.execute(&options.workload.limit())?;
        let statement = measure(&mut session, id, &sql)?;
        println!(
            "statement {}: stock {:.0} ms, best {:.0} ms with {}, {} other plans",
            statement.id,
            statement.stock_ms.unwrap_or(f64::NAN),
            statement.best_ms.unwrap_or(f64::NAN),
            statement.best,
            statement.plans.len()
        );
        oracle.statements.push(statement);
        oracle.write(&options.file)?;
    }
    let sum =
        |value: &dyn Fn(&Statement) -> Option<f64>| oracle.statements.iter().filter_map(value).sum::<f64>();
    println!(
        "{} statements: best / stock {:.3}",
        oracle.statements.len(),
        sum(&|one| one.best_ms) / sum(&|one| one.stock_ms)
    );
    Ok(())
}

fn measure(session: &mut Session, id: String, sql: &str) -> Result<Statement> {
    let mut statement = Statement {
        id,
        stock_ms: None,
        best_ms: None,
        best: "stock".to_owned(),
        plans: Vec::new(),
    };
    let (_, expected) = session.run(sql)?;
    let mut stock = Vec::new();
    for _ in 0..REPEATED {
        if expected == Outcome::CutOff {
            return Ok(statement);
        }
        stock.push(session.run(sql)?.0);
    }
    let mut seen = BTreeSet::from([plan_of(session, sql)?]);
    let limit_ms = FACTOR * median(&stock) + SLACK_MS;
    session.execute(NO_LIMIT)?;
    let mut best: Option<(HintSet, f64)> = None;
    for hint_set in HintSet::all() {
        session.execute(&hint_set.apply())?;
        if seen.insert(plan_of(session, sql)?) {
            let (took_ms, outcome) = run_within(session, limit_ms, sql)?;
            let is_finished = outcome != Outcome::CutOff;
            ensure!(
                !is_finished || outcome == expected,
                "statement {} gives another result with {hint_set}",
                statement.id
            );
            statement.plans.push(Plan {
                hint_set: hint_set.to_string(),
                ms: is_finished.then_some(took_ms),
            });
            if is_finished && best.as_ref().is_none_or(|(_, least_ms)| took_ms < *least_ms) {
                best = Some((hint_set, took_ms));
            }
        }
        session.execute(HintSet::RESET)?;
    }
    let mut repeated = Vec::new();
    for _ in 0..REPEATED {
        stock.push(session.run(sql)?.0);
        if let Some((hint_set, _)) = &best {
            session.execute(&hint_set.apply())?;
            repeated.push(session.run(sql)?.0);
            session.execute(HintSet::RESET)?;
        }
    }
    let stock_ms = median(&stock);
    (statement.stock_ms, statement.best_ms) = (Some(stock_ms), Some(stock_ms));
    if let Some((hint_set, _)) = best.filter(|_| median(&repeated) < stock_ms) {
        statement.best_ms = Some(median(&repeated));
        statement.best = hint_set.to_string();
    }
    Ok(statement)
}

/// Runs a statement with a time limit, which may be shorter than planning it takes.
fn run_within(session: &mut Session, limit_ms: f64, sql: &str) -> Result<(f64, Outcome)> {
    session.execute(&format!("SET statement_timeout = '{:.0}ms'", limit_ms.ceil()))?;
    let ran = session.run(sql)?;
    // A statement that ends just in time leaves PostgreSQL's cancel to the next one.
    if session.run(NO_LIMIT)?.1 == Outcome::CutOff {
        session.execute(NO_LIMIT)?;
    }
    Ok(ran)
}

/// The plan without its numbers, which tells plans apart.
fn plan_of(session: &mut Session, sql: &str) -> Result<String> {
    Ok(session.explain("COSTS OFF", sql)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oracle_of_other_settings_is_refused() {
        let settings = serde_json::json!({"workload": "stats", "settings": "tuned", "server": {}});
        let oracle = Oracle {
            settings: settings.clone(),
            statements: vec![Statement {
                id: "1".to_owned(),
                stock_ms: Some(100.0),
                best_ms: Some(40.0),
                best: "hash".to_owned(),
                plans: Vec::new(),
            }],
        };
        assert_eq!(oracle.ratios_for(&settings).expect("the same")["1"], 0.4);
        let other = serde_json::json!({"workload": "stats", "settings": "initdb", "server": {}});
        assert!(oracle.ratios_for(&other).is_err());
    }
}

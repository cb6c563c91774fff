//! Every statement stock and learned, alternating within one run, for several rounds. The last round, which is the one
//! reported, repeats each pair and takes medians.
//!
//! Statements that don't finish within the limit when run stock are reported and left out of the totals: what they
//! would take is not known.

mod split;
mod statement;
mod runner;
mod payback;
mod adaptation;
mod guard;
pub(crate) mod first_sight;
mod prediction;
mod report;
mod markdown;
mod figure;

use crate::oracle::Oracle;
use crate::session::Session;
use crate::workload::{self, DATABASE};
use anyhow::{Result, ensure};
use clap::Args;
use first_sight::FirstSights;
use report::{Report, Run};
use runner::Runner;
use split::Split;
pub(crate) use split::shuffled;
use statement::Statement;
use std::collections::HashMap;
use std::path::PathBuf;
use testkit::{Cluster, Server};

/// A latency counts as slower above this factor …
const FACTOR: f64 = 1.1;
/// … and this many milliseconds over the other.
const SLACK_MS: f64 = 10.0;

/// Whether a latency is slower than another by more than noise.
pub(crate) fn is_slower(took_ms: f64, baseline_ms: f64) -> bool {
    took_ms > FACTOR * baseline_ms + SLACK_MS
}

/// `ruvector.dag_rewrite`.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rewrites {
    /// Never.
    Off,
    /// Where it pays.
    Auto,
}

/// `ruvector.dag_first_sight`.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstSightWith {
    /// The stock plan.
    Off,
    /// What is predicted by how long operators took in other plans.
    Predicted,
    /// Methods that were faster where plans were like its own.
    Similar,
    /// Row counts that others taught.
    Rows,
}

/// The value of a setting that an option stands for.
pub(crate) fn setting(option: &impl clap::ValueEnum) -> String {
    let value = option.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Options of the run.
#[derive(Args, Debug, Clone)]
#[group(id = "comparison")]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) workload: workload::Options,
    /// Rounds; the first ones measure stock and learn.
    #[arg(long, default_value_t = 8)]
    rounds: usize,
    /// After each round the server may try plans of stored statements for so many seconds, which count as spent.
    #[arg(long)]
    trials: Option<f64>,
    /// Learn from a part and see the rest for the first time: thirds:SEED, or template:GROUPS:SEED.
    #[arg(long, conflicts_with = "drift")]
    split: Option<Split>,
    /// The file of `oracle`, for the column of that name.
    #[arg(long)]
    oracle: Option<PathBuf>,
    /// After this round a third of the rows of every table is replaced.
    #[arg(long)]
    drift: Option<usize>,
    /// Whether statements may be planned in another form.
    #[arg(long, value_enum, default_value = "off")]
    pub(crate) rewrites: Rewrites,
    /// With what a statement is planned that was never seen.
    #[arg(long, value_enum, default_value = "predicted")]
    first_sight: FirstSightWith,
    /// Folder of report.json, report.md and report.svg.
    #[arg(long, default_value = "bench-out")]
    pub(crate) out: PathBuf,
}

impl Options {
    /// The same of the generated shop.
    pub(crate) fn of_generated(&self) -> Self {
        let mut options = self.clone();
        options.workload.generated = true;
        options
    }

    /// Best hint set over stock. Asked for before anything runs, so that a wrong file costs no run.
    fn oracle_ratios(&self) -> Result<Option<HashMap<String, f64>>> {
        let Some(path) = &self.oracle else {
            return Ok(None);
        };
        Ok(Some(Oracle::read(path)?.ratios_for(&self.workload.describe())?))
    }

    fn describe(&self) -> serde_json::Value {
        let mut settings = self.workload.describe();
        settings["rounds"] = self.rounds.into();
        settings["rewrites"] = setting(&self.rewrites).into();
        settings["first_sight"] = setting(&self.first_sight).into();
        settings["trials_s"] = self.trials.into();
        settings["split"] = self.split.map(|split| split.to_string()).into();
        settings["drift_after_round"] = self.drift.into();
        settings
    }
}

/// Runs the benchmark and writes the report.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        options
            .drift
            .is_none_or(|round| (1..options.rounds).contains(&round)),
        "--drift takes a round before the last of {}",
        options.rounds
    );
    options.oracle_ratios()?;
    let server = Server::with_extension(15)?;
    let cluster = options.workload.start(&server)?;
    let report = match options.split {
        None => compare(&cluster, DATABASE, options, &[])?,
        Some(split) => compare_split(&cluster, options, split)?,
    };
    report.write(&options.out)?;
    println!("{}", report.summary());
    ensure!(
        report.all_results_same(),
        "a result differs; see {}",
        options.out.display()
    );
    Ok(())
}

/// One run in a database that has the data and not the extension; `commands` change settings of the server before it.
pub(crate) fn compare(
    cluster: &Cluster<'_>,
    database: &str,
    options: &Options,
    commands: &[String],
) -> Result<Report> {
    let oracle = options.oracle_ratios()?;
    let mut runner = Runner::open(cluster, database, options, commands)?;
    let mut statements = runner.warm_up(options.workload.statements()?)?;
    let trials_ms = runner.rounds(&mut statements)?;
    runner.compare_plans(&mut statements)?;
    Ok(finish(options, statements, trials_ms, oracle, None))
}

fn finish(
    options: &Options,
    statements: Vec<Statement>,
    trials_ms: Vec<f64>,
    oracle: Option<HashMap<String, f64>>,
    first_sight: Option<FirstSights>,
) -> Report {
    Report::new(Run {
        title: options.workload.title(),
        settings: options.describe(),
        statements,
        trials_ms,
        drift: options.drift,
        oracle,
        first_sight,
    })
}

/// A run per fold, each in a fresh copy of the database; the report is that of the first fold's statements learned from,
/// with the first sight of all folds.
fn compare_split(cluster: &Cluster<'_>, options: &Options, split: Split) -> Result<Report> {
    let oracle = options.oracle_ratios()?;
    let queries = options.workload.statements()?;
    let texts: Vec<&str> = queries.iter().map(|(_, sql)| sql.as_str()).collect();
    let folds = split.folds(&texts);
    let count = folds.len();
    println!(
        "{} statements of {} templates, {count} folds",
        texts.len(),
        split::templates(&texts)
    );
    ensure!(count > 0, "too few statements or templates to split");
    let mut seen = None;
    let mut sights = FirstSights::new(split, split::templates(&texts), count);
    for (number, fold) in folds.into_iter().enumerate() {
        println!(
            "fold {}/{count}: {} statements to learn from, {} to see first",
            number + 1,
            fold.train.len(),
            fold.test.len()
        );
        let pick = |places: &[usize]| places.iter().map(|&at| queries[at].clone()).collect::<Vec<_>>();
        let copy = FreshCopy::new(cluster, number)?;
        let mut runner = Runner::open(cluster, &copy.name, options, &[])?;
        let mut train = runner.warm_up(pick(&fold.train))?;
        let test = runner.warm_up(pick(&fold.test))?;
        let trials_ms = runner.rounds(&mut train)?;
        sights.add(number + 1, runner.first_sight(cluster, &copy.name, test)?);
        if seen.is_none() {
            runner.compare_plans(&mut train)?;
            seen = Some((train, trials_ms));
        }
        drop(runner);
        copy.remove(cluster)?;
    }
    let (statements, trials_ms) = seen.unwrap_or_default();
    Ok(finish(options, statements, trials_ms, oracle, Some(sights)))
}

/// A copy of the data, in which nothing was learned yet.
pub(crate) struct FreshCopy {
    pub(crate) name: String,
}

impl FreshCopy {
    /// Copies [`DATABASE`], to which nobody may be connected.
    pub(crate) fn new(cluster: &Cluster<'_>, number: usize) -> Result<Self> {
        let name = format!("{DATABASE}_{number}");
        let mut owner = Session::open(cluster, "postgres", "")?;
        owner.execute(&format!("CREATE DATABASE {name} TEMPLATE {DATABASE}"))?;
        Ok(Self { name })
    }

    /// Drops it, with the worker that is in it.
    pub(crate) fn remove(self, cluster: &Cluster<'_>) -> Result<()> {
        let mut owner = Session::open(cluster, "postgres", "")?;
        owner.execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name))
    }
}

//! First sights simulated: plans, estimated costs and latencies are real (a file of `oracle`), which plans are tried and what is learned from
//! them is the engine's own, over many splits of the statements instead of one.

mod plans;
mod trials;

use crate::comparison::first_sight::{FACTOR, SLACK_MS, is_too_slow};
use crate::comparison::shuffled;
use crate::oracle::Oracle;
use crate::session::Session;
use crate::workload::{self, DATABASE};
use anyhow::{Result, ensure};
use clap::Args;
use engine::decision::{FastestPredicted, OperatorTimes, Possibilities};
use plans::{Plan, Planned};
use std::path::PathBuf;
use testkit::Server;
use trials::Tried;

/// What a plan that was cut off is taken to need over stock.
const CUT_OFF: f64 = 2.0;

/// Options of the simulation.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    workload: workload::Options,
    /// Latencies under hint sets, by `oracle`.
    #[arg(long, default_value = "bench-out/oracle.json")]
    oracle: PathBuf,
    /// Splits into two thirds to learn from and a third to see first.
    #[arg(long, default_value_t = 100)]
    splits: u64,
    /// Trials per statement learned from, if not all that promise to pay.
    #[arg(long)]
    trials_per_statement: Option<f64>,
    /// `ruvector.dag_confidence`.
    #[arg(long, default_value_t = 0.8)]
    confidence: f64,
}

/// Sums over first sights, and over the trials before them.
#[derive(Default)]
struct Sum {
    tried: Tried,
    stock_ms: f64,
    learned_ms: f64,
    best_ms: f64,
    statements: usize,
    changed: usize,
    slow: usize,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.tried.add(&other.tried);
        self.stock_ms += other.stock_ms;
        self.learned_ms += other.learned_ms;
        self.best_ms += other.best_ms;
        self.statements += other.statements;
        self.changed += other.changed;
        self.slow += other.slow;
    }

    fn ratio(&self) -> f64 {
        self.learned_ms / self.stock_ms
    }
}

/// Simulates and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let oracle = Oracle::read(&options.oracle)?;
    oracle.ratios_for(&options.workload.describe())?;
    let server = Server::with_extension(15)?;
    let cluster = options.workload.start(&server)?;
    let mut session = Session::open(&cluster, DATABASE, "SET ruvector.dag_mode = off")?;
    let mut planned = Vec::new();
    for (id, sql) in options.workload.statements()? {
        planned.extend(Planned::read(&mut session, &oracle, &id, &sql)?);
    }
    ensure!(planned.len() > 2, "the file of `oracle` has too few statements");
    let known = planned.iter().map(Planned::known);
    let (measured, all) = known.fold((0, 0), |sums, known| (sums.0 + known.0, sums.1 + known.1));
    println!(
        "{measured} of {all} plans of {} statements were measured",
        planned.len()
    );
    println!("{}", simulated(options, &planned));
    Ok(())
}

fn simulated(options: &Options, planned: &[Planned]) -> String {
    let (mut all, mut ratios) = (Sum::default(), Vec::new());
    for seed in 1..=options.splits {
        let of_split = of_split(options, planned, seed);
        ratios.push(of_split.ratio());
        all.add(&of_split);
    }
    let share = |count: usize| 100.0 * count as f64 / all.statements as f64;
    ratios.sort_by(f64::total_cmp);
    format!(
        "{} statements, {} splits; {}: {:.3} of stock at first sight (best plans {:.3}), splits from {:.3} to {:.3}; {:.1} % of \
         statements planned otherwise, {:.1} % over {FACTOR}x + {SLACK_MS} ms",
        planned.len(),
        options.splits,
        all.tried.describe(),
        all.ratio(),
        all.best_ms / all.stock_ms,
        ratios.first().unwrap_or(&f64::NAN),
        ratios.last().unwrap_or(&f64::NAN),
        share(all.changed),
        share(all.slow)
    )
}

/// Of so many statements.
fn learned_from(statements: usize) -> usize {
    statements - statements / 3
}

/// First sights of a third of the statements after trials of the others.
fn of_split(options: &Options, planned: &[Planned], seed: u64) -> Sum {
    let order = shuffled(planned.len(), seed);
    let (seen, unseen): (Vec<_>, Vec<_>) = order
        .iter()
        .enumerate()
        .partition(|(place, _)| *place < learned_from(planned.len()));
    let pick = |places: &[(usize, &usize)]| places.iter().map(|&(_, &at)| &planned[at]).collect::<Vec<_>>();
    let seen = pick(&seen);
    let limit = options
        .trials_per_statement
        .map_or(f64::INFINITY, |each| each * seen.len() as f64);
    let (timings, tried) = trials::run(&seen, limit as usize, seed);
    let times = OperatorTimes::fit(&timings).unwrap_or_default();
    let mut sum = Sum {
        tried,
        ..Sum::default()
    };
    for statement in pick(&unseen) {
        let plan = first_sight(options, statement, &times);
        let taken_ms = plan.ms().unwrap_or(CUT_OFF * statement.stock_ms);
        sum.add(&Sum {
            stock_ms: statement.stock_ms,
            learned_ms: taken_ms,
            best_ms: statement.best_ms(),
            statements: 1,
            changed: usize::from(plan.shape != statement.stock().shape),
            slow: usize::from(is_too_slow(taken_ms, statement.stock_ms)),
            ..Sum::default()
        });
    }
    sum
}

/// The plan that a statement never seen is given, as the extension chooses it.
fn first_sight<'p>(options: &Options, statement: &'p Planned, times: &OperatorTimes) -> &'p Plan {
    let stock = statement.stock();
    let possible = Possibilities {
        is_without_rows: true,
        may_have_workers: true,
        methods: stock.methods,
        ..Possibilities::default()
    };
    let mut fastest = FastestPredicted::of_stock(stock.costs, *times, options.confidence);
    let mut taken = stock;
    for hints in fastest.candidates(&possible) {
        if let Some(plan) = statement.under(hints)
            && plan.shape != stock.shape
            && fastest.takes(&plan.costs, plan.total_cost, stock.total_cost)
        {
            taken = plan;
        }
    }
    taken
}

//! Runs statements in two sessions of one database, stock and learned.

use super::first_sight::FirstSight;
use super::statement::{Phase, Statement};
use super::{Options, setting};
use crate::idle_trials::IdleTrials;
use crate::plan_shape;
use crate::session::{Outcome, Session, median};
use anyhow::Result;
use std::time::{Duration, Instant};
use testkit::Cluster;

/// Pairs of the last round: at least and at most, and the seconds after which no further one is begun.
const LAST_PAIRS: (usize, usize, f64) = (3, 9, 2.0);
/// What the worker may still have to write down.
const SETTLE: Duration = Duration::from_secs(2);
/// Executions of a statement at first sight, each beside one of stock: a session leaves a statement alone after three that taught nothing.
const FIRST_SIGHTS: usize = 3;

/// The two sessions and what happens between rounds.
pub(super) struct Runner<'o> {
    options: &'o Options,
    stock: Session,
    learned: Session,
    owner: Session,
    trials: Option<IdleTrials>,
}

impl<'o> Runner<'o> {
    /// Creates the extension in `database` and opens the sessions.
    pub(super) fn open(
        cluster: &Cluster<'_>,
        database: &str,
        options: &'o Options,
        commands: &[String],
    ) -> Result<Self> {
        let mut owner = Session::open(cluster, database, "CREATE EXTENSION ruvector_dag")?;
        let trials = match options.trials {
            Some(seconds) => {
                let session = Session::open(cluster, database, "")?;
                IdleTrials::switch_on(session, seconds)?
            }
            None => None,
        };
        for command in commands {
            owner.execute(command)?;
        }
        let (rewrites, first_sight) = (setting(&options.rewrites), setting(&options.first_sight));
        owner.execute(&format!("ALTER SYSTEM SET ruvector.dag_rewrite = {rewrites}"))?;
        owner.execute(&format!(
            "ALTER SYSTEM SET ruvector.dag_first_sight = {first_sight}"
        ))?;
        owner.execute("SELECT pg_reload_conf()")?;
        // Sessions opened from now on have what was changed by a reload.
        std::thread::sleep(Duration::from_millis(500));
        let limit = options.workload.limit();
        Ok(Self {
            options,
            stock: Session::open(
                cluster,
                database,
                &format!("{limit}; SET ruvector.dag_mode = off"),
            )?,
            learned: Session::open(cluster, database, &limit)?,
            owner,
            trials,
        })
    }

    /// Runs everything once, stock: fills the caches, finds what exceeds the limit, and what is bound by its output.
    pub(super) fn warm_up(&mut self, queries: Vec<(String, String)>) -> Result<Vec<Statement>> {
        let count = queries.len();
        let mut statements = Vec::new();
        for (position, (id, sql)) in queries.into_iter().enumerate() {
            let (took_ms, outcome) = self.stock.run(&sql)?;
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
                    if let Ok(plan) = self.stock.explain("ANALYZE, TIMING OFF", &statement.sql) {
                        let (top, all) = plan_shape::join_rows(&plan["Plan"]);
                        statement.output_bound = all > 0.0 && top / all > 0.5;
                    }
                }
            }
            statements.push(statement);
        }
        Ok(statements)
    }

    /// All rounds; returns the milliseconds of trials after each.
    pub(super) fn rounds(&mut self, statements: &mut [Statement]) -> Result<Vec<f64>> {
        let mut trials_ms = Vec::new();
        for round in 0..self.options.rounds {
            if self.options.drift == Some(round) {
                self.move_the_data(statements)?;
            }
            let is_last = round + 1 == self.options.rounds;
            let pairs = if is_last { LAST_PAIRS } else { (1, 1, 0.0) };
            for (position, statement) in statements.iter_mut().enumerate() {
                self.run_pairs(statement, pairs, (position + round) % 2 == 0)?;
            }
            let tried_ms = match &mut self.trials {
                Some(trials) if !is_last => trials.run()?,
                _ => 0.0,
            };
            trials_ms.push(tried_ms);
            say_round(round, statements, tried_ms);
        }
        Ok(trials_ms)
    }

    /// One round of a statement: pairs of executions, in turns stock first and learned first.
    fn run_pairs(
        &mut self,
        statement: &mut Statement,
        (least, most, seconds): (usize, usize, f64),
        stock_first: bool,
    ) -> Result<()> {
        if statement.is_cut_off {
            return Ok(());
        }
        let begun = Instant::now();
        let mut times = [Vec::new(), Vec::new()];
        while times[0].len() < least || (times[0].len() < most && begun.elapsed().as_secs_f64() < seconds) {
            let is_stock = stock_first == times[0].len().is_multiple_of(2);
            for is_stock in [is_stock, !is_stock] {
                let session = if is_stock {
                    &mut self.stock
                } else {
                    &mut self.learned
                };
                let (took_ms, outcome) = session.run(&statement.sql)?;
                statement.note(is_stock, took_ms, &outcome);
                times[usize::from(!is_stock)].push(took_ms);
            }
        }
        statement.stock_rounds_ms.push(median(&times[0]));
        statement.rounds_ms.push(median(&times[1]));
        Ok(())
    }

    /// Replaces a third of the rows and measures again what stock gives.
    fn move_the_data(&mut self, statements: &mut [Statement]) -> Result<()> {
        println!("replacing a third of the rows of every table");
        self.owner.execute("SET ruvector.dag_mode = off")?;
        for command in self.options.workload.drift() {
            self.owner.execute(&command)?;
        }
        for statement in statements {
            statement.phases.push(Phase::default());
            if statement.is_cut_off {
                continue;
            }
            let (took_ms, outcome) = self.stock.run(&statement.sql)?;
            println!(
                "statement {}: {took_ms:.0} ms{}",
                statement.id,
                cut_off_mark(&outcome)
            );
            statement.is_cut_off = outcome == Outcome::CutOff;
            statement.expected = Some(outcome);
        }
        Ok(())
    }

    /// Statements that were never run with what was learned. Nothing is learned from these executions, though rows are counted as for any
    /// statement that is new, so that each of several is a first one.
    pub(super) fn first_sight(
        &mut self,
        cluster: &Cluster<'_>,
        database: &str,
        statements: Vec<Statement>,
    ) -> Result<Vec<FirstSight>> {
        std::thread::sleep(SETTLE);
        let limit = self.options.workload.limit();
        let mut sights = Vec::new();
        for mut statement in statements {
            if statement.is_cut_off {
                continue;
            }
            let settings = format!("{limit}; SET ruvector.dag_min_duration = '1h'");
            let mut learned = Session::open(cluster, database, &settings)?;
            // Who is first would read what the other finds in memory, and a new session has its part of shared memory still to map.
            for session in [&mut self.stock, &mut learned] {
                session.execute("SET ruvector.dag_mode = off")?;
                session.run(&statement.sql)?;
            }
            learned.execute("RESET ruvector.dag_mode")?;
            let after = learned.explain("COSTS ON", &statement.sql)?;
            let before = self.stock.explain("COSTS ON", &statement.sql)?;
            let mut taken_ms = [Vec::new(), Vec::new()];
            for place in 0..2 * FIRST_SIGHTS {
                // Stock, learned, learned, stock and so on.
                let is_stock = matches!(place % 4, 0 | 3);
                let session = if is_stock { &mut self.stock } else { &mut learned };
                let (took_ms, outcome) = session.run(&statement.sql)?;
                statement.note(is_stock, took_ms, &outcome);
                taken_ms[usize::from(!is_stock)].push(took_ms);
            }
            let [stock_ms, learned_ms] = taken_ms.map(|ms| median(&ms));
            let change = plan_shape::change(&before, &after);
            sights.push(FirstSight::new(&statement, stock_ms, learned_ms, change));
        }
        Ok(sights)
    }

    /// Planning times and plans of what was run.
    pub(super) fn compare_plans(&mut self, statements: &mut [Statement]) -> Result<()> {
        println!("planning times and plans");
        for statement in statements {
            let mut planning = [Vec::new(), Vec::new()];
            let mut plans = [serde_json::Value::Null, serde_json::Value::Null];
            for _ in 0..3 {
                for (at, session) in [&mut self.stock, &mut self.learned].into_iter().enumerate() {
                    let explained = session.explain("SUMMARY", &statement.sql)?;
                    planning[at].push(explained["Planning Time"].as_f64().unwrap_or(0.0));
                    plans[at] = explained;
                }
            }
            statement.planning_ms = median(&planning[0]);
            statement.learned_planning_ms = median(&planning[1]);
            statement.plan_change = plan_shape::change(&plans[0], &plans[1]);
            statement.plan = plans[0]["Plan"].take();
        }
        Ok(())
    }
}

fn cut_off_mark(outcome: &Outcome) -> &'static str {
    if *outcome == Outcome::CutOff {
        ", cut off"
    } else {
        ""
    }
}

fn say_round(round: usize, statements: &[Statement], tried_ms: f64) {
    let sum = |times: &dyn Fn(&Statement) -> Option<f64>| statements.iter().filter_map(times).sum::<f64>();
    let (before, after) = (sum(&|s| s.stock_in(round)), sum(&|s| s.learned_in(round)));
    println!(
        "round {}: stock {before:.0} ms, learned {after:.0} ms, ratio {:.3}, trials afterwards {tried_ms:.0} ms",
        round + 1,
        after / before
    );
}

//! The report: `report.json`, whose keys all versions keep, and `report.md` and `report.svg` for people.

use super::adaptation::Adaptation;
use super::figure;
use super::first_sight::FirstSights;
use super::payback::{self, Point, Repetition};
use super::prediction::{Measured, Predictions};
use super::statement::{Phase, Statement};
use anyhow::Result;
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;

/// What a run measured.
pub(super) struct Run {
    pub(super) title: &'static str,
    pub(super) settings: serde_json::Value,
    pub(super) statements: Vec<Statement>,
    /// Milliseconds of trials after each round.
    pub(super) trials_ms: Vec<f64>,
    /// Rounds before the data moved.
    pub(super) drift: Option<usize>,
    /// Best hint set over stock, by statement.
    pub(super) oracle: Option<HashMap<String, f64>>,
    pub(super) first_sight: Option<FirstSights>,
}

/// Sums over the statements that finish within the limit.
#[derive(Debug, Serialize, Default)]
pub(crate) struct Total {
    pub(crate) stock_ms: f64,
    pub(super) best_ms: f64,
    pub(crate) last_ms: f64,
    pub(crate) steady_ms: f64,
    pub(super) oracle_ms: f64,
    pub(super) statements: usize,
}

/// What stayed slow after the fifth execution, on one state of the data.
#[derive(Debug, Serialize, Default)]
pub(super) struct Guarded {
    /// Statements with executions after the fifth.
    pub(super) checked: usize,
    pub(super) slow_median: Vec<String>,
    pub(super) slow_run: Vec<String>,
    /// The same of stock against itself.
    pub(super) noise_median: Vec<String>,
    pub(super) noise_run: Vec<String>,
}

/// The whole report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(skip)]
    pub(super) title: &'static str,
    pub(super) settings: serde_json::Value,
    pub(super) statements: Vec<Statement>,
    pub(crate) total: Total,
    pub(super) total_output_bound: Total,
    pub(super) total_plan_bound: Total,
    pub(super) rounds_total_ms: Vec<(f64, f64)>,
    pub(crate) regressions: Vec<String>,
    pub(super) steady_regressions: Vec<String>,
    pub(super) cut_off: Vec<String>,
    pub(super) predictions: Predictions,
    pub(super) curve: Vec<Point>,
    pub(crate) paid_back_after: Option<usize>,
    /// One per state of the data.
    pub(super) guard: Vec<Guarded>,
    /// Statements whose hint sets were measured; none without an oracle file.
    pub(super) oracle_statements: Option<usize>,
    pub(super) adaptation: Option<Adaptation>,
    pub(super) first_sight: Option<FirstSights>,
}

impl Report {
    pub(super) fn new(run: Run) -> Self {
        let mut statements = run.statements;
        let since = run.drift.unwrap_or(0);
        for statement in &mut statements {
            statement.summarize(since);
            let hinted = run.oracle.as_ref().and_then(|oracle| oracle.get(&statement.id));
            statement.set_oracle(hinted.copied());
        }
        let ids = |wanted: &dyn Fn(&Statement) -> bool| ids(&statements, wanted);
        let repetitions = repetitions(&statements, &run.trials_ms);
        let curve = payback::curve(&repetitions);
        let covered = |oracle: &HashMap<String, f64>| {
            let known = |statement: &&Statement| oracle.contains_key(&statement.id);
            statements.iter().filter(known).count()
        };
        Self {
            title: run.title,
            settings: run.settings,
            total: total(&statements, |_| true),
            total_output_bound: total(&statements, |statement| statement.output_bound),
            total_plan_bound: total(&statements, |statement| !statement.output_bound),
            rounds_total_ms: repetitions
                .iter()
                .map(|one| (one.stock_ms, one.learned_ms))
                .collect(),
            regressions: ids(&Statement::is_regression),
            steady_regressions: ids(&Statement::is_steady_regression),
            predictions: Predictions::of(&measured(&statements)),
            cut_off: ids(&|statement| statement.is_cut_off),
            paid_back_after: payback::paid_back_after(&curve),
            curve,
            guard: guarded(&statements),
            oracle_statements: run.oracle.as_ref().map(covered),
            adaptation: run
                .drift
                .and_then(|since| Some(Adaptation::of(repetitions.get(since..)?))),
            first_sight: run.first_sight,
            statements,
        }
    }

    pub(crate) fn all_results_same(&self) -> bool {
        let seen = self.statements.iter().all(|statement| statement.same_result);
        seen && self
            .first_sight
            .as_ref()
            .is_none_or(FirstSights::all_results_same)
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        crate::report::write(folder, "report", self, &self.markdown())?;
        std::fs::write(folder.join("report.svg"), self.figure())?;
        Ok(())
    }

    fn figure(&self) -> String {
        let bars = self.statements.iter().filter_map(|statement| {
            Some(figure::Bar {
                ratio: statement.ratio()?,
                oracle: statement.oracle_ms? / statement.stock_ms?,
            })
        });
        figure::draw(self.title, &self.curve, bars.collect())
    }
}

fn ids(statements: &[Statement], wanted: &dyn Fn(&Statement) -> bool) -> Vec<String> {
    statements
        .iter()
        .filter(|statement| wanted(statement))
        .map(|statement| statement.id.clone())
        .collect()
}

/// Sums of the statements that always finish, round by round.
fn repetitions(statements: &[Statement], trials_ms: &[f64]) -> Vec<Repetition> {
    let counted = || statements.iter().filter(|statement| !statement.is_cut_off);
    let rounds = counted()
        .map(|statement| statement.rounds_ms.len())
        .max()
        .unwrap_or(0);
    (0..rounds)
        .map(|round| Repetition {
            stock_ms: counted().filter_map(|statement| statement.stock_in(round)).sum(),
            learned_ms: counted()
                .filter_map(|statement| statement.learned_in(round))
                .sum(),
            trials_ms: trials_ms.get(round).copied().unwrap_or(0.0),
        })
        .collect()
}

fn guarded(statements: &[Statement]) -> Vec<Guarded> {
    let phases = statements.iter().map(|one| one.phases.len()).max().unwrap_or(0);
    let of_phase = |number: usize| {
        let wanted = |what: &dyn Fn(&Phase) -> bool| {
            ids(statements, &|one| {
                !one.is_cut_off && one.phases.get(number).is_some_and(what)
            })
        };
        let slow = |check: &Option<super::guard::Check>| {
            check.as_ref().map_or((false, false), |check| {
                (check.is_slower_in_the_median(), check.has_a_slow_run())
            })
        };
        Guarded {
            checked: wanted(&|phase| phase.guard.is_some()).len(),
            slow_median: wanted(&|phase| slow(&phase.guard).0),
            slow_run: wanted(&|phase| slow(&phase.guard).1),
            noise_median: wanted(&|phase| slow(&phase.guard_of_stock).0),
            noise_run: wanted(&|phase| slow(&phase.guard_of_stock).1),
        }
    };
    (0..phases).map(of_phase).collect()
}

/// The stock plans whose latency is known.
fn measured(statements: &[Statement]) -> Vec<Measured> {
    let known = statements.iter().filter_map(|statement| {
        Some(Measured {
            plan: statement.plan.clone(),
            latency_ms: statement.stock_ms?,
        })
    });
    known.collect()
}

fn total(statements: &[Statement], wanted: impl Fn(&Statement) -> bool) -> Total {
    let counted = || {
        statements
            .iter()
            .filter(|statement| statement.stock_ms.is_some() && wanted(statement))
    };
    // The sum of nothing would be -0.
    let sum = |value: &dyn Fn(&Statement) -> Option<f64>| counted().filter_map(value).sum::<f64>() + 0.0;
    Total {
        stock_ms: sum(&|statement| statement.stock_ms),
        best_ms: sum(&|statement| statement.best_ms),
        last_ms: sum(&|statement| statement.last_ms),
        steady_ms: sum(&|statement| statement.steady_ms),
        oracle_ms: sum(&|statement| statement.oracle_ms),
        statements: counted().count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(id: &str, stock: &[f64], learned: &[f64]) -> Statement {
        let mut statement = Statement::new(id.to_owned(), String::new());
        statement.stock_rounds_ms = stock.to_vec();
        statement.rounds_ms = learned.to_vec();
        statement.phases[0].stock_executions_ms = stock.to_vec();
        statement.phases[0].executions_ms = learned.to_vec();
        statement
    }

    fn report(statements: Vec<Statement>) -> Report {
        Report::new(Run {
            title: "STATS",
            settings: serde_json::json!({}),
            statements,
            trials_ms: vec![20.0, 0.0],
            drift: None,
            oracle: None,
            first_sight: None,
        })
    }

    #[test]
    fn the_report_keeps_its_shape() {
        let mut slow = Statement::new("3".to_owned(), String::new());
        slow.is_cut_off = true;
        let report = report(vec![
            measured("1", &[300.0, 100.0], &[110.0, 50.0]),
            measured("2", &[100.0, 100.0], &[90.0, 130.0]),
            slow,
        ]);
        let json = serde_json::to_value(&report).expect("plain data");
        assert_eq!(json["total"]["stock_ms"], 200.0);
        assert_eq!(json["total"]["best_ms"], 140.0);
        assert_eq!(json["total"]["last_ms"], 180.0);
        assert_eq!(json["regressions"], serde_json::json!(["2"]));
        assert_eq!(json["curve"][1]["trials_ms"], 20.0);
        assert_eq!(json["paid_back_after"], 1);
        for key in [
            "id",
            "stock_ms",
            "first_ms",
            "best_ms",
            "last_ms",
            "rounds_ms",
            "same_result",
            "planning_ms",
        ] {
            assert!(json["statements"][0].get(key).is_some(), "{key}");
        }
        assert!(json["statements"][0].get("learned_planning_ms").is_some());
        assert_eq!(json["statements"][2]["stock_ms"], serde_json::Value::Null);
    }

    #[test]
    fn what_stays_slow_is_listed_and_what_is_noise_beside_it() {
        let report = report(vec![
            measured("1", &[100.0; 8], &[150.0; 8]),
            measured(
                "2",
                &[100.0, 100.0, 100.0, 100.0, 100.0, 150.0, 150.0, 150.0],
                &[90.0; 8],
            ),
        ]);
        assert_eq!(report.guard[0].slow_median, ["1"]);
        assert_eq!(report.guard[0].slow_run, ["1"]);
        assert_eq!(report.guard[0].noise_run, ["2"]);
        assert!(
            report.markdown().contains("still slower"),
            "{}",
            report.markdown()
        );
    }
}

//! The report: `report.json`, whose shape all versions keep, and `report.md` for people.

use super::prediction::{Measured, Predictions};
use crate::session::{Outcome, median};
use anyhow::Result;
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;

/// A learned latency counts as a regression above this factor …
const FACTOR: f64 = 1.1;
/// … and this many milliseconds over stock.
const SLACK_MS: f64 = 10.0;

/// One statement's measurements. `stock_ms` and `last_ms` are those of the last round, whose executions alternate, so that
/// what slows the machine down for a while slows both.
#[derive(Debug, Serialize)]
pub(super) struct Statement {
    id: String,
    #[serde(skip)]
    pub(super) sql: String,
    #[serde(skip)]
    pub(super) expected: Option<Outcome>,
    stock_ms: Option<f64>,
    first_ms: Option<f64>,
    best_ms: Option<f64>,
    last_ms: Option<f64>,
    steady_ms: Option<f64>,
    pub(super) rounds_ms: Vec<f64>,
    pub(super) stock_rounds_ms: Vec<f64>,
    pub(super) same_result: bool,
    pub(super) planning_ms: f64,
    pub(super) learned_planning_ms: f64,
    pub(super) output_bound: bool,
    pub(super) is_cut_off: bool,
    pub(super) timeouts: usize,
    pub(super) plan_change: String,
    #[serde(skip)]
    pub(super) plan: serde_json::Value,
}

impl Statement {
    pub(super) fn new(id: String, sql: String) -> Self {
        Self {
            id,
            sql,
            expected: None,
            stock_ms: None,
            first_ms: None,
            best_ms: None,
            last_ms: None,
            steady_ms: None,
            rounds_ms: Vec::new(),
            stock_rounds_ms: Vec::new(),
            same_result: true,
            planning_ms: 0.0,
            learned_planning_ms: 0.0,
            output_bound: false,
            is_cut_off: false,
            timeouts: 0,
            plan_change: String::new(),
            plan: serde_json::Value::Null,
        }
    }

    /// Stock latency in a round.
    pub(super) fn stock_in(&self, round: usize) -> Option<f64> {
        self.stock_rounds_ms.get(round).copied()
    }

    /// Learned latency in a round.
    pub(super) fn learned_in(&self, round: usize) -> Option<f64> {
        self.rounds_ms.get(round).copied()
    }

    fn summarize(&mut self) {
        if self.is_cut_off || self.rounds_ms.is_empty() {
            return;
        }
        self.stock_ms = self.stock_rounds_ms.last().copied();
        self.first_ms = self.rounds_ms.first().copied();
        self.best_ms = self.rounds_ms.iter().copied().min_by(f64::total_cmp);
        self.last_ms = self.rounds_ms.last().copied();
        let ratios: Vec<f64> = self
            .stock_rounds_ms
            .iter()
            .zip(&self.rounds_ms)
            .rev()
            .take(3)
            .map(|(stock, learned)| learned / stock)
            .collect();
        self.steady_ms = self.stock_ms.map(|stock_ms| stock_ms * median(&ratios));
    }

    fn is_regression(&self) -> bool {
        matches!((self.stock_ms, self.last_ms), (Some(stock), Some(last)) if last > FACTOR * stock + SLACK_MS)
    }

    fn is_steady_regression(&self) -> bool {
        matches!((self.stock_ms, self.steady_ms), (Some(stock), Some(last)) if last > FACTOR * stock + SLACK_MS)
    }
}

/// Sums over the statements that finish within the limit.
#[derive(Debug, Serialize, Default)]
struct Total {
    stock_ms: f64,
    best_ms: f64,
    last_ms: f64,
    steady_ms: f64,
    statements: usize,
}

/// The whole report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    settings: serde_json::Value,
    statements: Vec<Statement>,
    total: Total,
    total_output_bound: Total,
    total_plan_bound: Total,
    rounds_total_ms: Vec<(f64, f64)>,
    regressions: Vec<String>,
    steady_regressions: Vec<String>,
    cut_off: Vec<String>,
    predictions: Predictions,
}

impl Report {
    pub(super) fn new(settings: serde_json::Value, mut statements: Vec<Statement>) -> Self {
        statements.iter_mut().for_each(Statement::summarize);
        let ids = |wanted: &dyn Fn(&Statement) -> bool| {
            statements
                .iter()
                .filter(|statement| wanted(statement))
                .map(|statement| statement.id.clone())
                .collect()
        };
        let rounds = statements
            .iter()
            .map(|statement| statement.rounds_ms.len())
            .max()
            .unwrap_or(0);
        let in_round = |round| {
            let counted = || statements.iter().filter(|statement| !statement.is_cut_off);
            let stock = counted().filter_map(|statement| statement.stock_in(round)).sum();
            let learned = counted()
                .filter_map(|statement| statement.learned_in(round))
                .sum();
            (stock, learned)
        };
        Self {
            settings,
            total: total(&statements, |_| true),
            total_output_bound: total(&statements, |statement| statement.output_bound),
            total_plan_bound: total(&statements, |statement| !statement.output_bound),
            rounds_total_ms: (0..rounds).map(in_round).collect(),
            regressions: ids(&Statement::is_regression),
            steady_regressions: ids(&Statement::is_steady_regression),
            predictions: Predictions::of(&measured(&statements)),
            cut_off: ids(&|statement| statement.is_cut_off),
            statements,
        }
    }

    pub(super) fn all_results_same(&self) -> bool {
        self.statements.iter().all(|statement| statement.same_result)
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("report.json"), serde_json::to_string_pretty(self)?)?;
        std::fs::write(folder.join("report.md"), self.markdown())?;
        Ok(())
    }

    /// The totals.
    pub(super) fn summary(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "| statements | count | stock ms | last ms | last / stock | steady / stock | best / stock |"
        );
        let _ = writeln!(text, "|---|---|---|---|---|---|---|");
        let groups = [
            ("all", &self.total),
            ("bound by their output", &self.total_output_bound),
            ("others", &self.total_plan_bound),
        ];
        for (name, total) in groups {
            let share = |part: f64| {
                if total.stock_ms > 0.0 {
                    part / total.stock_ms
                } else {
                    0.0
                }
            };
            let _ = writeln!(
                text,
                "| {name} | {} | {:.0} | {:.0} | {:.3} | {:.3} | {:.3} |",
                total.statements,
                total.stock_ms,
                total.last_ms,
                share(total.last_ms),
                share(total.steady_ms),
                share(total.best_ms)
            );
        }
        let list = |ids: &[String]| {
            if ids.is_empty() {
                "none".to_owned()
            } else {
                ids.join(", ")
            }
        };
        let _ = writeln!(
            text,
            "\nRegressions in the last round (over {FACTOR}x + {SLACK_MS} ms): {}",
            list(&self.regressions)
        );
        let _ = writeln!(
            text,
            "Regressions by the median ratio of the last three rounds: {}",
            list(&self.steady_regressions)
        );
        let _ = writeln!(
            text,
            "Cut off when run stock, left out of the totals: {}",
            list(&self.cut_off)
        );
        let _ = writeln!(
            text,
            "All results identical: {}",
            if self.all_results_same() { "yes" } else { "NO" }
        );
        text
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "# STATS, three tables reconstructed\n\nSettings: `{}`\n\n{}\n",
            self.settings,
            self.summary()
        );
        text += &self.predictions.markdown();
        let _ = writeln!(
            text,
            "\n| round | stock ms | learned ms | ratio |\n|---|---|---|---|"
        );
        for (round, (stock, learned)) in self.rounds_total_ms.iter().enumerate() {
            let _ = writeln!(
                text,
                "| {} | {stock:.0} | {learned:.0} | {:.3} |",
                round + 1,
                learned / stock
            );
        }
        let _ = writeln!(
            text,
            "\n| id | stock ms | first | best | last | last / stock | planning ms | learned | plan |"
        );
        let _ = writeln!(text, "|---|---|---|---|---|---|---|---|---|");
        for statement in self.statements.iter().filter(|statement| !statement.is_cut_off) {
            let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.1}"));
            let ratio = statement.last_ms.unwrap_or(0.0) / statement.stock_ms.unwrap_or(1.0);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {ratio:.2} | {:.2} | {:.2} | {} |",
                statement.id,
                number(statement.stock_ms),
                number(statement.first_ms),
                number(statement.best_ms),
                number(statement.last_ms),
                statement.planning_ms,
                statement.learned_planning_ms,
                statement.plan_change
            );
        }
        text
    }
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
    let sum = |value: &dyn Fn(&Statement) -> Option<f64>| counted().filter_map(value).sum();
    Total {
        stock_ms: sum(&|statement| statement.stock_ms),
        best_ms: sum(&|statement| statement.best_ms),
        last_ms: sum(&|statement| statement.last_ms),
        steady_ms: sum(&|statement| statement.steady_ms),
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
        statement
    }

    #[test]
    fn the_report_keeps_its_shape() {
        let mut slow = Statement::new("3".to_owned(), String::new());
        slow.is_cut_off = true;
        let statements = vec![
            measured("1", &[300.0, 100.0], &[110.0, 50.0]),
            measured("2", &[100.0, 100.0], &[90.0, 130.0]),
            slow,
        ];
        let report = Report::new(serde_json::json!({}), statements);
        let json = serde_json::to_value(&report).expect("plain data");
        assert_eq!(json["total"]["stock_ms"], 200.0);
        assert_eq!(json["total"]["best_ms"], 140.0);
        assert_eq!(json["total"]["last_ms"], 180.0);
        assert_eq!(json["regressions"], serde_json::json!(["2"]));
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
}

//! The measurements of one statement.

use super::guard::Check;
use super::is_slower;
use crate::session::{Outcome, median};
use serde::Serialize;

/// One statement's measurements. `stock_ms` and `last_ms` are those of the last round, whose executions alternate, so that
/// what slows the machine down for a while slows both.
#[derive(Debug, Serialize)]
pub(super) struct Statement {
    pub(super) id: String,
    #[serde(skip)]
    pub(super) sql: String,
    #[serde(skip)]
    pub(super) expected: Option<Outcome>,
    pub(super) stock_ms: Option<f64>,
    pub(super) first_ms: Option<f64>,
    pub(super) best_ms: Option<f64>,
    pub(super) last_ms: Option<f64>,
    pub(super) steady_ms: Option<f64>,
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
    /// The fastest plan known: of the hint sets, and of this run.
    pub(super) oracle_ms: Option<f64>,
    pub(super) phases: Vec<Phase>,
}

/// All executions on one state of the data.
#[derive(Debug, Serialize, Default)]
pub(super) struct Phase {
    pub(super) stock_executions_ms: Vec<f64>,
    pub(super) executions_ms: Vec<f64>,
    pub(super) guard: Option<Check>,
    /// Stock against itself: what the machine's noise alone looks like.
    pub(super) guard_of_stock: Option<Check>,
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
            oracle_ms: None,
            phases: vec![Phase::default()],
        }
    }

    /// Notes an execution.
    pub(super) fn note(&mut self, is_stock: bool, took_ms: f64, outcome: &Outcome) {
        let is_cut_off = *outcome == Outcome::CutOff;
        self.same_result &= is_cut_off || Some(outcome) == self.expected.as_ref();
        if is_stock {
            self.is_cut_off |= is_cut_off;
        } else {
            self.timeouts += usize::from(is_cut_off);
        }
        if let Some(phase) = self.phases.last_mut() {
            let executions = if is_stock {
                &mut phase.stock_executions_ms
            } else {
                &mut phase.executions_ms
            };
            executions.push(took_ms);
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

    /// What the rounds say together; `since` is the first round on the data of today.
    pub(super) fn summarize(&mut self, since: usize) {
        for phase in &mut self.phases {
            phase.guard = Check::of(&phase.stock_executions_ms, &phase.executions_ms);
            phase.guard_of_stock = Check::of(&phase.stock_executions_ms, &phase.stock_executions_ms);
        }
        let (Some(stock), Some(learned)) = (self.stock_rounds_ms.get(since..), self.rounds_ms.get(since..))
        else {
            return;
        };
        if self.is_cut_off || learned.is_empty() {
            return;
        }
        self.stock_ms = stock.last().copied();
        self.first_ms = learned.first().copied();
        self.best_ms = learned.iter().copied().min_by(f64::total_cmp);
        self.last_ms = learned.last().copied();
        let pairs = stock.iter().zip(learned).rev().take(3);
        let ratios: Vec<f64> = pairs.map(|(stock, learned)| learned / stock).collect();
        self.steady_ms = self.stock_ms.map(|stock_ms| stock_ms * median(&ratios));
    }

    /// The best of what is known, once it is; `ratio` is that of the hint sets to stock in their own run.
    pub(super) fn set_oracle(&mut self, ratio: Option<f64>) {
        let of_hints = self.stock_ms.zip(ratio).map(|(stock, ratio)| stock * ratio);
        let known = [self.stock_ms, self.best_ms, self.last_ms, of_hints];
        self.oracle_ms = self
            .stock_ms
            .and_then(|_| known.into_iter().flatten().min_by(f64::total_cmp));
    }

    pub(super) fn ratio(&self) -> Option<f64> {
        Some(self.last_ms? / self.stock_ms?)
    }

    pub(super) fn is_regression(&self) -> bool {
        matches!((self.stock_ms, self.last_ms), (Some(stock), Some(last)) if is_slower(last, stock))
    }

    pub(super) fn is_steady_regression(&self) -> bool {
        matches!((self.stock_ms, self.steady_ms), (Some(stock), Some(last)) if is_slower(last, stock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oracle_is_the_least_of_what_is_known_at_this_runs_speed() {
        let mut statement = Statement::new("1".to_owned(), String::new());
        statement.stock_rounds_ms = vec![210.0, 200.0];
        statement.rounds_ms = vec![150.0, 160.0];
        statement.summarize(0);
        statement.set_oracle(Some(0.9));
        assert_eq!(statement.oracle_ms, Some(150.0));
        statement.set_oracle(Some(0.5));
        assert_eq!(statement.oracle_ms, Some(100.0));
    }

    #[test]
    fn rounds_before_the_data_moved_do_not_count() {
        let mut statement = Statement::new("1".to_owned(), String::new());
        statement.stock_rounds_ms = vec![100.0, 100.0, 300.0, 320.0];
        statement.rounds_ms = vec![10.0, 10.0, 200.0, 160.0];
        statement.summarize(2);
        assert_eq!(
            (statement.first_ms, statement.best_ms, statement.stock_ms),
            (Some(200.0), Some(160.0), Some(320.0))
        );
    }
}

//! Statements seen for the first time after learning from others.

use super::split::Split;
use super::statement::Statement;
use crate::plan_shape;
use crate::workload::template_of;
use serde::Serialize;
use std::fmt::Write;

/// A first execution is too slow above this factor …
pub(crate) const FACTOR: f64 = 1.2;
/// … and this many milliseconds over stock.
pub(crate) const SLACK_MS: f64 = 20.0;

/// Whether a first execution is too slow.
pub(crate) fn is_too_slow(learned_ms: f64, stock_ms: f64) -> bool {
    learned_ms > FACTOR * stock_ms + SLACK_MS
}

/// One statement, run with what others taught.
#[derive(Debug, Serialize)]
pub(super) struct FirstSight {
    id: String,
    fold: usize,
    template: String,
    /// Medians of several.
    stock_ms: f64,
    learned_ms: f64,
    is_cut_off: bool,
    same_result: bool,
    plan_change: String,
}

impl FirstSight {
    pub(super) fn new(statement: &Statement, stock_ms: f64, learned_ms: f64, plan_change: String) -> Self {
        Self {
            id: statement.id.clone(),
            fold: 0,
            template: template_of(&statement.sql),
            stock_ms,
            learned_ms,
            is_cut_off: statement.timeouts > 0,
            same_result: statement.same_result,
            plan_change,
        }
    }

    fn ratio(&self) -> f64 {
        self.learned_ms / self.stock_ms
    }

    fn is_too_slow(&self) -> bool {
        is_too_slow(self.learned_ms, self.stock_ms)
    }
}

/// All of them.
#[derive(Debug, Serialize)]
pub(super) struct FirstSights {
    split: String,
    templates: usize,
    folds: usize,
    stock_ms: f64,
    learned_ms: f64,
    worst_ratio: f64,
    too_slow: Vec<String>,
    statements: Vec<FirstSight>,
}

impl FirstSights {
    pub(super) fn new(split: Split, templates: usize, folds: usize) -> Self {
        Self {
            split: split.to_string(),
            templates,
            folds,
            stock_ms: 0.0,
            learned_ms: 0.0,
            worst_ratio: 0.0,
            too_slow: Vec::new(),
            statements: Vec::new(),
        }
    }

    /// Adds those of a fold.
    pub(super) fn add(&mut self, fold: usize, sights: Vec<FirstSight>) {
        for mut sight in sights {
            sight.fold = fold;
            self.stock_ms += sight.stock_ms;
            self.learned_ms += sight.learned_ms;
            self.worst_ratio = self.worst_ratio.max(sight.ratio());
            if sight.is_too_slow() {
                self.too_slow.push(sight.id.clone());
            }
            self.statements.push(sight);
        }
    }

    pub(super) fn all_results_same(&self) -> bool {
        self.statements.iter().all(|sight| sight.same_result)
    }

    pub(super) fn summary(&self) -> String {
        let mut text = format!(
            "First sight ({}; {} templates, {} folds): {} statements, stock {:.0} ms, learned {:.0} ms, ratio {:.3}, worst {:.2}; \
             over {FACTOR}x + {SLACK_MS} ms: {}",
            self.split,
            self.templates,
            self.folds,
            self.statements.len(),
            self.stock_ms,
            self.learned_ms,
            self.learned_ms / self.stock_ms,
            self.worst_ratio,
            super::markdown::list(&self.too_slow)
        );
        let ids = |wanted: &dyn Fn(&FirstSight) -> bool| {
            let found = self.statements.iter().filter(|sight| wanted(sight));
            found.map(|sight| sight.id.clone()).collect::<Vec<_>>()
        };
        let same_plan = ids(&|sight| sight.is_too_slow() && sight.plan_change == plan_shape::SAME);
        if !same_plan.is_empty() {
            let _ = write!(text, "; of these with stock's plan: {}", same_plan.join(", "));
        }
        let cut_off = ids(&|sight| sight.is_cut_off);
        if !cut_off.is_empty() {
            let _ = write!(text, "; cut off, so in truth slower: {}", cut_off.join(", "));
        }
        text
    }

    pub(super) fn table(&self) -> String {
        let mut text =
            "| first sight of | fold | stock ms | learned ms | ratio | plan |\n|---|---|---|---|---|---|\n"
                .to_owned();
        for sight in &self.statements {
            let _ = writeln!(
                text,
                "| {} | {} | {:.1} | {:.1} | {:.2} | {} |",
                sight.id,
                sight.fold,
                sight.stock_ms,
                sight.learned_ms,
                sight.ratio(),
                sight.plan_change
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_slow_at_first_sight_is_listed() {
        let sight = |id: &str, stock_ms, learned_ms| {
            FirstSight::new(
                &Statement::new(id.to_owned(), String::new()),
                stock_ms,
                learned_ms,
                String::new(),
            )
        };
        let mut sights = FirstSights::new(Split::Thirds { seed: 1 }, 2, 1);
        sights.add(
            1,
            vec![
                sight("1", 100.0, 141.0),
                sight("2", 100.0, 139.0),
                sight("3", 300.0, 20.0),
            ],
        );
        assert_eq!(sights.too_slow, ["1"]);
        assert_eq!(sights.worst_ratio, 1.41);
        assert!(sights.summary().contains("ratio 0.600"), "{}", sights.summary());
    }
}

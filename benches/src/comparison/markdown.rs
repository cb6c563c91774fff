//! The report as text.

use super::report::{Report, Total};
use super::{FACTOR, SLACK_MS};
use std::fmt::Write;

/// Ids, or that there are none.
pub(super) fn list(ids: &[String]) -> String {
    if ids.is_empty() {
        "none".to_owned()
    } else {
        ids.join(", ")
    }
}

impl Report {
    /// The totals and what is to be known at once.
    pub(crate) fn summary(&self) -> String {
        let mut text = self.totals();
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
        text += &self.guarded();
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
        let _ = match self.paid_back_after {
            Some(repetition) => writeln!(
                text,
                "Learning, trials included, paid back after {repetition} of {} repetitions",
                self.curve.len()
            ),
            None => writeln!(
                text,
                "Learning not paid back within the {} repetitions of this run",
                self.curve.len()
            ),
        };
        if let Some(sights) = &self.first_sight {
            let _ = writeln!(text, "{}", sights.summary());
        }
        if let Some(adaptation) = &self.adaptation {
            let relative: Vec<String> = adaptation
                .relative
                .iter()
                .map(|one| format!("{one:.2}"))
                .collect();
            let _ = writeln!(
                text,
                "After a third of the rows was replaced, learned / stock over the same in the last three rounds: {}; back under 1.1 \
                 {}{}",
                relative.join(", "),
                adaptation
                    .back_after
                    .map_or("not within the run".to_owned(), |number| format!(
                        "from repetition {number} on"
                    )),
                if adaptation.is_long_enough {
                    ""
                } else {
                    " (too few rounds to tell: the last three are among the first)"
                }
            );
        }
        text
    }

    fn totals(&self) -> String {
        let mut text = "| statements | count | stock ms | last ms | last / stock | steady / stock | best / stock | oracle / stock | \
             last / oracle |\n|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
        let groups = [
            ("all", &self.total),
            ("bound by their output", &self.total_output_bound),
            ("others", &self.total_plan_bound),
        ];
        for (name, total) in groups {
            let Total {
                stock_ms, last_ms, ..
            } = total;
            let share = |part: f64, of: f64| if of > 0.0 { part / of } else { 0.0 };
            let _ = writeln!(
                text,
                "| {name} | {} | {stock_ms:.0} | {last_ms:.0} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} |",
                total.statements,
                share(*last_ms, *stock_ms),
                share(total.steady_ms, *stock_ms),
                share(total.best_ms, *stock_ms),
                share(total.oracle_ms, *stock_ms),
                share(*last_ms, total.oracle_ms)
            );
        }
        let _ = match self.oracle_statements {
            Some(known) => writeln!(
                text,
                "\nOracle: the least of the best hint set of the oracle file ({known} of {} statements) and the best round of this run",
                self.statements.len()
            ),
            None => writeln!(text, "\nOracle: the best round of this run alone, no oracle file"),
        };
        if let Some(noise) = self.noise() {
            let _ = writeln!(
                text,
                "Noise: by the best rounds of this run as its oracle, stock's own last round takes {noise:.3}"
            );
        }
        text
    }

    /// The last round of stock over the best round of each statement; nothing where the data changed between.
    fn noise(&self) -> Option<f64> {
        let (mut last, mut best) = (0.0, 0.0);
        for statement in self.statements.iter().filter(|_| self.adaptation.is_none()) {
            let rounds_ms = &statement.stock_rounds_ms;
            if let Some(last_ms) = rounds_ms.last().filter(|_| !statement.is_cut_off) {
                last += last_ms;
                best += rounds_ms.iter().fold(*last_ms, |best, &ms| f64::min(best, ms));
            }
        }
        (best > 0.0).then(|| last / best)
    }

    /// What was slow after its fifth execution.
    fn guarded(&self) -> String {
        let mut text = String::new();
        for (phase, guarded) in self.guard.iter().enumerate() {
            let when = if phase == 0 { "" } else { " after the data moved" };
            let _ = writeln!(
                text,
                "After the fifth execution{when}, of {} statements with more: still slower in the median: {}; at least three times in \
                 a row: {}; stock against its own median: {}; {}",
                guarded.checked,
                list(&guarded.slow_median),
                list(&guarded.slow_run),
                list(&guarded.noise_median),
                list(&guarded.noise_run)
            );
        }
        text
    }

    /// All of it.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!(
            "# {}\n\nSettings: `{}`\n\n{}\n",
            self.title,
            self.settings,
            self.summary()
        );
        text += &self.repetitions();
        text += &self.slow_executions();
        text += &self.by_statement();
        if let Some(sights) = &self.first_sight {
            let _ = writeln!(text, "\n{}", sights.table());
        }
        let _ = writeln!(text, "\n{}", self.predictions.markdown());
        text
    }

    fn repetitions(&self) -> String {
        let mut text = "| round | stock ms | learned ms | ratio | stock ms so far | learned and trials so far | of that trials | ratio |\n\
                        |---|---|---|---|---|---|---|---|\n"
            .to_owned();
        for (point, (stock, learned)) in self.curve.iter().zip(&self.rounds_total_ms) {
            let _ = writeln!(
                text,
                "| {} | {stock:.0} | {learned:.0} | {:.3} | {:.0} | {:.0} | {:.0} | {:.3} |",
                point.repetition,
                learned / stock,
                point.stock_ms,
                point.spent_ms(),
                point.trials_ms,
                point.ratio
            );
        }
        text + "\nThe last round counts once, by its medians. An execution that was cut off counts with the time it got.\n"
    }

    fn slow_executions(&self) -> String {
        let mut text = String::new();
        for statement in &self.statements {
            for (phase, check) in statement.phases.iter().enumerate() {
                let Some(check) = check.guard.as_ref().filter(|check| !check.slow.is_empty()) else {
                    continue;
                };
                let numbers: Vec<String> = check.slow.iter().map(usize::to_string).collect();
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {:.1} | {:.1} | {} | {} |",
                    statement.id,
                    phase + 1,
                    check.executions,
                    check.baseline_ms,
                    check.later_median_ms,
                    check.longest_slow_run,
                    numbers.join(" ")
                );
            }
        }
        if text.is_empty() {
            return "\nNo execution after a fifth was slower than its baseline by more than that.\n"
                .to_owned();
        }
        format!(
            "\nSlow after the fifth execution\n\n| id | state of the data | executions | baseline ms | median after the fifth | most in a \
             row | numbers |\n|---|---|---|---|---|---|---|\n{text}"
        )
    }

    fn by_statement(&self) -> String {
        let mut text = "\n| id | stock ms | first | best | last | oracle | last / stock | cut off | planning ms | learned | plan |\n\
                        |---|---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
        for statement in self.statements.iter().filter(|statement| !statement.is_cut_off) {
            let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.1}"));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {:.2} | {} | {:.2} | {:.2} | {} |",
                statement.id,
                number(statement.stock_ms),
                number(statement.first_ms),
                number(statement.best_ms),
                number(statement.last_ms),
                number(statement.oracle_ms),
                statement.ratio().unwrap_or(0.0),
                statement.timeouts,
                statement.planning_ms,
                statement.learned_planning_ms,
                statement.plan_change
            );
        }
        text
    }
}

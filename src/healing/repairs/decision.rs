//! A statement class tries its plans again when its executions became slower, or are about to: what was measured of those that are not
//! used is of data, or of a machine, that is no more. The plan in use stays until another one is measured faster: whether it still
//! is better than stock's is watched with each execution (`engine::decision`), on a busy server, too.

use super::Ground;
use crate::healing::anomalies::{Suspect, is_repaired};
use crate::healing::series::{Class, Execution};
use crate::pg::{catalog, transaction_end};
use crate::settings;
use crate::shmem::statements;
use engine::decision::StatementEvidence;
use engine::healing::{Finding, Forecast, RepairStrategy, crossing};

/// Anomalous executions in a row that are no accident.
const IN_A_ROW: usize = 3;
/// How many healing intervals are looked ahead.
const AHEAD: f64 = 12.0;
/// Latencies of which the variance is taken.
const VARIANCE_OF: usize = 8;
/// The standard deviation of a latency's logarithm at which one says little about the next: a factor of 1.5.
const MOST_DEVIATION: f64 = 0.405_465_108_108_164;

pub(super) struct PlansAgain {
    class: Class,
    /// Why; none when nothing says that it should be.
    issue: Option<String>,
    is_forecast: bool,
}

impl PlansAgain {
    pub(super) fn because_slower(suspect: &Suspect) -> Self {
        let issue = (suspect.executions >= IN_A_ROW).then(|| {
            format!(
                "the last {} executions were slower than usual: {:.3} ms against {:.3} ms",
                suspect.executions, suspect.latest_ms, suspect.usual_ms
            )
        });
        Self::new(suspect.of, issue, false)
    }

    pub(super) fn because_expected(class: Class, executions: &[Execution]) -> Self {
        Self::new(class, forecast(executions), true)
    }

    fn new(class: Class, issue: Option<String>, is_forecast: bool) -> Self {
        Self {
            class,
            issue,
            is_forecast,
        }
    }

    /// What is known of the class, if that may be put aside: what its owner pinned stays.
    fn evidence(&self) -> Option<StatementEvidence> {
        let known = statements::get(self.class.class as u64)?;
        let may_change = known.database == catalog::database() && known.evidence.pinned == 0;
        Some(known.evidence).filter(|evidence| may_change && evidence.plans().next().is_some())
    }
}

impl RepairStrategy<Ground> for PlansAgain {
    /// What was known.
    type Plan = StatementEvidence;
    type Error = String;

    fn kind(&self) -> &'static str {
        "decision"
    }

    fn detect(&self, _: &Ground) -> Result<Option<Finding>, String> {
        let had_its_repair = || is_repaired(self.class.class).map_err(|error| error.to_string());
        let Some(issue) = self.issue.clone().filter(|_| self.evidence().is_some()) else {
            return Ok(None);
        };
        if !self.is_forecast && had_its_repair()? {
            return Ok(None);
        }
        Ok(Some(Finding {
            target: format!("queryid {}", self.class.queryid),
            issue,
        }))
    }

    fn diagnose(&self, _: &Ground, _: &Finding) -> Result<String, String> {
        let evidence = self.evidence().ok_or("the class is forgotten")?;
        let choice = evidence.choose();
        Ok(format!(
            "its other plans were measured before; in use is {}: {}",
            choice.decision.describe(),
            choice.reason.text()
        ))
    }

    fn plan(&self, _: &Ground, _: &Finding) -> Result<StatementEvidence, String> {
        self.evidence().ok_or_else(|| "the class is forgotten".to_owned())
    }

    fn apply(&self, _: &mut Ground, before: &StatementEvidence) -> Result<(), String> {
        let class = self.class.class as u64;
        statements::review(class, StatementEvidence::try_again);
        let before = *before;
        transaction_end::call(Box::new(move |is_committed| {
            if !is_committed {
                put_back(class, &before);
            }
        }));
        Ok(())
    }

    /// The plan in use is still the same.
    fn verify(&self, _: &Ground, before: &StatementEvidence) -> Result<bool, String> {
        let evidence = statements::evidence(self.class.class as u64);
        Ok(evidence.is_some_and(|evidence| evidence.settled().decision == before.settled().decision))
    }

    fn roll_back(&self, _: &mut Ground, before: &StatementEvidence) -> Result<(), String> {
        put_back(self.class.class as u64, before);
        Ok(())
    }
}

/// Puts back what was known, unless it ran meanwhile: what it taught then is true.
fn put_back(class: u64, before: &StatementEvidence) {
    statements::review(class, |evidence| {
        if evidence.calls == before.calls {
            *evidence = *before;
        }
    });
}

/// Why a class is expected to get slow: its plan's tension, or the variance of its latency, rises towards where it matters.
pub(super) fn forecast(executions: &[Execution]) -> Option<String> {
    let interval = settings::healing_interval()?;
    let horizon = AHEAD * interval.as_secs_f64();
    let tensions: Vec<(f64, f64)> = executions
        .iter()
        .filter_map(|execution| Some((execution.seconds(), execution.tension?)))
        .collect();
    let told = |what: &str, forecast: Forecast, threshold: f64| {
        // What is there already can't be prevented.
        (forecast.in_seconds > 0.0).then(|| {
            format!(
                "{what} of {:.3} is expected to reach {threshold:.3} in {:.0} seconds",
                forecast.level, forecast.in_seconds
            )
        })
    };
    let threshold = Some(settings::tension_threshold()).filter(|threshold| threshold.is_finite());
    let by_tension = threshold.and_then(|threshold| {
        let forecast = crossing(&tensions, threshold, horizon)?;
        told("a tension", forecast, threshold)
    });
    by_tension.or_else(|| {
        let threshold = MOST_DEVIATION * MOST_DEVIATION;
        let forecast = crossing(&variances(executions), threshold, horizon)?;
        told("a variance of the logarithm of latencies", forecast, threshold)
    })
}

/// The variance of the logarithms of so many latencies up to each execution. Each latency counts in one of them, so that a
/// single wild one is not seen as a rise.
fn variances(executions: &[Execution]) -> Vec<(f64, f64)> {
    let of = |group: &[Execution]| {
        let last = group.last()?;
        let count = group.len() as f64;
        let logarithms = || group.iter().map(|execution| execution.execution_ms.ln());
        let mean = logarithms().sum::<f64>() / count;
        let squares: f64 = logarithms().map(|logarithm| (logarithm - mean).powi(2)).sum();
        Some((last.seconds(), squares / (count - 1.0)))
    };
    executions
        .rchunks_exact(VARIANCE_OF)
        .rev()
        .filter_map(of)
        .collect()
}

//! Repairs: one strategy per kind, each run by the engine in its order, each leaving what it did not mend as it was.

mod clusters;
mod decision;
mod pattern_quality;
mod queue;
mod statistics;

pub(super) use queue::{ask_for, close, tidy, waiting, was_tried_lately};
pub(super) use statistics::of_caller;

use super::anomalies::Suspect;
use super::series::{Class, Execution};
use crate::pg::catalog;
use crate::pg::subtransaction::{Subtransaction, attempt};
use clusters::Clusters;
use decision::PlansAgain;
use engine::healing::{RepairOutcome, RepairReport, RepairStrategy, repair};
use pattern_quality::PatternQuality;
use std::time::Instant;

/// What a repair changes: the database, in a subtransaction of its own from the first change until it is verified.
#[derive(Debug, Default)]
pub(super) struct Ground {
    changes: Option<Subtransaction>,
}

impl Ground {
    /// Changes something; an error is answered as its message, and what was changed has to be undone.
    fn change<R>(&mut self, work: impl FnOnce() -> R) -> Result<R, String> {
        self.changes = Some(Subtransaction::begin());
        attempt(work)
    }

    fn undo(&mut self) {
        self.changes
            .take()
            .into_iter()
            .for_each(Subtransaction::roll_back);
    }

    fn keep(&mut self) {
        self.changes.take().into_iter().for_each(Subtransaction::commit);
    }
}

/// A repair that was made, or tried.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Done {
    /// Its row in `dag_repairs`; 0 before it has one.
    pub(crate) id: i64,
    pub(crate) kind: &'static str,
    pub(crate) target: String,
    pub(crate) status: &'static str,
    pub(crate) reason: String,
    pub(crate) took_ms: f64,
    /// Of which statement.
    class: Option<i64>,
    /// Who runs that, or owns what was repaired.
    user: Option<u32>,
    began_at: i64,
}

impl Done {
    /// Whether there was something to repair.
    pub(super) fn is_any(&self) -> bool {
        self.status != RepairOutcome::Unneeded.name()
    }
}

/// Runs a strategy. What fails outside of its own changes, as a look at the catalog may, fails the repair and no more.
fn run<S: RepairStrategy<Ground>>(strategy: &S, (class, user): (Option<i64>, Option<u32>)) -> Done {
    let (begun, began_at) = (Instant::now(), catalog::now());
    let around = Subtransaction::begin();
    let report = attempt(|| {
        let mut ground = Ground::default();
        let report = repair(strategy, &mut ground);
        match report.outcome {
            RepairOutcome::Repaired => ground.keep(),
            _ => ground.undo(),
        }
        report
    });
    match &report {
        Ok(_) => around.commit(),
        Err(_) => around.roll_back(),
    }
    let (target, status, reason) = match report {
        Ok(report) => told(report),
        Err(message) => (None, "failed", message),
    };
    Done {
        id: 0,
        kind: strategy.kind(),
        target: target.unwrap_or_else(|| strategy.kind().to_owned()),
        status,
        reason,
        took_ms: begun.elapsed().as_secs_f64() * 1000.0,
        class,
        user,
        began_at,
    }
}

fn told(report: RepairReport) -> (Option<String>, &'static str, String) {
    let status = report.outcome.name();
    let (target, issue) = report.finding.map_or((None, None), |finding| {
        (Some(finding.target), Some(finding.issue))
    });
    let ended = match report.outcome {
        RepairOutcome::Unneeded | RepairOutcome::Repaired => None,
        RepairOutcome::RolledBack { reason } => Some(reason),
        RepairOutcome::Failed {
            reason,
            roll_back_error,
        } => Some(match roll_back_error {
            Some(error) => format!("{reason}; {error}"),
            None => reason,
        }),
    };
    let sentences: Vec<String> = [issue, report.diagnosis, ended].into_iter().flatten().collect();
    (target, status, sentences.join("; "))
}

/// The clusters, when they don't fit the executions any more.
pub(super) fn clusters() -> Done {
    run(&Clusters, (None, None))
}

/// The quality of patterns, where predictions got worse.
pub(super) fn pattern_quality() -> Done {
    run(&PatternQuality, (None, None))
}

/// The decision for a class whose executions are slower than they were.
pub(super) fn decision_of(suspect: &Suspect) -> Done {
    let class = suspect.of;
    run(
        &PlansAgain::because_slower(suspect),
        (Some(class.class), Some(class.user.to_u32())),
    )
}

/// The decision for a class that is expected to get there.
pub(super) fn decision_before(class: Class, executions: &[Execution]) -> Done {
    run(
        &PlansAgain::because_expected(class, executions),
        (Some(class.class), Some(class.user.to_u32())),
    )
}

/// Why a class should try its plans again soon; none when nothing says so.
pub(super) fn forecast(executions: &[Execution]) -> Option<String> {
    decision::forecast(executions)
}

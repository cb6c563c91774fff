//! The health report: by subsystem a status, a score from 0 to 1, what is wrong and what to do about it.
//!
//! A subsystem of checks scores the mean of its checks: 1 for ok, 0.5 for a warning, 0 for an error.

use super::{anomalies, drift, indexes};
use crate::error::internal;
use crate::health::{self, Check, Status};
use crate::pg::ereport::Report;
use engine::healing::{IndexAction, Severity};
use pgrx::Spi;
use pgrx::spi::SpiResult;

/// A subsystem, and how it is.
#[derive(Debug, Clone)]
pub(crate) struct Subsystem {
    pub(crate) name: &'static str,
    pub(crate) status: Status,
    pub(crate) score: f64,
    pub(crate) issues: Vec<String>,
    pub(crate) recommendations: Vec<String>,
}

/// Which subsystem each check is of.
const CHECKS: [(&str, &[&str]); 5] = [
    ("installation", &["library", "version", "settings"]),
    ("workers", &["launcher", "worker"]),
    ("state", &["state", "tables"]),
    ("memory", &["ring", "shared_memory"]),
    ("decisions", &["circuit_breaker", "internal_errors"]),
];

/// What to do about a check that is not ok.
const REMEDIES: [(&str, &str); 10] = [
    (
        "library",
        "Add ruvector_dag to shared_preload_libraries and restart.",
    ),
    ("version", "Run ALTER EXTENSION ruvector_dag UPDATE."),
    (
        "settings",
        "Set compute_query_id to auto, ruvector.neural_dag_enabled to on and ruvector.dag_mode to on.",
    ),
    (
        "launcher",
        "Look into the server's log for why its process ended.",
    ),
    (
        "worker",
        "Look into the server's log, and raise max_worker_processes if it says that no slot is free.",
    ),
    (
        "state",
        "Run dag_learn_now(), which keeps what can't be read aside, or dag_import_state with an older export.",
    ),
    (
        "ring",
        "Raise ruvector.dag_shared_memory, or ruvector.dag_min_duration.",
    ),
    ("shared_memory", "Raise ruvector.dag_shared_memory."),
    (
        "circuit_breaker",
        "Look at dag_decisions() for those that lost most.",
    ),
    (
        "internal_errors",
        "Report the error that the server's log has of each session.",
    ),
];

/// All subsystems.
pub(crate) fn report() -> Result<Vec<Subsystem>, Report> {
    let checks = health::checks().map_err(internal)?;
    let mut all: Vec<Subsystem> = CHECKS
        .iter()
        .filter_map(|(name, components)| of_checks(name, components, &checks))
        .collect();
    all.extend([
        anomalies().map_err(internal)?,
        drifting().map_err(internal)?,
        of_indexes().map_err(internal)?,
        repairs().map_err(internal)?,
    ]);
    Ok(all)
}

/// None where nothing was checked, as of memory that is not there.
fn of_checks(name: &'static str, components: &[&str], checks: &[Check]) -> Option<Subsystem> {
    let own: Vec<&Check> = checks
        .iter()
        .filter(|check| components.contains(&check.component))
        .collect();
    let score = |check: &&Check| match check.status {
        Status::Ok => 1.0,
        Status::Warning => 0.5,
        Status::Error => 0.0,
    };
    let bad = || own.iter().filter(|check| check.status != Status::Ok);
    let mut recommendations: Vec<String> = bad()
        .filter_map(|check| {
            REMEDIES
                .iter()
                .find(|(component, _)| *component == check.component)
        })
        .map(|(_, remedy)| (*remedy).to_owned())
        .collect();
    recommendations.dedup();
    (!own.is_empty()).then(|| Subsystem {
        name,
        status: worst(own.iter().map(|check| check.status)),
        score: own.iter().map(score).sum::<f64>() / own.len() as f64,
        issues: bad()
            .map(|check| format!("{}: {}", check.component, check.message))
            .collect(),
        recommendations,
    })
}

fn worst(statuses: impl Iterator<Item = Status>) -> Status {
    statuses.fold(Status::Ok, |worst, status| match (worst, status) {
        (Status::Error, _) | (_, Status::Error) => Status::Error,
        (Status::Warning, _) | (_, Status::Warning) => Status::Warning,
        _ => Status::Ok,
    })
}

/// One of which something is wrong, or nothing: what to do is the same for all of it.
fn judged(name: &'static str, score: f64, issues: Vec<String>, recommendations: Vec<String>) -> Subsystem {
    let status = match issues.is_empty() {
        true => Status::Ok,
        false => Status::Warning,
    };
    Subsystem {
        name,
        status,
        score,
        issues,
        recommendations,
    }
}

/// Scores 1 over 1 and the weight of what is not resolved: 1 for what is low, 8 for what is critical, as severities double.
fn anomalies() -> SpiResult<Subsystem> {
    let open = anomalies::open()?;
    let weight = |severity: &str| match severity {
        name if name == Severity::Low.name() => 1.0,
        name if name == Severity::Medium.name() => 2.0,
        name if name == Severity::High.name() => 4.0,
        _ => 8.0,
    };
    let weights = open
        .iter()
        .map(|(_, severity, count)| weight(severity) * *count as f64);
    let score = 1.0 / (1.0 + weights.sum::<f64>());
    let issues: Vec<String> = open
        .iter()
        .map(|(kind, severity, count)| format!("{count} of {kind} are {severity} and not resolved"))
        .collect();
    let advice = advice_if(!issues.is_empty(), "dag_anomalies() names the statements.");
    Ok(judged("anomalies", score, issues, advice))
}

/// Scores the share of metrics that didn't get clearly worse.
fn drifting() -> SpiResult<Subsystem> {
    let all = drift::drifts()?;
    let worse: Vec<_> = all.iter().filter(|moved| drift::is_worse(&moved.drift)).collect();
    let score = 1.0 - worse.len() as f64 / all.len().max(1) as f64;
    let issues: Vec<String> = worse
        .iter()
        .map(|moved| {
            let (metric, drift) = (moved.metric, moved.drift);
            format!(
                "{metric} got worse: {:.3} lately, {:.3} before",
                drift.current, drift.baseline
            )
        })
        .collect();
    let advice = advice_if(
        !issues.is_empty(),
        "Run dag_auto_repair() if the data changed, which learns anew what is out of date.",
    );
    Ok(judged("drift", score, issues, advice))
}

/// Scores the share of indexes that need nothing. Recall is not measured for it.
fn of_indexes() -> SpiResult<Subsystem> {
    let all = indexes::health(false)?;
    let bad: Vec<_> = all
        .iter()
        .filter(|index| index.action != IndexAction::None)
        .collect();
    let score = 1.0 - bad.len() as f64 / all.len().max(1) as f64;
    let issues: Vec<String> = bad
        .iter()
        .map(|index| format!("{} needs {}", index.name, index.action.name()))
        .collect();
    let advice = advice_if(
        !issues.is_empty(),
        "dag_index_health() says how these indexes are.",
    );
    Ok(judged("indexes", score, issues, advice))
}

/// Scores the share of the last day's repairs that helped.
fn repairs() -> SpiResult<Subsystem> {
    let (all, failed, waiting) = lately()?;
    let score = 1.0 - failed as f64 / all.max(1) as f64;
    let mut issues = advice_if(
        failed > 0,
        &format!("{failed} of the last day's {all} repairs did not help"),
    );
    issues.extend(advice_if(waiting > 0, &format!("{waiting} repairs are queued")));
    let advice = advice_if(
        failed > 0,
        "The table dag_repairs says why; what was changed is rolled back.",
    );
    Ok(judged("repairs", score, issues, advice))
}

/// Repairs of the last day that were made and those of them that did not help, and those that are queued.
fn lately() -> SpiResult<(i64, i64, i64)> {
    Spi::connect(|client| {
        let row = client
            .select(
                "SELECT count(*) FILTER (WHERE status <> 'queued' AND is_new), \
                 count(*) FILTER (WHERE status IN ('rolled_back', 'failed') AND is_new), \
                 count(*) FILTER (WHERE status = 'queued') FROM (SELECT r.status, \
                    r.repaired_at > now() - interval '1 day' AS is_new FROM ruvector.dag_repairs AS r) AS r",
                Some(1),
                &[],
            )?
            .first();
        let count = |column| -> SpiResult<i64> { Ok(row.get(column)?.unwrap_or(0)) };
        Ok((count(1)?, count(2)?, count(3)?))
    })
}

fn advice_if(is_so: bool, text: &str) -> Vec<String> {
    is_so.then(|| text.to_owned()).into_iter().collect()
}

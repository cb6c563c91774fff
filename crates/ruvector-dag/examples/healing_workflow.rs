//! A server that gets worse: single executions that are unlike the others, errors that drift, a backlog that will be too long,
//! and a repair that is rolled back because it did not help.

use ruvector_dag::Error;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::healing::{
    AnomalyDetector, Better, Finding, IndexFacts, RepairStrategy, crossing, drift, expected_btree_pages,
    index_health, repair,
};

/// Numbers in [0, 1) without order.
fn number(at: u64) -> f64 {
    (hash_words([1, at, 0]) >> 11) as f64 / (1u64 << 53) as f64
}

/// Shortens a backlog by a share, and keeps that only if it is short enough then.
struct Shorten {
    share: f64,
    limit: f64,
}

impl RepairStrategy<f64> for Shorten {
    type Plan = f64;
    type Error = String;

    fn kind(&self) -> &'static str {
        "shorten"
    }

    fn detect(&self, backlog: &f64) -> Result<Option<Finding>, String> {
        Ok((*backlog > self.limit).then(|| Finding {
            target: "backlog".to_owned(),
            issue: format!("{backlog} of at most {}", self.limit),
        }))
    }

    fn diagnose(&self, _: &f64, _: &Finding) -> Result<String, String> {
        Ok("more came in than was done".to_owned())
    }

    fn plan(&self, backlog: &f64, _: &Finding) -> Result<f64, String> {
        Ok(*backlog)
    }

    fn apply(&self, backlog: &mut f64, _: &f64) -> Result<(), String> {
        *backlog *= 1.0 - self.share;
        Ok(())
    }

    fn verify(&self, backlog: &f64, _: &f64) -> Result<bool, String> {
        Ok(*backlog <= self.limit)
    }

    fn roll_back(&self, backlog: &mut f64, before: &f64) -> Result<(), String> {
        *backlog = *before;
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    let mut detector = AnomalyDetector::new(64, 3.5)?;
    for at in 0..200 {
        let slow = if at == 150 { 40.0 } else { 0.0 };
        if let Some(anomaly) = detector.observe(10.0 + number(at) + slow) {
            let (ms, severity) = (anomaly.value, anomaly.severity.name());
            println!(
                "execution {at}: {ms:.1} ms, z = {:.1}, {severity}",
                anomaly.z_score
            );
        }
    }

    let errors = |from: u64, shift: f64| (from..from + 40).map(|at| number(at) + shift).collect::<Vec<_>>();
    if let Some(drift) = drift(&errors(0, 0.0), &errors(40, 0.5), Better::Lower) {
        let (before, now) = (drift.baseline, drift.current);
        println!("errors of {before:.2}, then {now:.2}: {}", drift.trend.name());
    }

    let history: Vec<(f64, f64)> = (0..30)
        .map(|at| (60.0 * at as f64, 2.0 * at as f64 + number(at)))
        .collect();
    if let Some(forecast) = crossing(&history, 100.0, 3_600.0) {
        println!("a backlog of 100 in {:.0} minutes", forecast.in_seconds / 60.0);
    }

    let health = index_health(&IndexFacts {
        is_valid: true,
        is_constraint: false,
        scans: 1_000,
        seconds_counted: 86_400.0,
        pages: 6_000.0,
        expected_pages: Some(expected_btree_pages(1e6, 4.0, 90.0, 8192.0)),
        dead_share: Some(0.05),
        recall: None,
    });
    println!(
        "an index: fragmentation {:.2?}, action {}",
        health.fragmentation,
        health.action.name()
    );

    let mut backlog = 100.0;
    for share in [0.1, 0.5] {
        let report = repair(&Shorten { share, limit: 80.0 }, &mut backlog);
        println!(
            "shortened by {share}: {}, backlog {backlog}",
            report.outcome.name()
        );
    }
    Ok(())
}

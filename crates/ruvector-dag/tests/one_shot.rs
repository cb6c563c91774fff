//! What surprised once is recalled when the memory of executions has let it go, and then fades.

mod workload;

use ruvector_dag::learning::{DagSonaEngine, LatencyPrediction, LatencyQuery, SonaConfig, Source};
use ruvector_dag::trajectory::Trajectory;
use workload::{CORRELATED, trajectory};

const DAY_US: u64 = 24 * 3_600 * 1_000_000;
/// The statement that surprises comes between this many others and twice as many.
const BEFORE: u64 = 100;

fn config() -> SonaConfig {
    SonaConfig {
        memory_capacity: 80,
        clusters: 10,
        ..SonaConfig::default()
    }
}

/// Takes twenty times as long as its plan would.
fn surprising() -> Trajectory {
    let mut seen = trajectory(7, 1_000, 0, CORRELATED, BEFORE);
    seen.log_latency += 20f64.ln();
    seen
}

/// An engine that saw ordinary statements, and the one that surprises among them if it `has_surprised`.
fn engine(has_surprised: bool) -> DagSonaEngine {
    let mut engine = DagSonaEngine::new(config()).expect("settings");
    for at in 0..3 * BEFORE {
        if at == BEFORE && has_surprised {
            engine.post_query(surprising());
        }
        engine.post_query(trajectory(at % 20, at, 0, CORRELATED, at));
        if at % 50 == 49 {
            engine.background_learn(at);
        }
    }
    engine
}

fn predict(engine: &DagSonaEngine, seen: &Trajectory) -> LatencyPrediction {
    engine.predict(&LatencyQuery::of(seen), &seen.embedding, &seen.operator_types)
}

fn is_remembered(engine: &DagSonaEngine, seen: &Trajectory) -> bool {
    engine
        .executions()
        .iter()
        .any(|known| known.statement == seen.statement)
}

#[test]
fn an_execution_that_surprised_is_recalled_when_the_memory_of_executions_has_let_it_go() {
    let (seen, engine) = (surprising(), engine(true));
    assert!(!is_remembered(&engine, &seen));
    let recalled = predict(&engine, &seen);
    assert_eq!(
        (recalled.source, recalled.log_latency),
        (Source::Recalled, seen.log_latency)
    );
    let (least, greatest) = recalled.interval_90();
    assert!(least < seen.log_latency.exp() && seen.log_latency.exp() < greatest);
    // It outlives a restart, too.
    let restarted = DagSonaEngine::from_state(config(), &engine.to_state()).expect("its own state");
    assert_eq!(predict(&restarted, &seen), recalled);
    // It was recalled for its surprise: ordinary statements of its time are not.
    let ordinary = (BEFORE - 20..BEFORE + 20).map(|at| trajectory(at % 20, at, 0, CORRELATED, at));
    let forgotten = ordinary.filter(|seen| predict(&engine, seen).source != Source::Recalled);
    assert!(forgotten.count() >= 30);
}

#[test]
fn an_engine_that_never_saw_it_predicts_something_else() {
    let (seen, engine) = (surprising(), engine(false));
    let predicted = predict(&engine, &seen);
    assert_ne!(predicted.source, Source::Recalled);
    assert!(seen.log_latency - predicted.log_latency > 1.0, "{predicted:?}");
}

#[test]
fn what_surprised_once_counts_less_by_the_day_and_is_let_go() {
    let (seen, mut engine) = (surprising(), engine(true));
    let fresh = predict(&engine, &seen);
    engine.post_query(trajectory(1, 9_000, 0, CORRELATED, 2 * DAY_US));
    let old = predict(&engine, &seen);
    assert_eq!(old.source, Source::Recalled);
    assert!(old.deviation > 1.2 * fresh.deviation, "{old:?} {fresh:?}");
    engine.background_learn(4 * DAY_US);
    assert_ne!(predict(&engine, &seen).source, Source::Recalled);
}

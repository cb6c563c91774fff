//! The learned state as bytes: round trips, an older version, and what must be refused.

mod workload;

use proptest::prelude::*;
use ruvector_dag::Error;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::learning::{DagSonaEngine, LatencyQuery, STATE_VERSION, SonaConfig};
use std::sync::LazyLock;
use workload::{CORRELATED, trajectory};

fn config() -> SonaConfig {
    SonaConfig {
        base_rank: 1,
        micro_rank: 1,
        clusters: 5,
        training_steps: 4,
        ..SonaConfig::default()
    }
}

fn taught(templates: u64) -> DagSonaEngine {
    let mut engine = DagSonaEngine::new(config()).expect("settings");
    for template in 0..templates {
        engine.post_query(trajectory(template, 0, template % 3, CORRELATED, template));
    }
    engine.background_learn(templates);
    engine
}

static STATE: LazyLock<Vec<u8>> = LazyLock::new(|| taught(12).to_state());

fn predictions(engine: &DagSonaEngine) -> Vec<f64> {
    let asked = (0..10).map(|template| trajectory(template, 9, 0, CORRELATED, 0));
    asked
        .map(|seen| {
            engine
                .predict(&LatencyQuery::of(&seen), &seen.embedding, &seen.operator_types)
                .log_latency
        })
        .collect()
}

#[test]
fn a_state_of_version_1_is_migrated() {
    let bytes =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stored/sona_v1.bin")).expect("the file");
    let engine = DagSonaEngine::from_state(config(), &bytes).expect("a state");
    assert_eq!((engine.executions().len(), engine.bank().len()), (3, 0));
    let known = &engine.executions()[0];
    assert_eq!((known.template, known.decision, known.runs), (0, 0, 1));
    assert_eq!(engine.to_state()[4], STATE_VERSION);
    assert_eq!(engine.to_state_version_1(), bytes);
}

#[test]
fn a_newer_state_is_refused_as_such() {
    let mut bytes = STATE.clone();
    bytes[4] = STATE_VERSION + 1;
    let newer = Error::NewerState {
        given: STATE_VERSION + 1,
        newest: STATE_VERSION,
    };
    assert_eq!(DagSonaEngine::from_state(config(), &bytes).err(), Some(newer));
}

#[test]
fn a_smaller_memory_keeps_the_latest() {
    let small = SonaConfig {
        memory_capacity: 4,
        ..config()
    };
    let engine = DagSonaEngine::from_state(small, &STATE).expect("a state");
    let mut times: Vec<u64> = engine.executions().iter().map(|seen| seen.at_us).collect();
    times.sort_unstable();
    assert_eq!(times, [8, 9, 10, 11]);
}

#[test]
fn damaged_bytes_never_panic_and_are_never_accepted() {
    for seed in 0..2_000u64 {
        let mut bytes = STATE.clone();
        let random = |at: u64| hash_words([seed, at]) as usize;
        match seed % 4 {
            0 => bytes.truncate(random(0) % bytes.len()),
            1 => bytes.push(random(0) as u8),
            2 => {
                let at = random(0) % bytes.len();
                bytes[at] ^= 1 << (random(1) % 8);
            }
            _ => (0..16).for_each(|k| {
                let at = random(k) % bytes.len();
                bytes[at] = bytes[at].wrapping_add(1 + (random(k + 16) % 255) as u8);
            }),
        }
        // Sixteen changes may undo each other.
        assert!(
            bytes == *STATE || DagSonaEngine::from_state(config(), &bytes).is_err(),
            "{seed}"
        );
    }
}

/// Bytes whose checksum is right, as a forger's: what they hold is checked all the same.
#[test]
fn forged_bytes_never_panic() {
    for seed in 0..300u64 {
        let mut body = STATE[13..].to_vec();
        let at = hash_words([seed]) as usize % body.len().min(4_000);
        body[at] = hash_words([seed, 1]) as u8;
        let checksum = ruvector_dag::cardinality::hash_bytes(&body)
            ^ ruvector_dag::cardinality::hash_bytes(&[STATE_VERSION]);
        let bytes = [
            b"RVSL".as_slice(),
            &[STATE_VERSION],
            &checksum.to_le_bytes(),
            &body,
        ]
        .concat();
        if let Ok(engine) = DagSonaEngine::from_state(config(), &bytes) {
            assert!(predictions(&engine).iter().all(|number| number.is_finite()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn what_is_stored_is_had_again(templates in 0..20u64) {
        let engine = taught(templates);
        let bytes = engine.to_state();
        let again = DagSonaEngine::from_state(config(), &bytes).expect("a state");
        prop_assert_eq!(again.executions(), engine.executions());
        prop_assert_eq!(again.bank().patterns(), engine.bank().patterns());
        prop_assert_eq!(again.ewc(), engine.ewc());
        prop_assert_eq!(predictions(&again), predictions(&engine));
        prop_assert_eq!(again.to_state(), bytes);
    }

    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        prop_assert!(DagSonaEngine::from_state(config(), &bytes).is_err());
    }
}

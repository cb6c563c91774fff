//! One-shot memory: what one execution leaves, how it fades, what is found, and that it stays bounded.

use clouds::{Cloud, cloud};
use ruvector_dag::embedding::PlanEmbedding;
use ruvector_dag::learning::btsp_memory::{BtspConfig, BtspMemory, Experience};

mod clouds;

const HOUR_US: u64 = 3_600 * 1_000_000;

fn experience(statement: u64, embedding: &PlanEmbedding, predicted: f64, log_latency: f64) -> Experience<'_> {
    Experience {
        statement,
        embedding,
        decision: 0,
        log_latency,
        is_cut_off: false,
        predicted,
        at_us: HOUR_US,
    }
}

fn memory(capacity: usize) -> BtspMemory {
    let config = BtspConfig {
        capacity,
        ..BtspConfig::default()
    };
    BtspMemory::new(config).expect("valid")
}

#[test]
fn one_surprise_is_remembered_and_no_surprise_is_not() {
    let plans = cloud(Cloud::Scattered, 1, 2, 3);
    let mut memory = memory(10);
    assert!(memory.observe(&experience(1, &plans[0], 2.0, 5.0)));
    assert!(memory.observe(&experience(2, &plans[1], 5.0, 2.0)));
    assert!(!memory.observe(&experience(3, &plans[2], 2.0, 2.5)));
    assert!(!memory.observe(&experience(3, &plans[2], f64::NAN, 9.0)));
    assert!(!memory.observe(&experience(3, &plans[2], 2.0, f64::INFINITY)));
    let recall = memory.recall(1, HOUR_US).expect("remembered");
    assert_eq!(
        (
            recall.memory.log_latency,
            recall.memory.surprise,
            recall.eligibility
        ),
        (5.0, 3.0, 1.0)
    );
    assert!(memory.recall(2, HOUR_US).is_some() && memory.recall(3, HOUR_US).is_none());
}

/// Statements that take e⁴ times what the model says, each seen once: the error of the second prediction.
#[test]
fn the_second_execution_is_predicted_from_the_first() {
    let plans = cloud(Cloud::Flat(3), 1, 2, 200);
    let mut memory = memory(1_000);
    let truth = |at: usize| 3.0 + 4.0 * f64::from(at.is_multiple_of(3));
    for (at, plan) in plans.iter().enumerate() {
        memory.observe(&experience(at as u64, plan, 3.0, truth(at)));
    }
    let error = |at: usize, predicted: f64| (truth(at) - predicted).abs();
    let without: f64 = (0..200).map(|at| error(at, 3.0)).sum();
    let with: f64 = (0..200)
        .map(|at| {
            let recall = memory.recall(at as u64, 2 * HOUR_US);
            let predicted = recall.map_or(3.0, |recall| {
                3.0 + recall.eligibility * (recall.memory.log_latency - 3.0)
            });
            error(at, predicted)
        })
        .sum();
    assert_eq!(memory.len(), 67);
    assert!(with < 0.1 * without, "{with} {without}");
}

#[test]
fn eligibility_fades_and_is_renewed_by_another_surprise() {
    let plans = cloud(Cloud::Scattered, 1, 2, 1);
    let mut memory = memory(10);
    memory.observe(&experience(1, &plans[0], 2.0, 5.0));
    let eligibility =
        |memory: &BtspMemory, hours| memory.recall(1, hours * HOUR_US).expect("there").eligibility;
    assert!((eligibility(&memory, 25) - (-1f64).exp()).abs() < 1e-12);
    assert_eq!(eligibility(&memory, 0), 1.0, "time before it was set is no time");
    let later = Experience {
        at_us: 25 * HOUR_US,
        ..experience(1, &plans[0], 2.0, 6.0)
    };
    assert!(memory.clone().fade(25 * HOUR_US, 0.3) == 0);
    assert!(memory.observe(&later));
    assert_eq!(eligibility(&memory, 25), 1.0);
    assert_eq!(memory.recall(1, 0).expect("there").memory.log_latency, 6.0);
    assert_eq!(memory.fade(300 * HOUR_US, 0.01), 1);
    assert!(memory.is_empty());
}

#[test]
fn what_the_model_knows_by_now_only_adjusts() {
    let plans = cloud(Cloud::Scattered, 1, 2, 1);
    let mut memory = memory(10);
    memory.observe(&experience(1, &plans[0], 2.0, 5.0));
    assert!(!memory.observe(&experience(1, &plans[0], 4.0, 4.0)));
    assert_eq!(memory.recall(1, 0).expect("there").memory.log_latency, 4.5);
    let other_plan = Experience {
        decision: 3,
        ..experience(1, &plans[0], 2.0, 2.0)
    };
    memory.observe(&other_plan);
    assert_eq!(memory.recall(1, 0).expect("there").memory.log_latency, 4.5);
}

#[test]
fn a_cancelled_execution_is_a_lower_bound() {
    let plans = cloud(Cloud::Scattered, 1, 2, 1);
    let mut memory = memory(10);
    let cancelled = |predicted, log_latency| Experience {
        is_cut_off: true,
        ..experience(1, &plans[0], predicted, log_latency)
    };
    assert!(
        !memory.observe(&cancelled(9.0, 2.0)),
        "it may still have taken as long as predicted"
    );
    assert!(memory.observe(&cancelled(2.0, 5.0)));
    memory.observe(&cancelled(4.0, 4.0));
    let found = memory.recall(1, 0).expect("there").memory;
    assert!(found.log_latency == 5.0 && found.is_cut_off);
    memory.observe(&experience(1, &plans[0], 7.0, 7.0));
    let found = memory.recall(1, 0).expect("there").memory;
    assert!(found.log_latency == 6.0 && !found.is_cut_off);
}

#[test]
fn the_nearest_plan_is_found_and_only_the_latest_are_kept() {
    let plans = cloud(Cloud::Clustered(50, 0.3), 1, 2, 1_500);
    let mut memory = memory(700);
    for (at, plan) in plans.iter().enumerate() {
        let surprising = Experience {
            at_us: at as u64,
            ..experience(at as u64, plan, 0.0, 3.0)
        };
        assert!(memory.observe(&surprising));
    }
    assert_eq!(memory.len(), 700);
    assert!(memory.recall(799, 0).is_none() && memory.recall(800, 0).is_some());
    let text = serde_json::to_string(&memory).expect("JSON");
    let read: BtspMemory = serde_json::from_str(&text).expect("what was written");
    for query in cloud(Cloud::Clustered(50, 0.3), 1, 3, 20) {
        let kept = memory
            .memories()
            .iter()
            .map(|memory| memory.embedding.cosine(&query));
        let nearest = kept.fold(f32::MIN, f32::max);
        let found = memory.recall_nearest(&query, -1.0, 2_000).expect("some");
        assert!((found.similarity - nearest).abs() < 1e-6);
        assert_eq!(read.recall_nearest(&query, -1.0, 2_000), Some(found));
        assert!(memory.recall_nearest(&query, nearest + 1e-3, 2_000).is_none());
    }
    assert!(
        BtspMemory::new(BtspConfig {
            plateau: f64::NAN,
            ..BtspConfig::default()
        })
        .is_err()
    );
}

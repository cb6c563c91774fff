//! Healing: a value is to be judged in less than 50 µs with a window of 256.

use criterion::Criterion;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::healing::{AnomalyDetector, Better, crossing, drift};
use std::hint::black_box;

/// Numbers in [0, 1) without order.
fn number(at: u64) -> f64 {
    (hash_words([5, at, 0]) >> 11) as f64 / (1u64 << 53) as f64
}

fn anomalies(criterion: &mut Criterion) {
    let varied: Vec<f64> = (0..10_007).map(number).collect();
    // Mostly the same: judged by the mean deviation.
    let equal: Vec<f64> = varied.iter().map(|x| if *x < 0.7 { 0.0 } else { *x }).collect();
    for window in [64, 256, 1_024] {
        for (name, values) in [("observe", &varied), ("observe_equal", &equal)] {
            let mut detector = AnomalyDetector::new(window, 3.5).expect("settings");
            let mut values = values.iter().cycle();
            for value in values.by_ref().take(window) {
                detector.observe(*value);
            }
            criterion.bench_function(&format!("{name}/{window}"), |bench| {
                bench.iter(|| detector.observe(black_box(values.next().copied().unwrap_or(0.0))))
            });
        }
    }
}

fn samples(criterion: &mut Criterion) {
    for count in [32u64, 512] {
        let baseline: Vec<f64> = (0..count).map(number).collect();
        let current: Vec<f64> = (0..count).map(|at| number(at + count) + 0.1).collect();
        criterion.bench_function(&format!("drift/{count}"), |bench| {
            bench.iter(|| drift(black_box(&baseline), black_box(&current), Better::Lower))
        });
        let rising: Vec<(f64, f64)> = (0..count)
            .map(|at| (at as f64, at as f64 + 9.0 * number(at)))
            .collect();
        criterion.bench_function(&format!("crossing/{count}"), |bench| {
            bench.iter(|| crossing(black_box(&rising), 1e4, 1e6))
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    anomalies(&mut criterion);
    samples(&mut criterion);
    criterion.final_summary();
}

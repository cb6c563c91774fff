//! Intervals hold as often as they say, whatever spreads the latencies.

use ruvector_dag::cardinality::hash_words;
use ruvector_dag::embedding::PlanEmbedding;
use ruvector_dag::learning::SonaConfig;
use ruvector_dag::learning::conformal::Calibration;
use ruvector_dag::learning::evaluation::{LeftOut, cross_validate};
use ruvector_dag::trajectory::{Trajectory, TrajectoryBuilder};

fn below_one(words: [u64; 4]) -> f64 {
    (hash_words(words) >> 11) as f64 / (1u64 << 53) as f64
}

fn normal(seed: u64, at: u64, part: u64) -> f64 {
    (0..12).map(|k| below_one([seed, at, part, k])).sum::<f64>() - 6.0
}

/// Statements of one cost in a thousand, whose latencies spread the more the costlier they are.
fn heteroscedastic(seed: u64, count: u64) -> Vec<Trajectory> {
    let trajectory = |at: u64| {
        let log_cost = 1.0 + 9.0 * below_one([seed, at, 0, 0]);
        let mut numbers = vec![0.1f32; 256];
        numbers[0] = log_cost as f32;
        for (k, number) in (0..).zip(&mut numbers[1..9]) {
            *number = 2.0 * below_one([seed, at, 1, k]) as f32;
        }
        let embedding = PlanEmbedding::normalised(&numbers).expect("a direction");
        let log_latency = 0.8 * log_cost - 2.0 + 0.15 * log_cost * normal(seed, at, 2);
        let class = |part: u64| hash_words([seed, part, at]);
        TrajectoryBuilder::new(class(0), class(1), embedding)
            .cost(log_cost.exp())
            .build(log_latency.exp(), at)
    };
    (0..count).map(trajectory).collect()
}

#[test]
fn of_latencies_that_spread_unequally_85_to_95_percent_are_within_the_intervals() {
    for seed in 1..=4 {
        let config = SonaConfig {
            seed,
            clusters: 10,
            ..SonaConfig::default()
        };
        let errors =
            cross_validate(&heteroscedastic(seed, 600), LeftOut::Statement, 2, &config).expect("settings");
        println!("seed {seed}: {errors:.3?}");
        assert!(
            (0.85..=0.95).contains(&errors.coverage_90),
            "seed {seed}: {errors:?}"
        );
    }
}

#[test]
fn few_scores_give_intervals_that_hold_as_often_as_many_do() {
    for count in [12, 16, 25, 100] {
        let rounds = 4_000;
        let within = (0..rounds).filter(|&round| {
            let mut calibration = Calibration::default();
            (0..count).for_each(|at| calibration.add(normal(round, at, count), 2.0));
            normal(round, count, count).abs() <= 1.645 * 2.0 * calibration.factor()
        });
        let share = within.count() as f64 / rounds as f64;
        println!("{count}: {share:.3}");
        assert!((0.88..=0.92).contains(&share), "{count} scores: {share}");
    }
}

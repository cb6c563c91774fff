//! The model's numbers, chosen on some statements to be judged on others.

use crate::cases::{Case, statements};
use crate::evaluation::{Training, evaluate, is_new_join};
use ruvector_dag::cardinality::{PriorVariances, RowModel, RowModelConfig, hash_words};

/// What is chosen: the four variances of [`PriorVariances`], the noise, the noise added per join.
type Numbers = [f64; 6];

/// The least and the greatest of each that are tried.
const RANGES: [(f64, f64); 6] = [
    (0.01, 2.0),
    (0.01, 2.0),
    (0.01, 2.0),
    (0.01, 2.0),
    (0.001, 0.1),
    (0.01, 1.0),
];
/// Random tries.
const DRAWS: u64 = 32;
/// By how much a number of the best try is changed afterwards.
const FACTOR: f64 = 1.6;

fn config(numbers: &Numbers) -> RowModelConfig {
    let [clause, edge, edge_clause, class, noise, noise_per_join] = *numbers;
    RowModelConfig {
        variances: PriorVariances {
            clause,
            edge,
            edge_clause,
            class,
        },
        noise,
        noise_per_join,
        ..RowModelConfig::default()
    }
}

/// Log-uniform in the ranges, by number.
fn draw(number: u64) -> Numbers {
    let mut place = 0;
    RANGES.map(|(least, greatest)| {
        place += 1;
        let share = (hash_words([number, place]) >> 11) as f64 / (1u64 << 53) as f64;
        least * (greatest / least).powf(share)
    })
}

/// The mean natural logarithm of the q-error of joins never seen, each statement held out in turn.
pub(crate) fn loss(cases: &[Case], config: RowModelConfig) -> f64 {
    let tested = evaluate(cases, &statements(cases), Training::All, &|_| true, &|| {
        RowModel::new(config)
    });
    let errors: Vec<f64> = tested
        .iter()
        .filter(|one| is_new_join(one))
        .map(|one| one.error)
        .collect();
    errors.iter().sum::<f64>() / errors.len() as f64
}

/// The best of the random tries, then each number multiplied and divided once, where that helps.
pub(crate) fn tuned(cases: &[Case]) -> (RowModelConfig, f64) {
    let (mut best, mut least) = (draw(0), f64::INFINITY);
    let mut attempt = |tried: Numbers, best: &mut Numbers| {
        let loss = loss(cases, config(&tried));
        if loss < least {
            (*best, least) = (tried, loss);
        }
    };
    (0..DRAWS).for_each(|number| attempt(draw(number), &mut best));
    for number in 0..best.len() {
        for factor in [FACTOR, 1.0 / FACTOR] {
            let mut tried = best;
            tried[number] *= factor;
            attempt(tried, &mut best);
        }
    }
    (config(&best), least)
}

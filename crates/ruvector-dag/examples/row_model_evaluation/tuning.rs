//! The model's numbers, chosen on some statements to be judged on others.

use crate::cases::{Case, statements};
use crate::evaluation::{Training, evaluate, is_new_join};
use ruvector_dag::cardinality::{PriorVariances, RowModel, RowModelConfig};

/// What is chosen: the four variances of [`PriorVariances`], the noise, the noise added per join.
type Numbers = [f64; 6];

/// Where the search starts: nothing is known.
const START: Numbers = [0.2, 0.2, 0.2, 0.2, 0.02, 0.02];
/// By how much a number is changed, coarsely first.
const FACTORS: [f64; 3] = [8.0, 3.0, 1.5];

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

/// The mean natural logarithm of the q-error of joins never seen, each statement held out in turn.
fn loss(cases: &[Case], numbers: &Numbers) -> f64 {
    let config = config(numbers);
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

/// Coordinate descent: one number after the other is multiplied and divided as long as that helps.
pub(crate) fn tuned(cases: &[Case]) -> (RowModelConfig, f64) {
    let mut best = START;
    let mut least = loss(cases, &best);
    for factor in FACTORS {
        for number in 0..best.len() {
            for factor in [factor, 1.0 / factor] {
                loop {
                    let mut tried = best;
                    tried[number] *= factor;
                    let loss = loss(cases, &tried);
                    if loss >= least {
                        break;
                    }
                    (best, least) = (tried, loss);
                }
            }
        }
    }
    (config(&best), least)
}

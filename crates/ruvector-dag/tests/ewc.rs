//! EWC++ against its formulas, and the boundaries it notices.

use ruvector_dag::cardinality::hash_words;
use ruvector_dag::learning::{EwcConfig, EwcPlusPlus};

const SIZE: usize = 40;

/// Numbers from -1 to 1.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let number = |at| (hash_words([seed, at]) >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
    (0..count as u64).map(number).collect()
}

fn config() -> EwcConfig {
    EwcConfig::default()
}

fn ewc(config: EwcConfig) -> EwcPlusPlus {
    EwcPlusPlus::new(SIZE, config).expect("valid settings")
}

/// Ends a task with the gradients of a seed, and gives its Fisher information by definition, and its parameters.
fn end_task(ewc: &mut EwcPlusPlus, seed: u64) -> (Vec<f64>, Vec<f32>) {
    let (decay, mut fisher) = (f64::from(ewc.config().fisher_decay), vec![0.0f64; SIZE]);
    for step in 0..30 {
        let gradient = numbers(1_000 * seed + step, SIZE);
        ewc.observe(&gradient);
        for (fisher, &g) in fisher.iter_mut().zip(&gradient) {
            *fisher = decay * *fisher + (1.0 - decay) * f64::from(g) * f64::from(g);
        }
    }
    let weight = 1.0 - decay.powi(30);
    fisher.iter_mut().for_each(|fisher| *fisher /= weight);
    let anchor = numbers(seed, SIZE);
    assert!(ewc.consolidate(&anchor));
    (fisher, anchor)
}

fn is_near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-3 * expected.abs().max(1e-3)
}

#[test]
fn fisher_is_the_running_mean_of_the_squares_without_the_bias_of_its_beginning() {
    let mut ewc = ewc(config());
    let gradient = numbers(1, SIZE);
    assert_eq!(ewc.fisher(), vec![0.0; SIZE]);
    for _ in 0..5 {
        ewc.observe(&gradient);
    }
    for (fisher, g) in ewc.fisher().iter().zip(&gradient) {
        assert!(is_near(f64::from(*fisher), f64::from(g * g)));
    }
    assert_eq!((ewc.observed(), ewc.parameters(), ewc.tasks()), (5, SIZE, 0));
}

#[test]
fn gradients_are_free_before_the_first_task_ends_and_scaled_by_the_formula_after() {
    let mut ewc = ewc(config());
    let gradient = numbers(5, SIZE);
    ewc.observe(&gradient);
    let mut bent = gradient.clone();
    ewc.constrain(&mut bent);
    assert_eq!(bent, gradient);
    let mut ewc = self::ewc(config());
    let (fisher, _) = end_task(&mut ewc, 1);
    ewc.constrain(&mut bent);
    for ((bent, g), fisher) in bent.iter().zip(&gradient).zip(fisher) {
        assert!(is_near(
            f64::from(*bent),
            f64::from(*g) / (1.0 + 2_000.0 * fisher)
        ));
    }
}

#[test]
fn penalty_and_constraint_are_the_sums_over_the_tasks() {
    let mut ewc = ewc(config());
    let tasks: Vec<_> = (1..=3).map(|seed| end_task(&mut ewc, seed)).collect();
    let lambda = f64::from(ewc.lambda());
    let (theta, gradient) = (numbers(8, SIZE), numbers(9, SIZE));
    let mut penalty = 0.0;
    let mut bent = gradient.clone();
    ewc.constrain_at(&mut bent, &theta);
    for at in 0..SIZE {
        let (mut importance, mut pull) = (0.0, 0.0);
        for (fisher, anchor) in &tasks {
            let distance = f64::from(theta[at]) - f64::from(anchor[at]);
            penalty += lambda / 2.0 * fisher[at] * distance * distance;
            importance += lambda * fisher[at];
            pull += lambda * fisher[at] * distance;
        }
        let expected = (f64::from(gradient[at]) + pull) / (1.0 + importance);
        assert!(
            (f64::from(bent[at]) - expected).abs() < 1e-4,
            "{} {expected}",
            bent[at]
        );
    }
    assert!(is_near(ewc.penalty(&theta), penalty));
}

#[test]
fn lambda_grows_with_the_tasks_from_the_first_to_the_greatest() {
    let mut ewc = ewc(config());
    let mut lambdas = vec![ewc.lambda()];
    for seed in 1..=8 {
        end_task(&mut ewc, seed);
        lambdas.push(ewc.lambda());
    }
    assert_eq!(lambdas[..4], [2_000.0, 2_000.0, 3_000.0, 4_500.0]);
    assert_eq!(lambdas[6..], [15_000.0, 15_000.0, 15_000.0]);
    assert_eq!(ewc.tasks(), 8);
}

#[test]
fn merged_tasks_constrain_as_they_did_apart() {
    let mut apart = ewc(EwcConfig {
        max_tasks: 10,
        ..config()
    });
    let mut merged = ewc(EwcConfig {
        max_tasks: 1,
        ..config()
    });
    for seed in 1..=6 {
        end_task(&mut apart, seed);
        end_task(&mut merged, seed);
    }
    let (theta, other) = (numbers(20, SIZE), numbers(21, SIZE));
    let (mut one, mut two) = (numbers(22, SIZE), numbers(22, SIZE));
    apart.constrain_at(&mut one, &theta);
    merged.constrain_at(&mut two, &theta);
    assert!(one.iter().zip(&two).all(|(one, two)| (one - two).abs() < 1e-5));
    // Penalties differ by a constant.
    let difference = |ewc: &EwcPlusPlus| ewc.penalty(&theta) - ewc.penalty(&other);
    assert!(is_near(difference(&merged), difference(&apart)));
    // And what is stored says the same as what was.
    let bytes = postcard::to_allocvec(&merged).expect("bytes");
    let stored: EwcPlusPlus = postcard::from_bytes(&bytes).expect("the same");
    let mut three = numbers(22, SIZE);
    stored.constrain_at(&mut three, &theta);
    assert_eq!(two, three);
    assert_eq!(stored.tasks(), 6);
}

/// Gradients of one distribution: the first half of the coordinates, of this length.
fn usual(seed: u64, length: f32) -> Vec<f32> {
    let mut gradient = numbers(seed, SIZE);
    gradient[SIZE / 2..].fill(0.0);
    gradient.iter_mut().for_each(|g| *g *= length);
    gradient
}

/// After how many of these gradients a boundary is noticed, first having seen 500 usual ones without noticing any.
fn noticed_after(gradients: impl Iterator<Item = Vec<f32>>) -> Option<usize> {
    let mut ewc = ewc(config());
    for seed in 0..500 {
        assert!(
            !ewc.observe(&usual(seed, 1.0)),
            "a boundary where none was, at {seed}"
        );
    }
    gradients.into_iter().position(|gradient| ewc.observe(&gradient))
}

#[test]
fn longer_gradients_and_gradients_elsewhere_are_a_boundary() {
    let longer = noticed_after((0..100).map(|seed| usual(10_000 + seed, 3.0)));
    assert!(longer.is_some_and(|after| (1..20).contains(&after)), "{longer:?}");
    let elsewhere = noticed_after((0..100).map(|seed| {
        let mut gradient = usual(20_000 + seed, 1.0);
        gradient.reverse();
        gradient
    }));
    assert!(
        elsewhere.is_some_and(|after| (1..20).contains(&after)),
        "{elsewhere:?}"
    );
}

#[test]
fn usual_gradients_shorter_ones_and_a_single_outlier_are_none() {
    assert_eq!(
        noticed_after((0..5_000).map(|seed| usual(30_000 + seed, 1.0))),
        None
    );
    assert_eq!(
        noticed_after((0..1_000).map(|at| usual(40_000 + at, 0.997f32.powi(at as i32)))),
        None
    );
    let outlier = (0..1_000).map(|at| usual(50_000 + at, if at == 100 { 1e3 } else { 1.0 }));
    assert_eq!(noticed_after(outlier), None);
}

#[test]
fn what_is_no_number_changes_nothing() {
    let mut ewc = ewc(config());
    let before = ewc.clone();
    assert!(!ewc.observe(&[f32::NAN; SIZE]));
    assert!(!ewc.observe(&[f32::INFINITY; SIZE]));
    assert!(!ewc.consolidate(&numbers(1, SIZE)));
    assert_eq!(ewc, before);
    ewc.observe(&numbers(1, SIZE));
    assert!(!ewc.consolidate(&numbers(1, SIZE - 1)));
    assert!(!ewc.consolidate(&[f32::NAN; SIZE]));
    assert_eq!(ewc.tasks(), 0);
}

#[test]
fn settings_and_stored_states_that_make_no_sense_are_refused() {
    let wrong = [
        EwcConfig {
            lambda: -1.0,
            ..config()
        },
        EwcConfig {
            lambda: f32::NAN,
            ..config()
        },
        EwcConfig {
            max_lambda: 1.0,
            ..config()
        },
        EwcConfig {
            lambda_growth: 0.5,
            ..config()
        },
        EwcConfig {
            fisher_decay: 1.0,
            ..config()
        },
        EwcConfig {
            boundary_z: 0.0,
            ..config()
        },
        EwcConfig {
            max_tasks: 0,
            ..config()
        },
    ];
    for wrong in wrong {
        assert!(EwcPlusPlus::new(SIZE, wrong).is_err(), "{wrong:?}");
    }
    let mut ewc = ewc(config());
    end_task(&mut ewc, 1);
    let stored = serde_json::to_value(&ewc).expect("JSON");
    assert!(serde_json::from_value::<EwcPlusPlus>(stored.clone()).is_ok());
    let spoil = |pointer: &str, value: serde_json::Value| {
        let mut spoilt = stored.clone();
        *spoilt.pointer_mut(pointer).expect("a field") = value;
        assert!(
            serde_json::from_value::<EwcPlusPlus>(spoilt).is_err(),
            "{pointer}"
        );
    };
    spoil("/fisher", serde_json::json!([1.0]));
    spoil("/tasks/0/anchor", serde_json::json!([1.0]));
    spoil("/tasks/0/fisher/3", serde_json::json!(-1.0));
    spoil("/ended", serde_json::json!(0));
    spoil("/config/lambda", serde_json::json!(-1.0));
}

//! Adapters against their formulas, and what they learn.

mod drawn;

use drawn::{dot, embedding, numbers, types, unit};
use ruvector_dag::OperatorType;
use ruvector_dag::embedding::{DIMENSIONS, PlanEmbedding};
use ruvector_dag::learning::objective::{KernelRegression, LatencyHead, Target};
use ruvector_dag::learning::{BaseLora, FLUSH_AT, MicroLora, PlanAdapters};
use ruvector_dag::trajectory::LearningSignal;

fn base(rank: usize, seed: u64) -> BaseLora {
    let mut lora = BaseLora::new(rank, seed).expect("a rank");
    let gradient = numbers(seed, lora.parameters().len());
    lora.update(&gradient, 0.02);
    lora
}

fn micro(rank: usize, seed: u64) -> MicroLora {
    let mut lora = MicroLora::new(rank, seed).expect("a rank");
    let gradient = numbers(seed, lora.parameters().len());
    lora.update(&gradient, 0.02);
    lora
}

/// B A as 256 rows, in double precision, from an adapter's parameters.
fn matrix(parameters: &[f32], factor: f64) -> Vec<Vec<f64>> {
    let rank = parameters.len() / 2 / DIMENSIONS;
    let (down, up) = parameters.split_at(rank * DIMENSIONS);
    let entry = |row: usize, column: usize| {
        let pairs =
            (0..rank).map(|r| f64::from(up[r * DIMENSIONS + row]) * f64::from(down[r * DIMENSIONS + column]));
        factor * pairs.sum::<f64>() / (rank as f64).sqrt()
    };
    (0..DIMENSIONS)
        .map(|row| (0..DIMENSIONS).map(|column| entry(row, column)).collect())
        .collect()
}

/// The sum of matrices.
fn sum(matrices: impl IntoIterator<Item = Vec<Vec<f64>>>) -> Vec<Vec<f64>> {
    let mut sum = vec![vec![0.0; DIMENSIONS]; DIMENSIONS];
    for matrix in matrices {
        for (sum, row) in sum.iter_mut().flatten().zip(matrix.iter().flatten()) {
            *sum += row;
        }
    }
    sum
}

/// e + M e, scaled to unit norm.
fn adapted_by(matrix: &[Vec<f64>], e: &PlanEmbedding) -> Vec<f64> {
    let e: Vec<f64> = e.as_slice().iter().map(|&x| f64::from(x)).collect();
    let rows = matrix.iter().zip(&e);
    let z: Vec<f64> = rows
        .map(|(row, x)| x + row.iter().zip(&e).map(|(m, x)| m * x).sum::<f64>())
        .collect();
    let norm = z.iter().map(|x| x * x).sum::<f64>().sqrt();
    z.into_iter().map(|x| x / norm).collect()
}

fn micro_matrix(lora: &MicroLora, shares: &[(OperatorType, f32)]) -> Vec<Vec<f64>> {
    let size = 2 * lora.rank() * DIMENSIONS;
    let of_type = |kind: OperatorType| &lora.parameters()[(usize::from(kind.code()) - 1) * size..][..size];
    sum(shares
        .iter()
        .map(|&(kind, share)| matrix(of_type(kind), f64::from(share))))
}

fn is_near(found: &PlanEmbedding, expected: &[f64]) -> bool {
    found
        .as_slice()
        .iter()
        .zip(expected)
        .all(|(&found, expected)| (f64::from(found) - expected).abs() < 1e-5)
}

#[test]
fn adapters_that_learned_nothing_change_not_a_bit() {
    for seed in 0..5 {
        let one = embedding(seed);
        assert_eq!(BaseLora::new(8, seed).expect("a rank").forward(&one), one);
        assert_eq!(
            MicroLora::new(2, seed).expect("a rank").forward(&one, &types()),
            one
        );
    }
}

#[test]
fn forward_is_the_formula() {
    let one = embedding(1);
    for rank in [1, 8, 64] {
        let lora = base(rank, 2);
        assert!(is_near(
            &lora.forward(&one),
            &adapted_by(&matrix(lora.parameters(), 1.0), &one)
        ));
    }
    for rank in [1, 2] {
        let lora = micro(rank, 3);
        assert!(is_near(
            &lora.forward(&one, &types()),
            &adapted_by(&micro_matrix(&lora, &types()), &one)
        ));
        assert_eq!(lora.forward(&one, &[]), one);
    }
}

/// Compares a gradient to what a small step along a direction changes.
fn check_gradient(parameters: &[f32], gradient: &[f32], loss: impl Fn(&[f32]) -> f64) {
    for seed in 0..3 {
        let direction = numbers(500 + seed, parameters.len());
        let at = |step: f32| -> f64 {
            let moved: Vec<f32> = parameters
                .iter()
                .zip(&direction)
                .map(|(p, d)| p + step * d)
                .collect();
            loss(&moved)
        };
        let step = 1e-3;
        let (measured, told) = (
            (at(step) - at(-step)) / (2.0 * f64::from(step)),
            dot(gradient, &direction),
        );
        assert!(
            (measured - told).abs() < 0.01 * told.abs() + 0.003,
            "{measured} {told}"
        );
    }
}

#[test]
fn gradients_are_what_small_steps_change() {
    let (one, upstream) = (embedding(1), numbers(9, DIMENSIONS));
    let lora = base(8, 2);
    check_gradient(lora.parameters(), &lora.gradient(&one, &upstream), |parameters| {
        let mut moved = lora.clone();
        moved.set_parameters(parameters).expect("as many");
        dot(moved.forward(&one).as_slice(), &upstream)
    });
    let lora = micro(2, 3);
    check_gradient(
        lora.parameters(),
        &lora.gradient(&one, &types(), &upstream),
        |parameters| {
            let mut moved = lora.clone();
            moved.set_parameters(parameters).expect("as many");
            dot(moved.forward(&one, &types()).as_slice(), &upstream)
        },
    );
    let both = PlanAdapters {
        base: base(8, 4),
        micro: lora,
    };
    check_gradient(
        &both.parameters(),
        &both.gradient(&one, &types(), &upstream).0,
        |parameters| {
            let mut moved = both.clone();
            moved.set_parameters(parameters).expect("as many");
            dot(moved.forward(&one, &types()).as_slice(), &upstream)
        },
    );
}

fn signal(seed: u64) -> LearningSignal {
    let away: Vec<f32> = numbers(seed, DIMENSIONS).iter().map(|x| -x).collect();
    LearningSignal::from_loss(embedding(1), types(), &away)
}

#[test]
fn signals_wait_until_there_are_a_hundred_and_are_then_applied_as_their_mean() {
    let mut lora = MicroLora::new(2, 1).expect("a rank");
    let mut mean = vec![0.0; lora.parameters().len()];
    for seed in 0..FLUSH_AT as u64 {
        let given = signal(seed);
        let upstream: Vec<f32> = given.gradient.iter().map(|x| -x).collect();
        let gradient = lora.gradient(&given.embedding, &given.operator_types, &upstream);
        mean.iter_mut()
            .zip(gradient)
            .for_each(|(sum, g)| *sum += g / FLUSH_AT as f32);
    }
    let mut expected = lora.clone();
    expected.update(&mean, 0.5);
    let untrained = lora.clone();
    for seed in 0..FLUSH_AT as u64 - 1 {
        assert!(!lora.learn(&signal(seed), 0.5));
    }
    assert_eq!(
        (lora.pending(), lora.parameters()),
        (FLUSH_AT - 1, untrained.parameters())
    );
    assert!(lora.learn(&signal(FLUSH_AT as u64 - 1), 0.5));
    assert_eq!(lora.pending(), 0);
    let near = lora
        .parameters()
        .iter()
        .zip(expected.parameters())
        .all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near);
    // Only the plan's types have learned.
    let aside = [(OperatorType::Limit, 1.0)];
    assert_eq!(lora.forward(&embedding(1), &aside), embedding(1));
}

#[test]
fn an_embedding_moves_where_its_signals_point() {
    let mut lora = MicroLora::new(2, 1).expect("a rank");
    let given = signal(7);
    let before = dot(embedding(1).as_slice(), &given.gradient);
    let mut reached = vec![before];
    for _ in 0..5 {
        (0..10).for_each(|_| lora.accumulate(&given));
        lora.flush(0.05);
        reached.push(dot(
            lora.forward(&embedding(1), &types()).as_slice(),
            &given.gradient,
        ));
    }
    assert!(reached.is_sorted_by(|a, b| a < b), "{reached:?}");
    // What counts for nothing teaches nothing.
    let mut deaf = MicroLora::new(2, 1).expect("a rank");
    deaf.accumulate(&LearningSignal {
        quality: 0.0,
        ..given
    });
    deaf.flush(1.0);
    assert_eq!(deaf.forward(&embedding(1), &types()), embedding(1));
}

#[test]
fn no_signal_however_often_repeated_makes_weights_grow_without_bound() {
    let mut lora = MicroLora::new(2, 1).expect("a rank");
    let mut base = BaseLora::new(8, 1).expect("a rank");
    let upstream = numbers(3, DIMENSIONS);
    for _ in 0..200 {
        lora.accumulate(&signal(7));
        lora.flush(1e3);
        let gradient = base.gradient(&embedding(1), &upstream);
        base.update(&gradient, 1e3);
    }
    for row in lora
        .parameters()
        .chunks(DIMENSIONS)
        .chain(base.parameters().chunks(DIMENSIONS))
    {
        assert!(dot(row, row).sqrt() <= 32.01);
    }
    let (before, nan) = (lora.clone(), vec![f32::NAN; lora.parameters().len()]);
    lora.update(&nan, 0.1);
    lora.update(&vec![f32::MAX; nan.len()], 0.1);
    assert_eq!(lora, before);
    assert!(
        (dot(
            lora.forward(&embedding(1), &types()).as_slice(),
            embedding(1).as_slice()
        ))
        .is_finite()
    );
}

#[test]
fn what_is_stored_is_read_to_the_bit_and_what_makes_no_sense_is_refused() {
    let (lora, base) = (micro(2, 5), base(8, 6));
    let bytes = postcard::to_allocvec(&(&lora, &base)).expect("bytes");
    let (same, same_base): (MicroLora, BaseLora) = postcard::from_bytes(&bytes).expect("the same");
    assert_eq!((&same, &same_base), (&lora, &base));
    assert!(MicroLora::new(0, 1).is_err() && MicroLora::new(3, 1).is_err());
    assert!(BaseLora::new(0, 1).is_err() && BaseLora::new(65, 1).is_err());
    let mut other = base.clone();
    assert!(other.set_parameters(&[0.0; 7]).is_err());
    assert!(
        other
            .set_parameters(&vec![f32::NAN; base.parameters().len()])
            .is_err()
    );
    assert_eq!(other, base);
    for text in [
        r#"{"rank":3,"parameters":[]}"#,
        r#"{"rank":1,"parameters":[1.0]}"#,
    ] {
        assert!(serde_json::from_str::<MicroLora>(text).is_err());
    }
    // Parameters of a version that knew the first ten operator types.
    let ten = &lora.parameters()[..10 * 4 * DIMENSIONS];
    let mut newer = MicroLora::new(2, 8).expect("a rank");
    newer.set_parameters(ten).expect("fewer types");
    assert_eq!(&newer.parameters()[..ten.len()], ten);
    let more = vec![0.0; lora.parameters().len() + 4 * DIMENSIONS];
    assert!(newer.set_parameters(&more).is_err());
}

#[test]
fn a_merge_keeps_the_mean_correction_whole_where_it_fits() {
    let (mut base, lora) = (BaseLora::new(8, 1).expect("a rank"), micro(2, 2));
    let share = base.merge(&lora, &types());
    assert!(share > 0.999_99, "{share}");
    for seed in 0..5 {
        let one = embedding(seed);
        assert!(base.forward(&one).cosine(&lora.forward(&one, &types())) > 0.999_99);
    }
    let mut lora = lora;
    lora.accumulate(&signal(1));
    lora.reset();
    assert_eq!(lora.pending(), 0);
    assert_eq!(lora.forward(&embedding(1), &types()), embedding(1));
    // Nothing to take over changes nothing.
    let before = base.clone();
    assert!(base.merge(&MicroLora::new(2, 3).expect("a rank"), &types()) > 0.999_99);
    assert!(base.forward(&embedding(9)).cosine(&before.forward(&embedding(9))) > 0.999_99);
}

#[test]
fn a_merge_that_does_not_fit_keeps_as_much_as_it_says() {
    let (mut merged, lora) = (base(8, 1), micro(2, 2));
    let shares: Vec<(OperatorType, f32)> = OperatorType::ALL
        .iter()
        .take(10)
        .map(|&kind| (kind, 0.1))
        .collect();
    let whole = sum([matrix(merged.parameters(), 1.0), micro_matrix(&lora, &shares)]);
    let share = f64::from(merged.merge(&lora, &shares));
    let kept = matrix(merged.parameters(), 1.0);
    let energy = |matrix: &mut dyn Iterator<Item = f64>| matrix.map(|x| x * x).sum::<f64>();
    let all = energy(&mut whole.iter().flatten().copied());
    let lost = energy(
        &mut whole
            .iter()
            .flatten()
            .zip(kept.iter().flatten())
            .map(|(a, b)| a - b),
    );
    assert!(share < 1.0 && share > 0.5, "{share}");
    // Eckart and Young: what the nearest matrix of this rank loses is the energy of the values left out.
    assert!(
        (lost / all - (1.0 - share)).abs() < 1e-4,
        "{} {share}",
        lost / all
    );
}

/// An embedding, the types with their attention, and the number to predict.
type Plan = (PlanEmbedding, Vec<(OperatorType, f32)>, f64);

/// Plans in two kinds, whose latencies a common line can't hold: what a coordinate means depends on the kind.
fn plans(seed: u64, count: u64) -> Vec<Plan> {
    let plan = |at| {
        let mut coordinates = numbers(seed + at, DIMENSIONS);
        // A few coordinates say most, as in real plans.
        coordinates.iter_mut().skip(8).for_each(|x| *x *= 0.05);
        let is_first = at % 2 == 0;
        let kind = if is_first {
            OperatorType::SeqScan
        } else {
            OperatorType::IndexScan
        };
        let one = unit(coordinates);
        let value = one.as_slice()[0] * if is_first { 2.0 } else { -2.0 };
        (one, vec![(kind, 1.0)], f64::from(value))
    };
    (0..count).map(plan).collect()
}

#[test]
fn adapters_learn_what_a_line_over_embeddings_cannot() {
    let (training, testing) = (plans(1_000, 200), plans(9_000, 100));
    let pairs = |lora: &MicroLora, plans: &[Plan]| -> Vec<_> {
        plans
            .iter()
            .map(|(one, types, value)| (lora.forward(one, types), *value))
            .collect()
    };
    let error = |head: &LatencyHead, pairs: &[(PlanEmbedding, f64)]| {
        pairs
            .iter()
            .map(|(one, value)| (head.predict(one).value - value).powi(2))
            .sum::<f64>()
            / pairs.len() as f64
    };
    let fit = |pairs: &[(PlanEmbedding, f64)]| {
        let pairs: Vec<_> = pairs.iter().map(|(one, value)| (one, *value)).collect();
        LatencyHead::fit(&pairs, 0.01).expect("pairs")
    };
    let mut lora = MicroLora::new(2, 1).expect("a rank");
    let line = error(&fit(&pairs(&lora, &training)), &pairs(&lora, &testing));
    // The head and the adapters by turns.
    let mut head =
        LatencyHead::new(numbers(3, DIMENSIONS).iter().map(|x| x / 4.0).collect(), 0.0).expect("weights");
    for _ in 0..3 {
        for (one, types, value) in training.iter().chain(&training) {
            let loss = head
                .predict(&lora.forward(one, types))
                .loss_gradient(Target::exact(*value));
            lora.accumulate(&LearningSignal::from_loss(one.clone(), types.clone(), &loss));
            if lora.pending() == 2 {
                lora.flush(0.2);
            }
        }
        head = fit(&pairs(&lora, &training));
    }
    let adapted = error(&head, &pairs(&lora, &testing));
    assert!(adapted < 0.3 * line, "{line} {adapted}");
}

#[test]
fn adapters_learn_a_metric_in_which_near_plans_take_equal_time() {
    let (mut lora, kernel) = (
        BaseLora::new(8, 2).expect("a rank"),
        KernelRegression { sharpness: 20.0 },
    );
    // One coordinate of eight matters.
    let plan = |seed| {
        let mut coordinates = numbers(seed, DIMENSIONS);
        coordinates.iter_mut().skip(8).for_each(|x| *x *= 0.05);
        let one = unit(coordinates);
        let value = 3.0 * f64::from(one.as_slice()[0]);
        (one, value)
    };
    let training: Vec<_> = (0..60).map(plan).collect();
    let testing: Vec<_> = (500..560).map(plan).collect();
    let known = |lora: &BaseLora| -> Vec<(PlanEmbedding, f64)> {
        training
            .iter()
            .map(|(one, value)| (lora.forward(one), *value))
            .collect()
    };
    let error = |lora: &BaseLora| {
        let known = known(lora);
        let known: Vec<_> = known.iter().map(|(one, value)| (one, *value)).collect();
        let square = |(one, value): &(PlanEmbedding, f64)| {
            let prediction = kernel
                .predict(&lora.forward(one), &known)
                .expect("some are known");
            (prediction.value - value).powi(2)
        };
        testing.iter().map(square).sum::<f64>() / testing.len() as f64
    };
    let plain = error(&lora);
    for _ in 0..8 {
        let all = known(&lora);
        for (at, (one, value)) in training.iter().enumerate() {
            let others = all.iter().enumerate().filter(|(other, _)| *other != at);
            let others: Vec<_> = others.map(|(_, (one, value))| (one, *value)).collect();
            let prediction = kernel.predict(&lora.forward(one), &others).expect("others");
            let gradient = lora.gradient(one, &prediction.loss_gradient(Target::exact(*value)));
            lora.update(&gradient, 0.05);
        }
    }
    let learned = error(&lora);
    assert!(learned < 0.6 * plain, "{plain} {learned}");
}

#[test]
fn a_ridge_regression_solves_its_equations() {
    let pairs: Vec<_> = (0..300)
        .map(|seed| (embedding(seed), f64::from(numbers(seed + 1_000, 1)[0])))
        .collect();
    let pairs: Vec<_> = pairs.iter().map(|(one, value)| (one, *value)).collect();
    let head = LatencyHead::fit(&pairs, 0.5).expect("pairs");
    let errors: Vec<f64> = pairs
        .iter()
        .map(|(one, value)| value - head.predict(one).value)
        .collect();
    // Where the derivative of the loss vanishes: by the bias, and by each weight.
    assert!(errors.iter().sum::<f64>().abs() < 1e-3);
    for (at, weight) in head.weights().iter().enumerate() {
        let sum: f64 = errors
            .iter()
            .zip(&pairs)
            .map(|(e, (one, _))| e * f64::from(one.as_slice()[at]))
            .sum();
        assert!((sum - 0.5 * f64::from(*weight)).abs() < 1e-4, "{sum} {weight}");
    }
    assert!(LatencyHead::fit(&[], 0.5).is_none() && LatencyHead::fit(&pairs, 0.0).is_none());
    assert!(LatencyHead::new(vec![0.0; 3], 0.0).is_err());
    let json = serde_json::to_string(&head).expect("JSON");
    assert_eq!(
        serde_json::from_str::<LatencyHead>(&json).expect("the same"),
        head
    );
}

#[test]
fn a_kernel_regression_is_a_mean_and_knows_where_it_grows() {
    let known: Vec<_> = (0..10)
        .map(|seed| (embedding(seed), f64::from(seed as u32)))
        .collect();
    let known: Vec<_> = known.iter().map(|(one, value)| (one, *value)).collect();
    let kernel = KernelRegression { sharpness: 5.0 };
    assert!(kernel.predict(&embedding(50), &[]).is_none());
    let near = KernelRegression { sharpness: 1e4 }
        .predict(&embedding(3), &known)
        .expect("known");
    assert!((near.value - 3.0).abs() < 1e-6);
    let one = embedding(50);
    let prediction = kernel.predict(&one, &known).expect("known");
    // Along the sphere, where a cosine is an inner product.
    let toward = numbers(51, DIMENSIONS);
    let along = dot(&toward, one.as_slice()) as f32;
    let tangent: Vec<f32> = toward
        .iter()
        .zip(one.as_slice())
        .map(|(t, e)| t - along * e)
        .collect();
    let at = |step: f32| {
        let moved = one
            .as_slice()
            .iter()
            .zip(&tangent)
            .map(|(e, t)| e + step * t)
            .collect();
        kernel.predict(&unit(moved), &known).expect("known").value
    };
    let (measured, told) = ((at(1e-3) - at(-1e-3)) / 2e-3, dot(&prediction.gradient, &tangent));
    assert!(
        (measured - told).abs() < 0.02 * told.abs() + 1e-3,
        "{measured} {told}"
    );
}

#[test]
fn a_lower_bound_costs_only_what_is_predicted_below_it() {
    let bound = Target {
        value: 2.0,
        is_lower_bound: true,
    };
    assert_eq!((bound.error_of(5.0), bound.error_of(1.5)), (0.0, -0.5));
    assert_eq!(Target::exact(2.0).error_of(5.0), 3.0);
}

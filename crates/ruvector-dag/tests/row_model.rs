//! The row model: what was planted is found, what is unknown stays PostgreSQL's, intervals hold as often as they say.

use proptest::prelude::*;
use ruvector_dag::cardinality::{
    BaseRelation, ClauseEstimate, Feature, FeatureRegression, JoinClass, MAX_CAPACITY, MAX_FEATURES,
    PriorVariances, RowModel, RowModelConfig, SubJoin, hash_words,
};

/// Uniform in [0, 1), by number.
fn random(seed: u64, number: u64) -> f64 {
    (hash_words([seed, number]) >> 11) as f64 / (1u64 << 53) as f64
}

/// Normal, by number.
fn normal(seed: u64, number: u64) -> f64 {
    (0..12).map(|part| random(seed, number * 12 + part)).sum::<f64>() - 6.0
}

fn relation(table: u64, selectivities: &[(u64, f64)]) -> BaseRelation {
    let clauses = selectivities.iter().map(|&(column, selectivity)| ClauseEstimate {
        template: hash_words([table, column]),
        selectivity,
    });
    BaseRelation {
        table,
        rows: 1e6,
        clauses: clauses.collect(),
    }
}

/// Tables joined in a chain, each by a column of its own.
fn chain(relations: Vec<BaseRelation>, estimate: f64) -> SubJoin {
    let column = |at: usize| {
        (
            at,
            hash_words([7, relations.get(at).map_or(0, |relation| relation.table)]),
        )
    };
    let joins = (1..relations.len()).map(|at| JoinClass {
        kind: 0,
        members: vec![column(at - 1), column(at)],
    });
    SubJoin {
        joins: joins.collect(),
        relations,
        estimate,
    }
}

/// A world in which some joins return more than estimated and some clauses halve what a join returns.
fn truth(sub_join: &SubJoin) -> f64 {
    let edge = |pair: &[BaseRelation]| {
        let tables: u64 = pair.iter().map(|relation| relation.table).sum();
        let restricted = pair.iter().flat_map(|relation| &relation.clauses).count();
        (tables % 5) as f64 - 1.0 - 0.7 * restricted as f64
    };
    sub_join.log_estimate() + sub_join.relations.windows(2).map(edge).sum::<f64>()
}

fn world(number: u64) -> SubJoin {
    let size = 2 + number % 3;
    let relations = (0..size).map(|at| {
        let table = (hash_words([3, number]) + at) % 8;
        let clauses = [(1, 0.1 + 0.8 * random(4, number * 8 + at))];
        relation(
            table,
            if random(5, number * 8 + at) < 0.5 {
                &clauses
            } else {
                &[]
            },
        )
    });
    chain(relations.collect(), 1e4)
}

fn log_error(model: &RowModel, numbers: std::ops::Range<u64>) -> f64 {
    let count = (numbers.end - numbers.start) as f64;
    let errors = numbers.map(|number| {
        let sub_join = world(number);
        (model.predict(&sub_join).log_rows - truth(&sub_join)).abs()
    });
    errors.sum::<f64>() / count
}

#[test]
fn what_is_planted_is_found_in_joins_never_seen() {
    let mut model = RowModel::default();
    let before = log_error(&model, 1_000..1_200);
    (0..300).for_each(|number| model.learn(&world(number), truth(&world(number)).exp()));
    let after = log_error(&model, 1_000..1_200);
    assert!(after < 0.15 * before, "{before} before, {after} after");
    // Each kind of part carries some of it.
    let variances = PriorVariances {
        edge_clause: 0.0,
        ..PriorVariances::default()
    };
    let mut without = RowModel::new(RowModelConfig {
        variances,
        neighbours: 0,
        ..RowModelConfig::default()
    });
    (0..300).for_each(|number| without.learn(&world(number), truth(&world(number)).exp()));
    let without = log_error(&without, 1_000..1_200);
    assert!(
        without > 2.0 * after,
        "{without} without clauses on edges, {after} with"
    );
}

#[test]
fn parts_of_two_joins_carry_over_to_the_join_of_all() {
    let mut model = RowModel::default();
    let tables = |tables: &[u64]| tables.iter().map(|&table| relation(table, &[])).collect();
    for _ in 0..3 {
        model.learn(&chain(tables(&[1, 2]), 100.0), 100.0 * 2f64.exp());
        model.learn(&chain(tables(&[2, 3]), 100.0), 100.0 * 3f64.exp());
    }
    let all = chain(tables(&[1, 2, 3]), 1_000.0);
    let correction = model.predict(&all).log_rows - all.log_estimate();
    assert!(
        (2.5..=3.0).contains(&correction),
        "{correction}, of 5 clamped to the 3 that was seen"
    );
}

#[test]
fn an_unlearned_model_predicts_the_estimate_exactly_and_admits_to_know_nothing() {
    let fresh = RowModel::default();
    let mut busy = RowModel::default();
    (0..200).for_each(|number| busy.learn(&world(number), truth(&world(number)).exp()));
    for model in [&fresh, &busy] {
        for number in 0..50 {
            let relations = (0..1 + number % 4).map(|at| relation(100 + at, &[(1, random(6, number))]));
            let unknown = chain(relations.collect(), 1.0 + 1e5 * random(8, number));
            let prediction = model.predict(&unknown);
            assert_eq!(prediction.log_rows, unknown.log_estimate());
            assert_eq!(prediction.known, 0.0);
            let width = prediction.upper - prediction.lower;
            assert!(number % 4 == 0 || width > 1.0, "{width}");
        }
    }
}

#[test]
fn an_execution_again_changes_nothing() {
    let mut model = RowModel::default();
    (0..50).for_each(|number| model.learn(&world(number), truth(&world(number)).exp()));
    let before = (0..100)
        .map(|number| model.predict(&world(number)))
        .collect::<Vec<_>>();
    (0..500).for_each(|_| model.learn(&world(7), truth(&world(7)).exp()));
    let after = (0..100)
        .map(|number| model.predict(&world(number)))
        .collect::<Vec<_>>();
    assert_eq!(before, after);
    // Another outcome does.
    model.learn(&world(7), truth(&world(7)).exp() * 20.0);
    assert_ne!(
        after,
        (0..100)
            .map(|number| model.predict(&world(number)))
            .collect::<Vec<_>>()
    );
}

#[test]
fn intervals_hold_as_often_as_they_say() {
    // Noise that the model knows nothing of, four times as wide for joins of three tables and more.
    let noisy = |number: u64| {
        let sub_join = world(number);
        let spread = if sub_join.relations.len() > 2 { 2.0 } else { 0.5 };
        let log_rows = truth(&sub_join) + spread * normal(9, number);
        (sub_join, log_rows)
    };
    let mut model = RowModel::default();
    for execution in 0..400u64 {
        let counted: Vec<(SubJoin, f64)> = (0..4).map(|at| noisy(execution * 4 + at)).collect();
        let counted: Vec<_> = counted
            .iter()
            .map(|(sub_join, log_rows)| (sub_join, log_rows.exp()))
            .collect();
        model.learn_execution(&counted);
    }
    for deep in [false, true] {
        let tested: Vec<_> = (10_000..14_000)
            .map(noisy)
            .filter(|(one, _)| (one.relations.len() > 2) == deep)
            .collect();
        let held = tested.iter().filter(|(sub_join, log_rows)| {
            let prediction = model.predict(sub_join);
            (prediction.lower..=prediction.upper).contains(&log_rows.max(0.0))
        });
        let coverage = held.count() as f64 / tested.len() as f64;
        assert!(
            (0.85..=0.95).contains(&coverage),
            "{coverage}, more than two tables: {deep}"
        );
    }
}

#[test]
fn other_constants_of_a_template_are_told_apart_by_their_selectivity() {
    // The more a clause keeps, the less it is wrong: nothing a bias could tell.
    let case = |selectivity: f64| {
        let sub_join = chain(vec![relation(1, &[(1, selectivity)]), relation(2, &[])], 1e4);
        let log_rows = sub_join.log_estimate() + 3.0 * selectivity.ln();
        (sub_join, log_rows)
    };
    let error = |config: RowModelConfig| {
        let mut model = RowModel::new(config);
        (1..=16)
            .map(|step| case(f64::from(step) / 17.0))
            .for_each(|(one, rows)| model.learn(&one, rows.exp()));
        let tested = (2..=15).map(|step| case((f64::from(step) + 0.5) / 17.0));
        tested
            .map(|(one, rows)| (model.predict(&one).log_rows - rows).abs())
            .sum::<f64>()
            / 14.0
    };
    let with = error(RowModelConfig::default());
    let without = error(RowModelConfig {
        neighbours: 0,
        ..RowModelConfig::default()
    });
    assert!(
        with < 0.25 && with < 0.6 * without,
        "{with} with neighbours, {without} without"
    );
}

#[test]
fn predictions_stay_within_what_can_be() {
    let mut model = RowModel::default();
    let tables = || vec![relation(1, &[(1, f64::NAN)]), relation(2, &[(1, -1.0), (2, 7.0)])];
    model.learn(&chain(tables(), 1e9), f64::INFINITY);
    assert_eq!(model, RowModel::default());
    model.learn(&chain(tables(), 1e3), 1e11);
    model.learn(&chain(tables(), f64::NAN), 0.0);
    for estimate in [0.0, 1.0, 1e6, 1e12, 1e300, f64::INFINITY, f64::NAN, -5.0] {
        let prediction = model.predict(&chain(tables(), estimate));
        assert!(prediction.lower <= prediction.log_rows && prediction.log_rows <= prediction.upper);
        assert!(prediction.lower >= 0.0 && prediction.upper.is_finite());
        assert!(
            prediction.upper
                <= chain(tables(), estimate)
                    .log_most()
                    .max(chain(tables(), estimate).log_estimate())
        );
    }
}

#[test]
fn a_model_survives_storage_and_stays_within_its_bounds() {
    let mut model = RowModel::new(RowModelConfig {
        neighbours: 200,
        ..RowModelConfig::default()
    });
    for number in 0..500 {
        let relations =
            (0..4).map(|at| relation((number * 31 + at) % 97, &[(number % 53, 0.5), (at + 60, 0.2)]));
        model.learn(&chain(relations.collect(), 100.0), 1.0 + random(1, number) * 1e6);
    }
    assert_eq!(model.size(), (512, 200));
    let bytes = postcard::to_allocvec(&model).expect("plain numbers");
    // The lower triangle of the covariance is most of it.
    assert!(bytes.len() < 4 * 512 * 513 + 500_000, "{} bytes", bytes.len());
    let back: RowModel = postcard::from_bytes(&bytes).expect("what was just written");
    assert_eq!(back, model);
    let json = serde_json::to_value(RowModel::default()).expect("plain numbers");
    for (path, value) in [
        ("/config/noise", serde_json::json!(-1.0)),
        ("/regression/capacity", serde_json::json!(1_000_000)),
        ("/regression/weights", serde_json::json!([1.0])),
        ("/memory/points", serde_json::json!(5)),
        ("/calibration/scales", serde_json::json!([])),
        ("/corrections", serde_json::json!([1.0, 2.0])),
    ] {
        let mut broken = json.clone();
        *broken.pointer_mut(path).expect("a field") = value;
        assert!(serde_json::from_value::<RowModel>(broken).is_err(), "{path}");
    }
    assert!(serde_json::from_value::<RowModel>(json).is_ok());
}

#[test]
fn a_part_that_makes_room_is_forgotten_and_the_rest_kept() {
    let mut regression = FeatureRegression::new(3);
    let one = |id| [Feature { id, value: 1.0 }];
    (1..=3).for_each(|id| regression.learn(&one(id), id as f64, 1e-6));
    regression.learn(&one(1), 1.0, 1e-6);
    regression.learn(&one(4), 4.0, 1e-6);
    let mean = |id| regression.predict(&one(id)).mean;
    assert_eq!(regression.len(), 3);
    assert_eq!(mean(2), 0.0, "not seen for longest");
    assert_eq!(regression.predict(&one(2)).variance, 1.0);
    for (id, value) in [(1, 1.0), (3, 3.0), (4, 4.0)] {
        assert!((mean(id) - value).abs() < 1e-4);
    }
    // More parts at once than there is room for are noise.
    let many: Vec<Feature> = (10..20).map(|id| Feature { id, value: 1.0 }).collect();
    regression.learn(&many, 100.0, 0.1);
    assert_eq!(regression.len(), 3);
}

#[test]
fn sub_joins_are_alike_whatever_their_order() {
    let there = chain(vec![relation(1, &[(1, 0.5)]), relation(2, &[(2, 0.1)])], 10.0);
    let mut back = there.clone();
    back.relations.reverse();
    back.joins.iter_mut().for_each(|class| {
        class.members.iter_mut().for_each(|(at, _)| *at = 1 - *at);
        class.members.reverse();
    });
    let sorted = |sub_join: &SubJoin| {
        let mut features = sub_join.features(&PriorVariances::default());
        features.sort_by_key(|feature| feature.id);
        features
    };
    assert_eq!(sorted(&there), sorted(&back));
    assert_eq!(there.graph_template(), back.graph_template());
    assert_eq!(there.clause_point(), back.clause_point());
    let many: Vec<_> = (0..40).map(|table| relation(table, &[(1, 0.5); 4])).collect();
    assert_eq!(
        chain(many, 1.0).features(&PriorVariances::default()).len(),
        MAX_FEATURES
    );
    assert!(FeatureRegression::new(usize::MAX) == FeatureRegression::new(MAX_CAPACITY));
}

/// (A + I)⁻¹ b by Gauss and Jordan: the naive twin of recursive least squares.
fn solve(mut rows: Vec<Vec<f64>>, mut right: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let size = rows.len();
    for at in 0..size {
        let pivot = rows[at][at];
        rows[at].iter_mut().for_each(|entry| *entry /= pivot);
        right[at].iter_mut().for_each(|entry| *entry /= pivot);
        let (pivot_row, pivot_right) = (rows[at].clone(), right[at].clone());
        for other in (0..size).filter(|other| *other != at) {
            let factor = rows[other][at];
            let subtract = |entries: &mut [f64], pivots: &[f64]| {
                entries
                    .iter_mut()
                    .zip(pivots)
                    .for_each(|(entry, pivot)| *entry -= factor * pivot);
            };
            subtract(&mut rows[other], &pivot_row);
            subtract(&mut right[other], &pivot_right);
        }
    }
    right
}

#[test]
fn memory_grows_with_what_is_learned_and_stays_below_what_is_said() {
    let mut model = RowModel::default();
    let mut before = model.memory_bytes();
    assert!(before < 2_000, "{before}");
    for number in 0..5_000 {
        let sub_join = world(number);
        model.learn(&sub_join, truth(&sub_join).exp());
        if number == 10 {
            let few = model.memory_bytes();
            assert!(few > before, "{few}");
            before = few;
        }
    }
    let after = model.memory_bytes();
    assert!((before..4 << 20).contains(&after), "{after}");
    // What is stored holds the same numbers, with nothing to spare.
    assert!(after > model.to_state().len() / 2, "{after}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn learning_one_at_a_time_is_learning_all_at_once(
        seen in prop::collection::vec((prop::collection::vec((0usize..6, -2.0f64..2.0), 1..5), -5.0f64..5.0), 1..30),
        asked in prop::collection::vec((0usize..8, -2.0f64..2.0), 1..6),
        noise in 0.01f64..2.0,
    ) {
        let features = |parts: &[(usize, f64)]| -> Vec<Feature> {
            parts.iter().map(|&(id, value)| Feature { id: hash_words([id as u64]), value }).collect()
        };
        let mut regression = FeatureRegression::new(16);
        let mut precision: Vec<Vec<f64>> =
            (0..8).map(|row| (0..8).map(|column| f64::from(u8::from(row == column))).collect()).collect();
        let mut moment = [0.0; 8];
        let dense = |parts: &[(usize, f64)]| parts.iter().fold([0.0; 8], |mut dense, &(id, value)| {
            dense[id] += value;
            dense
        });
        for (parts, observed) in &seen {
            regression.learn(&features(parts), *observed, noise);
            let parts = dense(parts);
            for row in 0..8 {
                moment[row] += parts[row] * observed / noise;
                for column in 0..8 {
                    precision[row][column] += parts[row] * parts[column] / noise;
                }
            }
        }
        // The mean in the first column, the covariance times what is asked in the second.
        let question = dense(&asked);
        let answer = solve(precision, (0..8).map(|row| vec![moment[row], question[row]]).collect());
        let mean: f64 = (0..8).map(|row| question[row] * answer[row][0]).sum();
        let known: f64 = (0..8).map(|row| question[row] * answer[row][1]).sum();
        let belief = regression.predict(&features(&asked));
        prop_assert!((belief.mean - mean).abs() < 1e-6, "{} and {mean}", belief.mean);
        // Unknown parts asked for twice count twice by themselves, not together.
        let is_unknown_twice = asked.iter().enumerate().any(|(at, one)| asked.iter().skip(at + 1).any(|other| one.0 == other.0));
        prop_assert!(is_unknown_twice || (belief.variance - known).abs() < 1e-6, "{} and {known}", belief.variance);
    }
}

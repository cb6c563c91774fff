//! The row model, full: predicting a sub-join is to take at most 10 µs, learning one at most 100 µs.

use criterion::{BatchSize, Criterion};
use ruvector_dag::cardinality::{BaseRelation, ClauseEstimate, JoinClass, RowModel, SubJoin, hash_words};
use std::hint::black_box;

/// A chain of joins of `size` tables out of thirty, three clauses on each.
fn sub_join(number: u64, size: u64) -> SubJoin {
    let table = |at: u64| (number * 7 + at) % 30;
    let relation = |at| BaseRelation {
        table: table(at),
        rows: 1e5,
        clauses: (0..3)
            .map(|column| ClauseEstimate {
                template: hash_words([1, table(at), column]),
                selectivity: (hash_words([number, at, column]) % 1000 + 1) as f64 / 1001.0,
            })
            .collect(),
    };
    let column = |at| (at as usize, hash_words([2, table(at)]));
    let join = |at| JoinClass {
        kind: 0,
        members: vec![column(at), column(at + 1)],
    };
    SubJoin {
        relations: (0..size).map(relation).collect(),
        joins: (1..size).map(|at| join(at - 1)).collect(),
        estimate: 1e4,
    }
}

fn row_model(criterion: &mut Criterion) {
    for size in [3, 6, 10] {
        let mut model = RowModel::default();
        for number in 0..3_000 {
            let known = sub_join(number, 2 + number % size);
            model.learn(&known, (number % 5_000) as f64);
        }
        let new = sub_join(5_000, size);
        criterion.bench_function(&format!("row_model/predict/{size}"), |bencher| {
            bencher.iter(|| model.predict(black_box(&new)));
        });
        // An execution's sub-joins are learned together.
        let execution: Vec<SubJoin> = (2..=size).map(|size| sub_join(5_001, size)).collect();
        let counted: Vec<(&SubJoin, f64)> = execution.iter().map(|sub_join| (sub_join, 77.0)).collect();
        criterion.bench_function(&format!("row_model/learn_execution/{size}"), |bencher| {
            bencher.iter_batched_ref(
                || model.clone(),
                |model| model.learn_execution(black_box(&counted)),
                BatchSize::LargeInput,
            );
        });
        criterion.bench_function(&format!("row_model/learn/{size}"), |bencher| {
            let mut model = model.clone();
            let mut rows = 1.0;
            bencher.iter(|| {
                // Never twice the same outcome: that would change nothing.
                rows = if rows > 1e6 { 1.0 } else { rows * 3.0 };
                model.learn(black_box(&new), rows);
            });
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    row_model(&mut criterion);
    criterion.final_summary();
}

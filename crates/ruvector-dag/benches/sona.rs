//! The learning system's three speeds: before a query of 20 operators at most 50 µs without the search, after it at most
//! 100 µs, and loop B over 1,000 trajectories at most a second.

#[path = "../tests/workload/mod.rs"]
mod workload;

use criterion::{BatchSize, Criterion};
use ruvector_dag::QueryDag;
use ruvector_dag::learning::completion::{Cell, Completion, CompletionConfig};
use ruvector_dag::learning::{DagSonaEngine, LatencyQuery, SonaConfig};
use ruvector_dag::trajectory::Trajectory;
use std::hint::black_box;
use workload::{CORRELATED, by_cost, run, weighed};

/// Templates whose plans have 20 operators or nearly as many.
fn template() -> (u64, QueryDag) {
    let sizes = (0..500).map(|template| (template, run(template, 0, 0, CORRELATED).dag));
    sizes
        .min_by_key(|(_, dag)| dag.len().abs_diff(20))
        .expect("plans")
}

fn stream(count: u64) -> Vec<Trajectory> {
    (0..count)
        .map(|at| workload::trajectory(at % 250, at / 250, 0, CORRELATED, at))
        .collect()
}

fn taught(config: SonaConfig, stream: &[Trajectory]) -> DagSonaEngine {
    let mut engine = DagSonaEngine::new(config).expect("settings");
    for seen in stream {
        engine.post_query(seen.clone());
    }
    engine.background_learn(0);
    engine
}

fn speeds(criterion: &mut Criterion) {
    let (template, dag) = template();
    let scores = by_cost(&dag);
    let seen = weighed(&run(template, 99, 0, CORRELATED), &scores, (template, 99, 0), 0);
    let query = LatencyQuery::of(&seen);
    println!("a plan of {} operators", dag.len());
    let stream = stream(1_000);
    // The adapters have learned, but there is nothing to search.
    let state = taught(
        SonaConfig {
            memory_capacity: 1,
            pattern_capacity: 1,
            ..SonaConfig::default()
        },
        &stream,
    );
    criterion.bench_function("pre_query/20", |bench| {
        bench.iter(|| black_box(state.pre_query(black_box(&dag), &scores, &query)))
    });
    let mut engine = taught(SonaConfig::default(), &stream);
    criterion.bench_function("pre_query_search_1000/20", |bench| {
        bench.iter(|| black_box(engine.pre_query(black_box(&dag), &scores, &query)))
    });
    criterion.bench_function("post_query/20", |bench| {
        bench.iter_batched(
            || seen.clone(),
            |seen| engine.post_query(seen),
            BatchSize::SmallInput,
        )
    });
    criterion.bench_function("background_learn/1000", |bench| {
        let fresh = || {
            let mut engine = DagSonaEngine::new(SonaConfig::default()).expect("settings");
            for seen in &stream {
                engine.post_query(seen.clone());
            }
            engine
        };
        bench.iter_batched(
            fresh,
            |mut engine| engine.background_learn(0),
            BatchSize::PerIteration,
        )
    });
    criterion.bench_function("dream_10/1000", |bench| {
        bench.iter(|| black_box(engine.dream(10)))
    });
    criterion.bench_function("to_state/1000", |bench| {
        bench.iter(|| black_box(engine.to_state()))
    });
    println!("memory of 1,000 executions: {} bytes", engine.memory_bytes());
}

fn completion(criterion: &mut Criterion) {
    let cells: Vec<Cell> = (0..200 * 49usize)
        .filter(|at| at % 3 == 0)
        .map(|at| Cell {
            row: at / 49,
            column: at % 49,
            value: (at % 17) as f64,
            is_lower_bound: at % 5 == 0,
        })
        .collect();
    criterion.bench_function("completion/200x49", |bench| {
        bench.iter(|| black_box(Completion::fit(200, 49, &cells, &CompletionConfig::default())))
    });
}

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    speeds(&mut criterion);
    completion(&mut criterion);
    criterion.final_summary();
}

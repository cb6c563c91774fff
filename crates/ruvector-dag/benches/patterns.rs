//! Searching 10,000 patterns for the nearest five is to take at most 200 µs.

use clouds::{Cloud, cloud};
use criterion::Criterion;
use ruvector_dag::embedding::{PlanEmbedding, nearest};
use ruvector_dag::patterns::{Pattern, ReasoningBank};
use std::hint::black_box;

#[path = "../tests/clouds/mod.rs"]
mod clouds;

fn bank_of(vectors: &[PlanEmbedding]) -> ReasoningBank {
    let mut bank = ReasoningBank::default();
    for vector in vectors {
        bank.store(Pattern::new(vector.clone(), 1, 0.5, 0.0, 0))
            .expect("room");
    }
    bank
}

/// Each iteration another query, so that no cache is warm by chance.
fn search(criterion: &mut Criterion, id: &str, kind: Cloud, n: u64) {
    let vectors = cloud(kind, 1, 2, n);
    let bank = bank_of(&vectors);
    let queries = cloud(kind, 1, 3, 200);
    let mut query = queries.iter().cycle();
    criterion.bench_function(&format!("{id}/{n}"), |bench| {
        bench.iter(|| black_box(bank.search(query.next().expect("a cycle"), 5, -1.0)))
    });
    if n == 10_000 {
        criterion.bench_function(&format!("{id}_exact/{n}"), |bench| {
            bench.iter(|| black_box(nearest(query.next().expect("a cycle"), &vectors, 5)))
        });
    }
}

fn searches(criterion: &mut Criterion) {
    for n in [100, 1_000, 10_000] {
        search(criterion, "search", Cloud::Scattered, n);
    }
    search(criterion, "search_clustered", Cloud::Clustered(100, 0.1), 10_000);
    search(criterion, "search_near_equal", Cloud::Clustered(1, 0.01), 10_000);
    search(criterion, "search_flat", Cloud::Flat(6), 10_000);
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    searches(&mut criterion);
    criterion.final_summary();
}

//! Searching 10,000 patterns for the nearest five is to take at most 200 µs, encoding the shape of a plan of 20 operators
//! at most 20 µs. And clustering, comparing shapes, and what one execution left.

use clouds::{Cloud, cloud};
use criterion::Criterion;
use ruvector_dag::embedding::hypervector::{DEFAULT_BITS, Detail, Hypervector};
use ruvector_dag::embedding::{PlanEmbedding, nearest};
use ruvector_dag::learning::btsp_memory::{BtspMemory, Experience};
use ruvector_dag::patterns::kmeans::{MAX_ITERATIONS, kmeans_pp};
use ruvector_dag::patterns::silhouette::exact_silhouette;
use ruvector_dag::patterns::{Pattern, ReasoningBank};
use ruvector_dag::{OperatorId, OperatorNode, OperatorType, QueryDag};
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

fn changes(criterion: &mut Criterion) {
    let vectors = cloud(Cloud::Clustered(100, 0.1), 1, 2, 10_000);
    let mut bank = bank_of(&vectors);
    let mut next = vectors.iter().cycle();
    criterion.bench_function("forget_and_store/10000", |bench| {
        bench.iter(|| {
            let id = bank.patterns()[17].id;
            bank.forget(id);
            bank.store(Pattern::new(
                next.next().expect("a cycle").clone(),
                1,
                0.5,
                0.0,
                0,
            ))
        })
    });
    criterion.bench_function("merge_similar/10000", |bench| {
        bench.iter_with_setup(|| bank.clone(), |mut bank| black_box(bank.merge_similar()))
    });
}

fn clusters(criterion: &mut Criterion) {
    let points = cloud(Cloud::Clustered(60, 0.3), 1, 2, 1_000);
    criterion.bench_function("kmeans/1000", |bench| {
        bench.iter(|| black_box(kmeans_pp(&points, 100, 7, MAX_ITERATIONS)))
    });
    let clustering = kmeans_pp(&points, 100, 7, MAX_ITERATIONS);
    criterion.bench_function("silhouette/1000", |bench| {
        bench.iter(|| black_box(exact_silhouette(&points, &clustering)))
    });
}

/// A left-deep plan of hash joins, as the planner makes them: scan, then scan, hash, join, scan, hash, join, …
fn plan(size: u32) -> QueryDag {
    let mut dag = QueryDag::new();
    let kinds = [OperatorType::HashJoin, OperatorType::SeqScan, OperatorType::Hash];
    let relations = ["posts", "users", "votes", "badges"];
    for at in 0..size {
        let relation = relations[at as usize / 3 % 4];
        let node = OperatorNode::new(at, kinds[at as usize % 3]);
        dag.add_node(if at % 3 == 1 || at == 0 {
            node.with_relation(relation)
        } else {
            node
        });
        let inputs: &[u32] = match at % 3 {
            0 if at > 0 => &[at - 3, at - 1],
            2 => &[at - 1],
            _ => &[],
        };
        for &input in inputs {
            dag.add_edge(OperatorId(input), OperatorId(at))
                .expect("an edge upward");
        }
    }
    dag
}

fn hypervectors(criterion: &mut Criterion) {
    for size in [20, 100] {
        let dag = plan(size);
        for (name, detail) in [("encode", Detail::Shape), ("encode_relations", Detail::Relations)] {
            criterion.bench_function(&format!("hypervector/{name}/{size}"), |bench| {
                bench.iter(|| black_box(Hypervector::of_plan(black_box(&dag), DEFAULT_BITS, detail)))
            });
        }
    }
    let keys = 0..1_000;
    let vectors: Vec<Hypervector> = keys
        .map(|key| Hypervector::of_key(key, DEFAULT_BITS).expect("enough bits"))
        .collect();
    criterion.bench_function("hypervector/similarity", |bench| {
        bench.iter(|| black_box(vectors[3].similarity(black_box(&vectors[7]))))
    });
}

fn one_shot(criterion: &mut Criterion) {
    let plans = cloud(Cloud::Clustered(50, 0.3), 1, 2, 1_024);
    let mut memory = BtspMemory::default();
    for (statement, embedding) in (0..).zip(&plans) {
        memory.observe(&Experience {
            statement,
            embedding,
            decision: 0,
            log_latency: 5.0,
            is_cut_off: false,
            predicted: 2.0,
            at_us: statement,
        });
    }
    let mut statements = (0..1_024).cycle();
    criterion.bench_function("btsp/recall", |bench| {
        bench.iter(|| black_box(memory.recall(statements.next().expect("a cycle"), 5_000)))
    });
    let mut query = plans.iter().cycle();
    criterion.bench_function("btsp/recall_nearest/1024", |bench| {
        bench.iter(|| black_box(memory.recall_nearest(query.next().expect("a cycle"), 0.9, 5_000)))
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    searches(&mut criterion);
    changes(&mut criterion);
    clusters(&mut criterion);
    hypervectors(&mut criterion);
    one_shot(&mut criterion);
    criterion.final_summary();
}

//! Building, ordering, fingerprinting and storing a plan. Building 1,000 operators is to take less than a millisecond.

use criterion::Criterion;
use ruvector_dag::{OperatorNode, OperatorType, QueryDag};
use std::hint::black_box;

/// A left-deep plan: scans joined one after the other.
fn build(size: u32) -> QueryDag {
    let mut dag = QueryDag::new();
    let mut top = dag.add_node(OperatorNode::seq_scan(0, "t"));
    for id in (1..size - 1).step_by(2) {
        let scan = dag.add_node(OperatorNode::seq_scan(id, "t"));
        let join = dag.add_node(OperatorNode::new(id + 1, OperatorType::HashJoin));
        dag.add_edge(top, join).expect("new edge");
        dag.add_edge(scan, join).expect("new edge");
        top = join;
    }
    if size.is_multiple_of(2) {
        let limit = dag.add_node(OperatorNode::new(size - 1, OperatorType::Limit));
        dag.add_edge(top, limit).expect("new edge");
    }
    assert_eq!(dag.len(), size as usize);
    dag
}

fn bench(criterion: &mut Criterion) {
    for size in [10, 100, 1000] {
        let id = |name: &str| format!("{name}/{size}");
        criterion.bench_function(&id("build"), |bench| bench.iter(|| black_box(build(size))));
        let dag = build(size);
        let bytes = dag.to_binary();
        criterion.bench_function(&id("topological_order"), |bench| {
            bench.iter(|| black_box(dag.topological_order()))
        });
        criterion.bench_function(&id("critical_path"), |bench| {
            bench.iter(|| black_box(dag.critical_path()))
        });
        criterion.bench_function(&id("literal_fingerprint"), |bench| {
            bench.iter(|| black_box(dag.literal_fingerprint()))
        });
        criterion.bench_function(&id("to_binary"), |bench| {
            bench.iter(|| black_box(dag.to_binary()))
        });
        criterion.bench_function(&id("from_binary"), |bench| {
            bench.iter(|| black_box(QueryDag::from_binary(&bytes)))
        });
    }
    let sample = include_str!("../tests/explain/subplans_analyze_pg15.json");
    criterion.bench_function("from_explain_json", |bench| {
        bench.iter(|| black_box(QueryDag::from_explain_json(sample)))
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}

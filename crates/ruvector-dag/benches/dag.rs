//! Building a plan of 1,000 operators; the target is under a millisecond.

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
    dag
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("build/1000", |bench| bench.iter(|| black_box(build(1000))));
    let dag = build(1000);
    criterion.bench_function("topological_order/1000", |bench| {
        bench.iter(|| black_box(dag.topological_order()))
    });
    criterion.bench_function("literal_fingerprint/1000", |bench| {
        bench.iter(|| black_box(dag.literal_fingerprint()))
    });
    criterion.bench_function("to_binary/1000", |bench| {
        bench.iter(|| black_box(dag.to_binary()))
    });
    criterion.final_summary();
}

//! One `forward` of each mechanism, against its time budget on a two-core machine: ids `<mechanism>/<nodes>`.
//!
//! The plans are left-deep joins of scans with estimates and, for a third of the operators, counted rows. After the
//! runs the medians are printed with their budgets and the ratio of both.

use criterion::Criterion;
use ruvector_dag::attention::{DagAttention, MechanismId, TemporalBTSPAttention};
use ruvector_dag::{OperatorId, OperatorNode, OperatorType, QueryDag};
use std::hint::black_box;
use std::time::{Duration, Instant};

const SIZES: [u32; 4] = [10, 100, 500, 1000];

/// Microseconds for each of the sizes.
fn budgets(mechanism: MechanismId) -> [f64; 4] {
    match mechanism {
        MechanismId::Topological | MechanismId::CriticalPath => [1.0, 10.0, 50.0, 100.0],
        MechanismId::CausalCone | MechanismId::ParallelBranch => [2.0, 15.0, 75.0, 150.0],
        MechanismId::MincutGated | MechanismId::HierarchicalLorentz => [3.0, 25.0, 125.0, 250.0],
        MechanismId::TemporalBtsp => [2.0, 20.0, 100.0, 200.0],
    }
}

/// A left-deep plan of this many operators: scans joined one after the other, a Limit on top of an even number.
fn plan(size: u32) -> QueryDag {
    let mut dag = QueryDag::new();
    let scan = |id: u32| {
        let rows = 100.0 * f64::from(id % 17 + 1);
        let scan =
            OperatorNode::seq_scan(id, &format!("table_{}", id % 23)).with_estimate(rows, 0.0, rows / 10.0);
        scan.with_width(8 * (id % 9) + 4)
    };
    let mut total = 10.0;
    let mut top = dag.add_node(scan(0));
    for id in (1..size - 1).step_by(2) {
        let inner = dag.add_node(scan(id));
        total += 300.0 + f64::from(id % 29);
        let mut join =
            OperatorNode::new(id + 1, OperatorType::HashJoin).with_estimate(f64::from(id) * 50.0, 0.0, total);
        if id % 3 == 0 {
            join = join.with_actual(f64::from(id % 7) * 400.0, 1.0);
        }
        let join = dag.add_node(join);
        dag.add_edge(top, join).expect("new edge");
        dag.add_edge(inner, join).expect("new edge");
        top = join;
    }
    if size.is_multiple_of(2) {
        let limit = OperatorNode::new(size - 1, OperatorType::Limit).with_estimate(10.0, 0.0, total + 1.0);
        let limit = dag.add_node(limit);
        dag.add_edge(top, limit).expect("new edge");
    }
    dag
}

/// A mechanism as it is in use: with traces, where it has any.
fn mechanism(id: MechanismId, dag: &QueryDag) -> Box<dyn DagAttention> {
    if id != MechanismId::TemporalBtsp {
        return id.with_defaults();
    }
    let mut temporal = TemporalBTSPAttention::default();
    temporal.observe(dag, 10.0);
    temporal.advance(20.0);
    Box::new(temporal)
}

/// The median time of a call, in microseconds: of samples of a tenth of a millisecond or so, which are seldom interrupted.
fn median(size: u32, mut call: impl FnMut()) -> f64 {
    let calls = 1000 / size;
    let mut times: Vec<Duration> = (0..2001)
        .map(|_| {
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            start.elapsed() / calls
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// The same plan with three of its scans shared: each also feeds a join far above it.
fn shared_plan(size: u32) -> QueryDag {
    let mut dag = plan(size);
    for scan in [1, 5, 9] {
        let above = size / 2 / 2 * 2 + 2 * scan;
        dag.add_edge(OperatorId(scan), OperatorId(above))
            .expect("new edge");
    }
    dag
}

/// The worst case: each operator's rows go to the next two, so that nearly all are shared.
fn ladder(size: u32) -> QueryDag {
    let mut dag = QueryDag::new();
    for id in 0..size {
        dag.add_node(OperatorNode::new(id, OperatorType::Append).with_estimate(10.0, 0.0, f64::from(id)));
        for input in id.saturating_sub(2)..id {
            dag.add_edge(OperatorId(input), OperatorId(id)).expect("new edge");
        }
    }
    dag
}

/// Where the budgets don't hold.
fn print_shared() {
    println!("\nmedian of forward in microseconds: three shared operators, and 100 operators all shared");
    for id in MechanismId::ALL {
        print!("{:22}", id.name());
        for size in [100, 1000] {
            let dag = shared_plan(size);
            let attention = mechanism(id, &dag);
            let found = median(size, || drop(black_box(attention.forward(black_box(&dag)))));
            print!("  {size:5}: {found:7.2}");
        }
        let dag = ladder(100);
        let attention = mechanism(id, &dag);
        println!(
            "  all: {:7.2}",
            median(100, || drop(black_box(attention.forward(black_box(&dag)))))
        );
    }
}

fn print_budgets() {
    println!("\nmedian of forward, in microseconds, and its share of the budget");
    for id in MechanismId::ALL {
        print!("{:22}", id.name());
        for (size, budget) in SIZES.into_iter().zip(budgets(id)) {
            let dag = plan(size);
            let attention = mechanism(id, &dag);
            let found = median(size, || drop(black_box(attention.forward(black_box(&dag)))));
            print!("  {size:5}: {found:7.2} ({:4.2})", found / budget);
        }
        println!();
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .configure_from_args()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    for id in MechanismId::ALL {
        for size in SIZES {
            let dag = plan(size);
            let attention = mechanism(id, &dag);
            criterion.bench_function(&format!("{}/{size}", id.name()), |bench| {
                bench.iter(|| black_box(attention.forward(black_box(&dag))))
            });
        }
    }
    criterion.final_summary();
    print_budgets();
    print_shared();
}

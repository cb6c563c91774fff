//! The cost models: PostgreSQL's against PostgreSQL, the others against what must hold of any.

use proptest::prelude::*;
use ruvector_dag::cost::{
    ChipCostModel, CostContext, CostModel, EmbeddedCostModel, Input, PostgresCostModel, RelationStatistics,
};
use ruvector_dag::{OperatorId, OperatorNode, OperatorType, QueryDag};

mod arbitrary;

fn models() -> Vec<Box<dyn CostModel>> {
    vec![
        Box::new(PostgresCostModel::default()),
        Box::new(EmbeddedCostModel {
            ram_kb: 512,
            flash_latency_ns: 100,
        }),
        Box::new(ChipCostModel {
            clock_mhz: 0,
            pipeline_depth: 5,
            cache_line_bytes: 0,
        }),
        Box::new(ChipCostModel {
            clock_mhz: 800,
            pipeline_depth: 14,
            cache_line_bytes: 64,
        }),
    ]
}

/// The self costs that PostgreSQL's and our formula give to each operator of a sample.
fn compared(sample: &str, model: &PostgresCostModel) -> Vec<(OperatorType, f64, f64)> {
    let dag = QueryDag::from_explain_json(sample).expect("a sample");
    let ours = |node: &OperatorNode| {
        let inputs = dag.inputs(node.id).map(|id| dag.node(id).expect("in the graph"));
        let inputs: Vec<Input> = inputs
            .map(|node| Input {
                rows: node.rows,
                width: node.width,
            })
            .collect();
        model.estimate_cost(node, &CostContext { inputs: &inputs })
    };
    dag.nodes()
        .map(|node| (node.operator_type, dag.self_cost(node.id), ours(node)))
        .collect()
}

/// With the sizes that pg_class had when the samples were made.
fn informed() -> PostgresCostModel {
    PostgresCostModel::default()
        .with_relation(
            "customers",
            RelationStatistics {
                pages: 13.0,
                rows: 2000.0,
            },
        )
        .with_relation(
            "orders",
            RelationStatistics {
                pages: 128.0,
                rows: 20_000.0,
            },
        )
        .with_relation(
            "items",
            RelationStatistics {
                pages: 325.0,
                rows: 60_000.0,
            },
        )
}

#[test]
fn sequential_scans_cost_exactly_what_postgresql_says() {
    let sample = include_str!("explain/hash_join_plain_pg15.json");
    let scans: Vec<_> = compared(sample, &informed())
        .into_iter()
        .filter(|(kind, ..)| *kind == OperatorType::SeqScan)
        .collect();
    assert_eq!(scans.len(), 2);
    for (_, theirs, ours) in scans {
        assert!((theirs - ours).abs() < 0.01, "{ours} instead of {theirs}");
    }
}

#[test]
fn other_operators_cost_about_what_postgresql_says() {
    // Without the CTEs: they have no statistics, so PostgreSQL expects crowded hash buckets. Without index scans, whose
    // price is set by the index's correlation. A graph tells neither.
    let samples = [
        include_str!("explain/hash_join_plain_pg15.json"),
        include_str!("explain/merge_join_plain_pg15.json"),
        include_str!("explain/window_plain_pg15.json"),
        include_str!("explain/bitmap_plain_pg15.json"),
        include_str!("explain/parallel_plain_pg15.json"),
    ];
    let model = PostgresCostModel {
        parallel_setup_cost: 0.0,
        parallel_tuple_cost: 0.0,
        ..informed()
    };
    for (kind, theirs, ours) in samples.iter().flat_map(|sample| compared(sample, &model)) {
        if kind == OperatorType::IndexScan {
            continue;
        }
        // A page more or less is no difference; below that the printed costs are rounded.
        let close = (theirs - ours).abs() <= 2.0 || (0.4..=2.5).contains(&(ours / theirs));
        assert!(close, "{kind:?}: {ours} instead of {theirs}");
    }
}

#[test]
fn a_sort_that_exceeds_memory_costs_more() {
    let sort = OperatorNode::new(0, OperatorType::Sort).with_estimate(1e6, 0.0, 0.0);
    let inputs = [Input {
        rows: 1e6,
        width: 100,
    }];
    let cost = |work_mem_kb| {
        PostgresCostModel {
            work_mem_kb,
            ..PostgresCostModel::default()
        }
        .estimate_cost(&sort, &CostContext { inputs: &inputs })
    };
    assert!(cost(4096.0) > cost(1e6) * 1.2);
    let device = |ram_kb| {
        EmbeddedCostModel {
            ram_kb,
            flash_latency_ns: 50_000,
        }
        .estimate_cost(&sort, &CostContext { inputs: &inputs })
    };
    assert!(device(512) > device(1_000_000) * 1.05);
}

#[test]
fn a_wider_search_of_a_vector_index_costs_more() {
    for model in models() {
        let cost = |breadth| {
            let mut node = OperatorNode::hnsw_scan(0, "vectors_idx", breadth);
            node.rows = f64::from(breadth);
            model.estimate_cost(&node, &CostContext::default())
        };
        assert!(cost(400) > cost(40));
    }
}

#[test]
fn a_faster_chip_is_faster_and_a_deeper_pipeline_slower() {
    let node = OperatorNode::seq_scan(0, "users")
        .with_estimate(1000.0, 0.0, 0.0)
        .with_width(40);
    let cost = |clock_mhz, pipeline_depth, cache_line_bytes| {
        ChipCostModel {
            clock_mhz,
            pipeline_depth,
            cache_line_bytes,
        }
        .estimate_cost(&node, &CostContext::default())
    };
    assert_eq!(cost(400, 5, 64), 2.0 * cost(800, 5, 64));
    assert!(cost(400, 20, 64) > cost(400, 5, 64));
    assert!(cost(400, 5, 32) > cost(400, 5, 64));
}

#[test]
fn rows_are_what_was_counted_else_expected_else_guessed() {
    let model = PostgresCostModel::default();
    let inputs = [Input {
        rows: 900.0,
        width: 8,
    }];
    let context = CostContext { inputs: &inputs };
    let filter = OperatorNode::filter(0, "score > 0.5");
    assert_eq!(model.estimate_cardinality(&filter, &context), 300);
    let expected = filter.with_estimate(50.0, 0.0, 0.0);
    assert_eq!(model.estimate_cardinality(&expected, &context), 50);
    assert_eq!(
        model.estimate_cardinality(&expected.with_actual(7.0, 1.0), &context),
        7
    );
    assert_eq!(
        model.estimate_cardinality(&OperatorNode::hnsw_scan(0, "i", 64), &CostContext::default()),
        64
    );
}

/// Twice the chip's cost.
struct Slow;

impl CostModel for Slow {
    fn estimate_cost(&self, _: &OperatorNode, context: &CostContext) -> f64 {
        1.0 + context.rows()
    }

    fn platform_overhead(&self) -> f64 {
        2.0
    }
}

#[test]
fn a_graph_takes_self_costs_from_its_model() {
    let mut dag = QueryDag::with_cost_model(Box::new(Slow));
    let scan = dag.add_node(OperatorNode::seq_scan(0, "users").with_estimate(10.0, 0.0, 55.0));
    let filter = dag.add_node(OperatorNode::filter(1, "age > 18").with_estimate(3.0, 0.0, 55.0));
    dag.add_edge(scan, filter).expect("new edge");
    assert_eq!((dag.self_cost(scan), dag.self_cost(filter)), (2.0, 22.0));
    assert_eq!(dag.critical_path().cost, 24.0);
    assert_eq!(dag.critical_path().operators, [OperatorId(0), OperatorId(1)]);
}

proptest! {
    #[test]
    fn costs_are_finite_not_negative_and_grow_with_the_input(
        parts in arbitrary::parts(1),
        rows in 1.0..1e9,
        inputs in 0usize..3,
    ) {
        let mut node = parts.dag().nodes().next().expect("one operator").clone();
        node.width %= 10_000;
        for model in models() {
            let cost = |rows: f64| {
                let node = node.clone().with_estimate(rows, 0.0, 0.0);
                let inputs = vec![Input { rows, width: node.width }; inputs];
                model.estimate_cost(&node, &CostContext { inputs: &inputs })
            };
            let (one, two) = (cost(rows), cost(2.0 * rows));
            prop_assert!(one.is_finite() && one >= 0.0, "{:?}: {}", node.operator_type, one);
            prop_assert!(two >= one, "{:?}: {} after {}", node.operator_type, two, one);
        }
    }
}

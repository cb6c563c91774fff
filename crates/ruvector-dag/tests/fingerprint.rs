//! What fingerprints depend on, and values that must never change.

use proptest::prelude::*;
use ruvector_dag::{ClauseKind, OperatorNode, OperatorType, QueryDag};

mod arbitrary;

/// `orders ⋈ items`, filtered.
fn join(outer: &str, inner: &str, literal: &str) -> QueryDag {
    let mut dag = QueryDag::new();
    let outer = dag.add_node(OperatorNode::seq_scan(0, outer).with_clause(ClauseKind::Filter, literal));
    let inner = dag.add_node(OperatorNode::new(1, OperatorType::IndexScan).with_relation(inner));
    let join = dag.add_node(OperatorNode::new(2, OperatorType::NestedLoop).with_join_type("Inner"));
    dag.add_edge(outer, join).expect("new edge");
    dag.add_edge(inner, join).expect("new edge");
    dag
}

fn all(dag: &QueryDag) -> [u64; 3] {
    [
        dag.shape_fingerprint(),
        dag.relations_fingerprint(),
        dag.literal_fingerprint(),
    ]
}

const KNOWN_EMPTY: [&str; 3] = ["ba8894fa3be59747"; 3];
const KNOWN_JOIN: [&str; 3] = ["96023f617e5722c1", "5f2b4c34d8e0b249", "8256d9ecaf3b0b39"];

#[test]
fn known_values_stay() {
    let print = |dag: &QueryDag| all(dag).map(|value| format!("{value:016x}"));
    assert_eq!(print(&QueryDag::new()), KNOWN_EMPTY);
    assert_eq!(print(&join("orders", "items", "(total > 5)")), KNOWN_JOIN);
}

#[test]
fn each_fingerprint_sees_its_own_details() {
    let [shape, relations, literals] = all(&join("orders", "items", "(total > 5)"));
    let other_literal = all(&join("orders", "items", "(total > 6)"));
    assert_eq!(other_literal[..2], [shape, relations]);
    assert_ne!(other_literal[2], literals);
    let other_relation = all(&join("orders", "users", "(total > 5)"));
    assert_eq!(other_relation[0], shape);
    assert_ne!(other_relation[1], relations);
    assert_ne!(other_relation[2], literals);
}

#[test]
fn outer_and_inner_are_different() {
    let mut swapped = join("orders", "items", "(total > 5)");
    let ids: Vec<_> = swapped.nodes().map(|node| node.id).collect();
    swapped.remove_edge(ids[0], ids[2]).expect("is there");
    swapped.add_edge(ids[0], ids[2]).expect("new edge");
    let straight = all(&join("orders", "items", "(total > 5)"));
    assert!(all(&swapped).iter().zip(&straight).all(|(a, b)| a != b));
}

#[test]
fn join_types_are_part_of_the_shape() {
    let mut dag = join("orders", "items", "(total > 5)");
    let before = dag.shape_fingerprint();
    dag.add_node(OperatorNode::new(2, OperatorType::NestedLoop).with_join_type("Semi"));
    assert_ne!(dag.shape_fingerprint(), before);
}

#[test]
fn a_shared_subplan_differs_from_two_equal_ones() {
    let build = |shared: bool| {
        let mut dag = QueryDag::new();
        let first = dag.add_node(OperatorNode::seq_scan(0, "t"));
        let (a, b) = (
            dag.add_node(OperatorNode::filter(1, "x")),
            dag.add_node(OperatorNode::filter(2, "x")),
        );
        let second = if shared {
            first
        } else {
            dag.add_node(OperatorNode::seq_scan(4, "t"))
        };
        let top = dag.add_node(OperatorNode::new(3, OperatorType::Append));
        for (from, to) in [(first, a), (second, b), (a, top), (b, top)] {
            dag.add_edge(from, to).expect("new edge");
        }
        dag.shape_fingerprint()
    };
    assert_ne!(build(true), build(false));
}

proptest! {
    #[test]
    fn numbers_and_places_of_operators_do_not_count(
        parts in arbitrary::parts(10),
        order in Just((0..10usize).collect::<Vec<_>>()).prop_shuffle(),
        numbers in Just((0..10u32).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let places: Vec<usize> = order.into_iter().filter(|&place| place < parts.nodes.len()).collect();
        let renumbered = parts.build(&places, |place| numbers[place] * 1000);
        prop_assert_eq!(all(&renumbered), all(&parts.dag()));
    }

    #[test]
    fn rows_and_costs_do_not_count(parts in arbitrary::parts(6), rows in 0.0..1e9) {
        let mut other = parts.clone();
        other.nodes.iter_mut().for_each(|node| (node.rows, node.total_cost, node.actual_rows) = (rows, rows, Some(rows)));
        prop_assert_eq!(all(&other.dag()), all(&parts.dag()));
    }

    #[test]
    fn another_operator_type_is_another_shape(parts in arbitrary::parts(8), place in 0usize..8, kind in 0..OperatorType::ALL.len()) {
        let mut other = parts.clone();
        let node = &mut other.nodes[place % parts.nodes.len()];
        let before = node.operator_type;
        node.operator_type = OperatorType::ALL[kind];
        prop_assert_eq!(other.dag().shape_fingerprint() == parts.dag().shape_fingerprint(), before == OperatorType::ALL[kind]);
    }
}

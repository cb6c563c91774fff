//! The graph's structure against petgraph, and its order against definitions.

use petgraph::algo::{has_path_connecting, is_cyclic_directed, toposort};
use petgraph::graphmap::DiGraphMap;
use proptest::prelude::*;
use ruvector_dag::{Drawing, Error, OperatorId, OperatorNode, OperatorType, QueryDag};
use std::collections::HashSet;

mod arbitrary;

/// A change of a graph of a few operators.
#[derive(Debug, Clone)]
enum Change {
    AddNode(u32),
    RemoveNode(u32),
    AddEdge(u32, u32),
    RemoveEdge(u32, u32),
}

fn change() -> impl Strategy<Value = Change> {
    let id = 0u32..12;
    prop_oneof![
        3 => id.clone().prop_map(Change::AddNode),
        1 => id.clone().prop_map(Change::RemoveNode),
        8 => (id.clone(), id.clone()).prop_map(|(from, to)| Change::AddEdge(from, to)),
        1 => (id.clone(), id).prop_map(|(from, to)| Change::RemoveEdge(from, to)),
    ]
}

/// What petgraph makes of the change, and whether it is allowed.
fn apply_to_oracle(oracle: &mut DiGraphMap<u32, ()>, change: &Change) -> bool {
    match *change {
        Change::AddNode(id) => {
            let is_new = !oracle.contains_node(id);
            oracle.add_node(id);
            is_new
        }
        Change::RemoveNode(id) => oracle.remove_node(id),
        Change::AddEdge(from, to) => {
            let is_known = oracle.contains_node(from) && oracle.contains_node(to);
            if !is_known || oracle.contains_edge(from, to) {
                return false;
            }
            oracle.add_edge(from, to, ());
            let closes_cycle = is_cyclic_directed(&*oracle);
            if closes_cycle {
                oracle.remove_edge(from, to);
            }
            !closes_cycle
        }
        Change::RemoveEdge(from, to) => oracle.remove_edge(from, to).is_some(),
    }
}

fn apply(dag: &mut QueryDag, change: &Change) -> Result<(), Error> {
    match *change {
        Change::AddNode(id) => dag
            .try_add_node(OperatorNode::new(id, OperatorType::Append))
            .map(drop),
        Change::RemoveNode(id) => dag.remove_node(OperatorId(id)).map(drop),
        Change::AddEdge(from, to) => dag.add_edge(OperatorId(from), OperatorId(to)),
        Change::RemoveEdge(from, to) => dag.remove_edge(OperatorId(from), OperatorId(to)),
    }
}

fn is_topological(dag: &QueryDag, order: &[OperatorId]) -> bool {
    let place = |id| order.iter().position(|&other| other == id);
    order.len() == dag.len() && dag.edges().all(|(from, to)| place(from) < place(to))
}

/// The costliest way that ends at an operator, by definition.
fn costliest(dag: &QueryDag, id: OperatorId) -> f64 {
    dag.self_cost(id)
        + dag
            .inputs(id)
            .map(|input| costliest(dag, input))
            .fold(0.0, f64::max)
}

fn longest(dag: &QueryDag, id: OperatorId) -> usize {
    dag.inputs(id)
        .map(|input| longest(dag, input) + 1)
        .max()
        .unwrap_or(0)
}

proptest! {
    #[test]
    fn a_stream_of_changes_gives_what_petgraph_gives(changes in proptest::collection::vec(change(), 1..120)) {
        let (mut dag, mut oracle) = (QueryDag::new(), DiGraphMap::new());
        for change in &changes {
            let allowed = apply_to_oracle(&mut oracle, change);
            let result = apply(&mut dag, change);
            prop_assert_eq!(result.is_ok(), allowed, "{:?}: {:?}", change, result);
        }
        let edges: HashSet<(u32, u32)> = dag.edges().map(|(from, to)| (from.0, to.0)).collect();
        prop_assert_eq!(edges, oracle.all_edges().map(|(from, to, ())| (from, to)).collect::<HashSet<_>>());
        prop_assert!(toposort(&oracle, None).is_ok());
        prop_assert!(is_topological(&dag, &dag.topological_order()));
        for a in oracle.nodes() {
            let ancestors: HashSet<u32> = dag.ancestors(OperatorId(a)).iter().map(|id| id.0).collect();
            let descendants: HashSet<u32> = dag.descendants(OperatorId(a)).iter().map(|id| id.0).collect();
            for b in oracle.nodes().filter(|&b| b != a) {
                prop_assert_eq!(ancestors.contains(&b), has_path_connecting(&oracle, b, a, None));
                prop_assert_eq!(descendants.contains(&b), has_path_connecting(&oracle, a, b, None));
            }
            prop_assert!(!ancestors.contains(&a));
        }
    }

    #[test]
    fn critical_path_and_depths_are_the_longest_ways(parts in arbitrary::parts(9), costs in proptest::collection::vec(0.0..1e6, 9)) {
        let mut parts = parts;
        parts.nodes.iter_mut().zip(costs).for_each(|(node, cost)| node.total_cost = cost);
        let dag = parts.dag();
        let path = dag.critical_path();
        let best = dag.sinks().map(|sink| costliest(&dag, sink)).fold(0.0, f64::max);
        prop_assert!((path.cost - best).abs() <= 1e-9 * best.max(1.0), "{} instead of {}", path.cost, best);
        let sum: f64 = path.operators.iter().map(|&id| dag.self_cost(id)).sum();
        prop_assert!((path.cost - sum).abs() <= 1e-9 * best.max(1.0));
        prop_assert!(path.operators.windows(2).all(|pair| dag.inputs(pair[1]).any(|input| input == pair[0])));
        for (id, depth) in dag.depths() {
            prop_assert_eq!(depth, longest(&dag, id));
        }
        for (id, cost) in dag.self_costs() {
            prop_assert_eq!(cost, dag.self_cost(id));
        }
    }

    #[test]
    fn sources_and_sinks_are_the_ends(parts in arbitrary::parts(12)) {
        let dag = parts.dag();
        for id in dag.nodes().map(|node| node.id) {
            prop_assert_eq!(dag.sources().any(|source| source == id), dag.edges().all(|(_, to)| to != id));
            prop_assert_eq!(dag.sinks().any(|sink| sink == id), dag.edges().all(|(from, _)| from != id));
        }
    }
}

#[test]
fn an_operator_number_is_given_once() {
    let mut dag = QueryDag::new();
    let id = dag.add_node(OperatorNode::seq_scan(7, "users"));
    assert_eq!(
        dag.try_add_node(OperatorNode::new(7, OperatorType::Sort)),
        Err(Error::DuplicateOperator { given: id })
    );
    let sort = dag.add_node(OperatorNode::new(8, OperatorType::Sort));
    dag.add_edge(id, sort).expect("new edge");
    dag.add_node(OperatorNode::seq_scan(7, "orders"));
    assert_eq!(
        dag.node(id).and_then(|node| node.relation.as_deref()),
        Some("orders")
    );
    assert_eq!(dag.inputs(sort).collect::<Vec<_>>(), [id]);
}

#[test]
fn numbers_no_plan_can_have_are_refused_or_forgotten() {
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        let node = OperatorNode::seq_scan(0, "users")
            .with_estimate(5.0, 0.0, bad)
            .with_actual(bad, 1.0);
        let mut dag = QueryDag::new();
        assert!(matches!(
            dag.try_add_node(node.clone()),
            Err(Error::InvalidNumber {
                field: "total_cost",
                ..
            })
        ));
        let id = dag.add_node(node);
        let kept = dag.node(id).expect("added");
        assert_eq!(
            (kept.rows, kept.total_cost, kept.actual_rows, kept.loops),
            (5.0, 0.0, None, Some(1.0))
        );
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let mut dag = QueryDag::new();
    let (a, b) = (
        dag.add_node(OperatorNode::seq_scan(0, "a")),
        dag.add_node(OperatorNode::filter(1, "x > 1")),
    );
    let nobody = OperatorId(9);
    assert_eq!(
        dag.add_edge(a, nobody),
        Err(Error::UnknownOperator { given: nobody })
    );
    assert_eq!(dag.remove_edge(a, b), Err(Error::UnknownEdge { from: a, to: b }));
    assert_eq!(dag.add_edge(a, a), Err(Error::Cycle { from: a, to: a }));
    dag.add_edge(a, b).expect("new edge");
    assert_eq!(dag.add_edge(a, b), Err(Error::DuplicateEdge { from: a, to: b }));
    assert_eq!(dag.add_edge(b, a), Err(Error::Cycle { from: b, to: a }));
    assert_eq!(
        dag.add_edge(b, a).expect_err("a cycle").to_string(),
        "an edge from operator 1 to operator 0 would close a cycle"
    );
    assert_eq!(dag.self_cost(nobody), 0.0);
}

/// A chain of `length` operators, built upward or downward.
fn chain(length: u32, upward: bool) -> QueryDag {
    let mut dag = QueryDag::new();
    for id in 0..length {
        dag.add_node(OperatorNode::new(id, OperatorType::Materialize).with_estimate(1.0, 0.0, f64::from(id)));
    }
    let edges: Vec<u32> = if upward {
        (1..length).collect()
    } else {
        (1..length).rev().collect()
    };
    edges.into_iter().for_each(|id| {
        dag.add_edge(OperatorId(id - 1), OperatorId(id))
            .expect("new edge")
    });
    dag
}

#[test]
fn a_chain_of_ten_thousand_needs_no_stack() {
    for upward in [true, false] {
        let dag = chain(10_000, upward);
        assert_eq!(dag.depth(), 9_999);
        assert_eq!(dag.topological_order().last(), Some(&OperatorId(9_999)));
        assert_eq!(dag.critical_path().cost, 9_999.0);
        assert_eq!(dag.ancestors(OperatorId(9_999)).len(), 9_999);
        assert_eq!(dag.descendants(OperatorId(0)).len(), 9_999);
        let copy = QueryDag::from_binary(&dag.to_binary()).expect("its own form");
        assert_eq!(copy.literal_fingerprint(), dag.literal_fingerprint());
        assert_eq!(QueryDag::from_json(&dag.to_json()).expect("its own form"), dag);
    }
}

#[test]
fn drawings_name_every_operator_and_edge() {
    let mut dag = QueryDag::new();
    let scan = dag.add_node(OperatorNode::hnsw_scan(0, "odd\"name<", 64).with_relation("docs"));
    let limit = dag.add_node(OperatorNode::new(1, OperatorType::Limit));
    dag.add_edge(scan, limit).expect("new edge");
    let dot = dag.to_dot();
    assert!(dot.contains(
        "n0 [label=\"HNSW Scan using odd\\\"name< on docs\"];\n  n1 [label=\"Limit\"];\n  n0 -> n1;"
    ));
    let mermaid = dag.to_mermaid();
    assert!(
        mermaid.contains("n0[\"HNSW Scan using odd#quot;name#lt; on docs\"]\n  n1[\"Limit\"]\n  n0 --> n1")
    );
}

/// Two scans joined, the inner one also read by a subplan.
fn drawn() -> QueryDag {
    let mut dag = QueryDag::new();
    let outer = dag.add_node(OperatorNode::new(0, OperatorType::SeqScan).with_relation("orders & co"));
    let inner = dag.add_node(OperatorNode::new(1, OperatorType::CteScan).with_relation("shared"));
    let join = dag.add_node(OperatorNode::new(2, OperatorType::HashJoin));
    let top = dag.add_node(OperatorNode::new(3, OperatorType::NestedLoop));
    for (from, to) in [(outer, join), (inner, join), (join, top), (inner, top)] {
        dag.add_edge(from, to).expect("new edge");
    }
    dag
}

#[test]
fn a_drawing_with_weights_shows_them() {
    let dag = drawn();
    let notes = [
        String::new(),
        "3 \"rows\"".to_owned(),
        String::new(),
        String::new(),
    ];
    let drawing = Drawing::new(&dag)
        .with_weights(&[0.5, 0.25, 0.25, 0.0])
        .with_notes(&notes);
    assert!(drawing.dot().contains("weight 0.500\", fillcolor=\"#ff8c3c\""));
    assert!(drawing.dot().contains("3 \\\"rows\\\""));
    assert!(drawing.mermaid().contains("style n0 fill:#ff8c3c"));
    let json: serde_json::Value = serde_json::from_str(&drawing.json()).expect("JSON");
    assert_eq!(json["operators"][1]["weight"], 0.25);
    assert_eq!(json["edges"].as_array().map(Vec::len), Some(4));
    let ascii = drawing.ascii();
    assert_eq!(
        ascii,
        "0.000            Nested Loop\n\
         0.250 ###          -> Hash Join\n\
         0.500 #####          -> Seq Scan on orders & co\n\
         0.250 ###            -> CTE Scan on shared  (3 \"rows\")\n\
         0.250 ###          -> CTE Scan on shared  (3 \"rows\")  (shared, see above)\n"
    );
}

#[test]
fn boxes_of_a_picture_do_not_overlap() {
    let dag = drawn();
    let svg = Drawing::new(&dag).with_weights(&[0.5, 0.25, 0.25, 0.0]).svg();
    assert!(svg.contains("orders &amp; co"));
    let number = |text: &str, name: &str| -> f64 {
        let from = text.find(name).expect("the attribute") + name.len();
        text[from..]
            .split('"')
            .next()
            .and_then(|value| value.parse().ok())
            .expect("a number")
    };
    let boxes: Vec<(f64, f64)> = svg
        .lines()
        .filter(|line| line.starts_with("<g>"))
        .map(|line| (number(line, " x=\""), number(line, " y=\"")))
        .collect();
    assert_eq!(boxes.len(), 4);
    for (at, a) in boxes.iter().enumerate() {
        for b in &boxes[..at] {
            assert!(
                (a.0 - b.0).abs() >= 210.0 || (a.1 - b.1).abs() >= 62.0,
                "{a:?} {b:?}"
            );
        }
    }
    assert!(
        boxes[3].1 < boxes[2].1 && boxes[2].1 < boxes[0].1,
        "data flows up: {boxes:?}"
    );
}

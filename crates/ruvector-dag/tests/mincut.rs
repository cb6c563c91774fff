//! The minimum cut against petgraph's maximum flow, on graphs and on streams of changes.

mod network;

use network::{Network, Random, SHAPES};
use ruvector_dag::mincut::{DagMinCutEngine, LocalKCut};
use ruvector_dag::{Error, OperatorId, OperatorNode, OperatorType, QueryDag};
use std::sync::{Arc, Mutex};

fn assert_exact(engine: &DagMinCutEngine, network: &Network, what: &str) {
    let expected = network.cut_value() as f64;
    assert_eq!(engine.cut_value(), expected, "{what}: {network:?}");
    let cut = engine.min_cut();
    assert_eq!(cut.value, expected, "{what}");
    assert!(network.is_cut_by(&cut), "{what}: {cut:?} of {network:?}");
}

/// An engine built from a plan of that shape, with the network's capacities set afterwards.
fn built_from_dag(network: &Network) -> DagMinCutEngine {
    let mut dag = QueryDag::new();
    for node in 0..network.nodes {
        dag.add_node(OperatorNode::new(node, OperatorType::Append));
    }
    for &(from, to) in network.edges.keys() {
        dag.add_edge(OperatorId(from), OperatorId(to)).expect("a new edge");
    }
    let mut engine = DagMinCutEngine::new();
    engine.build_from_dag(&dag);
    for (&(from, to), &capacity) in &network.edges {
        engine
            .update_edge(OperatorId(from), OperatorId(to), capacity as f64)
            .expect("an edge of the plan");
    }
    engine
}

#[test]
fn cut_equals_max_flow_on_random_dags() {
    let mut random = Random(1);
    for case in 0..10_400 {
        let nodes = 1 + random.below(40);
        let network = Network::random(case % SHAPES, nodes, &mut random);
        let engine = if case / SHAPES % 2 == 0 { network.engine() } else { built_from_dag(&network) };
        assert_exact(&engine, &network, &format!("case {case}"));
    }
}

/// Makes one change of any kind, in the engine and in the network.
fn change(engine: &mut DagMinCutEngine, network: &mut Network, random: &mut Random) {
    let edges: Vec<(u32, u32)> = network.edges.keys().copied().collect();
    let (a, b) = (random.below(network.nodes), random.below(network.nodes));
    let kind = random.below(10);
    if kind < 6 && !edges.is_empty() {
        let (from, to) = edges[random.below(edges.len() as u32) as usize];
        network.insert(from, to, random);
        let capacity = network.edges[&(from, to)] as f64;
        let value = engine.update_edge(OperatorId(from), OperatorId(to), capacity);
        assert_eq!(value, Ok(engine.cut_value()));
    } else if kind < 8 && a != b {
        let (from, to) = (a.max(b), a.min(b));
        let is_new = !network.edges.contains_key(&(from, to));
        let mut changed = network.clone();
        changed.insert(from, to, random);
        let capacity = changed.edges[&(from, to)] as f64;
        let value = engine.insert_edge(OperatorId(from), OperatorId(to), capacity);
        assert_eq!(value.is_ok(), is_new);
        if is_new {
            *network = changed;
        }
        // A way back would be a cycle.
        assert!(engine.insert_edge(OperatorId(to), OperatorId(from), 1.0).is_err());
    } else if !edges.is_empty() {
        let (from, to) = edges[random.below(edges.len() as u32) as usize];
        network.edges.remove(&(from, to));
        engine
            .remove_edge(OperatorId(from), OperatorId(to))
            .expect("an edge");
    }
}

#[test]
fn cut_equals_max_flow_after_each_of_1000_updates() {
    for shape in 0..SHAPES {
        for nodes in [12, 30] {
            let mut random = Random(u64::from(100 * shape + nodes));
            let mut network = Network::random(shape, nodes, &mut random);
            let mut engine = built_from_dag(&network);
            for update in 0..1000 {
                change(&mut engine, &mut network, &mut random);
                assert_exact(&engine, &network, &format!("shape {shape}, update {update}"));
            }
        }
    }
}

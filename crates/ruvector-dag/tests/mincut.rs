//! The minimum cut against petgraph's maximum flow, on graphs and on streams of changes.

mod max_flow;
mod network;

use network::{Network, Random, SHAPES};
use ruvector_dag::mincut::DagMinCutEngine;
use ruvector_dag::{Error, OperatorId, OperatorNode, OperatorType, QueryDag};

fn assert_exact(engine: &DagMinCutEngine, network: &Network, what: &str) {
    let expected = max_flow::cut_value(network) as f64;
    assert_eq!(engine.cut_value(), expected, "{what}: {network:?}");
    let cut = engine.min_cut();
    assert_eq!(cut.value, expected, "{what}");
    assert!(max_flow::is_cut(network, &cut), "{what}: {cut:?} of {network:?}");
}

/// An engine built from a plan of that shape, with the network's capacities set afterwards.
fn built_from_dag(network: &Network) -> DagMinCutEngine {
    let mut dag = QueryDag::new();
    for node in 0..network.nodes {
        dag.add_node(OperatorNode::new(node, OperatorType::Append));
    }
    for &(from, to) in network.edges.keys() {
        dag.add_edge(OperatorId(from), OperatorId(to))
            .expect("a new edge");
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
        // Full graphs have hundreds of edges, each of them a change: fewer of the large ones.
        let largest = if case % SHAPES == 7 && case % 64 != 7 {
            14
        } else {
            40
        };
        let nodes = 1 + random.below(largest);
        let network = Network::random(case % SHAPES, nodes, &mut random);
        let is_small = network.edges.len() <= 100;
        let engine = if is_small && (case / SHAPES).is_multiple_of(2) {
            network.engine()
        } else {
            built_from_dag(&network)
        };
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

/// The cut of a tree by the definition, operator by operator; edges lead to lower numbers.
fn tree_cut(consumers: &[Option<u32>], capacities: &[f64]) -> f64 {
    let mut arriving = vec![None; consumers.len()];
    for node in (1..consumers.len()).rev() {
        if let Some(consumer) = consumers[node] {
            let passed = arriving[node].unwrap_or(f64::INFINITY).min(capacities[node]);
            *arriving[consumer as usize].get_or_insert(0.0) += passed;
        }
    }
    let sinks = consumers
        .iter()
        .zip(&arriving)
        .filter(|(consumer, _)| consumer.is_none());
    sinks.filter_map(|(_, arriving)| *arriving).sum()
}

/// A tree of a shape: chain, left-deep, random, chain with branches.
fn consumer(shape: u32, node: u32, random: &mut Random) -> u32 {
    match shape {
        0 => node - 1,
        1 => node - 1 - (node + 1) % 2,
        2 => random.below(node),
        _ => node - 1 - random.below(node.min(4)),
    }
}

#[test]
fn large_trees_stay_exact_when_edges_move() {
    for shape in 0..4 {
        let mut random = Random(u64::from(shape));
        let nodes = 1000;
        let mut consumers = vec![None];
        consumers.extend((1..nodes).map(|node| Some(consumer(shape, node, &mut random))));
        let mut capacities: Vec<f64> = (0..nodes).map(|_| f64::from(random.below(1000))).collect();
        let mut engine = DagMinCutEngine::new();
        (0..nodes).for_each(|node| engine.insert_operator(OperatorId(node)).expect("new"));
        for node in 1..nodes {
            let to = consumers[node as usize].expect("a consumer");
            let capacity = capacities[node as usize];
            engine
                .insert_edge(OperatorId(node), OperatorId(to), capacity)
                .expect("new");
        }
        for _ in 0..1000 {
            let node = 1 + random.below(nodes - 1);
            let from = OperatorId(node);
            let old = consumers[node as usize];
            let capacity = f64::from(random.below(1000));
            match (old, random.below(3)) {
                (Some(to), 0) => {
                    engine.remove_edge(from, OperatorId(to)).expect("an edge");
                    consumers[node as usize] = None;
                }
                (Some(to), _) => {
                    _ = engine
                        .update_edge(from, OperatorId(to), capacity)
                        .expect("an edge")
                }
                (None, _) => {
                    let to = random.below(node);
                    engine
                        .insert_edge(from, OperatorId(to), capacity)
                        .expect("a new edge");
                    consumers[node as usize] = Some(to);
                }
            }
            capacities[node as usize] = capacity;
            assert_eq!(
                engine.cut_value(),
                tree_cut(&consumers, &capacities),
                "shape {shape}"
            );
        }
    }
}

#[test]
fn capacities_of_any_size_keep_the_cut_to_fifteen_digits() {
    for shape in 0..SHAPES {
        let mut random = Random(u64::from(shape));
        let network = Network::random(shape, 25, &mut random);
        let edges: Vec<(u32, u32)> = network.edges.keys().copied().collect();
        if edges.is_empty() {
            continue;
        }
        let mut engine = built_from_dag(&network);
        for _ in 0..2000 {
            let (from, to) = edges[random.below(edges.len() as u32) as usize];
            let exponent = f64::from(random.below(24)) - 8.0;
            let capacity = f64::from(1 + random.below(1_000_000)) / 3.0 * 10f64.powf(exponent);
            engine
                .update_edge(OperatorId(from), OperatorId(to), capacity)
                .expect("an edge");
        }
        // The same capacities without their history.
        let mut anew = built_from_dag(&network);
        for &(from, to) in &edges {
            let (from, to) = (OperatorId(from), OperatorId(to));
            let capacity = engine.edge_capacity(from, to).expect("an edge");
            anew.update_edge(from, to, capacity).expect("an edge");
        }
        let (old, new) = (engine.cut_value(), anew.cut_value());
        assert!((old - new).abs() <= 1e-14 * new, "shape {shape}: {old} and {new}");
        let cut = engine.min_cut();
        let capacities = cut
            .edges
            .iter()
            .map(|&(from, to)| engine.edge_capacity(from, to).expect("an edge"));
        let sum: f64 = capacities.sum();
        assert!(
            (sum - cut.value).abs() <= 1e-14 * sum,
            "shape {shape}: {sum} of {cut:?}"
        );
    }
}

#[test]
fn changes_together_are_the_changes_one_by_one() {
    let mut random = Random(5);
    for case in 0..200 {
        let network = Network::random(case % SHAPES, 30, &mut random);
        let (mut one_by_one, mut together) = (built_from_dag(&network), built_from_dag(&network));
        let mut changes = Vec::new();
        for &(from, to) in network.edges.keys() {
            let capacity = f64::from(random.below(50));
            changes.push((OperatorId(from), OperatorId(to), capacity));
            one_by_one
                .update_edge(OperatorId(from), OperatorId(to), capacity)
                .expect("an edge");
        }
        assert_eq!(together.update_edges(&changes), Ok(one_by_one.cut_value()));
        changes.push((OperatorId(0), OperatorId(99), 1.0));
        let unknown = Error::UnknownOperator {
            given: OperatorId(99),
        };
        assert_eq!(together.update_edges(&changes), Err(unknown));
        changes.pop();
        if let Some(&(from, to, capacity)) = changes.first() {
            // Nothing was changed; and of two changes of an edge the later counts.
            changes.insert(0, (from, to, capacity + 7.0));
            assert_eq!(together.cut_value(), one_by_one.cut_value());
            assert_eq!(together.update_edges(&changes), Ok(one_by_one.cut_value()));
            let missing = Error::UnknownEdge { from: to, to: from };
            changes.push((to, from, 1.0));
            assert_eq!(together.update_edges(&changes), Err(missing));
        }
    }
}

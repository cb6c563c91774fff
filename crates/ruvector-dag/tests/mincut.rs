//! The minimum cut against petgraph's maximum flow, on graphs and on streams of changes.

mod network;

use network::{Network, Random, SHAPES};
use ruvector_dag::mincut::DagMinCutEngine;
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
        let engine = if is_small && case / SHAPES % 2 == 0 {
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
    }
}

/// A chain 0 → 1 → 2 with a second scan, 3 → 1.
fn small() -> DagMinCutEngine {
    let mut engine = DagMinCutEngine::new();
    (0..4).for_each(|number| engine.insert_operator(OperatorId(number)).expect("new"));
    for (from, to, capacity) in [(0, 1, 5.0), (3, 1, 7.0), (1, 2, 20.0)] {
        engine
            .insert_edge(OperatorId(from), OperatorId(to), capacity)
            .expect("new");
    }
    engine
}

#[test]
fn cut_is_defined_without_edges_and_without_limits() {
    let mut engine = DagMinCutEngine::new();
    assert!(engine.is_empty());
    assert_eq!((engine.cut_value(), engine.min_cut().edges.len()), (0.0, 0));
    engine.insert_operator(OperatorId(u32::MAX)).expect("new");
    engine.build_from_dag(&QueryDag::new());
    assert_eq!(engine.cut_value(), 0.0);

    let mut engine = small();
    assert_eq!(engine.cut_value(), 12.0);
    assert_eq!(
        engine.update_edge(OperatorId(0), OperatorId(1), f64::INFINITY),
        Ok(20.0)
    );
    assert_eq!(
        engine.update_edge(OperatorId(1), OperatorId(2), f64::INFINITY),
        Ok(f64::INFINITY)
    );
    assert!(engine.min_cut().edges.is_empty());
    // A second consumer of the scan makes a shared part of the same.
    assert_eq!(
        engine.insert_edge(OperatorId(0), OperatorId(2), 3.0),
        Ok(f64::INFINITY)
    );
    assert_eq!(engine.update_edge(OperatorId(0), OperatorId(1), 4.0), Ok(14.0));
    assert_eq!(engine.update_edge(OperatorId(1), OperatorId(2), 0.0), Ok(3.0));
    assert_eq!(engine.remove_edge(OperatorId(0), OperatorId(2)), Ok(0.0));
}

#[test]
fn wrong_changes_are_refused_and_change_nothing() {
    let mut engine = small();
    let [a, b, c] = [0, 1, 2].map(OperatorId);
    let unknown = OperatorId(9);
    assert!(matches!(
        engine.update_edge(a, b, -1.0),
        Err(Error::InvalidCapacity { .. })
    ));
    assert!(matches!(
        engine.update_edge(a, b, f64::NAN),
        Err(Error::InvalidCapacity { .. })
    ));
    assert_eq!(
        engine.update_edge(a, c, 1.0),
        Err(Error::UnknownEdge { from: a, to: c })
    );
    assert_eq!(
        engine.update_edge(unknown, c, 1.0),
        Err(Error::UnknownOperator { given: unknown })
    );
    assert_eq!(
        engine.remove_edge(b, a),
        Err(Error::UnknownEdge { from: b, to: a })
    );
    assert_eq!(
        engine.insert_edge(a, b, 1.0),
        Err(Error::DuplicateEdge { from: a, to: b })
    );
    assert_eq!(
        engine.insert_edge(c, a, 1.0),
        Err(Error::Cycle { from: c, to: a })
    );
    assert_eq!(
        engine.insert_edge(a, a, 1.0),
        Err(Error::Cycle { from: a, to: a })
    );
    assert_eq!(
        engine.insert_operator(a),
        Err(Error::DuplicateOperator { given: a })
    );
    assert_eq!(engine.remove_operator(a), Err(Error::OperatorInUse { given: a }));
    assert_eq!((engine.cut_value(), engine.len()), (12.0, 4));
}

#[test]
fn operators_come_and_go() {
    let mut engine = small();
    let (scan, join) = (OperatorId(3), OperatorId(1));
    assert_eq!(engine.remove_edge(scan, join), Ok(5.0));
    engine.remove_operator(scan).expect("without edges");
    assert_eq!(engine.len(), 3);
    assert_eq!(
        engine.insert_edge(scan, join, 1.0),
        Err(Error::UnknownOperator { given: scan })
    );
    let distant = OperatorId(4_000_000_000);
    engine.insert_operator(distant).expect("new");
    assert_eq!(engine.insert_edge(distant, join, 2.0), Ok(7.0));
    // A second consumer builds all anew: the removed one must not come back.
    assert_eq!(engine.insert_edge(distant, OperatorId(2), 4.0), Ok(11.0));
    assert_eq!(engine.len(), 4);
    assert!(engine.edge_capacity(scan, join).is_err());
}

#[test]
fn subscribers_hear_of_each_change_of_the_value() {
    let mut engine = small();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let queue = Arc::clone(&heard);
    let subscription = engine.subscribe(move |signal| queue.lock().expect("no panic").push(*signal));
    let edge = (OperatorId(0), OperatorId(1));
    engine.update_edge(edge.0, edge.1, 6.0).expect("an edge");
    // Not the narrowest place: nothing to hear.
    engine
        .update_edge(OperatorId(1), OperatorId(2), 30.0)
        .expect("an edge");
    engine.remove_edge(edge.0, edge.1).expect("an edge");
    let signals: Vec<_> = heard.lock().expect("no panic").drain(..).collect();
    let values: Vec<_> = signals
        .iter()
        .map(|signal| (signal.before, signal.after))
        .collect();
    assert_eq!(values, [(12.0, 13.0), (13.0, 7.0)]);
    assert!(signals.iter().all(|signal| signal.edge == Some(edge)));
    engine.build_from_dag(&QueryDag::new());
    assert_eq!(heard.lock().expect("no panic").len(), 1);
    assert!(engine.unsubscribe(subscription) && !engine.unsubscribe(subscription));
    engine.insert_operator(OperatorId(0)).expect("new");
    assert_eq!(heard.lock().expect("no panic").len(), 1);
}

#[test]
fn analysis_names_the_operator_the_cut_lies_before() {
    // Two scans into a join that takes most of the time, one scan also into a second join.
    let mut dag = QueryDag::new();
    for (id, rows, cost) in [
        (0, 100.0, 1.0),
        (1, 100.0, 1.0),
        (2, 10.0, 100.0),
        (3, 1.0, 103.0),
    ] {
        dag.add_node(OperatorNode::new(id, OperatorType::Append).with_estimate(rows, 0.0, cost));
    }
    for (from, to) in [(0, 2), (1, 2), (2, 3), (1, 3)] {
        dag.add_edge(OperatorId(from), OperatorId(to)).expect("new");
    }
    let mut engine = DagMinCutEngine::new();
    engine.build_from_dag(&dag);
    let analysis = engine.analyze_bottlenecks(&dag);
    assert_eq!(analysis.cut, engine.min_cut());
    assert!(
        analysis
            .bottlenecks
            .iter()
            .any(|found| found.operator == OperatorId(2))
    );
    assert!(analysis.bottlenecks.is_sorted_by(|a, b| a.tension >= b.tension));
    let capacities: f64 = analysis.bottlenecks.iter().map(|found| found.capacity).sum();
    assert!((capacities - analysis.cut.value).abs() <= 1e-12 * capacities);
    assert_eq!(analysis.tensions.len(), 4);
    assert!(analysis.plan_tension >= analysis.tensions[2].1);
    // One way around from scan 1 to the join, none from scan 0.
    assert_eq!(engine.redundancy(OperatorId(1), OperatorId(2)), Ok(1));
    assert_eq!(engine.redundancy(OperatorId(0), OperatorId(2)), Ok(0));
}

#[test]
fn capacity_falls_with_the_time_per_row() {
    let cut = |cost: f64, rows: f64| {
        let mut dag = QueryDag::new();
        let scan = dag.add_node(OperatorNode::seq_scan(0, "t").with_estimate(rows, 0.0, 5.0));
        let sort =
            dag.add_node(OperatorNode::new(1, OperatorType::Sort).with_estimate(rows, 0.0, 5.0 + cost));
        dag.add_edge(scan, sort).expect("new");
        let mut engine = DagMinCutEngine::new();
        engine.build_from_dag(&dag);
        engine.cut_value()
    };
    assert!(cut(10.0, 100.0) > cut(11.0, 100.0));
    assert!(cut(10.0, 100.0) < cut(10.0, 110.0));
    assert!((cut(0.0, 100.0) - 1e6).abs() < 1e-3); // a nanosecond for each row
}

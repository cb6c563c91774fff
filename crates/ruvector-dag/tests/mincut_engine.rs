//! What the engine of the minimum cut promises besides the value: limits, errors, signals, bottlenecks.

use ruvector_dag::mincut::DagMinCutEngine;
use ruvector_dag::{Error, OperatorId, OperatorNode, OperatorType, QueryDag};
use std::sync::{Arc, Mutex};

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

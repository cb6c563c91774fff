//! The policy's triggers, each by itself and in their order.

use ruvector_dag::attention::{
    AttentionSelector, Choice, MechanismId, PlanSignals, SelectionPolicy, Trigger,
};
use ruvector_dag::{OperatorNode, OperatorType, QueryDag};

/// Signals that pull all triggers.
fn all() -> PlanSignals {
    PlanSignals {
        tension: 0.9,
        depth: 11,
        parallel_branches: 4,
        writes: true,
        is_time_correlated: true,
        ..PlanSignals::default()
    }
    .with_latencies(10.0, 21.0)
}

#[test]
fn triggers_have_an_order() {
    let policy = SelectionPolicy::default();
    let mut signals = all();
    assert_eq!(policy.suggest(&signals), MechanismId::MincutGated);
    signals.tension = policy.tension_threshold;
    assert_eq!(policy.suggest(&signals), MechanismId::CriticalPath);
    signals = signals.with_latencies(10.0, 20.0);
    assert_eq!(policy.suggest(&signals), MechanismId::HierarchicalLorentz);
    signals.depth = 10;
    assert_eq!(policy.suggest(&signals), MechanismId::ParallelBranch);
    signals.parallel_branches = 3;
    assert_eq!(policy.suggest(&signals), MechanismId::CausalCone);
    signals.writes = false;
    assert_eq!(policy.suggest(&signals), MechanismId::TemporalBtsp);
    signals = signals.with_time_correlation(false);
    assert_eq!(policy.suggest(&signals), MechanismId::Topological);
}

#[test]
fn what_is_no_number_pulls_no_trigger() {
    let signals = PlanSignals {
        tension: f64::NAN,
        ..PlanSignals::default()
    };
    for (p50, p99) in [(f64::NAN, 1.0), (1.0, f64::NAN), (0.0, 0.0)] {
        let signals = signals.with_latencies(p50, p99);
        assert_eq!(SelectionPolicy::default().trigger(&signals), Trigger::Default);
    }
}

fn chain(length: u32) -> QueryDag {
    let mut dag = QueryDag::new();
    let mut below = dag.add_node(OperatorNode::seq_scan(0, "t").with_estimate(10.0, 0.0, 10.0));
    for id in 1..length {
        let cost = 10.0 * f64::from(id + 1);
        let node = OperatorNode::new(id, OperatorType::Materialize).with_estimate(10.0, 0.0, cost);
        let above = dag.add_node(node);
        dag.add_edge(below, above).expect("a new edge");
        below = above;
    }
    dag
}

#[test]
fn a_plan_tells_its_depth_its_branches_and_its_writes() {
    assert_eq!(PlanSignals::of_plan(&QueryDag::new()), PlanSignals::default());
    let mut dag = chain(12);
    let signals = PlanSignals::of_plan(&dag);
    assert_eq!(
        (signals.depth, signals.parallel_branches, signals.writes),
        (11, 1, false)
    );
    let write = dag.add_node(OperatorNode::new(20, OperatorType::ModifyTable));
    for id in 21..25 {
        let scan = dag.add_node(OperatorNode::seq_scan(id, "u"));
        dag.add_edge(scan, write).expect("a new edge");
    }
    let signals = PlanSignals::of_plan(&dag);
    assert_eq!((signals.parallel_branches, signals.writes), (4, true));
}

#[test]
fn the_selector_starts_with_what_the_policy_suggests() {
    let selector = AttentionSelector::new();
    let policy = SelectionPolicy::default();
    let signals = PlanSignals {
        writes: true,
        ..PlanSignals::default()
    };
    // One in ten of the first choices is drawn.
    let first = (0..1_000).filter(|&pattern| {
        selector.select_by_policy(pattern, &policy, &signals) == Choice::Mechanism(MechanismId::CausalCone)
    });
    let count = first.count();
    assert!((880..960).contains(&count), "{count}");
}

#[test]
fn every_trigger_has_its_reason() {
    let triggers = [
        Trigger::Tension,
        Trigger::LatencyTail,
        Trigger::Depth,
        Trigger::ParallelBranches,
        Trigger::Writes,
        Trigger::Time,
        Trigger::Default,
    ];
    let reasons: std::collections::HashSet<_> = triggers.iter().map(|trigger| trigger.reason()).collect();
    let mechanisms: std::collections::HashSet<_> =
        triggers.iter().map(|trigger| trigger.mechanism()).collect();
    assert_eq!((reasons.len(), mechanisms.len()), (7, 7));
}

//! The laws of tension, for random plans.

use proptest::prelude::*;
use ruvector_dag::mincut::{plan_tension, tensions};
use ruvector_dag::{OperatorId, OperatorNode, OperatorType, QueryDag};

/// A tree whose operators take these times, in milliseconds or as costs, and misestimate by these factors.
fn plan(times: &[f64], q_errors: &[f64], is_measured: bool) -> QueryDag {
    let mut dag = QueryDag::new();
    let last = times.len() - 1;
    let consumer = |at: usize| (at + 1 + at % 3).min(last);
    let mut totals = times.to_vec();
    for (at, q_error) in q_errors.iter().enumerate() {
        if at < last {
            totals[consumer(at)] += totals[at];
        }
        let mut node = OperatorNode::new(at as u32, OperatorType::HashJoin)
            .with_estimate(10.0, 0.0, totals[at])
            .with_actual(10.0 * q_error, 1.0);
        node.actual_ms = is_measured.then_some(totals[at]);
        dag.add_node(node);
    }
    for at in 0..last {
        dag.add_edge(OperatorId(at as u32), OperatorId(consumer(at) as u32))
            .expect("new");
    }
    dag
}

/// Whole times, so that sums and differences are exact, and q-errors.
fn operators() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, usize, bool)> {
    let q_error = prop_oneof![Just(1.0), 1.0..1e6];
    let operator = (0u32..1000, q_error);
    (
        proptest::collection::vec(operator, 2..30),
        any::<usize>(),
        any::<bool>(),
    )
        .prop_map(|(operators, at, is_measured)| {
            let (times, q_errors): (Vec<f64>, Vec<f64>) = operators
                .into_iter()
                .map(|(time, q)| (f64::from(time), q))
                .unzip();
            let at = at % times.len();
            (times, q_errors, at, is_measured)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn tension_is_zero_for_equal_shares_and_right_estimates(
        time in 0u32..1_000_000, count in 1usize..60, is_measured: bool
    ) {
        let dag = plan(&vec![f64::from(time); count], &vec![1.0; count], is_measured);
        prop_assert_eq!(tensions(&dag), vec![0.0; count]);
        prop_assert_eq!(plan_tension(&dag), 0.0);
    }

    #[test]
    fn tension_of_an_operator_rises_strictly_with_its_share(
        (mut times, q_errors, at, is_measured) in operators(), more in 1u32..1000
    ) {
        // From an equal share upward: its time is at least the mean of the others'.
        let others = times.iter().sum::<f64>() - times[at];
        times[at] = times[at].max((others / (times.len() - 1) as f64).ceil());
        let before = tensions(&plan(&times, &q_errors, is_measured))[at];
        times[at] += f64::from(more);
        let after = tensions(&plan(&times, &q_errors, is_measured))[at];
        prop_assert!(if others > 0.0 { after > before } else { after >= before }, "{} and {}", before, after);
    }

    #[test]
    fn tension_of_a_plan_rises_strictly_with_its_largest_share(
        (mut times, q_errors, at, is_measured) in operators(), more in 1u32..1000
    ) {
        times[at] = times.iter().copied().fold(1.0, f64::max);
        let is_alone = times.iter().filter(|time| **time > 0.0).count() == 1;
        let before = plan_tension(&plan(&times, &q_errors, is_measured));
        times[at] += f64::from(more);
        let after = plan_tension(&plan(&times, &q_errors, is_measured));
        prop_assert!(if is_alone { after >= before } else { after > before }, "{} and {}", before, after);
    }

    #[test]
    fn tension_rises_strictly_with_the_misestimate(
        (times, mut q_errors, at, is_measured) in operators(), factor in 1.01..100.0
    ) {
        let before = plan(&times, &q_errors, is_measured);
        q_errors[at] *= factor;
        let after = plan(&times, &q_errors, is_measured);
        prop_assert!(tensions(&after)[at] > tensions(&before)[at]);
        prop_assert!(plan_tension(&after) > plan_tension(&before));
    }

    #[test]
    fn tension_is_from_0_to_1_and_the_plans_is_the_largest((times, q_errors, _, is_measured) in operators()) {
        let dag = plan(&times, &q_errors, is_measured);
        let plan_tension = plan_tension(&dag);
        prop_assert!((0.0..1.0).contains(&plan_tension));
        for tension in tensions(&dag) {
            prop_assert!((0.0..=plan_tension + 1e-12).contains(&tension));
        }
    }
}

#[test]
fn tension_is_defined_for_every_plan() {
    assert_eq!(
        (plan_tension(&QueryDag::new()), tensions(&QueryDag::new())),
        (0.0, vec![])
    );
    let huge = plan(&[f64::MAX / 8.0, 0.0, 1.0], &[1.0, f64::MAX / 100.0, 1.0], false);
    assert!(plan_tension(&huge) < 1.0 && tensions(&huge).iter().all(|tension| (0.0..1.0).contains(tension)));
    // One operator takes all of the time: there is still room for its misestimate.
    let alone = |q_error: f64| tensions(&plan(&[5.0], &[q_error], true))[0];
    assert!(alone(1.0) == 0.0 && alone(2.0) > 0.0 && alone(10.0) == 0.5);
}

fn timed(id: u32, operator_type: OperatorType, ms: f64, loops: f64) -> OperatorNode {
    let mut node = OperatorNode::new(id, operator_type).with_actual(0.0, loops);
    node.actual_ms = Some(ms);
    node
}

#[test]
fn time_of_several_processes_counts_once() {
    // Three processes scan for 9 ms each at the same time, and gathering takes 9 ms more.
    let mut dag = QueryDag::new();
    let scan = dag.add_node(timed(0, OperatorType::SeqScan, 9.0, 3.0));
    let mut gather = timed(1, OperatorType::Gather, 18.0, 1.0);
    gather.workers = 2;
    let gather = dag.add_node(gather);
    dag.add_edge(scan, gather).expect("new");
    assert_eq!(tensions(&dag), [0.0, 0.0]);
}

#[test]
fn time_of_a_cte_is_in_the_scan_that_reads_it() {
    // The CTE, its scan, and the join the CTE hangs under take 4 ms each.
    let mut dag = QueryDag::new();
    let join = dag.add_node(timed(0, OperatorType::NestedLoop, 12.0, 1.0));
    let cte = dag.add_node(timed(1, OperatorType::SeqScan, 4.0, 1.0));
    let scan = dag.add_node(timed(2, OperatorType::CteScan, 8.0, 1.0));
    for (from, to) in [(cte, join), (cte, scan), (scan, join)] {
        dag.add_edge(from, to).expect("new");
    }
    assert_eq!(tensions(&dag), [0.0, 0.0, 0.0]);
}

#[test]
fn what_never_ran_misestimates_nothing() {
    let mut dag = QueryDag::new();
    dag.add_node(
        OperatorNode::seq_scan(0, "t")
            .with_estimate(1000.0, 0.0, 1.0)
            .with_actual(0.0, 0.0),
    );
    assert_eq!(plan_tension(&dag), 0.0);
}

//! What operators spend by themselves: the time where it was measured, else the cost.
//!
//! When every operator has a measured time, an operator's is its time per execution times its executions, less that of
//! its inputs. Three things are put right: below a Gather, executions of several processes ran at the same time; the
//! time of a CTE is in that of the CTE Scan that reads it first; and what was never executed took no time. When any
//! time is missing, all operators count with their self cost, so that shares compare like with like.

use crate::{OperatorType, QueryDag};

/// Self times in milliseconds, or self costs in PostgreSQL's units, in the order of [`QueryDag::nodes`].
///
/// Complexity: O(V + E).
pub(super) fn self_times(dag: &QueryDag) -> Vec<f64> {
    let is_measured = !dag.is_empty() && dag.nodes().all(|node| node.actual_ms.is_some());
    if !is_measured {
        return dag.self_costs_by_position();
    }
    let totals = total_times(dag);
    let mut own = totals.clone();
    for (at, total) in totals.into_iter().enumerate() {
        if let Some(payer) = payer(dag, at) {
            own[payer] -= total;
        }
    }
    own.iter_mut().for_each(|time| *time = time.max(0.0));
    own
}

/// The time of each operator's executions, inputs included, as a clock on the wall shows it.
fn total_times(dag: &QueryDag) -> Vec<f64> {
    let processes = processes(dag);
    let time = |(at, node): (usize, &crate::OperatorNode)| {
        let loops = node.loops.unwrap_or(1.0);
        let at_once = processes.as_ref().map_or(1.0, |processes| processes[at]);
        node.actual_ms.unwrap_or(0.0) * (loops / at_once.min(loops).max(1.0))
    };
    dag.nodes().enumerate().map(time).collect()
}

/// How many processes run each operator; `None` when it is one everywhere.
fn processes(dag: &QueryDag) -> Option<Vec<f64>> {
    let gathers: Vec<f64> = dag
        .nodes()
        .map(|node| match node.operator_type {
            OperatorType::Gather | OperatorType::GatherMerge => f64::from(node.workers) + 1.0,
            _ => 1.0,
        })
        .collect();
    if gathers.iter().all(|&processes| processes == 1.0) {
        return None;
    }
    let mut processes = vec![1.0; dag.len()];
    for at in dag.order().into_iter().rev() {
        for &consumer in dag.consumer_positions(at) {
            processes[at] = gathers[consumer].max(processes[consumer]).max(processes[at]);
        }
    }
    Some(processes)
}

/// The consumer whose time holds that of the operator: the first CTE Scan that reads it, else the one it hangs under.
fn payer(dag: &QueryDag, at: usize) -> Option<usize> {
    let consumers = dag.consumer_positions(at);
    if let &[] | &[_] = consumers {
        return consumers.first().copied();
    }
    let key = |&consumer: &usize| {
        let node = dag.nodes().nth(consumer)?;
        Some((node.operator_type != OperatorType::CteScan, node.id))
    };
    consumers.iter().copied().min_by_key(key)
}

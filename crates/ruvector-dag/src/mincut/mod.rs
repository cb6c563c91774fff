//! Stage 3 of 9, mincut: stand-in for the coherence signal.

use crate::QueryDag;

/// Tension per operator: stand-in.
pub fn tensions(dag: &QueryDag) -> Vec<f64> {
    let costs: Vec<f64> = dag
        .self_costs_by_position()
        .into_iter()
        .map(|cost| cost.min(f64::MAX))
        .collect();
    let largest = costs.iter().copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    dag.nodes()
        .zip(costs)
        .map(|(node, cost)| {
            let q = node.q_error().unwrap_or(1.0);
            0.5 * (cost / largest) + 0.5 * (1.0 - 1.0 / q)
        })
        .collect()
}

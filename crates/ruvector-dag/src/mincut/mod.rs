//! Stand-in for the min-cut.

use crate::QueryDag;

/// Stand-in: half of the excess of the greatest share of the self cost.
pub fn plan_tension(dag: &QueryDag) -> f64 {
    let costs: Vec<f64> = dag.self_costs().into_iter().map(|(_, cost)| cost).collect();
    let total: f64 = costs.iter().sum();
    let greatest = costs.iter().fold(0.0, |a: f64, &b| a.max(b));
    if total > 0.0 { greatest / total } else { 0.0 }
}

//! Stand-in for the operator features.

use crate::{OperatorType, QueryDag};

const NUMBERS: usize = 9;
/// Numbers per operator.
pub const FEATURES: usize = NUMBERS + OperatorType::ALL.len();

/// The features of every operator, in the order of [`QueryDag::nodes`].
pub fn operator_features(dag: &QueryDag) -> Vec<[f32; FEATURES]> {
    let depths = dag.depths();
    let costs = dag.self_costs();
    dag.nodes()
        .zip(&depths)
        .zip(&costs)
        .map(|((node, (_, depth)), (_, cost))| {
            let mut features = [0.0; FEATURES];
            let scale = |number: f64| (number.ln_1p() / 20.0).min(4.0) as f32;
            let numbers = [
                scale(node.rows),
                scale(node.total_cost),
                scale(*cost),
                scale(f64::from(node.width)),
                scale(*depth as f64) * 4.0,
                scale(node.conditions() as f64),
                scale(node.startup_cost),
                f32::from(node.workers > 0),
                scale(node.q_error().unwrap_or(1.0) - 1.0),
            ];
            features[..NUMBERS].copy_from_slice(&numbers);
            let place = OperatorType::ALL
                .iter()
                .position(|kind| *kind == node.operator_type);
            if let Some(place) = place {
                features[NUMBERS + place] = 1.0;
            }
            features
        })
        .collect()
}

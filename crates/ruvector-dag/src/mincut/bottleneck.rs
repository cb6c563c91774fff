//! Bottlenecks: where the minimum cut lies, how narrow it is, and how tense the plan is there.

use super::tension::{plan_tension, tensions};
use super::{DagMinCutEngine, MinCut};
use crate::{OperatorId, QueryDag};
use std::collections::HashMap;

/// An operator the minimum cut lies before: all rows of its side pass it, and it needs long for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Bottleneck {
    /// The operator.
    pub operator: OperatorId,
    /// The capacities of its edges in the cut.
    pub capacity: f64,
    /// Its tension.
    pub tension: f64,
    /// The least number of ways around one of those edges; 0 when all it gets must come over one of them.
    pub redundancy: usize,
}

/// Where a plan hurts.
#[derive(Debug, Clone, PartialEq)]
pub struct BottleneckAnalysis {
    /// The minimum cut.
    pub cut: MinCut,
    /// The operators it lies before, those of the highest tension first.
    pub bottlenecks: Vec<Bottleneck>,
    /// The tension of each operator of the plan, in its order.
    pub tensions: Vec<(OperatorId, f64)>,
    /// The tension of the plan.
    pub plan_tension: f64,
    /// The least number of ways around an edge of the cut; 0 also when nothing is cut.
    pub redundancy: usize,
}

impl DagMinCutEngine {
    /// The cut as it is now, with the tensions of `dag`, the plan the engine was built from.
    ///
    /// Complexity: O(V + E), and for each edge of the cut with ways around it, those ways.
    pub fn analyze_bottlenecks(&self, dag: &QueryDag) -> BottleneckAnalysis {
        let cut = self.min_cut();
        let tensions: Vec<_> = dag.nodes().map(|node| node.id).zip(tensions(dag)).collect();
        let tension_of: HashMap<OperatorId, f64> = tensions.iter().copied().collect();
        let mut by_consumer = cut.edges.clone();
        by_consumer.sort_unstable_by_key(|&(from, to)| (to, from));
        let mut bottlenecks: Vec<Bottleneck> = by_consumer
            .chunk_by(|a, b| a.1 == b.1)
            .filter_map(|edges| {
                let operator = edges.first()?.1;
                let capacities = edges
                    .iter()
                    .map(|&(from, to)| self.edge_capacity(from, to).unwrap_or(0.0));
                Some(Bottleneck {
                    operator,
                    capacity: capacities.sum(),
                    tension: tension_of.get(&operator).copied().unwrap_or(0.0),
                    redundancy: self.least_redundancy(edges),
                })
            })
            .collect();
        bottlenecks.sort_by(|a, b| b.tension.total_cmp(&a.tension));
        BottleneckAnalysis {
            redundancy: bottlenecks
                .iter()
                .map(|found| found.redundancy)
                .min()
                .unwrap_or(0),
            plan_tension: plan_tension(dag),
            cut,
            bottlenecks,
            tensions,
        }
    }

    fn least_redundancy(&self, edges: &[(OperatorId, OperatorId)]) -> usize {
        let each = edges
            .iter()
            .map(|&(from, to)| self.redundancy(from, to).unwrap_or(0));
        each.min().unwrap_or(0)
    }
}

//! The edges of the minimum cut.
//!
//! From the sinks down, an operator of a tree is on the source's side when its edge takes less than what its inputs pass
//! on; then its edge is cut, and else the cut lies deeper. Hubs and passages are on the side their node of the shared
//! part's network is on.

use super::DagMinCutEngine;
use super::network::{Neighbours, SHARED, topological_order};
use super::shared_cut::Role;
use super::tree_cut::NONE;
use crate::OperatorId;

/// A minimum cut.
#[derive(Debug, Clone, PartialEq)]
pub struct MinCut {
    /// Its value: the sum of its edges' capacities.
    pub value: f64,
    /// Its edges, from the sources' side to the sinks', sorted. Without them no rows arrive. None when the value is
    /// infinite.
    pub edges: Vec<(OperatorId, OperatorId)>,
}

impl DagMinCutEngine {
    /// The minimum cut with its edges.
    ///
    /// Complexity: O(V + E); its value alone is [`DagMinCutEngine::cut_value`].
    pub fn min_cut(&self) -> MinCut {
        let value = self.cut_value();
        let mut edges = Vec::new();
        if value < f64::INFINITY {
            let is_source_side = self.sides();
            for edge in self.edges() {
                if is_source_side[edge.from as usize] && !is_source_side[edge.to as usize] {
                    let ends = (self.numbers[edge.from as usize], self.numbers[edge.to as usize]);
                    edges.extend(ends.0.zip(ends.1));
                }
            }
        }
        edges.sort_unstable();
        MinCut { value, edges }
    }

    /// For each place whether it is on the source's side.
    fn sides(&self) -> Vec<bool> {
        let nodes = self.numbers.len();
        let edges = self.edges();
        let inputs = Neighbours::of(nodes, edges.iter().map(|edge| (edge.to, edge.from)));
        let consumers = Neighbours::of(nodes, edges.iter().map(|edge| (edge.from, edge.to)));
        let order = topological_order(&inputs, &consumers, nodes);
        let (mut sides, arriving) = self.sides_of_shared_part();
        let arriving = self.arriving(&order, arriving);
        for &place in order.iter().rev() {
            let at = place as usize;
            let consumer = self.tree.consumer(place);
            if consumer < SHARED {
                sides[at] = sides[consumer as usize] || self.tree.capacity(place) < arriving[at];
            }
        }
        sides
    }

    /// The sides of hubs, and what arrives at places from the shared part: more than any edge takes where a passage
    /// begins on the source's side, and nothing where it begins on the sink's and is cut for what joins on the way.
    fn sides_of_shared_part(&self) -> (Vec<bool>, Vec<f64>) {
        let nodes = self.numbers.len();
        let (mut sides, mut arriving) = (vec![false; nodes], vec![0.0; nodes]);
        for (root, role) in self.shared.roles() {
            match role {
                Role::Hub { node, .. } => sides[root as usize] = self.shared.is_source_side(node),
                Role::Passage { node, begin, .. } if self.shared.is_source_side(node) => {
                    arriving[begin as usize] = f64::INFINITY;
                }
                Role::Passage { .. } => {}
            }
        }
        (sides, arriving)
    }

    /// What arrives at each place when the edge it leaves by is open.
    fn arriving(&self, order: &[u32], mut arriving: Vec<f64>) -> Vec<f64> {
        for &place in order {
            let at = place as usize;
            if self.inputs[at] == 0 {
                arriving[at] = f64::INFINITY;
            }
            let consumer = self.tree.consumer(place);
            if consumer != NONE && consumer != SHARED {
                arriving[consumer as usize] += self.tree.capacity(place).min(arriving[at]);
            }
        }
        arriving
    }
}

//! Order in a plan: topological order, depths, ancestors, the critical path.

use super::QueryDag;
use crate::OperatorId;
use std::collections::VecDeque;

/// The costliest way from a source to a sink.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticalPath {
    /// The operators on it, source first.
    pub operators: Vec<OperatorId>,
    /// The sum of their self costs.
    pub cost: f64,
}

impl QueryDag {
    /// The operators so that every input comes before its consumer (Kahn 1962); among those that are free, the one added
    /// first.
    ///
    /// Complexity: O(V + E) time, O(V) space.
    pub fn topological_order(&self) -> Vec<OperatorId> {
        self.order()
            .into_iter()
            .map(|position| self.nodes[position].id)
            .collect()
    }

    pub(crate) fn order(&self) -> Vec<usize> {
        let mut waiting_for: Vec<usize> = self.inputs.iter().map(Vec::len).collect();
        let mut free: VecDeque<usize> = (0..self.nodes.len()).filter(|&at| waiting_for[at] == 0).collect();
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some(position) = free.pop_front() {
            order.push(position);
            for &consumer in &self.consumers[position] {
                waiting_for[consumer] -= 1;
                if waiting_for[consumer] == 0 {
                    free.push_back(consumer);
                }
            }
        }
        order
    }

    /// An edge on a cycle, when a graph was put together unchecked: every operator that has no place in the order has
    /// an input without one, so following such inputs must come back to where it has been.
    pub(super) fn edge_on_cycle(&self) -> Option<(OperatorId, OperatorId)> {
        let mut is_free = vec![false; self.nodes.len()];
        self.order()
            .into_iter()
            .for_each(|position| is_free[position] = true);
        let mut seen = vec![false; self.nodes.len()];
        let mut at = is_free.iter().position(|free| !free)?;
        loop {
            let input = self.inputs[at].iter().copied().find(|&input| !is_free[input])?;
            if std::mem::replace(&mut seen[at], true) {
                return Some((self.nodes[input].id, self.nodes[at].id));
            }
            at = input;
        }
    }

    /// For each operator its distance from the farthest source, in edges.
    ///
    /// Complexity: O(V + E).
    pub fn depths(&self) -> Vec<(OperatorId, usize)> {
        let mut depths = vec![0; self.nodes.len()];
        for position in self.order() {
            depths[position] = self.inputs[position]
                .iter()
                .map(|&input| depths[input] + 1)
                .max()
                .unwrap_or(0);
        }
        self.nodes.iter().map(|node| node.id).zip(depths).collect()
    }

    /// The number of edges on the longest way.
    pub fn depth(&self) -> usize {
        self.depths()
            .into_iter()
            .map(|(_, depth)| depth)
            .max()
            .unwrap_or(0)
    }

    /// The operators whose rows arrive at `id`, directly or not, in no particular order.
    ///
    /// Complexity: O(V + E).
    pub fn ancestors(&self, id: OperatorId) -> Vec<OperatorId> {
        self.closure(&self.inputs, id)
    }

    /// The operators that the rows of `id` arrive at, directly or not, in no particular order.
    ///
    /// Complexity: O(V + E).
    pub fn descendants(&self, id: OperatorId) -> Vec<OperatorId> {
        self.closure(&self.consumers, id)
    }

    fn closure(&self, edges: &[Vec<usize>], id: OperatorId) -> Vec<OperatorId> {
        let Some(&start) = self.positions.get(&id) else {
            return Vec::new();
        };
        let mut seen = vec![false; self.nodes.len()];
        let mut open = edges[start].clone();
        let mut found = Vec::new();
        while let Some(position) = open.pop() {
            if !std::mem::replace(&mut seen[position], true) {
                found.push(self.nodes[position].id);
                open.extend(&edges[position]);
            }
        }
        found
    }

    /// The costliest way through the plan by self cost.
    ///
    /// Complexity: O(V + E).
    pub fn critical_path(&self) -> CriticalPath {
        let order = self.order();
        let mut costs = self.self_costs_by_position();
        let mut came_from: Vec<Option<usize>> = vec![None; self.nodes.len()];
        for &position in &order {
            let best = self.inputs[position]
                .iter()
                .copied()
                .max_by(|&a, &b| costs[a].total_cmp(&costs[b]));
            came_from[position] = best;
            costs[position] += best.map_or(0.0, |input| costs[input]);
        }
        let end = order
            .iter()
            .copied()
            .max_by(|&a, &b| costs[a].total_cmp(&costs[b]));
        let path = std::iter::successors(end, |&position| came_from[position]);
        let mut operators: Vec<OperatorId> = path.map(|position| self.nodes[position].id).collect();
        operators.reverse();
        CriticalPath {
            operators,
            cost: end.map_or(0.0, |position| costs[position]),
        }
    }
}

//! Stage 2 of 9, dag: a query plan as a graph.
//!
//! Edges run with the data: scan → … → result. A plan is a tree until subplans are shared: a CTE read twice is one node
//! with two consumers. Invariants: no cycles, operator numbers are unique, no edge is there twice, the inputs of an
//! operator keep their order (outer before inner), and all numbers are finite and not negative. No algorithm here
//! recurses, so that a chain may be as long as memory allows.

mod coded;
mod clause;
mod operator;
mod order;
mod self_cost;
mod fingerprint;
mod codec;
mod explain_json;
mod draw;

pub use clause::{Clause, ClauseKind};
pub use draw::Drawing;
pub use operator::{OperatorNode, OperatorType};
pub use order::CriticalPath;

use crate::cost::CostModel;
use crate::{Error, OperatorId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A query plan.
#[derive(Clone, Default)]
pub struct QueryDag {
    nodes: Vec<OperatorNode>,
    inputs: Vec<Vec<usize>>,
    consumers: Vec<Vec<usize>>,
    positions: HashMap<OperatorId, usize>,
    cost_model: Option<Arc<dyn CostModel>>,
}

impl std::fmt::Debug for QueryDag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryDag")
            .field("nodes", &self.nodes)
            .field("edges", &self.edges().collect::<Vec<_>>())
            .finish()
    }
}

/// Equal operators and edges; the cost model does not count.
impl PartialEq for QueryDag {
    fn eq(&self, other: &Self) -> bool {
        let sorted = |dag: &Self| {
            let mut nodes: Vec<_> = dag
                .nodes
                .iter()
                .map(|node| (node.clone(), dag.inputs(node.id).collect::<Vec<_>>()))
                .collect();
            nodes.sort_by_key(|(node, _)| node.id);
            nodes
        };
        sorted(self) == sorted(other)
    }
}

impl QueryDag {
    /// A graph without operators. Self costs are PostgreSQL's.
    pub fn new() -> Self {
        Self::default()
    }

    /// A graph whose self costs come from `model`.
    pub fn with_cost_model(model: Box<dyn CostModel>) -> Self {
        Self {
            cost_model: Some(model.into()),
            ..Self::default()
        }
    }

    /// Adds an operator and returns its number. An operator of the same number is replaced; it keeps its edges.
    /// Numbers that no plan can have (negative, infinite, not a number) count as unknown; [`QueryDag::try_add_node`]
    /// refuses them.
    pub fn add_node(&mut self, mut node: OperatorNode) -> OperatorId {
        let id = node.id;
        node.forget_invalid_numbers();
        match self.positions.get(&id) {
            Some(&position) => self.nodes[position] = node,
            None => self.push(node),
        }
        id
    }

    /// Adds an operator.
    ///
    /// # Errors
    /// [`Error::DuplicateOperator`], [`Error::InvalidNumber`].
    pub fn try_add_node(&mut self, mut node: OperatorNode) -> Result<OperatorId, Error> {
        let id = node.id;
        if self.positions.contains_key(&id) {
            return Err(Error::DuplicateOperator { given: id });
        }
        if let Some((field, given)) = node.invalid_number() {
            return Err(Error::InvalidNumber {
                operator: id,
                field,
                given,
            });
        }
        self.push(node);
        Ok(id)
    }

    fn push(&mut self, node: OperatorNode) {
        self.positions.insert(node.id, self.nodes.len());
        self.nodes.push(node);
        self.inputs.push(Vec::new());
        self.consumers.push(Vec::new());
    }

    /// The place of an operator in [`QueryDag::nodes`].
    pub(crate) fn position(&self, id: OperatorId) -> Result<usize, Error> {
        self.positions
            .get(&id)
            .copied()
            .ok_or(Error::UnknownOperator { given: id })
    }

    /// Adds an edge: rows go from `from` to `to`, as its last input so far.
    ///
    /// Complexity: O(inputs of `to`); when `to` has consumers and `from` has inputs, also the search for a cycle, which
    /// visits what `to` feeds.
    ///
    /// # Errors
    /// [`Error::UnknownOperator`], [`Error::DuplicateEdge`], [`Error::Cycle`].
    pub fn add_edge(&mut self, from: OperatorId, to: OperatorId) -> Result<(), Error> {
        let (source, target) = (self.position(from)?, self.position(to)?);
        if self.inputs[target].contains(&source) {
            return Err(Error::DuplicateEdge { from, to });
        }
        if self.reaches(target, source) {
            return Err(Error::Cycle { from, to });
        }
        self.inputs[target].push(source);
        self.consumers[source].push(target);
        Ok(())
    }

    /// Whether rows of `from` arrive at `to`.
    fn reaches(&self, from: usize, to: usize) -> bool {
        if from == to {
            return true;
        }
        if self.consumers[from].is_empty() || self.inputs[to].is_empty() {
            return false;
        }
        let mut seen = HashSet::new();
        let mut open = vec![from];
        while let Some(position) = open.pop() {
            if position == to {
                return true;
            }
            if seen.insert(position) {
                open.extend(&self.consumers[position]);
            }
        }
        false
    }

    /// A graph of these operators and edges. Checks everything once at the end, so that untrusted input costs no more
    /// than its size: O(V + E), where edge by edge it could be quadratic.
    fn from_parts(nodes: Vec<OperatorNode>, edges: Vec<(OperatorId, OperatorId)>) -> Result<Self, Error> {
        let mut dag = QueryDag::new();
        for node in nodes {
            dag.try_add_node(node)?;
        }
        let mut seen = HashSet::new();
        for (from, to) in edges {
            let (source, target) = (dag.position(from)?, dag.position(to)?);
            if !seen.insert((source, target)) {
                return Err(Error::DuplicateEdge { from, to });
            }
            dag.inputs[target].push(source);
            dag.consumers[source].push(target);
        }
        match dag.edge_on_cycle() {
            Some((from, to)) => Err(Error::Cycle { from, to }),
            None => Ok(dag),
        }
    }

    /// Removes an edge.
    ///
    /// # Errors
    /// [`Error::UnknownOperator`], [`Error::UnknownEdge`].
    pub fn remove_edge(&mut self, from: OperatorId, to: OperatorId) -> Result<(), Error> {
        let (source, target) = (self.position(from)?, self.position(to)?);
        let at = self.inputs[target].iter().position(|&input| input == source);
        self.inputs[target].remove(at.ok_or(Error::UnknownEdge { from, to })?);
        self.consumers[source].retain(|&consumer| consumer != target);
        Ok(())
    }

    /// Removes an operator with its edges and returns it.
    ///
    /// Complexity: O(V + E), since the others keep their order.
    ///
    /// # Errors
    /// [`Error::UnknownOperator`].
    pub fn remove_node(&mut self, id: OperatorId) -> Result<OperatorNode, Error> {
        let gone = self.position(id)?;
        for edges in self.inputs.iter_mut().chain(&mut self.consumers) {
            edges.retain(|&position| position != gone);
            edges
                .iter_mut()
                .filter(|position| **position > gone)
                .for_each(|position| *position -= 1);
        }
        self.inputs.remove(gone);
        self.consumers.remove(gone);
        self.positions.remove(&id);
        self.positions
            .values_mut()
            .filter(|position| **position > gone)
            .for_each(|position| *position -= 1);
        Ok(self.nodes.remove(gone))
    }

    /// Whether self costs come from elsewhere than PostgreSQL's totals.
    pub(crate) fn has_cost_model(&self) -> bool {
        self.cost_model.is_some()
    }

    /// The positions of the operators whose rows the one at `at` reads, outer before inner.
    pub(crate) fn input_positions(&self, at: usize) -> &[usize] {
        self.inputs.get(at).map_or(&[], Vec::as_slice)
    }

    /// The positions of the operators that read the rows of the one at `at`.
    pub(crate) fn consumer_positions(&self, at: usize) -> &[usize] {
        self.consumers.get(at).map_or(&[], Vec::as_slice)
    }

    /// The plan as it was before it ran: without what was counted and timed.
    pub fn as_planned(&self) -> Self {
        let mut planned = self.clone();
        for node in &mut planned.nodes {
            (node.actual_rows, node.loops, node.actual_ms) = (None, None, None);
            (node.shared_hit_blocks, node.shared_read_blocks) = (None, None);
        }
        planned
    }

    /// The number of operators.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no operators.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The operators, in the order they were added.
    pub fn nodes(&self) -> impl Iterator<Item = &OperatorNode> {
        self.nodes.iter()
    }

    /// The operator of this number.
    pub fn node(&self, id: OperatorId) -> Option<&OperatorNode> {
        self.positions.get(&id).map(|&position| &self.nodes[position])
    }

    /// The operator at a position that is there.
    pub(crate) fn node_at(&self, at: usize) -> &OperatorNode {
        &self.nodes[at]
    }

    fn neighbours<'d>(
        &'d self,
        edges: &'d [Vec<usize>],
        id: OperatorId,
    ) -> impl Iterator<Item = OperatorId> + 'd {
        let found = self.positions.get(&id).map(|&position| edges[position].iter());
        found
            .into_iter()
            .flatten()
            .map(|&position| self.nodes[position].id)
    }

    /// The operators whose rows `id` reads, outer before inner.
    pub fn inputs(&self, id: OperatorId) -> impl Iterator<Item = OperatorId> + '_ {
        self.neighbours(&self.inputs, id)
    }

    /// The operators that read the rows of `id`.
    pub fn consumers(&self, id: OperatorId) -> impl Iterator<Item = OperatorId> + '_ {
        self.neighbours(&self.consumers, id)
    }

    /// The edges, by the operator they lead to.
    pub fn edges(&self) -> impl Iterator<Item = (OperatorId, OperatorId)> + '_ {
        self.nodes
            .iter()
            .flat_map(|node| self.inputs(node.id).map(|input| (input, node.id)))
    }

    /// The operators without inputs.
    pub fn sources(&self) -> impl Iterator<Item = OperatorId> + '_ {
        self.nodes
            .iter()
            .filter(|node| self.inputs(node.id).next().is_none())
            .map(|node| node.id)
    }

    /// The operators without consumers.
    pub fn sinks(&self) -> impl Iterator<Item = OperatorId> + '_ {
        self.nodes
            .iter()
            .filter(|node| self.consumers(node.id).next().is_none())
            .map(|node| node.id)
    }
}

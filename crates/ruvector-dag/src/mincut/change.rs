//! Changes of the plan's structure: edges and operators that come and go.

use super::DagMinCutEngine;
use super::network::{Edge, SHARED};
use super::shared_cut::Role;
use super::tree_cut::NONE;
use crate::{Error, OperatorId};
use std::collections::HashSet;

impl DagMinCutEngine {
    /// Adds an operator without edges.
    ///
    /// Complexity: O(1) amortised.
    ///
    /// # Errors
    /// [`Error::DuplicateOperator`].
    pub fn insert_operator(&mut self, operator: OperatorId) -> Result<(), Error> {
        if self.places.find(operator).is_some() {
            return Err(Error::DuplicateOperator { given: operator });
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.numbers.push(None);
                self.inputs.push(0);
                self.tree.push(NONE, f64::INFINITY, true)
            }
        };
        self.numbers[place as usize] = Some(operator);
        self.places.put(operator, place);
        Ok(())
    }

    /// Removes an operator that has no edges.
    ///
    /// Complexity: O(1).
    ///
    /// # Errors
    /// [`Error::UnknownOperator`], [`Error::OperatorInUse`].
    pub fn remove_operator(&mut self, operator: OperatorId) -> Result<(), Error> {
        let place = self.place(operator)?;
        if !self.is_alone(place) {
            return Err(Error::OperatorInUse { given: operator });
        }
        self.numbers[place as usize] = None;
        self.places.remove(operator);
        self.free.push(place);
        Ok(())
    }

    /// Adds an edge and returns the value of the minimum cut.
    ///
    /// Complexity: O(log n) amortised when `from` had no consumer and is not fed by a shared part; else O(n log n).
    ///
    /// # Errors
    /// [`Error::InvalidCapacity`], [`Error::UnknownOperator`], [`Error::DuplicateEdge`], [`Error::Cycle`].
    pub fn insert_edge(&mut self, from: OperatorId, to: OperatorId, capacity: f64) -> Result<f64, Error> {
        let (source, target) = self.ends(from, to, capacity)?;
        if self.find_edge(source, target).is_some() {
            return Err(Error::DuplicateEdge { from, to });
        }
        let before = self.cut_value();
        let is_tree = self.tree.consumer(source) == NONE && self.shared.role(source).is_none();
        let is_free_of_cycles = if source == target {
            false
        } else if is_tree {
            self.link(source, target, capacity)
        } else {
            self.insert_shared(source, target, capacity)
        };
        if !is_free_of_cycles {
            return Err(Error::Cycle { from, to });
        }
        Ok(self.signal(before, Some((from, to))))
    }

    /// Links a root, which is no hub; tells whether it could, as no rows of `to` arrive at it.
    fn link(&mut self, from: u32, to: u32, capacity: f64) -> bool {
        let root = self.leave(to);
        if root == from {
            self.enter(to);
            return false;
        }
        self.leave(from);
        let inputs = &mut self.inputs[to as usize];
        *inputs += 1;
        self.tree.link(from, to, capacity, *inputs == 1);
        self.enter(to);
        true
    }

    fn insert_shared(&mut self, from: u32, to: u32, capacity: f64) -> bool {
        if self.inputs[from as usize] > 0 && self.reaches(to, from) {
            return false;
        }
        let mut edges = self.edges();
        edges.push(Edge { from, to, capacity });
        self.rebuild(&edges);
        true
    }

    /// The places an operator's rows go to.
    pub(super) fn consumers(&self, place: u32) -> impl Iterator<Item = (u32, f64)> + '_ {
        let consumer = self.tree.consumer(place);
        let single = Some((consumer, self.tree.capacity(place))).filter(|_| consumer < SHARED);
        let shared = self.shared.edges(place).iter();
        single
            .into_iter()
            .chain(shared.map(|edge| (edge.to, edge.capacity)))
    }

    /// Whether rows of `from` arrive at `to`.
    fn reaches(&self, from: u32, to: u32) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![from];
        while let Some(place) = open.pop() {
            if place == to {
                return true;
            }
            if seen.insert(place) {
                open.extend(self.consumers(place).map(|(consumer, _)| consumer));
            }
        }
        false
    }

    /// Removes an edge and returns the value of the minimum cut. What it fed may be a source from now on, and what fed
    /// it a sink, as if the plan had been built so.
    ///
    /// Complexity: O(log n) amortised in trees, also those that hang from a shared part; else O(n log n).
    ///
    /// # Errors
    /// [`Error::UnknownOperator`], [`Error::UnknownEdge`].
    pub fn remove_edge(&mut self, from: OperatorId, to: OperatorId) -> Result<f64, Error> {
        let (source, target) = (self.place(from)?, self.place(to)?);
        if self.find_edge(source, target).is_none() {
            return Err(Error::UnknownEdge { from, to });
        }
        let before = self.cut_value();
        if self.tree.consumer(source) == SHARED || !self.cut(source, target) {
            let mut edges = self.edges();
            edges.retain(|edge| (edge.from, edge.to) != (source, target));
            self.rebuild(&edges);
        }
        Ok(self.signal(before, Some((from, to))))
    }

    /// Cuts the edge of a forest; tells whether it could, as the edge is not part of a passage.
    fn cut(&mut self, from: u32, to: u32) -> bool {
        let root = self.leave(from);
        if let Some(Role::Passage { begin, .. }) = self.shared.role(root) {
            self.tree.expose(begin);
            if self.tree.is_same_path(from, begin) {
                return false;
            }
            self.tree.expose(from);
        }
        let inputs = &mut self.inputs[to as usize];
        *inputs -= 1;
        self.tree.cut(from, *inputs == 0);
        self.enter(from);
        self.enter(to);
        true
    }
}

//! Redundancy: how many ways lead around a cut.

use super::DagMinCutEngine;
use super::flow::{Flow, SINK, SOURCE};
use crate::{Error, OperatorId};
use std::collections::HashMap;

impl DagMinCutEngine {
    /// The number of edge-disjoint ways from `from` to the sinks that don't use the edge to `to`, by Menger's theorem a
    /// maximum flow over edges of capacity 1. It is 0 in a tree: what passes the edge can't go around it.
    ///
    /// Complexity: O(1) where `from` has no other consumer; else O(E) over what it feeds, for each way.
    ///
    /// # Errors
    /// [`Error::UnknownOperator`], [`Error::UnknownEdge`].
    pub fn redundancy(&self, from: OperatorId, to: OperatorId) -> Result<usize, Error> {
        let (source, target) = (self.place(from)?, self.place(to)?);
        self.find_edge(source, target)
            .ok_or(Error::UnknownEdge { from, to })?;
        if self.consumers(source).nth(1).is_none() {
            return Ok(0);
        }
        let mut nodes = HashMap::from([(source, SOURCE)]);
        let mut found = vec![source];
        let mut arcs = Vec::new();
        let mut done = 0;
        while let Some(&place) = found.get(done) {
            done += 1;
            let tail = nodes[&place];
            if self.consumers(place).next().is_none() {
                arcs.push((tail, SINK, f64::INFINITY));
            }
            for (consumer, _) in self.consumers(place) {
                if (place, consumer) == (source, target) {
                    continue;
                }
                let next = nodes.len() as u32 + 1;
                let head = *nodes.entry(consumer).or_insert_with(|| {
                    found.push(consumer);
                    next
                });
                arcs.push((tail, head, 1.0));
            }
        }
        let mut flow = Flow::new(nodes.len());
        for (tail, head, capacity) in arcs {
            flow.add_arc(tail, head, capacity);
        }
        flow.solve();
        Ok(flow.value() as usize)
    }
}

//! The shared part of a plan as a small flow network: hubs, and passages between them.
//!
//! A passage passes `x ↦ min(limit, own + x)`, whatever hangs from it; that is also what a node does that is fed `own`
//! by the source and has an edge of capacity `limit`. So the network has a node for each hub and each passage, however
//! large the plan is, and its minimum cut is exactly that of the shared part.

use super::flow::{Flow, SINK, SOURCE};
use super::network::{Edge, Parts};
use super::tree_cut::{Passes, TreeCut};
use std::collections::HashMap;

/// An edge that leaves a hub.
#[derive(Debug, Clone)]
pub(super) struct SharedEdge {
    pub(super) to: u32,
    pub(super) capacity: f64,
    arc: u32,
}

/// What the tree of a root is to the shared part.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    /// It feeds its root, a hub.
    Hub {
        /// The node of the network.
        node: u32,
        own: u32,
    },
    /// It is a passage that begins at this place.
    Passage {
        node: u32,
        begin: u32,
        own: u32,
        limit: u32,
    },
}

/// The shared part. Without hubs it is empty.
#[derive(Debug, Clone)]
pub(super) struct SharedCut {
    flow: Flow,
    roles: HashMap<u32, Role>,
    edges: HashMap<u32, Vec<SharedEdge>>,
}

impl SharedCut {
    /// The shared part of a network whose trees are built.
    pub(super) fn build(parts: &Parts, tree: &TreeCut) -> Self {
        let mut flow = Flow::new(parts.hubs.len() + parts.passages.len());
        let mut roles = HashMap::new();
        let mut nodes: HashMap<u32, u32> = HashMap::new();
        let first = 2;
        for (&hub, node) in parts.hubs.iter().zip(first..) {
            nodes.insert(hub, node);
            let own = flow.add_arc(SOURCE, node, tree.root_passes(hub).alone());
            if parts.forest.consumers[hub as usize] == super::tree_cut::NONE {
                flow.add_arc(node, SINK, f64::INFINITY);
            }
            roles.insert(hub, Role::Hub { node, own });
        }
        let first = first + parts.hubs.len() as u32;
        for (&(begin, end, hub), node) in parts.passages.iter().zip(first..) {
            nodes.insert(begin, node);
            let passes = tree.root_passes(end);
            let own = flow.add_arc(SOURCE, node, passes.own);
            let limit = flow.add_arc(node, nodes.get(&hub).copied().unwrap_or(SINK), passes.limit);
            roles.insert(
                end,
                Role::Passage {
                    node,
                    begin,
                    own,
                    limit,
                },
            );
        }
        let mut edges: HashMap<u32, Vec<SharedEdge>> = HashMap::new();
        for &Edge { from, to, capacity } in &parts.shared {
            let ends = [from, to].map(|end| nodes.get(&end).copied().unwrap_or(SINK));
            let arc = flow.add_arc(ends[0], ends[1], capacity);
            edges
                .entry(from)
                .or_default()
                .push(SharedEdge { to, capacity, arc });
        }
        flow.solve();
        Self { flow, roles, edges }
    }

    /// The value of its minimum cut.
    pub(super) fn value(&self) -> f64 {
        self.flow.value()
    }

    /// Whether the plan is a forest.
    pub(super) fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    /// What the tree of this root is to the shared part; `None` when it is a plan of its own.
    pub(super) fn role(&self, root: u32) -> Option<Role> {
        self.roles.get(&root).copied()
    }

    /// All roles, by root.
    pub(super) fn roles(&self) -> impl Iterator<Item = (u32, Role)> + '_ {
        self.roles.iter().map(|(&root, &role)| (root, role))
    }

    /// The edges that leave a hub.
    pub(super) fn edges(&self, hub: u32) -> &[SharedEdge] {
        self.edges.get(&hub).map_or(&[], Vec::as_slice)
    }

    /// Whether a node of the network is on the source's side of the cut.
    pub(super) fn is_source_side(&self, node: u32) -> bool {
        self.flow.is_reached(node)
    }

    /// Changes the capacity of an edge; `None` if there is no such edge.
    pub(super) fn set_capacity(&mut self, hub: u32, to: u32, capacity: f64) -> Option<()> {
        let edge = self.edges.get_mut(&hub)?.iter_mut().find(|edge| edge.to == to)?;
        edge.capacity = capacity;
        let arc = edge.arc;
        self.flow.set_capacity(arc, capacity);
        Some(())
    }

    /// Takes over what the tree of a role passes on now.
    pub(super) fn follow(&mut self, role: Role, passes: Passes) {
        match role {
            Role::Hub { own, .. } => self.flow.set_capacity(own, passes.alone()),
            Role::Passage { own, limit, .. } => {
                self.flow.set_capacity(own, passes.own);
                self.flow.set_capacity(limit, passes.limit);
            }
        }
    }
}

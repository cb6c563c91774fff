//! Random flow networks of every shape.

mod random;

pub(crate) use random::Random;
use ruvector_dag::OperatorId;
use ruvector_dag::mincut::DagMinCutEngine;
use std::collections::BTreeMap;

/// Operators `0 .. nodes` and the capacities of the edges between them. Edges lead from higher to lower numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Network {
    pub(crate) nodes: u32,
    pub(crate) edges: BTreeMap<(u32, u32), u64>,
}

/// The shapes [`Network::random`] draws from.
pub(crate) const SHAPES: u32 = 8;

impl Network {
    /// A network of a shape: chain, fan, random tree, forest, trees with few and many extra edges, sparse, dense.
    pub(crate) fn random(shape: u32, nodes: u32, random: &mut Random) -> Self {
        let mut network = Self {
            nodes,
            edges: BTreeMap::new(),
        };
        for from in 1..nodes {
            match shape {
                0 => network.insert(from, from - 1, random),
                1 => network.insert(from, 0, random),
                3 if random.below(5) == 0 => {}
                2..=5 => {
                    let to = random.below(from);
                    network.insert(from, to, random);
                }
                _ => {}
            }
        }
        let extra = match shape {
            4 => 1 + random.below(3),
            5 => nodes / 2,
            6 => nodes * 2,
            7 => nodes * nodes,
            _ => 0,
        };
        for _ in 0..extra {
            let (a, b) = (random.below(nodes), random.below(nodes));
            if a != b {
                network.insert(a.max(b), a.min(b), random);
            }
        }
        network
    }

    /// Sets an edge; some capacities are 0 and many are equal.
    pub(crate) fn insert(&mut self, from: u32, to: u32, random: &mut Random) {
        let range = [4, 30, 1000][random.below(3) as usize];
        self.edges.insert((from, to), u64::from(random.below(range)));
    }

    /// An engine of this network, edge by edge.
    pub(crate) fn engine(&self) -> DagMinCutEngine {
        let mut engine = DagMinCutEngine::new();
        for node in 0..self.nodes {
            engine.insert_operator(OperatorId(node)).expect("a new operator");
        }
        for (&(from, to), &capacity) in &self.edges {
            engine
                .insert_edge(OperatorId(from), OperatorId(to), capacity as f64)
                .expect("a new edge");
        }
        engine
    }
}

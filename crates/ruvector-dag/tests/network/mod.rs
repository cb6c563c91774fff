//! Random flow networks of every shape, and the definition of their minimum cut.

use petgraph::algo::dinics;
use petgraph::graph::{DiGraph, NodeIndex};
use ruvector_dag::OperatorId;
use ruvector_dag::mincut::{DagMinCutEngine, MinCut};
use std::collections::BTreeMap;

/// Seeded random numbers (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        (self.next() % u64::from(end.max(1))) as u32
    }
}

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

    /// For each operator whether it has no inputs, and whether it has no consumers.
    fn ends(&self) -> Vec<(bool, bool)> {
        let mut ends = vec![(true, true); self.nodes as usize];
        for &(from, to) in self.edges.keys() {
            ends[from as usize].1 = false;
            ends[to as usize].0 = false;
        }
        ends
    }

    /// The value of the minimum cut, by petgraph's maximum flow.
    pub(crate) fn cut_value(&self) -> u64 {
        let mut graph = DiGraph::<(), u64>::new();
        let places: Vec<NodeIndex> = (0..self.nodes + 2).map(|_| graph.add_node(())).collect();
        let (source, sink) = (places[self.nodes as usize], places[self.nodes as usize + 1]);
        for (&(from, to), &capacity) in &self.edges {
            graph.add_edge(places[from as usize], places[to as usize], capacity);
        }
        let unbounded = 1 << 40;
        for (ends, &place) in self.ends().into_iter().zip(&places) {
            match ends {
                (true, false) => _ = graph.add_edge(source, place, unbounded),
                (false, true) => _ = graph.add_edge(place, sink, unbounded),
                _ => {}
            }
        }
        dinics(&graph, source, sink).0
    }

    /// Whether no rows arrive without these edges, and their capacities make the value.
    pub(crate) fn is_cut_by(&self, cut: &MinCut) -> bool {
        let is_cut = |edge: &(u32, u32)| cut.edges.contains(&(OperatorId(edge.0), OperatorId(edge.1)));
        let ends = self.ends();
        let mut is_reached: Vec<bool> = ends.iter().map(|ends| *ends == (true, false)).collect();
        let mut sum = 0;
        // From the highest numbers down, so that each operator is decided before its edges are looked at.
        for (edge, capacity) in self.edges.iter().rev() {
            if is_cut(edge) {
                sum += capacity;
            } else if is_reached[edge.0 as usize] {
                is_reached[edge.1 as usize] = true;
            }
        }
        let arrives = ends
            .iter()
            .zip(is_reached)
            .any(|(ends, is_reached)| *ends == (false, true) && is_reached);
        sum as f64 == cut.value && !arrives
    }
}

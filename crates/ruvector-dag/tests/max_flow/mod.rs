//! The minimum cut of a network by petgraph's maximum flow, and what a cut is by definition.

use crate::network::Network;
use petgraph::algo::dinics;
use petgraph::graph::{DiGraph, NodeIndex};
use ruvector_dag::OperatorId;
use ruvector_dag::mincut::MinCut;

/// For each operator whether it has no inputs, and whether it has no consumers.
fn ends(network: &Network) -> Vec<(bool, bool)> {
    let mut ends = vec![(true, true); network.nodes as usize];
    for &(from, to) in network.edges.keys() {
        ends[from as usize].1 = false;
        ends[to as usize].0 = false;
    }
    ends
}

/// The value of the minimum cut, by petgraph's maximum flow.
pub(crate) fn cut_value(network: &Network) -> u64 {
    let mut graph = DiGraph::<(), u64>::new();
    let places: Vec<NodeIndex> = (0..network.nodes + 2).map(|_| graph.add_node(())).collect();
    let (source, sink) = (places[network.nodes as usize], places[network.nodes as usize + 1]);
    for (&(from, to), &capacity) in &network.edges {
        graph.add_edge(places[from as usize], places[to as usize], capacity);
    }
    let unbounded = 1 << 40;
    for (ends, &place) in ends(network).into_iter().zip(&places) {
        match ends {
            (true, false) => _ = graph.add_edge(source, place, unbounded),
            (false, true) => _ = graph.add_edge(place, sink, unbounded),
            _ => {}
        }
    }
    dinics(&graph, source, sink).0
}

/// Whether no rows arrive without these edges, and their capacities make the value.
pub(crate) fn is_cut(network: &Network, cut: &MinCut) -> bool {
    let is_cut = |edge: &(u32, u32)| cut.edges.contains(&(OperatorId(edge.0), OperatorId(edge.1)));
    let ends = ends(network);
    let mut is_reached: Vec<bool> = ends.iter().map(|ends| *ends == (true, false)).collect();
    let mut sum = 0;
    // From the highest numbers down, so that each operator is decided before its edges are looked at.
    for (edge, capacity) in network.edges.iter().rev() {
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

//! Join trees of acyclic joins (Beeri, Fagin, Maier and Yannakakis 1983).
//!
//! A node is a set of relations that are joined first; it has the classes its relations' columns belong to. In a join
//! tree the nodes that have a class are connected. A spanning tree of maximum weight, the weight of an edge being the
//! number of classes its ends share, is a join tree exactly when the join is acyclic, and its weight tells: each class
//! of n nodes contributes n − 1 (Bernstein and Goodman 1981). What is cyclic is made acyclic by joining nodes first.

use super::{JoinGraph, Set};

/// Relations that are joined first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Joined {
    pub(super) relations: Set,
    pub(super) classes: Set,
    /// Estimated rows.
    pub(super) rows: f64,
}

/// A rooted join tree.
#[derive(Debug)]
pub(super) struct JoinTree {
    /// Positions of nodes with their parents', the root first, parents before children.
    pub(super) order: Vec<(usize, Option<usize>)>,
    /// Shared classes over all edges.
    weight: usize,
}

/// The nodes of a join tree of the graph; `None` when relations are not connected by equalities.
///
/// Complexity: O(r · r² · r²) for r relations in the worst case, a cycle of all; O(r²) where the join is acyclic.
pub(super) fn acyclic(graph: &JoinGraph) -> Option<Vec<Joined>> {
    let mut nodes: Vec<Joined> = (0..graph.relations.len())
        .map(|relation| graph.joined(Set::one(relation)))
        .collect();
    for &link in graph.links.iter().chain([&graph.kept]) {
        nodes = merge(graph, nodes, link);
    }
    loop {
        let lacking = lack(&nodes)?;
        if lacking == 0 {
            return Some(nodes);
        }
        let pairs = (0..nodes.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
        let merged = pairs.filter_map(|(one, other)| {
            let (one, other) = (nodes.get(one)?, nodes.get(other)?);
            let relations = one.relations | other.relations;
            let merged = merge(graph, nodes.clone(), relations);
            let rows = graph.joined(relations).rows;
            (!(one.classes & other.classes).is_empty()).then_some((lack(&merged)?, rows, merged))
        });
        nodes = merged
            .min_by(|(lack, rows, _), (other_lack, other_rows, _)| {
                lack.cmp(other_lack).then(rows.total_cmp(other_rows))
            })
            .map(|(_, _, merged)| merged)?;
    }
}

/// Makes one node of all nodes that have any of `relations`.
fn merge(graph: &JoinGraph, nodes: Vec<Joined>, relations: Set) -> Vec<Joined> {
    let (inside, mut outside): (Vec<Joined>, Vec<Joined>) = nodes
        .into_iter()
        .partition(|node| !(node.relations & relations).is_empty());
    let all = inside
        .iter()
        .fold(Set::default(), |all, node| all | node.relations);
    if !all.is_empty() {
        outside.push(graph.joined(all));
    }
    outside
}

/// By how much the nodes' best spanning tree falls short of a join tree; `None` when they are not connected.
fn lack(nodes: &[Joined]) -> Option<usize> {
    let classes = nodes.iter().map(|node| node.classes.len()).sum::<usize>();
    let all = nodes.iter().fold(Set::default(), |all, node| all | node.classes);
    let wanted = classes.saturating_sub(all.len());
    Some(wanted.saturating_sub(spanning_tree(nodes, 0)?.weight))
}

/// The spanning tree of maximum weight that grows from a root (Prim), each node as near to the root as it can be;
/// `None` when the nodes are not connected.
pub(super) fn spanning_tree(nodes: &[Joined], root: usize) -> Option<JoinTree> {
    let mut tree = JoinTree {
        order: vec![(root, None)],
        weight: 0,
    };
    while tree.order.len() < nodes.len() {
        let mut best: Option<(usize, usize, usize)> = None;
        for &(parent, _) in &tree.order {
            for (child, node) in nodes.iter().enumerate() {
                let weight = (nodes.get(parent)?.classes & node.classes).len();
                let is_new = !tree.order.iter().any(|&(known, _)| known == child);
                if is_new && weight > best.map_or(0, |(weight, _, _)| weight) {
                    best = Some((weight, parent, child));
                }
            }
        }
        let (weight, parent, child) = best?;
        tree.order.push((child, Some(parent)));
        tree.weight += weight;
    }
    Some(tree)
}

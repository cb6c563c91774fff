//! The flow network of a plan: its edges with their capacities, and how it falls into trees and a shared part.
//!
//! The shared part is where the plan is not a tree: operators with several consumers, and what they feed. Its *hubs* are
//! the operators with several consumers, those where ways from them meet, and the results those lead to. Between two
//! hubs runs a *passage*: a path along which nothing else of the shared part joins, with trees hanging from it.

use super::tree_cut::{Forest, NONE};

/// An edge between places, and its capacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) capacity: f64,
}

/// Lists of neighbours, one after the other.
#[derive(Debug)]
pub(super) struct Neighbours {
    starts: Vec<u32>,
    places: Vec<u32>,
}

impl Neighbours {
    /// The second of each pair, by the first.
    ///
    /// Complexity: O(V + E).
    pub(super) fn of(nodes: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut starts = vec![0; nodes + 1];
        pairs.clone().for_each(|(at, _)| starts[at as usize + 1] += 1);
        for at in 0..nodes {
            starts[at + 1] += starts[at];
        }
        let mut places = vec![0; starts[nodes] as usize];
        let mut next = starts.clone();
        for (at, other) in pairs {
            places[next[at as usize] as usize] = other;
            next[at as usize] += 1;
        }
        Self { starts, places }
    }

    /// The neighbours of a place.
    pub(super) fn at(&self, place: u32) -> &[u32] {
        let place = place as usize;
        &self.places[self.starts[place] as usize..self.starts[place + 1] as usize]
    }

    /// How many neighbours a place has.
    pub(super) fn count(&self, place: u32) -> u32 {
        self.starts[place as usize + 1] - self.starts[place as usize]
    }
}

/// The places so that each comes before those it leads to (Kahn 1962).
pub(super) fn topological_order(inputs: &Neighbours, consumers: &Neighbours, nodes: usize) -> Vec<u32> {
    let mut waiting_for: Vec<u32> = (0..nodes as u32).map(|at| inputs.count(at)).collect();
    let mut order: Vec<u32> = (0..nodes as u32).filter(|&at| inputs.count(at) == 0).collect();
    let mut done = 0;
    while let Some(&at) = order.get(done) {
        done += 1;
        for &consumer in consumers.at(at) {
            waiting_for[consumer as usize] -= 1;
            if waiting_for[consumer as usize] == 0 {
                order.push(consumer);
            }
        }
    }
    order
}

/// Marks a node whose edges are not in the forest.
pub(super) const SHARED: u32 = NONE - 1;

/// A network taken apart, its places renumbered so that what is near in the plan is near in memory.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The old place of each new one.
    pub(super) old: Vec<u32>,
    pub(super) forest: Forest,
    /// How many inputs each place has.
    pub(super) inputs: Vec<u32>,
    /// The hubs.
    pub(super) hubs: Vec<u32>,
    /// The passages: where each begins, its last place, and the hub that leads to.
    pub(super) passages: Vec<(u32, u32, u32)>,
    /// The edges that leave hubs.
    pub(super) shared: Vec<Edge>,
}

/// What is known of the places before they are renumbered.
struct Survey {
    inputs: Neighbours,
    consumers: Neighbours,
    order: Vec<u32>,
    /// Whether rows of an operator with several consumers arrive here, or it is one.
    is_trunk: Vec<bool>,
    is_hub: Vec<bool>,
}

impl Survey {
    fn new(nodes: usize, edges: &[Edge]) -> Self {
        let inputs = Neighbours::of(nodes, edges.iter().map(|edge| (edge.to, edge.from)));
        let consumers = Neighbours::of(nodes, edges.iter().map(|edge| (edge.from, edge.to)));
        let order = topological_order(&inputs, &consumers, nodes);
        let (mut is_trunk, mut is_hub) = (vec![false; nodes], vec![false; nodes]);
        for &at in &order {
            let arriving = inputs
                .at(at)
                .iter()
                .filter(|&&input| is_trunk[input as usize])
                .count();
            let leaving = consumers.count(at);
            is_trunk[at as usize] = leaving > 1 || arriving > 0;
            is_hub[at as usize] = leaving > 1 || arriving > 1 || (arriving == 1 && leaving == 0);
        }
        Self {
            inputs,
            consumers,
            order,
            is_trunk,
            is_hub,
        }
    }

    fn is_passage(&self, at: u32) -> bool {
        self.is_trunk[at as usize] && !self.is_hub[at as usize]
    }

    /// The consumer the forest's edge of a place leads to.
    fn parent(&self, at: u32) -> u32 {
        let ends_passage = |consumer: u32| self.is_passage(at) && self.is_hub[consumer as usize];
        match *self.consumers.at(at) {
            [consumer] if !self.is_hub[at as usize] && !ends_passage(consumer) => consumer,
            _ => NONE,
        }
    }

    fn consumer(&self, at: u32) -> u32 {
        match *self.consumers.at(at) {
            [] => NONE,
            [consumer] if !self.is_hub[at as usize] => consumer,
            _ => SHARED,
        }
    }

    /// The input that continues the path below a place: that of its passage, else the heaviest.
    fn path(&self, at: u32, weights: &[u32]) -> u32 {
        let mut inputs = self.inputs.at(at).iter().copied();
        let found = if self.is_passage(at) {
            inputs.find(|&input| self.is_passage(input))
        } else {
            inputs
                .filter(|&input| self.parent(input) == at)
                .max_by_key(|&input| weights[input as usize])
        };
        found.unwrap_or(NONE)
    }

    fn weights(&self) -> Vec<u32> {
        let mut weights = vec![1; self.order.len()];
        for &at in &self.order {
            let parent = self.parent(at);
            if parent != NONE {
                weights[parent as usize] += weights[at as usize];
            }
        }
        weights
    }

    /// The places tree by tree, each before what feeds it: first small trees, which are then next to it, and the path
    /// below it last.
    fn layout(&self, paths: &[u32], weights: &[u32]) -> Vec<u32> {
        let mut layout = Vec::with_capacity(self.order.len());
        let mut open: Vec<u32> = self
            .order
            .iter()
            .copied()
            .filter(|&at| self.parent(at) == NONE)
            .collect();
        while let Some(at) = open.pop() {
            layout.push(at);
            let path = paths[at as usize];
            open.extend(Some(path).filter(|&path| path != NONE));
            let inputs = self.inputs.at(at).iter().copied();
            let first = open.len();
            open.extend(inputs.filter(|&input| input != path && self.parent(input) == at));
            open[first..].sort_by_key(|&input| std::cmp::Reverse(weights[input as usize]));
        }
        layout
    }
}

impl Parts {
    /// Takes a network apart. Edges must be free of cycles.
    ///
    /// Complexity: O(V + E).
    pub(super) fn of(nodes: usize, edges: &[Edge]) -> Self {
        let survey = Survey::new(nodes, edges);
        let weights = survey.weights();
        let paths: Vec<u32> = (0..nodes as u32).map(|at| survey.path(at, &weights)).collect();
        let old = survey.layout(&paths, &weights);
        let mut new = vec![NONE; nodes];
        old.iter().zip(0..).for_each(|(&old, at)| new[old as usize] = at);
        let renumbered = |at: u32| if at < SHARED { new[at as usize] } else { at };
        let mut forest = Forest {
            parents: old.iter().map(|&at| renumbered(survey.parent(at))).collect(),
            capacities: vec![f64::INFINITY; nodes],
            consumers: old.iter().map(|&at| renumbered(survey.consumer(at))).collect(),
            is_source: old.iter().map(|&at| survey.inputs.count(at) == 0).collect(),
            paths: old.iter().map(|&at| renumbered(paths[at as usize])).collect(),
            weights: old.iter().map(|&at| weights[at as usize]).collect(),
            order: survey.order.iter().map(|&at| new[at as usize]).collect(),
        };
        let mut shared = Vec::new();
        for edge in edges {
            let (from, to) = (new[edge.from as usize], new[edge.to as usize]);
            if forest.consumers[from as usize] == SHARED {
                shared.push(Edge { from, to, ..*edge });
            } else {
                forest.capacities[from as usize] = edge.capacity;
            }
        }
        let ends = survey
            .order
            .iter()
            .filter(|&&at| survey.is_passage(at) && survey.parent(at) == NONE);
        let passages = ends.map(|&at| {
            let down = |&at: &u32| Some(paths[at as usize]).filter(|&path| path != NONE);
            let begin = std::iter::successors(Some(at), down).last().unwrap_or(at);
            (
                new[begin as usize],
                new[at as usize],
                renumbered(survey.consumer(at)),
            )
        });
        Self {
            inputs: old.iter().map(|&at| survey.inputs.count(at)).collect(),
            hubs: (0..nodes as u32)
                .filter(|&at| survey.is_hub[old[at as usize] as usize])
                .collect(),
            passages: passages.collect(),
            old,
            forest,
            shared,
        }
    }
}

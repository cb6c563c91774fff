//! A maximum flow that is repaired where a capacity changes, and the minimum cut it proves.
//!
//! The flow is found by blocking flows (Dinic 1970). When an arc gets wider, more is pushed only if the arc was full.
//! When it gets narrower than its flow, the excess is led around it by a search from the arc's tail, and what finds no
//! way is taken back. By max-flow min-cut (Ford and Fulkerson 1956) what the source still reaches is the source's side
//! of a minimum cut; its value is summed from capacities and not from flows, so that it does not drift.

use std::collections::VecDeque;

/// The node all flow comes from.
pub(super) const SOURCE: u32 = 0;
/// The node all flow goes to.
pub(super) const SINK: u32 = 1;
/// Changes after which the flow is computed anew, so that rounding in its repairs does not add up.
const REPAIRS: u32 = 4096;

/// A flow network and its maximum flow.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    /// Arc `2 i` and its reverse `2 i + 1`: where each leads and what it still takes.
    heads: Vec<u32>,
    residuals: Vec<f64>,
    /// By `i`.
    capacities: Vec<f64>,
    leaving: Vec<Vec<u32>>,
    is_unbounded: bool,
    repairs: u32,
    value: f64,
    // Scratch, by node.
    levels: Vec<u32>,
    next: Vec<u32>,
    open: VecDeque<u32>,
}

impl Flow {
    /// A network of so many nodes besides the source and the sink, without arcs.
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            heads: Vec::new(),
            residuals: Vec::new(),
            capacities: Vec::new(),
            leaving: vec![Vec::new(); nodes + 2],
            is_unbounded: false,
            repairs: 0,
            value: 0.0,
            levels: vec![u32::MAX; nodes + 2],
            next: vec![0; nodes + 2],
            open: VecDeque::new(),
        }
    }

    /// Adds an arc and returns its number. The flow is as it was: call [`Flow::solve`] after the last one.
    pub(super) fn add_arc(&mut self, tail: u32, head: u32, capacity: f64) -> u32 {
        let arc = self.capacities.len() as u32;
        self.capacities.push(capacity);
        self.heads.extend([head, tail]);
        self.residuals.extend([capacity, 0.0]);
        self.leaving[tail as usize].push(2 * arc);
        self.leaving[head as usize].push(2 * arc + 1);
        arc
    }

    /// Computes the flow from nothing.
    ///
    /// Complexity: O(V² E); blocking flows seldom come near that.
    pub(super) fn solve(&mut self) {
        for (pair, &capacity) in self.residuals.chunks_exact_mut(2).zip(&self.capacities) {
            pair.copy_from_slice(&[capacity, 0.0]);
        }
        self.repairs = 0;
        self.maximise();
    }

    fn maximise(&mut self) {
        self.is_unbounded = self.push(SOURCE, SINK, f64::INFINITY) == f64::INFINITY;
        self.value = if self.is_unbounded {
            f64::INFINITY
        } else {
            self.crossing().map(|arc| self.capacities[arc]).sum()
        };
    }

    /// The arcs from the source's side to the sink's.
    fn crossing(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.capacities.len())
            .filter(|arc| self.is_reached(self.heads[2 * arc + 1]) && !self.is_reached(self.heads[2 * arc]))
    }

    /// Whether a node is on the source's side of the minimum cut.
    pub(super) fn is_reached(&self, node: u32) -> bool {
        self.levels[node as usize] != u32::MAX
    }

    /// The value of the minimum cut.
    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// Changes a capacity and repairs the flow.
    ///
    /// Complexity: O(V + E) for each way the flow takes around the arc; nothing where the arc has room and keeps some.
    pub(super) fn set_capacity(&mut self, arc: u32, capacity: f64) {
        let (ahead, back) = (2 * arc as usize, 2 * arc as usize + 1);
        if self.capacities[arc as usize] == capacity {
            return;
        }
        self.capacities[arc as usize] = capacity;
        self.repairs += 1;
        if self.is_unbounded || self.repairs >= REPAIRS {
            return self.solve();
        }
        let flow = self.residuals[back];
        let had_room = self.residuals[ahead] > 0.0;
        self.residuals[ahead] = (capacity - flow).max(0.0);
        if capacity < flow {
            self.residuals[back] = capacity;
            self.lead_around(self.heads[back], self.heads[ahead], flow - capacity);
        } else if had_room && self.residuals[ahead] > 0.0 {
            return;
        }
        self.maximise();
    }

    /// Finds other ways for what an arc no longer takes, and takes back the rest.
    fn lead_around(&mut self, tail: u32, head: u32, excess: f64) {
        let rest = excess - self.push(tail, head, excess);
        if rest > 0.0 {
            self.push(tail, SOURCE, rest);
            self.push(SINK, head, rest);
        }
    }

    /// Pushes up to `limit` from one node to another and returns how much; the levels then tell what was reached.
    fn push(&mut self, from: u32, to: u32, limit: f64) -> f64 {
        let mut pushed = 0.0;
        if from == to {
            return limit;
        }
        while pushed < limit && self.measure_levels(from, to) {
            self.next.fill(0);
            loop {
                let flow = self.push_one_way(from, to, limit - pushed);
                if flow == f64::INFINITY {
                    return flow;
                }
                if flow <= 0.0 {
                    break;
                }
                pushed += flow;
            }
        }
        pushed
    }

    /// Measures how far nodes are from `from`, until `to` is found; tells whether it is.
    fn measure_levels(&mut self, from: u32, to: u32) -> bool {
        self.levels.fill(u32::MAX);
        self.levels[from as usize] = 0;
        self.open.clear();
        self.open.push_back(from);
        while let Some(node) = self.open.pop_front() {
            for &arc in &self.leaving[node as usize] {
                let head = self.heads[arc as usize];
                if self.residuals[arc as usize] > 0.0 && self.levels[head as usize] == u32::MAX {
                    self.levels[head as usize] = self.levels[node as usize] + 1;
                    if head == to {
                        return true;
                    }
                    self.open.push_back(head);
                }
            }
        }
        false
    }

    /// Pushes along one shortest way, found depth first; 0 when there is none left.
    fn push_one_way(&mut self, from: u32, to: u32, limit: f64) -> f64 {
        let mut way: Vec<u32> = Vec::new();
        let mut at = from;
        while at != to {
            let leaving = &self.leaving[at as usize];
            let place = self.next[at as usize] as usize;
            if let Some(&arc) = leaving.get(place) {
                let head = self.heads[arc as usize];
                let is_onward = self.levels[head as usize] == self.levels[at as usize] + 1;
                if is_onward && self.residuals[arc as usize] > 0.0 {
                    way.push(arc);
                    at = head;
                } else {
                    self.next[at as usize] += 1;
                }
                continue;
            }
            let Some(arc) = way.pop() else { return 0.0 };
            at = self.heads[arc as usize ^ 1];
            self.next[at as usize] += 1;
        }
        let flow = way
            .iter()
            .fold(limit, |flow, &arc| flow.min(self.residuals[arc as usize]));
        if flow < f64::INFINITY {
            for &arc in &way {
                self.residuals[arc as usize] -= flow;
                self.residuals[arc as usize ^ 1] += flow;
            }
        }
        flow
    }
}

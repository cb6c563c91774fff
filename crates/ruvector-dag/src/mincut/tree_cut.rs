//! The minimum cut of a forest, kept up to date: the dynamic program on a balanced decomposition.
//!
//! What an operator can pass on is `f(v) = min(capacity of its edge, Σ f(inputs))`; a source has no end of rows. Along a
//! path, what comes out at the top is a function of what goes in at the bottom, and always of the form
//! `x ↦ min(a, b + x)`: such functions are closed under composition, so that a balanced tree over the path holds the
//! function of each of its stretches. As `b` is never kept larger than `a`, equal functions have equal numbers. This is a link-cut tree (Sleator and Tarjan 1983, 1985) with sums over the light
//! edges, built balanced by weight (a static top tree), and with one difference: a change of a capacity does not splay.
//! It walks up and stops where nothing changes any more. Only when a walk gets longer than a constant times log n,
//! because links and cuts unbalanced the tree, it splays. So every change is O(log n) amortised, and most end early.
//!
//! Roots have an edge of infinite capacity to the super sink.

use super::sum::Sum;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// The function `x ↦ min(limit, own + x)`, where `own` is at most `limit`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Passes {
    /// The most that comes out at the top.
    pub(super) limit: f64,
    /// What joins on the way.
    pub(super) own: f64,
}

impl Passes {
    const IDENTITY: Self = Self {
        limit: f64::INFINITY,
        own: 0.0,
    };

    /// The function of a path: first `lower`, then this one.
    #[inline]
    fn after(self, lower: Self) -> Self {
        let limit = self.limit.min(self.own + lower.limit);
        Self {
            limit,
            own: limit.min(self.own + lower.own),
        }
    }

    /// What comes out when nothing goes in.
    #[inline]
    pub(super) fn alone(self) -> f64 {
        self.own
    }
}

/// A node: one cache line, as a change of a capacity touches few nodes and each costs a line.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Node {
    /// The parent within the path's tree, or the node the path hangs under.
    parent: u32,
    /// Nearer to the root of the forest's tree.
    upper: u32,
    /// Farther from it.
    lower: u32,
    /// Where the node's edge leads: kept here for the caller.
    consumer: u32,
    capacity: f64,
    /// What comes in from inputs that are not on the node's path; infinite for a source.
    light: Sum,
    /// The function of the stretch below this node of the path's tree.
    passes: Passes,
}

const _: () = assert!(size_of::<Node>() == 64);

impl Node {
    /// The function of the node itself: what its light inputs bring joins, and its edge limits.
    #[inline]
    fn local(&self) -> Passes {
        Passes {
            limit: self.capacity,
            own: self.light.value().min(self.capacity),
        }
    }
}

/// Where a change ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reached {
    /// Within a tree: nothing above it changed.
    Inside,
    /// At the top of the tree over a root's path, whose function was this one.
    Top(u32, Passes),
}

/// A forest to build from. Node `v` has the edge to `parents[v]` ([`NONE`] for a root) of `capacities[v]`.
#[derive(Debug, Default)]
pub(super) struct Forest {
    pub(super) parents: Vec<u32>,
    pub(super) capacities: Vec<f64>,
    /// The operator its edge leads to, also where that edge is not in the forest.
    pub(super) consumers: Vec<u32>,
    /// Whether nothing feeds it.
    pub(super) is_source: Vec<bool>,
    /// The input that continues its path.
    pub(super) paths: Vec<u32>,
    /// The size of the tree under it.
    pub(super) weights: Vec<u32>,
    /// Inputs before their consumers.
    pub(super) order: Vec<u32>,
}

/// A forest of operators whose cut is known.
#[derive(Debug, Clone)]
pub(super) struct TreeCut {
    nodes: Vec<Node>,
    /// How many steps a walk may take before its node is exposed.
    patience: u32,
    /// A node to expose, or [`NONE`].
    tired: u32,
    /// The nodes that changes of capacities visited.
    visits: u64,
}

impl TreeCut {
    /// The forest's cut.
    ///
    /// Complexity: O(V log V).
    pub(super) fn build(forest: &Forest) -> Self {
        let mut cut = Self {
            nodes: Vec::with_capacity(forest.parents.len()),
            patience: 0,
            tired: NONE,
            visits: 0,
        };
        for v in 0..forest.parents.len() {
            cut.push(forest.consumers[v], forest.capacities[v], forest.is_source[v]);
        }
        let mut path = Vec::new();
        for &v in &forest.order {
            let parent = forest.parents[v as usize];
            if parent != NONE && forest.paths[parent as usize] == v {
                continue;
            }
            path.clear();
            let next = |&at: &u32| Some(forest.paths[at as usize]).filter(|&lower| lower != NONE);
            path.extend(std::iter::successors(Some(v), next));
            let top = cut.balance(&path, forest);
            cut.nodes[top as usize].parent = parent;
            if parent != NONE {
                let flow = cut.passes(top).alone();
                cut.nodes[parent as usize].light.add(flow);
            }
        }
        cut
    }

    /// Adds a node without edges in the forest.
    pub(super) fn push(&mut self, consumer: u32, capacity: f64, is_source: bool) -> u32 {
        let at = self.nodes.len() as u32;
        let mut light = Sum::default();
        if is_source {
            light.add(f64::INFINITY);
        }
        self.nodes.push(Node {
            parent: NONE,
            upper: NONE,
            lower: NONE,
            consumer,
            capacity,
            light,
            passes: Passes::IDENTITY,
        });
        self.refresh(at);
        self.patience = 4 * (at + 1).ilog2() + 16;
        at
    }

    /// Builds the tree over a path, given from its top down, so that both halves of a stretch weigh about the same;
    /// returns its top.
    fn balance(&mut self, path: &[u32], forest: &Forest) -> u32 {
        let weight = |at: usize| path.get(at).map_or(0, |&v| forest.weights[v as usize]);
        let mut stretches = vec![(0, path.len(), NONE, false)];
        let mut placed = Vec::with_capacity(path.len());
        while let Some((start, end, parent, is_upper)) = stretches.pop() {
            if start == end {
                continue;
            }
            let half = weight(end) + (weight(start) - weight(end)) / 2;
            let heavy = path[start..end].partition_point(|&v| forest.weights[v as usize] > half);
            let middle = start + heavy.saturating_sub(1);
            let v = path[middle];
            self.nodes[v as usize].parent = parent;
            match (parent, is_upper) {
                (NONE, _) => {}
                (_, true) => self.nodes[parent as usize].upper = v,
                (_, false) => self.nodes[parent as usize].lower = v,
            }
            placed.push(v);
            stretches.push((start, middle, v, true));
            stretches.push((middle + 1, end, v, false));
        }
        for &v in placed.iter().rev() {
            self.refresh(v);
        }
        placed.first().copied().unwrap_or(NONE)
    }

    /// Where the node's edge leads, as the caller set it.
    #[inline]
    pub(super) fn consumer(&self, v: u32) -> u32 {
        self.nodes[v as usize].consumer
    }

    /// The capacity of the node's edge.
    #[inline]
    pub(super) fn capacity(&self, v: u32) -> f64 {
        self.nodes[v as usize].capacity
    }

    /// The function of the stretch under a node of a path's tree.
    #[inline]
    pub(super) fn passes(&self, v: u32) -> Passes {
        self.nodes[v as usize].passes
    }

    /// Computes a node's function from its own numbers and its two children.
    #[inline]
    fn refresh(&mut self, v: u32) {
        let node = &self.nodes[v as usize];
        let mut passes = node.local();
        if node.lower != NONE {
            passes = passes.after(self.nodes[node.lower as usize].passes);
        }
        if node.upper != NONE {
            passes = self.nodes[node.upper as usize].passes.after(passes);
        }
        self.nodes[v as usize].passes = passes;
    }

    /// Changes the capacity of a node's edge.
    ///
    /// Complexity: O(log n) amortised, and no more than the nodes whose functions change.
    #[inline]
    pub(super) fn set_capacity(&mut self, v: u32, capacity: f64) -> Reached {
        self.visits += 1;
        let node = &mut self.nodes[v as usize];
        let before = node.local();
        node.capacity = capacity;
        if node.local() == before {
            return Reached::Inside;
        }
        self.settle(v)
    }

    /// Reads what a change at this node reads, and returns the node it goes on to. Done for several nodes in turn, the
    /// processor fetches their memory at once, and finds it in its caches when they change.
    #[inline]
    pub(super) fn fetch(&self, v: u32) -> u32 {
        let Some(node) = self.nodes.get(v as usize) else {
            return NONE;
        };
        for near in [node.upper, node.lower] {
            std::hint::black_box(self.nodes.get(near as usize).map(|near| near.capacity));
        }
        node.parent
    }

    /// Walks up from a node whose own numbers changed, as far as functions change.
    #[inline]
    fn settle(&mut self, v: u32) -> Reached {
        let mut at = v;
        let mut steps = 0;
        let reached = loop {
            let before = self.nodes[at as usize].passes;
            self.refresh(at);
            let after = self.nodes[at as usize].passes;
            if before == after {
                break Reached::Inside;
            }
            let parent = self.nodes[at as usize].parent;
            if parent == NONE {
                break Reached::Top(at, before);
            }
            let above = &mut self.nodes[parent as usize];
            if above.upper != at && above.lower != at {
                let (old, local) = (before.alone(), above.local());
                above.light.replace(old, after.alone());
                if above.local() == local {
                    break Reached::Inside;
                }
            }
            at = parent;
            steps += 1;
        };
        self.visits += u64::from(steps);
        if steps > self.patience {
            self.tired = v;
        }
        reached
    }

    /// The nodes that changes of capacities visited, ever.
    pub(super) fn visits(&self) -> u64 {
        self.visits
    }

    /// The node whose last change took more steps than a balanced tree needs: to be exposed, which pays for them.
    #[inline]
    pub(super) fn take_tired(&mut self) -> Option<u32> {
        if self.tired == NONE {
            return None;
        }
        Some(std::mem::replace(&mut self.tired, NONE))
    }

    fn is_top_of_path(&self, v: u32) -> bool {
        let parent = self.nodes[v as usize].parent;
        parent == NONE || (self.nodes[parent as usize].upper != v && self.nodes[parent as usize].lower != v)
    }

    /// The top of the tree over the path that holds the node.
    fn top_of_path(&self, v: u32) -> u32 {
        let mut at = v;
        while !self.is_top_of_path(at) {
            at = self.nodes[at as usize].parent;
        }
        at
    }

    /// The root of the forest's tree whose path has this top.
    pub(super) fn root_below(&self, top: u32) -> u32 {
        let mut at = top;
        while self.nodes[at as usize].upper != NONE {
            at = self.nodes[at as usize].upper;
        }
        at
    }

    /// The function of the path that ends at a root.
    pub(super) fn root_passes(&self, root: u32) -> Passes {
        self.passes(self.top_of_path(root))
    }

    /// Moves a node one step up within its path's tree.
    fn rotate(&mut self, v: u32) {
        let parent = self.nodes[v as usize].parent;
        let above = self.nodes[parent as usize].parent;
        if !self.is_top_of_path(parent) {
            let above = &mut self.nodes[above as usize];
            if above.upper == parent {
                above.upper = v;
            } else {
                above.lower = v;
            }
        }
        let moved = if self.nodes[parent as usize].upper == v {
            let moved = std::mem::replace(&mut self.nodes[v as usize].lower, parent);
            self.nodes[parent as usize].upper = moved;
            moved
        } else {
            let moved = std::mem::replace(&mut self.nodes[v as usize].upper, parent);
            self.nodes[parent as usize].lower = moved;
            moved
        };
        if moved != NONE {
            self.nodes[moved as usize].parent = parent;
        }
        self.nodes[v as usize].parent = above;
        self.nodes[parent as usize].parent = v;
        self.refresh(parent);
        self.refresh(v);
    }

    /// Makes a node the top of its path's tree.
    fn splay(&mut self, v: u32) {
        while !self.is_top_of_path(v) {
            let parent = self.nodes[v as usize].parent;
            if !self.is_top_of_path(parent) {
                let above = self.nodes[parent as usize].parent;
                let is_straight =
                    (self.nodes[parent as usize].upper == v) == (self.nodes[above as usize].upper == parent);
                self.rotate(if is_straight { parent } else { v });
            }
            self.rotate(v);
        }
    }

    /// Lets `lower` (or nothing) continue the path below `v`, the top of its path's tree. `held` is what `v` counts for
    /// `lower` among its light inputs.
    fn continue_path(&mut self, v: u32, lower: u32, held: f64) {
        let old = std::mem::replace(&mut self.nodes[v as usize].lower, lower);
        if old != NONE {
            let flow = self.passes(old).alone();
            self.nodes[v as usize].light.add(flow);
        }
        if lower != NONE {
            self.nodes[v as usize].light.subtract(held);
        }
        self.refresh(v);
    }

    /// Makes the way from the root to `v` one path that ends at `v`, with `v` as its top; returns what the root passed
    /// on before, as that is rounded differently.
    ///
    /// Complexity: O(log n) amortised.
    pub(super) fn expose(&mut self, v: u32) -> f64 {
        let (mut at, mut lower, mut held) = (v, NONE, 0.0);
        loop {
            let flow = self.passes(self.top_of_path(at)).alone();
            self.splay(at);
            self.continue_path(at, lower, held);
            (lower, held) = (at, flow);
            let parent = self.nodes[at as usize].parent;
            if parent == NONE {
                break;
            }
            at = parent;
        }
        self.splay(v);
        held
    }

    /// The root of the tree of an exposed node, which stays exposed.
    ///
    /// Complexity: O(log n) amortised.
    pub(super) fn root_of_exposed(&mut self, v: u32) -> u32 {
        let root = self.root_below(v);
        self.splay(root);
        self.splay(v);
        root
    }

    /// Whether two nodes are on one path of the decomposition.
    pub(super) fn is_same_path(&self, v: u32, other: u32) -> bool {
        self.top_of_path(v) == self.top_of_path(other)
    }

    /// Gives the root `v` an edge to `consumer`, a node of another tree, whose first input it is or not. Both must be
    /// exposed, `consumer` last.
    pub(super) fn link(&mut self, v: u32, consumer: u32, capacity: f64, is_first_input: bool) {
        let node = &mut self.nodes[v as usize];
        (node.parent, node.consumer, node.capacity) = (consumer, consumer, capacity);
        self.refresh(v);
        let flow = self.passes(v).alone();
        let light = &mut self.nodes[consumer as usize].light;
        if is_first_input {
            light.subtract(f64::INFINITY);
        }
        light.add(flow);
        self.refresh(consumer);
    }

    /// Takes the edge of the exposed node `v` away and exposes its old consumer, whose last input it was or not.
    pub(super) fn cut(&mut self, v: u32, was_last_input: bool) {
        let node = &mut self.nodes[v as usize];
        let above = std::mem::replace(&mut node.upper, NONE);
        let consumer = std::mem::replace(&mut node.consumer, NONE);
        node.capacity = f64::INFINITY;
        self.refresh(v);
        self.nodes[above as usize].parent = NONE;
        self.splay(consumer);
        if was_last_input {
            self.nodes[consumer as usize].light.add(f64::INFINITY);
        }
        self.refresh(consumer);
    }
}

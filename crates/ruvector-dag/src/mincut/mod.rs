//! Part of stage 3 of 9, attention: the minimum cut, the narrowest place that all rows of a plan must pass.
//!
//! The flow network: an edge's capacity is the rows its consumer can take over it per unit of its self time, `rows /
//! (self time + rows · 1e-6)`, so it falls with the time the consumer needs per row that flows, and the capacities of a
//! consumer's inputs add up to what it gets through. Times are milliseconds where measured and costs where not; no row
//! takes less than a nanosecond, which keeps capacities finite. Sources are the operators without inputs and sinks
//! those without consumers; several are joined by a super source and a super sink with edges that can't be cut. A graph
//! without edges has the cut 0, and so has one whose ways all have an edge of capacity 0. Capacities may be infinite;
//! when all of a way is, so is the cut.
//!
//! The cut is exact on every graph and follows every change:
//!
//! | change | cost |
//! |---|---|
//! | capacity of an edge, in a tree or in a tree that hangs from a shared part | O(log n) amortised, mostly O(1) |
//! | the same, when it changes what enters the shared part of s hubs and passages | also a repaired flow, O(s) a way |
//! | an edge that is the only one of its operator, in a tree | O(log n) amortised |
//! | an edge of a shared part, or one that begins one | O(n log n): all is built anew |
//!
//! On dense graphs nearly all operators are hubs, so a change costs as much as a repair of a flow does: O(V + E) for
//! each way that is led around. A change of a capacity tells subscribers; the set of edges is made when asked for.

mod bottleneck;
mod change;
mod cut_set;
mod flow;
mod local_k_cut;
mod network;
mod places;
mod redundancy;
mod self_time;
mod shared_cut;
mod signal;
mod sum;
mod tension;
mod tree_cut;

pub use bottleneck::{Bottleneck, BottleneckAnalysis};
pub use cut_set::MinCut;
pub use local_k_cut::{LocalCut, LocalKCut};
pub use signal::{CutSignal, SubscriptionId};
pub use tension::{plan_tension, tensions};

use crate::{Error, OperatorId, QueryDag};
use network::{Edge, Parts, SHARED};
use places::Places;
use shared_cut::{Role, SharedCut};
use signal::Subscribers;
use sum::Sum;
use tree_cut::{NONE, Reached, TreeCut};

/// The least time an operator needs for a row: a nanosecond, or as little in units of cost.
const LEAST_TIME: f64 = 1e-6;

/// The changes whose memory is fetched at once.
const AT_ONCE: usize = 32;

/// The minimum cut of a plan, kept up to date.
///
/// ```
/// use ruvector_dag::mincut::DagMinCutEngine;
/// use ruvector_dag::{OperatorId, OperatorNode, OperatorType, QueryDag};
///
/// let mut dag = QueryDag::new();
/// let users = dag.add_node(OperatorNode::seq_scan(0, "users").with_estimate(100.0, 0.0, 10.0));
/// let orders = dag.add_node(OperatorNode::seq_scan(1, "orders").with_estimate(900.0, 0.0, 50.0));
/// let join = dag.add_node(OperatorNode::new(2, OperatorType::HashJoin).with_estimate(50.0, 0.0, 160.0));
/// let limit = dag.add_node(OperatorNode::new(3, OperatorType::Limit).with_estimate(10.0, 0.0, 161.0));
/// dag.add_edge(users, join)?;
/// dag.add_edge(orders, join)?;
/// dag.add_edge(join, limit)?;
///
/// let mut engine = DagMinCutEngine::new();
/// engine.build_from_dag(&dag);
/// assert!((engine.cut_value() - 10.0).abs() < 0.01); // 1,000 rows into the join, which costs 100
/// assert_eq!(engine.min_cut().edges, [(users, join), (orders, join)]);
///
/// engine.update_edge(join, limit, 2.0)?;
/// assert_eq!(engine.min_cut().edges, [(join, limit)]);
/// # Ok::<(), ruvector_dag::Error>(())
/// ```
pub struct DagMinCutEngine {
    /// The operator at each place; `None` where one was removed.
    numbers: Vec<Option<OperatorId>>,
    /// Places where operators were removed.
    free: Vec<u32>,
    places: Places,
    /// How many inputs each place has.
    inputs: Vec<u32>,
    tree: TreeCut,
    shared: SharedCut,
    /// The cut of the trees that are plans of their own.
    total: Sum,
    subscribers: Subscribers,
}

impl Default for DagMinCutEngine {
    fn default() -> Self {
        let (parts, tree) = (Parts::default(), TreeCut::build(&Default::default()));
        Self {
            numbers: Vec::new(),
            free: Vec::new(),
            places: Places::default(),
            inputs: Vec::new(),
            shared: SharedCut::build(&parts, &tree),
            tree,
            total: Sum::default(),
            subscribers: Subscribers::default(),
        }
    }
}

impl std::fmt::Debug for DagMinCutEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DagMinCutEngine")
            .field("operators", &self.len())
            .field("cut_value", &self.cut_value())
            .finish_non_exhaustive()
    }
}

/// The capacity of an edge over which `rows` flow into a consumer that needs `self_time`.
fn capacity(rows: f64, self_time: f64) -> f64 {
    rows / (self_time + rows * LEAST_TIME)
}

#[inline]
fn check_capacity(from: OperatorId, to: OperatorId, given: f64) -> Result<(), Error> {
    if given.is_nan() || given < 0.0 {
        return Err(Error::InvalidCapacity { from, to, given });
    }
    Ok(())
}

impl DagMinCutEngine {
    /// An engine without operators.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over a plan, with the capacities its times or costs give. Subscribers stay.
    ///
    /// Complexity: O(n log n).
    pub fn build_from_dag(&mut self, dag: &QueryDag) {
        let times = self_time::self_times(dag);
        let rows: Vec<f64> = dag
            .nodes()
            .map(|node| (node.actual_rows.unwrap_or(node.rows) * node.loops.unwrap_or(1.0)).max(1.0))
            .collect();
        let mut edges = Vec::new();
        for (to, &time) in times.iter().enumerate() {
            edges.extend(dag.input_positions(to).iter().map(|&from| Edge {
                from: from as u32,
                to: to as u32,
                capacity: capacity(rows[from], time),
            }));
        }
        let before = self.cut_value();
        self.build(dag.nodes().map(|node| Some(node.id)).collect(), &edges);
        self.signal(before, None);
    }

    fn build(&mut self, numbers: Vec<Option<OperatorId>>, edges: &[Edge]) {
        let parts = Parts::of(numbers.len(), edges);
        self.numbers = parts.old.iter().map(|&old| numbers[old as usize]).collect();
        self.places = Places::default();
        self.free.clear();
        for (&number, place) in self.numbers.iter().zip(0..) {
            match number {
                Some(number) => self.places.put(number, place),
                None => self.free.push(place),
            }
        }
        self.tree = TreeCut::build(&parts.forest);
        self.shared = SharedCut::build(&parts, &self.tree);
        self.inputs = parts.inputs;
        self.total = Sum::default();
        for place in 0..self.numbers.len() as u32 {
            let is_sink = self.tree.consumer(place) == NONE && self.shared.role(place).is_none();
            if is_sink && !self.is_alone(place) {
                self.total.add(self.tree.root_passes(place).alone());
            }
        }
    }

    /// Builds all anew from these edges.
    fn rebuild(&mut self, edges: &[Edge]) {
        self.build(self.numbers.clone(), edges);
    }

    /// All edges, by the place they leave.
    fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::with_capacity(self.numbers.len());
        for from in 0..self.numbers.len() as u32 {
            match self.tree.consumer(from) {
                NONE => {}
                SHARED => edges.extend(self.shared.edges(from).iter().map(|edge| Edge {
                    from,
                    to: edge.to,
                    capacity: edge.capacity,
                })),
                to => edges.push(Edge {
                    from,
                    to,
                    capacity: self.tree.capacity(from),
                }),
            }
        }
        edges
    }

    /// Whether an operator has no edges.
    fn is_alone(&self, place: u32) -> bool {
        self.inputs[place as usize] == 0 && self.tree.consumer(place) == NONE
    }

    #[inline]
    fn place(&self, operator: OperatorId) -> Result<u32, Error> {
        self.places
            .find(operator)
            .ok_or(Error::UnknownOperator { given: operator })
    }

    #[inline]
    fn ends(&self, from: OperatorId, to: OperatorId, capacity: f64) -> Result<(u32, u32), Error> {
        check_capacity(from, to, capacity)?;
        Ok((self.place(from)?, self.place(to)?))
    }

    /// The value of the minimum cut: the rows per millisecond (or per unit of cost) that can get through the plan.
    ///
    /// Complexity: O(1).
    #[inline]
    pub fn cut_value(&self) -> f64 {
        self.total.value() + self.shared.value()
    }

    /// How many nodes of the trees the changes of capacities visited since the engine was built: the work of a change,
    /// whatever the machine.
    pub fn visits(&self) -> u64 {
        self.tree.visits()
    }

    /// The number of operators.
    pub fn len(&self) -> usize {
        self.numbers.len() - self.free.len()
    }

    /// Whether there are no operators.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The capacity of an edge.
    ///
    /// # Errors
    /// [`Error::UnknownOperator`], [`Error::UnknownEdge`].
    pub fn edge_capacity(&self, from: OperatorId, to: OperatorId) -> Result<f64, Error> {
        let (source, target) = (self.place(from)?, self.place(to)?);
        self.find_edge(source, target)
            .ok_or(Error::UnknownEdge { from, to })
    }

    fn find_edge(&self, from: u32, to: u32) -> Option<f64> {
        match self.tree.consumer(from) {
            SHARED => {
                let mut edges = self.shared.edges(from).iter();
                edges.find(|edge| edge.to == to).map(|edge| edge.capacity)
            }
            consumer => Some(self.tree.capacity(from)).filter(|_| consumer == to),
        }
    }

    /// Changes the capacity of an edge and returns the value of the minimum cut.
    ///
    /// Complexity: see the [module](self).
    ///
    /// # Errors
    /// [`Error::InvalidCapacity`], [`Error::UnknownOperator`], [`Error::UnknownEdge`].
    pub fn update_edge(&mut self, from: OperatorId, to: OperatorId, capacity: f64) -> Result<f64, Error> {
        let (source, target) = self.ends(from, to, capacity)?;
        let before = self.cut_value();
        if !self.set_capacity(source, target, capacity) {
            return Err(Error::UnknownEdge { from, to });
        }
        Ok(self.signal(before, Some((from, to))))
    }

    /// Changes the capacities of several edges, as the execution of a plan does, and returns the value of the minimum
    /// cut; of two changes of one edge the later counts. Subscribers get one signal. In plans too large for the
    /// processor's caches this is several times faster than edge by edge: the changes are made in the order of memory,
    /// which is fetched for many of them at once.
    ///
    /// # Errors
    /// As [`DagMinCutEngine::update_edge`], of the first wrong change in the order of memory; then nothing is changed.
    pub fn update_edges(&mut self, changes: &[(OperatorId, OperatorId, f64)]) -> Result<f64, Error> {
        let mut ordered = Vec::with_capacity(changes.len());
        for (&(from, to, capacity), at) in changes.iter().zip(0u32..) {
            check_capacity(from, to, capacity)?;
            ordered.push((u64::from(self.place(from)?) << 32 | u64::from(at), to, capacity));
        }
        ordered.sort_unstable_by_key(|change| change.0);
        let source = |key: u64| (key >> 32) as u32;
        if let Some(&(key, to, _)) = ordered
            .iter()
            .find(|change| !self.leads_to(source(change.0), change.1))
        {
            self.place(to)?;
            let from = self.numbers[source(key) as usize].unwrap_or(to);
            return Err(Error::UnknownEdge { from, to });
        }
        let before = self.cut_value();
        for changes in ordered.chunks(AT_ONCE) {
            for &(key, ..) in changes {
                let above = self.tree.fetch(source(key));
                self.tree.fetch(above);
            }
            for &(key, to, capacity) in changes {
                let from = source(key);
                match self.tree.consumer(from) {
                    SHARED => _ = self.shared.set_capacity(from, self.place(to)?, capacity),
                    _ => self.set_tree_capacity(from, capacity),
                }
            }
        }
        Ok(self.signal(before, None))
    }

    /// Whether an edge leads from a place to an operator. In a tree this reads what lies near the place in memory.
    #[inline]
    fn leads_to(&self, from: u32, to: OperatorId) -> bool {
        match self.tree.consumer(from) {
            NONE => false,
            SHARED => self
                .place(to)
                .is_ok_and(|target| self.find_edge(from, target).is_some()),
            consumer => self.numbers[consumer as usize] == Some(to),
        }
    }

    /// Changes the capacity of an edge; tells whether there is one.
    #[inline]
    fn set_capacity(&mut self, from: u32, to: u32, capacity: f64) -> bool {
        match self.tree.consumer(from) {
            SHARED => self.shared.set_capacity(from, to, capacity).is_some(),
            consumer if consumer == to => {
                self.set_tree_capacity(from, capacity);
                true
            }
            _ => false,
        }
    }

    #[inline]
    fn set_tree_capacity(&mut self, from: u32, capacity: f64) {
        let reached = self.tree.set_capacity(from, capacity);
        self.follow(reached);
    }

    /// Carries on where a change of a tree ended.
    #[inline]
    fn follow(&mut self, reached: Reached) {
        if let Reached::Top(top, before) = reached {
            let passes = self.tree.passes(top);
            match self.role_of_path(top) {
                Some(role) => self.shared.follow(role, passes),
                None => self.total.replace(before.alone(), passes.alone()),
            }
        }
        if let Some(tired) = self.tree.take_tired() {
            self.leave(tired);
            self.enter(tired);
        }
    }

    fn role_of_path(&self, top: u32) -> Option<Role> {
        if self.shared.is_empty() {
            return None;
        }
        self.shared.role(self.tree.root_below(top))
    }

    /// Exposes a place and takes the cut of its tree out of the total, where it is in; returns the root.
    fn leave(&mut self, place: u32) -> u32 {
        let held = self.tree.expose(place);
        let root = self.tree.root_of_exposed(place);
        if self.shared.role(root).is_none() && !self.is_alone(root) {
            self.total.subtract(held);
        }
        root
    }

    /// Counts the tree of an exposed place again.
    fn enter(&mut self, place: u32) {
        let root = self.tree.root_of_exposed(place);
        match self.shared.role(root) {
            Some(role) => {
                let bottom = match role {
                    Role::Passage { begin, .. } => begin,
                    Role::Hub { .. } => root,
                };
                self.tree.expose(bottom);
                self.shared.follow(role, self.tree.passes(bottom));
            }
            None if self.is_alone(root) => {}
            None => self.total.add(self.tree.passes(place).alone()),
        }
    }

    /// Tells subscribers of a change and returns the cut's value.
    #[inline]
    fn signal(&mut self, before: f64, edge: Option<(OperatorId, OperatorId)>) -> f64 {
        let after = self.cut_value();
        self.subscribers.signal(CutSignal { before, after, edge });
        after
    }

    /// Calls `subscriber` after each change of the cut's value. It is called in the thread that makes the change, before
    /// the change returns, so it should be quick: count, set a flag, put the signal in a queue of the caller's.
    pub fn subscribe(&mut self, subscriber: impl FnMut(&CutSignal) + Send + 'static) -> SubscriptionId {
        self.subscribers.add(Box::new(subscriber))
    }

    /// Calls a subscriber no more; tells whether there was one.
    pub fn unsubscribe(&mut self, subscription: SubscriptionId) -> bool {
        self.subscribers.remove(subscription)
    }
}

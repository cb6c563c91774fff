//! Random graphs for property tests.

use proptest::prelude::*;
use ruvector_dag::{Clause, ClauseKind, OperatorId, OperatorNode, OperatorType, QueryDag};

fn name() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[a-z_\"'é]{0,8}")
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.0..1e6, 0.0..f64::MAX]
}

fn clause() -> impl Strategy<Value = Clause> {
    (proptest::sample::select(ClauseKind::ALL), ".{0,12}").prop_map(|(kind, text)| Clause::new(kind, text))
}

/// An operator of number 0 with anything in its other fields.
fn node() -> impl Strategy<Value = OperatorNode> {
    let texts = (name(), name(), name(), name(), name(), name());
    let numbers = (number(), number(), number(), any::<u32>(), 0u32..9);
    let counts = (
        proptest::option::of(number()),
        proptest::option::of(number()),
        proptest::option::of(number()),
        any::<Option<u64>>(),
        any::<Option<u32>>(),
    );
    let clauses = proptest::collection::vec(clause(), 0..3);
    (
        proptest::sample::select(OperatorType::ALL),
        texts,
        numbers,
        counts,
        clauses,
    )
        .prop_map(|(operator_type, texts, numbers, counts, clauses)| {
            let mut node = OperatorNode::new(0, operator_type).with_estimate(numbers.0, numbers.1, numbers.2);
            (node.relation, node.alias, node.index) = (texts.0, texts.1, texts.2);
            (node.join_type, node.strategy, node.subplan_name) = (texts.3, texts.4, texts.5);
            (node.width, node.workers) = (numbers.3, numbers.4);
            (node.actual_rows, node.loops, node.actual_ms) = (counts.0, counts.1, counts.2);
            (node.shared_hit_blocks, node.shared_read_blocks) = (counts.3, counts.3.map(|hit| hit / 2));
            node.search_breadth = counts.4;
            node.clauses = clauses;
            node
        })
}

/// Operators, and edges between their places, each from a lower to a higher one.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    /// Numbered by their place.
    pub(crate) nodes: Vec<OperatorNode>,
    /// Sorted by target, so that they are in the order of each operator's inputs.
    pub(crate) edges: Vec<(usize, usize)>,
}

impl Parts {
    /// The graph, with operators numbered by `number(place)` and added in the order of `places`.
    pub(crate) fn build(&self, places: &[usize], number: impl Fn(usize) -> u32) -> QueryDag {
        let mut dag = QueryDag::new();
        for &place in places {
            let node = OperatorNode {
                id: OperatorId(number(place)),
                ..self.nodes[place].clone()
            };
            dag.try_add_node(node).expect("a valid operator");
        }
        for &(from, to) in &self.edges {
            dag.add_edge(OperatorId(number(from)), OperatorId(number(to)))
                .expect("an edge upward");
        }
        dag
    }

    /// The graph as it stands.
    pub(crate) fn dag(&self) -> QueryDag {
        self.build(&(0..self.nodes.len()).collect::<Vec<_>>(), |place| place as u32)
    }
}

/// Parts of a graph of up to `size` operators.
pub(crate) fn parts(size: usize) -> impl Strategy<Value = Parts> {
    let nodes = proptest::collection::vec(node(), 1..=size);
    let edges = proptest::collection::vec((0..size, 0..size), 0..2 * size);
    (nodes, edges).prop_map(|(mut nodes, edges)| {
        let length = nodes.len();
        nodes
            .iter_mut()
            .enumerate()
            .for_each(|(place, node)| node.id = OperatorId(place as u32));
        let upward = edges
            .into_iter()
            .map(|(a, b)| (a % length, b % length))
            .filter(|(a, b)| a < b);
        let mut seen = std::collections::HashSet::new();
        let mut edges: Vec<(usize, usize)> = upward.filter(|edge| seen.insert(*edge)).collect();
        edges.sort_by_key(|&(_, to)| to);
        Parts { nodes, edges }
    })
}

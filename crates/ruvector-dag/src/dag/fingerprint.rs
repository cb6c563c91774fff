//! Stable 64-bit fingerprints: of the shape, of the shape with its relations, and of the whole with literals.
//!
//! The hash is `cardinality::hash_words`, written out and fixed. An operator's hash is made of its own words and its
//! inputs' hashes; the graph's is made of those of its sinks, sorted. Stored fingerprints are compared with new ones, so
//! the words and their order never change (`tests/fingerprint.rs` holds known values).
//!
//! They don't depend on operator numbers, on the order in which operators were added, or on the platform; they do depend
//! on the order of inputs, since outer and inner are different things.

use super::{OperatorNode, QueryDag};
use crate::cardinality::{hash_bytes, hash_words};

/// What counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    Shape,
    Relations,
    Literals,
}

impl QueryDag {
    /// Operator types, join types and edges.
    pub fn shape_fingerprint(&self) -> u64 {
        self.fingerprint(Detail::Shape)
    }

    /// The shape, and the tables and indexes read.
    pub fn relations_fingerprint(&self) -> u64 {
        self.fingerprint(Detail::Relations)
    }

    /// The shape, the relations, the strategies, the search breadth, and the clauses with their literals. Row counts and
    /// costs don't count.
    pub fn literal_fingerprint(&self) -> u64 {
        self.fingerprint(Detail::Literals)
    }

    /// Complexity: O(V + E + bytes of texts).
    ///
    /// Each operator's hash is made of its own and its inputs'; a shared operator's hash also counts its consumers, so
    /// that one shared subplan differs from two equal ones.
    fn fingerprint(&self, detail: Detail) -> u64 {
        let mut hashes = vec![0u64; self.nodes.len()];
        for position in self.order() {
            let own = own_hash(&self.nodes[position], detail);
            let shared = self.consumers[position].len().max(1) as u64;
            let inputs = self.inputs[position].iter().map(|&input| hashes[input]);
            hashes[position] = hash_words([own, shared].into_iter().chain(inputs));
        }
        let mut ends: Vec<u64> = (0..self.nodes.len())
            .filter(|&at| self.consumers[at].is_empty())
            .map(|at| hashes[at])
            .collect();
        ends.sort_unstable();
        hash_words(ends)
    }
}

fn own_hash(node: &OperatorNode, detail: Detail) -> u64 {
    let text = |text: &Option<String>| text.as_deref().map_or(0, |text| hash_bytes(text.as_bytes()));
    let mut words = vec![u64::from(node.operator_type.code()), text(&node.join_type)];
    if detail >= Detail::Relations {
        words.extend([text(&node.relation), text(&node.index)]);
    }
    if detail >= Detail::Literals {
        words.extend([text(&node.strategy), u64::from(node.search_breadth.unwrap_or(0))]);
        let clauses = node.clauses.iter();
        words.extend(
            clauses.flat_map(|clause| [u64::from(clause.kind.code()), hash_bytes(clause.text.as_bytes())]),
        );
    }
    hash_words(words)
}

//! A plan's shape as a hypervector: the bundle of what its operators are, how deep they are, what feeds what, and each
//! subplan as a whole.
//!
//! With A(v) the hypervector of an operator's type and join type and ρ the rotation by 64 bits (a move of words):
//!
//! | feature | hypervector | falls when |
//! |---|---|---|
//! | operator v at distance d from the result | ρ^d A(v) | it changes, or moves |
//! | v is input number i of u | A(u) ⊕ ρ^(i + 1) A(v) | either changes |
//! | the subplan under v | random, by its hash | anything in it changes |
//! | with relations: v reads relation r | A(v) ⊕ R(r) | either changes |
//!
//! The first two make plans that share operators alike; the third keeps any two plans apart, the whole plan being a
//! subplan. A feature that comes again counts on its 2nd, 4th, 8th … time, each time as another one, so that an Append of
//! hundreds of scans neither drowns the rest nor loses its size. Complexity: O(V log V + features · bits / 64).

use super::bundle::Bundle;
use super::{Hypervector, bind, check_bits, draw_into};
use crate::cardinality::{hash_bytes, hash_words};
use crate::{Error, OperatorNode, QueryDag};
use std::collections::HashMap;

/// What of a plan counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Detail {
    /// Operator and join types, and what feeds what.
    Shape,
    /// These, and the tables and indexes read.
    Relations,
}

/// Sorts of keys, so that those of one are never those of another.
const OPERATOR: u64 = 1;
const SUBPLAN: u64 = 2;
const RELATION: u64 = 3;
const AGAIN: u64 = 4;
/// Bits of one rotation.
const STEP: usize = 64;

impl Hypervector {
    /// The hypervector of a plan's shape. It does not depend on operators' numbers, rows, costs or clauses.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] when there are too few bits or too many.
    pub fn of_plan(dag: &QueryDag, bits: usize, detail: Detail) -> Result<Self, Error> {
        check_bits(bits)?;
        let facts = Facts::new(dag, detail);
        let mut encoder = Encoder {
            bits,
            bundle: Bundle::empty(bits),
            drawn: HashMap::new(),
            spare: Vec::new(),
        };
        let mut features = facts.features(dag, detail);
        features.sort_unstable();
        for equal in features.chunk_by(|a, b| a == b) {
            let Some(&feature) = equal.first() else { continue };
            (0..=equal.len().ilog2()).for_each(|time| encoder.add(feature, time));
        }
        Ok(encoder.bundle.majority())
    }
}

/// One thing that is true of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Feature {
    Operator { kind: u64, distance: u32 },
    Input { kind: u64, consumer: u64, number: u32 },
    Subplan { hash: u64 },
    Reads { kind: u64, relation: u64 },
}

/// By position: keys of what operators are, hashes of what is under them, distances from the result.
struct Facts {
    kinds: Vec<u64>,
    subplans: Vec<u64>,
    distances: Vec<u32>,
}

fn text_hash(text: Option<&str>) -> u64 {
    text.map_or(0, |text| hash_bytes(text.as_bytes()))
}

fn relation(node: &OperatorNode) -> u64 {
    hash_words([
        RELATION,
        text_hash(node.relation.as_deref()),
        text_hash(node.index.as_deref()),
    ])
}

impl Facts {
    fn new(dag: &QueryDag, detail: Detail) -> Self {
        let kind = |node: &OperatorNode| {
            let join = text_hash(node.join_type.as_deref());
            hash_words([OPERATOR, u64::from(node.operator_type.code()), join])
        };
        let kinds: Vec<u64> = dag.nodes().map(kind).collect();
        let order = dag.order();
        let (mut subplans, mut distances) = (vec![0u64; kinds.len()], vec![0u32; kinds.len()]);
        for &at in &order {
            let own = match detail {
                Detail::Shape => 0,
                Detail::Relations => relation(dag.node_at(at)),
            };
            // Consumers tell a shared subplan from two equal ones.
            let consumers = dag.consumer_positions(at).len().max(1) as u64;
            let inputs = dag.input_positions(at).iter().map(|&input| subplans[input]);
            subplans[at] = hash_words([SUBPLAN, kinds[at], own, consumers].into_iter().chain(inputs));
        }
        for &at in order.iter().rev() {
            let farther = dag
                .consumer_positions(at)
                .iter()
                .map(|&consumer| distances[consumer] + 1);
            distances[at] = farther.max().unwrap_or(0);
        }
        Self {
            kinds,
            subplans,
            distances,
        }
    }

    fn features(&self, dag: &QueryDag, detail: Detail) -> Vec<Feature> {
        let mut features = Vec::with_capacity(4 * self.kinds.len());
        for (at, node) in dag.nodes().enumerate() {
            let kind = self.kinds[at];
            features.push(Feature::Operator {
                kind,
                distance: self.distances[at],
            });
            features.push(Feature::Subplan {
                hash: self.subplans[at],
            });
            if detail == Detail::Relations && (node.relation.is_some() || node.index.is_some()) {
                features.push(Feature::Reads {
                    kind,
                    relation: relation(node),
                });
            }
            let inputs = dag.input_positions(at).iter().enumerate();
            features.extend(inputs.map(|(number, &input)| Feature::Input {
                kind: self.kinds[input],
                consumer: kind,
                // Where there are many inputs their order tells little.
                number: number.min(2) as u32,
            }));
        }
        features
    }
}

/// Makes features into hypervectors and bundles them.
struct Encoder {
    bits: usize,
    bundle: Bundle,
    /// Those of operators, relations and times, which come often.
    drawn: HashMap<u64, Hypervector>,
    /// Room for words.
    spare: Vec<Vec<u64>>,
}

impl Encoder {
    /// Adds a feature for its 2^`time`-th time.
    fn add(&mut self, feature: Feature, time: u32) {
        let mut words = self.spare.pop().unwrap_or_default();
        match feature {
            Feature::Operator { kind, distance } => {
                self.drawn(kind)
                    .permute_into(STEP * distance as usize, &mut words);
            }
            Feature::Subplan { hash } => draw_into(hash, self.bits, &mut words),
            Feature::Input {
                kind,
                consumer,
                number,
            } => {
                let count = STEP * (number as usize + 1);
                self.drawn(kind).permute_into(count, &mut words);
                bind(&mut words, self.drawn(consumer));
            }
            Feature::Reads { kind, relation } => {
                words.clone_from(&self.drawn(relation).words);
                bind(&mut words, self.drawn(kind));
            }
        };
        if time > 0 {
            bind(&mut words, self.drawn(hash_words([AGAIN, u64::from(time)])));
        }
        self.bundle.take_in(words, &mut self.spare);
    }

    fn drawn(&mut self, key: u64) -> &Hypervector {
        let bits = self.bits;
        self.drawn
            .entry(key)
            .or_insert_with(|| Hypervector::drawn(key, bits))
    }
}

//! A hash of everything a graph holds, for the cache: equal hashes mean equal scores.
//!
//! No fingerprint of `dag` will do: they leave out rows and costs, and are the same for graphs whose operators were added
//! in another order, while scores stand in that order. 128 bits in two independent lanes, so that 10,000 entries collide
//! with a probability below 10^-30. Not stored anywhere, so it may change between versions.

use crate::cardinality::mix;
use crate::{OperatorNode, QueryDag};

/// Two lanes over the same words.
struct Lanes(u64, u64);

impl Lanes {
    fn word(&mut self, word: u64) {
        self.0 = mix(self.0, word);
        self.1 = mix(self.1, word.rotate_left(32) ^ 0xa076_1d64_78bd_642f);
    }

    fn text(&mut self, text: &str) {
        self.word(text.len() as u64);
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn operator(&mut self, node: &OperatorNode) {
        // Every field by name, so that a new one is not forgotten here.
        let OperatorNode {
            id,
            operator_type,
            relation,
            alias,
            index,
            join_type,
            strategy,
            subplan_name,
            clauses,
            rows,
            startup_cost,
            total_cost,
            width,
            workers,
            actual_rows,
            loops,
            actual_ms,
            shared_hit_blocks,
            shared_read_blocks,
            search_breadth,
        } = node;
        let texts = [relation, alias, index, join_type, strategy, subplan_name];
        let counts = [actual_rows, loops, actual_ms];
        let blocks = [shared_hit_blocks, shared_read_blocks];
        let known = texts.iter().map(|text| text.is_some());
        let known = known.chain(counts.iter().map(|count| count.is_some()));
        let known = known.chain(blocks.iter().map(|blocks| blocks.is_some()));
        let known = known.chain([search_breadth.is_some()]);
        let known = known.fold(0u64, |bits, is_known| bits << 1 | u64::from(is_known));
        // What is known goes first, so that the words after it can be told apart.
        self.word(known << 40 | u64::from(operator_type.code()) << 32 | u64::from(id.0));
        self.word(u64::from(*width) << 32 | u64::from(*workers));
        self.word((clauses.len() as u64) << 32 | u64::from(search_breadth.unwrap_or(0)));
        texts.into_iter().flatten().for_each(|text| self.text(text));
        for clause in clauses {
            self.word(u64::from(clause.kind.code()));
            self.text(&clause.text);
        }
        for number in [rows, startup_cost, total_cost]
            .into_iter()
            .chain(counts.into_iter().flatten())
        {
            self.word(number.to_bits());
        }
        blocks.into_iter().flatten().for_each(|&blocks| self.word(blocks));
    }
}

/// The hash: of all operators in the order they were added, their edges, and the self costs a cost model
/// gives them.
///
/// Complexity: O(V + E + bytes of texts).
pub fn content_hash(dag: &QueryDag) -> u128 {
    let mut lanes = Lanes(0x5851_f42d_4c95_7f2d, 0x1405_7b7e_f767_814f);
    lanes.word(dag.len() as u64);
    // PostgreSQL's self costs follow from the rest.
    if dag.has_cost_model() {
        let costs = dag.self_costs_by_position().into_iter();
        costs.for_each(|self_cost| lanes.word(self_cost.to_bits()));
    }
    lanes.word(u64::from(dag.has_cost_model()));
    for (at, node) in dag.nodes().enumerate() {
        lanes.operator(node);
        let inputs = dag.input_positions(at);
        lanes.word(inputs.len() as u64);
        inputs.iter().for_each(|&input| lanes.word(input as u64));
    }
    u128::from(lanes.0) << 64 | u128::from(lanes.1)
}

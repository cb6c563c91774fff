//! What every mechanism needs to know of a graph, found out once per call: O(V + E), and no allocation per operator.

use super::kernel::{DIMENSIONS, content, direction};
use crate::QueryDag;
use crate::embedding::{Context, describe};

/// No consumer.
pub(super) const SINK: u32 = u32::MAX;
/// More than one consumer.
pub(super) const SHARED: u32 = u32::MAX - 1;

/// The facts of one operator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fact {
    /// The position of its only consumer, [`SINK`] or [`SHARED`].
    pub(super) consumer: u32,
    /// Inputs that have no place in the order yet; 0 when all have one.
    waiting: u32,
    /// Edges from the farthest source.
    pub(super) height: u32,
    /// Edges to the farthest sink.
    pub(super) nesting: u32,
    pub(super) self_cost: f64,
    /// The share of the self cost.
    pub(super) weight: f64,
    /// The direction of the projected features.
    pub(super) direction: [f64; DIMENSIONS],
}

/// The facts of a graph, by position.
pub(crate) struct Facts<'d> {
    pub(super) dag: &'d QueryDag,
    pub(super) of: Vec<Fact>,
    /// Positions, inputs before consumers.
    pub(super) order: Vec<u32>,
    /// Positions of operators with several consumers, in that order.
    pub(super) shared: Vec<u32>,
}

impl<'d> Facts<'d> {
    /// The facts of `dag`.
    pub(crate) fn of(dag: &'d QueryDag) -> Self {
        let mut facts = Self {
            dag,
            of: weighed(dag),
            order: Vec::with_capacity(dag.len()),
            shared: Vec::new(),
        };
        facts.put_in_order();
        facts.find_nesting();
        for (at, node) in dag.nodes().enumerate() {
            let (numbers, family) = describe(node, &facts.context(at));
            facts.of[at].direction = direction(&numbers, family);
        }
        facts
    }

    /// Orders the operators (Kahn 1962; the order is its own queue), and finds heights and shared ones on the way.
    fn put_in_order(&mut self) {
        let free = (0..self.of.len()).filter(|&at| self.of[at].waiting == 0);
        self.order.extend(free.map(|at| at as u32));
        let mut next = 0;
        while let Some(&position) = self.order.get(next) {
            next += 1;
            let at = position as usize;
            if self.of[at].consumer == SHARED {
                self.shared.push(position);
            }
            let height = self.of[at].height + 1;
            for &consumer in self.dag.consumer_positions(at) {
                let fact = &mut self.of[consumer];
                fact.height = fact.height.max(height);
                fact.waiting -= 1;
                if fact.waiting == 0 {
                    self.order.push(consumer as u32);
                }
            }
        }
    }

    fn find_nesting(&mut self) {
        for &position in self.order.iter().rev() {
            let at = position as usize;
            self.of[at].nesting = match self.of[at].consumer {
                SINK => 0,
                SHARED => {
                    let consumers = self.dag.consumer_positions(at).iter();
                    consumers
                        .map(|&consumer| self.of[consumer].nesting + 1)
                        .max()
                        .unwrap_or(0)
                }
                consumer => self.of[consumer as usize].nesting + 1,
            };
        }
    }

    /// What the features need to know of the graph.
    #[inline]
    pub(crate) fn context(&self, at: usize) -> Context {
        let fact = &self.of[at];
        let inputs = self.dag.input_positions(at);
        let rows = inputs
            .iter()
            .map(|&input| self.dag.node_at(input).rows)
            .sum::<f64>();
        Context {
            self_cost: fact.self_cost,
            share: fact.weight,
            height: fact.height,
            nesting: fact.nesting,
            input_rows: (!inputs.is_empty()).then(|| rows.min(f64::MAX)),
            inputs: inputs.len(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// All shares of the self cost.
    pub(super) fn weights(&self) -> impl Iterator<Item = f64> {
        self.of.iter().map(|fact| fact.weight)
    }

    /// The content part for two operators.
    #[inline]
    pub(super) fn content(&self, a: usize, b: usize) -> f64 {
        content(&self.of[a].direction, &self.of[b].direction)
    }

    /// The row of an operator, from e to the biases.
    pub(super) fn row(&self, at: usize, mut factors: Vec<f64>) -> Vec<f64> {
        for (other, factor) in factors.iter_mut().enumerate() {
            *factor *= self.content(at, other);
        }
        super::AttentionScores::new(factors).scores
    }
}

/// Facts that need no order: consumers, inputs and shares of the self cost.
fn weighed(dag: &QueryDag) -> Vec<Fact> {
    let costs = dag.self_costs_by_position();
    // Shares of costs near the largest number there is: scaled before they are added.
    let largest = costs.iter().copied().fold(0.0, f64::max).min(f64::MAX);
    let scale = if largest > 0.0 {
        1.0 / largest.max(f64::MIN_POSITIVE * 4.0)
    } else {
        0.0
    };
    let scaled = |cost: f64| (cost.clamp(0.0, f64::MAX) * scale).min(1.0);
    let sum: f64 = costs.iter().map(|&cost| scaled(cost)).sum();
    let share = |cost: f64| {
        if sum > 0.0 {
            scaled(cost) / sum
        } else {
            1.0 / costs.len() as f64
        }
    };
    let fact = |(at, &cost): (usize, &f64)| Fact {
        consumer: match dag.consumer_positions(at) {
            [] => SINK,
            [only] => *only as u32,
            _ => SHARED,
        },
        waiting: dag.input_positions(at).len() as u32,
        height: 0,
        nesting: 0,
        self_cost: cost,
        weight: share(cost),
        direction: [0.0; DIMENSIONS],
    };
    costs.iter().enumerate().map(fact).collect()
}

//! Sums over what feeds an operator and over what it feeds, itself included, each operator counted once.
//!
//! Cut at its shared operators a graph is a forest: below the cuts every operator has one consumer, so sums go along the
//! edges, one pass in each direction. What feeds an operator is its own subtree and the whole trees of the shared
//! operators that feed it, directly or not; these are found by walking up from each shared operator. O(V + E) for trees
//! and O(V + s (V + E)) with s shared operators, which in plans are few; exact for both.

use super::facts::{Facts, SHARED, SINK};
use super::kernel::{LANES, Lanes, add, inner, lift};

/// Space for the sums of one call.
pub(super) struct Sums<'f, 'd> {
    facts: &'f Facts<'d>,
    lanes: Vec<Lanes>,
    walk: Walk,
}

impl<'f, 'd> Sums<'f, 'd> {
    pub(super) fn new(facts: &'f Facts<'d>) -> Self {
        Self {
            facts,
            lanes: Vec::with_capacity(facts.len()),
            walk: Walk::default(),
        }
    }

    /// For each operator q the sum of `weight(v) content(q, v)` over q and what feeds it. `also` may add to what an
    /// operator's content is compared with: it gets the position, its lifted direction and the sum so far.
    pub(super) fn over_feeding(
        &mut self,
        weight: impl Fn(usize) -> f64,
        mut also: impl FnMut(usize, &Lanes, &mut Lanes),
    ) -> Vec<f64> {
        let facts = self.facts;
        let mut sums = vec![0.0; facts.len()];
        self.lanes.clear();
        self.lanes.resize(facts.len(), [0.0; LANES]);
        for &position in &facts.order {
            let at = position as usize;
            let lifted = lift(&facts.of[at].direction);
            let mut sum = self.lanes[at];
            add(&mut sum, weight(at), &lifted);
            match facts.of[at].consumer {
                SINK => {}
                SHARED => self.lanes[at] = sum,
                consumer => add(&mut self.lanes[consumer as usize], 1.0, &sum),
            }
            also(at, &lifted, &mut sum);
            sums[at] = inner(&lifted, &sum);
        }
        for &shared in &facts.shared {
            let tree = self.lanes[shared as usize];
            self.walk.up(facts, shared, |above| {
                sums[above] += inner(&lift(&facts.of[above].direction), &tree);
            });
        }
        sums
    }

    /// Replaces each operator v's weight by the sum of `weights[q] content(q, v)` over v and what it feeds. `also` as above;
    /// it gets the weight, too, and consumers come before their inputs.
    pub(super) fn over_fed(
        &mut self,
        weights: &mut [f64],
        mut also: impl FnMut(usize, f64, &Lanes, &mut Lanes),
    ) {
        let facts = self.facts;
        self.lanes.resize(facts.len(), [0.0; LANES]);
        for &shared in &facts.shared {
            let mut sum = [0.0; LANES];
            self.walk.up(facts, shared, |above| {
                add(&mut sum, weights[above], &lift(&facts.of[above].direction));
            });
            self.lanes[shared as usize] = sum;
        }
        for &position in facts.order.iter().rev() {
            let at = position as usize;
            let lifted = lift(&facts.of[at].direction);
            let mut sum = match facts.of[at].consumer {
                SINK => [0.0; LANES],
                SHARED => self.lanes[at],
                consumer => self.lanes[consumer as usize],
            };
            let weight = weights[at];
            add(&mut sum, weight, &lifted);
            self.lanes[at] = sum;
            also(at, weight, &lifted, &mut sum);
            weights[at] = inner(&lifted, &sum);
        }
    }
}

/// Scores of a mechanism whose mask is an operator and what feeds it, and whose e^bias is `gate(v)`.
pub(super) fn gated_scores(facts: &Facts<'_>, gate: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut sums = Sums::new(facts);
    let mut scores = sums.over_feeding(&gate, |_, _, _| {});
    for (score, weight) in scores.iter_mut().zip(facts.weights()) {
        *score = weight / *score;
    }
    sums.over_fed(&mut scores, |_, _, _, _| {});
    for (at, score) in scores.iter_mut().enumerate() {
        *score *= gate(at);
    }
    scores
}

/// `factor(v)` for an operator and what feeds it, 0 for the others.
pub(super) fn feeding_factors(facts: &Facts<'_>, at: usize, factor: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut factors = vec![0.0; facts.len()];
    factors[at] = factor(at);
    let mut seen = vec![false; facts.len()];
    let mut open = vec![at];
    while let Some(position) = open.pop() {
        for &input in facts.dag.input_positions(position) {
            if !std::mem::replace(&mut seen[input], true) {
                factors[input] = factor(input);
                open.push(input);
            }
        }
    }
    factors
}

/// Walks over what an operator feeds, reusing its space.
#[derive(Default)]
pub(super) struct Walk {
    /// By position the number of the last walk that came there.
    seen: Vec<u32>,
    open: Vec<u32>,
    number: u32,
}

impl Walk {
    /// Calls `visit` for each operator that `start` feeds, directly or not, once.
    pub(super) fn up(&mut self, facts: &Facts<'_>, start: u32, mut visit: impl FnMut(usize)) {
        self.levels(facts, start, u32::MAX, |above, _| visit(above));
    }

    /// As [`Walk::up`], up to `limit` hops, with the least number of hops: in the order of hops.
    pub(super) fn levels(
        &mut self,
        facts: &Facts<'_>,
        start: u32,
        limit: u32,
        mut visit: impl FnMut(usize, u32),
    ) {
        self.seen.resize(facts.len(), 0);
        self.number += 1;
        self.open.clear();
        self.open.push(start);
        let (mut next, mut hops) = (0, 0);
        while next < self.open.len() && hops < limit {
            hops += 1;
            let level = next..self.open.len();
            next = level.end;
            for index in level {
                for &consumer in facts.dag.consumer_positions(self.open[index] as usize) {
                    if std::mem::replace(&mut self.seen[consumer], self.number) != self.number {
                        visit(consumer, hops);
                        self.open.push(consumer as u32);
                    }
                }
            }
        }
    }
}

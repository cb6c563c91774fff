//! How much work a plan is: sums, which a mean over operators loses and a unit norm would scale away.
//!
//! Each magnitude is a logarithm, written as points on circles: (cos ωm, sin ωm) for a few frequencies ω. The dot product
//! of two such codes is Σ weight(ω) · cos(ω · difference), whatever the magnitudes are: 1 for equal ones, 0.90 for a
//! factor e, 0.65 for e², 0.22 for e⁶, falling up to e⁹ and low beyond. These are random Fourier features (Rahimi and
//! Recht 2007) with frequencies fixed instead of drawn, since there is one dimension at a time. So the norm is constant,
//! and distance follows the logarithm.

use crate::{OperatorNode, OperatorType, QueryDag};
use std::f64::consts::PI;

/// Coordinates of the magnitudes.
pub(super) const MAGNITUDES: usize = COUNT * 2 * FREQUENCIES.len();

/// Magnitudes of a plan.
const COUNT: usize = 12;

/// Frequencies in radians per nat, and their weights, which sum to 1. The lowest tells apart what is up to e³² apart.
const FREQUENCIES: [(f64, f64); 4] = [
    (PI / 32.0, 0.36),
    (PI / 12.0, 0.32),
    (PI / 5.0, 0.22),
    (PI / 3.0, 0.10),
];

/// How much each magnitude counts, in the order of [`Work::magnitudes`]. Searched for on every second statement of STATS, in
/// two configurations of the server (`make bench-stats` reports on all): rows tell more than cost, and the number of
/// operators tells how far errors of the estimates have multiplied.
const WEIGHTS: [f64; COUNT] = [0.15, 1.5, 0.15, 0.15, 0.2, 0.85, 0.9, 0.15, 0.2, 0.3, 3.2, 0.7];

/// What the plan's cost is summed up in, so that the sum of costs near the greatest number is finite.
const UNIT: f64 = 1.0 / (1 << 30) as f64;

/// The work of a plan, in the planner's numbers: never in counts, since they are not known before it ran.
#[derive(Default)]
struct Work {
    cost: f64,
    rows: f64,
    result_rows: f64,
    scan_cost: f64,
    nested_loop_cost: f64,
    other_join_cost: f64,
    keeping_cost: f64,
    /// Means of logarithms, weighed by the scores.
    attended: (f64, f64),
    /// The mean of the self costs, weighed by the scores.
    attended_cost: f64,
    operators: f64,
    bytes: f64,
}

impl Work {
    fn add(&mut self, node: &OperatorNode, self_cost: f64, score: f64) {
        self.cost += self_cost * UNIT;
        self.rows += node.rows;
        self.bytes += node.rows * f64::from(node.width);
        self.operators += 1.0;
        self.attended.0 += score * self_cost.ln_1p();
        self.attended.1 += score * node.rows.ln_1p();
        self.attended_cost += score * self_cost;
        match node.operator_type {
            OperatorType::NestedLoop => self.nested_loop_cost += self_cost,
            kind if kind.is_join() => self.other_join_cost += self_cost,
            kind if kind.is_scan() => self.scan_cost += self_cost,
            kind if kind.keeps_input() => self.keeping_cost += self_cost,
            _ => {}
        }
    }

    /// How concentrated the cost is where attention is: 1 when one operator has all of both.
    fn attended_share(&self) -> f64 {
        if self.cost > 0.0 {
            (self.attended_cost * UNIT / self.cost).min(1.0)
        } else {
            0.0
        }
    }

    /// In nats; what spans few of them is stretched.
    fn magnitudes(&self) -> [f64; COUNT] {
        [
            (self.cost / UNIT).ln_1p(),
            self.rows.ln_1p(),
            self.result_rows.ln_1p(),
            self.scan_cost.ln_1p(),
            self.nested_loop_cost.ln_1p(),
            self.other_join_cost.ln_1p(),
            self.keeping_cost.ln_1p(),
            self.attended.0,
            self.attended.1,
            8.0 * self.attended_share(),
            4.0 * self.operators.ln_1p(),
            self.bytes.ln_1p(),
        ]
    }
}

/// The plan's magnitudes, encoded.
///
/// Complexity: O(V + E).
pub(super) fn magnitudes(dag: &QueryDag, scores: &[f64]) -> [f32; MAGNITUDES] {
    let mut work = Work::default();
    let operators = dag
        .nodes()
        .zip(dag.self_costs_by_position())
        .zip(scores)
        .enumerate();
    for (at, ((node, self_cost), &score)) in operators {
        work.add(node, self_cost, score);
        if dag.consumer_positions(at).is_empty() {
            work.result_rows += node.rows;
        }
    }
    let mut code = [0.0; MAGNITUDES];
    let circles = work
        .magnitudes()
        .into_iter()
        .zip(WEIGHTS)
        .flat_map(|(magnitude, weight)| {
            // A sum of numbers near the greatest is infinite.
            let magnitude = magnitude.min(f64::MAX.ln());
            FREQUENCIES.map(|(frequency, share)| (frequency * magnitude, (weight * share).sqrt()))
        });
    for (circle, (angle, radius)) in code.chunks_exact_mut(2).zip(circles) {
        let (sine, cosine) = angle.sin_cos();
        circle.copy_from_slice(&[(radius * cosine) as f32, (radius * sine) as f32]);
    }
    code
}

#[cfg(test)]
mod tests {
    use super::FREQUENCIES;

    #[test]
    fn likeness_falls_up_to_nine_nats_and_stays_low() {
        let likeness = |difference: f64| -> f64 {
            let circles = FREQUENCIES.iter();
            circles
                .map(|(frequency, share)| share * (frequency * difference).cos())
                .sum()
        };
        let shares: f64 = FREQUENCIES.iter().map(|(_, share)| share).sum();
        assert!((shares - 1.0).abs() < 1e-12);
        let tenths = |tenth: i32| likeness(f64::from(tenth) / 10.0);
        assert!((0..90).all(|tenth| tenths(tenth) > tenths(tenth + 1)));
        assert!((90..320).all(|tenth| tenths(tenth) < 0.22));
        assert!((tenths(10) - 0.90).abs() < 0.01 && (tenths(20) - 0.65).abs() < 0.01);
    }
}

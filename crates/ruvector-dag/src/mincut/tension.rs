//! Tension: how far a plan is from one whose operators take equal shares of the time and return what was expected.
//!
//! With `p` an operator's share of the time, `n` the number of operators and `q` its q-error (the factor between
//! expected and counted rows, 1 where it is not known):
//!
//! ```text
//! excess(v)  = max(0, p(v) − 1/n)                    surprise(v)  = ln q(v)
//! excess     = sqrt Σ (p(v) − 1/n)²                  surprise     = sqrt Σ ln² q(v)
//!
//! tension    = 1 − (1 − excess) · (1 − m)            m = surprise / (surprise + ln 10)
//! ```
//!
//! the first line for an operator, the second for the plan. A misestimate by a factor of ten counts one half, an
//! operator with all of the time nearly one. Three laws hold, and are tested:
//!
//! 1. Equal shares and right estimates have tension 0. (Shares are sums of rounded numbers: an excess of less than
//!    1e-12 is none.)
//! 2. Tension rises strictly with an operator's share while the others share the rest as before: its own from an equal
//!    share upward, the plan's when that operator has the largest share. More can't be had: of (1, 2, 0) and (2, 1, 0)
//!    thirds the tension is the same, and yet the way between them raises one share that is equal or more.
//! 3. Tension rises strictly with an operator's q-error, its own and the plan's.
//!
//! It stays below 1: an excess is at most `1 − 1/n`. And the plan's is never less than any of its operators'.

use super::self_time::self_times;
use crate::{OperatorNode, QueryDag};
use std::f64::consts::LN_10;

/// What rounding may leave of equal shares.
const ROUNDING: f64 = 1e-12;

/// The tension of each operator, in the order of [`QueryDag::nodes`], from 0 to below 1.
///
/// Complexity: O(V + E).
pub fn tensions(dag: &QueryDag) -> Vec<f64> {
    let mut tensions = excesses(dag);
    for (tension, node) in tensions.iter_mut().zip(dag.nodes()) {
        *tension = combined(tension.max(0.0), surprise(node));
    }
    tensions
}

/// The tension of a plan, from 0 to below 1.
///
/// Complexity: O(V + E).
pub fn plan_tension(dag: &QueryDag) -> f64 {
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    let excess = norm(&mut excesses(dag).into_iter());
    combined(excess, norm(&mut dag.nodes().map(surprise)))
}

fn combined(excess: f64, surprise: f64) -> f64 {
    // 1 − m is ln 10 / (surprise + ln 10).
    1.0 - (1.0 - excess) * (LN_10 / (surprise + LN_10))
}

/// The logarithm of the q-error; 0 where rows were not counted, or would have been had it run.
fn surprise(node: &OperatorNode) -> f64 {
    if node.loops == Some(0.0) {
        return 0.0;
    }
    node.q_error().map_or(0.0, f64::ln)
}

/// By how much each operator's share of the time is above an equal one.
fn excesses(dag: &QueryDag) -> Vec<f64> {
    let mut times = self_times(dag);
    let largest = times.iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        return times;
    }
    // By the largest first, so that the sum of large times is finite.
    let total: f64 = times.iter().map(|time| time / largest).sum();
    let equal = 1.0 / times.len() as f64;
    for time in &mut times {
        let excess = *time / largest / total - equal;
        *time = if excess.abs() < ROUNDING { 0.0 } else { excess };
    }
    times
}

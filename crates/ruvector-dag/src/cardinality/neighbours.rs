//! What the parts don't explain, remembered per graph of tables: the residuals of sub-joins with the same tables and
//! joins, weighed by how alike their clauses are (Nadaraya 1964, Watson 1964; per template as in AQO).
//!
//! ```text
//!   k = exp(−d² / 2h²)     residual = Σ k r / (Σ k + c)     what stays uncertain = c / (Σ k + c)
//! ```
//!
//! `d` is the distance of the clauses' √(−ln selectivity); a clause that one side lacks counts as one that keeps all
//! rows, and a little more. Residuals are those against the regression as it is when they are asked for.

use super::regression::{ById, FeatureRegression, Placed, map_bytes};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Bandwidth `h`.
const BANDWIDTH: f32 = 0.3;
/// Shrinkage `c`: sub-joins just like this one that count as much as knowing none.
const SHRINKAGE: f64 = 0.3;
/// Clauses that cut something off are this far from those that don't, whatever they cut.
const CUTS: f32 = 0.3;
/// Squared distance of a clause that only one side has.
const MISSING: f32 = 0.05;
/// Squared distance below which two points are one.
const SAME: f32 = 1e-9;
/// Log counts this near each other are the same observation made again.
const AGAIN: f64 = 0.1;
/// Points per graph.
const PER_GRAPH: usize = 16;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point {
    clauses: Box<[(u64, f32)]>,
    parts: Box<[Placed]>,
    log_ratio: f64,
    used: u64,
}

/// What the neighbours of a sub-join say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Neighbourhood {
    /// Their residual.
    pub(super) residual: f64,
    /// The share of the uncertainty that stays: 1 without neighbours.
    pub(super) uncertain: f64,
}

/// At most `capacity` sub-joins seen, by their graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct GraphMemory {
    capacity: usize,
    points: usize,
    clock: u64,
    graphs: ById<Vec<Point>>,
}

impl GraphMemory {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            points: 0,
            clock: 0,
            graphs: ById::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.points
    }

    /// Bytes on the heap.
    pub(super) fn memory_bytes(&self) -> usize {
        let of_point =
            |point: &Point| size_of_val(point.clauses.as_ref()) + size_of_val(point.parts.as_ref());
        let of_graph = |points: &Vec<Point>| {
            points.capacity() * size_of::<Point>() + points.iter().map(of_point).sum::<usize>()
        };
        map_bytes::<Vec<Point>>(self.graphs.capacity()) + self.graphs.values().map(of_graph).sum::<usize>()
    }

    /// Complexity: O(points of the graph · (parts + clauses)).
    pub(super) fn predict(
        &self,
        graph: u64,
        clauses: &[(u64, f32)],
        regression: &FeatureRegression,
    ) -> Neighbourhood {
        let (mut weights, mut residuals) = (0.0, 0.0);
        for point in self.graphs.get(&graph).into_iter().flatten() {
            let distance = squared_distance(clauses, &point.clauses);
            let weight = f64::from((-distance / (2.0 * BANDWIDTH * BANDWIDTH)).exp());
            if weight > 1e-4 {
                weights += weight;
                residuals += weight * (point.log_ratio - regression.mean_of(&point.parts));
            }
        }
        Neighbourhood {
            residual: residuals / (weights + SHRINKAGE),
            uncertain: SHRINKAGE / (weights + SHRINKAGE),
        }
    }

    /// Whether this was observed before, with this outcome: nothing new. It is then the one used last.
    pub(super) fn is_repeated(&mut self, graph: u64, clauses: &[(u64, f32)], log_ratio: f64) -> bool {
        self.clock += 1;
        let clock = self.clock;
        self.find(graph, clauses).is_some_and(|point| {
            point.used = clock;
            (point.log_ratio - log_ratio).abs() < AGAIN
        })
    }

    /// Remembers a sub-join; where it was known with another outcome, the mean of both.
    pub(super) fn learn(&mut self, graph: u64, clauses: &[(u64, f32)], parts: Box<[Placed]>, log_ratio: f64) {
        if self.capacity == 0 {
            return;
        }
        self.clock += 1;
        let used = self.clock;
        if let Some(point) = self.find(graph, clauses) {
            point.log_ratio = f64::midpoint(point.log_ratio, log_ratio);
            (point.parts, point.used) = (parts, used);
            return;
        }
        if self.graphs.get(&graph).map_or(0, Vec::len) >= PER_GRAPH {
            self.drop_oldest_of(graph);
        } else if self.points >= self.capacity
            && let Some(oldest) = self.stalest_graph()
        {
            self.drop_oldest_of(oldest);
        }
        self.graphs.entry(graph).or_default().push(Point {
            clauses: clauses.into(),
            parts,
            log_ratio,
            used,
        });
        self.points += 1;
    }

    /// Whether the numbers of a stored memory fit together.
    pub(super) fn is_sound(&self) -> bool {
        let points = || self.graphs.values().flatten();
        let is_finite = |point: &Point| point.log_ratio.is_finite();
        points().count() == self.points && self.points <= self.capacity && points().all(is_finite)
    }

    fn find(&mut self, graph: u64, clauses: &[(u64, f32)]) -> Option<&mut Point> {
        let points = self.graphs.get_mut(&graph)?;
        points
            .iter_mut()
            .find(|point| squared_distance(clauses, &point.clauses) < SAME)
    }

    fn stalest_graph(&self) -> Option<u64> {
        let oldest = |points: &[Point]| points.iter().map(|point| point.used).min();
        let graphs = self
            .graphs
            .iter()
            .filter_map(|(graph, points)| Some((oldest(points)?, *graph)));
        graphs.min().map(|(_, graph)| graph)
    }

    fn drop_oldest_of(&mut self, graph: u64) {
        let Some(points) = self.graphs.get_mut(&graph) else {
            return;
        };
        let oldest = points.iter().enumerate().min_by_key(|(_, point)| point.used);
        if let Some((at, _)) = oldest {
            points.swap_remove(at);
            self.points -= 1;
        }
        if points.is_empty() {
            self.graphs.remove(&graph);
        }
    }
}

/// Between two clause points, each ascending by template.
fn squared_distance(mut left: &[(u64, f32)], mut right: &[(u64, f32)]) -> f32 {
    let place = |cut: f32| cut + if cut > 0.03 { CUTS } else { 0.0 };
    let alone = |cut: f32| place(cut) * place(cut) + MISSING;
    let rest = |points: &[(u64, f32)]| points.iter().map(|(_, cut)| alone(*cut)).sum::<f32>();
    let mut distance = 0.0;
    while let (Some((&(here, cut), left_rest)), Some((&(there, other), right_rest))) =
        (left.split_first(), right.split_first())
    {
        distance += match here.cmp(&there) {
            Ordering::Less => alone(cut),
            Ordering::Greater => alone(other),
            Ordering::Equal => (place(cut) - place(other)).powi(2),
        };
        left = if here <= there { left_rest } else { left };
        right = if there <= here { right_rest } else { right };
    }
    distance + rest(left) + rest(right)
}

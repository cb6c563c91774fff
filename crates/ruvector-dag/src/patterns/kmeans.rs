//! Clusters by k-means: Lloyd's iterations from the seeds of k-means++, and how good the result is.
//!
//! - Seeds: the first point at random, each further one with a probability proportional to its squared distance from the
//!   nearest seed so far (Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding", 2007); then assign
//!   each point to the nearest centroid and move each centroid to the mean of its points (Lloyd 1982) until nothing
//!   changes. A cluster that lost all its points starts again at the point farthest from its centroid.
//! - Distances are Euclidean; on unit vectors their squares are 2 − 2 cos, so that clusters of plans are clusters by
//!   cosine. Points may count with a weight, as if each were there that many times.
//! - Deterministic: by seed, whatever the number of threads. Assignments go by point on rayon's threads, each on its own;
//!   sums go in the points' order.
//! - Complexity: O(n · k · d) per iteration.

use crate::Error;
use crate::cardinality::mix;
use crate::interruptible::{IsOver, check, map_in_parts};

/// The iterations after which k-means ends whether or not it has converged, unless told otherwise.
pub const MAX_ITERATIONS: usize = 100;

/// Points that are assigned between two questions whether to stop.
const PART: usize = 1_024;

/// The result of [`kmeans_pp`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clustering {
    /// The clusters' means; at most as many as asked for, fewer when there are fewer distinct points.
    pub centroids: Vec<Vec<f32>>,
    /// For each point the place of its centroid.
    pub assignment: Vec<u32>,
    /// How many times centroids moved.
    pub iterations: usize,
    /// The weighted sum of the squared distances of the points from their centroids.
    pub inertia: f64,
}

impl Clustering {
    /// The points of each cluster, in their order.
    pub fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.centroids.len()];
        for (point, &cluster) in self.assignment.iter().enumerate() {
            if let Some(members) = members.get_mut(cluster as usize) {
                members.push(point);
            }
        }
        members
    }
}

/// Clusters points into at most `k` clusters. Points of different lengths are cut to the shorter one where they meet.
///
/// ```
/// use ruvector_dag::patterns::kmeans::{MAX_ITERATIONS, kmeans_pp};
///
/// let points = [[0.0f32, 0.1], [0.1, 0.0], [5.0, 5.1], [5.1, 5.0]];
/// let clustering = kmeans_pp(&points, 2, 7, MAX_ITERATIONS);
/// assert_eq!(clustering.centroids.len(), 2);
/// assert_eq!(clustering.assignment[0], clustering.assignment[1]);
/// assert_ne!(clustering.assignment[0], clustering.assignment[2]);
/// ```
pub fn kmeans_pp<P: AsRef<[f32]> + Sync>(
    points: &[P],
    k: usize,
    seed: u64,
    max_iterations: usize,
) -> Clustering {
    // Nobody stops it.
    kmeans_pp_until(points, k, seed, max_iterations, &mut || false).unwrap_or_default()
}

/// As [`kmeans_pp`], unless it is over before.
///
/// # Errors
/// [`Error::Cancelled`] when it is.
pub fn kmeans_pp_until<P: AsRef<[f32]> + Sync>(
    points: &[P],
    k: usize,
    seed: u64,
    max_iterations: usize,
    is_over: &mut IsOver<'_>,
) -> Result<Clustering, Error> {
    weighted_kmeans_pp(
        points,
        &vec![1.0; points.len()],
        k,
        (seed, max_iterations),
        is_over,
    )
}

/// As [`kmeans_pp_until`], with a weight for each point: positive, finite; others and missing ones count as 0.
///
/// # Errors
/// [`Error::Cancelled`] when it is over before.
pub fn weighted_kmeans_pp<P: AsRef<[f32]> + Sync>(
    points: &[P],
    weights: &[f32],
    k: usize,
    (seed, max_iterations): (u64, usize),
    is_over: &mut IsOver<'_>,
) -> Result<Clustering, Error> {
    let cloud = Cloud::new(points, weights);
    let seeds = cloud.seeds(k, seed, is_over)?;
    let seeds = seeds.into_iter().filter_map(|at| cloud.points.get(at));
    let mut centroids: Vec<Vec<f32>> = seeds.map(|point| point.to_vec()).collect();
    let mut nearest = cloud.nearest(&centroids, is_over)?;
    let mut iterations = 0;
    while iterations < max_iterations && !centroids.is_empty() {
        centroids = cloud.means(&centroids, &mut nearest);
        iterations += 1;
        let moved = cloud.nearest(&centroids, is_over)?;
        let is_stable = moved
            .iter()
            .zip(&nearest)
            .all(|(new, old)| new.cluster == old.cluster);
        nearest = moved;
        if is_stable {
            break;
        }
    }
    let inertia = nearest.iter().zip(&cloud.weights);
    Ok(Clustering {
        inertia: inertia
            .map(|(nearest, &weight)| f64::from(weight) * f64::from(nearest.squared_distance))
            .sum(),
        assignment: nearest.into_iter().map(|nearest| nearest.cluster).collect(),
        centroids,
        iterations,
    })
}

/// The places of up to `k` points that k-means++ draws, without threads.
pub(super) fn seeds<P: AsRef<[f32]>>(points: &[P], k: usize, seed: u64) -> Vec<usize> {
    let cloud = Cloud::new(points, &vec![1.0; points.len()]);
    // Nobody stops it.
    cloud.seeds(k, seed, &mut || false).unwrap_or_default()
}

/// The nearest centroid of a point.
#[derive(Debug, Clone, Copy)]
struct Nearest {
    cluster: u32,
    squared_distance: f32,
}

/// Points with their weights and squared norms.
struct Cloud<'p> {
    points: Vec<&'p [f32]>,
    weights: Vec<f32>,
    squared_norms: Vec<f32>,
}

impl<'p> Cloud<'p> {
    fn new<P: AsRef<[f32]>>(points: &'p [P], weights: &[f32]) -> Self {
        let points: Vec<&[f32]> = points.iter().map(AsRef::as_ref).collect();
        let weight = |at: usize| {
            weights
                .get(at)
                .copied()
                .filter(|weight| *weight > 0.0 && weight.is_finite())
        };
        Self {
            weights: (0..points.len()).map(|at| weight(at).unwrap_or(0.0)).collect(),
            squared_norms: points.iter().map(|point| simd::dot(point, point)).collect(),
            points,
        }
    }

    /// The places of points that k-means++ draws; fewer than `k` when the points are not as many distinct ones.
    fn seeds(&self, k: usize, seed: u64, is_over: &mut IsOver<'_>) -> Result<Vec<usize>, Error> {
        let mut draws = Draws { state: seed };
        let mut seeds = Vec::with_capacity(k.min(self.points.len()));
        let mut chances = self.weights.clone();
        while seeds.len() < k {
            check(is_over)?;
            let Some(at) = draws.one_of(&chances) else { break };
            let Some(point) = self.points.get(at) else { break };
            let squared_norm = simd::dot(point, point);
            let distances = self.points.iter().zip(&self.squared_norms);
            let is_first = seeds.is_empty();
            let chance = |((other, norm), weight): ((&&[f32], &f32), &f32)| {
                weight * squared_distance(simd::dot(other, point), *norm, squared_norm)
            };
            let fresh = distances.zip(&self.weights).map(chance);
            for (chance, fresh) in chances.iter_mut().zip(fresh) {
                *chance = if is_first { fresh } else { chance.min(fresh) };
            }
            seeds.push(at);
        }
        Ok(seeds)
    }

    /// For each point its nearest centroid, of equally near ones the first.
    fn nearest(&self, centroids: &[Vec<f32>], is_over: &mut IsOver<'_>) -> Result<Vec<Nearest>, Error> {
        let norms: Vec<f32> = centroids
            .iter()
            .map(|centroid| simd::dot(centroid, centroid))
            .collect();
        let of_point = |&(point, norm): &(&[f32], f32)| {
            let mut best = Nearest {
                cluster: 0,
                squared_distance: f32::INFINITY,
            };
            for (cluster, (centroid, centroid_norm)) in centroids.iter().zip(&norms).enumerate() {
                let squared_distance = squared_distance(simd::dot(point, centroid), norm, *centroid_norm);
                if squared_distance < best.squared_distance {
                    best = Nearest {
                        cluster: cluster as u32,
                        squared_distance,
                    };
                }
            }
            best
        };
        let norms_of_points = self.squared_norms.iter().copied();
        let points: Vec<(&[f32], f32)> = self.points.iter().copied().zip(norms_of_points).collect();
        map_in_parts(&points, PART, is_over, of_point)
    }

    /// The means of the clusters. One without points takes the farthest point of all, which leaves its own.
    fn means(&self, centroids: &[Vec<f32>], nearest: &mut [Nearest]) -> Vec<Vec<f32>> {
        let mut totals = vec![0.0f32; centroids.len()];
        let mut sums: Vec<Vec<f32>> = centroids
            .iter()
            .map(|centroid| vec![0.0; centroid.len()])
            .collect();
        for ((point, &weight), nearest) in self.points.iter().zip(&self.weights).zip(nearest.iter()) {
            let cluster = nearest.cluster as usize;
            if let (Some(sum), Some(total)) = (sums.get_mut(cluster), totals.get_mut(cluster)) {
                simd::axpy(weight, point, sum);
                *total += weight;
            }
        }
        for (cluster, (sum, total)) in sums.iter_mut().zip(totals).enumerate() {
            if total > 0.0 {
                sum.iter_mut().for_each(|number| *number /= total);
            } else if let Some(point) = self.take_farthest(nearest, cluster as u32) {
                sum.copy_from_slice(point);
            }
        }
        sums
    }

    fn take_farthest(&self, nearest: &mut [Nearest], cluster: u32) -> Option<&'p [f32]> {
        let farther = |a: &(usize, &mut Nearest), b: &(usize, &mut Nearest)| {
            a.1.squared_distance
                .total_cmp(&b.1.squared_distance)
                .then(b.0.cmp(&a.0))
        };
        let (at, farthest) = nearest.iter_mut().enumerate().max_by(farther)?;
        *farthest = Nearest {
            cluster,
            squared_distance: 0.0,
        };
        self.points.get(at).copied()
    }
}

/// From an inner product and two squared norms; rounding must not make it negative.
fn squared_distance(inner: f32, norm: f32, other_norm: f32) -> f32 {
    (norm + other_norm - 2.0 * inner).max(0.0)
}

/// Random numbers: SplitMix64 (Steele, Lea and Flood 2014).
struct Draws {
    state: u64,
}

impl Draws {
    /// A number in [0, 1).
    fn unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mix(0, self.state) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A place with a probability proportional to its chance; `None` when there is no chance at all.
    fn one_of(&mut self, chances: &[f32]) -> Option<usize> {
        let total: f64 = chances.iter().map(|&chance| f64::from(chance)).sum();
        if total.is_nan() || total <= 0.0 {
            return None;
        }
        let mut rest = self.unit() * total;
        let mut last = None;
        for (at, &chance) in chances.iter().enumerate().filter(|(_, chance)| **chance > 0.0) {
            last = Some(at);
            rest -= f64::from(chance);
            if rest < 0.0 {
                break;
            }
        }
        last
    }
}

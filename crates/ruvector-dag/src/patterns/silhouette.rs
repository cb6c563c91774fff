//! How good clusters are: the silhouette.
//!
//! For a point with mean distance a to the others of its cluster and b to those of the nearest other cluster it is
//! `(b − a) / max(a, b)`, 0 for a point alone in its cluster; the clustering's is the mean of all (Rousseeuw,
//! "Silhouettes: A Graphical Aid to the Interpretation and Validation of Cluster Analysis", 1987). That takes O(n² d), so
//! that from [`EXACT_UP_TO`] points on it is the simplified silhouette, in which a and b are the distances to the nearest
//! two centroids: O(n k d) (Hruschka, Campello, de Castro, "Evolving Clusters in Gene-Expression Data", 2006; how close
//! the two are: Wang et al., "An Analysis of the Application of Simplified Silhouette to the Evaluation of k-means
//! Clustering Validity", 2017).

use super::kmeans::Clustering;
use crate::Error;
use crate::interruptible::{IsOver, map_in_parts};

/// Up to so many points the silhouette is exact.
pub const EXACT_UP_TO: usize = 2_000;
/// Points that are rated between two questions whether to stop.
const PART: usize = 256;

/// The mean silhouette of a clustering of these points, in [-1, 1], greater is better; 0 with fewer than two clusters.
/// Exact up to [`EXACT_UP_TO`] points, simplified above.
///
/// # Errors
/// [`Error::Cancelled`] when it is over before.
pub fn silhouette<P: AsRef<[f32]> + Sync>(
    points: &[P],
    clustering: &Clustering,
    is_over: &mut IsOver<'_>,
) -> Result<f64, Error> {
    if points.len() <= EXACT_UP_TO {
        exact_until(points, clustering, is_over)
    } else {
        simplified_until(points, clustering, is_over)
    }
}

/// The mean silhouette by all distances, whatever the number of points.
pub fn exact_silhouette<P: AsRef<[f32]> + Sync>(points: &[P], clustering: &Clustering) -> f64 {
    // Nobody stops it.
    exact_until(points, clustering, &mut || false).unwrap_or_default()
}

/// The mean silhouette by the distances to centroids, whatever the number of points.
pub fn simplified_silhouette<P: AsRef<[f32]> + Sync>(points: &[P], clustering: &Clustering) -> f64 {
    simplified_until(points, clustering, &mut || false).unwrap_or_default()
}

fn exact_until<P: AsRef<[f32]> + Sync>(
    points: &[P],
    clustering: &Clustering,
    is_over: &mut IsOver<'_>,
) -> Result<f64, Error> {
    let mut sizes = vec![0.0f64; clustering.centroids.len()];
    for &cluster in &clustering.assignment {
        sizes
            .get_mut(cluster as usize)
            .into_iter()
            .for_each(|size| *size += 1.0);
    }
    let of_point = |&(point, own): &(&P, u32)| {
        let mut sums = vec![0.0f64; sizes.len()];
        for (other, &cluster) in points.iter().zip(&clustering.assignment) {
            if let Some(sum) = sums.get_mut(cluster as usize) {
                *sum += distance(point.as_ref(), other.as_ref());
            }
        }
        of_distances(&sums, &sizes, own as usize)
    };
    mean(points, clustering, is_over, of_point)
}

fn simplified_until<P: AsRef<[f32]> + Sync>(
    points: &[P],
    clustering: &Clustering,
    is_over: &mut IsOver<'_>,
) -> Result<f64, Error> {
    let of_point = |&(point, own): &(&P, u32)| {
        let (mut to_own, mut to_other) = (0.0, f64::INFINITY);
        for (cluster, centroid) in clustering.centroids.iter().enumerate() {
            let distance = distance(point.as_ref(), centroid);
            if cluster == own as usize {
                to_own = distance;
            } else {
                to_other = distance.min(to_other);
            }
        }
        ratio(to_own, to_other)
    };
    mean(points, clustering, is_over, of_point)
}

/// The mean over all points; each on its own, summed in their order.
fn mean<P: AsRef<[f32]> + Sync>(
    points: &[P],
    clustering: &Clustering,
    is_over: &mut IsOver<'_>,
    of_point: impl Fn(&(&P, u32)) -> f64 + Sync,
) -> Result<f64, Error> {
    if points.is_empty() || clustering.centroids.len() < 2 {
        return Ok(0.0);
    }
    let pairs: Vec<(&P, u32)> = points.iter().zip(clustering.assignment.iter().copied()).collect();
    let silhouettes = map_in_parts(&pairs, PART, is_over, of_point)?;
    Ok(silhouettes.iter().sum::<f64>() / points.len() as f64)
}

/// From the sums of a point's distances to each cluster's points; its distance to itself is 0.
fn of_distances(sums: &[f64], sizes: &[f64], own: usize) -> f64 {
    let (mut to_own, mut to_other) = (0.0, f64::INFINITY);
    for (cluster, (sum, &size)) in sums.iter().zip(sizes).enumerate() {
        if cluster != own && size > 0.0 {
            to_other = to_other.min(sum / size);
        } else if cluster == own && size > 1.0 {
            to_own = sum / (size - 1.0);
        } else if cluster == own {
            return 0.0;
        }
    }
    ratio(to_own, to_other)
}

fn ratio(to_own: f64, to_other: f64) -> f64 {
    let greater = to_own.max(to_other);
    if greater > 0.0 && greater.is_finite() {
        (to_other - to_own) / greater
    } else {
        0.0
    }
}

/// The Euclidean distance; differences first, so that near-equal points keep theirs. Eight sums side by side, which the
/// compiler makes vectors of.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let ((wide_a, rest_a), (wide_b, rest_b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f32; 8];
    for (a, b) in wide_a.iter().zip(wide_b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += (a - b) * (a - b);
        }
    }
    let rest = rest_a.iter().zip(rest_b).map(|(a, b)| (a - b) * (a - b));
    f64::from(sums.iter().sum::<f32>() + rest.sum::<f32>()).sqrt()
}

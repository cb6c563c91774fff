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
use rayon::prelude::*;

/// Up to so many points the silhouette is exact.
pub const EXACT_UP_TO: usize = 2_000;

/// The mean silhouette of a clustering of these points, in [-1, 1], greater is better; 0 with fewer than two clusters.
/// Exact up to [`EXACT_UP_TO`] points, simplified above.
pub fn silhouette<P: AsRef<[f32]> + Sync>(points: &[P], clustering: &Clustering) -> f64 {
    if points.len() <= EXACT_UP_TO {
        exact_silhouette(points, clustering)
    } else {
        simplified_silhouette(points, clustering)
    }
}

/// The mean silhouette by all distances, whatever the number of points.
pub fn exact_silhouette<P: AsRef<[f32]> + Sync>(points: &[P], clustering: &Clustering) -> f64 {
    let mut sizes = vec![0.0f64; clustering.centroids.len()];
    for &cluster in &clustering.assignment {
        sizes
            .get_mut(cluster as usize)
            .into_iter()
            .for_each(|size| *size += 1.0);
    }
    let of_point = |(point, &own): (&P, &u32)| {
        let mut sums = vec![0.0f64; sizes.len()];
        for (other, &cluster) in points.iter().zip(&clustering.assignment) {
            if let Some(sum) = sums.get_mut(cluster as usize) {
                *sum += distance(point.as_ref(), other.as_ref());
            }
        }
        of_distances(&sums, &sizes, own as usize)
    };
    mean(points, clustering, of_point)
}

/// The mean silhouette by the distances to centroids, whatever the number of points.
pub fn simplified_silhouette<P: AsRef<[f32]> + Sync>(points: &[P], clustering: &Clustering) -> f64 {
    let of_point = |(point, &own): (&P, &u32)| {
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
    mean(points, clustering, of_point)
}

/// The mean over all points; each on its own, summed in their order.
fn mean<P: AsRef<[f32]> + Sync>(
    points: &[P],
    clustering: &Clustering,
    of_point: impl Fn((&P, &u32)) -> f64 + Sync + Send,
) -> f64 {
    if points.is_empty() || clustering.centroids.len() < 2 {
        return 0.0;
    }
    let pairs = points.par_iter().zip(&clustering.assignment).with_min_len(16);
    let silhouettes: Vec<f64> = pairs.map(of_point).collect();
    silhouettes.iter().sum::<f64>() / points.len() as f64
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

//! k-means: what is found, that threads don't matter, and silhouettes.

use clouds::{Cloud, cloud};
use ruvector_dag::embedding::PlanEmbedding;
use ruvector_dag::patterns::kmeans::{Clustering, MAX_ITERATIONS, kmeans_pp, weighted_kmeans_pp};
use ruvector_dag::patterns::silhouette::{exact_silhouette, simplified_silhouette};

mod clouds;

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[test]
fn the_clusters_that_are_there_are_found() {
    let points = cloud(Cloud::Clustered(25, 0.1), 1, 2, 1_000);
    let clustering = kmeans_pp(&points, 25, 7, MAX_ITERATIONS);
    assert_eq!(clustering.members().iter().map(Vec::len).sum::<usize>(), 1_000);
    // Points of one cluster are near; no found cluster may hold two of them that are far apart.
    let mut far = 0;
    for members in clustering.members() {
        let first = &points[members[0]];
        far += members
            .iter()
            .filter(|&&member| points[member].cosine(first) < 0.9)
            .count();
    }
    // k-means++ may merge a pair of clusters and split another.
    assert!(far <= 80, "{far} of 1,000 in the wrong cluster");
}

#[test]
fn threads_do_not_change_the_result_and_seeds_do() {
    let points = cloud(Cloud::Scattered, 1, 2, 500);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads");
        pool.install(|| kmeans_pp(&points, 20, 7, MAX_ITERATIONS))
    };
    assert_eq!(with(1), with(4));
    assert_ne!(
        with(1).assignment,
        kmeans_pp(&points, 20, 8, MAX_ITERATIONS).assignment
    );
}

#[test]
fn every_point_is_with_its_nearest_centroid_and_iterations_improve() {
    let points = cloud(Cloud::Flat(5), 1, 2, 400);
    let inertias = [0, 1, 3, 10, MAX_ITERATIONS].map(|limit| kmeans_pp(&points, 15, 3, limit).inertia);
    assert!(inertias.is_sorted_by(|a, b| a >= b), "{inertias:?}");
    let clustering = kmeans_pp(&points, 15, 3, MAX_ITERATIONS);
    assert!(clustering.iterations < MAX_ITERATIONS);
    let mut inertia = 0.0;
    for (point, &own) in points.iter().zip(&clustering.assignment) {
        let distances = clustering
            .centroids
            .iter()
            .map(|centroid| squared_distance(point.as_slice(), centroid));
        let least = distances.fold(f64::INFINITY, f64::min);
        let own = squared_distance(point.as_slice(), &clustering.centroids[own as usize]);
        assert!(own - least < 1e-5, "{own} {least}");
        inertia += own;
    }
    assert!((inertia - clustering.inertia).abs() < 1e-3 * inertia);
}

#[test]
fn careful_seeds_beat_the_first_points() {
    // Nine of ten points are in one cluster: of ten points drawn evenly about one would be outside.
    let mut points = cloud(Cloud::Clustered(1, 0.05), 1, 2, 900);
    points.extend(cloud(Cloud::Clustered(9, 0.05), 5, 2, 100));
    let clustering = kmeans_pp(&points, 10, 1, 0);
    let seeds_outside = clustering
        .members()
        .iter()
        .filter(|members| members[0] >= 900)
        .count();
    assert!(seeds_outside >= 6, "{seeds_outside}");
}

#[test]
fn a_weight_counts_as_so_many_points() {
    let points = cloud(Cloud::Flat(3), 1, 2, 60);
    let weights: Vec<f32> = (0..60).map(|at| (at % 3 + 1) as f32).collect();
    let repeated = points
        .iter()
        .zip(&weights)
        .flat_map(|(point, &weight)| vec![point.clone(); weight as usize]);
    let repeated: Vec<PlanEmbedding> = repeated.collect();
    let weighted = weighted_kmeans_pp(&points, &weights, 1, (3, MAX_ITERATIONS), &mut || false)
        .expect("nobody stops it");
    let plain = kmeans_pp(&repeated, 1, 3, MAX_ITERATIONS);
    assert!((weighted.inertia - plain.inertia).abs() < 1e-3 * plain.inertia);
    assert!(squared_distance(&weighted.centroids[0], &plain.centroids[0]) < 1e-9);
}

#[test]
fn few_points_make_few_clusters() {
    let none: [PlanEmbedding; 0] = [];
    assert_eq!(kmeans_pp(&none, 5, 1, MAX_ITERATIONS).centroids.len(), 0);
    let one = vec![cloud(Cloud::Scattered, 1, 2, 1)[0].clone(); 30];
    let clustering = kmeans_pp(&one, 5, 1, MAX_ITERATIONS);
    assert_eq!(
        (clustering.centroids.len(), clustering.assignment),
        (1, vec![0; 30])
    );
    assert_eq!(kmeans_pp(&one, 0, 1, MAX_ITERATIONS).centroids.len(), 0);
}

/// Rousseeuw's definition, word by word.
fn naive_silhouette(points: &[PlanEmbedding], clustering: &Clustering) -> f64 {
    let members = clustering.members();
    let mean_to = |point: usize, cluster: &[usize]| {
        let others = cluster.iter().filter(|&&other| other != point);
        let distances =
            others.map(|&other| squared_distance(points[point].as_slice(), points[other].as_slice()).sqrt());
        let distances: Vec<f64> = distances.collect();
        distances.iter().sum::<f64>() / distances.len() as f64
    };
    let of_point = |(point, &own): (usize, &u32)| {
        if members[own as usize].len() == 1 {
            return 0.0;
        }
        let others = members
            .iter()
            .enumerate()
            .filter(|(cluster, _)| *cluster != own as usize);
        let b = others
            .map(|(_, members)| mean_to(point, members))
            .fold(f64::INFINITY, f64::min);
        let a = mean_to(point, &members[own as usize]);
        (b - a) / a.max(b)
    };
    let silhouettes = clustering.assignment.iter().enumerate().map(of_point);
    silhouettes.sum::<f64>() / points.len() as f64
}

#[test]
fn the_silhouette_is_rousseeuws_and_tells_good_clusters_from_bad() {
    let points = cloud(Cloud::Clustered(6, 0.3), 1, 2, 120);
    let of = |k| kmeans_pp(&points, k, 5, MAX_ITERATIONS);
    for k in [2, 6, 20] {
        let (fast, naive) = (
            exact_silhouette(&points, &of(k)),
            naive_silhouette(&points, &of(k)),
        );
        assert!((fast - naive).abs() < 1e-5, "{fast} {naive}");
    }
    let exact = [2, 6, 20].map(|k| exact_silhouette(&points, &of(k)));
    let simplified = [2, 6, 20].map(|k| simplified_silhouette(&points, &of(k)));
    println!("2, 6, 20 clusters: exact {exact:.3?}, simplified {simplified:.3?}");
    assert!(exact[1] > exact[0] && exact[1] > exact[2]);
    assert!(simplified[1] > simplified[0] && simplified[1] > simplified[2]);
    assert_eq!(exact_silhouette(&points, &of(1)), 0.0);
}

//! The bank's search against the exact scan: recall on easy and on hard vectors, and what changes do to it.

use clouds::{Cloud, cloud};
use ruvector_dag::embedding::{PlanEmbedding, nearest};
use ruvector_dag::patterns::{Pattern, ReasoningBank};

mod clouds;

fn bank_of(vectors: &[PlanEmbedding]) -> ReasoningBank {
    let mut bank = ReasoningBank::default();
    for vector in vectors {
        bank.store(Pattern::new(vector.clone(), 1, 0.5, 0.0, 0))
            .expect("room");
    }
    bank
}

/// Of the `k` nearest the share that was found; one as near as the k-th counts for it.
fn recall(bank: &ReasoningBank, queries: &[PlanEmbedding], k: usize) -> f64 {
    let centroids: Vec<&PlanEmbedding> = bank.patterns().iter().map(|pattern| &pattern.centroid).collect();
    let of_query = |query: &PlanEmbedding| {
        let exact = nearest(query, centroids.iter().copied(), k);
        let kth = exact.last().expect("enough patterns").cosine;
        let found = bank.search(query, k, -1.0);
        assert_eq!(found.len(), k);
        assert!(
            found
                .windows(2)
                .all(|pair| pair[0].similarity >= pair[1].similarity)
        );
        found.iter().filter(|found| found.similarity >= kth).count() as f64 / k as f64
    };
    queries.iter().map(of_query).sum::<f64>() / queries.len() as f64
}

#[test]
fn recall_is_above_95_percent_on_easy_and_on_hard_vectors() {
    let clouds = [
        ("scattered", Cloud::Scattered),
        ("100 clusters, cosines about 0.8", Cloud::Clustered(100, 0.5)),
        ("20 clusters, cosines about 0.99", Cloud::Clustered(20, 0.1)),
        ("one cluster, cosines about 0.9999", Cloud::Clustered(1, 0.01)),
        (
            "300 clusters, cosines about 0.999998",
            Cloud::Clustered(300, 0.0014),
        ),
        ("six dimensions", Cloud::Flat(6)),
    ];
    for (name, kind) in clouds {
        let bank = bank_of(&cloud(kind, 1, 2, 10_000));
        let queries = cloud(kind, 1, 3, 100);
        let (of_five, of_twenty) = (recall(&bank, &queries, 5), recall(&bank, &queries, 20));
        println!("{name}: recall {of_five:.4} of 5, {of_twenty:.4} of 20");
        assert!(
            of_five >= 0.95 && of_twenty >= 0.95,
            "{name}: {of_five} {of_twenty}"
        );
    }
}

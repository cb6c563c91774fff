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

/// Of the nearest 5 and of the nearest 20 the share that was found; one as near as the last of them counts for it.
fn recall(bank: &ReasoningBank, queries: &[PlanEmbedding]) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for query in queries {
        let exact = nearest(query, bank.patterns().iter().map(|pattern| &pattern.centroid), 20);
        for (sum, k) in sums.iter_mut().zip([5, 20]) {
            let found = bank.search(query, k, -1.0);
            assert_eq!(found.len(), k);
            assert!(found.is_sorted_by(|a, b| a.similarity >= b.similarity));
            let hits = found
                .iter()
                .filter(|found| found.similarity >= exact[k - 1].cosine);
            *sum += hits.count() as f64 / k as f64;
        }
    }
    sums.map(|sum| sum / queries.len() as f64)
}

#[test]
fn recall_is_above_95_percent_on_easy_and_on_hard_vectors() {
    let clouds = [
        ("scattered", Cloud::Scattered, 10_000),
        (
            "20 clusters, cosines about 0.99",
            Cloud::Clustered(20, 0.1),
            4_000,
        ),
        (
            "one cluster, cosines about 0.9999",
            Cloud::Clustered(1, 0.01),
            4_000,
        ),
        (
            "300 clusters, cosines about 0.999998",
            Cloud::Clustered(300, 0.0014),
            4_000,
        ),
        ("six dimensions", Cloud::Flat(6), 4_000),
    ];
    for (name, kind, n) in clouds {
        let bank = bank_of(&cloud(kind, 1, 2, n));
        let [of_five, of_twenty] = recall(&bank, &cloud(kind, 1, 3, 30));
        println!("{name}: recall {of_five:.4} of 5, {of_twenty:.4} of 20");
        assert!(
            of_five >= 0.95 && of_twenty >= 0.95,
            "{name}: {of_five} {of_twenty}"
        );
    }
}

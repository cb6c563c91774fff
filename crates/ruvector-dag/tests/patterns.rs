//! The bank against a plain list: what is stored, merged, decayed, evicted, forgotten and written; verdicts.

use clouds::{Cloud, cloud};
use proptest::prelude::*;
use ruvector_dag::Error;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::embedding::{PlanEmbedding, nearest};
use ruvector_dag::patterns::{BankConfig, Pattern, ReasoningBank, Verdict, confidence};
use std::collections::BTreeMap;

mod clouds;

const DAY_US: u64 = 24 * 3_600 * 1_000_000;

fn pattern(centroid: &PlanEmbedding, at_us: u64) -> Pattern {
    Pattern::new(centroid.clone(), 10, 0.6, 0.1, at_us)
}

fn bank_of_room(capacity: usize) -> ReasoningBank {
    ReasoningBank::new(BankConfig {
        capacity,
        ..BankConfig::default()
    })
}

#[derive(Debug, Clone)]
enum Change {
    Store(usize),
    Forget(usize),
    Replace(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        5 => (0..2_000usize).prop_map(Change::Store),
        3 => any::<prop::sample::Index>().prop_map(|at| Change::Forget(at.index(10_000))),
        2 => (any::<prop::sample::Index>(), 0..2_000usize).prop_map(|(at, vector)| Change::Replace(at.index(10_000), vector)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Around the number from which codes are used.
    #[test]
    fn whatever_comes_and_goes_the_nearest_are_found(changes in proptest::collection::vec(change(), 200..400)) {
        let vectors = cloud(Cloud::Clustered(30, 0.3), 1, 2, 2_000);
        let mut bank = ReasoningBank::default();
        let mut list: BTreeMap<u64, PlanEmbedding> = BTreeMap::new();
        let initial = vectors.iter().take(450).map(|vector| pattern(vector, 0));
        for pattern in initial {
            let id = bank.store(pattern.clone()).expect("room");
            list.insert(id, pattern.centroid);
        }
        for change in changes {
            let nth = |at: usize| list.keys().nth(at % list.len()).copied().expect("never empty here");
            match change {
                Change::Store(at) => {
                    let id = bank.store(pattern(&vectors[at], 0)).expect("room");
                    list.insert(id, vectors[at].clone());
                }
                Change::Forget(at) => {
                    let id = nth(at);
                    prop_assert_eq!(bank.forget(id).map(|pattern| pattern.centroid), list.remove(&id));
                }
                Change::Replace(at, vector) => {
                    let id = nth(at);
                    let new = Pattern { id, ..pattern(&vectors[vector], 0) };
                    prop_assert_eq!(bank.store(new), Ok(id));
                    list.insert(id, vectors[vector].clone());
                }
            }
        }
        prop_assert_eq!(bank.len(), list.len());
        for query in cloud(Cloud::Clustered(30, 0.3), 1, 3, 10) {
            let exact = nearest(&query, list.values(), 5);
            let found = bank.search(&query, 5, -1.0);
            for (found, exact) in found.iter().zip(&exact) {
                prop_assert!((found.similarity - exact.cosine).abs() < 1e-6);
                prop_assert!((list[&found.id].cosine(&query) - found.similarity).abs() < 1e-6);
            }
            prop_assert_eq!(found.len(), 5);
        }
    }

    #[test]
    fn decay_in_many_steps_is_decay_in_one(steps in proptest::collection::vec(0..90 * DAY_US, 1..6)) {
        let vectors = cloud(Cloud::Scattered, 1, 2, 2);
        let mut slow = ReasoningBank::default();
        let id = slow.store(pattern(&vectors[0], 0)).expect("room");
        let mut fast = slow.clone();
        let mut now = 0;
        for step in &steps {
            now += step;
            slow.decay(now);
        }
        fast.decay(now);
        let (slow, fast) = (slow.get(id).expect("there").confidence, fast.get(id).expect("there").confidence);
        prop_assert!((slow - fast).abs() < 1e-5);
        let expected = confidence(0.1, 10) * 0.5f32.powf(now as f32 / (30 * DAY_US) as f32);
        prop_assert!((fast - expected).abs() < 1e-4);
    }
}

#[test]
fn a_search_leaves_out_what_is_not_similar_enough() {
    let vectors = cloud(Cloud::Clustered(10, 0.1), 1, 2, 1_000);
    let mut bank = ReasoningBank::default();
    for vector in &vectors {
        bank.store(pattern(vector, 0)).expect("room");
    }
    let found = bank.search(&vectors[0], 200, 0.9);
    let expected = vectors
        .iter()
        .filter(|vector| vector.cosine(&vectors[0]) >= 0.9)
        .count();
    assert_eq!(found.len(), expected.min(200));
    assert!((50..200).contains(&found.len()));
    assert_eq!(found[0].id, 1);
    assert!(bank.search(&vectors[0], 0, -1.0).is_empty());
    assert!(ReasoningBank::default().search(&vectors[0], 5, -1.0).is_empty());
}

#[test]
fn near_equal_patterns_become_one_and_their_numbers_are_those_of_all_executions() {
    let vectors = cloud(Cloud::Clustered(7, 0.01), 1, 2, 700);
    let mut bank = ReasoningBank::default();
    for (at, vector) in vectors.iter().enumerate() {
        let mut pattern = Pattern::new(
            vector.clone(),
            2,
            if at % 2 == 0 { 0.4 } else { 0.8 },
            0.0,
            at as u64,
        );
        (pattern.decision, pattern.decision_gain) = (at as u64, at as f32);
        bank.store(pattern).expect("room");
    }
    assert_eq!(bank.merge_similar(), 693);
    assert_eq!(
        bank.patterns().iter().map(|pattern| pattern.size).sum::<u32>(),
        1_400
    );
    let best: Vec<u64> = bank.patterns().iter().map(|pattern| pattern.decision).collect();
    assert!(best.contains(&699), "the greatest gain wins: {best:?}");
    for pattern in bank.patterns() {
        assert!((pattern.quality - 0.6).abs() < 0.06, "{}", pattern.quality);
        assert!((pattern.quality_deviation - 0.2).abs() < 0.02);
    }
    assert_eq!(bank.merge_similar(), 0);
}

#[test]
fn pinned_patterns_stay_as_they_are_decided_whatever_is_merged_decayed_or_evicted() {
    let vectors = cloud(Cloud::Clustered(1, 0.001), 1, 2, 20);
    let mut bank = ReasoningBank::default();
    let ids: Vec<u64> = vectors
        .iter()
        .enumerate()
        .map(|(at, vector)| {
            let mut pattern = pattern(vector, 0);
            (pattern.decision, pattern.decision_gain) = (at as u64, at as f32);
            bank.store(pattern).expect("room")
        })
        .collect();
    assert!(bank.pin(ids[3]) && bank.pin(ids[4]) && !bank.pin(999));
    bank.decay(300 * DAY_US);
    assert_eq!(bank.get(ids[3]).expect("there").confidence, confidence(0.1, 10));
    bank.merge_similar();
    let mut left: Vec<u64> = bank.patterns().iter().map(|pattern| pattern.id).collect();
    left.sort_unstable();
    assert_eq!(left, [ids[3], ids[4]]);
    assert_eq!(bank.get(ids[3]).expect("there").decision, 3);
    assert!(bank.evict(0).is_empty());
    assert!(bank.unpin(ids[3]));
    assert_eq!(bank.evict(0), [ids[3]]);
    assert!(bank.forget(ids[4]).is_some() && bank.forget(ids[4]).is_none());
}

#[test]
fn what_is_little_known_little_used_and_long_unused_goes_first() {
    let vectors = cloud(Cloud::Scattered, 1, 2, 4);
    let mut bank = bank_of_room(4);
    let mut store = |size, at_us| {
        let pattern = Pattern::new(vectors[0].clone(), size, 0.6, 0.1, at_us);
        bank.store(pattern).expect("room")
    };
    let (unknown, plain, used, fresh) = (
        store(1, DAY_US),
        store(10, DAY_US),
        store(10, DAY_US),
        store(10, 20 * DAY_US),
    );
    for _ in 0..50 {
        assert!(bank.record_use(used, DAY_US));
    }
    assert_eq!(bank.clone().evict(0), [unknown, plain, fresh, used]);
    // A new one takes the place of the least worthy.
    let newest = bank
        .store(pattern(&vectors[1], 21 * DAY_US))
        .expect("room is made");
    assert!(bank.get(unknown).is_none() && bank.get(newest).is_some() && bank.len() == 4);
    assert!([plain, used, fresh, newest].into_iter().all(|id| bank.pin(id)));
    assert_eq!(
        bank.store(pattern(&vectors[2], 0)),
        Err(Error::PatternsFull { limit: 4 })
    );
}

#[test]
fn a_reset_forgets_what_was_learned_but_not_the_pattern() {
    let vectors = cloud(Cloud::Flat(3), 1, 2, 1);
    let mut bank = ReasoningBank::default();
    let mut learned = pattern(&vectors[0], 5);
    (learned.decision, learned.decision_gain, learned.metadata) = (7, 1.0, "nightly report".to_owned());
    let id = bank.store(learned).expect("room");
    assert_eq!(
        bank.get(id).map(|pattern| pattern.verdict),
        Some(Verdict::Success)
    );
    assert!(bank.reset_quality(id));
    let reset = bank.get(id).expect("there");
    assert_eq!((reset.size, reset.decision, reset.confidence), (0, 0, 0.0));
    assert_eq!((reset.verdict, reset.created_us), (Verdict::Partial, 5));
    assert_eq!(reset.metadata, "nightly report");
    assert_eq!(bank.search(&vectors[0], 1, 0.9)[0].id, id);
}

#[test]
fn consolidation_brings_patterns_down_to_the_clusters_there_are() {
    let mut bank = ReasoningBank::default();
    for vector in cloud(Cloud::Clustered(12, 0.2), 1, 2, 600) {
        bank.store(pattern(&vector, 0)).expect("room");
    }
    let done = bank.consolidate(12, 7);
    assert_eq!((done.before, done.after, bank.len()), (600, 12, 12));
    assert!(done.silhouette > 0.6, "{}", done.silhouette);
    assert_eq!(
        bank.patterns().iter().map(|pattern| pattern.size).sum::<u32>(),
        6_000
    );
}

#[test]
fn a_bank_that_was_written_and_read_finds_the_same() {
    let mut bank = ReasoningBank::default();
    for vector in cloud(Cloud::Clustered(20, 0.2), 1, 2, 800) {
        bank.store(pattern(&vector, 3)).expect("room");
    }
    bank.forget(5);
    let text = serde_json::to_string(&bank).expect("JSON");
    let mut read: ReasoningBank = serde_json::from_str(&text).expect("what was written");
    for query in cloud(Cloud::Clustered(20, 0.2), 1, 3, 10) {
        assert_eq!(read.search(&query, 5, 0.5), bank.search(&query, 5, 0.5));
    }
    assert_eq!(read.patterns(), bank.patterns());
    let one = bank.patterns()[0].clone();
    assert_eq!(
        read.store(Pattern { id: 0, ..one.clone() }),
        Ok(801),
        "numbers are not used again"
    );
    let twice = text.replacen("\"id\":2,", "\"id\":1,", 1);
    assert!(serde_json::from_str::<ReasoningBank>(&twice).is_err());
    assert!(
        bank.store(Pattern {
            quality: f32::NAN,
            ..one
        })
        .is_err()
    );
}

/// Rewards with this mean and spread, as a pattern of them would have it.
fn verdict_of(seed: u64, size: u64, mean: f64, spread: f64) -> Verdict {
    let uniform = |at| hash_words([seed, at]) as f64 / u64::MAX as f64 - 0.5;
    let rewards: Vec<f64> = (0..size)
        .map(|at| (mean + spread * 12f64.sqrt() * uniform(at)).clamp(0.0, 1.0))
        .collect();
    let mean = rewards.iter().sum::<f64>() / size as f64;
    let squares = rewards.iter().map(|reward| (reward - mean).powi(2)).sum::<f64>();
    Verdict::of(mean as f32, (squares / size as f64).sqrt() as f32, size as u32)
}

#[test]
fn a_verdict_is_rarely_wrong_and_needs_evidence() {
    for size in [1, 2, 5, 20, 100] {
        let verdicts = (0..2_000).map(|seed| verdict_of(seed, size, 0.5, 0.15));
        let wrong = verdicts.filter(|verdict| *verdict != Verdict::Partial).count();
        assert!(
            wrong <= 240,
            "{wrong} of 2,000 plans as good as stock judged on {size} executions"
        );
    }
    let right = |size, mean, expected| {
        (0..500)
            .filter(|&seed| verdict_of(seed, size, mean, 0.1) == expected)
            .count()
    };
    assert_eq!(
        right(1, 0.6, Verdict::Success),
        0,
        "one execution a third faster is luck"
    );
    assert!(right(30, 0.6, Verdict::Success) > 475 && right(30, 0.4, Verdict::Failure) > 475);
    assert_eq!(
        Verdict::of(0.92, 0.0, 1),
        Verdict::Success,
        "one execution ten times as fast is not"
    );
    assert_eq!(Verdict::of(1.0, 0.0, 0), Verdict::Partial);
    let known = [1, 2, 5, 20, 100].map(|size| confidence(0.1, size));
    assert!(known.is_sorted() && confidence(0.1, 20) > confidence(0.3, 20) && confidence(0.0, 0) == 0.0);
}

//! Corrections of sets never counted: exact where all is known, independent of order and labels, always a number.

use proptest::prelude::*;
use ruvector_dag::cardinality::{LogCorrection, Propagation, RelationSet, RowPrediction};
use std::collections::BTreeMap;

/// Connected sets of relations that are joined as a tree: `parents[i]` is a relation before `i + 1`.
fn connected(parents: &[usize]) -> Vec<RelationSet> {
    let relations = parents.len() + 1;
    let is_connected = |set: RelationSet| {
        let edges = parents
            .iter()
            .enumerate()
            .filter(|&(child, &parent)| set >> (child + 1) & 1 == 1 && set >> parent & 1 == 1);
        edges.count() + 1 == set.count_ones() as usize
    };
    let mut sets: Vec<RelationSet> = (1..1u64 << relations).filter(|&set| is_connected(set)).collect();
    sets.sort_by_key(|set| (set.count_ones(), *set));
    sets
}

fn tree(relations: std::ops::Range<usize>) -> impl Strategy<Value = Vec<usize>> {
    relations.prop_flat_map(|count| (1..count).map(|child| 0..child).collect::<Vec<_>>())
}

fn exactly(mean: f64) -> LogCorrection {
    LogCorrection::counted(mean)
}

/// Expects every set, from small to large, given what was counted.
fn propagate(
    sets: &[RelationSet],
    counted: &BTreeMap<RelationSet, f64>,
) -> BTreeMap<RelationSet, LogCorrection> {
    let mut propagation = Propagation::new();
    for &set in sets {
        let correction = counted
            .get(&set)
            .map_or_else(|| propagation.expected(set), |&mean| exactly(mean));
        propagation.insert(set, correction);
    }
    sets.iter()
        .filter_map(|&set| Some((set, propagation.get(set)?)))
        .collect()
}

fn relabelled(set: RelationSet, order: &[usize]) -> RelationSet {
    order
        .iter()
        .enumerate()
        .filter(|&(from, _)| set >> from & 1 == 1)
        .fold(0, |new, (_, &to)| new | 1 << to)
}

/// A tree, which of its sets were counted, and with what.
fn counted_tree() -> impl Strategy<Value = (Vec<usize>, BTreeMap<RelationSet, f64>)> {
    tree(2..7).prop_flat_map(|parents| {
        let sets = connected(&parents);
        let counts = proptest::collection::vec(proptest::option::of(-8.0..8.0f64), sets.len());
        let counted = counts.prop_map(move |counts| {
            sets.iter()
                .zip(counts)
                .filter_map(|(&set, mean)| Some((set, mean?)))
                .collect()
        });
        (Just(parents), counted)
    })
}

proptest! {
    #[test]
    fn a_world_of_pairs_is_known_when_its_pairs_are(parents in tree(3..8), seed in proptest::collection::vec(-3.0..3.0f64, 16)) {
        let sets = connected(&parents);
        let truth = |set: RelationSet| -> f64 {
            let bases: f64 = (0..=parents.len()).filter(|at| set >> at & 1 == 1).map(|at| seed[at]).sum();
            let edges = parents.iter().enumerate().filter(|&(child, &parent)| set >> (child + 1) & 1 == 1 && set >> parent & 1 == 1);
            bases + edges.map(|(child, _)| seed[8 + child]).sum::<f64>()
        };
        let counted = sets.iter().filter(|set| set.count_ones() < 3).map(|&set| (set, truth(set))).collect();
        for (set, expected) in propagate(&sets, &counted) {
            let bounded = truth(set).clamp(-30.0, 30.0);
            prop_assert!((expected.mean - bounded).abs() < 1e-9, "{set:b}: {} for {bounded}", expected.mean);
        }
    }

    #[test]
    fn what_is_counted_is_expected_and_certain((parents, counted) in counted_tree()) {
        let expected = propagate(&connected(&parents), &counted);
        for (set, mean) in counted {
            prop_assert_eq!(expected[&set], LogCorrection { mean, variance: 0.0 });
        }
    }

    #[test]
    fn names_of_relations_and_the_order_of_sets_do_not_matter(
        (parents, counted) in counted_tree(), order in Just((0..7usize).collect::<Vec<_>>()).prop_shuffle(), seed: u64,
    ) {
        let sets = connected(&parents);
        let mut renamed: Vec<RelationSet> = sets.iter().map(|&set| relabelled(set, &order)).collect();
        renamed.sort_by_key(|set| (set.count_ones(), set.wrapping_mul(seed | 1)));
        let renamed_counts = counted.iter().map(|(&set, &mean)| (relabelled(set, &order), mean)).collect();
        let (first, second) = (propagate(&sets, &counted), propagate(&renamed, &renamed_counts));
        for (&set, expected) in &first {
            let other = second[&relabelled(set, &order)];
            prop_assert!((expected.mean - other.mean).abs() < 1e-9);
            prop_assert!((expected.variance - other.variance).abs() < 1e-9);
        }
    }

    #[test]
    fn a_table_with_more_rows_makes_all_its_joins_larger_alike((parents, counted) in counted_tree(), by in -2.0..2.0f64) {
        let sets = connected(&parents);
        let mut counted = counted;
        counted.entry(1).or_insert(0.5);
        let more = counted.iter().map(|(&set, &mean)| (set, mean + if set & 1 == 1 { by } else { 0.0 })).collect();
        let (before, after) = (propagate(&sets, &counted), propagate(&sets, &more));
        // What is at the end of the range is cut off there, and what follows from it is not alike any more.
        let is_cut_off = before.values().chain(after.values()).any(|known| known.mean.abs() > 29.9);
        for (set, expected) in &before {
            let shift = if set & 1 == 1 { by } else { 0.0 };
            prop_assert!(is_cut_off || (after[set].mean - expected.mean - shift).abs() < 1e-9);
        }
    }

    #[test]
    fn what_is_unknown_is_the_less_certain_the_larger_it_is(parents in tree(2..8)) {
        let expected = propagate(&connected(&parents), &BTreeMap::new());
        for (set, correction) in &expected {
            prop_assert_eq!(correction.mean, 0.0);
            for (other, larger) in &expected {
                prop_assert!(set & !other != 0 || set == other || larger.variance > correction.variance);
            }
        }
    }

    #[test]
    fn nothing_put_in_makes_it_no_number(sets in proptest::collection::vec((1..64u64, any::<f64>(), any::<f64>(), any::<f64>()), 0..40), asked in 1..64u64) {
        let mut propagation = Propagation::new();
        for (set, mean, variance, belief) in sets {
            let foreseen = RowPrediction { log_rows: variance, lower: belief, upper: mean, known: 0.5 };
            let foreseen = LogCorrection::predicted(&foreseen, mean);
            let counted = LogCorrection::counted(mean).believed(belief, foreseen);
            propagation.insert(set, LogCorrection { mean, variance });
            let expected = propagation.expected(asked).combined_with(foreseen).combined_with(counted).at_least(variance);
            prop_assert!(expected.mean.is_finite() && expected.cautious(1.0).is_finite() && expected.cautious(belief).is_finite());
        }
    }

    #[test]
    fn of_two_opinions_the_surer_weighs_more(mean in -5.0..5.0f64, other in -5.0..5.0f64, variance in 0.1..4.0f64, share in 0.01..0.99f64) {
        let first = LogCorrection { mean, variance };
        let second = LogCorrection { mean: other, variance: variance * share };
        let both = first.combined_with(second);
        prop_assert!((both.mean - other).abs() <= (both.mean - mean).abs() + 1e-12);
        prop_assert!(both.variance < second.variance);
        prop_assert_eq!(second.combined_with(first), second);
    }

    #[test]
    fn a_bound_only_raises_and_caution_only_raises(mean in -5.0..5.0f64, variance in 0.0..4.0f64, least in -9.0..9.0f64, caution in 0.0..3.0f64) {
        let correction = LogCorrection { mean, variance };
        prop_assert_eq!(correction.at_least(least).mean, mean.max(least));
        prop_assert!(correction.cautious(caution) >= mean);
        prop_assert_eq!(correction.cautious(0.0), mean);
    }
}

#[test]
fn a_count_in_doubt_lies_between_it_and_what_is_expected_otherwise() {
    let expected = Propagation::new().expected(0b11);
    let counted = LogCorrection::counted(2.0);
    assert_eq!(counted.believed(1.0, expected), counted);
    assert_eq!(counted.believed(0.0, expected), expected);
    let half = counted.believed(0.5, expected);
    assert!(half.mean == 1.0 && half.variance > 0.0 && half.variance < expected.variance);
}

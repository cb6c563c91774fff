//! Hypervectors: the algebra against bit-by-bit twins, collisions, noise, bundles of many, sets of shapes.

use proptest::prelude::*;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::embedding::hypervector::{Bundle, DEFAULT_BITS, Detail, Hypervector, PlanShapes};
use ruvector_dag::{OperatorNode, OperatorType, QueryDag};
use std::collections::HashMap;

mod arbitrary;

const KINDS: [OperatorType; 12] = [
    OperatorType::SeqScan,
    OperatorType::IndexScan,
    OperatorType::IndexOnlyScan,
    OperatorType::BitmapHeapScan,
    OperatorType::HashJoin,
    OperatorType::MergeJoin,
    OperatorType::NestedLoop,
    OperatorType::Sort,
    OperatorType::Aggregate,
    OperatorType::Hash,
    OperatorType::Materialize,
    OperatorType::Limit,
];

/// A random tree of `size` operators; those at `changed` are of another type than without.
fn plan(seed: u64, size: u32, changed: &[u32]) -> QueryDag {
    let mut dag = QueryDag::new();
    let draw = |at: u32, what: u64| hash_words([seed, u64::from(at), what]);
    for at in 0..size {
        let step = u64::from(changed.contains(&at));
        let kind = KINDS[((draw(at, 1) + step) % KINDS.len() as u64) as usize];
        dag.add_node(
            OperatorNode::new(at, kind).with_relation(["posts", "users"][(draw(at, 3) % 2) as usize]),
        );
    }
    for at in 0..size - 1 {
        // Each operator feeds one of the next few, so that there are chains and branches.
        let consumer = at + 1 + (draw(at, 2) % 3) as u32;
        let (from, to) = (
            ruvector_dag::OperatorId(at),
            ruvector_dag::OperatorId(consumer.min(size - 1)),
        );
        dag.add_edge(from, to).expect("an edge upward");
    }
    dag
}

fn encode(dag: &QueryDag) -> Hypervector {
    Hypervector::of_plan(dag, DEFAULT_BITS, Detail::Shape).expect("enough bits")
}

fn bit(vector: &Hypervector, at: usize) -> bool {
    vector.words()[at / 64] >> (at % 64) & 1 == 1
}

fn similarity(a: &Hypervector, b: &Hypervector) -> f64 {
    a.similarity(b).expect("as many bits")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_rotation_moves_every_bit(key in any::<u64>(), bits in 1_024usize..3_000, count in 0usize..7_000) {
        let vector = Hypervector::of_key(key, bits).expect("enough bits");
        let moved = vector.permute(count);
        for at in 0..bits {
            prop_assert_eq!(bit(&moved, (at + count) % bits), bit(&vector, at));
        }
        prop_assert_eq!(moved.permute(bits - count % bits), vector);
    }

    #[test]
    fn a_bundle_has_the_majority_of_each_bit(keys in proptest::collection::vec(any::<u64>(), 1..70), bits in 1_024usize..1_200) {
        let vectors: Vec<Hypervector> = keys.iter().map(|&key| Hypervector::of_key(key, bits).expect("enough bits")).collect();
        let mut bundle = Bundle::new(bits).expect("enough bits");
        let nothing = bundle.majority();
        for vector in &vectors {
            bundle.add(vector).expect("as many bits");
        }
        let majority = bundle.majority();
        for at in 0..bits {
            let set = vectors.iter().filter(|vector| bit(vector, at)).count();
            let expected = match (2 * set).cmp(&vectors.len()) {
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Equal => bit(&nothing, at),
                std::cmp::Ordering::Greater => true,
            };
            prop_assert_eq!(bit(&majority, at), expected);
        }
    }

    #[test]
    fn binding_is_undone_by_itself_and_unlike_both(key in any::<u64>(), other in any::<u64>()) {
        prop_assume!(key != other);
        let [a, b] = [key, other].map(|key| Hypervector::of_key(key, DEFAULT_BITS).expect("enough bits"));
        let bound = a.bind(&b).expect("as many bits");
        prop_assert_eq!(&bound.bind(&b).expect("as many bits"), &a);
        for (one, two) in [(&a, &b), (&bound, &a), (&bound, &b), (&a, &a.permute(64))] {
            prop_assert!(similarity(one, two).abs() < 0.06);
        }
    }

    #[test]
    fn numbers_and_the_order_of_adding_do_not_count(parts in arbitrary::parts(8)) {
        let count = parts.nodes.len();
        let backward: Vec<usize> = (0..count).rev().collect();
        let other = parts.build(&backward, |place| 7 * place as u32 + 1);
        prop_assert_eq!(encode(&parts.dag()), encode(&other));
    }
}

#[test]
fn different_plans_never_collide_and_share_little() {
    let mut seen: HashMap<Hypervector, u64> = HashMap::new();
    let mut vectors = Vec::new();
    for seed in 0..1_500u64 {
        let dag = plan(seed, 8 + (seed % 20) as u32, &[]);
        let vector = encode(&dag);
        let shape = dag.shape_fingerprint();
        assert_eq!(
            *seen.entry(vector.clone()).or_insert(shape),
            shape,
            "two plans with one code"
        );
        vectors.push(vector);
    }
    assert!(seen.len() > 1_490);
    let pairs = vectors.windows(2).map(|pair| similarity(&pair[0], &pair[1]));
    let similarities: Vec<f64> = pairs.collect();
    let mean = similarities.iter().sum::<f64>() / similarities.len() as f64;
    let greatest = similarities.iter().copied().fold(f64::MIN, f64::max);
    println!("unrelated plans: mean similarity {mean:.3}, greatest {greatest:.3}");
    assert!(mean < 0.2 && greatest < 0.6);
}

#[test]
fn plans_that_differ_least_differ_still() {
    let append = |scans: u32| {
        let mut dag = QueryDag::new();
        let top = dag.add_node(OperatorNode::new(0, OperatorType::Append));
        for at in 1..=scans {
            let scan = dag.add_node(OperatorNode::new(at, OperatorType::SeqScan));
            dag.add_edge(scan, top).expect("an edge");
        }
        encode(&dag)
    };
    let appends: Vec<Hypervector> = (1..200).map(append).collect();
    for (at, one) in appends.iter().enumerate() {
        assert!(!appends[at + 1..].contains(one), "Append of {} scans", at + 1);
    }
    // Outer and inner swapped; one subplan shared or there twice; which of two chains is longer.
    let build = |kinds: &[OperatorType], edges: &[(u32, u32)]| {
        let mut dag = QueryDag::new();
        for (at, &kind) in kinds.iter().enumerate() {
            dag.add_node(OperatorNode::new(at as u32, kind));
        }
        for &(from, to) in edges {
            dag.add_edge(ruvector_dag::OperatorId(from), ruvector_dag::OperatorId(to))
                .expect("an edge");
        }
        encode(&dag)
    };
    use OperatorType::{HashJoin, IndexScan, SeqScan, Sort};
    let join = [SeqScan, IndexScan, HashJoin];
    assert_ne!(build(&join, &[(0, 2), (1, 2)]), build(&join, &[(1, 2), (0, 2)]));
    let shared = build(
        &[SeqScan, Sort, Sort, HashJoin],
        &[(0, 1), (0, 2), (1, 3), (2, 3)],
    );
    let twice = build(
        &[SeqScan, SeqScan, Sort, Sort, HashJoin],
        &[(0, 2), (1, 3), (2, 4), (3, 4)],
    );
    assert_ne!(shared, twice);
}

#[test]
fn similarity_falls_gently_with_each_operator_that_changes() {
    let mut means = Vec::new();
    for count in 0..=6u32 {
        let of_seed = |seed| {
            let changed: Vec<u32> = (0..count).map(|at| (seed as u32 + 3 * at) % 20).collect();
            similarity(&encode(&plan(seed, 20, &[])), &encode(&plan(seed, 20, &changed)))
        };
        means.push((0..60).map(of_seed).sum::<f64>() / 60.0);
    }
    println!("similarity by operators changed, of 20: {means:.3?}");
    assert_eq!(means[0], 1.0);
    assert!(means.is_sorted_by(|a, b| a > b));
    assert!(means[1] > 0.6 && means[6] > 0.15, "{means:?}");
}

#[test]
fn relations_count_only_where_they_are_asked_for() {
    let (users, posts) = (QueryDag::new(), QueryDag::new());
    let of = |mut dag: QueryDag, relation: &str| {
        dag.add_node(OperatorNode::seq_scan(0, relation));
        dag.add_node(OperatorNode::new(1, OperatorType::Sort));
        dag.add_edge(ruvector_dag::OperatorId(0), ruvector_dag::OperatorId(1))
            .expect("an edge");
        dag
    };
    let (users, posts) = (of(users, "users"), of(posts, "posts"));
    assert_eq!(encode(&users), encode(&posts));
    let detailed = |dag| Hypervector::of_plan(dag, DEFAULT_BITS, Detail::Relations).expect("enough bits");
    let alike = similarity(&detailed(&users), &detailed(&posts));
    assert!(alike > 0.1 && alike < 0.9, "{alike}");
}

#[test]
fn a_bundle_of_many_plans_recognises_its_members() {
    for size in [10, 50, 200] {
        let mut shapes = PlanShapes::new(DEFAULT_BITS).expect("enough bits");
        for seed in 0..size {
            shapes.insert(&plan(seed, 12, &[]));
        }
        let sketch = shapes.sketch();
        let recognised = |seeds: std::ops::Range<u64>| {
            seeds
                .filter(|&seed| {
                    sketch
                        .recognises(&encode(&plan(seed, 12, &[])))
                        .expect("as many bits")
                })
                .count()
        };
        let (members, strangers) = (recognised(0..size), recognised(10_000..10_200));
        println!("{size} shapes: {members} members and {strangers} of 200 strangers recognised");
        assert!(members as f64 >= 0.97 * size as f64 && strangers <= 6);
    }
}

#[test]
fn the_overlap_of_two_servers_is_read_off_their_sketches() {
    let set = |seeds: std::ops::Range<u64>| {
        let mut shapes = PlanShapes::new(DEFAULT_BITS).expect("enough bits");
        for seed in seeds {
            assert!(shapes.insert(&plan(seed, 12, &[])));
        }
        assert!(!shapes.insert(&plan(1_000, 12, &[])), "a shape counts once");
        shapes.sketch()
    };
    let one = set(1_000..1_100);
    for (first, expected) in [(1_000, 1.0), (980, 0.8), (950, 0.5), (901, 0.01)] {
        let other = set(first..first + 100);
        let overlap = one.overlap(&other).expect("as many bits");
        assert!((overlap - expected).abs() < 0.06, "{overlap} for {expected}");
    }
    let changed = {
        let mut shapes = PlanShapes::new(DEFAULT_BITS).expect("enough bits");
        (1_000..1_100).for_each(|seed| {
            shapes.insert(&plan(seed, 12, &[4]));
        });
        shapes.sketch()
    };
    let strange = set(901..1_001);
    let (near, far) = (
        one.similarity(&changed).expect("as many bits"),
        one.similarity(&strange).expect("as many bits"),
    );
    println!("similarity of sets: one operator of 12 changed everywhere {near:.3}, other plans {far:.3}");
    assert!(near > far + 0.05);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(Hypervector::of_key(1, 1_000).is_err() && Hypervector::of_key(1, 65_537).is_err());
    assert!(Bundle::new(10).is_err() && PlanShapes::new(0).is_err());
    let [small, great] = [1_024, 65_536].map(|bits| Hypervector::of_key(1, bits).expect("within bounds"));
    assert!(small.bind(&great).is_err() && small.similarity(&great).is_err());
    let text = serde_json::to_string(&small).expect("JSON");
    assert_eq!(serde_json::from_str::<Hypervector>(&text).ok(), Some(small));
    assert!(serde_json::from_str::<Hypervector>(&text.replace("1024", "1088")).is_err());
}

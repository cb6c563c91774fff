//! The embedding: norm, invariance, what moves it and how far, and the exact scan.

use proptest::prelude::*;
use ruvector_dag::attention::AttentionScores;
use ruvector_dag::embedding::{DIMENSIONS, Neighbour, PlanEmbedding, nearest};
use ruvector_dag::{Error, OperatorId, OperatorNode, OperatorType, QueryDag};

mod arbitrary;

/// Scores that depend on what an operator is, not on its place.
fn scores(dag: &QueryDag) -> AttentionScores {
    let weights: Vec<f64> = dag.nodes().map(|node| node.rows.ln_1p() + 1.0).collect();
    let total: f64 = weights.iter().sum();
    AttentionScores::new(weights.into_iter().map(|weight| weight / total).collect())
}

fn embed(dag: &QueryDag) -> PlanEmbedding {
    PlanEmbedding::new(dag, &scores(dag)).expect("a score for each operator")
}

/// The plan after `change` of each operator; scores stay as they were.
fn changed(dag: &QueryDag, change: impl Fn(&mut OperatorNode)) -> PlanEmbedding {
    let mut other = dag.clone();
    for node in dag.nodes() {
        let mut node = node.clone();
        change(&mut node);
        other.add_node(node);
    }
    PlanEmbedding::new(&other, &scores(dag)).expect("a score for each operator")
}

fn is_tree(dag: &QueryDag) -> bool {
    dag.nodes().all(|node| dag.consumers(node.id).count() <= 1)
}

/// The operator of the greatest score.
fn most_attended(dag: &QueryDag) -> Option<OperatorId> {
    let scores = scores(dag);
    let scored = dag.nodes().map(|node| node.id).zip(scores.as_slice());
    scored.max_by(|a, b| a.1.total_cmp(b.1)).map(|(id, _)| id)
}

/// A permutation of so many places.
fn shuffled(seed: u64, length: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..length).collect();
    places.sort_by_key(|&place| ruvector_dag::cardinality::hash_words([seed, place as u64]));
    places
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn it_has_unit_norm_and_is_near_itself(parts in arbitrary::parts(8)) {
        let embedding = embed(&parts.dag());
        let norm: f64 = embedding.as_slice().iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        prop_assert!((norm - 1.0).abs() < 1e-5);
        prop_assert!((embedding.cosine(&embed(&parts.dag())) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn it_does_not_depend_on_the_order_of_operators(parts in arbitrary::parts(8), seed in any::<u64>()) {
        let places = shuffled(seed, parts.nodes.len());
        let (dag, other) = (parts.dag(), parts.build(&places, |place| 3 * place as u32 + 5));
        prop_assert!(embed(&dag).cosine(&embed(&other)) > 1.0 - 1e-5);
    }

    /// Which consumer a shared subplan's cost counts to does depend on numbers, by definition.
    #[test]
    fn it_does_not_depend_on_numbers_in_a_tree(mut parts in arbitrary::parts(8), seed in any::<u64>()) {
        let mut has_consumer = vec![false; parts.nodes.len()];
        parts.edges.retain(|&(from, _)| !std::mem::replace(&mut has_consumer[from], true));
        let places = shuffled(seed, parts.nodes.len());
        let (dag, other) = (parts.dag(), parts.build(&places, |place| places[place] as u32));
        prop_assert!(is_tree(&dag));
        prop_assert!(embed(&dag).cosine(&embed(&other)) > 1.0 - 1e-5);
    }

    #[test]
    fn a_percent_of_cost_moves_it_little_and_another_operator_that_matters_more(parts in arbitrary::parts(8)) {
        let dag = parts.dag();
        let (before, which) = (embed(&dag), most_attended(&dag));
        let costs = before.cosine(&changed(&dag, |node| {
            // Smaller, since a number near the greatest has no room above.
            node.startup_cost /= 1.01;
            node.total_cost /= 1.01;
            node.rows /= 1.01;
        }));
        let shape = before.cosine(&changed(&dag, |node| {
            if Some(node.id) == which {
                let is_hash_join = node.operator_type == OperatorType::HashJoin;
                node.operator_type = if is_hash_join { OperatorType::SeqScan } else { OperatorType::HashJoin };
            }
        }));
        prop_assert!(costs > 0.999, "{}", costs);
        prop_assert!(shape < costs, "{} after another shape, {} after other costs", shape, costs);
    }

    #[test]
    fn what_is_stored_is_read_again(parts in arbitrary::parts(4)) {
        let embedding = embed(&parts.dag());
        let text = serde_json::to_string(&embedding).expect("plain numbers");
        prop_assert_eq!(serde_json::from_str::<PlanEmbedding>(&text).expect("what was written"), embedding);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_scan_finds_what_sorting_finds(
        parts in proptest::collection::vec(arbitrary::parts(3), 1..12),
        k in 0usize..14,
    ) {
        let all: Vec<PlanEmbedding> = parts.iter().map(|parts| embed(&parts.dag())).collect();
        let mut sorted: Vec<Neighbour> = (0..all.len())
            .map(|at| Neighbour { at, cosine: all[0].cosine(&all[at]) })
            .collect();
        sorted.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
        sorted.truncate(k);
        prop_assert_eq!(nearest(&all[0], &all, k), sorted);
    }
}

fn scan(id: u32, rows: f64) -> OperatorNode {
    OperatorNode::seq_scan(id, "t").with_estimate(rows, 0.0, rows / 10.0)
}

/// Two scans, joined.
fn join(kind: OperatorType, outer_rows: f64, inner_rows: f64) -> QueryDag {
    let mut dag = QueryDag::new();
    let outer = dag.add_node(scan(0, outer_rows));
    let inner = dag
        .add_node(OperatorNode::new(1, OperatorType::IndexScan).with_estimate(inner_rows, 0.0, inner_rows));
    let join = OperatorNode::new(2, kind).with_estimate(outer_rows, 0.0, outer_rows + inner_rows);
    let join = dag.add_node(join);
    dag.add_edge(outer, join).expect("a new edge");
    dag.add_edge(inner, join).expect("a new edge");
    dag
}

#[test]
fn a_small_change_of_cost_is_nearer_than_another_join_and_that_than_another_size() {
    let plan = embed(&join(OperatorType::HashJoin, 1e4, 1e3));
    let cosine = |dag: &QueryDag| plan.cosine(&embed(dag));
    let other_cost = cosine(&join(OperatorType::HashJoin, 1.05e4, 1.05e3));
    let other_join = cosine(&join(OperatorType::NestedLoop, 1e4, 1e3));
    let other_size = cosine(&join(OperatorType::NestedLoop, 1e7, 1e6));
    println!(
        "5 % of cost {other_cost:.4}, another join {other_join:.4}, and a thousand times the rows {other_size:.4}"
    );
    assert!(other_cost > 0.99 && other_cost > other_join && other_join > other_size);
}

#[test]
fn outer_and_inner_are_told_apart() {
    let one = join(OperatorType::NestedLoop, 1e4, 1e4);
    let mut swapped = QueryDag::new();
    one.nodes().for_each(|node| {
        swapped.add_node(node.clone());
    });
    swapped
        .add_edge(OperatorId(1), OperatorId(2))
        .expect("a new edge");
    swapped
        .add_edge(OperatorId(0), OperatorId(2))
        .expect("a new edge");
    assert!(embed(&one).cosine(&embed(&swapped)) < 0.99);
}

#[test]
fn what_feeds_what_counts_and_not_only_what_is_there() {
    let chain = |order: [OperatorType; 3]| {
        let mut dag = QueryDag::new();
        let mut below = dag.add_node(scan(0, 100.0));
        for (at, kind) in order.into_iter().enumerate() {
            let above = dag.add_node(OperatorNode::new(at as u32 + 1, kind).with_estimate(100.0, 0.0, 10.0));
            dag.add_edge(below, above).expect("a new edge");
            below = above;
        }
        dag
    };
    let one = chain([OperatorType::Sort, OperatorType::Unique, OperatorType::Limit]);
    let other = chain([OperatorType::Limit, OperatorType::Unique, OperatorType::Sort]);
    assert!(embed(&one).cosine(&embed(&other)) < 0.98);
}

#[test]
fn the_scores_count() {
    let dag = join(OperatorType::HashJoin, 1e4, 1e3);
    let of =
        |scores: [f64; 3]| PlanEmbedding::new(&dag, &AttentionScores::new(scores.to_vec())).expect("scores");
    let near = of([0.6, 0.2, 0.2]).cosine(&of([0.58, 0.21, 0.21]));
    let far = of([0.6, 0.2, 0.2]).cosine(&of([0.1, 0.1, 0.8]));
    assert!(near > 0.999 && far < 0.98, "{near} and {far}");
}

#[test]
fn a_graph_without_operators_and_a_long_chain_have_embeddings() {
    let empty = embed(&QueryDag::new());
    assert_eq!(empty.as_slice().len(), DIMENSIONS);
    let mut dag = QueryDag::new();
    let mut below = dag.add_node(scan(0, 10.0));
    for id in 1..10_000 {
        let above = dag.add_node(OperatorNode::new(id, OperatorType::Materialize));
        dag.add_edge(below, above).expect("a new edge");
        below = above;
    }
    let long = embed(&dag);
    assert!(long.as_slice().iter().all(|x| x.is_finite()) && long.cosine(&empty) < 0.9);
}

#[test]
fn scores_that_do_not_fit_are_refused() {
    let dag = join(OperatorType::HashJoin, 1e4, 1e3);
    for scores in [vec![], vec![0.5; 2], vec![0.25; 4]] {
        let refused = PlanEmbedding::new(&dag, &AttentionScores::new(scores));
        assert!(matches!(refused, Err(Error::InvalidEmbedding { .. })));
    }
}

#[test]
fn stored_numbers_that_are_no_embedding_are_refused() {
    let mut unit = vec![0.0; DIMENSIONS];
    unit[3] = 1.0;
    assert!(PlanEmbedding::try_from(unit.clone()).is_ok());
    for wrong in [
        vec![1.0],
        vec![0.0; DIMENSIONS],
        vec![f32::NAN; DIMENSIONS],
        [unit, vec![0.0]].concat(),
    ] {
        assert!(matches!(
            PlanEmbedding::try_from(wrong),
            Err(Error::InvalidEmbedding { .. })
        ));
    }
}

//! From a live plan to its embedding: features, scores and 256 numbers of a 20-operator plan are to take at most 50 µs.
//! And what is done with it: the cosine, the exact scan, the cache's key and lookup, the bandit's choice.

use criterion::Criterion;
use ruvector_dag::attention::{
    AttentionCache, AttentionScores, AttentionSelector, CacheKey, MechanismId, content_hash,
};
use ruvector_dag::embedding::{PlanEmbedding, nearest, operator_features};
use ruvector_dag::{ClauseKind, OperatorNode, OperatorType, QueryDag};
use std::hint::black_box;
use std::sync::Arc;

/// A left-deep plan of hash joins under an aggregate, as the planner makes them: scan, hash, join, hash, join, …
fn plan(size: u32) -> QueryDag {
    let mut dag = QueryDag::new();
    let scan = |id: u32| {
        OperatorNode::seq_scan(id, "posts")
            .with_estimate(90_000.0 + f64::from(id), 0.0, 2_500.0)
            .with_width(24)
            .with_clause(ClauseKind::Filter, "(score > 10)")
    };
    let add = |dag: &mut QueryDag, node: OperatorNode, inputs: &[_]| {
        let id = dag.add_node(node);
        inputs
            .iter()
            .for_each(|&input| dag.add_edge(input, id).expect("a new edge"));
        id
    };
    let mut top = add(&mut dag, scan(0), &[]);
    let mut cost = 2_500.0;
    while dag.len() as u32 + 3 < size {
        let id = dag.len() as u32;
        let inner = add(&mut dag, scan(id), &[]);
        let hash = OperatorNode::new(id + 1, OperatorType::Hash).with_estimate(90_000.0, 2_500.0, 2_500.0);
        let hash = add(&mut dag, hash, &[inner]);
        cost += 4_000.0;
        let join = OperatorNode::new(id + 2, OperatorType::HashJoin)
            .with_estimate(120_000.0, 3_000.0, cost)
            .with_clause(ClauseKind::HashCond, "(posts.owneruserid = users.id)");
        top = add(&mut dag, join, &[top, hash]);
    }
    while (dag.len() as u32) < size {
        let node = OperatorNode::new(dag.len() as u32, OperatorType::Aggregate).with_estimate(
            1.0,
            cost,
            cost + 300.0,
        );
        top = add(&mut dag, node, &[top]);
    }
    dag
}

fn cost_shares(dag: &QueryDag) -> AttentionScores {
    let costs = dag.self_costs();
    let total: f64 = costs.iter().map(|(_, cost)| cost).sum();
    AttentionScores::new(costs.into_iter().map(|(_, cost)| cost / total).collect())
}

fn embedding(criterion: &mut Criterion) {
    for size in [20, 100, 1_000] {
        let dag = plan(size);
        let scores = cost_shares(&dag);
        criterion.bench_function(&format!("embedding/features/{size}"), |bench| {
            bench.iter(|| black_box(operator_features(black_box(&dag))))
        });
        criterion.bench_function(&format!("embedding/scores_given/{size}"), |bench| {
            bench.iter(|| black_box(PlanEmbedding::new(black_box(&dag), &scores)))
        });
        criterion.bench_function(&format!("embedding/content_hash/{size}"), |bench| {
            bench.iter(|| black_box(content_hash(black_box(&dag))))
        });
    }
    let dag = plan(20);
    let one = PlanEmbedding::uniform(&dag).expect("scores for all");
    let many = vec![one.clone(); 1_000];
    criterion.bench_function("embedding/cosine", |bench| {
        bench.iter(|| black_box(one.cosine(&many[7])))
    });
    criterion.bench_function("embedding/nearest_10/1000", |bench| {
        bench.iter(|| black_box(nearest(black_box(&one), &many, 10)))
    });
}

fn selection(criterion: &mut Criterion) {
    let cache = AttentionCache::default();
    let dag = plan(20);
    let scores = Arc::new(cost_shares(&dag));
    let key = CacheKey {
        content: content_hash(&dag),
        mechanism: "topological",
        parameters: 0,
    };
    cache.insert(key, scores);
    criterion.bench_function("cache/get", |bench| bench.iter(|| black_box(cache.get(&key))));
    let mut selector = AttentionSelector::new();
    for mechanism in MechanismId::ALL {
        selector.update(1, mechanism, 0.5);
    }
    criterion.bench_function("selector/select", |bench| {
        bench.iter(|| black_box(selector.select(1, Some(MechanismId::MincutGated))))
    });
    criterion.bench_function("selector/update", |bench| {
        bench.iter(|| selector.update(1, MechanismId::MincutGated, 0.5))
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    embedding(&mut criterion);
    selection(&mut criterion);
    criterion.final_summary();
}

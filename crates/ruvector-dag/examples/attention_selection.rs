//! Which operators of two plans matter, and how near the plans are: the policy suggests a mechanism, the bandit learns
//! which one earns most, and the scores pool the operators into embeddings.

use ruvector_dag::attention::{
    AttentionCache, AttentionSelector, BanditSettings, Choice, MechanismId, PlanSignals, SelectionPolicy,
};
use ruvector_dag::embedding::PlanEmbedding;
use ruvector_dag::{Error, OperatorNode, OperatorType, QueryDag};

/// Orders with their items, joined and counted.
fn plan(join: OperatorType, orders: f64) -> Result<QueryDag, Error> {
    let mut dag = QueryDag::new();
    let items = dag.add_node(OperatorNode::seq_scan(0, "items").with_estimate(50_000.0, 0.0, 771.0));
    let orders = dag.add_node(OperatorNode::seq_scan(1, "orders").with_estimate(orders, 0.0, orders / 64.0));
    let join = dag.add_node(OperatorNode::new(2, join).with_estimate(50_000.0, 280.0, 1_739.0));
    let count =
        dag.add_node(OperatorNode::new(3, OperatorType::Aggregate).with_estimate(1.0, 1_864.0, 1_864.0));
    dag.add_edge(items, join)?;
    dag.add_edge(orders, join)?;
    dag.add_edge(join, count)?;
    Ok(dag)
}

fn main() -> Result<(), Error> {
    let (hash, nested) = (
        plan(OperatorType::HashJoin, 10_000.0)?,
        plan(OperatorType::NestedLoop, 10.0)?,
    );

    let policy = SelectionPolicy::default();
    let signals = PlanSignals::of_plan(&hash).with_latencies(12.0, 40.0);
    let trigger = policy.trigger(&signals);
    println!(
        "the policy suggests {}: {}",
        trigger.mechanism().name(),
        trigger.reason()
    );

    // Rewards say otherwise: here the hierarchy predicts best.
    let mut selector = AttentionSelector::new();
    let pattern = hash.relations_fingerprint();
    for _ in 0..2_000 {
        if let Choice::Mechanism(mechanism) = selector.select_by_policy(pattern, &policy, &signals) {
            let is_best = mechanism == MechanismId::HierarchicalLorentz;
            selector.update(pattern, mechanism, if is_best { 0.9 } else { 0.4 });
        }
    }
    println!("after 2,000 rewards:");
    let arms = selector.arms(pattern).copied().unwrap_or_default();
    for mechanism in MechanismId::ALL {
        let arm = arms.arm(mechanism);
        let mean = arm.mean().unwrap_or(0.0);
        println!(
            "  {:<20} {:>5} pulls, mean reward {mean:.2}",
            mechanism.name(),
            arm.pulls
        );
    }

    let without_trials = BanditSettings {
        exploration: 0.0,
        confidence: 0.0,
        ..BanditSettings::default()
    };
    let chosen = arms.select(None, &without_trials);
    let attention = chosen.with_defaults();
    println!("the bandit chooses {}", chosen.name());
    let cache = AttentionCache::default();
    let mut embeddings = Vec::new();
    for dag in [&hash, &nested, &hash] {
        let scores = cache.scores(dag, attention.as_ref());
        println!("scores {:.2?}", scores.as_slice());
        embeddings.push(PlanEmbedding::new(dag, &scores)?);
    }
    if let [hash, nested, again] = embeddings.as_slice() {
        println!(
            "cosine to the nested loop {:.3}, to itself {:.3}",
            hash.cosine(nested),
            hash.cosine(again)
        );
    }
    println!("{:?}", cache.statistics());
    Ok(())
}

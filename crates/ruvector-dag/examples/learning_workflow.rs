//! The learning system at work: expect, run, learn at once, learn in the background, expect better, keep it all.
//!
//! No server is needed: what a plan takes is computed from a truth that its cost does not show.
//!
//! `cargo run -p ruvector-dag --example learning_workflow`

use ruvector_dag::attention::{DagAttention, MechanismId};
use ruvector_dag::learning::{DagSonaEngine, LatencyQuery, SonaConfig};
use ruvector_dag::trajectory::{Trajectory, TrajectoryBuilder, reward};
use ruvector_dag::{Error, OperatorNode, OperatorType, QueryDag};

/// Two tables of these sizes, joined by nested loops or by hashing, counted.
fn plan(orders: f64, items: f64, join: OperatorType) -> Result<QueryDag, Error> {
    let mut dag = QueryDag::new();
    let (scanned, joined) = ((orders + items) / 50.0, 0.02 * (orders + items));
    let orders = dag.add_node(OperatorNode::seq_scan(0, "orders").with_estimate(orders, 0.0, orders / 50.0));
    let items = dag.add_node(OperatorNode::seq_scan(1, "items").with_estimate(items, 0.0, items / 50.0));
    let cost = scanned + joined;
    let join = dag.add_node(OperatorNode::new(2, join).with_estimate(1_000.0, scanned, cost));
    let count =
        dag.add_node(OperatorNode::new(3, OperatorType::Aggregate).with_estimate(1.0, cost, cost + 3.0));
    dag.add_edge(orders, join)?;
    dag.add_edge(items, join)?;
    dag.add_edge(join, count)?;
    Ok(dag)
}

/// Milliseconds: nested loops take twelve times what they cost.
fn execute(dag: &QueryDag) -> f64 {
    let time = |kind| {
        if kind == OperatorType::NestedLoop {
            0.12
        } else {
            0.01
        }
    };
    let costs = dag.nodes().zip(dag.self_costs());
    costs
        .map(|(node, (_, cost))| time(node.operator_type) * cost)
        .sum()
}

/// Expects, runs and learns; answers by which factor the expectation was wrong.
fn observe(engine: &mut DagSonaEngine, attention: &dyn DagAttention, number: u64) -> Result<f64, Error> {
    let (orders, items) = (
        1e3 + (number * 7_919 % 90_000) as f64,
        1e3 + (number * 6_007 % 70_000) as f64,
    );
    let join = if number.is_multiple_of(3) {
        OperatorType::NestedLoop
    } else {
        OperatorType::HashJoin
    };
    let dag = plan(orders, items, join)?;
    let cost: f64 = dag.self_costs().into_iter().map(|(_, cost)| cost).sum();
    let query = LatencyQuery {
        statement: number,
        template: number % 3,
        decision: 0,
        log_cost: cost.ln(),
    };
    let before = engine.pre_query(&dag, &attention.forward(&dag), &query)?;
    let latency = execute(&dag);
    let mut builder = TrajectoryBuilder::new(number, number % 3, before.embedding.clone())
        .operator_types(before.operator_types)
        .mechanism(MechanismId::Topological)
        .cost(cost);
    // State vectors: what the session saw of the plan, before and after it was adapted, with the rewards of either.
    builder.add_step(before.embedding.as_slice().to_vec(), Vec::new(), 0.5, number);
    let exactness = reward::of_row_count(before.prediction.log_latency.exp(), latency);
    builder.add_step(before.adapted.as_slice().to_vec(), Vec::new(), exactness, number);
    let trajectory: Trajectory = builder.build(latency, number);
    Ok(engine.post_query(trajectory).surprise.exp())
}

fn main() -> Result<(), Error> {
    let mut engine = DagSonaEngine::new(SonaConfig {
        clusters: 10,
        ..SonaConfig::default()
    })?;
    let attention = MechanismId::Topological.with_defaults();
    for round in 0..4u64 {
        let mut factors = Vec::new();
        for at in 0..100 {
            factors.push(observe(&mut engine, attention.as_ref(), 100 * round + at)?);
        }
        factors.sort_by(f64::total_cmp);
        let median = factors.get(factors.len() / 2).copied().unwrap_or(1.0);
        let report = engine.background_learn(100 * round);
        println!(
            "statements {:>3}-{:>3}: off by a factor of {median:.2} in the median, {:.2} at worst",
            100 * round,
            100 * round + 99,
            factors.last().copied().unwrap_or(1.0),
        );
        println!(
            "  loop B: {} trajectories, {} patterns found, {} merged; error {:.3} -> {:.3} in {} steps",
            report.drained,
            report.found,
            report.merged,
            report.training.error_before,
            report.training.error_after,
            report.training.steps,
        );
    }
    let state = engine.to_state();
    let again = DagSonaEngine::from_state(*engine.config(), &state)?;
    println!(
        "kept in {} bytes: {} executions, {} patterns, {} of them mature",
        state.len(),
        again.executions().len(),
        again.bank().len(),
        again.get_mature_patterns().len(),
    );
    Ok(())
}

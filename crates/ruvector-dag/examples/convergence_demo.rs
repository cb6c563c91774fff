//! A slow query converges over several runs, as a log. All of it comes from the engine but the latencies: those of a
//! server that is simulated by what each join really takes, of which the planner's cost says nothing.
//!
//! `cargo run -p ruvector-dag --example convergence_demo`

use ruvector_dag::attention::{MechanismId, PlanSignals, SelectionPolicy};
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::learning::{DagSonaEngine, LatencyQuery, PreQuery, SonaConfig};
use ruvector_dag::mincut::plan_tension;
use ruvector_dag::trajectory::{Trajectory, TrajectoryBuilder};
use ruvector_dag::{Error, OperatorNode, OperatorType, QueryDag};

/// Decisions: stock (nested loops), merge join, hash join.
const JOINS: [OperatorType; 3] = [
    OperatorType::NestedLoop,
    OperatorType::MergeJoin,
    OperatorType::HashJoin,
];
/// Estimated rows of the join, of which stock expects few and gets many.
const EXPECTED: f64 = 40.0;
const QUERY: u64 = 0;

/// A statement's plan under a decision, with the rows it really had when it was executed.
fn plan(size: f64, decision: u64, is_executed: bool) -> Result<QueryDag, Error> {
    let join = JOINS
        .get(decision as usize)
        .copied()
        .unwrap_or(OperatorType::NestedLoop);
    let mut dag = QueryDag::new();
    let seen = |node: OperatorNode, rows: f64| {
        if is_executed {
            node.with_actual(rows, 1.0)
        } else {
            node
        }
    };
    let cost = size / 50.0;
    let joined = cost * [1.2, 1.8, 1.5].get(decision as usize).copied().unwrap_or(1.0);
    // Corrections come with decisions: a plan made by one expects what was counted.
    let expected = if decision == 0 { EXPECTED } else { size / 2.0 };
    let left = dag.add_node(seen(
        OperatorNode::seq_scan(0, "vectors").with_estimate(size, 0.0, cost),
        size,
    ));
    let right = dag.add_node(seen(
        OperatorNode::seq_scan(1, "labels").with_estimate(size / 4.0, 0.0, cost / 4.0),
        size / 4.0,
    ));
    let top = seen(
        OperatorNode::new(2, join).with_estimate(expected, cost, 1.25 * cost + joined),
        size / 2.0,
    );
    let top = dag.add_node(top);
    let total = 1.25 * cost + joined;
    let result = OperatorNode::new(3, OperatorType::Aggregate).with_estimate(1.0, total, total + 1.0);
    let result = dag.add_node(seen(result, 1.0));
    dag.add_edge(left, top)?;
    dag.add_edge(right, top)?;
    dag.add_edge(top, result)?;
    Ok(dag)
}

/// Milliseconds of the simulated server, a few percent apart each time.
fn execute(dag: &QueryDag, run: u64) -> f64 {
    let time = |kind| match kind {
        OperatorType::NestedLoop => 0.62,
        OperatorType::MergeJoin => 0.19,
        _ => 0.035,
    };
    let costs = dag.nodes().zip(dag.self_costs());
    let exact: f64 = costs
        .map(|(node, (_, cost))| time(node.operator_type) * cost)
        .sum();
    exact * (0.97 + 0.06 * (hash_words([run]) >> 40) as f64 / (1u64 << 24) as f64)
}

struct Server {
    engine: DagSonaEngine,
    policy: SelectionPolicy,
    mechanism: MechanismId,
    clock: u64,
}

impl Server {
    /// Plans, expects, executes and learns.
    fn run(
        &mut self,
        statement: u64,
        size: f64,
        decision: u64,
    ) -> Result<(PreQuery, Trajectory, f64), Error> {
        self.clock += 1;
        let (planned, executed) = (plan(size, decision, false)?, plan(size, decision, true)?);
        let scores = self.mechanism.with_defaults().forward(&planned);
        let cost: f64 = planned.self_costs().into_iter().map(|(_, cost)| cost).sum();
        let query = LatencyQuery {
            statement,
            template: statement,
            decision,
            log_cost: cost.ln(),
        };
        let before = self.engine.pre_query(&planned, &scores, &query)?;
        let trajectory = TrajectoryBuilder::new(statement, statement, before.embedding.clone())
            .decision(decision)
            .mechanism(self.mechanism)
            .operator_types(before.operator_types.clone())
            .cost(cost)
            .build(execute(&executed, self.clock), self.clock);
        self.engine.post_query(trajectory.clone());
        Ok((before, trajectory, plan_tension(&executed)))
    }

    /// Which mechanism the next plan is weighed with, and why.
    fn switch(&mut self, executed: &QueryDag) -> Option<&'static str> {
        let trigger = self.policy.trigger(&PlanSignals::of_plan(executed));
        let is_new = trigger.mechanism() != self.mechanism;
        self.mechanism = trigger.mechanism();
        is_new.then(|| trigger.reason())
    }
}

fn main() -> Result<(), Error> {
    let mut server = Server {
        engine: DagSonaEngine::new(SonaConfig {
            clusters: 8,
            ..SonaConfig::default()
        })?,
        policy: SelectionPolicy::default(),
        mechanism: MechanismId::Topological,
        clock: 0,
    };
    // Other statements tried the decisions before.
    for statement in 1..=24 {
        for decision in [0, 1 + statement % 2] {
            server.run(statement, 2e3 + 1.5e3 * statement as f64, decision)?;
        }
    }
    server.engine.background_learn(server.clock);

    let size = 40_000.0;
    let (mut applied, mut trial, mut baseline) = (0, None, None);
    let mut best = f64::INFINITY;
    for run in 1..=10 {
        let decision = trial.take().unwrap_or(applied);
        let weighed_by = server.mechanism;
        let (before, seen, tension) = server.run(QUERY, size, decision)?;
        let latency = seen.log_latency.exp();
        let baseline = *baseline.get_or_insert(latency);
        println!("[run {run}] SELECT count(*) FROM vectors JOIN labels USING (id), decision {decision}");
        println!("        attention: {}", weighed_by.name());
        println!("        mincut_tension: {tension:.2}");
        let (least, greatest) = before.prediction.interval_90();
        println!(
            "        expected: {:.0} ms, 90 % within {least:.0}-{greatest:.0} ({:?})",
            before.prediction.log_latency.exp(),
            before.prediction.source,
        );
        println!(
            "        latency: {latency:.0} ms (baseline: {baseline:.0} ms, improvement: {:.1} %)",
            100.0 * (1.0 - latency / baseline),
        );
        if latency < best {
            (best, applied) = (latency, decision);
        }
        let pattern = server
            .engine
            .bank()
            .search(&before.embedding, 1, 0.0)
            .first()
            .copied();
        if let Some(pattern) = pattern {
            println!(
                "        sona: pattern {} at cosine {:.3}",
                pattern.id, pattern.similarity
            );
        }
        if let Some(reason) = server.switch(&plan(size, applied, true)?) {
            println!(
                "    --> attention: {} -> {}: {reason}",
                weighed_by.name(),
                server.mechanism.name()
            );
        }
        if let Some(pattern) = pattern.filter(|_| tension > server.policy.tension_threshold) {
            server.engine.boost_learning_rate(pattern.id, 2.0);
            println!("        sona: learning rate of pattern {} doubled", pattern.id);
        }
        if run % 2 == 0 {
            let report = server.engine.background_learn(server.clock);
            println!(
                "        sona: loop B, {} trajectories, error {:.3} -> {:.3}",
                report.drained, report.training.error_before, report.training.error_after,
            );
            let dreams = server.engine.dream(100);
            if let Some(dream) = dreams.iter().find(|dream| dream.statement == QUERY) {
                println!(
                    "        sona: dream of decision {}, {:.0} ms expected, phi {:.2}, at most {:.0} ms",
                    dream.decision,
                    dream.log_latency.exp(),
                    dream.phi,
                    dream.time_limit_ms,
                );
                trial = Some(dream.decision);
            }
        }
    }
    println!(
        "{} patterns are mature",
        server.engine.get_mature_patterns().len()
    );
    Ok(())
}

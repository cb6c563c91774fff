//! Synthetic statements whose latency depends on what their cost does not show.

use ruvector_dag::attention::AttentionScores;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::embedding::PlanEmbedding;
use ruvector_dag::trajectory::{Trajectory, TrajectoryBuilder, type_attention};
use ruvector_dag::{OperatorId, OperatorNode, OperatorType, QueryDag};

/// A seeded source of numbers.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below_one(&mut self) -> f64 {
        self.0 += 1;
        (hash_words([self.0]) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.below_one() * bound as f64) as usize
    }

    /// A sum of uniform numbers is normal enough: mean 0, variance 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.below_one()).sum::<f64>() - 6.0
    }
}

/// A workload: how much longer than the planner thinks a cost unit of each operator takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth {
    pub(crate) nested_loop: f64,
    pub(crate) sort: f64,
    pub(crate) index_scan: f64,
    pub(crate) seq_scan: f64,
}

/// Joins of correlated columns return more rows than expected, which nested loops pay for and hash joins don't.
pub(crate) const CORRELATED: Truth = Truth {
    nested_loop: 12.0,
    sort: 3.0,
    index_scan: 0.1,
    seq_scan: 0.3,
};

impl Truth {
    fn of(&self, kind: OperatorType) -> f64 {
        match kind {
            OperatorType::SeqScan => self.seq_scan,
            OperatorType::IndexScan => self.index_scan,
            OperatorType::NestedLoop => self.nested_loop,
            OperatorType::Sort => self.sort,
            _ => 1.0,
        }
    }
}

struct Builder {
    dag: QueryDag,
    milliseconds: f64,
    truth: Truth,
}

impl Builder {
    fn add(&mut self, kind: OperatorType, rows: f64, self_cost: f64, inputs: &[OperatorId]) -> OperatorId {
        let below: f64 = inputs
            .iter()
            .filter_map(|&id| self.dag.node(id))
            .map(|node| node.total_cost)
            .sum();
        let node =
            OperatorNode::new(self.dag.len() as u32, kind).with_estimate(rows, below, below + self_cost);
        let id = self.dag.add_node(node.with_width(16));
        inputs
            .iter()
            .for_each(|&input| self.dag.add_edge(input, id).expect("a new edge"));
        self.milliseconds += 0.01 * self.truth.of(kind) * self_cost;
        id
    }

    fn scan(&mut self, of_template: &mut Random, of_run: &mut Random) -> (OperatorId, f64) {
        let size = 10f64.powf(1.0 + 5.0 * of_template.below_one());
        let selectivity = 10f64.powf(-2.0 * of_run.below_one());
        if selectivity < 0.05 {
            let cost = 4.0 * size * selectivity;
            (
                self.add(OperatorType::IndexScan, size * selectivity, cost, &[]),
                size * selectivity,
            )
        } else {
            (
                self.add(OperatorType::SeqScan, size * selectivity, size / 50.0, &[]),
                size * selectivity,
            )
        }
    }

    fn join(&mut self, kind: usize, outer: (OperatorId, f64), inner: (OperatorId, f64)) -> (OperatorId, f64) {
        let joined = (outer.1 * inner.1).sqrt().max(1.0);
        let sum = outer.1 + inner.1;
        let sort = |rows: f64| 0.005 * rows * (rows + 2.0).ln();
        let top = match kind {
            0 => self.add(OperatorType::NestedLoop, joined, 0.05 * sum, &[outer.0, inner.0]),
            1 => {
                let hash = self.add(OperatorType::Hash, inner.1, 0.01 * inner.1, &[inner.0]);
                self.add(OperatorType::HashJoin, joined, 0.02 * sum, &[outer.0, hash])
            }
            _ => {
                let left = self.add(OperatorType::Sort, outer.1, sort(outer.1), &[outer.0]);
                let right = self.add(OperatorType::Sort, inner.1, sort(inner.1), &[inner.0]);
                self.add(OperatorType::MergeJoin, joined, 0.01 * sum, &[left, right])
            }
        };
        (top, joined)
    }
}

/// A plan and what it takes.
pub(crate) struct Run {
    pub(crate) dag: QueryDag,
    pub(crate) log_latency: f64,
}

/// A run of a statement: the template has its tables and joins, the run its constants. Under decision 0 joins are as the
/// template has them; decision d makes all of them of kind d − 1.
pub(crate) fn run(template: u64, constants: u64, decision: u64, truth: Truth) -> Run {
    let (mut of_template, mut of_run) = (Random(template << 32), Random(template << 32 | constants << 16));
    let mut of_shape = Random(template << 32 | 0xffff);
    let mut builder = Builder {
        dag: QueryDag::new(),
        milliseconds: 0.05,
        truth,
    };
    let mut top = builder.scan(&mut of_template, &mut of_run);
    for _ in 0..1 + of_shape.below(6) {
        let inner = builder.scan(&mut of_template, &mut of_run);
        let kind = of_shape.below(3);
        top = builder.join(
            decision.checked_sub(1).map_or(kind, |kind| kind as usize),
            top,
            inner,
        );
    }
    builder.add(OperatorType::Aggregate, 1.0, 0.01 * top.1, &[top.0]);
    Run {
        log_latency: builder.milliseconds.ln()
            + 0.1 * Random(template << 20 ^ constants ^ decision << 50).normal(),
        dag: builder.dag,
    }
}

/// Each operator by its share of the cost: the least an attention can know.
pub(crate) fn by_cost(dag: &QueryDag) -> AttentionScores {
    let costs = dag.self_costs();
    let total: f64 = costs.iter().map(|(_, cost)| cost).sum();
    AttentionScores::new(costs.into_iter().map(|(_, cost)| cost / total).collect())
}

/// The trajectory of a run at this time, its plan weighed by cost.
pub(crate) fn trajectory(
    template: u64,
    constants: u64,
    decision: u64,
    truth: Truth,
    at_us: u64,
) -> Trajectory {
    let run = run(template, constants, decision, truth);
    weighed(&run, &by_cost(&run.dag), (template, constants, decision), at_us)
}

/// The trajectory of a run whose plan is weighed by these scores.
pub(crate) fn weighed(
    run: &Run,
    scores: &AttentionScores,
    (template, constants, decision): (u64, u64, u64),
    at_us: u64,
) -> Trajectory {
    let cost: f64 = run.dag.self_costs().into_iter().map(|(_, cost)| cost).sum();
    let embedding = PlanEmbedding::new(&run.dag, scores).expect("a score for each operator");
    TrajectoryBuilder::new(hash_words([template, constants]), template, embedding)
        .decision(decision)
        .operator_types(type_attention(&run.dag, scores))
        .cost(cost)
        .build(run.log_latency.exp(), at_us)
}

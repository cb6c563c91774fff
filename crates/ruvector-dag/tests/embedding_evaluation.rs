//! What embeddings predict, on synthetic statements whose latency is not what the planner thinks.

use ruvector_dag::attention::AttentionScores;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::embedding::PlanEmbedding;
use ruvector_dag::embedding::evaluation::{Observation, PredictionErrors, leave_one_statement_out};
use ruvector_dag::{OperatorId, OperatorNode, OperatorType, QueryDag};

/// A seeded source of numbers.
struct Random(u64);

impl Random {
    fn below_one(&mut self) -> f64 {
        self.0 += 1;
        (hash_words([self.0]) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.below_one() * bound as f64) as usize
    }

    /// A sum of uniform numbers is normal enough: mean 0, variance 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.below_one()).sum::<f64>() - 6.0
    }
}

/// A plan and what it takes.
struct Run {
    dag: QueryDag,
    log_latency: f64,
}

/// How much longer than the planner thinks a cost unit of this kind takes. Joins of correlated columns return more rows
/// than expected, which nested loops pay for and hash joins don't.
fn truth(kind: OperatorType) -> f64 {
    match kind {
        OperatorType::SeqScan => 0.3,
        OperatorType::IndexScan => 0.1,
        OperatorType::NestedLoop => 12.0,
        OperatorType::Sort => 3.0,
        _ => 1.0,
    }
}

/// A plan under construction: its top operator, and what it took so far.
struct Builder {
    dag: QueryDag,
    milliseconds: f64,
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
        self.milliseconds += 0.01 * truth(kind) * self_cost;
        id
    }
}

/// A run of a statement: the statement has its tables and joins, the run its constants. Sizes are skewed (log-uniform),
/// so that few operators take most of the time.
fn run(statement: u64, constants: u64) -> Run {
    let (mut of_statement, mut of_run) = (Random(statement << 32), Random(statement << 32 | constants << 16));
    let mut builder = Builder {
        dag: QueryDag::new(),
        milliseconds: 0.05,
    };
    let mut scan = |builder: &mut Builder| {
        let size = 10f64.powf(1.0 + 5.0 * of_statement.below_one());
        let selectivity = 10f64.powf(-2.0 * of_run.below_one());
        let kind = if selectivity < 0.05 {
            OperatorType::IndexScan
        } else {
            OperatorType::SeqScan
        };
        let cost = if kind == OperatorType::IndexScan {
            4.0 * size * selectivity
        } else {
            size / 50.0
        };
        (
            builder.add(kind, size * selectivity, cost, &[]),
            size * selectivity,
        )
    };
    let mut of_shape = Random(statement << 32 | 0xffff);
    let (mut top, mut rows) = scan(&mut builder);
    for _ in 0..1 + of_shape.below(6) {
        let (inner, inner_rows) = scan(&mut builder);
        let joined = (rows * inner_rows).sqrt().max(1.0);
        top = match of_shape.below(3) {
            0 => builder.add(
                OperatorType::NestedLoop,
                joined,
                0.05 * (rows + inner_rows),
                &[top, inner],
            ),
            1 => {
                let hash = builder.add(OperatorType::Hash, inner_rows, 0.01 * inner_rows, &[inner]);
                builder.add(
                    OperatorType::HashJoin,
                    joined,
                    0.02 * (rows + inner_rows),
                    &[top, hash],
                )
            }
            _ => {
                let sort = |rows: f64| 0.005 * rows * (rows + 2.0).ln();
                let outer = builder.add(OperatorType::Sort, rows, sort(rows), &[top]);
                let inner = builder.add(OperatorType::Sort, inner_rows, sort(inner_rows), &[inner]);
                builder.add(
                    OperatorType::MergeJoin,
                    joined,
                    0.01 * (rows + inner_rows),
                    &[outer, inner],
                )
            }
        };
        rows = joined;
    }
    builder.add(OperatorType::Aggregate, 1.0, 0.01 * rows, &[top]);
    Run {
        log_latency: builder.milliseconds.ln() + 0.1 * Random(statement << 20 ^ constants).normal(),
        dag: builder.dag,
    }
}

fn runs(statements: u64) -> (Vec<Observation>, Vec<QueryDag>) {
    let all = (0..statements).flat_map(|statement| (0..3).map(move |constants| (statement, constants)));
    all.map(|(statement, constants)| {
        let run = run(statement, constants);
        let cost: f64 = run.dag.self_costs().into_iter().map(|(_, cost)| cost).sum();
        let observation = Observation {
            statement,
            log_latency: run.log_latency,
            log_cost: cost.ln(),
        };
        (observation, run.dag)
    })
    .unzip()
}

/// Each operator by its share of the cost: the least an attention can know.
fn by_cost(dag: &QueryDag) -> PlanEmbedding {
    let costs = dag.self_costs();
    let total: f64 = costs.iter().map(|(_, cost)| cost).sum();
    let scores = costs.into_iter().map(|(_, cost)| cost / total).collect();
    PlanEmbedding::new(dag, &AttentionScores::new(scores)).expect("a score for each operator")
}

fn errors(
    observations: &[Observation],
    dags: &[QueryDag],
    embed: impl Fn(&QueryDag) -> PlanEmbedding,
) -> PredictionErrors {
    let embeddings: Vec<PlanEmbedding> = dags.iter().map(embed).collect();
    leave_one_statement_out(observations, &embeddings, 5)
}

#[test]
fn neighbours_predict_better_than_cost_and_attention_better_than_uniform_pooling() {
    let (observations, dags) = runs(100);
    let attended = errors(&observations, &dags, by_cost);
    let uniform = errors(&observations, &dags, |dag| {
        PlanEmbedding::uniform(dag).expect("scores")
    });
    println!("by cost: {attended:.3?}\nuniform: {uniform:.3?}");
    assert_eq!(attended.predicted, 300);
    assert!(attended.neighbours < attended.cost && attended.neighbours < uniform.neighbours);
    assert!(attended.cost < attended.mean);
}

/// An embedding of one coordinate or another.
fn axis(at: usize) -> PlanEmbedding {
    let mut coordinates = vec![0.0; 256];
    coordinates[at] = 1.0;
    PlanEmbedding::try_from(coordinates).expect("unit norm")
}

fn seen(statement: u64, log_latency: f64, log_cost: f64) -> Observation {
    Observation {
        statement,
        log_latency,
        log_cost,
    }
}

#[test]
fn a_line_is_found_and_neighbours_of_other_statements_only() {
    let observations: Vec<Observation> = (0..6)
        .map(|at| seen(at / 2, 2.0 * at as f64 + 1.0, at as f64))
        .collect();
    // Each is nearest to the others of its statement, which must not help, and as far from all others.
    let embeddings: Vec<PlanEmbedding> = (0..6).map(|at| axis(at / 2)).collect();
    let errors = leave_one_statement_out(&observations, &embeddings, 4);
    assert!(
        errors.cost < 1e-9 && errors.neighbours_over_cost < 1e-9,
        "{errors:?}"
    );
    assert!((errors.neighbours - errors.mean).abs() < 1e-9, "{errors:?}");
    assert_eq!(errors.predicted, 6);
}

#[test]
fn an_equal_plan_of_another_statement_predicts_its_latency() {
    let observations = [
        seen(0, 1.0, 0.0),
        seen(1, 1.0, 9.0),
        seen(2, 5.0, 0.0),
        seen(3, 5.0, 9.0),
    ];
    let embeddings = [axis(0), axis(0), axis(1), axis(1)];
    let errors = leave_one_statement_out(&observations, &embeddings, 1);
    assert!(errors.neighbours < 1e-9 && errors.cost > 1.0, "{errors:?}");
}

#[test]
fn one_statement_alone_predicts_nothing() {
    let observations = [seen(0, 1.0, 0.0), seen(0, 2.0, 1.0)];
    let errors = leave_one_statement_out(&observations, &[axis(0), axis(1)], 3);
    assert_eq!(errors, PredictionErrors::default());
    assert_eq!(leave_one_statement_out(&[], &[], 3), PredictionErrors::default());
}

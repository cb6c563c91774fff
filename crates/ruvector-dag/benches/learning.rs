//! What learning costs a session and the worker: forward passes of 256 dimensions of rank 2 are to take 5 µs, adapting the
//! plan before it is planned 50 µs, recording its execution 10 µs, a constrained gradient of full size 500 µs.

use criterion::Criterion;
use ruvector_dag::OperatorType::HashJoin;
use ruvector_dag::attention::AttentionScores;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::embedding::{DIMENSIONS, PlanEmbedding};
use ruvector_dag::learning::{BaseLora, EwcConfig, EwcPlusPlus, MicroLora, PlanAdapters};
use ruvector_dag::trajectory::{LearningSignal, Trajectory, TrajectoryBuffer, TrajectoryBuilder};
use ruvector_dag::{OperatorNode, OperatorType, QueryDag};
use std::hint::black_box;

fn numbers(seed: u64, count: usize) -> Vec<f32> {
    (0..count as u64)
        .map(|at| (hash_words([seed, at]) >> 40) as f32 / (1u64 << 24) as f32 - 0.5)
        .collect()
}

fn embedding(seed: u64) -> PlanEmbedding {
    let numbers = numbers(seed, DIMENSIONS);
    let norm = numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
    let scaled: Vec<f32> = numbers.iter().map(|x| x / norm).collect();
    PlanEmbedding::try_from(scaled).expect("of unit norm")
}

/// The types of a plan of twenty operators, each of another type.
fn twenty_types() -> Vec<(OperatorType, f32)> {
    OperatorType::ALL
        .iter()
        .skip(8)
        .take(20)
        .map(|&kind| (kind, 0.05))
        .collect()
}

fn trained(rank: usize) -> MicroLora {
    let mut lora = MicroLora::new(rank, 1).expect("a rank");
    let gradient = numbers(2, lora.parameters().len());
    lora.update(&gradient, 0.01);
    lora
}

fn adapters(criterion: &mut Criterion) {
    let one = embedding(3);
    for rank in [1, 2] {
        let lora = trained(rank);
        criterion.bench_function(&format!("micro_lora/forward/{rank}"), |bench| {
            bench.iter(|| black_box(lora.forward(black_box(&one), &[(HashJoin, 1.0)])))
        });
    }
    let (mut lora, types) = (trained(2), twenty_types());
    criterion.bench_function("micro_lora/plan/20", |bench| {
        bench.iter(|| black_box(lora.forward(black_box(&one), &types)))
    });
    let mut base = BaseLora::new(8, 1).expect("a rank");
    let gradient = numbers(4, base.parameters().len());
    base.update(&gradient, 0.01);
    criterion.bench_function("base_lora/forward/8", |bench| {
        bench.iter(|| black_box(base.forward(black_box(&one))))
    });
    let both = PlanAdapters {
        base: base.clone(),
        micro: lora.clone(),
    };
    criterion.bench_function("adapters/plan/20", |bench| {
        bench.iter(|| black_box(both.forward(black_box(&one), &types)))
    });
    let signal = LearningSignal::from_loss(one.clone(), types.clone(), &numbers(5, DIMENSIONS));
    criterion.bench_function("micro_lora/accumulate/20", |bench| {
        bench.iter(|| lora.accumulate(black_box(&signal)))
    });
    criterion.bench_function("micro_lora/flush/2", |bench| {
        bench.iter(|| {
            lora.accumulate(&signal);
            lora.flush(1e-6);
        })
    });
    criterion.bench_function("base_lora/merge/20", |bench| {
        bench.iter(|| black_box(base.clone().merge(&lora, &types)))
    });
}

fn constraint(criterion: &mut Criterion) {
    let both = PlanAdapters {
        base: BaseLora::new(8, 1).expect("a rank"),
        micro: trained(2),
    };
    let parameters = both.parameters();
    let mut ewc = EwcPlusPlus::new(parameters.len(), EwcConfig::default()).expect("the defaults");
    let gradient = numbers(6, parameters.len());
    for _ in 0..3 {
        ewc.observe(&gradient);
        ewc.consolidate(&parameters);
    }
    let mut bent = gradient.clone();
    criterion.bench_function("ewc/constrain/full", |bench| {
        bench.iter(|| {
            bent.copy_from_slice(&gradient);
            ewc.constrain(black_box(&mut bent));
        })
    });
    criterion.bench_function("ewc/constrain_at/full", |bench| {
        bench.iter(|| {
            bent.copy_from_slice(&gradient);
            ewc.constrain_at(black_box(&mut bent), &parameters);
        })
    });
    criterion.bench_function("ewc/observe/full", |bench| {
        bench.iter(|| ewc.observe(black_box(&gradient)))
    });
}

/// An execution of twenty operators, five steps watched.
fn record(embedding: &PlanEmbedding, types: &[(OperatorType, f32)], step: &[f32]) -> Trajectory {
    let mut builder = TrajectoryBuilder::new(1, 2, embedding.clone())
        .operator_types(types.to_vec())
        .cost(1_000.0)
        .baseline(12.0);
    for at in 0..5 {
        builder.add_step(step.to_vec(), vec![0.05; 20], 0.5, at);
    }
    builder.build(10.0, 5)
}

fn trajectory(criterion: &mut Criterion) {
    let (one, types, step) = (embedding(3), twenty_types(), numbers(7, DIMENSIONS));
    let buffer = TrajectoryBuffer::new(10_000);
    criterion.bench_function("trajectory/record", |bench| {
        bench.iter(|| {
            if !buffer.push(record(black_box(&one), &types, &step)) {
                drop(buffer.drain());
            }
        })
    });
    let mut dag = QueryDag::new();
    for id in 0..20 {
        let node = OperatorNode::new(id, HashJoin).with_estimate(1e3, 1.0, 10.0 + f64::from(id));
        dag.add_node(node.with_actual(1e4, 1.0));
    }
    let scores = AttentionScores::new(vec![0.05; 20]);
    criterion.bench_function("trajectory/operators/20", |bench| {
        bench.iter(|| {
            let mut builder = TrajectoryBuilder::new(1, 2, one.clone());
            builder.add_operators(black_box(&dag), &scores, 5);
            black_box(builder.build(10.0, 5))
        })
    });
    let trajectory = record(&one, &types, &step);
    criterion.bench_function("trajectory/signal", |bench| {
        bench.iter(|| black_box(LearningSignal::from_trajectory(black_box(&trajectory))))
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    adapters(&mut criterion);
    constraint(&mut criterion);
    trajectory(&mut criterion);
    criterion.final_summary();
}

//! Trajectories: what a builder makes, what a buffer keeps, what a signal says.

mod drawn;

use drawn::{dot, embedding, numbers, types};
use ruvector_dag::attention::{AttentionScores, MechanismId};
use ruvector_dag::embedding::DIMENSIONS;
use ruvector_dag::trajectory::{
    LearningSignal, Trajectory, TrajectoryBuffer, TrajectoryBuilder, type_attention,
};
use ruvector_dag::{OperatorNode, OperatorType, QueryDag};
use std::sync::atomic::{AtomicBool, Ordering};

fn trajectory(statement: u64) -> Trajectory {
    TrajectoryBuilder::new(statement, 7, embedding(1)).build(10.0, statement)
}

#[test]
fn a_builder_keeps_what_it_is_told_and_rates_the_execution() {
    let mut builder = TrajectoryBuilder::new(1, 2, embedding(1))
        .decision(3)
        .mechanism(MechanismId::CausalCone)
        .operator_types(types())
        .cost(1_000.0)
        .baseline(20.0);
    builder.add_step(vec![1.0, 2.0], vec![0.25, 0.75], 0.5, 4);
    builder.add_step(vec![3.0], vec![], 1.0, 5);
    let built = builder.build(10.0, 6);
    assert_eq!(
        (built.statement, built.template, built.decision, built.at_us),
        (1, 2, 3, 6)
    );
    assert_eq!(built.mechanism, Some(MechanismId::CausalCone));
    assert_eq!(built.log_cost, 1_000f64.ln());
    assert_eq!(built.log_latency, 10f64.ln());
    assert_eq!(built.steps.len(), 2);
    assert_eq!((built.steps[1].reward, built.steps[1].at_us), (1.0, 5));
    // Twice as fast as the baseline.
    assert!((built.quality - 2.0 / 3.0).abs() < 1e-6);
    let json = serde_json::to_string(&built).expect("JSON");
    assert!(json.contains("\"causal_cone\""));
    assert_eq!(
        serde_json::from_str::<Trajectory>(&json).expect("the same"),
        built
    );
    let bytes = postcard::to_allocvec(&built).expect("bytes");
    assert_eq!(
        postcard::from_bytes::<Trajectory>(&bytes).expect("the same"),
        built
    );
}

#[test]
fn a_cancelled_execution_is_marked_and_rated_lower() {
    let rated = |builder: TrajectoryBuilder| builder.baseline(10.0).build(10.0, 0);
    let builder = TrajectoryBuilder::new(1, 2, embedding(1));
    let (ended, cancelled) = (rated(builder.clone()), rated(builder.cut_off()));
    assert!(cancelled.is_cut_off && !ended.is_cut_off);
    assert!(cancelled.quality < ended.quality);
}

#[test]
fn a_full_buffer_drops_what_is_new_and_counts_it() {
    let buffer = TrajectoryBuffer::new(3);
    let kept: Vec<bool> = (0..5)
        .map(|statement| buffer.push(trajectory(statement)))
        .collect();
    assert_eq!(kept, [true, true, true, false, false]);
    assert_eq!((buffer.len(), buffer.recorded(), buffer.dropped()), (3, 3, 2));
    let drained: Vec<u64> = buffer
        .drain()
        .iter()
        .map(|trajectory| trajectory.statement)
        .collect();
    assert_eq!(drained, [0, 1, 2]);
    assert!(buffer.is_empty() && buffer.push(trajectory(6)));
    assert_eq!(TrajectoryBuffer::new(0).capacity(), 1);
}

#[test]
fn every_trajectory_of_many_writers_is_drained_once_or_counted_as_dropped() {
    const WRITERS: u64 = 4;
    const EACH: u64 = 500;
    let buffer = TrajectoryBuffer::new(64);
    let is_done = AtomicBool::new(false);
    let mut drained = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut drained = Vec::new();
            while !is_done.load(Ordering::Acquire) {
                drained.extend(buffer.drain());
            }
            drained
        });
        let write = |writer: u64| {
            let buffer = &buffer;
            move || {
                (0..EACH)
                    .filter(|at| buffer.push(trajectory(writer * EACH + at)))
                    .count()
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(write(writer))).collect();
        let kept = writers
            .into_iter()
            .map(|writer| writer.join().expect("a writer that ends"))
            .sum::<usize>();
        assert_eq!(kept as u64, buffer.recorded());
        is_done.store(true, Ordering::Release);
        reader.join().expect("a reader that ends")
    });
    drained.extend(buffer.drain());
    assert_eq!(buffer.recorded() + buffer.dropped(), WRITERS * EACH);
    assert_eq!(drained.len() as u64, buffer.recorded());
    let mut statements: Vec<u64> = drained.iter().map(|trajectory| trajectory.statement).collect();
    statements.sort_unstable();
    statements.dedup();
    assert_eq!(statements.len(), drained.len());
}

fn signal(steps: &[(Vec<f32>, f32)]) -> LearningSignal {
    let mut builder = TrajectoryBuilder::new(1, 2, embedding(1)).operator_types(types());
    for (activations, reward) in steps {
        builder.add_step(activations.clone(), Vec::new(), *reward, 0);
    }
    LearningSignal::from_trajectory(&builder.build(10.0, 0))
}

#[test]
fn the_signal_is_the_advantages_times_the_activations() {
    let small = |seed| {
        numbers(seed, DIMENSIONS)
            .into_iter()
            .map(|x| x / 100.0)
            .collect::<Vec<f32>>()
    };
    let steps = [(small(1), 0.2), (small(2), 0.9), (small(3), 0.4)];
    let given = signal(&steps);
    for (at, found) in given.gradient.iter().enumerate() {
        let terms = steps
            .iter()
            .map(|(activations, reward)| (reward - 0.5) * activations[at]);
        assert!((terms.sum::<f32>() / 3.0 - found).abs() < 1e-6);
    }
    assert_eq!((given.quality, given.operator_types), (0.5, types()));
}

#[test]
fn what_all_steps_share_does_not_change_the_signal() {
    let center = numbers(9, DIMENSIONS);
    let steps: Vec<(Vec<f32>, f32)> = (0..4)
        .map(|seed| (numbers(seed, DIMENSIONS), [0.1, 0.7, 0.3, 0.9][seed as usize]))
        .collect();
    let moved = steps.iter().map(|(activations, reward)| {
        (
            activations.iter().zip(&center).map(|(a, c)| a + c).collect(),
            reward + 5.0,
        )
    });
    let (plain, moved) = (signal(&steps), signal(&moved.collect::<Vec<_>>()));
    assert!(
        plain
            .gradient
            .iter()
            .zip(&moved.gradient)
            .all(|(a, b)| (a - b).abs() < 1e-5)
    );
}

#[test]
fn signals_of_noisy_steps_point_to_greater_rewards_on_average() {
    // The reward grows along one direction; what is seen scatters around the embedding.
    let direction = embedding(77);
    let mut sum = vec![0.0f32; DIMENSIONS];
    for seed in 0..400 {
        let steps: Vec<(Vec<f32>, f32)> = (0..8)
            .map(|step| {
                let seen = numbers(1_000 + 8 * seed + step, DIMENSIONS);
                let reward = dot(&seen, direction.as_slice()) as f32;
                (seen, reward)
            })
            .collect();
        sum.iter_mut()
            .zip(&signal(&steps).gradient)
            .for_each(|(sum, x)| *sum += x);
    }
    let cosine = dot(&sum, direction.as_slice()) / dot(&sum, &sum).sqrt();
    assert!(cosine > 0.9, "{cosine}");
}

#[test]
fn nothing_is_learned_from_one_step_or_equal_rewards_or_what_is_no_number() {
    let is_nothing = |signal: LearningSignal| signal.gradient == vec![0.0; DIMENSIONS];
    assert!(is_nothing(signal(&[])));
    assert!(is_nothing(signal(&[(numbers(1, DIMENSIONS), 0.7)])));
    assert!(is_nothing(signal(&[
        (numbers(1, DIMENSIONS), 0.5),
        (numbers(2, DIMENSIONS), 0.5)
    ])));
    assert!(is_nothing(signal(&[(vec![f32::NAN], 0.7), (vec![1.0], 0.5)])));
    assert!(is_nothing(signal(&[
        (vec![1.0], f32::INFINITY),
        (vec![1.0], 0.5)
    ])));
    let long = signal(&[(vec![1e6; 300], 1.0), (vec![0.0], 0.0)]);
    assert_eq!(long.gradient.len(), DIMENSIONS);
    assert!((dot(&long.gradient, &long.gradient) - 1.0).abs() < 1e-5);
}

#[test]
fn the_attention_of_types_is_that_of_their_operators() {
    let mut dag = QueryDag::new();
    let kinds = [
        OperatorType::Sort,
        OperatorType::SeqScan,
        OperatorType::HashJoin,
        OperatorType::SeqScan,
    ];
    for (id, kind) in (0..).zip(kinds) {
        dag.add_node(OperatorNode::new(id, kind));
    }
    let scores = AttentionScores::new(vec![0.1, 0.2, 0.3, 0.4]);
    let shares = type_attention(&dag, &scores);
    let expected = [
        (OperatorType::SeqScan, 0.6),
        (OperatorType::HashJoin, 0.3),
        (OperatorType::Sort, 0.1),
    ];
    assert_eq!(shares.len(), 3);
    for ((kind, share), (expected_kind, expected)) in shares.into_iter().zip(expected) {
        assert_eq!(kind, expected_kind);
        assert!((share - expected).abs() < 1e-6);
    }
    assert!(type_attention(&dag, &AttentionScores::new(vec![1.0])).is_empty());
}

#[test]
fn operators_that_were_counted_are_steps_rewarded_for_their_estimates() {
    let mut dag = QueryDag::new();
    let node = |id, kind| OperatorNode::new(id, kind).with_estimate(100.0, 0.0, 10.0);
    let right = dag.add_node(node(0, OperatorType::SeqScan).with_actual(100.0, 1.0));
    let wrong = dag.add_node(node(1, OperatorType::NestedLoop).with_actual(10_000.0, 1.0));
    let unknown = dag.add_node(node(2, OperatorType::Limit));
    dag.add_edge(right, wrong).expect("an edge");
    dag.add_edge(wrong, unknown).expect("an edge");
    let scores = AttentionScores::new(vec![0.25, 0.5, 0.25]);
    let mut builder = TrajectoryBuilder::new(1, 2, embedding(1));
    builder.add_operators(&dag, &scores, 9);
    builder.add_operators(&dag, &AttentionScores::new(vec![1.0]), 9);
    let built = builder.build(10.0, 9);
    let rewards: Vec<f32> = built.steps.iter().map(|step| step.reward).collect();
    assert_eq!(rewards, [1.0, 0.01]);
    assert_eq!(built.steps[1].attention, [0.5]);
    // The signal leads to what was estimated well, from what was not.
    let gradient = LearningSignal::from_trajectory(&built).gradient;
    assert!(dot(&gradient, &built.steps[0].activations) > 0.0);
    assert!(dot(&gradient, &built.steps[1].activations) < 0.0);
}

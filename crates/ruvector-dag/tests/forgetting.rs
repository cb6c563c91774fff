//! Five workloads in turn: EWC++ keeps what the first one taught, and notices where one ends and the next begins.

#[path = "../examples/forgetting/experiment.rs"]
mod experiment;

use experiment::{Looped, Outcome, TRAINING, WORKLOADS};
use ruvector_dag::learning::SonaConfig;

/// Both outcomes for a seed: without EWC++, and with it.
fn outcomes(seed: u64) -> [Outcome; 2] {
    [false, true].map(|is_guarded| experiment::run(is_guarded, seed).expect("plans that the engine knows"))
}

#[test]
fn the_first_of_five_workloads_is_kept_with_ewc_and_lost_without() {
    (1..=3).for_each(the_first_is_kept);
}

fn the_first_is_kept(seed: u64) {
    let [without, with] = outcomes(seed);
    let (lost, kept) = (without.retained(), with.retained());
    // The threshold, after each workload and not only after the last.
    assert!(kept.iter().all(|&share| share >= 0.8), "{kept:?}");
    // The same without it: much is lost at once, and visibly less is left in the end.
    let least = lost.iter().copied().fold(1.0, f64::min);
    assert!(least < 0.5, "{lost:?}");
    assert!(lost[4] + 0.2 < kept[4], "{lost:?} {kept:?}");
    // It is not kept by learning nothing else.
    let learned = with.learned();
    assert!(learned[0] > 0.9, "{learned:?}");
    assert!(learned.iter().sum::<f64>() / 5.0 > 0.7, "{learned:?}");
    for (workload, share) in WORKLOADS.iter().zip(without.learned()) {
        assert!(share > 0.8, "{}: {share}", workload.name);
    }
    // Nobody said where a workload ends.
    assert!(
        with.noticed_after
            .iter()
            .all(|noticed| noticed.is_some_and(|after| after < 20))
    );
    assert_eq!(with.false_alarms, 0);
}

/// What the engine's loop leaves, with this λ to begin with, when the memory holds a third of a workload.
fn looped(seed: u64, lambda: f32, first: usize) -> Looped {
    let config = SonaConfig {
        seed,
        memory_capacity: TRAINING,
        clusters: 10,
        ewc_lambda: lambda,
        max_ewc_lambda: 7.5 * lambda,
        ..SonaConfig::default()
    };
    experiment::loop_through(config, first).expect("plans that the engine knows")
}

/// The gain is what was learned of the first workload: the error of an engine that saw only the other four, less that of
/// one that has just learned the first.
#[test]
fn through_the_engine_the_first_workload_is_kept_though_none_of_its_executions_are() {
    for seed in 1..=3 {
        let never = looped(seed, 2_000.0, 1).of_first[3];
        let retained = |outcome: &Looped| (never - outcome.of_first[4]) / (never - outcome.of_first[0]);
        let [with, without] = [2_000.0, 0.0].map(|lambda| looped(seed, lambda, 0));
        println!(
            "seed {seed}: never seen {never:.3}; with {:.3?} keeps {:.2}; without {:.3?} keeps {:.2}",
            with.of_first,
            retained(&with),
            without.of_first,
            retained(&without)
        );
        assert!(retained(&with) >= 0.8, "seed {seed}: {:?}", with.of_first);
        // Without, at least a quarter less of the gain is left, and five times the error.
        assert!(
            retained(&without) + 0.25 < retained(&with),
            "seed {seed}: {:?}",
            without.of_first
        );
        assert!(
            without.of_first[4] > 5.0 * with.of_first[4],
            "seed {seed}: {:?}",
            without.of_first
        );
        // Boundaries are noticed, all of them and no others.
        assert_eq!((with.tasks, without.tasks), (4, 4), "seed {seed}");
        // It is not kept by learning nothing else.
        let worst = with.when_learned.iter().copied().fold(0.0, f64::max);
        assert!(worst < 0.1, "seed {seed}: {:?}", with.when_learned);
    }
}

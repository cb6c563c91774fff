//! Five workloads in turn: EWC++ keeps what the first one taught, and notices where one ends and the next begins.

#[path = "../examples/forgetting/experiment.rs"]
mod experiment;

use experiment::{Outcome, WORKLOADS};

/// Both outcomes for a seed: without EWC++, and with it.
fn outcomes(seed: u64) -> [Outcome; 2] {
    [false, true].map(|is_guarded| experiment::run(is_guarded, seed).expect("plans that the engine knows"))
}

#[test]
fn the_first_of_five_workloads_is_kept_with_ewc_and_lost_without() {
    let [without, with] = outcomes(1);
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

//! The promise: what was measured slower is not kept, and stock is always a way back.

use proptest::prelude::*;
use ruvector_dag::decision::{MAX_PLANS, PlanEvidence, Reason, State, StatementEvidence};

const STOCK: u64 = 1;

fn evidence(runs: &[(u64, u64, Result<f64, f64>)]) -> StatementEvidence {
    let mut evidence = StatementEvidence::default();
    for &(shape, cutoff, outcome) in runs {
        evidence.record(shape, cutoff, 100.0, outcome, true);
    }
    evidence
}

#[test]
fn stock_is_measured_before_anything_is_tried() {
    let new = StatementEvidence::default();
    assert_eq!(
        (new.choose(10).cutoff, new.choose(10).state),
        (0, State::Observing)
    );
    let once = evidence(&[(STOCK, 0, Ok(100.0))]);
    assert_eq!(once.choose(10).cutoff, 0);
    let twice = evidence(&[(STOCK, 0, Ok(100.0)), (STOCK, 0, Ok(90.0))]);
    assert_eq!(
        (twice.choose(10).cutoff, twice.choose(10).state),
        (10, State::Exploring)
    );
}

#[test]
fn a_faster_plan_is_kept_and_had_again_by_its_cutoff() {
    let mut runs = vec![(STOCK, 0, Ok(100.0)), (STOCK, 0, Ok(100.0)), (2, 10, Ok(20.0))];
    let mut faster = evidence(&runs);
    faster.settle(99);
    assert_eq!(
        (faster.choose(99).cutoff, faster.choose(99).state),
        (10, State::Applied)
    );
    // A later plan that is slower does not replace it.
    runs.push((3, 20, Ok(300.0)));
    let mut kept = evidence(&runs);
    kept.settle(99);
    assert_eq!(kept.choose(99).cutoff, 10);
    assert!(!kept.worth_running(3));
    assert!(kept.worth_running(2));
    assert!(kept.worth_running(4));
}

#[test]
fn a_plan_that_became_slow_is_left() {
    let mut evidence = evidence(&[(STOCK, 0, Ok(100.0)), (STOCK, 0, Ok(100.0)), (2, 10, Ok(20.0))]);
    evidence.settle(99);
    for _ in 0..6 {
        evidence.record(2, 10, 100.0, Ok(400.0), false);
    }
    assert_eq!(
        (evidence.choose(10).cutoff, evidence.choose(10).state),
        (0, State::Reverted)
    );
}

#[test]
fn a_plan_that_was_cut_off_is_slower_than_its_limit() {
    let mut evidence = evidence(&[(STOCK, 0, Ok(100.0)), (STOCK, 0, Ok(100.0)), (2, 10, Err(8000.0))]);
    evidence.settle(99);
    assert_eq!(evidence.choose(10).cutoff, 0);
    assert!(!evidence.worth_running(2));
    let plan = evidence.plan(2).expect("recorded");
    assert!(plan.expected_ms() > Some(8000.0));
}

#[test]
fn stock_that_is_cut_off_is_beaten_by_what_ends() {
    let mut evidence = evidence(&[
        (STOCK, 0, Err(8000.0)),
        (STOCK, 0, Err(8000.0)),
        (2, 10, Ok(50.0)),
    ]);
    evidence.settle(99);
    assert_eq!(
        (evidence.choose(10).cutoff, evidence.choose(10).state),
        (10, State::Applied)
    );
}

#[test]
fn a_doubtful_plan_is_tried_twice() {
    let mut evidence = evidence(&[(STOCK, 0, Ok(100.0)), (STOCK, 0, Ok(100.0)), (2, 10, Ok(110.0))]);
    evidence.settle(99);
    assert_eq!(
        (evidence.choose(10).cutoff, evidence.choose(10).state),
        (10, State::Exploring)
    );
    evidence.record(2, 10, 100.0, Ok(40.0), false);
    assert_eq!(
        (evidence.choose(10).cutoff, evidence.choose(10).state),
        (10, State::Applied)
    );
}

#[test]
fn a_small_gain_is_compared_with_stock_again() {
    // Stock was measured while the machine was slow.
    let mut evidence = evidence(&[(STOCK, 0, Ok(150.0)), (STOCK, 0, Ok(150.0)), (2, 10, Ok(110.0))]);
    evidence.settle(99);
    evidence.record(2, 10, 100.0, Ok(110.0), false);
    let mut choice = evidence.choose(10);
    assert_eq!((choice.cutoff, choice.reason), (0, Reason::StockMeasuredAgain));
    evidence.record(STOCK, 0, 100.0, Ok(100.0), false);
    let mut applied = 0;
    for _ in 0..20 {
        choice = evidence.choose(10);
        let (shape, took_ms) = if choice.cutoff == 0 {
            (STOCK, 100.0)
        } else {
            (2, 110.0)
        };
        applied += u32::from(choice.cutoff > 0);
        evidence.record(shape, choice.cutoff, 100.0, Ok(took_ms), false);
    }
    assert_eq!((choice.cutoff, choice.state), (0, State::Reverted));
    assert!(applied < 10, "{applied}");
}

#[test]
fn controls_become_rare() {
    let mut evidence = evidence(&[(STOCK, 0, Ok(100.0)), (STOCK, 0, Ok(100.0)), (2, 10, Ok(70.0))]);
    evidence.settle(99);
    let mut controls = 0;
    for _ in 0..1000 {
        let choice = evidence.choose(10);
        controls += u32::from(choice.cutoff == 0);
        let (shape, took_ms) = if choice.cutoff == 0 {
            (STOCK, 100.0)
        } else {
            (2, 70.0)
        };
        evidence.record(shape, choice.cutoff, 100.0, Ok(took_ms), false);
    }
    assert!((5..=9).contains(&controls), "{controls}");
}

#[test]
fn evidence_survives_being_stored() {
    let before = evidence(&[(STOCK, 0, Ok(100.0)), (2, 10, Ok(20.0)), (2, 10, Err(50.0))]);
    let stored: Vec<(PlanEvidence, Vec<f32>)> = before
        .plans()
        .map(|plan| (*plan, plan.samples_ms().to_vec()))
        .collect();
    let restored = stored
        .into_iter()
        .map(|(plan, samples)| plan.with_samples_ms(&samples));
    let after = StatementEvidence::from_plans(restored);
    assert_eq!(
        after.plans().collect::<Vec<_>>(),
        before.plans().collect::<Vec<_>>()
    );
}

fn run() -> impl Strategy<Value = (u64, u64, Result<f64, f64>)> {
    let outcome = prop_oneof![(1.0f64..1e4).prop_map(Ok), (1.0f64..1e4).prop_map(Err)];
    // A plan is found again by the cutoff it was first found with, so each shape has its own.
    (2u64..12, outcome).prop_map(|(shape, outcome)| (shape, 10 * shape, outcome))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_settled_choice_is_never_slower_than_stock(stock in 1.0f64..1e4, runs in proptest::collection::vec(run(), 0..40)) {
        let mut evidence = evidence(&[(STOCK, 0, Ok(stock)), (STOCK, 0, Ok(stock))]);
        for (shape, cutoff, outcome) in runs {
            evidence.record(shape, cutoff, 1.0, outcome, false);
        }
        let choice = evidence.settled();
        let chosen = evidence.plans().find(|plan| plan.cutoff == choice.cutoff && plan.expected_ms().is_some());
        prop_assert!(choice.cutoff == 0 || chosen.and_then(PlanEvidence::expected_ms) < Some(stock));
        prop_assert!(evidence.plans().count() <= MAX_PLANS);
        prop_assert!(evidence.stock().is_some(), "stock is never forgotten");
    }

    #[test]
    fn the_most_attended_corrections_are_tried_alone_once_when_all_together_were_slower(slower in 100.0f64..299.0) {
        let mut evidence = evidence(&[(STOCK, 0, Ok(100.0)), (STOCK, 0, Ok(100.0)), (2, 20, Ok(slower)), (2, 20, Ok(slower))]);
        evidence.settle(20);
        prop_assert_eq!(evidence.choose(20).cutoff, 0);
        evidence.partial = 15;
        let choice = evidence.choose(20);
        prop_assert_eq!((choice.cutoff, choice.reason), (15, Reason::MostAttendedAlone));
        evidence.record(3, 15, 1.0, Ok(10.0), false);
        prop_assert_eq!((evidence.choose(20).cutoff, evidence.choose(20).reason), (15, Reason::FasterThanStock));
        // A plan known to be slower is not run for it, and it is not planned again.
        let mut known = evidence;
        known.partial = 17;
        known.settle(17);
        prop_assert_eq!(known.partial, 0);
    }

    #[test]
    fn trials_are_bounded(latencies in proptest::collection::vec(1.0f64..1e4, 100)) {
        let mut evidence = evidence(&[(STOCK, 0, Ok(100.0)), (STOCK, 0, Ok(100.0))]);
        let mut explored = 0;
        for (at, latency) in latencies.into_iter().enumerate() {
            let choice = evidence.choose(1000 + at as u64);
            // A plan made with other knowledge has another shape; one that is tried again has the one it had.
            let is_new = choice.reason == Reason::NewKnowledge;
            let shape = match choice.cutoff {
                0 => STOCK,
                cutoff if is_new => cutoff,
                cutoff => evidence.plans().find(|plan| plan.cutoff == cutoff).map_or(STOCK, |plan| plan.shape),
            };
            explored += u32::from(is_new);
            evidence.record(shape, choice.cutoff, 1.0, Ok(latency), true);
        }
        prop_assert!(explored <= 6, "{explored} plans tried");
    }
}

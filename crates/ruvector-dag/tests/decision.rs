//! The promise: what was measured slower is not kept, what was not measured has a way back, and stock is always one.

use proptest::prelude::*;
use ruvector_dag::decision::sequential::{Comparison, compare};
use ruvector_dag::decision::{
    ArmStatistics, Breaker, BreakerState, Decision, HintSet, MAX_PLANS, PlanEvidence, Possibilities,
    Prospects, Reason, Run, State, StatementEvidence, TableState, TrialBudget, arms,
};

const STOCK: u64 = 1;

fn rows(cutoff: u64) -> Decision {
    Decision {
        cutoff,
        hints: HintSet::NONE,
    }
}

fn hinted(hints: HintSet) -> Decision {
    Decision { cutoff: 0, hints }
}

fn run(shape: u64, cutoff: u64, outcome: Result<f64, f64>) -> Run {
    Run {
        shape,
        decision: rows(cutoff),
        total_cost: 100.0,
        outcome,
        taught: true,
        is_trial: false,
        is_dream: false,
        uses_jit: false,
        is_parallel: false,
        methods: 0,
        spilled_mb: 0,
        tables: TableState::default(),
    }
}

fn trial(shape: u64, cutoff: u64, outcome: Result<f64, f64>) -> Run {
    Run {
        is_trial: true,
        taught: false,
        ..run(shape, cutoff, outcome)
    }
}

fn evidence(runs: &[Run]) -> StatementEvidence {
    let mut evidence = StatementEvidence::default();
    runs.iter().for_each(|run| evidence.record(run));
    evidence
}

/// Stock measured twice at 100 ms, and these.
fn measured(runs: &[Run]) -> StatementEvidence {
    let stock = [run(STOCK, 0, Ok(100.0)), run(STOCK, 0, Ok(100.0))];
    evidence(&[&stock, runs].concat())
}

fn next(evidence: &StatementEvidence, newest: u64) -> Option<(Decision, Reason)> {
    evidence
        .next_trial(newest, &ArmStatistics::default(), &Possibilities::default())
        .map(|trial| (trial.decision, trial.reason))
}

#[test]
fn stock_is_measured_before_anything_is_tried() {
    let new = StatementEvidence::default();
    assert_eq!(
        (new.choose().decision, new.choose().state),
        (Decision::STOCK, State::Observing)
    );
    let once = evidence(&[run(STOCK, 0, Ok(100.0))]);
    assert_eq!(next(&once, 10), None);
    assert_eq!(next(&measured(&[]), 10), Some((rows(10), Reason::NewKnowledge)));
}

#[test]
fn a_trial_has_less_time_than_the_best_plan_takes() {
    let evidence = measured(&[trial(2, 10, Ok(40.0))]);
    let next = evidence.next_trial(20, &ArmStatistics::default(), &Possibilities::default());
    assert!(next.is_some_and(|trial| trial.limit_ms < 40.0));
}

#[test]
fn a_faster_plan_is_kept_and_had_again_by_its_decision() {
    let mut kept = measured(&[trial(2, 10, Ok(20.0)), run(2, 10, Ok(20.0))]);
    assert_eq!(
        (kept.choose().decision, kept.choose().state),
        (rows(10), State::Applied)
    );
    // A later plan that is slower does not replace it.
    kept.record(&trial(3, 20, Ok(300.0)));
    assert_eq!(kept.choose().decision, rows(10));
    assert!(!kept.is_worth_trying(3, 19.0));
    assert!(!kept.is_worth_trying(2, 19.0), "it is measured");
    assert!(kept.is_worth_trying(4, 19.0));
}

#[test]
fn hint_sets_come_after_learned_rows_and_each_only_once() {
    let mut evidence = measured(&[]);
    evidence.settle(rows(10));
    let mut tried = Vec::new();
    while let Some((decision, reason)) = next(&evidence, 10) {
        assert_eq!(reason, Reason::UntriedHints);
        assert!(!tried.contains(&decision), "{decision:?} twice");
        tried.push(decision);
        evidence.note_planned(decision);
    }
    // The sets of methods and cautious rows; JIT, parallel workers and memory change nothing here.
    assert_eq!(tried.len(), 49);
}

#[test]
fn a_plan_that_was_cut_off_is_tried_again_only_with_clearly_more_time() {
    let evidence = measured(&[trial(2, 10, Err(40.0))]);
    assert!(evidence.choose().decision.is_stock());
    assert!(!evidence.is_worth_trying(2, 50.0));
    assert!(evidence.is_worth_trying(2, 95.0));
}

#[test]
fn plans_are_tried_again_while_the_one_in_use_stays() {
    let mut evidence = measured(&[
        trial(2, 10, Ok(40.0)),
        trial(3, 20, Err(30.0)),
        trial(4, 30, Ok(90.0)),
    ]);
    evidence.dismiss(5);
    let in_use = evidence.settled();
    assert_eq!(in_use.decision, rows(10));
    assert!(
        [3, 4, 5]
            .iter()
            .all(|&shape| !evidence.is_worth_trying(shape, 40.0))
    );
    evidence.try_again();
    assert_eq!(evidence.settled(), in_use);
    assert_eq!(evidence.stock().map(|plan| plan.runs), Some(2));
    assert!(
        [3, 4, 5]
            .iter()
            .all(|&shape| evidence.is_worth_trying(shape, 40.0))
    );
    assert!(!evidence.is_worth_trying(2, 40.0));
}

#[test]
fn stock_that_is_cut_off_is_beaten_by_what_ends() {
    let evidence = evidence(&[
        run(STOCK, 0, Err(8000.0)),
        run(STOCK, 0, Err(8000.0)),
        trial(2, 10, Ok(50.0)),
    ]);
    assert_eq!(
        (evidence.choose().decision, evidence.choose().state),
        (rows(10), State::Applied)
    );
}

#[test]
fn a_plan_that_became_slow_for_good_makes_everything_be_measured_again() {
    let mut evidence = measured(&[trial(2, 10, Ok(20.0)), run(2, 10, Ok(20.0)), run(2, 10, Ok(20.0))]);
    assert_eq!(evidence.choose().state, State::Applied);
    evidence.record(&run(2, 10, Ok(400.0)));
    assert_eq!(evidence.choose().decision, rows(10), "once may be chance");
    evidence.record(&run(2, 10, Ok(400.0)));
    assert_eq!(
        (evidence.choose().decision, evidence.choose().state),
        (Decision::STOCK, State::Observing)
    );
    assert_eq!(evidence.trials, 0, "there is something to try again");
}

#[test]
fn where_nothing_ever_ended_what_was_learned_is_used() {
    let cut_off = run(STOCK, 0, Err(100.0));
    assert_eq!(evidence(&[cut_off]).last_resort(9), None);
    let known = evidence(&[cut_off, cut_off]);
    assert_eq!(known.last_resort(9), Some(rows(9)));
    assert_eq!(known.last_resort(0), None, "nothing was learned");
    assert_eq!(
        measured(&[cut_off, cut_off]).last_resort(9),
        None,
        "stock ended once"
    );
}

#[test]
fn plans_that_are_as_fast_give_way_together_when_the_data_changed() {
    let mut known = measured(&[trial(2, 7, Ok(1.0)), trial(3, 8, Ok(1.1)), run(2, 7, Ok(1.2))]);
    assert!(!known.choose().decision.is_stock());
    known.record(&run(2, 7, Ok(500.0)));
    assert!(!known.choose().decision.is_stock(), "once is chance");
    known.record(&run(3, 8, Ok(500.0)));
    assert!(known.choose().decision.is_stock());
    let mut known = measured(&[trial(2, 7, Ok(1.0)), run(2, 7, Ok(1.0))]);
    for latency_ms in [500.0, 1.0, 500.0] {
        known.record(&run(2, 7, Ok(latency_ms)));
        assert!(!known.choose().decision.is_stock(), "not in a row");
    }
}

#[test]
fn a_plan_that_is_hardly_faster_is_given_up_unless_that_is_proved() {
    let mut evidence = measured(&[trial(2, 10, Ok(93.0))]);
    let mut times = [96.0, 104.0, 92.0, 101.0].into_iter().cycle();
    for _ in 0..60 {
        let choice = evidence.choose();
        let took_ms = times.next().unwrap_or(100.0);
        let shape = if choice.decision.is_stock() { STOCK } else { 2 };
        evidence.record(&Run {
            taught: false,
            ..run(shape, choice.decision.cutoff, Ok(took_ms))
        });
    }
    assert_eq!(evidence.choose().state, State::Reverted);
}

#[test]
fn a_small_gain_is_compared_with_stock_again() {
    // Stock was measured while the machine was slow.
    let mut evidence = evidence(&[
        run(STOCK, 0, Ok(130.0)),
        run(STOCK, 0, Ok(130.0)),
        trial(2, 10, Ok(110.0)),
    ]);
    let mut applied = 0;
    for _ in 0..30 {
        let choice = evidence.choose();
        let (shape, took_ms) = match choice.decision.is_stock() {
            true => (STOCK, 100.0),
            false => (2, 110.0),
        };
        applied += u32::from(shape == 2);
        evidence.record(&run(shape, choice.decision.cutoff, Ok(took_ms)));
    }
    assert_eq!(evidence.choose().state, State::Reverted);
    assert!(applied < 12, "{applied}");
}

#[test]
fn controls_become_rare() {
    let mut evidence = measured(&[trial(2, 10, Ok(70.0))]);
    let mut controls = 0;
    for _ in 0..1000 {
        let choice = evidence.choose();
        controls += u32::from(choice.decision.is_stock());
        let (shape, took_ms) = if choice.decision.is_stock() {
            (STOCK, 100.0)
        } else {
            (2, 70.0)
        };
        evidence.record(&run(shape, choice.decision.cutoff, Ok(took_ms)));
    }
    assert!((5..=9).contains(&controls), "{controls}");
}

/// The statement in another form, as it is planned at first sight.
fn rewritten(outcome: Result<f64, f64>) -> Run {
    Run {
        decision: hinted(HintSet::NONE.with_form(1)),
        ..run(7, 0, outcome)
    }
}

#[test]
fn of_a_form_that_gives_another_plan_each_time_the_last_one_counts() {
    let form = |shape, ms| Run {
        shape,
        ..rewritten(Ok(ms))
    };
    let unopposed = evidence(&[form(10, 50.0), form(11, 150.0)]);
    assert_eq!(unopposed.choose().reason, Reason::PredictedGain);
    let (known, possible) = (ArmStatistics::default(), Possibilities::default());
    let trial = unopposed.next_trial(1, &known, &possible);
    // What users wait for now is what stock is compared with.
    assert!(trial.is_some_and(|trial| trial.decision.is_stock() && trial.limit_ms > 150.0));
    let faster = measured(&[form(10, 50.0)]);
    assert_eq!(faster.settled().decision.hints.form(), Some(1));
    let slower = measured(&[form(10, 50.0), form(11, 150.0)]);
    assert!(slower.settled().decision.is_stock());
    assert_eq!(slower.best_ms(), Some(100.0));
}

#[test]
fn where_nobody_waits_what_gains_more_is_drawn_more_often_and_what_does_not_pay_never() {
    let [good, fair, bad] = [0, 1, 2].map(|place| arms()[place]);
    let mut known = ArmStatistics::default();
    for _ in 0..60 {
        known.record(0, good, 0.3, false);
        known.record(0, fair, 0.6, false);
        arms()
            .into_iter()
            .skip(2)
            .for_each(|arm| known.record(0, arm, 1.0, true));
    }
    let gains = known.gains_per_time(0.95);
    let (evidence, possible) = (measured(&[]), Possibilities::default());
    let drawn: Vec<(HintSet, f64)> = (0..1000)
        .filter_map(|seed| {
            let prospects = Prospects {
                of_all: &gains,
                own: None,
                seed,
            };
            let (trial, promise) = evidence.next_dream(0, &prospects, &possible)?;
            Some((trial.decision.hints, promise))
        })
        .collect();
    let times = |hints| drawn.iter().filter(|(drawn, _)| *drawn == hints).count();
    assert!(times(fair) > 3, "{}", times(fair));
    assert!(times(good) > 2 * times(fair), "{}", times(fair));
    assert_eq!((times(bad), times(good) + times(fair)), (0, 1000));
    // What is promised is what the best of them promises.
    assert!(drawn.iter().all(|(_, promise)| *promise == drawn[0].1));
}

#[test]
fn a_statement_rewritten_at_first_sight_is_compared_with_a_stock_plan_that_has_little_time() {
    let mut evidence = evidence(&[rewritten(Ok(100.0)), rewritten(Ok(100.0))]);
    assert_eq!(
        (evidence.choose().decision.hints.form(), evidence.choose().reason),
        (Some(1), Reason::PredictedGain)
    );
    let trial = evidence.next_trial(0, &ArmStatistics::default(), &Possibilities::default());
    let trial = trial.expect("stock is compared");
    assert!(trial.decision.is_stock() && (100.0..120.0).contains(&trial.limit_ms));
    // Stock takes longer than it was given: it is beaten, and what beats it may still be improved.
    let mut beaten = evidence;
    beaten.record(&Run {
        is_trial: true,
        ..run(STOCK, 0, Err(trial.limit_ms))
    });
    assert_eq!(
        (beaten.choose().decision.hints.form(), beaten.choose().state),
        (Some(1), State::Applied)
    );
    let next = beaten.next_trial(0, &ArmStatistics::default(), &Possibilities::default());
    assert!(
        next.is_some_and(|next| next.decision.hints.form() == Some(1)),
        "trials keep the form"
    );
    // Stock is faster: it is used from then on.
    for _ in 0..4 {
        evidence.record(&run(STOCK, 0, Ok(50.0)));
    }
    assert!(evidence.choose().decision.is_stock());
}

#[test]
fn what_the_owner_pins_stays() {
    let mut evidence = measured(&[trial(2, 10, Ok(20.0)), run(2, 10, Ok(20.0))]);
    evidence.pin();
    evidence.record(&trial(3, 20, Ok(5.0)));
    assert_eq!(
        (evidence.choose().decision, evidence.choose().state),
        (rows(10), State::Pinned)
    );
    assert_eq!(next(&evidence, 30), None);
    let mut stock = measured(&[]);
    stock.pin();
    stock.record(&trial(3, 20, Ok(5.0)));
    assert!(stock.choose().decision.is_stock());
}

#[test]
fn evidence_survives_being_stored() {
    let mut before = measured(&[trial(2, 10, Ok(20.0)), trial(3, 11, Err(50.0))]);
    before.pin();
    before.note_planned(Decision {
        cutoff: 0,
        hints: HintSet::NONE.without_jit(),
    });
    let stored: Vec<(PlanEvidence, Vec<f32>)> = before
        .plans()
        .map(|plan| (*plan, plan.samples_ms().to_vec()))
        .collect();
    let restored = stored
        .into_iter()
        .map(|(plan, samples)| plan.with_samples_ms(&samples));
    let mut after = StatementEvidence::from_plans(restored);
    after.restore_settlement(&before.settlement());
    assert_eq!(
        after.plans().collect::<Vec<_>>(),
        before.plans().collect::<Vec<_>>()
    );
    assert_eq!(
        (after.choose(), after.tried_arms),
        (before.choose(), before.tried_arms)
    );
}

#[test]
fn an_arm_that_gained_is_preferred_and_one_that_failed_is_not() {
    let (good, bad) = (HintSet::from_bits(1), HintSet::from_bits(2));
    let mut known = ArmStatistics::default();
    let before = known.gain_per_time(hinted(good), 0.95);
    for _ in 0..5 {
        known.record(0, good, 0.3, false);
        known.record(0, bad, 0.95, true);
    }
    assert!(known.gain_per_time(hinted(good), 0.95) > 3.0 * before);
    assert!(known.gain_per_time(hinted(bad), 0.95) < before);
    assert_eq!(ArmStatistics::from_counts(known.counts()), known);
}

#[test]
fn the_breaker_opens_when_decisions_are_slower_than_stock_and_closes_again() {
    let mut breaker = Breaker::default();
    let opened = (0..100u32).position(|at| breaker.record(u64::from(at) * 1000, 300.0, 200.0));
    assert!(opened.is_some_and(|at| at >= 19), "{opened:?}");
    assert_eq!(breaker.state(60_000), BreakerState::Open);
    assert_eq!(breaker.state(60_000 + 3_600_000), BreakerState::Closed);
    let mut open_for = Vec::new();
    let mut again = Breaker::default();
    for second in 0..1000u64 {
        let is_applied = again.state(second * 1000) == BreakerState::Closed;
        if is_applied && again.record(second * 1000, 300.0, 200.0) {
            open_for.push(again.open_minutes());
        }
    }
    assert_eq!(
        open_for,
        [1, 2, 4, 8, 16],
        "what stays slow is suspended for longer each time"
    );
    let much_later = (0..100).any(|at| again.record(20_000_000 + at * 1000, 300.0, 200.0));
    assert!(much_later && again.open_minutes() == 1);
    let mut calm = Breaker::default();
    assert!((0..10_000u64).all(|at| !calm.record(at * 1000, 100.0, 101.0)));
}

#[test]
fn the_budget_holds() {
    let budget = TrialBudget {
        share: 0.05,
        spent_ms: 1e6,
        lost_ms: 50_000.0,
    };
    assert!(
        budget.allows(1000.0) && !budget.allows(1000.1),
        "the share and a second"
    );
    assert!(!TrialBudget { share: 0.0, ..budget }.allows(1.0));
}

/// Log-normal latencies around `centre`.
fn latencies(centre: f64, sigma: f64, seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        let mut sum = 0.0;
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            sum += (state >> 11) as f64 / (1u64 << 53) as f64;
        }
        (centre * (sigma * (sum - 6.0)).exp()) as f32
    })
}

#[test]
fn the_test_is_right_however_often_one_looks() {
    let (mut wrong, series) = (0, 400);
    for seed in 0..series {
        let all_a: Vec<f32> = latencies(100.0, 0.15, 2 * seed + 1).take(60).collect();
        let all_b: Vec<f32> = latencies(100.0, 0.15, 2 * seed + 2).take(60).collect();
        let is_wrong = (1..=60).any(|count| compare(&all_a[..count], &all_b[..count]) != Comparison::Unclear);
        wrong += u32::from(is_wrong);
    }
    assert!(f64::from(wrong) < 0.08 * series as f64, "{wrong} of {series}");
    let faster: Vec<f32> = latencies(70.0, 0.15, 9).take(8).collect();
    let slower: Vec<f32> = latencies(100.0, 0.15, 10).take(8).collect();
    assert_eq!(compare(&faster, &slower), Comparison::Faster);
    assert_eq!(compare(&slower, &faster), Comparison::Slower);
}

fn any_run() -> impl Strategy<Value = (u64, Result<f64, f64>)> {
    let outcome = prop_oneof![(1.0f64..1e4).prop_map(Ok), (1.0f64..1e4).prop_map(Err)];
    (2u64..20, outcome)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_settled_choice_is_never_slower_than_stock(stock in 1.0f64..1e4, runs in proptest::collection::vec(any_run(), 0..40)) {
        let mut evidence = evidence(&[run(STOCK, 0, Ok(stock)), run(STOCK, 0, Ok(stock))]);
        for (shape, outcome) in runs {
            // A plan is found again by the decision it was first found with, so each shape has its own.
            evidence.record(&trial(shape, 10 * shape, outcome));
        }
        let chosen = evidence.settled().decision;
        let plan = evidence.plans().find(|plan| plan.decision == chosen && plan.runs > 0);
        let stock_ms = evidence.stock().and_then(PlanEvidence::typical_ms);
        prop_assert!(chosen.is_stock() || plan.and_then(PlanEvidence::typical_ms) < stock_ms);
        prop_assert!(evidence.plans().count() <= MAX_PLANS);
        prop_assert!(evidence.stock().is_some(), "stock is never forgotten");
    }

    #[test]
    fn users_wait_for_few_trials(latencies in proptest::collection::vec(1.0f64..1e4, 150)) {
        let mut evidence = measured(&[]);
        let mut waited = 0;
        for (at, latency) in latencies.into_iter().enumerate() {
            if let Some((decision, _)) = next(&evidence, 1000 + at as u64) {
                waited += 1;
                evidence.note_planned(decision);
                evidence.record(&trial(100 + at as u64, decision.cutoff.max(1), Err(latency)));
            }
            evidence.record(&run(STOCK, 0, Ok(100.0)));
        }
        prop_assert!(waited <= 7, "{waited} trials");
    }
}

/// After so many rows of a table of a thousand changed.
fn after(modifications: u64, run: Run) -> Run {
    Run {
        tables: TableState::new(&[1], 1000.0, modifications),
        ..run
    }
}

/// A plan that takes seven tenths of stock's time, compared with it as often as such a plan is at first.
fn in_use() -> StatementEvidence {
    let stock = || after(0, run(STOCK, 0, Ok(100.0)));
    let mut runs = vec![stock(), stock(), after(0, trial(2, 10, Ok(70.0)))];
    runs.extend([
        after(0, run(2, 10, Ok(70.0))),
        stock(),
        after(0, run(2, 10, Ok(70.0))),
    ]);
    evidence(&runs)
}

/// Runs what is chosen so often, each plan with its latency, each time after so many more changes; answers which plans ran.
fn go_on(
    evidence: &mut StatementEvidence,
    runs: u64,
    changes: impl Fn(u64) -> u64,
    ms: [f64; 2],
) -> Vec<u64> {
    let chosen = (1..=runs).map(|number| {
        let decision = evidence.choose().decision;
        let (shape, ms) = if decision.is_stock() {
            (STOCK, ms[0])
        } else {
            (2, ms[1])
        };
        let next = Run {
            decision,
            taught: false,
            ..run(shape, 0, Ok(ms))
        };
        evidence.record(&after(changes(number), next));
        shape
    });
    chosen.collect()
}

#[test]
fn stock_is_measured_again_after_the_data_changed_and_used_where_it_is_faster_now() {
    let mut evidence = in_use();
    assert_eq!(
        go_on(&mut evidence, 6, |_| 300, [90.0, 100.0])[..4],
        [2, STOCK, STOCK, STOCK]
    );
    assert_eq!(evidence.best_ms(), Some(90.0));
}

#[test]
fn a_plan_that_is_still_faster_after_the_data_changed_is_still_used() {
    let mut evidence = in_use();
    // Both take half of what they took: the plan is not taken for slower because stock is measured first.
    evidence.record(&after(300, run(STOCK, 0, Ok(50.0))));
    assert_eq!(evidence.choose().reason, Reason::DataChanged);
    let ran = go_on(&mut evidence, 6, |_| 300, [50.0, 35.0]);
    assert_eq!(ran, [2, STOCK, 2, STOCK, 2, 2]);
}

#[test]
fn few_changes_and_another_count_of_changes_leave_what_was_measured() {
    let before = in_use();
    for changed in [199, 0] {
        let mut evidence = before;
        go_on(&mut evidence, 1, |_| changed, [100.0, 70.0]);
        assert_eq!(evidence.choose().reason, Reason::FasterThanStock, "{changed}");
    }
}

#[test]
fn beside_a_plan_far_faster_than_stock_its_users_do_not_wait_for_stock_after_the_data_changed() {
    let stock = || after(0, run(STOCK, 0, Ok(100.0)));
    let before = evidence(&[stock(), stock(), after(0, trial(2, 10, Ok(20.0)))]);
    let is_opposed = |evidence: &StatementEvidence| {
        next(evidence, 0) == Some((Decision::STOCK, Reason::StockMeasuredAgain))
    };
    assert!(!is_opposed(&before));
    let mut evidence = before;
    assert_eq!(go_on(&mut evidence, 1, |_| 300, [100.0, 20.0]), [2]);
    // Stock gets a little more time than that, and a way back.
    let possible = Possibilities::default();
    assert!(is_opposed(&evidence));
    let opposed = evidence
        .next_trial(0, &ArmStatistics::default(), &possible)
        .unwrap();
    assert_eq!((opposed.decision, opposed.limit_ms), (Decision::STOCK, 22.0));
    assert!(evidence.is_worth_trying(STOCK, opposed.limit_ms));
    let mut left = evidence;
    left.leave_stock(7);
    assert!(!is_opposed(&left));
    // Stock PostgreSQL gives the plan in use by itself now.
    let mut the_same = evidence;
    the_same.leave_stock(2);
    assert!(!is_opposed(&the_same));
    assert_eq!(the_same.stock().map(|plan| plan.shape), Some(2));
    assert!(the_same.choose().decision.is_stock());
    let mut given_up = evidence;
    given_up.record(&trial(STOCK, 0, Err(22.0)));
    assert!(!is_opposed(&given_up));
    assert_eq!(go_on(&mut given_up, 6, |_| 300, [100.0, 20.0]), [2; 6]);
    let mut ended = evidence;
    ended.record(&after(300, trial(STOCK, 0, Ok(15.0))));
    assert_eq!(go_on(&mut ended, 6, |_| 300, [15.0, 20.0]), [STOCK; 6]);
}

#[test]
fn tables_that_change_all_the_time_cost_ever_fewer_comparisons() {
    let mut evidence = in_use();
    let ran = go_on(&mut evidence, 1000, |number| 300 * number, [100.0, 70.0]);
    let compared = ran.iter().filter(|&&shape| shape == STOCK).count();
    assert!((10..60).contains(&compared), "{compared}");
}

#[test]
fn what_was_measured_of_other_plans_before_the_data_changed_decides_nothing() {
    let mut evidence = in_use();
    let hints = HintSet::from_bits(1);
    let other = Run {
        decision: hinted(hints),
        ..trial(3, 0, Ok(80.0))
    };
    evidence.note_planned(hinted(hints));
    evidence.record(&after(0, other));
    let is_untried = |evidence: &StatementEvidence| {
        evidence
            .untried(&Possibilities::default())
            .any(|(_, untried)| untried == hints)
    };
    assert!(!is_untried(&evidence));
    assert_eq!(go_on(&mut evidence, 6, |_| 300, [90.0, 100.0])[4..], [STOCK; 2]);
    assert!(is_untried(&evidence));
}

#[test]
fn tables_are_kept_over_a_restart_and_what_older_versions_kept_is_read() {
    let before = in_use();
    let words = before.settlement();
    let mut after_restart = StatementEvidence::from_plans(before.plans().copied());
    after_restart.restore_settlement(&words);
    assert_eq!(after_restart.settlement(), words);
    go_on(&mut after_restart, 1, |_| 300, [100.0, 70.0]);
    assert_eq!(after_restart.choose().reason, Reason::StockMeasuredAgain);
    let mut of_older = StatementEvidence::default();
    of_older.restore_settlement(&words[..5]);
    assert_eq!(of_older.settlement()[..5], words[..5]);
    assert_eq!(of_older.settlement()[5..], [0; 4]);
}

//! Planner costs that fit the server are one more thing to plan with: tried early, rarely, with a way back, and kept as measured.

use proptest::prelude::*;
use ruvector_dag::decision::hints::ARMS;
use ruvector_dag::decision::{
    ArmStatistics, CostSetting, Decision, FittedCosts, HintSet, PlanEvidence, PlannerCosts, Possibilities,
    Prospects, Reason, RegionChoice, RegionRun, Regions, Run, StatementEvidence, TableState,
};

const STOCK: u64 = 1;
const LIMIT: f64 = 0.95;

fn cheap_pages() -> HintSet {
    HintSet::NONE.with_costs(FittedCosts {
        random_page: Some(1.2),
        cpu_tuple: None,
    })
}

fn fitting() -> Possibilities {
    Possibilities {
        costs: cheap_pages(),
        ..Possibilities::default()
    }
}

fn with(cutoff: u64, hints: HintSet) -> Decision {
    Decision { cutoff, hints }
}

fn run(shape: u64, decision: Decision, outcome: Result<f64, f64>, is_trial: bool) -> Run {
    Run {
        shape,
        decision,
        total_cost: 100.0,
        outcome,
        taught: !is_trial,
        is_trial,
        is_dream: false,
        uses_jit: false,
        is_parallel: false,
        methods: 0,
        spilled_mb: 0,
        tables: TableState::default(),
    }
}

/// Stock measured twice at 100 ms, and trials of these decisions.
fn measured(trials: &[(Decision, Result<f64, f64>)]) -> StatementEvidence {
    let mut evidence = StatementEvidence::default();
    (0..2).for_each(|_| evidence.record(&run(STOCK, Decision::STOCK, Ok(100.0), false)));
    for (shape, &(decision, outcome)) in (2..).zip(trials) {
        evidence.note_planned(decision);
        evidence.record(&run(shape, decision, outcome, true));
    }
    evidence
}

fn next(evidence: &StatementEvidence, newest: u64, possible: &Possibilities) -> Option<(Decision, Reason)> {
    let trial = evidence.next_trial(newest, &ArmStatistics::default(), possible);
    trial.map(|trial| (trial.decision, trial.reason))
}

#[test]
fn costs_come_right_after_learned_rows_with_them_and_without() {
    let mut evidence = measured(&[]);
    let rows = with(10, HintSet::NONE);
    assert_eq!(
        next(&evidence, 10, &fitting()),
        Some((rows, Reason::NewKnowledge))
    );
    evidence.note_planned(rows);
    evidence.record(&run(2, rows, Err(90.0), true));
    let mut cutoffs = Vec::new();
    while let Some((decision, Reason::FittedCosts)) = next(&evidence, 10, &fitting()) {
        assert_eq!(decision.hints, cheap_pages());
        cutoffs.push(decision.cutoff);
        evidence.note_planned(decision);
    }
    cutoffs.sort_unstable();
    assert_eq!(cutoffs, [0, 10]);
    assert!(matches!(
        next(&evidence, 10, &fitting()),
        Some((_, Reason::UntriedHints))
    ));
}

#[test]
fn they_do_not_wait_for_learned_rows_that_promise_nothing() {
    let mut known = ArmStatistics::default();
    (0..60).for_each(|_| known.record(10, HintSet::NONE, LIMIT, true));
    let trial = measured(&[]).next_trial(10, &known, &fitting());
    assert_eq!(trial.map(|trial| trial.reason), Some(Reason::FittedCosts));
}

#[test]
fn without_anything_learned_they_are_tried_once() {
    let mut evidence = measured(&[]);
    let costs = with(0, cheap_pages());
    assert_eq!(next(&evidence, 0, &fitting()), Some((costs, Reason::FittedCosts)));
    evidence.note_planned(costs);
    assert!(matches!(
        next(&evidence, 0, &fitting()),
        Some((_, Reason::UntriedHints))
    ));
    // Nor are others, when the fit moved.
    let moved = Possibilities {
        costs: HintSet::NONE.with_costs(FittedCosts {
            random_page: Some(2.2),
            cpu_tuple: Some(0.1),
        }),
        ..Possibilities::default()
    };
    assert!(matches!(
        next(&evidence, 0, &moved),
        Some((_, Reason::UntriedHints))
    ));
}

#[test]
fn settings_that_fit_leave_nothing_to_try() {
    let evidence = measured(&[]);
    assert!(matches!(
        next(&evidence, 0, &Possibilities::default()),
        Some((_, Reason::UntriedHints))
    ));
}

#[test]
fn a_plan_that_owes_its_speed_to_them_keeps_them_in_further_trials_and_in_store() {
    let costs = with(0, cheap_pages());
    let mut evidence = measured(&[(costs, Ok(10.0))]);
    assert_eq!(evidence.choose().decision, costs);
    // What stock taught is tried at these costs, and so are hint sets.
    let later = Possibilities {
        costs: HintSet::NONE.with_costs(FittedCosts {
            random_page: Some(3.3),
            cpu_tuple: None,
        }),
        ..Possibilities::default()
    };
    let (rows, reason) = next(&evidence, 10, &later).expect("rows were learned");
    assert_eq!((rows, reason), (with(10, cheap_pages()), Reason::NewKnowledge));
    evidence.note_planned(rows);
    let mut tried = 0;
    while let Some((decision, Reason::UntriedHints)) = next(&evidence, 10, &Possibilities::default()) {
        assert_eq!(decision.hints.costs(), cheap_pages().costs(), "{decision:?}");
        evidence.note_planned(decision);
        tried += 1;
    }
    assert_eq!(tried, 49);
    let stored: Vec<(PlanEvidence, u32, Vec<f32>)> = evidence
        .plans()
        .map(|plan| (*plan, plan.decision.hints.bits(), plan.samples_ms().to_vec()))
        .collect();
    let restored = stored.into_iter().map(|(mut plan, bits, samples)| {
        plan.decision.hints = HintSet::from_bits(bits);
        plan.with_samples_ms(&samples)
    });
    let mut after = StatementEvidence::from_plans(restored);
    after.restore_settlement(&evidence.settlement());
    assert_eq!(
        (after.choose().decision, after.tried_arms),
        (costs, evidence.tried_arms)
    );
}

#[test]
fn rows_learned_meanwhile_are_still_tried_alone_after_costs_in_vain() {
    let rows = with(10, HintSet::NONE);
    let mut evidence = measured(&[(rows, Err(90.0))]);
    // Taught something once more.
    evidence.record(&run(STOCK, Decision::STOCK, Ok(100.0), false));
    for cutoff in [12, 0] {
        let costs = with(cutoff, cheap_pages());
        evidence.note_planned(costs);
        evidence.record(&run(7, costs, Err(90.0), true));
    }
    assert_eq!(
        next(&evidence, 12, &fitting()),
        Some((with(12, HintSet::NONE), Reason::NewKnowledge))
    );
}

#[test]
fn a_decision_that_lost_its_plan_lets_what_fits_now_be_tried() {
    let costs = with(0, cheap_pages());
    let mut evidence = measured(&[(costs, Ok(10.0))]);
    assert_eq!(evidence.choose().decision, costs);
    (0..3).for_each(|_| evidence.miss(costs));
    assert!(evidence.choose().decision.is_stock());
    assert_eq!(next(&evidence, 0, &fitting()), Some((costs, Reason::FittedCosts)));
}

#[test]
fn what_brought_nothing_to_other_statements_is_not_tried_before_hint_sets() {
    let mut known = ArmStatistics::default();
    let evidence = measured(&[]);
    let reason = |known: &ArmStatistics| {
        let trial = evidence.next_trial(0, known, &fitting());
        trial.map(|trial| trial.reason)
    };
    assert_eq!(reason(&known), Some(Reason::FittedCosts));
    (0..12).for_each(|_| known.record(0, cheap_pages(), LIMIT, true));
    assert_eq!(reason(&known), Some(Reason::UntriedHints));
    // Nor does that say anything of them with learned rows.
    let gain = |cutoff| known.gain_per_time(with(cutoff, cheap_pages()), LIMIT);
    assert!(gain(3) > 2.0 * gain(0));
}

#[test]
fn statistics_stored_before_there_were_workers_or_costs_are_read() {
    let good = HintSet::from_bits(1);
    let mut known = ArmStatistics::default();
    known.record(0, good, 0.3, false);
    known.record(5, HintSet::NONE, 0.3, false);
    assert_eq!(ArmStatistics::from_counts(known.counts()), known);
    let mut earlier = known.counts().to_vec();
    earlier.remove(ARMS - 1);
    assert_eq!(ArmStatistics::from_counts(&earlier), known);
    earlier.truncate(ARMS);
    assert_eq!(ArmStatistics::from_counts(&earlier), known);
    assert_eq!(
        ArmStatistics::from_counts(&earlier[1..]),
        ArmStatistics::default()
    );
}

#[test]
fn constants_never_seen_are_planned_with_the_costs_that_were_proved() {
    let mut regions = Regions::default();
    let record = |regions: &mut Regions, decision, per_cost: f64| {
        for cost in [1e2, 1e3, 1e4, 1e5] {
            let run = RegionRun {
                decision,
                cost,
                outcome: Ok(cost * per_cost),
                is_trial: false,
                is_chosen: true,
            };
            regions.record(7, &run);
        }
    };
    record(&mut regions, Decision::STOCK, 0.5);
    let gains = ArmStatistics::default().gains_per_time(LIMIT);
    let choose = |regions: &Regions| {
        regions
            .get(7)
            .map(|region| region.choose(1e3, 40, &gains, &fitting()))
    };
    let mut tried = Vec::new();
    while let Some(RegionChoice::Try(trial)) = choose(&regions) {
        if trial.decision.hints.has_costs() {
            assert_eq!(trial.reason, Reason::FittedCosts);
            tried.push((trial.decision.cutoff, trial.decision.hints));
        }
        let region = regions.get_mut(7).expect("recorded");
        region.note_planned(trial.decision);
    }
    tried.sort_unstable();
    assert_eq!(tried, [(0, cheap_pages()), (40, cheap_pages())]);
    let costs = with(0, cheap_pages());
    record(&mut regions, costs, 0.1);
    let chosen = (0..2).filter_map(|_| {
        record(&mut regions, Decision::STOCK, 0.5);
        choose(&regions)
    });
    assert!(
        chosen
            .into_iter()
            .any(|choice| choice == RegionChoice::Use(costs))
    );
}

fn found(random: Option<f64>, cpu: Option<f64>, is_told: bool) -> PlannerCosts {
    let setting = |name, current, suggested| CostSetting {
        name,
        current,
        suggested,
        interval: is_told.then_some((0.1, 0.2)),
    };
    PlannerCosts {
        settings: [
            setting("random_page_cost", 4.0, random),
            setting("cpu_tuple_cost", 0.01, cpu),
            setting("cpu_index_tuple_cost", 0.005, cpu.map(|cost| cost / 2.0)),
            setting("cpu_operator_cost", 0.0025, cpu.map(|cost| cost / 4.0)),
        ],
        plans: 100,
        statements: 20,
    }
}

#[test]
fn what_is_clear_is_fitted_and_where_nothing_is_said_it_stays() {
    let none = FittedCosts::default();
    let fitted = FittedCosts::of(&found(Some(1.1), Some(0.05), true), 1.0, none);
    let expected = FittedCosts {
        random_page: Some(1.2),
        cpu_tuple: Some(0.047),
    };
    assert_eq!(fitted, expected);
    assert_eq!(FittedCosts::of(&found(None, None, false), 1.0, fitted), fitted);
    assert_eq!(FittedCosts::of(&found(None, None, true), 1.0, fitted), none);
    // Relative to a page in order.
    let in_memory = FittedCosts::of(&found(Some(0.12), None, true), 0.1, none);
    assert_eq!(in_memory.random_page, Some(1.2));
    assert_eq!(FittedCosts::of(&found(Some(1.0), None, true), 0.0, none), none);
}

proptest! {
    #[test]
    fn every_trial_is_tried_once_whatever_the_best_plan_keeps(
        bits in 0u32..1 << 19,
        has_costs: bool,
        cutoff in 0u64..3,
        possible in any::<(bool, bool, bool, bool, bool)>(),
        memory_doublings in 0u32..8,
    ) {
        let kept = HintSet::from_bits(bits).and(if has_costs { cheap_pages() } else { HintSet::NONE });
        let mut evidence = measured(&[(with(cutoff, kept), Ok(10.0))]);
        evidence.partial = 2;
        let (uses_jit, is_parallel, may_have_workers, has_forms, is_fitted) = possible;
        let possible = Possibilities {
            uses_jit,
            is_parallel,
            may_have_workers,
            memory_doublings,
            has_forms,
            costs: if is_fitted { cheap_pages() } else { HintSet::NONE },
            ..Possibilities::default()
        };
        let gains = ArmStatistics::default().gains_per_time(LIMIT);
        let prospects = Prospects { of_all: &gains, own: None, seed: bits.into() };
        let mut trials = 0;
        while let Some((trial, _)) = evidence.next_dream(9, &prospects, &possible) {
            evidence.note_planned(trial.decision);
            trials += 1;
            prop_assert!(trials <= ARMS + 6, "{:?} again and again", trial.decision);
        }
    }
}

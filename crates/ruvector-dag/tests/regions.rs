//! Constants never seen take the decision of their region, and only one that was proved faster.

use ruvector_dag::decision::hints::ARMS;
use ruvector_dag::decision::{
    ArmStatistics, Decision, HintSet, Possibilities, REGIONS, RegionChoice, RegionRun, Regions, State, Trial,
};

const SHAPE: u64 = 7;
const NEWEST: u64 = 40;

fn hinted() -> Decision {
    Decision {
        cutoff: 0,
        hints: HintSet::from_bits(1),
    }
}

/// An execution that takes `per_cost` milliseconds per unit of cost.
fn run(decision: Decision, cost: f64, per_cost: f64) -> RegionRun {
    RegionRun {
        decision,
        cost,
        outcome: Ok(cost * per_cost),
        is_trial: false,
        is_chosen: true,
    }
}

fn regions(runs: &[RegionRun]) -> Regions {
    let mut regions = Regions::default();
    runs.iter().for_each(|run| regions.record(SHAPE, run));
    regions
}

fn choose(regions: &Regions, cost: f64) -> RegionChoice {
    let gains = ArmStatistics::default().gains_per_time(0.95);
    let region = regions.get(SHAPE).expect("recorded");
    region.choose(cost, NEWEST, &gains, &Possibilities::default())
}

/// Stock, at ten times the cost each.
fn stock() -> Vec<RegionRun> {
    [1e2, 1e3, 1e4, 1e5]
        .map(|cost| run(Decision::STOCK, cost, 0.5))
        .to_vec()
}

#[test]
fn nothing_is_tried_before_stock_was_measured() {
    let regions = regions(&stock()[..2]);
    assert_eq!(choose(&regions, 1e3), RegionChoice::Stock);
    assert!(!regions.may_act());
}

#[test]
fn a_trial_gets_less_time_than_stock_is_expected_to_take_for_these_constants() {
    let RegionChoice::Try(Trial {
        decision, limit_ms, ..
    }) = choose(&regions(&stock()), 2e3)
    else {
        panic!("something is to be tried");
    };
    assert!((limit_ms - 950.0).abs() < 1.0, "{limit_ms}");
    assert!(!decision.is_stock());
}

#[test]
fn what_is_fast_anyway_is_left_alone() {
    assert_eq!(choose(&regions(&stock()), 9.0), RegionChoice::Stock);
}

#[test]
fn what_was_planned_with_is_not_tried_again_until_everything_was() {
    let mut regions = regions(&stock());
    let mut tried = Vec::new();
    while let RegionChoice::Try(trial) = choose(&regions, 1e3) {
        assert!(!tried.contains(&trial.decision), "{:?}", trial.decision);
        tried.push(trial.decision);
        let region = regions.get_mut(SHAPE).expect("recorded");
        region.note_planned(trial.decision);
    }
    // Row counts, and the hint sets that need no parameter to be possible.
    assert!(tried.len() > 40 && tried.len() <= ARMS + 1, "{}", tried.len());
}

#[test]
fn a_decision_proved_faster_serves_constants_never_seen_and_stock_is_measured_now_and_then() {
    let mut regions = regions(&stock());
    [3e2, 3e3, 3e4, 3e5]
        .iter()
        .for_each(|&cost| regions.record(SHAPE, &run(hinted(), cost, 0.1)));
    let region = regions.get(SHAPE).expect("recorded");
    let (policy, state, confidence) = region.standing();
    assert_eq!(
        (policy.map(|policy| policy.decision(NEWEST)), state),
        (Some(hinted()), State::Applied)
    );
    assert!(confidence > Some(0.95));
    let mut choices = [0, 0];
    for _ in 0..64 {
        let decision = match choose(&regions, 5e3) {
            RegionChoice::Use(decision) => decision,
            choice => {
                assert_eq!(choice, RegionChoice::Stock);
                Decision::STOCK
            }
        };
        choices[usize::from(decision.is_stock())] += 1;
        let per_cost = if decision.is_stock() { 0.5 } else { 0.1 };
        regions.record(SHAPE, &run(decision, 5e3, per_cost));
    }
    assert_eq!(choices, [60, 4]);
    let (saved_ms, lost_ms) = regions.get(SHAPE).expect("recorded").savings();
    assert!(
        (saved_ms / (60.0 * 2000.0 + 0.4 * 333_300.0) - 1.0).abs() < 0.01,
        "{saved_ms}"
    );
    assert_eq!(lost_ms, 0.0);
}

#[test]
fn a_decision_that_turned_slow_is_left() {
    let mut regions = regions(&stock());
    (0..4).for_each(|_| regions.record(SHAPE, &run(hinted(), 1e3, 0.1)));
    assert!(matches!(choose(&regions, 1e3), RegionChoice::Use(_)));
    let slow = (1..20).find(|_| {
        regions.record(SHAPE, &run(hinted(), 1e3, 1.0));
        !matches!(choose(&regions, 1e3), RegionChoice::Use(_) | RegionChoice::Stock)
            || regions.get(SHAPE).expect("recorded").standing().1 != State::Applied
    });
    assert!(slow.is_some_and(|runs| runs <= 3), "{slow:?}");
}

#[test]
fn attempts_that_were_given_up_speak_against_a_decision() {
    let mut regions = regions(&stock());
    let given_up = RegionRun {
        outcome: Err(475.0),
        is_trial: true,
        ..run(hinted(), 1e3, 0.0)
    };
    // As often fast as not fast enough.
    for _ in 0..6 {
        regions.record(SHAPE, &run(hinted(), 1e3, 0.1));
        regions.record(SHAPE, &given_up);
        assert!(!matches!(choose(&regions, 1e3), RegionChoice::Use(_)));
    }
}

/// Noise as constants make it: the logarithm spreads by half, which is a factor of 1.6 either way.
fn noise(seed: u64) -> f64 {
    let uniform =
        |at: u64| (ruvector_dag::cardinality::hash_words([seed, at]) >> 11) as f64 / (1u64 << 53) as f64;
    let sum: f64 = (0..12).map(uniform).sum();
    (0.5 * (sum - 6.0)).exp()
}

#[test]
fn decisions_as_fast_as_stock_are_hardly_ever_applied_however_often_one_looks() {
    let mut seed = 0;
    let mut next = || {
        seed += 1;
        noise(seed)
    };
    let is_applied = |_: &u32| {
        let mut regions = Regions::default();
        (0..24).any(|_| {
            regions.record(SHAPE, &run(Decision::STOCK, 1e3, 0.5 * next()));
            regions.record(SHAPE, &run(hinted(), 1e3, 0.5 * next()));
            regions.get(SHAPE).expect("recorded").standing().1 == State::Applied
        })
    };
    let applied = (0..400).filter(is_applied).count();
    assert!(applied <= 40, "{applied} of 400");
}

#[test]
fn the_region_not_seen_for_longest_makes_room() {
    let mut regions = Regions::default();
    for shape in 1..=REGIONS as u64 + 1 {
        regions.record(shape, &run(Decision::STOCK, 1.0, 1.0));
    }
    assert!(regions.get(1).is_none() && regions.get(2).is_some());
    assert_eq!(regions.known().count(), REGIONS);
}

//! The bandit's regret on seeded streams, its prior and its state.

use proptest::prelude::*;
use ruvector_dag::Error;
use ruvector_dag::attention::{
    ARMS, AttentionSelector, BanditSettings, Choice, MechanismId, PRIOR_PULLS, PatternArms,
};
use ruvector_dag::cardinality::hash_words;

/// Expected rewards of the arms at each moment.
type Means = fn(usize, usize) -> [f64; ARMS];

/// One arm is better than the others by 0.3, all along.
fn stationary(_: usize, _: usize) -> [f64; ARMS] {
    [0.3, 0.4, 0.5, 0.8, 0.5, 0.4, 0.3]
}

/// The hardest stationary stream for its length: the best arm is better by sqrt(K / T).
fn narrow(_: usize, length: usize) -> [f64; ARMS] {
    let mut means = [0.5; ARMS];
    means[4] += 3.0 * (ARMS as f64 / length as f64).sqrt();
    means
}

/// The best arm becomes the worst halfway, and another one the best.
fn swapped(at: usize, length: usize) -> [f64; ARMS] {
    let mut means = stationary(at, length);
    if at >= length / 2 {
        means.swap(3, 0);
    }
    means
}

/// Each tenth of the stream has another best arm.
fn rotating(at: usize, length: usize) -> [f64; ARMS] {
    let mut means = stationary(at, length);
    means.rotate_right(at * 10 / length % ARMS);
    means
}

/// Two arms change places slowly.
fn drifting(at: usize, length: usize) -> [f64; ARMS] {
    let share = at as f64 / length as f64;
    let mut means = [0.3; ARMS];
    (means[1], means[5]) = (0.8 - 0.6 * share, 0.2 + 0.7 * share);
    means
}

/// A number in [0, 1) that depends on everything given.
fn random(words: [u64; 3]) -> f64 {
    (hash_words(words) >> 11) as f64 / (1u64 << 53) as f64
}

/// What was lost against the best fixed arm, and against the best arm of each moment, in expected rewards.
#[derive(Debug, Clone, Copy, Default)]
struct Regret {
    fixed: f64,
    dynamic: f64,
}

fn run(
    means: Means,
    length: usize,
    seed: u64,
    settings: BanditSettings,
    suggestion: Option<MechanismId>,
) -> Regret {
    let mut arms = PatternArms::new(7);
    let (mut earned, mut of_arm, mut of_best) = (0.0, [0.0; ARMS], 0.0);
    for at in 0..length {
        let expected = means(at, length);
        let mechanism = arms.select(suggestion, &settings);
        let arm = MechanismId::ALL.iter().position(|other| *other == mechanism);
        let mean = expected[arm.expect("one of all")];
        let reward = if random([seed, at as u64, 0]) < mean {
            1.0
        } else {
            0.0
        };
        arms.update(mechanism, reward, &settings);
        earned += mean;
        of_best += expected.iter().copied().fold(0.0, f64::max);
        of_arm
            .iter_mut()
            .zip(expected)
            .for_each(|(sum, mean)| *sum += mean);
    }
    Regret {
        fixed: of_arm.into_iter().fold(0.0, f64::max) - earned,
        dynamic: of_best - earned,
    }
}

/// The mean over seeds.
fn regret(means: Means, length: usize, settings: BanditSettings, suggestion: Option<MechanismId>) -> Regret {
    const SEEDS: u64 = 4;
    let runs = (0..SEEDS).map(|seed| {
        run(
            means,
            length,
            seed,
            BanditSettings { seed, ..settings },
            suggestion,
        )
    });
    runs.fold(Regret::default(), |sum, run| Regret {
        fixed: sum.fixed + run.fixed / SEEDS as f64,
        dynamic: sum.dynamic + run.dynamic / SEEDS as f64,
    })
}

const LENGTHS: [usize; 4] = [500, 2_000, 8_000, 32_000];
const STREAMS: [(&str, Means); 5] = [
    ("stationary", stationary),
    ("narrow", narrow),
    ("swapped", swapped),
    ("rotating", rotating),
    ("drifting", drifting),
];
const GOOD: Option<MechanismId> = Some(MechanismId::MincutGated);
const BAD: Option<MechanismId> = Some(MechanismId::Topological);

/// The slope of the regret over the length, in logarithms, by least squares.
fn exponent(points: &[(usize, f64)]) -> f64 {
    let points: Vec<(f64, f64)> = points
        .iter()
        .map(|&(length, regret)| ((length as f64).ln(), regret.ln()))
        .collect();
    let count = points.len() as f64;
    let mean = points.iter().fold((0.0, 0.0), |sum, point| {
        (sum.0 + point.0 / count, sum.1 + point.1 / count)
    });
    let (over, under) = points.iter().fold((0.0, 0.0), |sum, point| {
        let (x, y) = (point.0 - mean.0, point.1 - mean.1);
        (sum.0 + x * y, sum.1 + x * x)
    });
    over / under
}

#[test]
fn regret_against_the_best_fixed_mechanism_stays_below_six_square_roots() {
    for (name, means) in STREAMS {
        for (length, suggestion) in LENGTHS
            .into_iter()
            .flat_map(|length| [(length, None), (length, BAD)])
        {
            let regret = regret(means, length, BanditSettings::default(), suggestion).fixed;
            let bound = 6.0 * (length as f64).sqrt();
            assert!(regret <= bound, "{name}, {length}, {suggestion:?}: {regret:.1}");
        }
    }
}

#[test]
fn regret_grows_with_an_exponent_below_a_half() {
    for suggestion in [None, GOOD, BAD] {
        let points = LENGTHS.map(|length| {
            (
                length,
                regret(stationary, length, BanditSettings::default(), suggestion).fixed,
            )
        });
        let slope = exponent(&points);
        println!("suggestion {suggestion:?}: regret {points:?}, exponent {slope:.2}");
        assert!(slope < 0.5, "{slope}");
    }
}

#[test]
fn the_greatest_exploration_share_grows_no_faster() {
    let settings = BanditSettings {
        exploration: 1.0,
        ..BanditSettings::default()
    };
    let points = LENGTHS.map(|length| (length, regret(stationary, length, settings, None).fixed));
    assert!(exponent(&points) < 0.5, "{points:?}");
}

#[test]
fn a_discount_follows_the_best_mechanism_of_the_moment_more_closely() {
    let discounted = BanditSettings {
        discount: 0.999,
        confidence: 0.3,
        ..BanditSettings::default()
    };
    let plain = regret(rotating, 64_000, BanditSettings::default(), None).dynamic;
    let discounted = regret(rotating, 64_000, discounted, None).dynamic;
    println!("nine shifts in 64,000 pulls: UCB1 {plain:.0}, discounted {discounted:.0}");
    assert!(discounted < 0.8 * plain);
}

#[test]
fn a_right_suggestion_helps_and_a_wrong_one_costs_no_more_than_stated() {
    let none = regret(stationary, 16_000, BanditSettings::default(), None).fixed;
    let good = regret(stationary, 16_000, BanditSettings::default(), GOOD).fixed;
    let bad = regret(stationary, 16_000, BanditSettings::default(), BAD).fixed;
    println!("regret without suggestion {none:.1}, right {good:.1}, wrong {bad:.1}");
    assert!(good < none);
    // One mechanism's 2v, and the noise of four seeds.
    assert!(bad - none <= 2.0 * PRIOR_PULLS + 0.1 * none);
}

#[test]
fn the_suggestion_is_first_and_then_has_to_earn_it() {
    let settings = BanditSettings {
        exploration: 0.0,
        ..BanditSettings::default()
    };
    for suggested in MechanismId::ALL {
        let pulls_before_another = |reward: f64| {
            let mut arms = PatternArms::new(1);
            let pulls = (0..1_000).take_while(|_| {
                let chosen = arms.select(Some(suggested), &settings);
                arms.update(chosen, reward, &settings);
                chosen == suggested
            });
            pulls.count()
        };
        let (good, bad) = (pulls_before_another(1.0), pulls_before_another(0.0));
        assert!(bad >= 1 && good > bad, "{suggested:?}: {good} and {bad}");
    }
}

#[test]
fn every_mechanism_is_tried_before_one_is_tried_twice_without_a_suggestion() {
    let settings = BanditSettings {
        exploration: 0.0,
        ..BanditSettings::default()
    };
    let mut arms = PatternArms::new(1);
    for _ in 0..ARMS {
        let chosen = arms.select(None, &settings);
        assert_eq!(arms.arm(chosen).pulls, 0.0);
        arms.update(chosen, 1.0, &settings);
    }
}

#[test]
fn ties_are_broken_by_the_seed_and_the_pattern() {
    let chosen = |seed: u64, pattern: u64| {
        let settings = BanditSettings {
            seed,
            exploration: 0.0,
            ..BanditSettings::default()
        };
        PatternArms::new(pattern).select(None, &settings)
    };
    let by_pattern: std::collections::HashSet<_> = (0..100).map(|pattern| chosen(0, pattern)).collect();
    let by_seed: std::collections::HashSet<_> = (0..100).map(|seed| chosen(seed, 0)).collect();
    assert_eq!((by_pattern.len(), by_seed.len()), (ARMS, ARMS));
    assert_eq!(chosen(3, 4), chosen(3, 4));
}

#[test]
fn what_is_forced_is_chosen_until_it_is_not() {
    let mut selector = AttentionSelector::new();
    let free = selector.select(1, GOOD);
    for forced in [Choice::Ensemble, Choice::Mechanism(MechanismId::CausalCone)] {
        selector.force(Some(forced));
        assert_eq!(
            (selector.forced(), selector.select(1, GOOD)),
            (Some(forced), forced)
        );
    }
    selector.force(None);
    assert_eq!(selector.select(1, GOOD), free);
}

#[test]
fn rewards_are_clamped_and_what_is_no_number_says_nothing() {
    let mut selector = AttentionSelector::new();
    for reward in [5.0, -5.0, f64::INFINITY, f64::NEG_INFINITY, 0.5, f64::NAN] {
        selector.update(1, MechanismId::CausalCone, reward);
    }
    selector.update(2, MechanismId::CausalCone, f64::NAN);
    let arms = selector.arms(1).expect("a known pattern");
    assert_eq!(arms.arm(MechanismId::CausalCone).mean(), Some(2.5 / 5.0));
    assert_eq!((arms.observations, selector.len()), (5, 1));
}

#[test]
fn the_pattern_updated_longest_ago_makes_room() {
    let mut selector =
        AttentionSelector::with_settings(BanditSettings::default(), 3).expect("valid settings");
    for pattern in [1, 2, 3, 1, 4] {
        selector.update(pattern, MechanismId::Topological, 1.0);
    }
    let kept: Vec<u64> = selector.patterns().map(|arms| arms.pattern).collect();
    assert_eq!(kept, [3, 1, 4]);
}

#[test]
fn settings_out_of_range_are_refused() {
    let default = BanditSettings::default();
    let wrong = [
        BanditSettings {
            confidence: -1.0,
            ..default
        },
        BanditSettings {
            confidence: f64::NAN,
            ..default
        },
        BanditSettings {
            exploration: 1.1,
            ..default
        },
        BanditSettings {
            discount: 0.0,
            ..default
        },
        BanditSettings {
            discount: 1.5,
            ..default
        },
    ];
    for settings in wrong {
        let refused = AttentionSelector::with_settings(settings, 10);
        assert!(
            matches!(refused, Err(Error::InvalidSetting { .. })),
            "{settings:?}"
        );
    }
}

#[test]
fn impossible_stored_rewards_are_refused() {
    let mut selector = AttentionSelector::new();
    selector.update(1, MechanismId::Topological, 1.0);
    let text = serde_json::to_string(&selector).expect("plain data");
    for (found, wrong) in [
        ("\"rewards\":1.0", "\"rewards\":7.0"),
        ("\"pulls\":1.0", "\"pulls\":-1.0"),
    ] {
        let text = text.replacen(found, wrong, 1);
        assert!(
            serde_json::from_str::<AttentionSelector>(&text).is_err(),
            "{wrong}"
        );
    }
}

fn updates() -> impl Strategy<Value = Vec<(u64, usize, f64)>> {
    proptest::collection::vec((0u64..4, 0..ARMS, 0.0..=1.0), 0..40)
}

fn learned(updates: &[(u64, usize, f64)], discount: f64) -> AttentionSelector {
    let settings = BanditSettings {
        discount,
        ..BanditSettings::default()
    };
    let mut selector = AttentionSelector::with_settings(settings, 100).expect("valid settings");
    for &(pattern, arm, reward) in updates {
        selector.update(pattern, MechanismId::ALL[arm], reward);
    }
    selector
}

fn are_close(one: &AttentionSelector, other: &AttentionSelector) -> bool {
    one.len() == other.len()
        && one.patterns().all(|arms| {
            let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
            other.arms(arms.pattern).is_some_and(|twin| {
                twin.observations == arms.observations
                    && MechanismId::ALL.into_iter().all(|mechanism| {
                        let (a, b) = (arms.arm(mechanism), twin.arm(mechanism));
                        close(a.pulls, b.pulls) && close(a.rewards, b.rewards)
                    })
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn merging_is_learning_one_after_the_other(
        first in updates(),
        second in updates(),
        discount in prop_oneof![Just(1.0), 0.5..1.0],
    ) {
        let mut merged = learned(&first, discount);
        merged.merge(&learned(&second, discount));
        prop_assert!(are_close(&merged, &learned(&[first, second].concat(), discount)));
    }

    #[test]
    fn what_is_stored_chooses_the_same(updates in updates(), discount in prop_oneof![Just(1.0), 0.5..1.0]) {
        let selector = learned(&updates, discount);
        let text = serde_json::to_string(&selector).expect("plain data");
        let read: AttentionSelector = serde_json::from_str(&text).expect("what was written");
        let patterns = |selector: &AttentionSelector| selector.patterns().copied().collect::<Vec<_>>();
        prop_assert_eq!(patterns(&read), patterns(&selector));
        for pattern in 0..5 {
            prop_assert_eq!(read.select(pattern, None), selector.select(pattern, None));
            prop_assert_eq!(read.select(pattern, GOOD), selector.select(pattern, GOOD));
        }
    }
}

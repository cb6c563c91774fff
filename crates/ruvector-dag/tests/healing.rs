//! Healing against naive twins, against what the tests promise of pure noise, and repairs that fail at each stage.

mod repairs;

use proptest::prelude::*;
use ruvector_dag::Error;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::healing::{
    Anomaly, AnomalyDetector, Better, Drift, IndexAction, IndexFacts, Severity, TARGET_RECALL, Trend,
    crossing, drift, expected_btree_pages, index_health,
};

fn below_one(words: [u64; 3]) -> f64 {
    (hash_words(words) >> 11) as f64 / (1u64 << 53) as f64
}

/// Normal noise by Box and Muller.
fn normal(seed: u64, at: u64) -> f64 {
    let radius = (-2.0 * (1.0 - below_one([seed, at, 0])).ln()).sqrt();
    radius * (std::f64::consts::TAU * below_one([seed, at, 1])).cos()
}

fn noise(seed: u64, count: u64) -> Vec<f64> {
    (0..count).map(|at| normal(seed, at)).collect()
}

fn sorted_median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

/// Iglewicz and Hoaglin's formula as it stands in the book, by sorting everything.
fn naive_z_score(earlier: &[f64], value: f64) -> f64 {
    let median = sorted_median(earlier);
    let distances: Vec<f64> = earlier.iter().map(|x| (x - median).abs()).collect();
    let mad = sorted_median(&distances);
    if mad > 0.0 {
        return 0.6745 * (value - median) / mad;
    }
    let mean = (distances.iter().sum::<f64>() + (value - median).abs()) / (earlier.len() + 1) as f64;
    if mean > 0.0 {
        (value - median) / (1.253_314 * mean)
    } else {
        0.0
    }
}

/// Tells each value that is not the median.
fn teller(window: usize) -> AnomalyDetector {
    AnomalyDetector::new(window, 1e-9).expect("valid settings")
}

fn observe_all(detector: &mut AnomalyDetector, values: &[f64]) -> Vec<Option<Anomaly>> {
    values.iter().map(|&value| detector.observe(value)).collect()
}

#[test]
fn nothing_is_told_before_a_quarter_of_the_window_is_there() {
    let mut detector = teller(64);
    for at in 0..16 {
        assert_eq!(detector.observe(f64::from(at % 3) * 1e9), None, "value {at}");
    }
    assert!(detector.observe(-1e9).is_some());
}

#[test]
fn an_outlier_is_told_though_two_fifths_of_the_window_are_outliers() {
    let mut detector = AnomalyDetector::default();
    for at in 0..256 {
        let outlier = if at % 5 < 2 { 1e6 } else { 0.0 };
        detector.observe(normal(1, at) + outlier);
    }
    let told = detector.observe(1e6).expect("an anomaly");
    assert_eq!(told.severity, Severity::Critical);
    assert!(told.median < 3.0, "{told:?}");
    assert_eq!(detector.observe(0.5), None);
}

#[test]
fn of_normal_noise_about_as_many_values_are_told_as_are_so_far_off() {
    let mut detector = AnomalyDetector::default();
    let told = observe_all(&mut detector, &noise(2, 100_000));
    let share = told.iter().flatten().count() as f64 / told.len() as f64;
    // 4.65e-4 are beyond 3.5 deviations; that the deviation is of 256 values adds some.
    assert!((4e-4..1e-3).contains(&share), "{share}");
}

#[test]
fn a_lasting_change_is_usual_once_it_fills_half_of_the_window() {
    let mut detector = AnomalyDetector::new(64, 3.5).expect("valid settings");
    observe_all(&mut detector, &noise(3, 64));
    let shifted: Vec<f64> = noise(4, 64).iter().map(|x| x + 50.0).collect();
    let told = observe_all(&mut detector, &shifted);
    assert!(told[..25].iter().all(Option::is_some));
    assert!(told[34..].iter().all(Option::is_none));
}

#[test]
fn a_value_that_differs_from_equal_ones_is_as_far_off_as_there_are_many_of_them() {
    for (count, far) in [(64, 51.86), (128, 102.93)] {
        let mut detector = AnomalyDetector::default();
        observe_all(&mut detector, &vec![0.1; count]);
        let told = detector.clone().observe(0.2).expect("an anomaly");
        assert!((told.z_score - far).abs() < 0.01, "{told:?}");
        let below = detector.clone().observe(-1e100).expect("an anomaly");
        assert!((below.z_score + far).abs() < 0.01, "{below:?}");
        // What rounding may make of 0.1 is no difference.
        assert_eq!(detector.clone().observe(0.3 - 0.2), None);
        assert_eq!(detector.observe(0.1), None);
    }
}

#[test]
fn severity_doubles() {
    let mut detector = AnomalyDetector::new(64, 2.0).expect("valid settings");
    // Median 0, median deviation 0.6745: a value is its own z-score.
    observe_all(&mut detector, &[-1.0, -0.6745, 0.0, 0.6745, 1.0].repeat(4));
    let severity = |value: f64| detector.clone().observe(value).map(|told| told.severity);
    assert_eq!(severity(1.99), None);
    assert_eq!(severity(-2.01), Some(Severity::Low));
    assert_eq!(severity(4.01), Some(Severity::Medium));
    assert_eq!(severity(-8.01), Some(Severity::High));
    assert_eq!(severity(16.01), Some(Severity::Critical));
    let names = [
        Severity::Low,
        Severity::Medium,
        Severity::High,
        Severity::Critical,
    ]
    .map(Severity::name);
    assert_eq!(names, ["low", "medium", "high", "critical"]);
    assert!(Severity::Low < Severity::Critical);
}

#[test]
fn impossible_settings_are_refused() {
    for (window, threshold) in [(31, 3.5), (65_537, 3.5), (64, 0.0), (64, -1.0), (64, f64::NAN)] {
        let refused = AnomalyDetector::new(window, threshold);
        assert!(
            matches!(refused, Err(Error::InvalidSetting { .. })),
            "{window} {threshold}"
        );
    }
    assert_eq!(AnomalyDetector::new(256, 3.5), Ok(AnomalyDetector::default()));
}

proptest! {
    #[test]
    fn z_scores_are_those_of_sorted_windows(
        // Few distinct values make ties, and windows in which more than half are the same.
        values in prop_oneof![
            prop::collection::vec(-1e3..1e3_f64, 40..200),
            prop::collection::vec((0..4_i32).prop_map(f64::from), 40..200),
            prop::collection::vec(prop_oneof![4 => Just(5.0), 1 => -10.0..10.0_f64], 40..200),
        ],
        window in 32..80_usize,
    ) {
        let mut detector = teller(window);
        for (at, &value) in values.iter().enumerate() {
            let earlier = &values[at.saturating_sub(window)..at];
            let told = detector.observe(value);
            if earlier.len() < window.div_ceil(4) {
                prop_assert_eq!(told, None);
                continue;
            }
            let expected = naive_z_score(earlier, value);
            let z_score = told.map_or(0.0, |told| told.z_score);
            prop_assert!((z_score - expected).abs() <= 1e-6 * expected.abs() + 1e-6, "{z_score} {expected}");
            if let Some(told) = told {
                prop_assert_eq!((told.value, told.median), (value, sorted_median(earlier)));
            }
        }
    }

    #[test]
    fn units_do_not_matter(
        values in prop::collection::vec(-1e3..1e3_f64, 40..100),
        scale in 1e-3..1e3_f64,
        offset in -1e3..1e3_f64,
    ) {
        let other: Vec<f64> = values.iter().map(|x| x * scale + offset).collect();
        let (one, other) = (observe_all(&mut teller(32), &values), observe_all(&mut teller(32), &other));
        for (one, other) in one.iter().zip(&other) {
            let (one, other) = (one.map_or(0.0, |told| told.z_score), other.map_or(0.0, |told| told.z_score));
            prop_assert!((one - other).abs() <= 1e-4 * one.abs() + 1e-4, "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_number_leaves_no_trace(
        values in prop::collection::vec(prop_oneof![
            -1e3..1e3_f64, Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-1e151),
        ], 40..150),
    ) {
        let usable: Vec<f64> = values.iter().copied().filter(|x| x.abs() < 1e150).collect();
        let (mut with, mut without) = (teller(32), teller(32));
        let told: Vec<Anomaly> = observe_all(&mut with, &values).into_iter().flatten().collect();
        let expected: Vec<Anomaly> = observe_all(&mut without, &usable).into_iter().flatten().collect();
        prop_assert_eq!(told, expected);
        prop_assert_eq!(with, without);
    }

    #[test]
    fn any_stream_of_numbers_gives_numbers(values in prop::collection::vec(any::<f64>(), 40..120)) {
        for told in observe_all(&mut teller(32), &values).into_iter().flatten() {
            prop_assert!(told.z_score.abs() <= 1e6 && told.median.is_finite(), "{told:?}");
        }
    }
}

fn compared(baseline: &[f64], current: &[f64]) -> Drift {
    drift(baseline, current, Better::Lower).expect("enough values")
}

/// P(|T| > t) for Student's t by Simpson's rule, after the substitution that makes its range finite.
fn two_sided_t(t: f64, freedom: f64) -> f64 {
    let density = |angle: f64| angle.cos().powf(freedom - 1.0);
    let integral = |to: f64| {
        let step = to / 2_000.0;
        let inner = (1..2_000).map(|at| (2 + 2 * (at % 2)) as f64 * density(at as f64 * step));
        (density(0.0) + inner.sum::<f64>() + density(to)) * step / 3.0
    };
    1.0 - integral((t.abs() / freedom.sqrt()).atan()) / integral(std::f64::consts::FRAC_PI_2)
}

/// The p-value of Brunner and Munzel's test as in their paper: by mid-ranks in both samples and in each.
fn naive_brunner_munzel(one: &[f64], other: &[f64]) -> f64 {
    let all = [one, other].concat();
    let rank = |of: f64, among: &[f64]| {
        let count = |holds: &dyn Fn(f64) -> bool| among.iter().filter(|&&x| holds(x)).count() as f64;
        count(&|x| x < of) + (count(&|x| x == of) + 1.0) / 2.0
    };
    let parts = [one, other].map(|sample| {
        let count = sample.len() as f64;
        let mean = sample.iter().map(|&x| rank(x, &all)).sum::<f64>() / count;
        let deviation = |&x: &f64| (rank(x, &all) - rank(x, sample) - mean + (count + 1.0) / 2.0).powi(2);
        let variance = sample.iter().map(deviation).sum::<f64>() / (count - 1.0);
        (count, mean, variance)
    });
    let [(n, mean_one, s), (m, mean_other, r)] = parts;
    let statistic = n * m * (mean_other - mean_one) / ((n + m) * (n * s + m * r).sqrt());
    let freedom = (n * s + m * r).powi(2) / ((n * s).powi(2) / (n - 1.0) + (m * r).powi(2) / (m - 1.0));
    two_sided_t(statistic, freedom)
}

#[test]
fn the_naive_twin_agrees_with_the_published_example() {
    // Pain scores after two treatments: table 4 of the paper; t = 3.137 with 17.68 degrees of freedom.
    let one = [1., 2., 1., 1., 1., 1., 1., 1., 1., 1., 2., 4., 1., 1.];
    let other = [3., 3., 4., 3., 1., 2., 3., 1., 1., 5., 4.];
    assert!((naive_brunner_munzel(&one, &other) - 0.005_786).abs() < 1e-5);
    let drift = compared(&one, &other);
    assert_eq!((drift.baseline, drift.current), (1.0, 3.0));
    assert_eq!((drift.is_significant, drift.trend), (true, Trend::Worsening));
}

#[test]
fn few_values_say_nothing() {
    let (few, enough) = (noise(1, 9), noise(2, 10));
    assert_eq!(drift(&few, &enough, Better::Lower), None);
    assert_eq!(drift(&enough, &few, Better::Lower), None);
    let mut not_numbers = few.clone();
    not_numbers.extend([f64::NAN, f64::INFINITY]);
    assert_eq!(drift(&not_numbers, &enough, Better::Lower), None);
    assert!(drift(&enough, &enough, Better::Lower).is_some());
}

#[test]
fn samples_apart_differ_and_equal_ones_do_not() {
    let (low, high) = ([1.0; 10], [2.0; 10]);
    let apart = compared(&low, &high);
    assert_eq!((apart.is_significant, apart.trend), (true, Trend::Worsening));
    assert!(apart.magnitude > 8.0, "{apart:?}");
    assert_eq!(compared(&high, &low).trend, Trend::Improving);
    let higher_is_better = drift(&low, &high, Better::Higher).expect("enough values");
    assert_eq!(higher_is_better.trend, Trend::Improving);
    let same = compared(&low, &low);
    assert_eq!(
        (same.magnitude, same.is_significant, same.trend),
        (0.0, false, Trend::Stable)
    );
    assert_eq!(Trend::Improving.name(), "improving");
    assert_eq!(Trend::Stable.name(), "stable");
    assert_eq!(Trend::Worsening.name(), "worsening");
}

#[test]
fn noise_drifts_once_in_a_hundred_times() {
    for (sizes, spread) in [((10, 10), 1.0), ((20, 40), 1.0), ((15, 45), 3.0), ((60, 30), 0.3)] {
        let rounds = 10_000;
        let told = (0..rounds).filter(|&round| {
            let current: Vec<f64> = noise(2 * round + 1, sizes.1).iter().map(|x| x * spread).collect();
            compared(&noise(2 * round, sizes.0), &current).is_significant
        });
        let share = told.count() as f64 / rounds as f64;
        println!("{sizes:?} with spread {spread}: {share}");
        assert!(
            (0.005..0.02).contains(&share),
            "{sizes:?} with spread {spread}: {share}"
        );
    }
}

#[test]
fn a_shift_by_one_deviation_is_seen_and_measured() {
    let rounds = 200;
    let drifts: Vec<Drift> = (0..rounds)
        .map(|round| {
            let current: Vec<f64> = noise(2 * round + 1, 100).iter().map(|x| x + 1.0).collect();
            compared(&noise(2 * round, 100), &current)
        })
        .collect();
    assert!(drifts.iter().all(|drift| drift.trend == Trend::Worsening));
    let mean = drifts.iter().map(|drift| drift.magnitude).sum::<f64>() / rounds as f64;
    assert!((0.9..1.1).contains(&mean), "{mean}");
}

fn sample() -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![
        prop::collection::vec(-3.0..3.0_f64, 10..40),
        prop::collection::vec(-1.0..5.0_f64, 10..40),
        prop::collection::vec((0..5_i32).prop_map(f64::from), 10..40),
    ]
}

proptest! {
    #[test]
    fn drift_is_significant_where_the_paper_says_so(baseline in sample(), current in sample()) {
        let p = naive_brunner_munzel(&baseline, &current);
        // Not a number where nothing overlaps; at the edge the quantile's third digit decides.
        prop_assume!(p.is_finite() && (p - 0.01).abs() > 1e-4);
        prop_assert_eq!(compared(&baseline, &current).is_significant, p < 0.01, "p = {}", p);
    }

    #[test]
    fn drift_goes_by_ranks_and_not_by_order(baseline in sample(), current in sample()) {
        let drift = compared(&baseline, &current);
        let reversed: Vec<f64> = baseline.iter().rev().copied().collect();
        prop_assert_eq!(compared(&reversed, &current), drift);
        let exponential = |values: &[f64]| values.iter().map(|x| x.exp()).collect::<Vec<f64>>();
        let stretched = compared(&exponential(&baseline), &exponential(&current));
        prop_assert_eq!(stretched.trend, drift.trend);
        let back = compared(&current, &baseline);
        prop_assert_eq!((back.baseline, back.current), (drift.current, drift.baseline));
        prop_assert_eq!(back.is_significant, drift.is_significant);
        prop_assert_eq!(back.trend == Trend::Improving, drift.trend == Trend::Worsening);
    }

    #[test]
    fn drift_of_any_numbers_is_a_number(
        baseline in prop::collection::vec(any::<f64>(), 0..40),
        current in prop::collection::vec(any::<f64>(), 0..40),
    ) {
        if let Some(drift) = drift(&baseline, &current, Better::Higher) {
            prop_assert!(drift.magnitude.abs() <= 1e6, "{drift:?}");
            prop_assert!(drift.baseline.is_finite() && drift.current.is_finite(), "{drift:?}");
        }
    }
}

fn line(count: u32, slope: f64) -> Vec<(f64, f64)> {
    (0..count)
        .map(|at| (60.0 * f64::from(at), slope * 60.0 * f64::from(at)))
        .collect()
}

#[test]
fn a_line_crosses_where_it_does() {
    // After 19 minutes it is at 19; it reaches 30 eleven minutes later.
    let forecast = crossing(&line(20, 1.0 / 60.0), 30.0, 3_600.0).expect("a crossing");
    assert!((forecast.in_seconds - 660.0).abs() < 1e-6, "{forecast:?}");
    assert!((forecast.slope - 1.0 / 60.0).abs() < 1e-12, "{forecast:?}");
    assert!((forecast.level - 19.0).abs() < 1e-9, "{forecast:?}");
    assert_eq!(crossing(&line(20, 1.0 / 60.0), 30.0, 659.0), None);
    let there = crossing(&line(20, 1.0 / 60.0), 10.0, 0.0).expect("a crossing");
    assert_eq!(there.in_seconds, 0.0);
}

#[test]
fn what_does_not_rise_crosses_nothing() {
    assert_eq!(crossing(&line(20, 0.0), 1.0, f64::INFINITY), None);
    assert_eq!(crossing(&line(20, -1.0), 1.0, f64::INFINITY), None);
    assert_eq!(crossing(&line(9, 1.0), 1e3, f64::INFINITY), None);
    assert_eq!(crossing(&[(1.0, 1.0); 20], 2.0, f64::INFINITY), None);
    let at_once: Vec<(f64, f64)> = (0..20).map(|at| (1.0, f64::from(at))).collect();
    assert_eq!(crossing(&at_once, 30.0, f64::INFINITY), None);
}

#[test]
fn noise_rises_once_in_a_hundred_times() {
    for count in [10, 30, 100] {
        let rounds = 5_000;
        let rises = (0..rounds).filter(|&round| {
            let points: Vec<(f64, f64)> = (0..count).map(|at| (at as f64, normal(round, at))).collect();
            crossing(&points, -1e3, f64::INFINITY).is_some()
        });
        let share = rises.count() as f64 / rounds as f64;
        println!("{count} points: {share}");
        assert!((0.005..0.016).contains(&share), "{count} points: {share}");
    }
}

#[test]
fn wild_points_hardly_move_a_crossing() {
    let mut points = line(100, 1.0);
    for point in points.iter_mut().step_by(5) {
        point.1 = 1e9;
    }
    let forecast = crossing(&points, 12_000.0, 36_000.0).expect("a crossing");
    assert!((forecast.in_seconds - 6_060.0).abs() < 600.0, "{forecast:?}");
}

#[test]
fn only_the_newest_points_count() {
    let points: Vec<(f64, f64)> = (0..600)
        .map(|at| (at as f64, at as f64 + 9.0 * normal(5, at)))
        .collect();
    let forecast = crossing(&points, 1_000.0, 1e6);
    assert_eq!(forecast, crossing(&points[88..], 1_000.0, 1e6));
    assert_ne!(forecast, crossing(&points[89..], 1_000.0, 1e6));
}

#[test]
fn equal_values_are_allowed_for() {
    // Groups of 3, 3 and 4 leave a variance of 109 of 125, so that a score of 26 is enough: 33 less twice the inversions.
    let score_27 = [1, 1, 2, 2, 1, 3, 2, 3, 3, 3];
    let score_25 = [1, 1, 2, 2, 1, 3, 3, 2, 3, 3];
    let rises = |values: [i32; 10]| {
        let points: Vec<(f64, f64)> = (0..10).map(f64::from).zip(values.map(f64::from)).collect();
        crossing(&points, 10.0, f64::INFINITY).is_some()
    };
    assert!(rises(score_27));
    assert!(!rises(score_25));
}

proptest! {
    #[test]
    fn crossings_do_not_depend_on_the_order_or_on_a_shift_of_time(
        slope in 1e-3..1e3_f64,
        ahead in 0.0..1e4_f64,
        shift in -1e6..1e6_f64,
    ) {
        let points = line(30, slope);
        let threshold = slope * (29.0 * 60.0 + ahead);
        let forecast = crossing(&points, threshold, 2e4).expect("a crossing");
        prop_assert!((forecast.in_seconds - ahead).abs() < 1e-6 * (1.0 + ahead), "{forecast:?}");
        let shuffled: Vec<(f64, f64)> = (0..30).map(|at| points[at * 7 % 30]).collect();
        prop_assert_eq!(crossing(&shuffled, threshold, 2e4), Some(forecast));
        let shifted: Vec<(f64, f64)> = points.iter().map(|(at, value)| (at + shift, *value)).collect();
        let later = crossing(&shifted, threshold, 2e4).expect("a crossing");
        prop_assert!((later.in_seconds - ahead).abs() < 1e-4 * (1.0 + ahead), "{later:?}");
    }

    #[test]
    fn crossings_of_any_numbers_are_numbers(
        points in prop::collection::vec(any::<(f64, f64)>(), 0..40),
        threshold in any::<f64>(),
        horizon in any::<f64>(),
    ) {
        if let Some(forecast) = crossing(&points, threshold, horizon) {
            prop_assert!((0.0..=horizon).contains(&forecast.in_seconds), "{forecast:?}");
            prop_assert!(forecast.slope > 0.0 && forecast.level.is_finite(), "{forecast:?}");
        }
    }
}

/// An index without fault.
const SOUND: IndexFacts = IndexFacts {
    is_valid: true,
    is_constraint: false,
    scans: 7,
    seconds_counted: 1e7,
    pages: 1_000.0,
    expected_pages: Some(900.0),
    dead_share: Some(0.01),
    recall: None,
};

fn action(facts: IndexFacts) -> IndexAction {
    index_health(&facts).action
}

#[test]
fn each_fault_of_an_index_has_its_action() {
    use IndexAction::{Drop, None, Rebalance, Reindex, Vacuum};
    assert_eq!(action(SOUND), None);
    let fragmented = IndexFacts {
        expected_pages: Some(599.0),
        ..SOUND
    };
    let dead = IndexFacts {
        dead_share: Some(0.2),
        ..SOUND
    };
    let unused = IndexFacts { scans: 0, ..SOUND };
    let imprecise = IndexFacts {
        recall: Some(TARGET_RECALL - 0.01),
        ..SOUND
    };
    let invalid = IndexFacts {
        is_valid: false,
        ..SOUND
    };
    let cases = [
        (fragmented, Reindex),
        (dead, Vacuum),
        (unused, Drop),
        (imprecise, Rebalance),
        (invalid, Reindex),
    ];
    for (facts, expected) in cases {
        assert_eq!(action(facts), expected, "{facts:?}");
    }
    assert_eq!(
        action(IndexFacts {
            recall: Some(TARGET_RECALL),
            ..SOUND
        }),
        None
    );
    let names = [None, Reindex, Drop, Vacuum, Rebalance].map(IndexAction::name);
    assert_eq!(names, ["none", "reindex", "drop", "vacuum", "rebalance"]);
}

#[test]
fn an_index_that_guards_data_or_is_watched_for_less_than_a_week_is_not_unused() {
    let unused = IndexFacts { scans: 0, ..SOUND };
    assert_eq!(
        action(IndexFacts {
            is_constraint: true,
            ..unused
        }),
        IndexAction::None
    );
    assert_eq!(
        action(IndexFacts {
            seconds_counted: 604_799.0,
            ..unused
        }),
        IndexAction::None
    );
    assert_eq!(
        action(IndexFacts {
            seconds_counted: 604_800.0,
            ..unused
        }),
        IndexAction::Drop
    );
}

#[test]
fn small_indexes_are_not_rebuilt_or_vacuumed_for() {
    let small = IndexFacts {
        pages: 127.0,
        expected_pages: Some(1.0),
        dead_share: Some(0.9),
        ..SOUND
    };
    assert_eq!(action(small), IndexAction::None);
    assert_eq!(
        action(IndexFacts {
            pages: 128.0,
            ..small
        }),
        IndexAction::Vacuum
    );
}

#[test]
fn fragmentation_is_what_a_rebuild_would_free() {
    let fragmentation = |pages, expected_pages| {
        index_health(&IndexFacts {
            pages,
            expected_pages,
            ..SOUND
        })
        .fragmentation
    };
    assert_eq!(fragmentation(1_000.0, Some(250.0)), Some(0.75));
    assert_eq!(fragmentation(1_000.0, Some(2_000.0)), Some(0.0));
    assert_eq!(fragmentation(1_000.0, None), None);
    assert_eq!(fragmentation(0.0, Some(1.0)), None);
    assert_eq!(fragmentation(f64::NAN, Some(1.0)), None);
    assert_eq!(fragmentation(1.0, Some(f64::NAN)), None);
}

#[test]
fn b_trees_are_expected_to_be_as_large_as_postgresql_15_built_them() {
    // relpages of integer, bigint, (integer, bigint) and md5 keys, and of texts of 2 to 55 bytes.
    let fixed = [
        (0.0, 4.0, 90.0, 1.0),
        (100.0, 4.0, 90.0, 2.0),
        (500_000.0, 4.0, 90.0, 1_374.0),
        (500_000.0, 8.0, 90.0, 1_374.0),
        (500_000.0, 4.0, 50.0, 2_487.0),
        (100_000.0, 12.0, 90.0, 388.0),
    ];
    for (tuples, bytes, fillfactor, pages) in fixed {
        assert_eq!(
            expected_btree_pages(tuples, bytes, fillfactor, 8192.0),
            pages,
            "{tuples} of {bytes}"
        );
    }
    for (bytes, pages, tolerance) in [
        (33.0, 3_607.0, 0.01),
        (37.0, 3_587.0, 0.01),
        (31.0, 3_228.0, 0.07),
    ] {
        let expected = expected_btree_pages(500_000.0, bytes, 90.0, 8192.0);
        assert!(
            (expected / pages - 1.0).abs() < tolerance,
            "{bytes}: {expected} for {pages}"
        );
    }
}

proptest! {
    #[test]
    fn health_of_any_facts_is_sound(
        (is_valid, is_constraint, scans) in any::<(bool, bool, u64)>(),
        (seconds_counted, pages) in any::<(f64, f64)>(),
        (expected_pages, dead_share, recall) in any::<(Option<f64>, Option<f64>, Option<f64>)>(),
    ) {
        let facts =
            IndexFacts { is_valid, is_constraint, scans, seconds_counted, pages, expected_pages, dead_share, recall };
        let health = index_health(&facts);
        prop_assert!(health.fragmentation.is_none_or(|share| (0.0..=1.0).contains(&share)), "{health:?}");
        prop_assert!(health.action != IndexAction::Drop || (scans == 0 && !is_constraint));
        prop_assert_eq!(!is_valid && health.action != IndexAction::Reindex, false);
        prop_assert!(health.action != IndexAction::Rebalance || recall.is_some());
    }

    #[test]
    fn more_or_wider_entries_or_emptier_pages_need_no_fewer_pages(
        (tuples, more) in (0.0..1e9_f64, 0.0..1e6_f64),
        (bytes, wider) in (0.0..1_000.0_f64, 0.0..100.0_f64),
        (fillfactor, fuller) in (10.0..90.0_f64, 0.0..10.0_f64),
    ) {
        let pages = expected_btree_pages(tuples, bytes, fillfactor, 8192.0);
        prop_assert!(pages >= 1.0 && pages.is_finite());
        prop_assert!(expected_btree_pages(tuples + more, bytes, fillfactor, 8192.0) >= pages);
        prop_assert!(expected_btree_pages(tuples, bytes + wider, fillfactor, 8192.0) >= pages);
        prop_assert!(expected_btree_pages(tuples, bytes, fillfactor + fuller, 8192.0) <= pages);
    }
}

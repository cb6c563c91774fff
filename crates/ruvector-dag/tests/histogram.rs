//! Histograms against sorted lists.

use proptest::prelude::*;
use ruvector_dag::histogram::{BUCKETS, Histogram, LEAST_NS, bucket_of, middle_ns};

/// Half a bucket: the eighth root of two, halved.
const PRECISION: f64 = 1.045;

fn of(durations: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    durations.iter().for_each(|&duration| histogram.record(duration));
    histogram
}

#[test]
fn nothing_has_no_quantile() {
    assert_eq!(Histogram::default().quantile_ns(0.5), None);
    assert_eq!(Histogram::default().count(), 0);
}

#[test]
fn the_shortest_and_the_longest_durations_have_a_bucket() {
    assert_eq!(bucket_of(0), 0);
    assert_eq!(bucket_of(255), 0);
    assert_eq!(bucket_of(256), 1);
    assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    assert_eq!(of(&[u64::MAX, 1]).quantile_ns(1.0), Some(u64::MAX as f64));
}

#[test]
fn a_bucket_that_there_is_not_is_left_out() {
    let mut histogram = Histogram::default();
    histogram.add(BUCKETS, 1);
    assert_eq!(histogram, Histogram::default());
}

#[test]
fn no_quantile_exceeds_the_maximum() {
    let histogram = of(&[1_000, 1_000]);
    assert!(histogram.quantile_ns(0.5) <= Some(1_000.0));
    assert_eq!((histogram.count(), histogram.sum_ns), (2, 2_000));
}

proptest! {
    #[test]
    fn buckets_rise_with_their_durations(a in 0..1u64 << 44, b in 0..1u64 << 44) {
        prop_assert!((a <= b && bucket_of(a) <= bucket_of(b)) || (a > b && bucket_of(a) >= bucket_of(b)));
    }

    #[test]
    fn a_bucket_is_as_precise_as_promised(duration in 256..1u64 << 43) {
        let ratio = middle_ns(bucket_of(duration)) / duration as f64;
        prop_assert!((1.0 / PRECISION..=PRECISION).contains(&ratio), "{ratio}");
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_list(
        mut durations in prop::collection::vec(256..1u64 << 40, 1..200),
        q in 0.0..=1.0_f64,
    ) {
        let histogram = of(&durations);
        durations.sort_unstable();
        let rank = (q * durations.len() as f64).ceil().max(1.0) as usize;
        let exact = (durations[rank - 1] as f64).max(LEAST_NS);
        let ratio = histogram.quantile_ns(q).unwrap() / exact;
        prop_assert!((1.0 / PRECISION..=PRECISION).contains(&ratio), "{ratio}");
        prop_assert_eq!(histogram.max_ns, *durations.last().unwrap());
    }
}

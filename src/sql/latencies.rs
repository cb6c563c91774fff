//! `dag_latency_breakdown`, `dag_latency_buckets` and `dag_throughput`: how long each part of our work took lately.

use super::state::is_readable;
use crate::error::{invalid_argument, or_raise};
use crate::pg::catalog;
use crate::pg::ereport::Report;
use crate::shmem::latencies::{self, Component, KEPT_MINUTES, this_minute};
use engine::histogram::{Histogram, middle_ns};
use pgrx::datum::{Interval, Range, RangeBound, TimestampWithTimeZone};
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

const MINUTE_US: i64 = 60_000_000;

type TimeRange = Range<TimestampWithTimeZone>;

type LatencyRow = (&'static str, f64, f64, f64, f64, f64, i64);

/// Quantiles of each component in a time range, by default in all that is kept.
#[pg_extern]
fn dag_latency_breakdown(
    time_range: Option<TimeRange>,
) -> TableIterator<
    'static,
    (
        name!(component, &'static str),
        name!(p50_us, f64),
        name!(p95_us, f64),
        name!(p99_us, f64),
        name!(max_us, f64),
        name!(mean_us, f64),
        name!(count, i64),
    ),
> {
    TableIterator::new(or_raise(breakdown(time_range)))
}

fn breakdown(time_range: Option<TimeRange>) -> Result<Vec<LatencyRow>, Report> {
    let measured = measured(time_range)?;
    let rows = measured
        .iter()
        .filter_map(|(component, histogram)| row(*component, histogram));
    Ok(rows.collect())
}

fn row(component: Component, histogram: &Histogram) -> Option<LatencyRow> {
    let quantile = |q| histogram.quantile_ns(q).map(|nanoseconds| nanoseconds / 1000.0);
    let count = histogram.count();
    Some((
        component.name(),
        quantile(0.5)?,
        quantile(0.95)?,
        quantile(0.99)?,
        histogram.max_ns as f64 / 1000.0,
        histogram.sum_ns as f64 / 1000.0 / count as f64,
        count as i64,
    ))
}

/// The histograms themselves: buckets that hold something.
#[pg_extern]
fn dag_latency_buckets(
    time_range: Option<TimeRange>,
) -> TableIterator<
    'static,
    (
        name!(component, &'static str),
        name!(middle_us, f64),
        name!(count, i64),
    ),
> {
    let measured = or_raise(measured(time_range));
    let rows = measured.into_iter().flat_map(|(component, histogram)| {
        let buckets = histogram.buckets();
        let rows =
            buckets.map(|(bucket, count)| (component.name(), middle_ns(bucket) / 1000.0, count as i64));
        rows.collect::<Vec<_>>()
    });
    TableIterator::new(rows)
}

fn measured(time_range: Option<TimeRange>) -> Result<BTreeMap<Component, Histogram>, Report> {
    is_readable()?;
    let minutes = match time_range {
        Some(range) => minutes(&range)?,
        None => all_minutes(),
    };
    Ok(latencies::of_database(catalog::database(), &minutes))
}

fn all_minutes() -> RangeInclusive<i64> {
    this_minute() - KEPT_MINUTES + 1..=this_minute()
}

/// The minutes that a range touches; of the future none.
fn minutes(range: &TimeRange) -> Result<RangeInclusive<i64>, Report> {
    let all = all_minutes();
    let (Some(lower), Some(upper)) = (range.lower(), range.upper()) else {
        return Ok(RangeInclusive::new(1, 0));
    };
    let first = match at(lower) {
        None | Some(i64::MIN) => *all.start(),
        Some(at) => at.div_euclid(MINUTE_US),
    };
    let last = match (upper, at(upper)) {
        (_, None | Some(i64::MAX)) => *all.end(),
        (RangeBound::Exclusive(_), Some(at)) => (at - 1).div_euclid(MINUTE_US),
        (_, Some(at)) => at.div_euclid(MINUTE_US),
    };
    if first < *all.start() {
        return Err(invalid_argument(
            format!("latencies are kept for {KEPT_MINUTES} minutes"),
            "Use a time range that begins later, or one without a beginning.",
        ));
    }
    Ok(first..=last.min(*all.end()))
}

fn at(bound: &RangeBound<TimestampWithTimeZone>) -> Option<i64> {
    match bound {
        RangeBound::Infinite => None,
        RangeBound::Inclusive(at) | RangeBound::Exclusive(at) => Some(i64::from(*at)),
    }
}

/// How often each component ran lately, and how often per second.
#[pg_extern]
fn dag_throughput(
    window: Interval,
) -> TableIterator<
    'static,
    (
        name!(metric, &'static str),
        name!(count, i64),
        name!(per_second, f64),
    ),
> {
    TableIterator::new(or_raise(throughput(&window)))
}

fn throughput(window: &Interval) -> Result<Vec<(&'static str, i64, f64)>, Report> {
    is_readable()?;
    let window_us = window.as_micros();
    if !(1..=i128::from(KEPT_MINUTES * MINUTE_US)).contains(&window_us) {
        return Err(invalid_argument(
            "the window is out of its range".to_owned(),
            "Use an interval above 0 of up to one hour.",
        ));
    }
    let now = catalog::now();
    let wanted = (now - i64::try_from(window_us).unwrap_or(0)).div_euclid(MINUTE_US);
    let first = wanted.max(*all_minutes().start());
    let measured = latencies::of_database(catalog::database(), &(first..=now.div_euclid(MINUTE_US)));
    let seconds = (now - first * MINUTE_US) as f64 / 1e6;
    let count = |component: Component| measured.get(&component).map_or(0, Histogram::count);
    let row = |component: Component| {
        let count = count(component);
        (component.name(), count as i64, count as f64 / seconds)
    };
    Ok(Component::ALL.into_iter().map(row).collect())
}

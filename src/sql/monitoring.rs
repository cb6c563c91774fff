//! `dag_statistics`, `dag_debug_logs` and what resets and sets them.

use super::state::{Viewer, is_readable};
use crate::error::{invalid_argument, or_raise};
use crate::pg::catalog;
use crate::pg::ereport::Report;
use crate::settings;
use crate::shmem::events::{self, Component, Event, Severity};
use crate::shmem::layout::Statement;
use crate::shmem::{corrections, counters, guards, latencies, statements};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern, pg_sys};

type StatisticRow = (&'static str, f64, &'static str, Option<TimestampWithTimeZone>);

/// Each number with its unit, and since or of when it is.
#[pg_extern]
fn dag_statistics() -> TableIterator<
    'static,
    (
        name!(metric, &'static str),
        name!(value, f64),
        name!(unit, &'static str),
        name!(updated_at, Option<TimestampWithTimeZone>),
    ),
> {
    TableIterator::new(or_raise(statistics()))
}

fn statistics() -> Result<Vec<StatisticRow>, Report> {
    is_readable()?;
    let now = catalog::now();
    let (begun, cycled) = counters::times();
    let of_server = counters::all().into_iter().map(|(name, count)| {
        let unit = if name.ends_with("_nanoseconds") {
            "ns"
        } else {
            "count"
        };
        (name, count as f64, unit, timestamp(now))
    });
    let database = catalog::database();
    let classes = statements::of_database(database);
    let guard = guards::get(database);
    let sum = |value: fn(&Statement) -> f64| classes.iter().map(value).sum::<f64>();
    let of_database = [
        ("corrections", corrections::count(database) as f64, "count"),
        ("statement_classes", classes.len() as f64, "count"),
        ("saved_ms", sum(|class| class.evidence.saved_ms), "ms"),
        ("lost_ms", sum(|class| class.evidence.lost_ms), "ms"),
        ("trials", f64::from(guard.trials), "count"),
        ("trial_ms", guard.lost_ms, "ms"),
        ("idle_trial_ms", guard.idle_ms, "ms"),
        ("breaker_openings", guard.breaker.openings as f64, "count"),
        ("seconds_counted", (now - begun) as f64 / 1e6, "s"),
    ];
    let of_database = of_database.map(|(name, value, unit)| (name, value, unit, timestamp(now)));
    let cycle = (cycled > 0).then(|| {
        let age = (now - cycled) as f64 / 1e6;
        ("seconds_since_worker_cycle", age, "s", timestamp(cycled))
    });
    Ok(of_server.chain(of_database).chain(cycle).collect())
}

fn timestamp(at: i64) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(at).ok()
}

/// Counts anew: the server's counters, and this database's latencies.
#[pg_extern]
fn dag_reset_statistics() {
    or_raise(is_readable());
    counters::reset(catalog::now());
    latencies::reset(catalog::database());
}

type LogRow = (
    Option<TimestampWithTimeZone>,
    &'static str,
    &'static str,
    String,
    Option<i64>,
    Option<i64>,
    Option<pg_sys::Oid>,
    i32,
);

/// What happened in this database, the oldest first.
#[pg_extern]
fn dag_debug_logs(
    since: Option<TimestampWithTimeZone>,
    component: Option<&str>,
    severity: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(logged_at, Option<TimestampWithTimeZone>),
        name!(component, &'static str),
        name!(severity, &'static str),
        name!(message, String),
        name!(queryid, Option<i64>),
        name!(class, Option<i64>),
        name!(userid, Option<pg_sys::Oid>),
        name!(pid, i32),
    ),
> {
    TableIterator::new(or_raise(debug_logs(since, component, severity)))
}

fn debug_logs(
    since: Option<TimestampWithTimeZone>,
    component: Option<&str>,
    severity: Option<&str>,
) -> Result<Vec<LogRow>, Report> {
    is_readable()?;
    let component = component.map(component_named).transpose()?;
    let least = severity
        .map(severity_named)
        .transpose()?
        .unwrap_or(Severity::Debug);
    let since = since.map_or(i64::MIN, i64::from);
    let viewer = Viewer::current();
    let is_wanted = |event: &&Event| {
        event.at >= since
            && component.is_none_or(|wanted| event.kind.component() == wanted)
            && event.kind.severity() >= least
            && viewer.sees_user(event.user)
    };
    let events = events::of_database(catalog::database());
    Ok(events.iter().filter(is_wanted).map(log_row).collect())
}

fn log_row(event: &Event) -> LogRow {
    (
        timestamp(event.at),
        event.kind.component().name(),
        event.kind.severity().name(),
        event.kind.text(event.numbers),
        (event.queryid != 0).then_some(event.queryid),
        (event.class != 0).then_some(event.class as i64),
        (event.user != 0).then(|| pg_sys::Oid::from(event.user)),
        event.pid as i32,
    )
}

fn component_named(name: &str) -> Result<Component, Report> {
    let found = Component::ALL.into_iter().find(|known| known.name() == name);
    found.ok_or_else(|| {
        let names = Component::ALL.map(Component::name).join(", ");
        invalid_argument(
            format!("unrecognized component \"{name}\""),
            &format!("Use one of {names}."),
        )
    })
}

fn severity_named(name: &str) -> Result<Severity, Report> {
    let found = Severity::ALL.into_iter().find(|known| known.name() == name);
    found.ok_or_else(|| {
        let names = Severity::ALL.map(Severity::name).join(", ");
        invalid_argument(
            format!("unrecognized severity \"{name}\""),
            &format!("Use one of {names}."),
        )
    })
}

/// What `ruvector.dag_debug` is to be so that these components log debug entries, too, or don't any more.
#[pg_extern]
fn dag_debug_components(enabled: bool, components: Vec<Option<String>>) -> String {
    let names = debug_components(enabled, &components);
    // An error would jump over it.
    drop(components);
    or_raise(names)
}

fn debug_components(enabled: bool, components: &[Option<String>]) -> Result<String, Report> {
    let mut chosen = Vec::new();
    for name in components.iter().flatten() {
        match name.as_str() {
            "all" => chosen.extend(Component::ALL),
            name => chosen.push(component_named(name)?),
        }
    }
    let is_on = |component: &Component| match chosen.contains(component) {
        true => enabled,
        false => settings::debugs(component.name()),
    };
    let names: Vec<_> = Component::ALL
        .into_iter()
        .filter(is_on)
        .map(Component::name)
        .collect();
    Ok(match names.len() == Component::ALL.len() {
        true => "all".to_owned(),
        false => names.join(", "),
    })
}

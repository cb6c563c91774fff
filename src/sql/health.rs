//! `dag_health_check`: whether everything runs.

use crate::error::{internal, or_raise};
use crate::health;
use crate::pg::own_settings;
use crate::settings;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

/// One row per check.
#[pg_extern]
fn dag_health_check() -> TableIterator<
    'static,
    (
        name!(component, &'static str),
        name!(status, &'static str),
        name!(last_check, Option<TimestampWithTimeZone>),
        name!(message, String),
    ),
> {
    let checks = settings::paused(|| own_settings::within(health::checks));
    let rows = or_raise(checks.map_err(internal)).into_iter().map(|check| {
        let at = TimestampWithTimeZone::try_from(check.at).ok();
        (check.component, check.status.name(), at, check.message)
    });
    TableIterator::new(rows)
}

//! `dag_learn_now`, `dag_reset_learning` and `dag_reset_role`.

use super::state::{is_readable, is_writable};
use crate::error::{disabled, learning_failed, or_raise};
use crate::pg::catalog;
use crate::pg::ereport::Report;
use crate::shmem::events::{self, Kind};
use crate::shmem::{arms, corrections, experiences, planned_rows, regions, ring, statements, timings};
use crate::{settings, worker};
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern, pg_sys};

/// Writes down what was learned in this database.
#[pg_extern]
fn dag_learn_now() -> TableIterator<
    'static,
    (
        name!(patterns_updated, i64),
        name!(new_clusters, Option<i64>),
        name!(ewc_constraints_updated, Option<i64>),
        name!(cycle_time_ms, f64),
        name!(statements_updated, i64),
        name!(trajectories_written, i64),
    ),
> {
    let worker::Lesson { cycle, learning } = or_raise(learn_now());
    TableIterator::once((
        (cycle.corrections + learning.patterns) as i64,
        Some(learning.report.found as i64),
        Some(learning.constraints as i64),
        cycle.took_ms,
        cycle.statements as i64,
        cycle.trajectories as i64,
    ))
}

fn learn_now() -> Result<worker::Lesson, Report> {
    may_learn()?;
    Ok(settings::paused(worker::learn_now)?)
}

/// Whether anything can be learned here and now.
pub(super) fn may_learn() -> Result<(), Report> {
    is_readable()?;
    if !settings::is_enabled() {
        return Err(disabled());
    }
    if catalog::is_standby() {
        return Err(learning_failed(
            "a standby only reads what its primary learned".to_owned(),
        ));
    }
    Ok(())
}

/// Forgets what was learned in this database; what is preserved stays in shared memory and in the tables.
#[pg_extern]
fn dag_reset_learning(preserve_patterns: bool, preserve_trajectories: bool) {
    or_raise(reset(None, preserve_patterns, preserve_trajectories));
}

/// The same for one role; what everybody shares stays.
#[pg_extern]
fn dag_reset_role(role: pg_sys::Oid, preserve_patterns: bool, preserve_trajectories: bool) {
    or_raise(reset(
        Some(role.to_u32()),
        preserve_patterns,
        preserve_trajectories,
    ));
}

fn reset(role: Option<u32>, preserve_patterns: bool, preserve_trajectories: bool) -> Result<(), Report> {
    is_writable()?;
    let database = catalog::database();
    settings::paused(|| worker::forget(role, !preserve_patterns, !preserve_trajectories))?;
    statements::reset(database, role);
    regions::reset(database, role);
    planned_rows::reset(database, role);
    experiences::reset(database, role);
    timings::reset(database, role);
    if role.is_none() {
        arms::reset(database);
    }
    if !preserve_patterns {
        corrections::reset(database, role);
    }
    if !preserve_trajectories {
        ring::reset(database, role);
    }
    events::note(Kind::LearningReset, [0.0; 2]);
    Ok(())
}

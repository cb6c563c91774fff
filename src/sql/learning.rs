//! `dag_learn_now` and `dag_reset_learning`.

use crate::error::{disabled, learning_failed, not_preloaded, or_raise};
use crate::pg::catalog;
use crate::pg::ereport::Report;
use crate::shmem::events::{self, Kind};
use crate::shmem::{self, arms, corrections, ring, statements};
use crate::{settings, worker};
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

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
    Ok(settings::paused(worker::learn_now))
}

/// Whether anything can be learned here and now.
pub(super) fn may_learn() -> Result<(), Report> {
    if !shmem::is_available() {
        return Err(not_preloaded());
    }
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
    or_raise(reset(preserve_patterns, preserve_trajectories));
}

fn reset(preserve_patterns: bool, preserve_trajectories: bool) -> Result<(), Report> {
    if !shmem::is_available() {
        return Err(not_preloaded());
    }
    if catalog::is_standby() {
        return Err(learning_failed(
            "a standby only reads what its primary learned".to_owned(),
        ));
    }
    let database = catalog::database();
    settings::paused(|| worker::forget(!preserve_patterns, !preserve_trajectories));
    statements::reset(database);
    arms::reset(database);
    if !preserve_patterns {
        corrections::reset(database);
    }
    if !preserve_trajectories {
        ring::reset(database);
    }
    events::note(Kind::LearningReset, [0.0; 2]);
    Ok(())
}

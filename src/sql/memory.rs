//! `dag_memory_usage`: what is taken, by part.

use crate::error::{learning_failed, not_preloaded, or_raise};
use crate::pg::ereport::Report;
use crate::pg::own_settings;
use crate::worker::{self, known};
use crate::{row_model, settings, shmem, sona};
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

type MemoryRow = (&'static str, i64, i64, Option<i64>);

/// Each part of shared memory, what this session knows, and what is stored in this database.
#[pg_extern]
fn dag_memory_usage() -> TableIterator<
    'static,
    (
        name!(component, &'static str),
        name!(allocated_bytes, i64),
        name!(used_bytes, i64),
        name!(peak_bytes, Option<i64>),
    ),
> {
    TableIterator::new(or_raise(memory_usage()))
}

fn memory_usage() -> Result<Vec<MemoryRow>, Report> {
    if !shmem::is_available() {
        return Err(not_preloaded());
    }
    let stored = settings::paused(|| own_settings::within(known::stored_bytes));
    let (stored, in_use) = stored.map_err(|error| learning_failed(error.to_string()))?;
    let of_process = |bytes: Option<usize>| bytes.unwrap_or(0) as i64;
    let session = of_process(sona::memory_bytes());
    let learner = of_process(worker::sona::kept_bytes());
    let session_rows = of_process(row_model::memory_bytes());
    let learner_rows = of_process(worker::rows::kept_bytes());
    let shared = shmem::usage().into_iter().map(|(part, usage)| {
        let bytes = (usage.allocated as i64, usage.used as i64, usage.peak as i64);
        (part, bytes.0, bytes.1, Some(bytes.2))
    });
    Ok(shared
        .chain([
            ("session_learning", session, session, None),
            ("session_learner", learner, learner, None),
            ("session_row_model", session_rows, session_rows, None),
            ("session_row_learner", learner_rows, learner_rows, None),
            ("stored_state", stored, in_use, None),
        ])
        .collect())
}

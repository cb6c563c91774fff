//! The row model: learned from the counts of executions as they were written down, a second row of `dag_state`.
//!
//! Each execution is predicted before it is learned, and what was predicted stands beside what PostgreSQL estimated in
//! `dag_trajectories`: so everybody can see on their own workload which is nearer.

use super::persist;
use crate::error::learning_failed;
use crate::pg::ereport::Report;
use crate::pg::{catalog, transaction_end};
use crate::shmem::events::{self, Kind};
use crate::shmem::row_models;
use engine::cardinality::{CountedSketch, RowModel, SetCount, SubJoin};
use pgrx::Spi;
use pgrx::spi::SpiResult;
use std::cell::RefCell;
use std::rc::Rc;

/// The row of `dag_state`.
pub(super) const PART: &str = "rows";
/// Executions learned from in one run.
const AT_ONCE: i64 = 1_000;

struct Learned {
    model: RowModel,
    learned_up_to: i64,
    revision: i64,
}

/// A row as it was stored.
struct Stored {
    /// Empty when it is not asked for.
    state: Vec<u8>,
    learned_up_to: i64,
    revision: i64,
}

thread_local! {
    /// A database's model as this process wrote or read it last.
    static KEPT: RefCell<Option<(u32, Learned)>> = const { RefCell::new(None) };
}

/// Why a stored model can't be read; none when it can.
pub(super) fn why_unreadable(state: &[u8]) -> Option<String> {
    RowModel::from_state(state).err().map(|error| error.to_string())
}

/// Learns from the executions written down since the last run, in the transaction under way.
pub(super) fn learn() {
    let database = catalog::database();
    let mut learned = or_fail(take(database));
    let new = or_fail(after(learned.learned_up_to));
    if !new.is_empty() {
        for (id, counted) in new {
            learned.learned_up_to = id;
            learn_execution(&mut learned.model, id, &counted);
        }
        learned.revision = super::sona::next_revision(learned.revision);
        save(&learned);
        publish_when_committed(database, learned.model.to_state_within(row_models::capacity()));
    }
    KEPT.set(Some((database, learned)));
}

fn or_fail<T>(result: SpiResult<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => pgrx::error!("ruvector_dag could not read what was learned of row counts: {error}"),
    }
}

/// What is known, to be changed in the turn to learn.
fn take(database: u32) -> SpiResult<Learned> {
    let kept = KEPT.take().filter(|(kept, _)| *kept == database);
    let stored = stored(Some(kept.as_ref().map_or(-1, |(_, learned)| learned.revision)))?;
    let revision = stored.as_ref().map_or(0, |stored| stored.revision);
    Ok(
        match (kept.filter(|(_, learned)| learned.revision == revision), stored) {
            (Some((_, learned)), _) => learned,
            (None, Some(stored)) => Learned::of(&stored),
            (None, None) => Learned::new(),
        },
    )
}

/// The row as it is now: what may write reads with a snapshot taken after its turn began. Without its state when that is of
/// the known revision, or of any for `None`.
fn stored(known: Option<i64>) -> SpiResult<Option<Stored>> {
    Spi::connect_mut(|client| {
        let rows = client.update(
            "SELECT CASE WHEN revision <> $2 THEN state END, learned_up_to, revision \
             FROM ruvector.dag_state WHERE part = $1",
            Some(1),
            &[PART.into(), known.into()],
        )?;
        let Some(row) = rows.into_iter().next() else {
            return Ok(None);
        };
        Ok(Some(Stored {
            state: row.get::<Vec<u8>>(1)?.unwrap_or_default(),
            learned_up_to: row.get::<i64>(2)?.unwrap_or(0),
            revision: row.get::<i64>(3)?.unwrap_or(0),
        }))
    })
}

impl Learned {
    fn new() -> Self {
        Self {
            model: RowModel::default(),
            learned_up_to: 0,
            revision: 0,
        }
    }

    /// What can't be read is kept aside, under another name, and learning begins anew with the executions that are kept.
    fn of(stored: &Stored) -> Self {
        match RowModel::from_state(&stored.state) {
            Ok(model) => Self {
                model,
                learned_up_to: stored.learned_up_to,
                revision: stored.revision,
            },
            Err(error) => {
                events::note(Kind::StateRefused, [0.0; 2]);
                pgrx::warning!(
                    "ruvector_dag can't read what was learned of row counts and begins anew: {error}; \
                     the old state is kept in dag_state"
                );
                persist::run(
                    "UPDATE ruvector.dag_state SET part = part || ' refused ' || now()::text WHERE part = $1",
                    &[PART.into()],
                );
                Self::new()
            }
        }
    }
}

fn save(learned: &Learned) {
    persist::run(
        "INSERT INTO ruvector.dag_state AS known (part, state, learned_up_to, revision, settings, saved_at) \
         VALUES ($1, $2, $3, $4, '{}', now()) ON CONFLICT (part) DO UPDATE SET state = excluded.state, \
         learned_up_to = excluded.learned_up_to, revision = excluded.revision, saved_at = excluded.saved_at",
        &[
            PART.into(),
            learned.model.to_state().into(),
            learned.learned_up_to.into(),
            learned.revision.into(),
        ],
    );
}

fn publish_when_committed(database: u32, snapshot: Option<Vec<u8>>) {
    let snapshot = Rc::new(snapshot);
    transaction_end::call(Box::new(move |is_committed| match snapshot.as_ref() {
        Some(snapshot) if is_committed => _ = row_models::publish(database, snapshot),
        _ if is_committed => (),
        // What is kept is not what is stored.
        _ => KEPT.set(None),
    }));
}

/// Executions with counts after the numbered one, oldest first, with their numbers.
fn after(id: i64) -> SpiResult<Vec<(i64, Vec<CountedSketch>)>> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT trajectory_id, sub_joins FROM ruvector.dag_trajectories \
             WHERE trajectory_id > $1 AND sub_joins IS NOT NULL ORDER BY trajectory_id LIMIT $2",
            None,
            &[id.into(), AT_ONCE.into()],
        )?;
        rows.map(|row| {
            let bytes = row.get::<Vec<u8>>(2)?.unwrap_or_default();
            // What another version wrote teaches nothing.
            let counted = CountedSketch::from_binary(&bytes).unwrap_or_default();
            Ok((row.get::<i64>(1)?.unwrap_or(id), counted))
        })
        .collect()
    })
}

fn learn_execution(model: &mut RowModel, id: i64, counted: &[CountedSketch]) {
    let counted: Vec<(SubJoin, SetCount)> = counted.iter().flat_map(CountedSketch::sub_joins).collect();
    if let Some(quality) = Quality::of(model, &counted) {
        quality.write(id);
    }
    let counted: Vec<(&SubJoin, f64)> = counted
        .iter()
        .map(|(sub_join, count)| (sub_join, count.rows))
        .collect();
    model.learn_execution(&counted);
}

/// How near the model came to the relations of an execution that had never been counted.
struct Quality {
    model: f64,
    postgres: f64,
    counts: i32,
    /// Of these, within the interval.
    held: i32,
}

impl Quality {
    /// `None` when all had been counted before, or the model knew nothing yet.
    fn of(model: &RowModel, counted: &[(SubJoin, SetCount)]) -> Option<Self> {
        let mut quality = Self {
            model: 1.0,
            postgres: 1.0,
            counts: 0,
            held: 0,
        };
        let is_informed = model.size().0 > 0;
        for (sub_join, count) in counted.iter().filter(|(_, count)| is_informed && count.is_first) {
            let predicted = model.predict(sub_join);
            let log_rows = count.rows.max(1.0).ln();
            let q_error = |log_expected: f64| (log_rows - log_expected).abs().exp();
            quality.model = quality.model.max(q_error(predicted.log_rows));
            quality.postgres = quality.postgres.max(q_error(sub_join.log_estimate()));
            quality.counts += 1;
            // Rounding is not missing.
            let is_held = predicted.lower - 1e-9 <= log_rows && log_rows <= predicted.upper + 1e-9;
            quality.held += i32::from(is_held);
        }
        (quality.counts > 0).then_some(quality)
    }

    fn write(&self, id: i64) {
        persist::run(
            "UPDATE ruvector.dag_trajectories SET model_q_error = $2, estimate_q_error = $3, predicted_counts = $4, \
             held_counts = $5 WHERE trajectory_id = $1",
            &[
                id.into(),
                self.model.into(),
                self.postgres.into(),
                self.counts.into(),
                self.held.into(),
            ],
        );
    }
}

/// The model of the current database as it is stored; one that knows nothing when there is none.
pub(crate) fn export() -> Result<Vec<u8>, Report> {
    let stored = persist::state_of(PART).map_err(|error| unreadable(&error))?;
    let state = stored.unwrap_or_else(|| RowModel::default().to_state());
    RowModel::from_state(&state).map_err(|error| unreadable(&error))?;
    Ok(state)
}

fn unreadable(error: &dyn std::fmt::Display) -> Report {
    learning_failed(format!("what was learned of row counts can't be read: {error}"))
}

/// Puts another model in the place of the current database's, in the turn to learn. Of the executions that are kept it learns
/// only from those to come.
pub(crate) fn replace(model: RowModel) {
    let database = catalog::database();
    let snapshot = model.to_state_within(row_models::capacity());
    let stored = or_fail(stored(None));
    let learned = Learned {
        model,
        learned_up_to: stored.as_ref().map_or(0, |stored| stored.learned_up_to),
        revision: super::sona::next_revision(stored.map_or(0, |stored| stored.revision)),
    };
    save(&learned);
    publish_when_committed(database, snapshot);
    KEPT.set(Some((database, learned)));
}

/// Bytes of the model that this process keeps; none when it keeps none.
pub(crate) fn kept_bytes() -> Option<usize> {
    KEPT.with_borrow(|kept| kept.as_ref().map(|(_, learned)| learned.model.memory_bytes()))
}

/// Publishes what was learned earlier, after a start.
pub(super) fn publish(database: u32) {
    if row_models::version(database) == 0
        && let Ok(Some(stored)) = persist::state_of(PART)
        && let Ok(model) = RowModel::from_state(&stored)
        && let Some(state) = model.to_state_within(row_models::capacity())
    {
        row_models::publish(database, &state);
    }
}

/// Forgets what is learned in the current database.
pub(super) fn forget() {
    KEPT.set(None);
    persist::run("DELETE FROM ruvector.dag_state WHERE part = $1", &[PART.into()]);
    row_models::reset(catalog::database());
}

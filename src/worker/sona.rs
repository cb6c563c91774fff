//! The state that loops B and C change: adapters, patterns and predictions made of executions that were written down.
//!
//! What is learned is one row of `dag_state`, changed in the transaction that notes up to which execution it was learned,
//! so that each execution is learned from once, whatever fails. A process keeps the engine of the row it wrote or read
//! last. Sessions get a copy in shared memory.

use crate::error::learning_failed;
use crate::pg::ereport::Report;
use crate::pg::turns::{self, Turn};
use crate::pg::{catalog, threads, transaction_end};
use crate::settings;
use crate::shmem::events::{self, Kind};
use crate::shmem::layout::Use;
use crate::shmem::{snapshots, uses};
use engine::learning::{DagSonaEngine, SonaConfig};
use pgrx::Spi;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::spi::{SpiHeapTupleData, SpiResult};
use std::cell::RefCell;
use std::rc::Rc;

/// The row of `dag_state`.
pub(super) const PART: &str = "sona";
/// The most that a session takes over: what it reads takes it some milliseconds.
const PUBLISHED: usize = 1 << 20;

/// What is known in a database, and up to which execution it was learned.
pub(crate) struct Learned {
    pub(crate) engine: DagSonaEngine,
    pub(crate) learned_up_to: i64,
    /// What the owner set for this database, over the server's settings.
    own: OwnSettings,
}

/// Settings of one database; what is none follows the server's.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub(crate) struct OwnSettings {
    pub(crate) micro_lora_rank: Option<usize>,
    pub(crate) base_lora_rank: Option<usize>,
    pub(crate) ewc_lambda: Option<f64>,
    pub(crate) pattern_clusters: Option<usize>,
}

impl OwnSettings {
    fn over(self, server: SonaConfig) -> SonaConfig {
        let lambda = self.ewc_lambda.map_or(server.ewc_lambda, |lambda| lambda as f32);
        SonaConfig {
            micro_rank: self.micro_lora_rank.unwrap_or(server.micro_rank),
            base_rank: self.base_lora_rank.unwrap_or(server.base_rank),
            ewc_lambda: lambda,
            max_ewc_lambda: server.max_ewc_lambda.max(lambda),
            clusters: self.pattern_clusters.unwrap_or(server.clusters),
            ..server
        }
    }
}

/// A row as it was stored.
struct Stored {
    /// Empty when it is not asked for.
    state: Vec<u8>,
    learned_up_to: i64,
    revision: i64,
    own: OwnSettings,
}

thread_local! {
    /// The revision of a database's row, and the engine made of it.
    static KEPT: RefCell<Option<(u32, i64, Learned)>> = const { RefCell::new(None) };
}

/// Runs `work` on what is known in the current database, in the turn to learn. When `work` says that it changed something it
/// is saved, and published when the transaction commits.
pub(crate) fn with_learned<R>(work: impl FnOnce(&mut Learned) -> (R, bool)) -> R {
    // In a session; a worker has its threads already.
    threads::prepare_session();
    let database = catalog::database();
    let (mut learned, revision) = take(database);
    let (result, is_changed) = work(&mut learned);
    if is_changed {
        save_and_keep(database, learned, revision);
    } else {
        KEPT.set(Some((database, revision, learned)));
    }
    result
}

/// Saves what followed from this revision, and publishes it when the transaction commits.
fn save_and_keep(database: u32, learned: Learned, revision: i64) {
    let revision = next_revision(revision);
    save(&learned, revision);
    let snapshot = Rc::new(for_sessions(&learned.engine));
    transaction_end::call(Box::new(move |is_committed| match is_committed {
        true => _ = snapshots::publish(database, &snapshot),
        // What is kept is not what is stored.
        false => KEPT.set(None),
    }));
    KEPT.set(Some((database, revision, learned)));
}

/// Runs `work`, which may take long, on what is known in the current database, and saves what it changed unless that was
/// changed elsewhere meanwhile, or is about to be: nobody waits for `work`, and it waits for nobody. False when it was
/// not saved.
pub(super) fn aside<R>(work: impl FnOnce(&mut Learned) -> R) -> (R, bool) {
    threads::prepare_session();
    let database = catalog::database();
    let (mut learned, revision) = match read(database) {
        Ok((learned, revision, _)) => (learned, revision),
        // Which keeps what can't be read aside.
        Err(_) if turns::try_for(Turn::Learn).is_ok() => take(database),
        Err(_) => (Learned::new(OwnSettings::default(), 0), -1),
    };
    learned.configure();
    let result = work(&mut learned);
    let is_unchanged = turns::try_for(Turn::Learn).is_ok() && current_revision() == Some(revision);
    if is_unchanged {
        save_and_keep(database, learned, revision);
    }
    // Of nothing there is nothing to save.
    (result, is_unchanged || revision == 0)
}

/// The revision of the row as it is now; none without one.
fn current_revision() -> Option<i64> {
    or_fail(stored(None)).map(|stored| stored.revision)
}

fn or_fail<T>(result: SpiResult<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => pgrx::error!("ruvector_dag could not read what was learned: {error}"),
    }
}

/// Counts on from the clock, so that a row never has the revision of one that was there before it was forgotten.
pub(super) fn next_revision(revision: i64) -> i64 {
    catalog::now().max(revision + 1)
}

/// What is known, to be changed in the turn to learn, and the revision of its row; 0 without one.
fn take(database: u32) -> (Learned, i64) {
    let kept = KEPT.take().filter(|(kept, ..)| *kept == database);
    let revision = kept.as_ref().map_or(-1, |(_, revision, _)| *revision);
    let stored = or_fail(stored(Some(revision)));
    let current = stored.as_ref().map_or(0, |stored| stored.revision);
    match (kept.filter(|_| revision == current), stored) {
        (Some((_, _, mut learned)), _) => {
            learned.configure();
            (learned, revision)
        }
        (None, Some(stored)) => (Learned::of(stored), current),
        (None, None) => (Learned::new(OwnSettings::default(), 0), 0),
    }
}

/// Runs `work` on what is known in the current database and on when it was saved, without a lock and without changing
/// anything.
pub(crate) fn with_known<R>(
    work: impl FnOnce(&Learned, Option<TimestampWithTimeZone>) -> R,
) -> Result<R, Report> {
    let database = catalog::database();
    let (learned, revision, saved_at) = read(database)?;
    let result = work(&learned, saved_at);
    KEPT.set(Some((database, revision, learned)));
    Ok(result)
}

/// What is known, the revision of its row (0 without one) and when that was saved, without a lock.
fn read(database: u32) -> Result<(Learned, i64, Option<TimestampWithTimeZone>), Report> {
    let kept = KEPT.take().filter(|(kept, ..)| *kept == database);
    let revision = kept.as_ref().map_or(-1, |(_, revision, _)| *revision);
    let unreadable = |error: &dyn std::fmt::Display| {
        learning_failed(format!("what was learned earlier can't be read: {error}"))
    };
    let row = newer_than(Some(revision)).map_err(|error| unreadable(&error))?;
    let saved_at = row.as_ref().and_then(|row| row.saved_at);
    let (revision, learned) = match (kept, row) {
        (Some((_, revision, learned)), Some(row)) if row.stored.revision == revision => (revision, learned),
        (_, Some(row)) => {
            let revision = row.stored.revision;
            (
                revision,
                Learned::read(row.stored).map_err(|error| unreadable(&error))?,
            )
        }
        (_, None) => (0, Learned::new(OwnSettings::default(), 0)),
    };
    Ok((learned, revision, saved_at))
}

/// Forgets what this process keeps, since it is not what is stored.
pub(crate) fn let_go() {
    KEPT.set(None);
}

/// A row as it is read without a lock.
struct Row {
    stored: Stored,
    saved_at: Option<TimestampWithTimeZone>,
}

/// The row; without its state when that is of this revision, or of any for `None`.
fn newer_than(revision: Option<i64>) -> SpiResult<Option<Row>> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT CASE WHEN revision <> $2 THEN state END, learned_up_to, revision, settings::text, saved_at \
             FROM ruvector.dag_state WHERE part = $1",
            Some(1),
            &[PART.into(), revision.into()],
        )?;
        let row = rows.into_iter().next();
        row.map(|row| {
            let saved_at = row.get(5)?;
            Ok(Row {
                stored: Stored::of(&row)?,
                saved_at,
            })
        })
        .transpose()
    })
}

impl Stored {
    /// From the columns state, learned_up_to, revision, settings.
    fn of(row: &SpiHeapTupleData<'_>) -> SpiResult<Self> {
        let own = row.get::<String>(4)?.unwrap_or_default();
        Ok(Self {
            state: row.get::<Vec<u8>>(1)?.unwrap_or_default(),
            learned_up_to: row.get::<i64>(2)?.unwrap_or(0),
            revision: row.get::<i64>(3)?.unwrap_or(0),
            own: serde_json::from_str(&own).unwrap_or_default(),
        })
    }
}

/// The same as it is now: what may write reads with a snapshot taken after its turn began.
fn stored(known: Option<i64>) -> SpiResult<Option<Stored>> {
    Spi::connect_mut(|client| {
        let rows = client.update(
            "SELECT CASE WHEN revision <> $2 THEN state END, learned_up_to, revision, settings::text \
             FROM ruvector.dag_state WHERE part = $1",
            Some(1),
            &[PART.into(), known.into()],
        )?;
        rows.into_iter().next().map(|row| Stored::of(&row)).transpose()
    })
}

fn save(learned: &Learned, revision: i64) {
    let own = serde_json::to_string(&learned.own).unwrap_or_else(|_| "{}".to_owned());
    let state = learned.engine.to_state();
    let patterns = learned.engine.bank().len();
    events::note(Kind::StateSaved, [state.len() as f64, patterns as f64]);
    super::persist::run(
        "INSERT INTO ruvector.dag_state AS known (part, state, learned_up_to, revision, settings, saved_at) \
         VALUES ($1, $2, $3, $4, $5::jsonb, now()) ON CONFLICT (part) DO UPDATE SET state = excluded.state, \
         learned_up_to = excluded.learned_up_to, revision = excluded.revision, settings = excluded.settings, \
         saved_at = excluded.saved_at",
        &[
            PART.into(),
            state.into(),
            learned.learned_up_to.into(),
            revision.into(),
            own.into(),
        ],
    );
}

impl Learned {
    fn new(own: OwnSettings, learned_up_to: i64) -> Self {
        let config = own.over(settings::sona());
        // Settings that don't go together are not taken.
        let engine = DagSonaEngine::new(config).or_else(|_| DagSonaEngine::new(SonaConfig::default()));
        let Ok(engine) = engine else {
            pgrx::error!("ruvector_dag has no valid learning settings");
        };
        Self {
            engine,
            learned_up_to,
            own,
        }
    }

    fn read(stored: Stored) -> Result<Self, engine::Error> {
        let config = stored.own.over(settings::sona());
        Ok(Self {
            engine: DagSonaEngine::from_state(config, &stored.state)?,
            learned_up_to: stored.learned_up_to,
            own: stored.own,
        })
    }

    /// What can't be read is kept aside, under another name, and learning begins anew.
    fn of(stored: Stored) -> Self {
        let own = stored.own;
        match Self::read(stored) {
            Ok(mut learned) => {
                learned.configure();
                learned
            }
            Err(error) => {
                pgrx::warning!(
                    "ruvector_dag can't read what was learned earlier and begins anew: {error}; \
                     the old state is kept in dag_state"
                );
                events::note(Kind::StateRefused, [0.0; 2]);
                super::persist::run(
                    "UPDATE ruvector.dag_state SET part = part || ' refused ' || now()::text WHERE part = $1",
                    &[PART.into()],
                );
                Self::new(own, 0)
            }
        }
    }

    /// Takes changed settings over. Adapters of another rank begin anew.
    fn configure(&mut self) {
        if let Err(error) = self.engine.configure(self.own.over(settings::sona())) {
            pgrx::log!("ruvector_dag keeps its learning settings: {error}");
        }
    }

    /// Takes over the uses of patterns that were noted since the last time; answers how many patterns were used.
    pub(crate) fn take_uses(&mut self, database: u32) -> usize {
        let noted = uses::of_database(database);
        let count = noted.len();
        for noted in &noted {
            let at = u64::try_from(noted.last_at).unwrap_or(0);
            (0..noted.count).for_each(|_| _ = self.engine.bank_mut().record_use(noted.pattern, at));
        }
        settle_when_committed(noted);
        count
    }

    /// Sets what differs from the server's settings.
    pub(crate) fn set_own_settings(&mut self, own: OwnSettings) -> Result<(), engine::Error> {
        self.engine.configure(own.over(settings::sona()))?;
        self.own = own;
        Ok(())
    }
}

/// Uses that were taken over, or are of patterns that are replaced, are done with when the transaction commits.
fn settle_when_committed(noted: Vec<Use>) {
    if !noted.is_empty() {
        transaction_end::call(Box::new(move |is_committed| {
            if is_committed {
                uses::settle(&noted);
            }
        }));
    }
}

/// Reads what was exported elsewhere, as an engine of the current database. It may take long, so before one's turn.
pub(crate) fn read_exported(state: &[u8]) -> Result<DagSonaEngine, engine::Error> {
    threads::prepare_session();
    let own = or_fail(newer_than(None)).map_or(OwnSettings::default(), |row| row.stored.own);
    DagSonaEngine::from_state(own.over(settings::sona()), state)
}

/// Puts another engine in the place of the current database's, in the turn to learn. Of the executions that are kept it learns
/// only from those to come.
pub(crate) fn replace(engine: DagSonaEngine) {
    let database = catalog::database();
    settle_when_committed(uses::of_database(database));
    let stored = or_fail(stored(None));
    let revision = stored.as_ref().map_or(0, |stored| stored.revision);
    let mut learned = Learned {
        engine,
        learned_up_to: stored.as_ref().map_or(0, |stored| stored.learned_up_to),
        own: stored.map_or(OwnSettings::default(), |stored| stored.own),
    };
    learned.configure();
    save_and_keep(database, learned, revision);
}

/// Publishes what was learned earlier, after a start.
pub(super) fn publish(database: u32) {
    if !snapshots::has(database)
        && let Ok(Some(stored)) = super::persist::state_of(PART)
        && let Ok(engine) = DagSonaEngine::from_state(settings::sona(), &stored)
    {
        snapshots::publish(database, &for_sessions(&engine));
    }
}

fn for_sessions(engine: &DagSonaEngine) -> Vec<u8> {
    engine.to_state_within(snapshots::capacity().min(PUBLISHED))
}

/// Why a stored state can't be read; none when it can.
pub(super) fn why_unreadable(state: &[u8]) -> Option<String> {
    let read = DagSonaEngine::from_state(settings::sona(), state);
    read.err().map(|error| error.to_string())
}

/// Bytes of the engine that this process keeps; none when it keeps none.
pub(crate) fn kept_bytes() -> Option<usize> {
    KEPT.with_borrow(|kept| kept.as_ref().map(|(_, _, learned)| learned.engine.memory_bytes()))
}

/// The engine's clock: microseconds of PostgreSQL's.
pub(crate) fn microseconds() -> u64 {
    u64::try_from(catalog::now()).unwrap_or(0)
}

/// Forgets what is learned in the current database.
pub(crate) fn forget() {
    KEPT.set(None);
    super::persist::run("DELETE FROM ruvector.dag_state WHERE part = $1", &[PART.into()]);
    snapshots::reset(catalog::database());
    uses::reset(catalog::database());
}

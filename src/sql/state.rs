//! All that is learned: settings, what is protected, dreams, moving it between servers.

use crate::error::{
    disabled, from_engine, invalid_argument, learning_failed, not_preloaded, of_other_version, or_raise,
    read_only, too_large,
};
use crate::pg::catalog;
use crate::pg::ereport::Report;
use crate::pg::extension::Presence;
use crate::pg::turns::Gone;
use crate::pg::{background_worker, own_settings, threads};
use crate::settings;
use crate::shmem::{self, statements};
use crate::worker::patterns::{begin_change, change, parameter_name};
use crate::worker::sona::{self, OwnSettings, with_known};
use crate::worker::trials::Candidates;
use crate::worker::{self, Dreamt, rows};
use engine::bundle::StateBundle;
use engine::cardinality::RowModel;
use engine::learning::Execution;
use engine::learning::dream::Dream;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Parts of what is exported: the learning system, the row model.
const SONA: &str = "sona";
const ROWS: &str = "rows";
const EXPORTED: &str = "Use what dag_export_state returned on a server of this version or an older one.";
/// The most that is imported.
const IMPORTED_BYTES: usize = 256 << 20;
/// The longest dream.
const LONGEST_DREAM_US: i128 = 3_600_000_000;

/// Fails without shared memory, and where the tables are not those of this library's version.
pub(super) fn is_readable() -> Result<(), Report> {
    threads::prepare_session();
    if !shmem::is_available() {
        Err(not_preloaded())
    } else if catalog::extension() == Presence::OfOtherVersion {
        Err(of_other_version())
    } else {
        Ok(())
    }
}

/// Fails without shared memory, on a standby and in a read-only transaction.
pub(super) fn is_writable() -> Result<(), Report> {
    is_readable()?;
    if catalog::is_standby() {
        let reason = "a standby only reads what its primary learned";
        return Err(learning_failed(reason.to_owned()));
    }
    if catalog::is_read_only() {
        return Err(read_only());
    }
    Ok(())
}

/// Who looks.
pub(super) struct Viewer {
    user: u32,
    sees_all: bool,
}

impl Viewer {
    /// The current user, asked before the rights change.
    pub(super) fn current() -> Self {
        Self {
            user: catalog::user(),
            sees_all: catalog::reads_all_stats(),
        }
    }

    /// Whether what this user ran is the viewer's own, or all is shown.
    pub(super) fn sees_user(&self, user: u32) -> bool {
        self.sees_all || user == self.user
    }

    /// Whether a statement class is the viewer's own, or all are shown.
    pub(super) fn sees(&self, class: u64) -> bool {
        self.sees_all || statements::get(class).is_some_and(|known| self.sees_user(known.user))
    }
}

/// Sets how this database learns; what is NULL follows the server's settings.
#[pg_extern]
fn dag_configure_sona(
    micro_lora_rank: Option<i32>,
    base_lora_rank: Option<i32>,
    ewc_lambda: Option<f64>,
    pattern_clusters: Option<i32>,
) {
    or_raise(configure(
        micro_lora_rank,
        base_lora_rank,
        ewc_lambda,
        pattern_clusters,
    ));
}

fn configure(
    micro_rank: Option<i32>,
    base_rank: Option<i32>,
    lambda: Option<f64>,
    clusters: Option<i32>,
) -> Result<(), Report> {
    is_writable()?;
    let own = OwnSettings {
        micro_lora_rank: number("micro_lora_rank", micro_rank, 2)?,
        base_lora_rank: number("base_lora_rank", base_rank, 64)?,
        ewc_lambda: lambda
            .map(|lambda| in_range("ewc_lambda", lambda, (1e-9, 1e9)))
            .transpose()?,
        pattern_clusters: number("pattern_clusters", clusters, 10_000)?,
    };
    settings::paused(|| change(|learned| learned.set_own_settings(own).map_err(from_engine)))
}

fn number(name: &str, given: Option<i32>, greatest: i32) -> Result<Option<usize>, Report> {
    let Some(given) = given else { return Ok(None) };
    in_range(name, f64::from(given), (1.0, f64::from(greatest)))?;
    Ok(usize::try_from(given).ok())
}

fn in_range(name: &str, given: f64, (least, greatest): (f64, f64)) -> Result<f64, Report> {
    if (least..=greatest).contains(&given) {
        return Ok(given);
    }
    Err(invalid_argument(
        format!("{name} is out of its range: {given}"),
        &format!("Use a number from {least} to {greatest}, or NULL for the server's setting."),
    ))
}

type ConstraintRow = (String, f64, f64, Option<TimestampWithTimeZone>);

/// The parameters that earlier workloads protect.
#[pg_extern]
fn dag_ewc_constraints() -> TableIterator<
    'static,
    (
        name!(parameter_name, String),
        name!(fisher_importance, f64),
        name!(optimal_value, f64),
        name!(last_updated, Option<TimestampWithTimeZone>),
    ),
> {
    TableIterator::new(or_raise(constraints()))
}

fn constraints() -> Result<Vec<ConstraintRow>, Report> {
    is_readable()?;
    settings::paused(|| {
        own_settings::within(|| {
            with_known(|learned, saved_at| {
                let ewc = learned.engine.ewc();
                let row = |(at, importance, value): (usize, f32, f32)| {
                    let name = parameter_name(at, ewc.parameters());
                    (name, f64::from(importance), f64::from(value), saved_at)
                };
                ewc.constraints().map(row).collect()
            })
        })
    })
}

/// All that is learned in this database, as bytes.
#[pg_extern]
fn dag_export_state() -> Vec<u8> {
    or_raise(export())
}

fn export() -> Result<Vec<u8>, Report> {
    is_readable()?;
    let (sona, rows) = settings::paused(|| {
        own_settings::within(|| (with_known(|learned, _| learned.engine.to_state()), rows::export()))
    });
    let states = vec![(SONA.to_owned(), sona?), (ROWS.to_owned(), rows?)];
    Ok(StateBundle::new(states).to_binary())
}

/// Puts what was exported elsewhere in the place of what is learned in this database.
#[pg_extern]
fn dag_import_state(
    state: &[u8],
) -> TableIterator<
    'static,
    (
        name!(patterns_imported, i64),
        name!(trajectories_imported, i64),
        name!(clusters_restored, i64),
    ),
> {
    TableIterator::once(or_raise(import(state)))
}

fn import(state: &[u8]) -> Result<(i64, i64, i64), Report> {
    is_writable()?;
    if state.len() > IMPORTED_BYTES {
        return Err(too_large("a learned state", state.len(), IMPORTED_BYTES));
    }
    let bundle = match StateBundle::is_one(state) {
        true => Some(StateBundle::from_binary(state).map_err(not_understood)?),
        // What was exported before row counts were part of it.
        false => None,
    };
    if let Some(strange) = bundle
        .iter()
        .flat_map(StateBundle::names)
        .find(|name| ![SONA, ROWS].contains(name))
    {
        return Err(invalid_argument(
            format!("the state has a part that is not known here: {strange}"),
            EXPORTED,
        ));
    }
    let (state, rows) = match &bundle {
        Some(bundle) => (bundle.state(SONA).unwrap_or_default(), bundle.state(ROWS)),
        None => (state, None),
    };
    settings::paused(|| own_settings::within(|| replace(state, rows)))
}

fn replace(state: &[u8], rows: Option<&[u8]>) -> Result<(i64, i64, i64), Report> {
    let engine = sona::read_exported(state).map_err(not_understood)?;
    let rows = rows
        .map(RowModel::from_state)
        .transpose()
        .map_err(not_understood)?;
    let bank = engine.bank();
    // A pattern of one execution was stored, not found.
    let clusters = bank.patterns().iter().filter(|pattern| pattern.size > 1).count();
    let imported = (
        bank.len() as i64,
        engine.executions().len() as i64,
        clusters as i64,
    );
    begin_change()?;
    sona::replace(engine);
    rows.into_iter().for_each(rows::replace);
    Ok(imported)
}

fn not_understood(error: engine::Error) -> Report {
    Report {
        hint: Some(EXPORTED.to_owned()),
        ..from_engine(error)
    }
}

type DreamRow = (Option<i64>, Option<i64>, i64, f64, f64, f64, f64, f64);

/// One deep cycle now.
#[pg_extern]
fn dag_dream(
    budget: Interval,
) -> TableIterator<
    'static,
    (
        name!(queryid, Option<i64>),
        name!(class, Option<i64>),
        name!(decision, i64),
        name!(predicted_ms, f64),
        name!(deviation, f64),
        name!(phi, f64),
        name!(expected_gain_ms, f64),
        name!(time_limit_ms, f64),
    ),
> {
    TableIterator::new(or_raise(dream(&budget)))
}

/// Tries if that is allowed, and plans what to try next. In this order, since what was planned is saved, and the turn to learn
/// is kept from then on.
fn try_and_dream(budget: Duration) -> Dreamt {
    if !settings::runs_trials() {
        return worker::dream(budget);
    }
    let begun = Instant::now();
    let planning = budget.div_f64(PLANNING_SHARE).min(MOST_PLANNING);
    match Candidates::read() {
        Ok(mut candidates) => {
            let left = budget.saturating_sub(planning).saturating_sub(begun.elapsed());
            candidates.run(left, usize::MAX, false);
        }
        Err(error) => pgrx::error!("ruvector_dag could not read the statements to try: {error}"),
    }
    worker::dream(planning)
}

/// Has what ran a moment ago written down and learned by another process, where that can be: a dream is long, and nobody should
/// have to wait for its end to change what is known.
fn learn_before() -> Result<(), Gone> {
    if catalog::has_written() || !background_worker::learn() {
        worker::learn_now()?;
    } else {
        catalog::begin_to_write();
    }
    Ok(())
}

/// Of a dream's time, this part plans when trials run, too …
const PLANNING_SHARE: f64 = 10.0;
/// … and no longer than this.
const MOST_PLANNING: Duration = Duration::from_secs(1);

fn dream(budget: &Interval) -> Result<Vec<DreamRow>, Report> {
    is_writable()?;
    if !settings::is_enabled() {
        return Err(disabled());
    }
    let budget_us = budget.as_micros();
    if !(1..=LONGEST_DREAM_US).contains(&budget_us) {
        let message = "the budget of a dream is out of its range".to_owned();
        return Err(invalid_argument(
            message,
            "Use an interval above 0 of up to one hour.",
        ));
    }
    let budget = Duration::from_micros(u64::try_from(budget_us).unwrap_or(0));
    let viewer = Viewer::current();
    let Dreamt {
        report,
        executions,
        is_kept,
    } = settings::paused(|| {
        own_settings::within_as_owner(|| {
            if settings::runs_trials() {
                learn_before()?;
            }
            match catalog::lock_extension() {
                true => Ok(try_and_dream(budget)),
                false => Err(Gone),
            }
        })
    })?;
    if !is_kept {
        pgrx::notice!("what the dream trained is dropped, since something else was learned meanwhile");
    }
    let known: HashMap<u64, &Execution> = executions.iter().map(|seen| (seen.statement, seen)).collect();
    let rows = report.dreams.iter();
    Ok(rows
        .map(|dream| dream_row(dream, known.get(&dream.statement).copied(), &viewer))
        .collect())
}

fn dream_row(dream: &Dream, known: Option<&Execution>, viewer: &Viewer) -> DreamRow {
    let known = known.filter(|known| viewer.sees(known.statement));
    (
        known.map(|known| known.template as i64),
        known.map(|known| known.statement as i64),
        dream.decision as i64,
        dream.log_latency.exp(),
        dream.deviation,
        dream.phi,
        dream.expected_gain_ms,
        dream.time_limit_ms,
    )
}

//! Whether everything runs: what a DBA looks at first.

use crate::pg::{catalog, own_settings};
use crate::settings;
use crate::shmem::{self, counters, databases, guards};
use crate::worker::known;
use pgrx::Spi;
use pgrx::spi::SpiResult;

/// The launcher looks around each second.
const LAUNCHER_S: i64 = 15;
/// A worker visits each database at least each 30 seconds, or waits a little after a failure.
const WORKER_S: i64 = 120;
/// Share of a ring or table from which on it is called full.
const FULL: f64 = 0.9;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    /// It runs, and somebody should look.
    Warning,
    /// It does not.
    Error,
}

impl Status {
    /// As users see it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    fn warning_if(is_bad: bool) -> Self {
        if is_bad { Self::Warning } else { Self::Ok }
    }
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) component: &'static str,
    pub(crate) status: Status,
    /// When it was known to be so, as PostgreSQL counts it.
    pub(crate) at: i64,
    pub(crate) message: String,
}

impl Check {
    fn new(component: &'static str, status: Status, message: String) -> Self {
        let at = catalog::now();
        Self {
            component,
            status,
            at,
            message,
        }
    }
}

/// Looks at everything; without shared memory at what there is.
pub(crate) fn checks() -> SpiResult<Vec<Check>> {
    let mut checks = vec![library(), version()?, switches()?];
    if shmem::is_available() {
        checks.extend([launcher(), worker()]);
        checks.extend(stored_state()?);
        checks.extend([ring(), tables_in_memory(), breaker(), errors()]);
    }
    checks.push(tables()?);
    Ok(checks)
}

fn library() -> Check {
    let (status, message) = match shmem::is_available() {
        true => (Status::Ok, "the library is in shared_preload_libraries"),
        false => (
            Status::Error,
            "the library is not in shared_preload_libraries: nothing is learned or steered",
        ),
    };
    Check::new("library", status, message.to_owned())
}

fn version() -> SpiResult<Check> {
    let library = env!("CARGO_PKG_VERSION");
    let script = Spi::get_one::<String>(
        "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'ruvector_dag'",
    )?
    .unwrap_or_default();
    let is_old = script != library;
    let message = match is_old {
        true => format!(
            "the library is of version {library}, the extension's objects of {script}: ALTER EXTENSION ruvector_dag UPDATE"
        ),
        false => format!("library and objects are of version {library}"),
    };
    Ok(Check::new("version", Status::warning_if(is_old), message))
}

fn switches() -> SpiResult<Check> {
    let query_ids = Spi::get_one::<String>("SELECT pg_catalog.current_setting('compute_query_id')")?;
    let (status, message) = if query_ids.as_deref() == Some("off") {
        (
            Status::Error,
            "compute_query_id is off: statements can't be told apart",
        )
    } else if !settings::is_enabled() {
        (
            Status::Warning,
            "switched off by ruvector.neural_dag_enabled or ruvector.dag_mode",
        )
    } else {
        (Status::Ok, "switched on")
    };
    Ok(Check::new("settings", status, message.to_owned()))
}

/// Something that should have happened at most so many seconds ago.
fn recent(component: &'static str, what: &str, at: i64, limit: i64) -> Check {
    let age = catalog::seconds() - at;
    let (status, message) = match at {
        0 => (
            Status::Warning,
            format!("{what} did not happen since the server started"),
        ),
        _ => (
            Status::warning_if(age > limit),
            format!("{what} was {age} seconds ago"),
        ),
    };
    let at = if at == 0 { catalog::now() } else { at * 1_000_000 };
    Check {
        at,
        ..Check::new(component, status, message)
    }
}

fn launcher() -> Check {
    recent(
        "launcher",
        "its latest look around",
        counters::launcher_at(),
        LAUNCHER_S,
    )
}

fn worker() -> Check {
    let database = catalog::database();
    let check = recent(
        "worker",
        "its latest cycle",
        databases::cycled_at(database),
        WORKER_S,
    );
    match databases::is_loaded(database) {
        true => check,
        false => Check {
            status: Status::Warning,
            message: "what was learned earlier is not loaded yet".to_owned(),
            ..check
        },
    }
}

fn stored_state() -> SpiResult<Vec<Check>> {
    let stored = own_settings::within_as_owner(known::stored_parts)?;
    let checks = stored.into_iter().map(|part| {
        let (status, message) = match part.error {
            None if part.is_aside => (Status::Warning, format!("{} is kept aside", part.name)),
            None => (
                Status::Ok,
                format!("{} of {} bytes can be read", part.name, part.bytes),
            ),
            Some(error) => (Status::Error, format!("{} can't be read: {error}", part.name)),
        };
        Check::new("state", status, message)
    });
    let mut checks: Vec<Check> = checks.collect();
    if checks.is_empty() {
        checks.push(Check::new(
            "state",
            Status::Ok,
            "nothing is stored yet".to_owned(),
        ));
    }
    Ok(checks)
}

fn usage(part: &str) -> f64 {
    let usage = shmem::usage().into_iter().find(|(name, _)| *name == part);
    usage.map_or(0.0, |(_, usage)| {
        usage.used as f64 / usage.allocated.max(1) as f64
    })
}

fn ring() -> Check {
    let filled = usage("trajectory_ring");
    let dropped = counters::count("trajectories_dropped");
    let status = Status::warning_if(filled > FULL || dropped > 0);
    let message = format!("{:.0} % full, {dropped} executions dropped", filled * 100.0);
    Check::new("ring", status, message)
}

fn tables_in_memory() -> Check {
    let [corrections, classes] = ["corrections", "statement_classes"].map(usage);
    let status = Status::warning_if(corrections.max(classes) > FULL);
    let message = format!(
        "row counts {:.0} % full, statement classes {:.0} %; the least recently used make room",
        corrections * 100.0,
        classes * 100.0
    );
    Check::new("shared_memory", status, message)
}

fn breaker() -> Check {
    let guard = guards::get(catalog::database());
    let is_open = guards::is_suspended(&guard);
    let message = match is_open {
        true => "open: decisions were slower than stock lately, so all are suspended",
        false => "closed: decisions are applied",
    };
    Check::new("circuit_breaker", Status::warning_if(is_open), message.to_owned())
}

fn errors() -> Check {
    let caught = counters::count("internal_errors");
    let message = format!("{caught} internal errors caught");
    Check::new("internal_errors", Status::warning_if(caught > 0), message)
}

fn tables() -> SpiResult<Check> {
    let bytes = Spi::get_one::<i64>(
        "SELECT coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::int8 FROM pg_catalog.pg_class AS c \
         JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
         AND d.deptype = 'e' JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid \
         WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND e.extname = 'ruvector_dag' \
         AND c.relkind = 'r'",
    )?;
    let kilobytes = bytes.unwrap_or(0) / 1024;
    Ok(Check::new(
        "tables",
        Status::Ok,
        format!("{kilobytes} kB in this database"),
    ))
}

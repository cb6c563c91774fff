//! Errors of the SQL surface: each kind's SQLSTATE, message and hint.

use crate::pg::ereport::{Report, raise, sqlstate};
use crate::pg::turns::Gone;

/// Raises the error a SQL function ended with; call it with nothing left to drop.
pub(crate) fn or_raise<T>(result: Result<T, Report>) -> T {
    match result {
        Ok(value) => value,
        Err(report) => raise(report),
    }
}

/// Shared memory is needed and the library was not preloaded.
pub(crate) fn not_preloaded() -> Report {
    Report {
        sqlstate: sqlstate(b"55000"),
        message: "ruvector_dag must be loaded via shared_preload_libraries".to_owned(),
        detail: Some(
            "What is learned lies in shared memory, which is reserved when the server starts.".to_owned(),
        ),
        hint: Some("Add ruvector_dag to shared_preload_libraries in postgresql.conf and restart.".to_owned()),
    }
}

/// The database's objects are of another version than the library.
pub(crate) fn of_other_version() -> Report {
    Report {
        sqlstate: sqlstate(b"55000"),
        message: format!(
            "the extension in this database is not of the library's version {}",
            env!("CARGO_PKG_VERSION")
        ),
        detail: Some(
            "Nothing is learned in this database, and its statements are planned as stock PostgreSQL does."
                .to_owned(),
        ),
        hint: Some("Run ALTER EXTENSION ruvector_dag UPDATE; what was learned is kept.".to_owned()),
    }
}

/// The extension is switched off for this session (RV001).
pub(crate) fn disabled() -> Report {
    Report {
        sqlstate: sqlstate(b"RV001"),
        message: "ruvector_dag is disabled".to_owned(),
        detail: None,
        hint: Some(
            "Set ruvector.neural_dag_enabled to on and ruvector.dag_mode to observe, advise or on."
                .to_owned(),
        ),
    }
}

/// No pattern has this number (RV003).
pub(crate) fn pattern_not_found(pattern: i64) -> Report {
    Report {
        sqlstate: sqlstate(b"RV003"),
        message: format!("there is no pattern {pattern}"),
        detail: None,
        hint: Some("Patterns that became near-equal are merged; the view dag_patterns shows all.".to_owned()),
    }
}

/// No statement class of this database has this number.
pub(crate) fn unknown_class(class: i64) -> Report {
    Report {
        sqlstate: sqlstate(b"42704"),
        message: format!("there is no statement class {class}"),
        detail: None,
        hint: Some("dag_decisions() shows all of this database.".to_owned()),
    }
}

/// Our own SQL failed.
pub(crate) fn internal(error: pgrx::spi::Error) -> Report {
    Report {
        sqlstate: sqlstate(b"XX000"),
        message: format!("ruvector_dag could not read the catalog: {error}"),
        detail: None,
        hint: None,
    }
}

/// An argument must not be NULL.
pub(crate) fn null_argument(name: &str) -> Report {
    Report {
        sqlstate: sqlstate(b"22004"),
        message: format!("{name} must not be NULL"),
        detail: None,
        hint: None,
    }
}

/// The transaction must not write.
pub(crate) fn read_only() -> Report {
    Report {
        sqlstate: sqlstate(b"25006"),
        message: "what is learned can't be changed in a read-only transaction".to_owned(),
        detail: None,
        hint: None,
    }
}

/// An argument is larger than is taken.
pub(crate) fn too_large(what: &str, bytes: usize, limit: usize) -> Report {
    Report {
        sqlstate: sqlstate(b"54000"),
        message: format!("{what} of {bytes} bytes, more than {limit}"),
        detail: None,
        hint: None,
    }
}

/// A learning cycle did not succeed (RV004).
pub(crate) fn learning_failed(reason: String) -> Report {
    Report {
        sqlstate: sqlstate(b"RV004"),
        message: format!("learning failed: {reason}"),
        detail: None,
        hint: None,
    }
}

/// A repair did not help (RV009).
pub(crate) fn repair_failed(reason: String, hint: &str) -> Report {
    Report {
        sqlstate: sqlstate(b"RV009"),
        message: format!("repair failed: {reason}"),
        detail: Some("What was changed for it is rolled back.".to_owned()),
        hint: Some(hint.to_owned()),
    }
}

impl From<Gone> for Report {
    fn from(Gone: Gone) -> Self {
        learning_failed("the extension is dropped".to_owned())
    }
}

/// What the engine did not take.
pub(crate) fn from_engine(error: engine::Error) -> Report {
    let code = match error {
        engine::Error::UnknownMechanism { .. } => b"RV002",
        engine::Error::PatternsFull { .. } => b"53400",
        engine::Error::Cancelled => b"57014",
        _ => b"22023",
    };
    Report {
        sqlstate: sqlstate(code),
        message: error.to_string(),
        detail: None,
        hint: None,
    }
}

/// An argument names something unknown.
pub(crate) fn invalid_argument(message: String, hint: &str) -> Report {
    Report {
        sqlstate: sqlstate(b"22023"),
        message,
        detail: None,
        hint: Some(hint.to_owned()),
    }
}

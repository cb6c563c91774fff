//! The row model in a session: a copy of what the worker published, renewed when there is a newer one.

use crate::pg::catalog;
use crate::settings;
use crate::shmem::row_models;
use engine::cardinality::{RowModel, RowPrediction, SubJoin};
use std::cell::RefCell;

struct Session {
    database: u32,
    version: u64,
    model: RowModel,
}

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// The share of the uncertainty that experience must have removed before a prediction is more than the planner's.
const LEAST_KNOWN: f64 = 0.01;

/// Whether a model was published for this database, and may be asked.
pub(crate) fn is_available() -> bool {
    !settings::keeps_roles_apart() && row_models::version(catalog::database()) > 0
}

/// The rows to expect of a sub-join; none when nothing is known of its parts.
pub(crate) fn predict(sub_join: &SubJoin) -> Option<RowPrediction> {
    // Looked at first: a new extension forgets what the old one learned. The model is everybody's.
    if !catalog::has_extension() || settings::keeps_roles_apart() {
        return None;
    }
    let database = catalog::database();
    SESSION.with_borrow_mut(|session| {
        let version = row_models::version(database);
        let known = session
            .as_ref()
            .map_or((database, 0), |session| (session.database, session.version));
        if known != (database, version) {
            // First: the allocator would keep the room of two.
            *session = None;
            *session = copy(database);
        }
        let prediction = session.as_ref()?.model.predict(sub_join);
        (prediction.known >= LEAST_KNOWN).then_some(prediction)
    })
}

/// Bytes of the copy that this session has; none before it needed one.
pub(crate) fn memory_bytes() -> Option<usize> {
    SESSION.with_borrow(|session| session.as_ref().map(|session| session.model.memory_bytes()))
}

fn copy(database: u32) -> Option<Session> {
    let (version, state) = row_models::read(database)?;
    let model = RowModel::from_state(&state).ok()?;
    Some(Session {
        database,
        version,
        model,
    })
}

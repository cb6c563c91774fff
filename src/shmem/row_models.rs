//! The row model that the worker learned in a database, or as much of it as fits: published by it, read by sessions
//! without waiting.

use crate::pg::shmem::shared;

/// The version of a database's model, which grows with each change; 0 without one.
pub(crate) fn version(database: u32) -> u64 {
    shared().map_or(0, |shared| shared.row_models.version(database))
}

/// Bytes a model may have.
pub(crate) fn capacity() -> usize {
    shared().map_or(0, |shared| shared.row_models.capacity())
}

/// Replaces a database's model; false when that can't be done now.
pub(crate) fn publish(database: u32, bytes: &[u8]) -> bool {
    shared().is_some_and(|shared| shared.row_models.publish(database, bytes))
}

/// A copy of a database's model and its version.
pub(crate) fn read(database: u32) -> Option<(u64, Vec<u8>)> {
    shared()?.row_models.read(database)
}

/// Forgets the model of a database.
pub(crate) fn reset(database: u32) {
    if let Some(shared) = shared() {
        shared.row_models.forget(database);
    }
}

//! What the worker learned in a database, as a whole: published by it, read by sessions without waiting.

use crate::pg::shmem::shared;

/// The version of a database's snapshot, which grows with each change, also when it is forgotten; 0 before the first.
pub(crate) fn version(database: u32) -> u64 {
    shared().map_or(0, |shared| shared.snapshots.version(database))
}

/// Whether a database has a snapshot.
pub(crate) fn has(database: u32) -> bool {
    shared().is_some_and(|shared| shared.snapshots.has(database))
}

/// Bytes a snapshot may have.
pub(crate) fn capacity() -> usize {
    shared().map_or(0, |shared| shared.snapshots.capacity())
}

/// Replaces a database's snapshot; false when that can't be done now.
pub(crate) fn publish(database: u32, bytes: &[u8]) -> bool {
    shared().is_some_and(|shared| shared.snapshots.publish(database, bytes))
}

/// A copy of a database's snapshot and its version.
pub(crate) fn read(database: u32) -> Option<(u64, Vec<u8>)> {
    shared()?.snapshots.read(database)
}

/// Forgets what was learned in a database.
pub(crate) fn reset(database: u32) {
    if let Some(shared) = shared() {
        shared.snapshots.forget(database);
    }
}

//! The databases that have the extension: announced by their sessions, served by the launcher.

use super::layout::Database;
use crate::pg::shmem::{Update, shared};

fn change(database: u32, change: impl FnOnce(Option<Database>) -> Update<Database>) -> Option<Database> {
    shared()?.databases.update(u64::from(database), change)
}

/// A session found the extension in its database. True when it is another one than was known: what is known belongs to
/// the dropped one.
pub(crate) fn announce(database: u32, extension: u32) -> bool {
    let mut is_another = false;
    change(database, |known| match known {
        Some(known) if known.is_absent == 0 && known.extension == extension => Update::Keep,
        _ => {
            is_another = known.is_some_and(|known| known.extension != extension);
            Update::Put(Database {
                database,
                extension,
                worker: 0,
                is_loaded: 0,
                is_absent: 0,
                cycled_at: 0,
                not_before: 0,
            })
        }
    });
    is_another
}

/// All databases announced and not gone.
pub(crate) fn present() -> Vec<Database> {
    let all = shared().map(|shared| shared.databases.collect(|_, known| known.is_absent == 0));
    all.unwrap_or_default()
        .into_iter()
        .map(|(_, known)| known)
        .collect()
}

/// Whether what a database learned earlier is in shared memory.
pub(crate) fn is_loaded(database: u32) -> bool {
    shared()
        .and_then(|shared| shared.databases.get(u64::from(database)))
        .is_some_and(|known| known.is_loaded != 0)
}

/// When the latest cycle ended.
pub(crate) fn cycled_at(database: u32) -> i64 {
    shared()
        .and_then(|shared| shared.databases.get(u64::from(database)))
        .map_or(0, |known| known.cycled_at)
}

/// What was learned earlier is in shared memory now.
pub(crate) fn set_loaded(database: u32) {
    update(database, |known| known.is_loaded = 1);
}

/// The extension, or the database, is gone.
pub(crate) fn set_absent(database: u32) {
    update(database, |known| {
        known.is_absent = 1;
        known.is_loaded = 0;
    });
}

/// A cycle ended.
pub(crate) fn set_cycled(database: u32, at: i64) {
    update(database, |known| known.cycled_at = at);
}

/// A worker was started, or could not be until `not_before`.
pub(crate) fn set_started(database: u32, worker: i32, not_before: i64) {
    update(database, |known| {
        known.worker = worker;
        known.not_before = not_before;
    });
}

fn update(database: u32, set: impl FnOnce(&mut Database)) {
    change(database, |known| match known {
        Some(mut known) => {
            set(&mut known);
            Update::Put(known)
        }
        None => Update::Keep,
    });
}

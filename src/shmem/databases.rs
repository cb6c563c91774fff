//! The databases of the server and whether they have the extension: found by the launcher, announced by sessions.

use super::layout::Database;
use crate::pg::shmem::{Update, shared};

fn change(database: u32, change: impl FnOnce(Option<Database>) -> Update<Database>) -> Option<Database> {
    shared()?.databases.update(u64::from(database), change)
}

/// A session or worker found the extension in its database. True when it is another one than was known: it was
/// dropped and made anew, and what is known belongs to the old one.
pub(crate) fn announce(database: u32, extension: u32) -> bool {
    let Some(shared) = shared() else { return false };
    let databases = shared.databases;
    databases.change_or_begin(
        u64::from(database),
        || unknown(database),
        |known| {
            let is_another = known.extension != 0 && known.extension != extension;
            if is_another || known.is_absent != 0 {
                known.is_loaded = 0;
                known.healed_up_to = 0;
            }
            if known.extension != extension || known.is_absent != 0 {
                known.not_before = 0;
            }
            known.extension = extension;
            known.is_absent = 0;
            known.announcements = known.announcements.wrapping_add(1);
            is_another
        },
    )
}

/// The launcher found a database: whether it has the extension is to be seen.
pub(crate) fn discover(database: u32) {
    change(database, |known| match known {
        Some(_) => Update::Keep,
        None => Update::Put(unknown(database)),
    });
}

fn unknown(database: u32) -> Database {
    Database {
        database,
        extension: 0,
        is_loaded: 0,
        is_absent: 0,
        cycled_at: 0,
        learned_at: 0,
        dreamt_at: 0,
        healed_at: 0,
        healed_up_to: 0,
        not_before: 0,
        announcements: 0,
    }
}

/// A database was dropped.
pub(crate) fn remove(database: u32) {
    if let Some(shared) = shared() {
        shared.databases.remove_if(|_, known| known.database == database);
    }
}

/// Every database known, with the extension or without.
pub(crate) fn all() -> Vec<u32> {
    let all = shared().map(|shared| shared.databases.collect(|_, _| true));
    all.unwrap_or_default()
        .into_iter()
        .map(|(_, known)| known.database)
        .collect()
}

/// The databases that have the extension, or may have it.
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

/// How often the extension was announced in a database.
pub(crate) fn announcements(database: u32) -> u64 {
    shared()
        .and_then(|shared| shared.databases.get(u64::from(database)))
        .map_or(0, |known| known.announcements)
}

/// The database had no extension when it had been announced so often. False when it was announced since: its creation was
/// committed just after somebody looked.
pub(crate) fn set_absent(database: u32, announcements: u64) -> bool {
    let mut is_absent = false;
    update(database, |known| {
        is_absent = known.announcements == announcements;
        if is_absent {
            known.is_absent = 1;
            known.is_loaded = 0;
        }
    });
    is_absent
}

/// A cycle ended.
pub(crate) fn set_cycled(database: u32, at: i64) {
    update(database, |known| known.cycled_at = at);
}

/// When the latest runs of loops B and C ended; 0 before the first since the server started.
pub(crate) fn learned_at(database: u32) -> (i64, i64) {
    shared()
        .and_then(|shared| shared.databases.get(u64::from(database)))
        .map_or((0, 0), |known| (known.learned_at, known.dreamt_at))
}

/// A run of loop B ended.
pub(crate) fn set_learned(database: u32, at: i64) {
    update(database, |known| known.learned_at = at);
}

/// A run of loop C ended.
pub(crate) fn set_dreamt(database: u32, at: i64) {
    update(database, |known| known.dreamt_at = at);
}

/// When anomalies were looked for last, and up to which execution; 0 before the first time since the server started.
pub(crate) fn healed(database: u32) -> (i64, i64) {
    shared()
        .and_then(|shared| shared.databases.get(u64::from(database)))
        .map_or((0, 0), |known| (known.healed_at, known.healed_up_to))
}

/// Anomalies were looked for.
pub(crate) fn set_healed(database: u32, at: i64, up_to: i64) {
    update(database, |known| {
        known.healed_at = at;
        known.healed_up_to = up_to;
    });
}

/// No worker is to be started before then.
pub(crate) fn set_not_before(database: u32, not_before: i64) {
    update(database, |known| known.not_before = not_before);
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

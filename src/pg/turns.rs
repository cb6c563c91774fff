//! Turns of those who change the extension's tables, so that they never wait for each other in a circle.
//!
//! A turn is a lock of this database's extension, held to the end of the transaction. Whoever takes both takes
//! [`Turn::Learn`] first: a session does before it changes anything, and the worker, which writes with [`Turn::Write`] alone,
//! waits for neither. Rows are changed in a turn only, so that nobody waits for one; who only reads takes none.

use super::catalog;
use crate::shmem::latencies::{self, Component};
use pgrx::pg_sys;
use std::time::Instant;

/// What is about to be changed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Turn {
    /// What is learned as a whole and tables that are learned from: `dag_state`, `dag_tables`.
    Learn = 1,
    /// What was written down: all other tables. New rows of `dag_trajectories` need no turn, nobody else knows them.
    Write = 2,
}

/// Why a turn was not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTurn {
    /// Another transaction has it.
    Taken,
    /// The extension is dropped.
    Gone,
}

/// The extension was dropped, maybe while its turn was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

impl From<Gone> for NoTurn {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

/// Takes a turn, after whoever has it. Ends with an error when the statement is cancelled.
pub(crate) fn wait_for(turn: Turn) -> Result<(), Gone> {
    let extension = catalog::extension_oid().ok_or(Gone)?;
    if !lock_at_once(turn, extension) {
        let begun = Instant::now();
        // SAFETY: as `lock_at_once`.
        unsafe { pg_sys::LockDatabaseObject(pg_sys::ExtensionRelationId, extension, turn as u16, MODE) };
        latencies::record(Component::TurnWait, begun.elapsed());
    }
    hold(extension)
}

/// Takes both turns, as [`wait_for`].
pub(crate) fn wait_for_both() -> Result<(), Gone> {
    wait_for(Turn::Learn)?;
    wait_for(Turn::Write)
}

/// Takes a turn if nobody else has it.
pub(crate) fn try_for(turn: Turn) -> Result<(), NoTurn> {
    let extension = catalog::extension_oid().ok_or(Gone)?;
    if !lock_at_once(turn, extension) {
        return Err(NoTurn::Taken);
    }
    Ok(hold(extension)?)
}

const MODE: pg_sys::LOCKMODE = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;

fn lock_at_once(turn: Turn, extension: pg_sys::Oid) -> bool {
    // SAFETY: a lock of an object in the current transaction; DROP EXTENSION locks part 0, the object itself.
    unsafe {
        pg_sys::ConditionalLockDatabaseObject(pg_sys::ExtensionRelationId, extension, turn as u16, MODE)
    }
}

/// Keeps the extension whose turn was taken.
fn hold(extension: pg_sys::Oid) -> Result<(), Gone> {
    // Last: who has a turn may drop the extension, and would wait for whoever waits for that turn.
    if catalog::hold_extension(extension) {
        Ok(())
    } else {
        Err(Gone)
    }
}

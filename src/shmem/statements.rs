//! Statement classes and the evidence of their plans.

use super::layout::Statement;
use crate::pg::shmem::{Update, shared};
use engine::decision::hints::FORMS;
use engine::decision::{Decision, HintSet, Run, StatementEvidence};

/// One execution, for the evidence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Execution {
    pub(crate) class: u64,
    pub(crate) queryid: i64,
    pub(crate) database: u32,
    pub(crate) user: u32,
    pub(crate) at: i64,
    pub(crate) run: Run,
    /// The cutoff that leaves out all but the most attended of what it taught; 0 when it taught too little to tell.
    pub(crate) partial: u64,
}

/// What is known of a class.
pub(crate) fn get(class: u64) -> Option<Statement> {
    shared()?.statements.get(class)
}

/// The evidence of a class.
pub(crate) fn evidence(class: u64) -> Option<StatementEvidence> {
    get(class).map(|known| known.evidence)
}

/// Adds an execution to its class's evidence, which it answers.
pub(crate) fn record(run: &Execution) -> Option<StatementEvidence> {
    let known = shared()?.statements.update(run.class, |known| {
        let mut evidence = known.map_or_else(StatementEvidence::default, |known| known.evidence);
        evidence.record(&run.run);
        if run.partial > 0 {
            evidence.partial = run.partial;
        }
        Update::Put(Statement {
            class: run.class,
            queryid: run.queryid,
            database: run.database,
            user: run.user,
            last_run_at: run.at,
            dirty: 1,
            evidence,
        })
    });
    known.map(|known| known.evidence)
}

/// Marks a class as planned with a decision that changed nothing, or led to a plan known to be slower.
pub(crate) fn settle(class: u64, decision: Decision) {
    change(class, |statement| statement.evidence.settle(decision));
}

/// Marks a trial of a class as planned.
pub(crate) fn note_planned(class: u64, decision: Decision) {
    change(class, |statement| statement.evidence.note_planned(decision));
}

/// Marks the form with this number and the further ones as planned: there are none.
pub(crate) fn note_last_form(class: u64, form: usize) {
    change(class, |statement| {
        for form in form..FORMS {
            let hints = HintSet::NONE.with_form(form);
            statement.evidence.note_planned(Decision { cutoff: 0, hints });
        }
    });
}

/// Notes that a decision of a class did not give the plan that it was measured with.
pub(crate) fn miss(class: u64, decision: Decision) {
    change(class, |statement| statement.evidence.miss(decision));
}

/// Notes that the stock plan of a class has this shape, and need not or can't be tried with a way back.
pub(crate) fn leave_stock(class: u64, shape: u64) {
    change(class, |statement| statement.evidence.leave_stock(shape));
}

/// Marks a plan of a class as not worth another trial.
pub(crate) fn dismiss(class: u64, shape: u64) {
    change(class, |statement| statement.evidence.dismiss(shape));
}

/// Changes what the owner says about a class, which is then written down.
pub(crate) fn review(class: u64, review: impl FnOnce(&mut StatementEvidence)) {
    change(class, |statement| {
        review(&mut statement.evidence);
        statement.dirty = 1;
    });
}

fn change(class: u64, change: impl FnOnce(&mut Statement)) {
    if let Some(shared) = shared() {
        shared.statements.change(class, change);
    }
}

/// Puts back a class known before the server started; its evidence outweighs what one execution meanwhile added.
pub(crate) fn restore(statement: Statement) {
    let Some(shared) = shared() else { return };
    shared.statements.update(statement.class, |known| match known {
        Some(known) if known.evidence.calls >= statement.evidence.calls => Update::Keep,
        _ => Update::Put(statement),
    });
}

/// The classes of a database that changed since they were written; they count as written from now on.
pub(crate) fn take_dirty(database: u32) -> Vec<Statement> {
    let Some(shared) = shared() else { return Vec::new() };
    let dirty = shared
        .statements
        .collect(|_, entry| entry.database == database && entry.dirty != 0);
    let dirty: Vec<_> = dirty.into_iter().map(|(_, entry)| entry).collect();
    dirty.iter().for_each(|entry| set_dirty(entry, 0));
    dirty
}

/// Marks classes as not written after all.
pub(crate) fn give_back(entries: &[Statement]) {
    entries.iter().for_each(|entry| set_dirty(entry, 1));
}

fn set_dirty(seen: &Statement, dirty: u32) {
    change(seen.class, |statement| {
        // Ran again since it was copied: still to be written.
        if statement.evidence.calls == seen.evidence.calls {
            statement.dirty = dirty;
        }
    });
}

/// Classes that can be known, of all databases.
pub(crate) fn capacity() -> usize {
    shared().map_or(0, |shared| shared.statements.capacity())
}

/// The classes of a database.
pub(crate) fn of_database(database: u32) -> Vec<Statement> {
    let all = shared().map(|shared| shared.statements.collect(|_, entry| entry.database == database));
    all.unwrap_or_default()
        .into_iter()
        .map(|(_, entry)| entry)
        .collect()
}

/// Forgets the classes of a database, or those of one user in it.
pub(crate) fn reset(database: u32, user: Option<u32>) -> usize {
    let is_whose = |entry: &Statement| user.is_none_or(|user| entry.user == user);
    shared().map_or(0, |shared| {
        shared
            .statements
            .remove_if(|_, entry| entry.database == database && is_whose(entry))
    })
}

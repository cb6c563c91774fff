//! One look: anomalies first, then what they, the queue and what was learned ask to be repaired.

use super::anomalies::{self, Found};
use super::repairs::{self, Done};
use super::series::{self, Class, Execution};
use crate::error::internal;
use crate::pg::ereport::Report;
use crate::pg::subtransaction::{Subtransaction, attempt};
use crate::pg::transaction_end;
use crate::pg::turns::{self, Turn};
use crate::pg::{catalog, own_settings};
use crate::settings;
use crate::shmem::databases;
use crate::shmem::events::{self, Kind};
use pgrx::spi::SpiResult;

type Classes = Vec<(Class, Vec<Execution>)>;
/// A repair of what was learned as a whole.
type Repair = fn() -> Done;

/// In the worker, when it is time: an error is logged and leaves everything as it was.
pub(crate) fn run_due(database: u32) {
    let (healed_at, _) = databases::healed(database);
    let is_due = settings::healing_interval()
        .is_some_and(|interval| catalog::seconds() - healed_at >= interval.as_secs() as i64);
    // An open transaction may have a turn for long, and there is a next time.
    if !is_due || turns::try_for(Turn::Learn).is_err() || turns::try_for(Turn::Write).is_err() {
        return;
    }
    let around = Subtransaction::begin();
    match attempt(|| heal(database, true)) {
        Ok(Ok(_)) => around.commit(),
        Ok(Err(error)) => {
            around.roll_back();
            pgrx::warning!("ruvector_dag could not look for anomalies: {error}");
        }
        Err(message) => {
            around.roll_back();
            pgrx::warning!("ruvector_dag could not look for anomalies: {message}");
        }
    }
}

/// The same for who asks for it, and their tables with it.
pub(crate) fn heal_now() -> Result<Vec<Done>, Report> {
    let mut done = own_settings::within(repairs::of_caller).map_err(internal)?;
    turns::wait_for_both()?;
    own_settings::within_as_owner(|| {
        for repair in &mut done {
            repair.id = repairs::close(repair, None)?;
        }
        done.extend(heal(catalog::database(), false)?);
        Ok(done)
    })
    .map_err(internal)
}

/// Looks and repairs, in both turns.
fn heal(database: u32, is_worker: bool) -> SpiResult<Vec<Done>> {
    let (healed_at, healed_up_to) = databases::healed(database);
    let classes = series::of_classes(healed_up_to)?;
    let found = anomalies::look(&classes, healed_up_to, healed_at)?;
    let mut done = process_queue(&classes)?;
    done.extend(repair(&found, is_worker)?);
    classes.iter().for_each(|(class, executions)| {
        if let Some(reason) = repairs::forecast(executions) {
            repairs::ask_for(*class, &reason);
        }
    });
    repairs::tidy();
    note(database, &found, &done);
    Ok(done)
}

/// What was asked for at an earlier look, if that still holds.
fn process_queue(classes: &Classes) -> SpiResult<Vec<Done>> {
    let mut all = Vec::new();
    for (asked, class) in repairs::waiting()? {
        let known = classes.iter().find(|(known, _)| known.class == class);
        // A class that did not run since is as it was.
        let Some((class, executions)) = known else {
            continue;
        };
        let mut done = repairs::decision_before(*class, executions);
        done.id = repairs::close(&done, Some(asked))?;
        all.push(done);
    }
    all.retain(Done::is_any);
    Ok(all)
}

fn repair(found: &Found, is_worker: bool) -> SpiResult<Vec<Done>> {
    let mut all: Vec<Done> = found.suspects.iter().map(repairs::decision_of).collect();
    let whole: [(&str, Repair); 2] = [
        ("clusters", repairs::clusters),
        ("pattern_quality", repairs::pattern_quality),
    ];
    for (kind, repair) in whole {
        // What did not help takes its time, and hardly helps a moment later.
        if !(is_worker && repairs::was_tried_lately(kind)?) {
            all.push(repair());
        }
    }
    all.retain(Done::is_any);
    for done in &mut all {
        done.id = repairs::close(done, None)?;
    }
    Ok(all)
}

/// Once it is there to stay.
fn note(database: u32, found: &Found, done: &[Done]) {
    let up_to = found.up_to;
    let repaired = done.iter().filter(|done| done.status == "repaired").count();
    let tried = done.len();
    transaction_end::call(Box::new(move |is_committed| {
        if is_committed {
            databases::set_healed(database, catalog::seconds(), up_to);
            if tried > 0 {
                events::note(Kind::Healed, [repaired as f64, tried as f64]);
            }
        }
    }));
}

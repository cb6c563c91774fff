//! Statements whatever their constants, and the evidence of their regions.

use super::layout::Template;
use crate::observe::knowledge::Region;
use crate::pg::catalog;
use crate::pg::shmem::{Update, shared};
use engine::cardinality::hash_words;
use engine::decision::{Decision, RegionRun, Regions};

/// The statement of this session's database and user.
fn place(queryid: i64) -> u64 {
    place_of(catalog::database(), catalog::user(), queryid)
}

fn place_of(database: u32, user: u32, queryid: i64) -> u64 {
    hash_words([queryid as u64, u64::from(database), u64::from(user)])
}

/// What is known of a statement.
pub(crate) fn get(queryid: i64) -> Option<Regions> {
    let known = shared()?.templates.get(place(queryid))?;
    Some(known.regions)
}

/// Takes up an execution.
pub(crate) fn record(queryid: i64, region: Region, run: &RegionRun) {
    let Some(shared) = shared() else { return };
    let (database, user, at) = (catalog::database(), catalog::user(), catalog::now());
    shared
        .templates
        .update(place_of(database, user, queryid), |known| {
            let mut template = known.unwrap_or(Template {
                database,
                user,
                queryid,
                last_run_at: at,
                regions: Regions::default(),
            });
            template.last_run_at = at;
            template.regions.record(region.shape, run);
            Update::Put(template)
        });
}

/// A decision was planned with in the region of a stock plan's shape.
pub(crate) fn note_planned(queryid: i64, shape: u64, decision: Decision) {
    let Some(shared) = shared() else { return };
    shared.templates.change(place(queryid), |template| {
        if let Some(region) = template.regions.get_mut(shape) {
            region.note_planned(decision);
        }
    });
}

/// The statements of a database.
pub(crate) fn of_database(database: u32) -> Vec<Template> {
    let found = shared().map(|shared| shared.templates.collect(|_, known| known.database == database));
    let all = found.unwrap_or_default().into_iter();
    all.map(|(_, known)| known).collect()
}

/// Puts back what was known before the server started; what was measured since stays.
pub(crate) fn restore(template: Template) {
    let Some(shared) = shared() else { return };
    let place = place_of(template.database, template.user, template.queryid);
    shared.templates.update(place, |known| match known {
        Some(_) => Update::Keep,
        None => Update::Put(template),
    });
}

/// Forgets a database's, or those of one of its roles.
pub(crate) fn reset(database: u32, role: Option<u32>) {
    if let Some(shared) = shared() {
        let is_meant =
            |known: &Template| known.database == database && role.is_none_or(|role| role == known.user);
        shared.templates.remove_if(|_, known| is_meant(known));
    }
}

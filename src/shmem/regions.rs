//! Statements whatever their constants, and the evidence of their regions.

use super::layout::Template;
use crate::observe::knowledge::Region;
use crate::pg::catalog;
use crate::pg::shmem::shared;
use engine::cardinality::hash_words;
use engine::decision::{Decision, PlanKind, PreparedEvidence, RegionRun, Regions};

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

/// The kind of plan that a statement with parameters was measured to be faster with.
pub(crate) fn preferred_kind(queryid: i64) -> Option<PlanKind> {
    shared()?.templates.get(place(queryid))?.prepared.preferred()
}

/// Takes up an execution: in its region, where that is known, and, of a statement with parameters, as a plan of its kind that
/// took so many milliseconds with its planning.
pub(crate) fn record(queryid: i64, in_region: Option<(Region, RegionRun)>, of_kind: Option<(PlanKind, f64)>) {
    let Some(shared) = shared().filter(|_| in_region.is_some() || of_kind.is_some()) else {
        return;
    };
    let (database, user, at) = (catalog::database(), catalog::user(), catalog::now());
    let fresh = || Template {
        database,
        user,
        queryid,
        last_run_at: at,
        regions: Regions::default(),
        prepared: PreparedEvidence::default(),
    };
    let place = place_of(database, user, queryid);
    shared.templates.change_or_begin(place, fresh, |template| {
        template.last_run_at = at;
        if let Some((region, run)) = &in_region {
            template.regions.record(region.shape, run);
        }
        if let Some((kind, total_ms)) = of_kind {
            template.prepared.record(kind, total_ms);
        }
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
    shared.templates.put_if_absent(place, template);
}

/// Forgets a database's, or those of one of its roles.
pub(crate) fn reset(database: u32, role: Option<u32>) {
    if let Some(shared) = shared() {
        let is_meant =
            |known: &Template| known.database == database && role.is_none_or(|role| role == known.user);
        shared.templates.remove_if(|_, known| is_meant(known));
    }
}

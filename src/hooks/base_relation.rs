//! `set_rel_pathlist_hook`: at its first call for a query level all base relations have their sizes and none has all its
//! paths, so that is when their row counts are corrected.

use super::planner::{self, Frame};
use crate::pg::level::Level;
use crate::pg::paths::{is_rebuildable, rtindex};
use pgrx::pg_sys;

/// Corrects the base relations of a level met for the first time. True when the paths of `rel`, which PostgreSQL has
/// made already, must be made anew.
pub(crate) fn correct(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> bool {
    planner::correcting(|frame| {
        if frame.levels.iter().any(|level| level.is_of(root)) {
            return false;
        }
        let corrected = enter_level(frame, root);
        corrected.contains(&rtindex(rel)) && is_rebuildable(root, rel)
    })
    .unwrap_or(false)
}

fn enter_level(frame: &mut Frame, root: *mut pg_sys::PlannerInfo) -> Vec<usize> {
    let mut level = Level::read(root, &frame.levels);
    let knowledge = frame.knowledge(frame.levels.len());
    let corrected = if knowledge.cutoff > 0 && level.is_describable() {
        level.correct_bases(&knowledge)
    } else {
        Vec::new()
    };
    frame.corrected += corrected.len() as u32;
    frame.levels.push(level);
    corrected
}

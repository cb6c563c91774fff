//! `set_join_pathlist_hook`: a join relation is corrected when it has its first paths, which are then made anew. All others of it, and the
//! relations that contain it, are made with its corrected rows.

use super::planner;
use pgrx::pg_sys;

/// Corrects a join relation that the search met for the first time. True when the paths of `rel` must be made anew.
pub(crate) fn correct(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    inputs: [*mut pg_sys::RelOptInfo; 2],
) -> bool {
    is_new(root, rel)
        && planner::correcting(|frame| {
            let number = frame.levels.iter().position(|level| level.is_of(root))?;
            let knowledge = frame.knowledge(number);
            let is_corrected = frame
                .levels
                .get_mut(number)?
                .correct_join(rel, inputs, &knowledge);
            frame.corrected += u32::from(is_corrected);
            Some(is_corrected)
        })
        .flatten()
        .unwrap_or(false)
}

/// Whether this join may be corrected and was not met before.
fn is_new(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> bool {
    planner::with_frame(|frame| {
        let mut levels = frame.levels.iter();
        frame.applies_rows() && levels.any(|level| level.is_of(root) && level.is_new_join(rel))
    })
    .unwrap_or(false)
}

//! `join_search_hook`: join relations are corrected level by level, before the next level is built on them.

use super::planner;
use crate::pg::join_search::Emptied;
use pgrx::pg_sys;
use std::cell::RefCell;

thread_local! {
    /// What the current level's correction threw away. A level is finished before another is corrected.
    static EMPTIED: RefCell<Vec<Emptied>> = const { RefCell::new(Vec::new()) };
}

/// Whether this level's joins may be corrected at all; if not PostgreSQL's own search runs.
pub(crate) fn wanted(root: *mut pg_sys::PlannerInfo) -> bool {
    planner::with_frame(|frame| {
        frame.applies_rows()
            && frame
                .levels
                .iter()
                .any(|level| level.is_of(root) && level.is_describable())
    })
    .unwrap_or(false)
}

/// Corrects the relations of one level of the search. True when its paths must be made anew.
pub(crate) fn correct_level(root: *mut pg_sys::PlannerInfo, size: usize) -> bool {
    let emptied = planner::correcting(|frame| {
        let number = frame.levels.iter().position(|level| level.is_of(root))?;
        let knowledge = frame.knowledge(number);
        let level = frame.levels.get_mut(number)?;
        let emptied = level.correct_joins(size, &knowledge);
        frame.corrected += emptied.len() as u32;
        Some(emptied)
    });
    let emptied = emptied.flatten().unwrap_or_default();
    let is_corrected = !emptied.is_empty();
    EMPTIED.set(emptied);
    is_corrected
}

/// After a level's paths were made anew.
pub(crate) fn finish_level() {
    EMPTIED
        .take()
        .into_iter()
        .for_each(Emptied::restore_if_still_empty);
}

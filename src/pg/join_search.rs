//! Paths of corrected relations: base relations' paths made anew, and the join search that corrects between levels.
//!
//! The loop is `standard_join_search`'s (optimizer/path/allpaths.c) with one step more. Runs raw: below it are selectivity
//! functions, whose errors are the user's.

use super::{compat, list, raw};
use crate::hooks;
use crate::pg::hook_point::guarded;
use core::ffi::c_int;
use pgrx::pg_sys;

/// A join relation whose paths were thrown away, and what they were.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emptied {
    rel: *mut pg_sys::RelOptInfo,
    paths: *mut pg_sys::List,
    partial_paths: *mut pg_sys::List,
    parameterizations: *mut pg_sys::List,
}

impl Emptied {
    /// Throws away the paths of `rel`.
    ///
    /// # Safety
    /// `rel` is a relation of the planning under way.
    pub(super) unsafe fn empty(rel: *mut pg_sys::RelOptInfo) -> Self {
        // SAFETY: by the caller's promise.
        unsafe {
            let before = Self {
                rel,
                paths: (*rel).pathlist,
                partial_paths: (*rel).partial_pathlist,
                parameterizations: (*rel).ppilist,
            };
            (*rel).pathlist = core::ptr::null_mut();
            (*rel).partial_pathlist = core::ptr::null_mut();
            (*rel).ppilist = core::ptr::null_mut();
            before
        }
    }

    /// Gives the old paths back where none were made anew: a level that only exists by a last-ditch cross join is not
    /// built a second time.
    pub(crate) fn restore_if_still_empty(self) {
        // SAFETY: the relation lives as long as the planning.
        unsafe {
            if (*self.rel).pathlist.is_null() {
                (*self.rel).pathlist = self.paths;
                (*self.rel).partial_pathlist = self.partial_paths;
                (*self.rel).ppilist = self.parameterizations;
            }
        }
    }
}

/// Makes the paths of a plain table anew, from its corrected row count (`set_plain_rel_pathlist`).
///
/// # Safety
/// Called from `set_rel_pathlist_hook` with its arguments, from a frame that holds nothing to drop.
pub(super) unsafe fn rebuild_base_paths(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: by the caller's promise.
    unsafe {
        Emptied::empty(rel);
        let required_outer = (*rel).lateral_relids;
        raw::add_path(rel, raw::create_seqscan_path(root, rel, required_outer, 0));
        if (*rel).consider_parallel && required_outer.is_null() {
            let pages = f64::from((*rel).pages);
            let workers =
                raw::compute_parallel_worker(rel, pages, -1.0, raw::max_parallel_workers_per_gather);
            if workers > 0 {
                let scan = raw::create_seqscan_path(root, rel, core::ptr::null_mut(), workers);
                raw::add_partial_path(rel, scan);
            }
        }
        raw::create_index_paths(root, rel);
        raw::create_tidscan_paths(root, rel);
    }
}

/// Gives a subquery, whose paths were made with its size, so many times its rows. They cost what they did: that is what its own plan
/// costs. Other relations are left alone.
///
/// # Safety
/// A base relation of the planning under way.
pub(super) unsafe fn scale_subquery_paths(rel: &mut pg_sys::RelOptInfo, factor: f64) {
    if rel.rtekind != pg_sys::RTEKind::RTE_SUBQUERY || rel.reloptkind != pg_sys::RelOptKind::RELOPT_BASEREL {
        return;
    }
    rel.tuples = (rel.tuples * factor).round().max(1.0);
    // SAFETY: by the caller's promise.
    unsafe {
        for path in list::pointers::<pg_sys::Path>(rel.pathlist)
            .chain(list::pointers::<pg_sys::Path>(rel.partial_pathlist))
        {
            (*path).rows = ((*path).rows * factor).round().max(1.0);
        }
    }
}

/// Whether a relation is a plain table whose paths [`rebuild_base_paths`] can make.
pub(crate) fn is_rebuildable(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) -> bool {
    // SAFETY: the hook's arguments; a base relation's index is within the arrays.
    unsafe {
        let entry = *(*root).simple_rte_array.add((*rel).relid as usize);
        let relkind = (*entry).relkind as u8;
        (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION
            && !(*entry).inh
            && (*entry).tablesample.is_null()
            && (relkind == pg_sys::RELKIND_RELATION || relkind == pg_sys::RELKIND_MATVIEW)
    }
}

/// The range-table index of a base relation.
pub(crate) fn rtindex(rel: *mut pg_sys::RelOptInfo) -> usize {
    // SAFETY: the hook's argument.
    unsafe { (*rel).relid as usize }
}

/// The join search, corrected.
///
/// # Safety
/// Called from `join_search_hook` with its arguments, from a frame that holds nothing to drop.
pub(super) unsafe fn search(
    root: *mut pg_sys::PlannerInfo,
    levels: c_int,
    initial: *mut pg_sys::List,
) -> *mut pg_sys::RelOptInfo {
    // SAFETY: by the caller's promise; the array has an entry per level and one unused.
    unsafe {
        let size = (list::index(levels) + 1) * size_of::<*mut pg_sys::List>();
        (*root).join_rel_level = raw::palloc0(size).cast();
        *(*root).join_rel_level.add(1) = initial;
        for level in 2..=levels {
            raw::join_search_one_level(root, level);
            if guarded(false, || {
                hooks::join_search::correct_level(root, list::index(level))
            }) {
                raw::join_search_one_level(root, level);
                guarded((), hooks::join_search::finish_level);
            }
            finish_relations(root, list::index(level));
        }
        let top = *(*root).join_rel_level.add(list::index(levels));
        if list::length(top) == 0 {
            guarded((), || pgrx::error!("failed to build any {levels}-way joins"));
        }
        let rel = (*(*top).elements).ptr_value.cast();
        (*root).join_rel_level = core::ptr::null_mut();
        rel
    }
}

/// What `standard_join_search` does with each relation of a level once its paths are there.
unsafe fn finish_relations(root: *mut pg_sys::PlannerInfo, level: usize) {
    // SAFETY: the planner's own list; its length does not change any more.
    unsafe {
        let relations = *(*root).join_rel_level.add(level);
        for position in 0..list::length(relations) {
            let rel = (*(*relations).elements.add(position))
                .ptr_value
                .cast::<pg_sys::RelOptInfo>();
            raw::generate_partitionwise_join_paths(root, rel);
            if !raw::bms_equal((*rel).relids, compat::all_relids(root)) {
                raw::generate_useful_gather_paths(root, rel, false);
            }
            raw::set_cheapest(rel);
        }
    }
}

//! Paths of corrected relations, made anew.
//!
//! Runs raw: below it are selectivity functions, whose errors are the user's.

use super::{list, raw};
use pgrx::pg_sys;

/// Throws away the paths of a relation.
///
/// # Safety
/// `rel` is a relation of the planning under way, of which no other has paths yet.
unsafe fn empty(rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: by the caller's promise.
    unsafe {
        (*rel).pathlist = core::ptr::null_mut();
        (*rel).partial_pathlist = core::ptr::null_mut();
        (*rel).ppilist = core::ptr::null_mut();
    }
}

/// Makes the paths of a plain table anew, from its corrected row count (`set_plain_rel_pathlist`).
///
/// # Safety
/// Called from `set_rel_pathlist_hook` with its arguments, from a frame that holds nothing to drop.
pub(super) unsafe fn rebuild_base_paths(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: by the caller's promise.
    unsafe {
        empty(rel);
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

/// Makes the first paths of a join anew, from its corrected row count (`add_paths_to_joinrel`); the hook is called for them again.
///
/// # Safety
/// Called from `set_join_pathlist_hook` with its arguments, from a frame that holds nothing to drop: below it are
/// selectivity functions, whose errors are the user's.
pub(super) unsafe fn rebuild_join_paths(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    [outer, inner]: [*mut pg_sys::RelOptInfo; 2],
    kind: pg_sys::JoinType::Type,
    extra: *mut pg_sys::JoinPathExtraData,
) {
    // SAFETY: by the caller's promise.
    unsafe {
        empty(rel);
        let (special, clauses) = ((*extra).sjinfo, (*extra).restrictlist);
        raw::add_paths_to_joinrel(root, rel, outer, inner, kind, special, clauses);
    }
}

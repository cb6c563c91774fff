//! The levels of a query: itself, and all queries in it.

use super::super::compat::{expression_tree_walker, query_tree_walker};
use super::super::list;
use core::ffi::c_void;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// A query and those in it, each before what it contains.
///
/// # Safety
/// `query` is valid.
pub(super) unsafe fn of(query: *mut pg_sys::Query) -> Vec<*mut pg_sys::Query> {
    let mut levels = vec![query];
    // SAFETY: by the caller's promise; the context outlives the walk.
    unsafe {
        query_tree_walker(query, visit, (&raw mut levels).cast(), 0);
    }
    levels
}

unsafe extern "C-unwind" fn visit(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the walk passes valid nodes and the context given to it.
    unsafe {
        if list::tag(node) != NodeTag::T_Query {
            return expression_tree_walker(node, visit, context);
        }
        (*context.cast::<Vec<*mut pg_sys::Query>>()).push(node.cast());
        query_tree_walker(node.cast(), visit, context, 0)
    }
}

//! Finding nodes in an expression, and putting others in their place.

use super::super::{compat, list};
use super::make;
use core::ffi::c_void;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// Nodes and what they become, in two lists of the same length.
struct Replacements {
    from: *mut pg_sys::List,
    to: *mut pg_sys::List,
}

/// A copy of an expression with other nodes in the place of some of its own.
///
/// # Safety
/// `node` is a valid expression or null; the others are of its level.
pub(super) unsafe fn replaced(
    node: *mut pg_sys::Node,
    pairs: &[(*mut pg_sys::Node, *mut pg_sys::Node)],
) -> *mut pg_sys::Node {
    let mut replacements = Replacements {
        from: make::list_of(pairs.iter().map(|&(from, _)| from)),
        to: make::list_of(pairs.iter().map(|&(_, to)| to)),
    };
    // SAFETY: by the caller's promise; the context outlives the walk.
    unsafe { compat::mutate(node, replace, (&raw mut replacements).cast()) }
}

unsafe extern "C-unwind" fn replace(node: *mut pg_sys::Node, context: *mut c_void) -> *mut pg_sys::Node {
    if node.is_null() {
        return node;
    }
    // SAFETY: the walk passes valid nodes and the context given to it; lists of the same length.
    unsafe {
        let replacements = context.cast::<Replacements>();
        let to = list::pointers::<pg_sys::Node>((*replacements).to);
        let mut pairs = list::pointers::<pg_sys::Node>((*replacements).from).zip(to);
        match pairs.find(|&(from, _)| from == node) {
            Some((_, to)) => to,
            None => compat::expression_tree_mutator(node, replace, context),
        }
    }
}

/// What a walk looks for, and what it found.
struct Search {
    tag: NodeTag,
    found: Vec<*mut pg_sys::Node>,
}

/// The outermost nodes of a kind in an expression, not in queries below it.
///
/// # Safety
/// `node` is a valid expression or null.
pub(super) unsafe fn find<T>(node: *mut pg_sys::Node, tag: NodeTag) -> Vec<*mut T> {
    let mut search = Search {
        tag,
        found: Vec::new(),
    };
    // SAFETY: by the caller's promise; the callback only reads, and the context outlives the walk.
    unsafe {
        look(node, (&raw mut search).cast());
    }
    search.found.into_iter().map(<*mut pg_sys::Node>::cast).collect()
}

unsafe extern "C-unwind" fn look(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the walk passes valid nodes and the context given to it.
    unsafe {
        let search = context.cast::<Search>();
        let tag = list::tag(node);
        if tag == (*search).tag {
            (*search).found.push(node);
            return false;
        }
        tag != NodeTag::T_Query && compat::expression_tree_walker(node, look, context)
    }
}

//! Which outer joins may have made a column null: since PostgreSQL 16 each column says so, and has to say it right.
//!
//! Statements are read and built without: the marks are taken off before, and put on after, at every level, by where an
//! expression stands, as the parser does (`markNullableIfNeeded` in parse_relation.c).

use super::super::{compat, list};
use super::{levels, make};
use compat::{expression_tree_walker, query_tree_walker};
use core::ffi::{c_int, c_void};
use pgrx::pg_sys;
use pgrx::pg_sys::{Bitmapset, JoinType, NodeTag};

/// For each range-table index the outer joins that may have made its columns null; `None` for what is marked otherwise.
type Marks = Vec<Option<*mut Bitmapset>>;

/// Takes the marks off.
///
/// # Safety
/// `query` is a valid one of ours to change.
pub(super) unsafe fn forget(query: *mut pg_sys::Query) {
    if compat::MARKS_OUTER_JOINS {
        // SAFETY: by the caller's promise.
        unsafe {
            levels::of(query)
                .into_iter()
                .for_each(|level| forget_level(level))
        }
    }
}

/// The query with the marks that its columns must have.
///
/// # Safety
/// `query` is valid, but for its marks.
pub(super) unsafe fn marked(query: *mut pg_sys::Query) -> *mut pg_sys::Query {
    if !compat::MARKS_OUTER_JOINS {
        return query;
    }
    // SAFETY: by the caller's promise. A copy, in which no column stands in two places.
    unsafe {
        let query = make::copy(query);
        levels::of(query).into_iter().for_each(|level| mark_level(level));
        query
    }
}

unsafe fn forget_level(query: *mut pg_sys::Query) {
    // SAFETY: a valid query.
    unsafe { stamp_all(query, &none(query)) }
}

/// Columns of the result have all marks, those in FROM what the joins below them make.
unsafe fn mark_level(query: *mut pg_sys::Query) {
    // SAFETY: a valid query.
    unsafe {
        let from = (*query).jointree.cast::<pg_sys::Node>();
        if from.is_null() {
            return;
        }
        let (mut all, mut below) = (none(query), none(query));
        walk(query, from, &mut all, false);
        stamp_all(query, &all);
        walk(query, from, &mut below, true);
    }
}

/// No marks for anything.
unsafe fn none(query: *mut pg_sys::Query) -> Marks {
    // SAFETY: the query's own list.
    let entries = unsafe { list::pointers::<pg_sys::RangeTblEntry>((*query).rtable) };
    // SAFETY: as above; range tables count from 1.
    let marks =
        entries.map(|entry| unsafe { (!compat::is_group_entry(&*entry)).then_some(core::ptr::null_mut()) });
    std::iter::once(None).chain(marks).collect()
}

/// Follows the joins of an item of FROM in the order in which they are made; `stamps` what stands on the way.
unsafe fn walk(query: *mut pg_sys::Query, item: *mut pg_sys::Node, marks: &mut Marks, stamps: bool) {
    // SAFETY: each cast follows the node's tag; range-table indexes are the query's.
    unsafe {
        match list::tag(item) {
            NodeTag::T_RangeTblRef if stamps => {
                stamp_entry(
                    make::entry(query, (*item.cast::<pg_sys::RangeTblRef>()).rtindex),
                    marks,
                );
            }
            NodeTag::T_FromExpr => {
                let from = item.cast::<pg_sys::FromExpr>();
                for item in list::pointers((*from).fromlist) {
                    walk(query, item, marks, stamps);
                }
                if stamps {
                    stamp((*from).quals, marks);
                }
            }
            NodeTag::T_JoinExpr => {
                let join = item.cast::<pg_sys::JoinExpr>();
                walk(query, (*join).larg, marks, stamps);
                walk(query, (*join).rarg, marks, stamps);
                if stamps {
                    stamp((*join).quals, marks);
                }
                if [JoinType::JOIN_RIGHT, JoinType::JOIN_FULL].contains(&(*join).jointype) {
                    add((*join).larg, (*join).rtindex, marks);
                }
                if [JoinType::JOIN_LEFT, JoinType::JOIN_FULL].contains(&(*join).jointype) {
                    add((*join).rarg, (*join).rtindex, marks);
                }
                // What the join gives is what is left of its inputs.
                if stamps {
                    stamp((*make::entry(query, (*join).rtindex)).joinaliasvars.cast(), marks);
                }
            }
            _ => {}
        }
    }
}

/// A join may make the columns of an item null.
unsafe fn add(item: *mut pg_sys::Node, join: c_int, marks: &mut Marks) {
    // SAFETY: each cast follows the node's tag; sets in the current memory context.
    unsafe {
        let rtindex = match list::tag(item) {
            NodeTag::T_RangeTblRef => (*item.cast::<pg_sys::RangeTblRef>()).rtindex,
            NodeTag::T_JoinExpr => {
                let joined = item.cast::<pg_sys::JoinExpr>();
                add((*joined).larg, join, marks);
                add((*joined).rarg, join, marks);
                (*joined).rtindex
            }
            _ => return,
        };
        if let Some(Some(joins)) = marks.get_mut(list::index(rtindex)) {
            *joins = pg_sys::bms_add_member(*joins, join);
        }
    }
}

/// Marks to write, and how many levels above the node at hand their query is.
struct Stamp<'m> {
    marks: &'m Marks,
    level: pg_sys::Index,
}

/// Writes the marks wherever the query's columns stand.
unsafe fn stamp_all(query: *mut pg_sys::Query, marks: &Marks) {
    let mut stamp = Stamp { marks, level: 0 };
    // SAFETY: a valid query of ours to change; the context outlives the walk.
    unsafe {
        query_tree_walker(query, write, (&raw mut stamp).cast(), 0);
    }
}

unsafe fn stamp(node: *mut pg_sys::Node, marks: &Marks) {
    let mut stamp = Stamp { marks, level: 0 };
    // SAFETY: as above, of an expression.
    unsafe {
        write(node, (&raw mut stamp).cast());
    }
}

/// What an entry takes from those before it.
unsafe fn stamp_entry(entry: *mut pg_sys::RangeTblEntry, marks: &Marks) {
    // SAFETY: an entry of the query; each of these is null where the entry is of another kind.
    unsafe {
        let parts: [*mut pg_sys::Node; 5] = [
            (*entry).subquery.cast(),
            (*entry).functions.cast(),
            (*entry).tablefunc.cast(),
            (*entry).values_lists.cast(),
            (*entry).tablesample.cast(),
        ];
        parts.into_iter().for_each(|part| stamp(part, marks));
    }
}

unsafe extern "C-unwind" fn write(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the walk passes valid nodes and the context given to it; casts follow the tag.
    unsafe {
        let stamp = context.cast::<Stamp<'_>>();
        match list::tag(node) {
            NodeTag::T_Var => {
                let (var, marks) = (node.cast::<pg_sys::Var>(), (*stamp).marks);
                let at = usize::try_from((*var).varno).unwrap_or(0);
                let is_own = (*var).varlevelsup == (*stamp).level;
                if let Some(Some(joins)) = marks.get(at).filter(|_| is_own) {
                    compat::set_nulling(var, *joins);
                }
                false
            }
            NodeTag::T_Query => {
                (*stamp).level += 1;
                query_tree_walker(node.cast(), write, context, 0);
                (*stamp).level -= 1;
                false
            }
            _ => expression_tree_walker(node, write, context),
        }
    }
}

//! Analysed statements as trees that are read and built: what a rewrite needs of PostgreSQL.
//!
//! A statement is read into [`Joins`] only when everything in it is known to allow a rewrite; anything else gives `None`
//! and the statement stays as it is. Reading copies it, so what is built shares nothing with the original. Everything
//! lives in the current memory context.

mod pattern;
mod conditions;
mod classes;
mod statistics;
mod make;
mod aggregates;
mod carried;
mod grouped;

use carried::Carried;
use classes::Class;
use conditions::Condition;
use core::ffi::c_int;
use engine::rewrite::JoinGraph;
use pgrx::pg_sys;

pub(crate) use grouped::build;

/// The inner joins of a statement that aggregates them.
pub(crate) struct Joins {
    /// A copy of the statement, its columns those of base relations.
    query: *mut pg_sys::Query,
    /// Range-table indexes; what the graph calls a relation is a position here.
    relations: Vec<c_int>,
    classes: Vec<Class>,
    conditions: Vec<Condition>,
    carried: Vec<Carried>,
    /// For each aggregate of the statement, in order, which of the carried ones it is.
    uses: Vec<Option<usize>>,
    graph: JoinGraph,
}

impl Joins {
    /// The joins as the engine sees them.
    pub(crate) fn graph(&self) -> &JoinGraph {
        &self.graph
    }
}

/// Whether a statement is of the kind that rewrites are about: cheap, and false for nearly all.
pub(crate) fn is_candidate(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: the planner is given a valid statement.
    unsafe { pattern::is_candidate(parse) }
}

/// Reads a statement that aggregates inner joins; `None` when it is anything else, or anything in it forbids to
/// aggregate before joining.
pub(crate) fn read(parse: *mut pg_sys::Query) -> Option<Joins> {
    // SAFETY: the planner's statement, valid and not planned yet; only its copy is changed.
    unsafe {
        if !pattern::is_candidate(parse) {
            return None;
        }
        let query = pg_sys::copyObjectImpl(parse.cast()).cast::<pg_sys::Query>();
        let (relations, conditions) = conditions::gather(query)?;
        if !pattern::has_plain_columns(query, &conditions) || !aggregates::are_known(query) {
            return None;
        }
        let (classes, conditions) = classes::find(conditions, &relations);
        let found = carried::find(query, &relations);
        let mut joins = Joins {
            query,
            relations,
            classes,
            conditions,
            carried: found.carried,
            uses: found.uses,
            graph: JoinGraph::default(),
        };
        joins.graph = statistics::graph(&joins, found.kept);
        Some(joins)
    }
}

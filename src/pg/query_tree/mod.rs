//! Analysed statements as trees that are read and built: what a rewrite needs of PostgreSQL.
//!
//! A statement is read into [`Joins`] only when everything in it is known to allow a rewrite; anything else gives `None`
//! and the statement stays as it is. Reading copies it, so what is built shares nothing with the original. Everything
//! lives in the current memory context.

mod pattern;
mod conditions;
mod outer;
mod classes;
mod statistics;
mod make;
mod levels;
mod nulling;
mod items;
mod bounded;
mod aggregates;
mod carried;
mod attached;
mod grouped;
mod replace;
mod correlation;
mod not_in;
mod any;
mod subqueries;
mod union;
mod inner_joins;
mod semi_joins;
mod self_joins;
mod foreign_keys;
mod one_row;
mod top_n;

use carried::Carried;
use classes::Class;
use conditions::{Condition, Positions};
use core::ffi::c_int;
use engine::rewrite::JoinGraph;
use outer::Attached;
use pgrx::pg_sys;

pub(crate) use foreign_keys::{drop_foreign_key_joins, may_have_foreign_key_join};
pub(crate) use grouped::build;
pub(crate) use self_joins::{drop_self_joins, may_have_self_join};
pub(crate) use semi_joins::introduce_semi_joins;
pub(crate) use subqueries::{Subqueries, may_have_subqueries, unnest};
pub(crate) use top_n::{may_have_top_n, push_top_n};
pub(crate) use union::{may_have_disjunction, split_disjunction};

/// The joins of a statement that aggregates them.
pub(crate) struct Joins {
    /// A copy of the statement, its columns those of base relations.
    query: *mut pg_sys::Query,
    /// Range-table indexes; what the graph calls a relation is a position here.
    relations: Vec<c_int>,
    classes: Vec<Class>,
    conditions: Vec<Condition>,
    /// Left joins, each with the relation whose rows it keeps.
    attached: Vec<Attached>,
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

    /// Whether there are outer joins.
    pub(crate) fn has_outer_joins(&self) -> bool {
        !self.attached.is_empty()
    }
}

/// Whether a statement is of the kind that rewrites are about: cheap, and false for nearly all.
pub(crate) fn is_candidate(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: the planner is given a valid statement.
    unsafe { pattern::is_candidate(parse) }
}

/// Reads a statement that aggregates joins, left joins too if these are allowed; `None` when it is anything else, or
/// anything in it forbids to aggregate before joining.
pub(crate) fn read(parse: *mut pg_sys::Query, with_outer_joins: bool) -> Option<Joins> {
    // SAFETY: the planner's statement, valid and not planned yet; only its copy is changed.
    unsafe {
        if !pattern::is_candidate(parse) {
            return None;
        }
        let query = pg_sys::copyObjectImpl(parse.cast()).cast::<pg_sys::Query>();
        let gathered = conditions::gather(query)?;
        let (relations, clauses) = (gathered.relations, gathered.clauses);
        let of_joins = gathered.outer.iter().flat_map(|join| join.on.iter().copied());
        let all: Vec<_> = clauses.iter().copied().chain(of_joins).collect();
        let is_allowed = with_outer_joins || gathered.outer.is_empty();
        if !is_allowed || !pattern::has_plain_columns(query, &all) || !aggregates::can_be_weighed(query) {
            return None;
        }
        let attached = outer::attach(query, gathered.outer, &clauses, &relations)?;
        let mut positions = Positions::of_each(&relations);
        for side in &attached {
            positions.add(&side.join.members, side.relation);
        }
        let (classes, conditions) = classes::find(conditions::described(&clauses, &positions), &positions);
        let found = carried::find(query, &positions, &attached);
        let mut joins = Joins {
            query,
            relations,
            classes,
            conditions,
            attached,
            carried: found.carried,
            uses: found.uses,
            graph: JoinGraph::default(),
        };
        joins.graph = statistics::graph(&joins, found.kept);
        Some(joins)
    }
}

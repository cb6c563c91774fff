//! Rule `eager_aggregation`: count before joining.
//!
//! **Pattern.** A plain SELECT that groups, aggregates or makes distinct the rows of inner joins.
//! **Transformation.** Sides of the joins that the result needs only the number of are grouped by their join keys in
//! subqueries, with the number of rows of each group; aggregates weigh each joined row with the product of these
//! numbers. What an aggregate needs of one relation may be computed in its group and carried up (`carried.rs`). The engine chooses the tree (`engine::rewrite`, with the proof), `pg/query_tree/` reads and builds.
//! **Exact when.** Joins are equalities that PostgreSQL reasons with itself, grouping is by the same equality
//! (`classes.rs`); what other conditions connect is joined first; aggregates have a form for rows with multiplicities
//! (`aggregates.rs`); nothing is volatile, no row is locked, no row security applies (`pattern.rs`). Permissions are
//! checked as before: each table keeps its entry.
//! Conditions may be evaluated for rows that another plan would have dropped before, as in any plan; arguments of
//! aggregates only if that can't raise an error.
//! **Literature.** Yan and Larson 1995; Yannakakis 1981.

use crate::pg::query_tree;
use pgrx::pg_sys;

/// The statement with grouped sides, by the engine's tree of that number; `None` when it is left alone.
pub(super) fn apply(parse: *mut pg_sys::Query, form: usize) -> Option<*mut pg_sys::Query> {
    let joins = query_tree::read(parse)?;
    let trees = joins.graph().eager_aggregations();
    query_tree::build(&joins, trees.get(form)?)
}

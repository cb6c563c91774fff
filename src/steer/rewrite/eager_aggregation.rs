//! Rules `eager_aggregation` and `eager_aggregation_over_outer_joins`: count before joining.
//!
//! **Pattern.** A plain SELECT that groups, aggregates or makes distinct the rows of inner joins, and of left joins whose
//! other sides it only counts or aggregates.
//! **Transformation.** Sides of the joins that the result needs only the number of are grouped by their join keys in
//! subqueries, with the number of rows of each group; aggregates weigh each joined row with the product of these
//! numbers. What an aggregate needs of one relation may be computed in its group and carried up (`carried.rs`). The engine chooses the tree (`engine::rewrite`, with the proof), `pg/query_tree/` reads and builds.
//! **Exact when.** Joins are equalities that PostgreSQL reasons with itself, grouping is by the same equality
//! (`classes.rs`); what other conditions connect is joined first; aggregates have a form for rows with multiplicities
//! (`aggregates.rs`); nothing is volatile, no row is locked, no row security applies (`pattern.rs`). A left join keeps the
//! rows of one relation and moves with it; a row that finds no group stands for one (`outer.rs`). Subqueries in conditions
//! (semi- and anti-joins) only filter and go where their relations go. Permissions are checked as before: each table
//! keeps its entry.
//! Conditions may be evaluated for rows that another plan would have dropped before, as in any plan; arguments of
//! aggregates only if that can't raise an error.
//! **Literature.** Yan and Larson 1995; Yannakakis 1981; of outer joins Galindo-Legaria and Rosenthal 1997, Eich and
//! Moerkotte 2015.

use super::{Rule, Rules};
use crate::pg::query_tree;
use pgrx::pg_sys;

/// The statement with grouped sides by up to so many trees of the engine, the best first, or by the one of that number.
pub(super) fn apply(
    parse: *mut pg_sys::Query,
    allowed: Rules,
    form: usize,
    most: usize,
) -> Result<(*mut pg_sys::Query, Rules), usize> {
    let with_outer_joins = allowed.has(Rule::EagerAggregationOverOuterJoins);
    let joins = match allowed.has(Rule::EagerAggregation) {
        true => query_tree::read(parse, with_outer_joins),
        false => None,
    };
    let Some(joins) = joins else { return Err(0) };
    let trees = joins.graph().eager_aggregations();
    let rules = Rules::which(|rule| {
        rule == Rule::EagerAggregation
            || (rule == Rule::EagerAggregationOverOuterJoins && joins.has_outer_joins())
    });
    let tree = trees.get(form).filter(|_| form < most);
    let query = tree.and_then(|tree| query_tree::build(&joins, tree));
    query.map(|query| (query, rules)).ok_or(trees.len().min(most))
}

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
use crate::pg::query_tree::{self, Joins};
use engine::rewrite::GroupedJoin;
use pgrx::pg_sys;

/// The ways to group sides of a statement's joins, the best first.
pub(super) struct Groupings {
    joins: Joins,
    trees: Vec<GroupedJoin>,
}

impl Groupings {
    /// At most so many; none where nothing can be grouped.
    pub(super) fn find(parse: *mut pg_sys::Query, allowed: Rules, most: usize) -> Option<Self> {
        let with_outer_joins = allowed.has(Rule::EagerAggregationOverOuterJoins);
        let joins = allowed
            .has(Rule::EagerAggregation)
            .then(|| query_tree::read(parse, with_outer_joins))??;
        let mut trees = joins.graph().eager_aggregations();
        trees.truncate(most);
        (!trees.is_empty()).then_some(Self { joins, trees })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.trees.len()
    }

    /// The statement with sides grouped in the way of that number.
    pub(super) fn build(&self, number: usize) -> Option<(*mut pg_sys::Query, Rules)> {
        let query = query_tree::build(&self.joins, self.trees.get(number)?)?;
        let rules = Rules::which(|rule| {
            rule == Rule::EagerAggregation
                || (rule == Rule::EagerAggregationOverOuterJoins && self.joins.has_outer_joins())
        });
        Some((query, rules))
    }
}

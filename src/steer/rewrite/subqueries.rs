//! Rules `scalar_subquery_to_join`, `exists_to_join`, `not_in_to_anti_join` and `in_to_semi_join`: subqueries of expressions
//! become joins.
//!
//! **Patterns.** A correlated subquery that aggregates all its rows, in WHERE or in the result; a correlated EXISTS where
//! PostgreSQL makes no semi-join of it: below OR, in CASE, in the result; NOT IN as a condition of WHERE; a correlated IN as a
//! condition of WHERE or ON, also below OR.
//! **Transformations.** The first two are grouped by the columns they are connected by and left joined: the aggregates of
//! no rows stand in for a missing group (`subqueries.rs`), a key that is not null tells that there is one. NOT IN becomes
//! NOT EXISTS (`not_in.rs`), IN becomes EXISTS (`any.rs`), below OR as any EXISTS there.
//! **Exact when.** All that connects the subquery are strict equalities of its columns, in its WHERE, by operators that
//! PostgreSQL reasons with and by which these columns may be grouped (`correlation.rs`); it has no LIMIT, DISTINCT or GROUP
//! BY; aggregates are ones whose value over no rows is known and which raise no errors for groups that nobody asks for.
//! Of NOT IN: no side has nulls. Of IN: only WHERE and inner joins mention outer columns, there is no aggregate, and nothing
//! that is compared raises errors. In all of them: the statement only reads, locks no rows, calls nothing volatile, and no
//! row security or security barrier applies.
//! **Literature.** Kim 1982; Dayal 1987; Muralikrishna 1992; Galindo-Legaria and Joshi 2001; Bellamkonda et al. 2009.

use super::{Rule, Rules};
use crate::pg::query_tree::{self, Subqueries};
use pgrx::pg_sys;

/// The statement with joins in the place of subqueries.
pub(super) fn apply(parse: *mut pg_sys::Query, allowed: Rules) -> Option<(*mut pg_sys::Query, Rules)> {
    let wanted = Subqueries {
        scalar: allowed.has(Rule::ScalarSubqueryToJoin),
        exists: allowed.has(Rule::ExistsToJoin),
        not_in: allowed.has(Rule::NotInToAntiJoin),
        any: allowed.has(Rule::InToSemiJoin),
    };
    let (query, made) = query_tree::unnest(parse, wanted)?;
    let rules = Rules::which(|rule| match rule {
        Rule::ScalarSubqueryToJoin => made.scalar,
        Rule::ExistsToJoin => made.exists,
        Rule::NotInToAntiJoin => made.not_in,
        Rule::InToSemiJoin => made.any,
        _ => false,
    });
    Some((query, rules))
}

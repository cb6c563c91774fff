//! Rule `distinct_to_semi_join`: relations that a distinct result does not need only have to be there.
//!
//! **Pattern.** SELECT DISTINCT over inner joins, whose target list needs columns of some of the relations only.
//! **Transformation.** The others go into EXISTS subqueries with all conditions that mention them, those that are connected
//! with each other into one; PostgreSQL makes semi-joins of these. Which ones is the engine's to say
//! (`engine::rewrite::semi_joins`): relations that connect others stay.
//! **Exact when.** DISTINCT is plain, so that ORDER BY needs nothing else; there is no LIMIT, aggregate, GROUP BY, window
//! function or set-returning function; nothing is volatile, no row is locked, no row security or security barrier applies
//! (`pattern.rs`). Outer joins stay as they are. Permissions are checked as before: each table keeps its entry. Of values that
//! are equal but differ any may be the result's, as in any plan; conditions may be evaluated for rows that another plan
//! would have dropped before.
//! **Literature.** Bernstein and Chiu 1981; Pirahesh, Hellerstein and Hasan 1992; Galindo-Legaria and Joshi 2001.

use super::{Rule, Rules};
use crate::pg::query_tree;
use pgrx::pg_sys;

/// The statement with semi-joins in the place of joins.
pub(super) fn apply(parse: *mut pg_sys::Query, allowed: Rules) -> Option<(*mut pg_sys::Query, Rules)> {
    let rule = Rule::DistinctToSemiJoin;
    let query = allowed
        .has(rule)
        .then(|| query_tree::introduce_semi_joins(parse))??;
    Some((query, Rules::NONE.with(rule)))
}

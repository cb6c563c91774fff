//! Rule `top_n_below_join`: the first rows of a join are made of the first rows of the side that it keeps.
//!
//! **Pattern.** ORDER BY … LIMIT over left joins, which sort and filter by columns of the side that they keep, or first by these.
//! **Transformation.** That side is cut to its first rows in a subquery, with the conditions of WHERE; with all that tie there
//! where the result is sorted by more. The result is sorted and cut once more.
//! **Exact when.** Each row of that side is in the result: it is only joined by left joins to others, and no other side is
//! filtered. What is sorted by tells the rows of the result apart, by unique keys that are sorted by or that conditions of joins equate
//! (`one_row.rs`), so that which rows come first does not depend on the plan. With OFFSET both numbers are constants. There is no
//! aggregate, GROUP BY, DISTINCT, window function, set-returning function or WITH TIES; nothing is volatile, no row is locked,
//! no row security or security barrier applies (`pattern.rs`). Conditions of joins may not be evaluated for rows that are not
//! among the first, as in any plan. A kept plan is made again when a table's keys change.
//! **Literature.** Carey and Kossmann 1997.

use super::{Rule, Rules};
use crate::pg::query_tree;
use pgrx::pg_sys;

/// The statement over the first rows of what its joins keep.
pub(super) fn apply(parse: *mut pg_sys::Query, allowed: Rules) -> Option<(*mut pg_sys::Query, Rules)> {
    let rule = Rule::TopNBelowJoin;
    let query = allowed.has(rule).then(|| query_tree::push_top_n(parse))??;
    Some((query, Rules::NONE.with(rule)))
}

//! Rule `redundant_self_join`: a table joined with itself on a unique key is read once.
//!
//! **Pattern.** An inner join of a table with itself by equalities of all columns of a unique key.
//! **Transformation.** One of the two stands for both; the equalities become IS NOT NULL where the key may be null.
//! **Exact when.** The key's index is unique at once and for all rows, and compares as the equalities do; both are read in one
//! snapshot, nothing is volatile, no row is locked, no row security or TABLESAMPLE applies (`pattern.rs`). There is no LIMIT,
//! and no aggregate depends on the order of its rows. Both entries' permissions are checked. A kept plan is made again when
//! the table's keys change.
//! **Literature.** Pirahesh, Hellerstein and Hasan 1992.

use super::{Rule, Rules};
use crate::pg::query_tree;
use pgrx::pg_sys;

/// The statement without the joins.
pub(super) fn apply(parse: *mut pg_sys::Query, allowed: Rules) -> Option<(*mut pg_sys::Query, Rules)> {
    let rule = Rule::RedundantSelfJoin;
    let query = allowed.has(rule).then(|| query_tree::drop_self_joins(parse))??;
    Some((query, Rules::NONE.with(rule)))
}

//! Rule `or_to_union_all`: a disjunction over different tables becomes a union of disjoint parts.
//!
//! **Pattern.** A SELECT over tables whose WHERE has a condition `p OR q …`, each part about one table, two or three of
//! them different.
//! **Transformation.** What FROM gives under `p`, and under `q AND p IS NOT TRUE`, as UNION ALL; the rest of the statement is
//! over that.
//! **Exact when.** FROM has tables of this server only, without TABLESAMPLE, and gives the same rows twice in one snapshot;
//! nothing is volatile, no row is locked, no row security applies. Conditions may be evaluated for rows that another plan
//! would have dropped before, as in any plan.
//! **Literature.** Ahmed et al. 2006.

use super::{Rule, Rules};
use crate::pg::query_tree;
use pgrx::pg_sys;

/// The statement over the parts of its disjunction.
pub(super) fn apply(parse: *mut pg_sys::Query, allowed: Rules) -> Option<(*mut pg_sys::Query, Rules)> {
    let rule = Rule::OrToUnionAll;
    let query = allowed
        .has(rule)
        .then(|| query_tree::split_disjunction(parse))??;
    Some((query, Rules::NONE.with(rule)))
}

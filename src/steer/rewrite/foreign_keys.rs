//! Rule `foreign_key_join`: a join that only checks what a foreign key says is left out.
//!
//! **Pattern.** An inner join by all columns of a foreign key with what it refers to, of which nothing else is used.
//! **Transformation.** The table that is referred to goes; the key's columns are not null.
//! **Exact when.** The key is enforced: valid, not deferrable, its triggers enabled on both tables and none of them still to be
//! fired, in a session that fires them; both are tables of their own, without partitions and children. That it was enforced ever since
//! the rows came, and is whenever a kept plan runs, can't be proven: `ruvector.dag_rewrite_trust_foreign_keys` says so, and is off by
//! default. There is no LIMIT, and no aggregate depends on the order of its rows. The table's permissions are checked.
//! **Literature.** Cheng et al. 1999.

use super::{Rule, Rules};
use crate::pg::query_tree;
use pgrx::pg_sys;

/// The statement without the joins.
pub(super) fn apply(parse: *mut pg_sys::Query, allowed: Rules) -> Option<(*mut pg_sys::Query, Rules)> {
    let rule = Rule::ForeignKeyJoin;
    let query = allowed
        .has(rule)
        .then(|| query_tree::drop_foreign_key_joins(parse))??;
    Some((query, Rules::NONE.with(rule)))
}

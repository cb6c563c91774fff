//! `dag_rewrite_query`: a statement in another form with the same result, or with its decision as hints, to read and keep.

use crate::advice::hint_text;
use crate::error::{not_preloaded, or_raise};
use crate::pg::query_text;
use crate::shmem;
use crate::steer::rewrite;
use pgrx::pg_extern;

/// The statement as the rules rewrite it, whatever that costs, below a comment that names the rule; else the statement
/// below a comment that gives it the decision's plan; null when they leave it alone.
#[pg_extern]
fn dag_rewrite_query(query: &str) -> Option<String> {
    let rewritten = query_text::rewrite(query, |parse| {
        rewrite::consider(parse, 0).map(|rewritten| (rewritten.query, rewritten.rule))
    });
    match or_raise(rewritten) {
        Some((text, rule)) => Some(format!("-- {rule}\n{}", text.trim_start())),
        None if !shmem::is_available() => or_raise(Err(not_preloaded())),
        None => or_raise(hint_text::rewrite(query)),
    }
}

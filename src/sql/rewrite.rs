//! `dag_rewrite_query`: a statement in another form with the same result, as text to read and keep.

use crate::error::or_raise;
use crate::pg::query_text;
use crate::steer::rewrite;
use pgrx::pg_extern;

/// The statement as the rules rewrite it, whatever that costs, below a comment that names the rule; null when they
/// leave it alone.
#[pg_extern]
fn dag_rewrite_query(query: &str) -> Option<String> {
    let rewritten = query_text::rewrite(query, |parse| {
        rewrite::consider(parse, 0).map(|rewritten| (rewritten.query, rewritten.rule))
    });
    or_raise(rewritten).map(|(text, rule)| format!("-- {rule}\n{}", text.trim_start()))
}

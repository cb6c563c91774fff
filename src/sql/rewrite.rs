//! `dag_rewrite_query`: a statement in another form with the same result, or with its decision as hints, to read and keep;
//! `dag_rewrite_savings`: what the rules brought.

use super::state::is_readable;
use crate::advice::hint_text;
use crate::error::{not_preloaded, or_raise};
use crate::pg::{catalog, query_text};
use crate::settings;
use crate::shmem::{self, guards};
use crate::steer::rewrite::{self, Rule, Rules};
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

/// The statement as the rules rewrite it, whatever that costs, below a comment that names the rules; else the statement
/// below a comment that gives it the decision's plan; null when they leave it alone.
#[pg_extern]
fn dag_rewrite_query(query: &str) -> Option<String> {
    let rewritten = query_text::rewrite(query, |parse| {
        rewrite::consider(parse, 0).map(|rewritten| (rewritten.query, rewritten.rules))
    });
    match or_raise(rewritten) {
        Some((text, rules)) => Some(format!("-- {}\n{}", rules.names(), text.trim_start())),
        None if !shmem::is_available() => or_raise(Err(not_preloaded())),
        None => or_raise(hint_text::rewrite(query)),
    }
}

/// Each rule: whether this session allows it, how many executions of this database it rewrote, and what it brought.
#[pg_extern]
fn dag_rewrite_savings() -> TableIterator<
    'static,
    (
        name!(rule, &'static str),
        name!(is_allowed, bool),
        name!(executions, i64),
        name!(saved_ms, f64),
        name!(lost_ms, f64),
    ),
> {
    or_raise(is_readable());
    let allowed = Rules::allowed();
    let brought = guards::get(catalog::database()).rewrites;
    let rows = Rule::ALL.into_iter().zip(brought).map(move |(rule, brought)| {
        let is_allowed = allowed.has(rule) && settings::rewrite_mode() != rewrite::Mode::Off;
        (
            rule.name(),
            is_allowed,
            brought.executions as i64,
            brought.saved_ms,
            brought.lost_ms,
        )
    });
    TableIterator::new(rows.collect::<Vec<_>>())
}

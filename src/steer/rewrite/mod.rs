//! Statements in another form with the same result, where that is estimated to be much cheaper.
//!
//! Each rule has a file: the pattern it knows, the conditions under which it is exact, and its literature. A rule gives
//! a new statement or `None`; whatever is not proven leaves the statement as it is. What PostgreSQL estimates for both
//! forms decides, so that a rewrite is a plan like any other.

mod eager_aggregation;

use crate::pg::{catalog, query_tree};
use crate::settings;
use pgrx::pg_sys;

pub(crate) use crate::settings::RewriteMode as Mode;

/// Total cost of a plan below which nothing is gained worth planning twice for; about a tenth of a second.
const WORTHWHILE_COST: f64 = 10_000.0;
/// Share of the original's cost that a rewritten statement may have: the gain has to be clear.
const CLEAR_GAIN: f64 = 0.5;

/// How many other forms of a statement are planned at most: the two thought best, each with and without reducers.
const FORMS: usize = 4;

/// A rule that rewrites a statement.
struct Rule {
    /// As `ruvector.dag_rewrite_rules` and EXPLAIN name it.
    name: &'static str,
    /// The statement in one of its other forms, numbered from the one thought best, sharing nothing with the original.
    apply: fn(*mut pg_sys::Query, usize) -> Option<*mut pg_sys::Query>,
}

/// The rules, in the order in which they are tried.
const RULES: &[Rule] = &[Rule {
    name: "eager_aggregation",
    apply: eager_aggregation::apply,
}];

/// A statement in another form.
#[derive(Clone, Copy)]
pub(crate) struct Rewritten {
    pub(crate) query: *mut pg_sys::Query,
    /// What made it.
    pub(crate) rule: &'static str,
}

/// What is to be planned in place of a statement, or beside it.
#[derive(Clone, Copy)]
pub(crate) enum Attempt {
    /// Only the statement itself.
    None,
    /// Only this one.
    Instead(Rewritten),
    /// First the statement itself; this is a copy to rewrite when it turns out to be expensive.
    After(*mut pg_sys::Query),
}

/// Before planning: what to try. Cheap for statements that no rule knows.
pub(crate) fn attempt(parse: *mut pg_sys::Query) -> Attempt {
    let mode = settings::rewrite_mode();
    let is_wanted = mode != Mode::Off
        && settings::is_active()
        && settings::may_steer()
        && query_tree::is_candidate(parse)
        && catalog::is_ordinary_backend()
        && catalog::has_extension();
    match mode {
        Mode::Force if is_wanted => consider(parse, 0).map_or(Attempt::None, Attempt::Instead),
        Mode::Auto if is_wanted => Attempt::After(query_tree::copy(parse)),
        _ => Attempt::None,
    }
}

/// One of the statement's other forms, numbered from the one thought best, by the first allowed rule that has so many.
pub(crate) fn consider(parse: *mut pg_sys::Query, form: usize) -> Option<Rewritten> {
    let allowed = settings::rewrite_rules();
    let rules = RULES.iter().filter(|rule| allowed.allows(rule.name));
    rules
        .filter_map(|rule| {
            let query = (rule.apply)(parse, form)?;
            let rule = rule.name;
            Some(Rewritten { query, rule })
        })
        .next()
}

/// After planning a statement in one form or more: one of its other forms to plan, if the best plan so far costs enough
/// to be worth the time.
pub(crate) fn consider_after(spare: *mut pg_sys::Query, cost: f64, form: usize) -> Option<Rewritten> {
    if cost < WORTHWHILE_COST || form >= FORMS {
        return None;
    }
    consider(spare, form)
}

/// Whether a rewritten statement's cost is so much lower that it is taken.
pub(crate) fn is_clear_gain(original: f64, rewritten: f64) -> bool {
    rewritten < original * CLEAR_GAIN
}

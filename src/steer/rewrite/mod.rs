//! Statements in another form with the same result, where that is estimated to be much cheaper.
//!
//! Each rule has a file: the pattern it knows, the conditions under which it is exact, and its literature. A rule gives
//! a new statement or `None`; whatever is not proven leaves the statement as it is. What PostgreSQL estimates for both
//! forms decides, so that a rewrite is a plan like any other.

mod eager_aggregation;

use crate::pg::query_tree;
use crate::settings;
use engine::decision::hints::FORMS;
use pgrx::pg_sys;

pub(crate) use crate::settings::RewriteMode as Mode;

/// Total cost of a plan below which nothing is gained worth planning twice for; about a tenth of a second.
const WORTHWHILE_COST: f64 = 10_000.0;
/// Share of the original's cost that a rewritten statement may have: the gain has to be clear.
const CLEAR_GAIN: f64 = 0.5;

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

/// Whether every statement that a rule knows is to be planned in another form.
pub(crate) fn is_forced() -> bool {
    settings::rewrite_mode() == Mode::Force
}

/// Whether a statement may be planned in another form. Cheap for statements that no rule knows.
pub(crate) fn is_possible(parse: *mut pg_sys::Query) -> bool {
    settings::rewrite_mode() != Mode::Off && query_tree::is_candidate(parse)
}

/// One of the statement's other forms, numbered from the one thought best, by the first allowed rule that has so many.
pub(crate) fn consider(parse: *mut pg_sys::Query, form: usize) -> Option<Rewritten> {
    let allowed = settings::rewrite_rules();
    let rules = RULES.iter().filter(|rule| allowed.contains(rule.name));
    rules
        .filter_map(|rule| {
            let query = (rule.apply)(parse, form)?;
            let rule = rule.name;
            Some(Rewritten { query, rule })
        })
        .next()
}

/// One of the other forms of a statement seen for the first time, if the best plan so far costs enough to be worth
/// planning again.
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

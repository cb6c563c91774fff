//! Statements in another form with the same result, where that is estimated to be much cheaper.
//!
//! Each rule has a file: the pattern it knows, the conditions under which it is exact, and its literature. A rule gives
//! a new statement or `None`; whatever is not proven leaves the statement as it is. What PostgreSQL estimates for both
//! forms decides, so that a rewrite is a plan like any other.

mod rules;
mod subqueries;
mod disjunctions;
mod eager_aggregation;
mod semi_joins;
mod self_joins;
mod judged;

use crate::pg::query_tree;
use crate::settings;
use engine::decision::hints::FORMS;
use pgrx::pg_sys;

pub(crate) use crate::settings::RewriteMode as Mode;
pub(crate) use judged::Spending;
pub(crate) use rules::{Rule, Rules};

/// Total cost of a plan below which nothing is gained worth planning twice for; about a tenth of a second.
const WORTHWHILE_COST: f64 = 10_000.0;
/// Share of the original's cost that a rewritten statement may have: the gain has to be clear.
const CLEAR_GAIN: f64 = 0.5;

/// A statement in another form.
#[derive(Clone, Copy)]
pub(crate) struct Rewritten {
    pub(crate) query: *mut pg_sys::Query,
    /// What made it.
    pub(crate) rules: Rules,
}

/// Whether every statement that a rule knows is to be planned in another form.
pub(crate) fn is_forced() -> bool {
    settings::rewrite_mode() == Mode::Force
}

/// Whether a statement may be planned in another form. Cheap for statements that no rule knows.
pub(crate) fn is_possible(parse: *mut pg_sys::Query) -> bool {
    settings::rewrite_mode() != Mode::Off
        && (query_tree::may_have_subqueries(parse)
            || query_tree::may_have_disjunction(parse)
            || query_tree::may_have_self_join(parse)
            || query_tree::is_candidate(parse))
}

/// One of the statement's other forms, numbered from the one thought best.
pub(crate) fn consider(parse: *mut pg_sys::Query, form: usize) -> Option<Rewritten> {
    let names = settings::rewrite_rules();
    let allowed = Rules::which(|rule| names.contains(rule.name()));
    // Those are forms of their own, after those that also aggregate before joining.
    let unnested = subqueries::apply(parse, allowed);
    let others = [
        unnested,
        disjunctions::apply(parse, allowed),
        semi_joins::apply(parse, allowed),
        self_joins::apply(parse, allowed),
    ];
    let others = others.into_iter().flatten();
    let most = FORMS - others.clone().count();
    let (joined, made) = unnested.unwrap_or((parse, Rules::NONE));
    let (query, rules) = match eager_aggregation::apply(joined, allowed, form, most) {
        Ok((query, rules)) => (query, rules.and(made)),
        Err(forms) => others.into_iter().nth(form.checked_sub(forms)?)?,
    };
    Some(Rewritten { query, rules })
}

/// One of the other forms of a statement seen for the first time, if the best plan so far costs enough to be worth
/// planning again, and no form of the statement was judged in vain.
pub(crate) fn consider_after(
    spare: *mut pg_sys::Query,
    (queryid, cost): (i64, f64),
    form: usize,
    spending: &Spending,
) -> Option<Rewritten> {
    let is_worth_it = cost >= WORTHWHILE_COST && form < FORMS && spending.allows_another(cost);
    if !is_worth_it || (form == 0 && judged::is_in_vain(queryid, cost)) {
        return None;
    }
    consider(spare, form)
}

/// Notes that a form of a statement whose plan costs this much was compared with it.
pub(crate) fn note_judged(queryid: i64, cost: f64, is_gain: bool) {
    judged::note(queryid, cost, is_gain);
}

/// Whether a rewritten statement's cost is so much lower that it is taken.
pub(crate) fn is_clear_gain(original: f64, rewritten: f64) -> bool {
    rewritten < original * CLEAR_GAIN
}

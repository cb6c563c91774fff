//! Statements in another form with the same result, where that is estimated to be much cheaper.
//!
//! Each rule has a file: the pattern it knows, the conditions under which it is exact, and its literature. A rule gives
//! a new statement or `None`; whatever is not proven leaves the statement as it is. What PostgreSQL estimates for both
//! forms decides, with the row counts that were learned where these contradict it, so that a rewrite is a plan like any other.

mod rules;
mod subqueries;
mod disjunctions;
mod eager_aggregation;
mod semi_joins;
mod self_joins;
mod foreign_keys;
mod top_n;
mod judged;
mod known;

use crate::pg::query_tree;
use crate::settings;
use eager_aggregation::Groupings;
use engine::decision::hints::FORMS;
use pgrx::pg_sys;

pub(crate) use crate::settings::RewriteMode as Mode;
pub(crate) use judged::Spending;
pub(crate) use known::contradicts;
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
            || query_tree::may_have_foreign_key_join(parse)
            || query_tree::may_have_top_n(parse)
            || query_tree::is_candidate(parse))
}

/// A statement's other forms: looked for once, made one by one, numbered from the one thought best.
pub(crate) struct Forms {
    groupings: Option<Groupings>,
    /// Rules that made what is grouped.
    made: Rules,
    /// Forms of their own, after those that also aggregate before joining.
    others: Vec<Rewritten>,
}

impl Forms {
    /// Looks for the forms of a statement, which has to outlive them.
    pub(crate) fn of(parse: *mut pg_sys::Query) -> Self {
        let allowed = Rules::allowed();
        let unnested = subqueries::apply(parse, allowed);
        let others = [
            unnested,
            disjunctions::apply(parse, allowed),
            semi_joins::apply(parse, allowed),
            self_joins::apply(parse, allowed),
            foreign_keys::apply(parse, allowed),
            top_n::apply(parse, allowed),
        ];
        let others = others.into_iter().flatten();
        let others: Vec<Rewritten> = others.map(|(query, rules)| Rewritten { query, rules }).collect();
        let (joined, made) = unnested.unwrap_or((parse, Rules::NONE));
        let most = FORMS.saturating_sub(others.len());
        Self {
            groupings: Groupings::find(joined, allowed, most),
            made,
            others,
        }
    }

    /// The form of that number.
    pub(crate) fn get(&self, number: usize) -> Option<Rewritten> {
        let groupings = self.groupings.as_ref();
        let grouped = groupings.filter(|groupings| number < groupings.len());
        if let Some(groupings) = grouped {
            let (query, rules) = groupings.build(number)?;
            let rules = rules.and(self.made);
            return Some(Rewritten { query, rules });
        }
        let before = groupings.map_or(0, Groupings::len);
        self.others.get(number.checked_sub(before)?).copied()
    }
}

/// One of the statement's other forms.
pub(crate) fn consider(parse: *mut pg_sys::Query, form: usize) -> Option<Rewritten> {
    Forms::of(parse).get(form)
}

/// Whether it is worth planning one more form of a statement seen for the first time: the best plan so far costs enough,
/// there is time, and no form of the statement was judged in vain.
pub(crate) fn is_worth_planning((queryid, cost): (i64, f64), form: usize, spending: &Spending) -> bool {
    let is_worth_it = cost >= WORTHWHILE_COST && form < FORMS && spending.allows_another(cost);
    is_worth_it && !(form == 0 && judged::is_in_vain(queryid, cost))
}

/// Notes that a form of a statement whose plan costs this much was compared with it.
pub(crate) fn note_judged(queryid: i64, cost: f64, is_gain: bool) {
    judged::note(queryid, cost, is_gain);
}

/// Whether a rewritten statement's cost is so much lower that it is taken.
pub(crate) fn is_clear_gain(original: f64, rewritten: f64) -> bool {
    rewritten < original * CLEAR_GAIN
}

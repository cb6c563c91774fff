//! `SELECT DISTINCT … FROM a JOIN b …` whose result needs `a` only: `… FROM a WHERE EXISTS (SELECT FROM b WHERE …)`.
//!
//! A row of `a` is in the distinct result if it joins with any row of `b`, with how many does not matter: these duplicates
//! are not made (Bernstein and Chiu, "Using semi-joins to solve relational queries", JACM 1981; Pirahesh, Hellerstein and
//! Hasan, "Extensible/rule based query rewrite optimization in Starburst", SIGMOD 1992). PostgreSQL joins EXISTS as it
//! joins tables, also by first making the other side's keys unique (Galindo-Legaria and Joshi, "Orthogonal optimization
//! of subqueries and aggregation", SIGMOD 2001).
//!
//! A condition with a subquery stays whole on one side: columns in it count their levels from where it stands.

use super::super::list;
use super::inner_joins::{InnerJoins, Places};
use super::{items, make, nulling, pattern};
use engine::rewrite::{Link, Set, semi_joins};
use pgrx::pg_sys;
use pgrx::pg_sys::{NodeTag, SubLinkType};

/// The statement with relations in EXISTS that its distinct result does not need; `None` where there are none, or its rows
/// are not just distinct ones of a join.
pub(crate) fn introduce_semi_joins(parse: *mut pg_sys::Query) -> Option<*mut pg_sys::Query> {
    // SAFETY: the planner's statement, valid and not planned yet; only its copy is changed.
    unsafe {
        if !is_distinct(&*parse) || !pattern::is_candidate(parse) {
            return None;
        }
        let joins = InnerJoins::read(make::copy(parse))?;
        let links: Vec<Link> = joins
            .clauses
            .iter()
            .map(|&clause| Link {
                relations: joins.mentioned(clause),
                is_whole: pg_sys::checkExprHasSubLink(clause),
            })
            .collect();
        let outer = joins.items.iter().enumerate();
        let outer = outer
            .filter(|(_, item)| item.relation().is_none())
            .map(|(at, _)| at);
        let needed = joins.mentioned((*joins.query).targetList.cast()) | outer.collect();
        let sides = semi_joins(joins.items.len(), &links, needed);
        (!sides.is_empty()).then(|| nulling::marked(over_sides(&joins, &links, &sides)))
    }
}

/// Whether the result is all distinct rows of a join: where a part is cut out of them by LIMIT, which part that is may
/// depend on the plan.
fn is_distinct(query: &pg_sys::Query) -> bool {
    !query.distinctClause.is_null()
        && !query.hasDistinctOn
        && !query.hasAggs
        && query.groupClause.is_null()
        && query.havingQual.is_null()
        && query.limitCount.is_null()
        && query.limitOffset.is_null()
}

/// The statement with these sides in EXISTS.
unsafe fn over_sides(joins: &InnerJoins, links: &[Link], sides: &[Set]) -> *mut pg_sys::Query {
    let moved = sides.iter().fold(Set::default(), |all, &side| all | side);
    let kept = (0..joins.items.len()).filter(|&at| !moved.contains(at));
    let conditions = || joins.clauses.iter().copied().zip(links);
    // SAFETY: the statement was copied when it was read; its parts are copied once more where they are used.
    unsafe {
        let query = joins.without_from();
        let (places, from) = joins.move_items(kept.collect(), query);
        let own = conditions().filter(|(_, link)| (link.relations & moved).is_empty());
        let own = own.map(|(clause, _)| {
            let clause = make::copy(clause);
            make::localise(clause, &places);
            clause
        });
        let exists = sides.iter().map(|&side| {
            let of_side = conditions().filter(|(_, link)| !(link.relations & side).is_empty());
            let clauses = of_side.map(|(clause, _)| make::copy(clause)).collect();
            exists(joins, side, clauses, &places)
        });
        let quals = make::all_of(own.chain(exists));
        (*query).jointree = pg_sys::makeFromExpr(make::list_of(from), quals);
        make::localise((*query).targetList.cast(), &places);
        (*query).hasSubLinks = true;
        query
    }
}

/// `EXISTS (SELECT FROM side WHERE clauses)` in a query whose relations have these places.
unsafe fn exists(
    joins: &InnerJoins,
    side: Set,
    clauses: Vec<*mut pg_sys::Node>,
    outer: &Places,
) -> *mut pg_sys::Node {
    // SAFETY: as of `over_sides`; the clauses are ours to change.
    unsafe {
        let inner = items::empty_query();
        let (places, from) = joins.move_items(side, inner);
        let all: Places = outer.iter().chain(&places).copied().collect();
        for &clause in &clauses {
            let columns = outer_columns(joins, clause, side);
            make::localise(clause, &all);
            for column in columns {
                (*column).varlevelsup += 1;
            }
        }
        (*inner).jointree = pg_sys::makeFromExpr(make::list_of(from), make::all_of(clauses));
        (*inner).hasSubLinks = pg_sys::checkExprHasSubLink((*inner).jointree.cast());
        let exists = make::node::<pg_sys::SubLink>(NodeTag::T_SubLink);
        (*exists).subLinkType = SubLinkType::EXISTS_SUBLINK;
        (*exists).subselect = inner.cast();
        (*exists).location = -1;
        exists.cast()
    }
}

/// The columns of a condition that are not of this side, in place. Conditions with subqueries have none: they are whole.
unsafe fn outer_columns(joins: &InnerJoins, clause: *mut pg_sys::Node, side: Set) -> Vec<*mut pg_sys::Var> {
    // SAFETY: a valid condition of the statement, whose columns are all of its level.
    unsafe {
        let columns = list::pointers::<pg_sys::Var>(pg_sys::pull_var_clause(clause, 0));
        let is_outer = |column: &*mut pg_sys::Var| (joins.mentioned(column.cast()) & side).is_empty();
        columns.filter(is_outer).collect()
    }
}

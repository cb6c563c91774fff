//! Subqueries of expressions that become joins.

use super::super::{list, statement};
use super::correlation::{self, Correlated};
use super::{aggregates, any, conditions, items, make, not_in, nulling, outer, replace};
use core::ffi::c_int;
use pgrx::pg_sys;
use pgrx::pg_sys::{BoolExprType, NodeTag, RTEKind, SubLinkType};

/// Which subqueries may become joins, or did.
#[derive(Clone, Copy, Default)]
pub(crate) struct Subqueries {
    /// Correlated ones with the value of an aggregate: left joins to groups.
    pub(crate) scalar: bool,
    /// Correlated EXISTS where PostgreSQL makes no semi-join of it: left joins to groups.
    pub(crate) exists: bool,
    /// NOT IN without nulls: NOT EXISTS, of which PostgreSQL makes an anti-join.
    pub(crate) not_in: bool,
    /// Correlated IN: EXISTS, of which PostgreSQL makes a semi-join.
    pub(crate) any: bool,
}

impl Subqueries {
    /// Whether there are any.
    fn is_some(self) -> bool {
        self.scalar || self.exists || self.not_in || self.any
    }
}

/// Whether a statement may have such subqueries: cheap, and false for most.
pub(crate) fn may_have_subqueries(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: the planner is given a valid statement.
    unsafe {
        let has_in_from = |entry: *mut pg_sys::RangeTblEntry| {
            (*entry).rtekind == RTEKind::RTE_SUBQUERY && (*(*entry).subquery).hasSubLinks
        };
        statement::only_reads(parse)
            && ((*parse).hasSubLinks || list::pointers((*parse).rtable).any(has_in_from))
    }
}

/// The statement with joins in the place of subqueries, and of which kinds these were; `None` where there are none, or
/// anything forbids to evaluate them in another way.
pub(crate) fn unnest(
    parse: *mut pg_sys::Query,
    allowed: Subqueries,
) -> Option<(*mut pg_sys::Query, Subqueries)> {
    // SAFETY: the planner's statement, valid and not planned yet; only its copy is changed.
    unsafe {
        let described = statement::describe(parse, core::ptr::null_mut());
        let is_plain = may_have_subqueries(parse)
            && !described.has_row_security
            && !statement::locks_rows(parse)
            && !statement::is_volatile(parse);
        if !is_plain {
            return None;
        }
        let query = make::copy(parse);
        nulling::forget(query);
        let mut made = Subqueries {
            any: allowed.any && any::replace(query),
            ..Subqueries::default()
        };
        unnest_level(query, allowed, &mut made);
        made.is_some().then(|| (nulling::marked(query), made))
    }
}

/// Unnests the subqueries of a query and of those in its FROM.
unsafe fn unnest_level(query: *mut pg_sys::Query, allowed: Subqueries, made: &mut Subqueries) {
    // SAFETY: a valid query of ours to change, which mentions no outer columns.
    unsafe {
        for entry in list::pointers::<pg_sys::RangeTblEntry>((*query).rtable) {
            if (*entry).lateral || !(*entry).securityQuals.is_null() || (*entry).security_barrier {
                return;
            }
            if (*entry).rtekind == RTEKind::RTE_SUBQUERY {
                unnest_level((*entry).subquery, allowed, made);
            }
        }
        let has_expressions =
            (*query).hasSubLinks && (*query).setOperations.is_null() && aggregates::ignore_order(query);
        if !has_expressions || (*query).jointree.is_null() {
            return;
        }
        if allowed.not_in {
            made.not_in |= replace_not_in(query);
        }
        if allowed.scalar || allowed.exists {
            replace_correlated(query, allowed, made);
        }
    }
}

/// Makes NOT EXISTS of what is NOT IN among the conditions of WHERE.
unsafe fn replace_not_in(query: *mut pg_sys::Query) -> bool {
    let mut clauses = Vec::new();
    let mut is_changed = false;
    // SAFETY: as in `unnest_level`.
    unsafe {
        conditions::split((*(*query).jointree).quals, &mut clauses);
        for at in 0..clauses.len() {
            if let Some(anti_join) = not_in::as_anti_join(query, &clauses, at)
                && let Some(clause) = clauses.get_mut(at)
            {
                *clause = anti_join;
                is_changed = true;
            }
        }
        if is_changed {
            (*(*query).jointree).quals = make::all_of(clauses);
        }
    }
    is_changed
}

/// Joins the groups that correlated subqueries are about, in conditions and, where each row is one of the result, in
/// the result.
unsafe fn replace_correlated(query: *mut pg_sys::Query, allowed: Subqueries, made: &mut Subqueries) {
    let mut clauses = Vec::new();
    // SAFETY: as in `unnest_level`.
    unsafe {
        conditions::split((*(*query).jointree).quals, &mut clauses);
        for clause in &mut clauses {
            if !is_semi_join(*clause) {
                if allowed.any && allowed.exists {
                    *clause = unnest_any(query, *clause, made);
                }
                *clause = unnest_expression(query, *clause, allowed, made);
            }
        }
        (*(*query).jointree).quals = make::all_of(clauses);
        let groups = (*query).hasAggs || !(*query).groupClause.is_null() || !(*query).groupingSets.is_null();
        if !groups {
            let targets = unnest_expression(query, (*query).targetList.cast(), allowed, made);
            (*query).targetList = targets.cast();
        }
    }
}

/// A condition with joined groups in the place of what is IN below OR, where unknown is as good as false.
unsafe fn unnest_any(
    query: *mut pg_sys::Query,
    clause: *mut pg_sys::Node,
    made: &mut Subqueries,
) -> *mut pg_sys::Node {
    // SAFETY: as in `unnest_level`; the cast follows the node's tag.
    unsafe {
        let expression = clause.cast::<pg_sys::BoolExpr>();
        if list::tag(clause) == NodeTag::T_BoolExpr && (*expression).boolop != BoolExprType::NOT_EXPR {
            let parts = list::pointers((*expression).args);
            (*expression).args = make::list_of(parts.map(|part| unnest_any(query, part, made)));
            return clause;
        }
        let joined = any::as_exists(clause).and_then(|exists_in| exists(query, exists_in));
        joined.map_or(clause, |joined| {
            made.any = true;
            made.exists = true;
            joined.cast()
        })
    }
}

/// Whether PostgreSQL may make a semi- or anti-join of a condition itself.
unsafe fn is_semi_join(clause: *mut pg_sys::Node) -> bool {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        let mut bare = clause;
        if list::tag(bare) == NodeTag::T_BoolExpr {
            let expression = bare.cast::<pg_sys::BoolExpr>();
            if (*expression).boolop != BoolExprType::NOT_EXPR {
                return false;
            }
            bare = (*(*(*expression).args).elements).ptr_value.cast();
        }
        list::tag(bare) == NodeTag::T_SubLink
            && (*bare.cast::<pg_sys::SubLink>()).subLinkType != SubLinkType::EXPR_SUBLINK
    }
}

/// The expression with columns of joined groups in the place of subqueries.
unsafe fn unnest_expression(
    query: *mut pg_sys::Query,
    expression: *mut pg_sys::Node,
    allowed: Subqueries,
    made: &mut Subqueries,
) -> *mut pg_sys::Node {
    // SAFETY: as in `unnest_level`.
    unsafe {
        let mut pairs = Vec::new();
        for subquery in replace::find::<pg_sys::SubLink>(expression, NodeTag::T_SubLink) {
            let value = match (*subquery).subLinkType {
                SubLinkType::EXPR_SUBLINK if allowed.scalar => scalar(query, subquery),
                SubLinkType::EXISTS_SUBLINK if allowed.exists => exists(query, subquery),
                _ => None,
            };
            if let Some(value) = value {
                let is_scalar = (*subquery).subLinkType == SubLinkType::EXPR_SUBLINK;
                made.scalar |= is_scalar;
                made.exists |= !is_scalar;
                pairs.push((subquery.cast(), value.cast()));
            }
        }
        match pairs.is_empty() {
            true => expression,
            false => replace::replaced(expression, &pairs),
        }
    }
}

/// The value of a subquery that aggregates all its rows, of the group of an outer row: what the aggregates are of no
/// rows where there is no group, so that `count` is 0 (Muralikrishna, "Improved unnesting algorithms for join aggregate
/// SQL queries", VLDB 1992). All groups are aggregated, so aggregates must raise no errors.
unsafe fn scalar(query: *mut pg_sys::Query, subquery: *mut pg_sys::SubLink) -> Option<*mut pg_sys::Expr> {
    // SAFETY: a subquery of the query.
    unsafe {
        let inner = (*subquery).subselect.cast::<pg_sys::Query>();
        let mut targets = list::pointers::<pg_sys::TargetEntry>((*inner).targetList);
        let (Some(target), None) = (targets.next(), targets.next()) else {
            return None;
        };
        if !(*inner).hasAggs || pg_sys::checkExprHasSubLink((*target).expr.cast()) {
            return None;
        }
        let correlated = correlation::correlated(inner)?;
        let value = make::copy((*target).expr);
        let found = list::pointers::<pg_sys::Node>(aggregates::pull(value.cast())).collect::<Vec<_>>();
        if !found.iter().all(|&part| is_harmless(part)) {
            return None;
        }
        let columns = found.iter().map(|&part| (make::copy(part).cast(), c"value"));
        let (_, columns) = join_groups(query, &correlated, columns.collect())?;
        let mut pairs = Vec::new();
        for (&part, column) in found.iter().zip(columns) {
            let aggregate = part.cast::<pg_sys::Aggref>();
            pairs.push((part, aggregates::or_of_nothing(&*aggregate, column)?.cast()));
        }
        Some(replace::replaced(value.cast(), &pairs).cast())
    }
}

/// Whether what a subquery computes is an aggregate of its own with a known value over no rows, and raises no errors.
unsafe fn is_harmless(part: *mut pg_sys::Node) -> bool {
    // SAFETY: the cast follows the node's tag.
    unsafe {
        list::tag(part) == NodeTag::T_Aggref && {
            let aggregate = part.cast::<pg_sys::Aggref>();
            (*aggregate).agglevelsup == 0
                && aggregates::or_of_nothing(&*aggregate, aggregate.cast()).is_some()
                && !aggregates::may_raise(&*aggregate)
        }
    }
}

/// Whether an outer row has a group: its key is not null then, since it was equal to something.
unsafe fn exists(query: *mut pg_sys::Query, subquery: *mut pg_sys::SubLink) -> Option<*mut pg_sys::Expr> {
    // SAFETY: a subquery of the query.
    unsafe {
        let inner = (*subquery).subselect.cast::<pg_sys::Query>();
        if (*inner).hasAggs {
            return None;
        }
        let correlated = correlation::correlated(inner)?;
        let (key, _) = join_groups(query, &correlated, Vec::new())?;
        Some(make::is_not_null(key))
    }
}

/// Left joins a subquery, grouped by its keys, to the items of FROM whose columns it was connected with: its first key and
/// the columns asked for.
unsafe fn join_groups(
    query: *mut pg_sys::Query,
    correlated: &Correlated,
    columns: Vec<(*mut pg_sys::Expr, &core::ffi::CStr)>,
) -> Option<(*mut pg_sys::Expr, Vec<*mut pg_sys::Expr>)> {
    // SAFETY: as in `unnest_level`; a subquery of ours to change.
    unsafe {
        let inner = correlated.query;
        (*inner).groupClause = core::ptr::null_mut();
        let mut targets = Vec::new();
        for key in &correlated.keys {
            let number = targets.len() + 1;
            let group = make::group_by(key.own.cast(), number as u32);
            (*inner).groupClause = pg_sys::lappend((*inner).groupClause, group.cast());
            targets.push(make::target(
                make::copy(key.own).cast(),
                number,
                c"key",
                number as u32,
            ));
        }
        for (column, name) in columns {
            targets.push(make::target(column, targets.len() + 1, name, 0));
        }
        (*inner).targetList = make::list_of(targets.iter().copied());
        let entry = items::subquery(inner, c"grouped".as_ptr());
        let place = list::length((*query).rtable) as c_int + 1;
        let mut made = targets.iter().map(|&target| make::var(place, &*target));
        let keys: Vec<_> = made.by_ref().take(correlated.keys.len()).collect();
        let pairs = correlated.keys.iter().zip(&keys);
        let on = make::all_of(pairs.map(|(key, &column)| key.condition(make::copy(column))));
        let columns = made.collect();
        (*query).rtable = pg_sys::lappend((*query).rtable, entry.cast());
        let right = items::reference(place).cast();
        let from = (*query).jointree;
        (*from).fromlist = joined(query, (*from).fromlist, right, on)?;
        Some((*keys.first()?, columns))
    }
}

/// FROM with a left join to the items that the condition mentions; these are joined with each other first.
unsafe fn joined(
    query: *mut pg_sys::Query,
    from: *mut pg_sys::List,
    right: *mut pg_sys::Node,
    on: *mut pg_sys::Node,
) -> Option<*mut pg_sys::List> {
    // SAFETY: as in `unnest_level`.
    unsafe {
        let mentioned = conditions::mentioned(on);
        let is_mentioned = |&item: &*mut pg_sys::Node| {
            let mut members = Vec::new();
            outer::find_members(item, &mut members);
            members
                .iter()
                .any(|&member| mentioned.contains(&list::index(member)))
        };
        let items = list::pointers::<pg_sys::Node>(from);
        let (kept, others): (Vec<_>, Vec<_>) = items.partition(is_mentioned);
        let mut kept = kept.into_iter();
        let mut left = kept.next()?;
        for item in kept {
            let none = core::ptr::null_mut();
            left = items::join(query, pg_sys::JoinType::JOIN_INNER, left, (item, none))?.cast();
        }
        let left = items::join(query, pg_sys::JoinType::JOIN_LEFT, left, (right, on))?;
        Some(make::list_of([left.cast()].into_iter().chain(others)))
    }
}

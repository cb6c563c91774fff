//! `… FROM a LEFT JOIN b ON … ORDER BY a.x, a.id LIMIT 9`: `… FROM (SELECT … FROM a ORDER BY x, id LIMIT 9) AS a LEFT JOIN b
//! ON … ORDER BY a.x, a.id LIMIT 9`.
//!
//! A left join drops no row of its left side, so that the first rows of the result are made of the first rows of that side
//! (Carey and Kossmann, "On saying 'enough already!' in SQL", SIGMOD 1997: Stop operators below non-reductive joins). Where the
//! result is sorted by more than that side's columns, rows that tie in these are all among the first.
//!
//! Only where what is sorted by tells result rows apart: else any of those that tie may be the first, and which of them are
//! could change.

use super::super::{list, statement};
use super::{conditions, items, make, nulling, one_row, outer, pattern, replace};
use core::ffi::{CStr, c_int};
use pgrx::pg_sys;
use pgrx::pg_sys::{JoinType, LimitOption, NodeTag};

/// What is sorted by, and how.
type Sorted = Vec<(*mut pg_sys::SortGroupClause, *mut pg_sys::Node)>;

/// A side of joins of which each row is in the result.
struct Kept {
    item: *mut pg_sys::Node,
    /// Range-table indexes in it, of joins too.
    members: Vec<c_int>,
    /// The joins that it is below, outermost first, each with its other side.
    joins: Vec<(*mut pg_sys::JoinExpr, *mut pg_sys::Node)>,
    /// How many of the first that are sorted by mention nothing else.
    leading: usize,
}

impl Kept {
    unsafe fn has_all_of(&self, node: *mut pg_sys::Node) -> bool {
        // SAFETY: a valid expression of the statement, or null.
        let mentioned = unsafe { conditions::mentioned(node) };
        let is_member = |rtindex| self.members.iter().any(|&member| list::index(member) == rtindex);
        mentioned.into_iter().all(is_member)
    }
}

/// Whether a statement may want the first rows of a join: cheap, and false for most.
pub(crate) fn may_have_top_n(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: the planner is given a valid statement.
    unsafe {
        statement::only_reads(parse)
            && !(*parse).limitCount.is_null()
            && !(*parse).sortClause.is_null()
            && list::length((*parse).rtable) > 1
    }
}

/// The statement with the first rows taken before they are joined; `None` where joins may drop some of them, or it is left
/// open which rows are the first.
pub(crate) fn push_top_n(parse: *mut pg_sys::Query) -> Option<*mut pg_sys::Query> {
    // SAFETY: the planner's statement, valid and not planned yet; only its copy is changed.
    unsafe {
        if !is_candidate(parse) {
            return None;
        }
        let query = make::copy(parse);
        conditions::flatten(query)?;
        let mut from = list::pointers((*(*query).jointree).fromlist);
        let (Some(top), None) = (from.next(), from.next()) else {
            return None;
        };
        let sorted = sorted(query);
        let kept = kept(query, top, &sorted)?;
        let ons: Vec<_> = kept.joins.iter().map(|&(join, _)| (*join).quals).collect();
        let is_plain = !ons.iter().any(|&on| pg_sys::checkExprHasSubLink(on))
            && pattern::has_plain_columns(query, &ons)
            && one_row::is_told_by(query, top, &sorted);
        if !is_plain {
            return None;
        }
        Some(nulling::marked(over_first(query, &kept, &sorted)?))
    }
}

/// Whether a statement gives some of the rows of a join, as they are.
unsafe fn is_candidate(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: the planner is given a valid statement.
    unsafe {
        may_have_top_n(parse)
            && (*parse).limitOption == LimitOption::LIMIT_OPTION_COUNT
            && !(*parse).hasAggs
            && (*parse).groupClause.is_null()
            && (*parse).havingQual.is_null()
            && (*parse).distinctClause.is_null()
            && pattern::is_plain_join(parse)
    }
}

unsafe fn sorted(query: *mut pg_sys::Query) -> Sorted {
    // SAFETY: a valid statement: each clause has its target.
    unsafe {
        let clauses = list::pointers((*query).sortClause);
        clauses
            .map(|clause| {
                (
                    clause,
                    pg_sys::get_sortgroupclause_expr(clause, (*query).targetList),
                )
            })
            .collect()
    }
}

/// The smallest side that is kept and filtered alone, of those that decide the order alone if there are any.
unsafe fn kept(query: *mut pg_sys::Query, top: *mut pg_sys::Node, sorted: &Sorted) -> Option<Kept> {
    let (mut found, mut item, mut joins) = (None::<Kept>, top, Vec::new());
    // SAFETY: items of FROM of a valid statement.
    unsafe {
        while let Some((side, other)) = sides(item) {
            joins.push((item.cast(), other));
            let mut kept = Kept {
                item: side,
                members: Vec::new(),
                joins: joins.clone(),
                leading: 0,
            };
            outer::find_members(side, &mut kept.members)?;
            let leading = sorted.iter().take_while(|&&(_, by)| kept.has_all_of(by));
            kept.leading = leading.count();
            let was_all = found.as_ref().is_some_and(|found| found.leading == sorted.len());
            let is_less = was_all && kept.leading < sorted.len();
            if is_less || kept.leading == 0 || !kept.has_all_of((*(*query).jointree).quals) {
                break;
            }
            found = Some(kept);
            item = side;
        }
    }
    found
}

/// The side of a join of which each row is in its result, and the other one.
unsafe fn sides(item: *mut pg_sys::Node) -> Option<(*mut pg_sys::Node, *mut pg_sys::Node)> {
    // SAFETY: the cast follows the node's tag.
    unsafe {
        if list::tag(item) != NodeTag::T_JoinExpr {
            return None;
        }
        let join = item.cast::<pg_sys::JoinExpr>();
        match (*join).jointype {
            JoinType::JOIN_LEFT => Some(((*join).larg, (*join).rarg)),
            JoinType::JOIN_RIGHT => Some(((*join).rarg, (*join).larg)),
            _ => None,
        }
    }
}

/// How many rows come first: a constant, or without OFFSET any number.
unsafe fn limit(query: *mut pg_sys::Query) -> Option<*mut pg_sys::Node> {
    // SAFETY: expressions of a valid statement.
    unsafe {
        if (*query).limitOffset.is_null() {
            return Some(make::copy((*query).limitCount));
        }
        let (count, offset) = (constant((*query).limitCount)?, constant((*query).limitOffset)?);
        Some(make::bigint(count.checked_add(offset)?).cast())
    }
}

/// A constant that is not negative, perhaps an integer that becomes a bigint.
unsafe fn constant(node: *mut pg_sys::Node) -> Option<i64> {
    // SAFETY: each cast follows the node's tag; constants of both types are passed by value.
    unsafe {
        if list::tag(node) == NodeTag::T_FuncExpr {
            let cast = node.cast::<pg_sys::FuncExpr>();
            let is_cast = (*cast).funcid == pg_sys::Oid::from(pg_sys::F_INT8_INT4);
            return is_cast.then(|| constant(list::pointers((*cast).args).next()?))?;
        }
        if list::tag(node) != NodeTag::T_Const {
            return None;
        }
        let known = node.cast::<pg_sys::Const>();
        let is_number = [pg_sys::INT4OID, pg_sys::INT8OID].contains(&(*known).consttype);
        let number = (is_number && !(*known).constisnull).then(|| (*known).constvalue.value() as i64)?;
        (number >= 0).then_some(number)
    }
}

/// The statement over the first rows of what is kept, joined as before.
unsafe fn over_first(query: *mut pg_sys::Query, kept: &Kept, sorted: &Sorted) -> Option<*mut pg_sys::Query> {
    // SAFETY: a statement of ours to change; its parts are copied where they are used.
    unsafe {
        let used = used_columns(query, kept);
        let first = first_rows(query, kept, &used, sorted)?;
        let name = (*make::entry(query, *kept.members.first()?)).eref;
        let entry = items::subquery(first, (*name).aliasname);
        // In the numbers of the statement it comes after all others, until it gets its place.
        let number = list::length((*query).rtable) as c_int + 1;
        let over = items::without_from(query);
        (*over).rtable = make::list_of([entry]);
        let mut places = vec![(number, 1)];
        let mut item = items::reference(1).cast();
        for &(join, other) in kept.joins.iter().rev() {
            let mut members = Vec::new();
            outer::find_members(other, &mut members)?;
            let (more, other) = items::move_item(query, (other, &members), over);
            places.extend(more);
            let on = replaced((*join).quals, &used, number);
            make::localise(on, &places);
            item = items::left_join(over, item, other, on)?.cast();
        }
        (*over).targetList = replaced((*query).targetList.cast(), &used, number).cast();
        make::localise((*over).targetList.cast(), &places);
        (*over).jointree = pg_sys::makeFromExpr(make::list_of([item]), core::ptr::null_mut());
        (*over).hasSubLinks = pg_sys::checkExprHasSubLink((*over).jointree.cast());
        Some(over)
    }
}

/// `SELECT used FROM kept WHERE … ORDER BY … LIMIT …`
unsafe fn first_rows(
    query: *mut pg_sys::Query,
    kept: &Kept,
    used: &[*mut pg_sys::Var],
    sorted: &Sorted,
) -> Option<*mut pg_sys::Query> {
    let leading: Sorted = sorted.iter().take(kept.leading).copied().collect();
    // SAFETY: as of `over_first`.
    unsafe {
        let first = items::empty_query();
        let (places, item) = items::move_item(query, (kept.item, &kept.members), first);
        let quals = make::copy((*(*query).jointree).quals);
        make::localise(quals, &places);
        (*first).jointree = pg_sys::makeFromExpr(make::list_of([item]), quals);
        (*first).hasSubLinks = pg_sys::checkExprHasSubLink((*first).jointree.cast());
        let mut targets: Vec<_> = (1..)
            .zip(used)
            .map(|(at, &used)| target(query, used, at))
            .collect();
        for &(clause, by) in &leading {
            let mut known = targets.iter().copied();
            let known = known.find(|&target| pg_sys::equal((*target).expr.cast(), by.cast()));
            let target = known.unwrap_or_else(|| {
                let made = make::target(make::copy(by).cast(), targets.len() + 1, c"sorted", 0);
                targets.push(made);
                made
            });
            (*target).ressortgroupref = (*target).resno as pg_sys::Index;
            let clause = make::copy(clause);
            (*clause).tleSortGroupRef = (*target).ressortgroupref;
            (*first).sortClause = pg_sys::lappend((*first).sortClause, clause.cast());
        }
        (*first).targetList = make::list_of(targets);
        make::localise((*first).targetList.cast(), &places);
        (*first).limitCount = limit(query)?;
        if !one_row::is_told_by(query, kept.item, &leading) {
            (*first).limitOption = LimitOption::LIMIT_OPTION_WITH_TIES;
        }
        Some(first)
    }
}

/// A column under its own name.
unsafe fn target(
    query: *mut pg_sys::Query,
    column: *mut pg_sys::Var,
    number: usize,
) -> *mut pg_sys::TargetEntry {
    // SAFETY: a column of the statement.
    unsafe {
        let entry = make::entry(query, (*column).varno as c_int);
        let name = pg_sys::get_rte_attribute_name(entry, (*column).varattno);
        make::target(make::copy(column).cast(), number, CStr::from_ptr(name), 0)
    }
}

/// The columns of what is kept that the joins and the result need, each once.
unsafe fn used_columns(query: *mut pg_sys::Query, kept: &Kept) -> Vec<*mut pg_sys::Var> {
    let mut used: Vec<*mut pg_sys::Var> = Vec::new();
    // SAFETY: valid expressions, which have only plain columns.
    unsafe {
        let ons = kept.joins.iter().map(|&(join, _)| (*join).quals);
        for node in ons.chain([(*query).targetList.cast()]) {
            for column in list::pointers::<pg_sys::Var>(pg_sys::pull_var_clause(node, 0)) {
                if kept.has_all_of(column.cast()) && place(column, &used).is_none() {
                    used.push(column);
                }
            }
        }
    }
    used
}

unsafe fn place(column: *mut pg_sys::Var, used: &[*mut pg_sys::Var]) -> Option<usize> {
    let mut used = used.iter();
    // SAFETY: valid columns; `equal` only reads them.
    used.position(|&known| unsafe { pg_sys::equal(known.cast(), column.cast()) })
}

/// A copy of an expression with the first rows' columns in the place of those they are of.
unsafe fn replaced(node: *mut pg_sys::Node, used: &[*mut pg_sys::Var], number: c_int) -> *mut pg_sys::Node {
    // SAFETY: a valid expression, which has only plain columns.
    unsafe {
        let columns = list::pointers::<pg_sys::Var>(pg_sys::pull_var_clause(node, 0));
        let pairs = columns.filter_map(|column| {
            let target = make::target(column.cast(), place(column, used)? + 1, c"", 0);
            Some((column.cast(), make::var(number, &*target).cast()))
        });
        let pairs: Vec<_> = pairs.collect();
        replace::replaced(node, &pairs)
    }
}

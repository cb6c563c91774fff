//! `… WHERE p OR q` about different tables: `… WHERE p UNION ALL … WHERE q AND p IS NOT TRUE`.
//!
//! A row that meets the disjunction meets its first part, or the second and not the first; what is unknown is not true.
//! Each part may be read with the indexes of its own table, where PostgreSQL has to join first and filter then
//! (Ahmed et al., "Cost-based query transformation in Oracle", VLDB 2006).

use super::super::{compat, list, statement};
use super::{aggregates, conditions, items, make, nulling, pattern, replace};
use pgrx::pg_sys;
use pgrx::pg_sys::{BoolExprType, NodeTag, RTEKind};

/// Parts that a disjunction is taken apart into at most.
const MOST_PARTS: usize = 3;

/// Whether a statement may have a disjunction over several tables: cheap, and false for most.
pub(crate) fn may_have_disjunction(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: the planner is given a valid statement.
    unsafe {
        let is_plain = statement::only_reads(parse) && list::length((*parse).rtable) > 1;
        is_plain && !(*parse).hasSubLinks && {
            let from = (*parse).jointree;
            let mut clauses = Vec::new();
            conditions::split((*from).quals, &mut clauses);
            clauses.into_iter().any(|clause| is_disjunction(clause))
        }
    }
}

unsafe fn is_disjunction(clause: *mut pg_sys::Node) -> bool {
    // SAFETY: the cast follows the node's tag.
    unsafe {
        list::tag(clause) == NodeTag::T_BoolExpr
            && (*clause.cast::<pg_sys::BoolExpr>()).boolop == BoolExprType::OR_EXPR
    }
}

/// The statement over the parts of its first disjunction that is about different tables; `None` where there is none, or
/// its tables might not give the same rows twice.
pub(crate) fn split_disjunction(parse: *mut pg_sys::Query) -> Option<*mut pg_sys::Query> {
    // SAFETY: the planner's statement, valid and not planned yet; only its copy is changed.
    unsafe {
        if !is_candidate(parse) {
            return None;
        }
        let query = make::copy(parse);
        conditions::flatten(query)?;
        let mut clauses = Vec::new();
        conditions::split((*(*query).jointree).quals, &mut clauses);
        let at = clauses.iter().position(|&clause| parts(clause).is_some())?;
        let parts = parts(clauses.remove(at))?;
        if !pattern::has_plain_columns(query, &[]) || !aggregates::ignore_order(query) {
            return None;
        }
        Some(nulling::marked(over_parts(query, &clauses, &parts)))
    }
}

/// Whether a statement gives the same rows however often its FROM is read.
unsafe fn is_candidate(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: the planner is given a valid statement.
    unsafe {
        let query = &*parse;
        let is_table = |entry: *mut pg_sys::RangeTblEntry| match (*entry).rtekind {
            RTEKind::RTE_RELATION => {
                pattern::is_plain_table(&*entry)
                    && (*entry).securityQuals.is_null()
                    && (*entry).tablesample.is_null()
            }
            RTEKind::RTE_JOIN => true,
            _ => compat::is_group_entry(&*entry),
        };
        may_have_disjunction(parse)
            && !(query.hasWindowFuncs || query.hasRowSecurity || query.hasForUpdate)
            && query.cteList.is_null()
            && query.rowMarks.is_null()
            && query.setOperations.is_null()
            && list::pointers((*parse).rtable).all(is_table)
            && !statement::is_volatile(parse)
    }
}

/// The parts of a disjunction, each about one table; `None` when it is no disjunction, or about one table only.
unsafe fn parts(clause: *mut pg_sys::Node) -> Option<Vec<*mut pg_sys::Node>> {
    // SAFETY: the cast follows the node's tag.
    unsafe {
        if !is_disjunction(clause) {
            return None;
        }
        let mut parts: Vec<(usize, Vec<*mut pg_sys::Node>)> = Vec::new();
        for arm in list::pointers::<pg_sys::Node>((*clause.cast::<pg_sys::BoolExpr>()).args) {
            let mentioned = conditions::mentioned(arm);
            let &[table] = mentioned.as_slice() else {
                return None;
            };
            match parts.iter_mut().find(|(known, _)| *known == table) {
                Some((_, arms)) => arms.push(arm),
                None => parts.push((table, vec![arm])),
            }
        }
        let any_of = |arms: Vec<*mut pg_sys::Node>| pg_sys::make_orclause(make::list_of(arms)).cast();
        let is_split = (2..=MOST_PARTS).contains(&parts.len());
        is_split.then(|| {
            let parts = parts.into_iter().map(|(_, arms)| match arms.as_slice() {
                &[only] => only,
                _ => any_of(arms),
            });
            parts.collect()
        })
    }
}

/// The statement over the union of its parts: its columns are those of the union.
unsafe fn over_parts(
    query: *mut pg_sys::Query,
    clauses: &[*mut pg_sys::Node],
    parts: &[*mut pg_sys::Node],
) -> *mut pg_sys::Query {
    // SAFETY: a statement of ours to change; a node of its tag's struct.
    unsafe {
        let used = used_columns(query);
        let union = items::empty_query();
        for (at, &part) in parts.iter().enumerate() {
            let before = parts
                .iter()
                .take(at)
                .map(|&before| make::is_not_true(make::copy(before)));
            let own = [make::copy(part)].into_iter().chain(before);
            let others = clauses.iter().map(|&clause| make::copy(clause));
            let read = part_of(query, &used, make::all_of(others.chain(own)));
            let name = c"*SELECT*".as_ptr();
            let entry = items::subquery(read, name);
            (*entry).inFromCl = false;
            (*union).rtable = pg_sys::lappend((*union).rtable, entry.cast());
            if at == 0 {
                let targets = list::pointers::<pg_sys::TargetEntry>((*read).targetList).map(|target| {
                    let copied = make::copy(target);
                    (*copied).expr = make::var(1, &*target);
                    copied
                });
                (*union).targetList = make::list_of(targets);
            }
        }
        (*union).jointree = pg_sys::makeFromExpr(core::ptr::null_mut(), core::ptr::null_mut());
        (*union).setOperations = items::union_all((*union).targetList, parts.len());
        replace_columns(query, &used);
        compat::forget_permissions(query);
        (*query).rtable = make::list_of([items::subquery(union, c"parts".as_ptr())]);
        (*query).jointree = pg_sys::makeFromExpr(make::list_of([items::reference(1)]), core::ptr::null_mut());
        query
    }
}

/// The columns that the result needs, each once.
unsafe fn used_columns(query: *mut pg_sys::Query) -> Vec<*mut pg_sys::Var> {
    let mut used: Vec<*mut pg_sys::Var> = Vec::new();
    // SAFETY: valid expressions, which have only plain columns.
    unsafe {
        for column in all_columns(query) {
            if !used
                .iter()
                .any(|&known| pg_sys::equal(known.cast(), column.cast()))
            {
                used.push(column);
            }
        }
    }
    used
}

/// The columns in the result's expressions, as often as they stand there.
unsafe fn all_columns(query: *mut pg_sys::Query) -> Vec<*mut pg_sys::Var> {
    // SAFETY: valid expressions, which have only plain columns.
    unsafe {
        let results = [(*query).targetList.cast(), (*query).havingQual];
        let columns = results.into_iter().flat_map(|node| {
            let flags = pg_sys::PVC_RECURSE_AGGREGATES;
            list::pointers::<pg_sys::Var>(pg_sys::pull_var_clause(node, flags as i32))
        });
        columns.collect()
    }
}

/// The statement's FROM under these conditions, with these columns, or a constant when none is needed.
unsafe fn part_of(
    query: *mut pg_sys::Query,
    used: &[*mut pg_sys::Var],
    quals: *mut pg_sys::Node,
) -> *mut pg_sys::Query {
    // SAFETY: as of `over_parts`.
    unsafe {
        let part = items::empty_query();
        for rtindex in 1..=list::length((*query).rtable) {
            compat::move_entry(query, rtindex as core::ffi::c_int, part);
        }
        (*part).jointree = make::copy((*query).jointree);
        (*(*part).jointree).quals = quals;
        let targets = used.iter().enumerate().map(|(at, &column)| {
            let entry = make::entry(query, (*column).varno as core::ffi::c_int);
            let name = pg_sys::get_rte_attribute_name(entry, (*column).varattno);
            make::target(
                make::copy(column).cast(),
                at + 1,
                core::ffi::CStr::from_ptr(name),
                0,
            )
        });
        let targets: Vec<_> = targets.collect();
        (*part).targetList = match targets.is_empty() {
            true => make::list_of([make::target(make::bigint(1), 1, c"row", 0)]),
            false => make::list_of(targets),
        };
        part
    }
}

/// Puts the union's columns in the place of the tables'.
unsafe fn replace_columns(query: *mut pg_sys::Query, used: &[*mut pg_sys::Var]) {
    // SAFETY: as of `over_parts`.
    unsafe {
        let pairs = all_columns(query).into_iter().filter_map(|column| {
            let at = used
                .iter()
                .position(|&known| pg_sys::equal(known.cast(), column.cast()))?;
            let target = make::target(column.cast(), at + 1, c"", 0);
            Some((column.cast(), make::var(1, &*target).cast()))
        });
        let pairs: Vec<_> = pairs.collect();
        (*query).targetList = replace::replaced((*query).targetList.cast(), &pairs).cast();
        (*query).havingQual = replace::replaced((*query).havingQual, &pairs);
    }
}

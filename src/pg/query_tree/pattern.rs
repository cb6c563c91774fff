//! Which statements may be rewritten at all.

use super::super::{compat, list, statement};
use pgrx::pg_sys;
use pgrx::pg_sys::{NodeTag, RTEKind};

/// Whether a statement is a plain SELECT that groups, over plain relations: cheap checks first, most statements end here.
///
/// # Safety
/// `parse` is a valid statement.
pub(super) unsafe fn is_candidate(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: by the caller's promise.
    unsafe { removes_duplicates(&*parse) && is_plain_join(parse) }
}

/// Whether a statement is a plain SELECT of several plain relations.
///
/// # Safety
/// `parse` is a valid statement.
pub(super) unsafe fn is_plain_join(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        let query = &*parse;
        query.commandType == pg_sys::CmdType::CMD_SELECT
            && list::length(query.rtable) > 1
            && is_plain(query)
            && list::pointers::<pg_sys::RangeTblEntry>(query.rtable).all(|entry| is_plain_entry(&*entry))
            && !statement::is_volatile(parse)
            && has_harmless_subqueries(parse)
    }
}

/// Whether each row of the result is of a group, or distinct.
fn removes_duplicates(query: &pg_sys::Query) -> bool {
    let is_distinct = !query.distinctClause.is_null() && !query.hasDistinctOn;
    query.hasAggs || !query.groupClause.is_null() || is_distinct
}

/// Whether subqueries are parts of conditions or of FROM only, lock no rows, and read no tables under row security.
/// Conditions and entries of FROM take them along: they count levels from where they stand, and are not lateral.
unsafe fn has_harmless_subqueries(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: a valid statement.
    unsafe {
        let query = &*parse;
        let elsewhere = [
            query.targetList.cast(),
            query.havingQual,
            query.limitOffset,
            query.limitCount,
        ];
        let described = statement::describe(parse, core::ptr::null_mut());
        let is_elsewhere = elsewhere
            .into_iter()
            .any(|node| pg_sys::checkExprHasSubLink(node));
        !(statement::locks_rows(parse) || described.has_row_security || is_elsewhere)
    }
}

/// Whether a statement has no feature whose meaning could depend on rows that are not aggregated yet.
fn is_plain(query: &pg_sys::Query) -> bool {
    !(query.hasWindowFuncs
        || query.hasTargetSRFs
        || query.hasRecursive
        || query.hasModifyingCTE
        || query.hasForUpdate
        || query.hasRowSecurity
        || query.resultRelation != 0)
        && query.utilityStmt.is_null()
        && query.cteList.is_null()
        && query.groupingSets.is_null()
        && query.rowMarks.is_null()
        && query.setOperations.is_null()
        && query.onConflict.is_null()
        && query.returningList.is_null()
        && query.withCheckOptions.is_null()
}

/// Whether an entry of the range table is a table of this server.
pub(super) fn is_plain_table(entry: &pg_sys::RangeTblEntry) -> bool {
    let tables = [
        pg_sys::RELKIND_RELATION,
        pg_sys::RELKIND_PARTITIONED_TABLE,
        pg_sys::RELKIND_MATVIEW,
    ];
    tables.contains(&(entry.relkind as u8))
}

/// Whether an entry of the range table is a table, rows that depend on no other entry, or a name for joins or groups.
fn is_plain_entry(entry: &pg_sys::RangeTblEntry) -> bool {
    let is_plain = entry.tablesample.is_null() && entry.securityQuals.is_null() && !entry.lateral;
    match entry.rtekind {
        RTEKind::RTE_RELATION => is_plain && is_plain_table(entry),
        RTEKind::RTE_SUBQUERY => is_plain && !entry.security_barrier,
        RTEKind::RTE_FUNCTION | RTEKind::RTE_VALUES => is_plain && !has_subqueries(entry),
        RTEKind::RTE_JOIN => true,
        _ => compat::is_group_entry(entry),
    }
}

/// Whether the arguments of a function in FROM, or a list of values, have subqueries. A level says of itself whether it has any,
/// and what is moved to another one would have to be looked through.
fn has_subqueries(entry: &pg_sys::RangeTblEntry) -> bool {
    let parts = [entry.functions, entry.values_lists];
    // SAFETY: expressions of a valid entry.
    parts
        .into_iter()
        .any(|part| unsafe { pg_sys::checkExprHasSubLink(part.cast()) })
}

/// Whether all columns that are used are ordinary ones of this level: no whole rows, no system columns.
///
/// # Safety
/// The statement and its conditions are valid.
pub(super) unsafe fn has_plain_columns(query: *mut pg_sys::Query, conditions: &[*mut pg_sys::Node]) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        let results = [(*query).targetList.cast(), (*query).havingQual];
        let mut used = conditions.iter().copied().chain(results);
        used.all(|node| {
            let flags = pg_sys::PVC_RECURSE_AGGREGATES;
            let columns = pg_sys::pull_var_clause(node, flags as i32);
            list::pointers::<pg_sys::Node>(columns).all(|column| {
                let column = column.cast::<pg_sys::Var>();
                list::tag(column) == NodeTag::T_Var && (*column).varattno > 0 && (*column).varlevelsup == 0
            })
        })
    }
}

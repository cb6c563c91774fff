//! The columns of tables that a statement compares with constants, parameters and other tables' columns.

use super::compat::{self, expression_tree_walker, query_tree_walker};
use super::list;
use core::ffi::{CStr, c_char, c_void};
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Comparison {
    /// Equal to a value.
    Equal,
    /// Less or greater than a value.
    Range,
    /// Equal to a column of another table.
    Join,
}

/// A column that is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ComparedColumn {
    /// OID of the table.
    pub(crate) table: u32,
    /// The table's name with its schema, quoted.
    pub(crate) table_name: String,
    /// The table's name as it is.
    pub(crate) plain_name: String,
    /// What the table is called in the statement.
    pub(crate) alias: String,
    /// The column's number.
    pub(crate) number: i16,
    /// The column's name, quoted.
    pub(crate) name: String,
    pub(crate) comparison: Comparison,
}

/// A comparison as it stands in the statement.
struct Found {
    entry: *mut pg_sys::RangeTblEntry,
    number: i16,
    operator: pg_sys::Oid,
    is_with_column: bool,
}

struct Walk {
    query: *mut pg_sys::Query,
    found: Vec<Found>,
}

/// The columns that `query`, analysed and rewritten but not planned, compares by an operator that an index can serve.
pub(super) fn read(query: *mut pg_sys::Query) -> Vec<ComparedColumn> {
    let mut walk = Walk {
        query,
        found: Vec::new(),
    };
    // SAFETY: a valid query, walked with its own walker; the callback only reads, and calls nothing that can fail.
    unsafe {
        find(query.cast(), (&raw mut walk).cast());
    }
    let mut columns = Vec::new();
    for found in &walk.found {
        // SAFETY: the entries belong to the query.
        if let Some(column) = unsafe { describe(found) }
            && !columns.contains(&column)
        {
            columns.push(column);
        }
    }
    columns
}

unsafe extern "C-unwind" fn find(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the walkers pass valid nodes and the context given to them; casts follow the tag.
    unsafe {
        let walk = context.cast::<Walk>();
        match list::tag(node) {
            NodeTag::T_Query => {
                let around = (*walk).query;
                (*walk).query = node.cast();
                query_tree_walker(node.cast(), find, context, 0);
                (*walk).query = around;
                return false;
            }
            NodeTag::T_OpExpr => {
                let operation = node.cast::<pg_sys::OpExpr>();
                note(&mut *walk, (*operation).opno, (*operation).args);
            }
            NodeTag::T_ScalarArrayOpExpr => {
                let operation = node.cast::<pg_sys::ScalarArrayOpExpr>();
                if (*operation).useOr {
                    note(&mut *walk, (*operation).opno, (*operation).args);
                }
            }
            _ => {}
        }
        expression_tree_walker(node, find, context)
    }
}

unsafe fn note(walk: &mut Walk, operator: pg_sys::Oid, arguments: *mut pg_sys::List) {
    // SAFETY: the arguments of an operator, expressions.
    unsafe {
        let sides: Vec<*mut pg_sys::Node> = list::pointers(arguments).collect();
        let &[left, right] = sides.as_slice() else { return };
        let columns = [column_of(walk.query, left), column_of(walk.query, right)];
        let is_with_column = columns.iter().all(Option::is_some);
        for (entry, number) in columns.into_iter().flatten() {
            walk.found.push(Found {
                entry,
                number,
                operator,
                is_with_column,
            });
        }
    }
}

/// The table and column that an expression is, seen through joins.
unsafe fn column_of(
    query: *mut pg_sys::Query,
    expression: *mut pg_sys::Node,
) -> Option<(*mut pg_sys::RangeTblEntry, i16)> {
    let mut node = expression;
    // SAFETY: a valid expression of this query; casts follow the tag.
    unsafe {
        loop {
            if node.is_null() {
                return None;
            }
            match list::tag(node) {
                NodeTag::T_RelabelType => node = (*node.cast::<pg_sys::RelabelType>()).arg.cast(),
                NodeTag::T_Var => {
                    let var = node.cast::<pg_sys::Var>();
                    let position = usize::try_from((*var).varno).ok()?.checked_sub(1)?;
                    if (*var).varlevelsup != 0 || (*var).varattno <= 0 {
                        return None;
                    }
                    let entry = list::pointers::<pg_sys::RangeTblEntry>((*query).rtable).nth(position)?;
                    match (*entry).rtekind {
                        pg_sys::RTEKind::RTE_RELATION => return Some((entry, (*var).varattno)),
                        pg_sys::RTEKind::RTE_JOIN => {
                            let column = usize::try_from((*var).varattno).ok()? - 1;
                            node = list::pointers((*entry).joinaliasvars).nth(column)?;
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
    }
}

unsafe fn describe(found: &Found) -> Option<ComparedColumn> {
    // SAFETY: an entry of the query; catalog lookups, whose names are palloc'ed C strings or null.
    unsafe {
        let entry = &*found.entry;
        let kind = entry.relkind as u8;
        let is_table = kind == pg_sys::RELKIND_RELATION || kind == pg_sys::RELKIND_MATVIEW;
        let comparison = match compat::btree_strategy(found.operator)? {
            3 if found.is_with_column => Comparison::Join,
            3 => Comparison::Equal,
            1 | 2 | 4 | 5 if !found.is_with_column => Comparison::Range,
            _ => return None,
        };
        if !is_table || entry.relid.to_u32() < pg_sys::FirstNormalObjectId {
            return None;
        }
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(entry.relid));
        let table = pg_sys::get_rel_name(entry.relid);
        let column = pg_sys::get_attname(entry.relid, found.number, true);
        if schema.is_null() || table.is_null() || column.is_null() {
            return None;
        }
        Some(ComparedColumn {
            table: entry.relid.to_u32(),
            table_name: text(pg_sys::quote_qualified_identifier(schema, table)),
            plain_name: text(table),
            alias: text((*entry.eref).aliasname),
            number: found.number,
            name: text(pg_sys::quote_identifier(column)),
            comparison,
        })
    }
}

unsafe fn text(name: *const c_char) -> String {
    // SAFETY: a C string, by the callers.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

//! The analysed statement before planning: its class, and whether it may be steered at all.

use super::compat::{QUERYIDS_KNOW_NAMES_ONLY, expression_tree_walker, query_tree_walker};
use super::list;
use core::ffi::c_void;
use engine::cardinality::{hash_bytes, hash_words};
use engine::decision::PlanKind;
use pgrx::pg_sys;

/// What the walk over a statement gathers.
struct Gathered {
    /// Of constants, and of tables where `queryid` does not tell them apart.
    constants: u64,
    has_parameters: bool,
    tables: u32,
    has_row_security: bool,
}

/// A statement as the planner is given it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    /// `queryid`, as pg_stat_statements shows it.
    pub(crate) queryid: i64,
    /// The statement with its constants, for this database and user.
    pub(crate) class: u64,
    /// Whether it reads any table.
    pub(crate) has_tables: bool,
    /// Whether row-level security restricts any of its tables.
    pub(crate) has_row_security: bool,
    /// Of a statement with parameters: whether this planning is for their values, or for any.
    pub(crate) kind: Option<PlanKind>,
}

/// The query identifier of a statement; 0 when it has none.
pub(crate) fn queryid(parse: *const pg_sys::Query) -> i64 {
    // SAFETY: the planner is given a valid query.
    unsafe { (*parse).queryId as i64 }
}

/// Whether the statement is one the planner optimises and reads something.
pub(crate) fn is_plannable(parse: *const pg_sys::Query) -> bool {
    // SAFETY: the planner is given a valid query.
    unsafe { (*parse).commandType != pg_sys::CmdType::CMD_UTILITY && !(*parse).rtable.is_null() }
}

/// Whether the statement locks rows (FOR UPDATE and its kin), or changes any in a CTE.
pub(crate) fn locks_rows(parse: *mut pg_sys::Query) -> bool {
    let mut locks = false;
    // SAFETY: a valid query, walked with its own walker; the callback only reads.
    unsafe {
        find_locks(parse.cast(), (&raw mut locks).cast());
    }
    locks
}

unsafe extern "C-unwind" fn find_locks(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the walkers pass valid nodes and the context given to them.
    unsafe {
        if list::tag(node) != pg_sys::NodeTag::T_Query {
            return expression_tree_walker(node, find_locks, context);
        }
        let query = node.cast::<pg_sys::Query>();
        let found = !(*query).rowMarks.is_null();
        *context.cast::<bool>() |= found;
        found || query_tree_walker(query, find_locks, context, 0)
    }
}

/// Whether the statement is a cursor's whose rows `WHERE CURRENT OF` may name, of the one table in its FROM: PostgreSQL looks for a scan
/// of it below nothing that joins (`search_plan_tree` in execCurrent.c).
pub(crate) fn may_be_current_of(parse: *const pg_sys::Query, options: i32) -> bool {
    // SAFETY: the planner is given a valid query; every declared cursor has this option.
    unsafe {
        options & pg_sys::CURSOR_OPT_FAST_PLAN as i32 != 0
            && (*parse).jointree.as_ref().is_some_and(|from| {
                let mut items = list::pointers::<pg_sys::Node>(from.fromlist);
                let is_relation = |item: *mut pg_sys::Node| list::tag(item) == pg_sys::NodeTag::T_RangeTblRef;
                items.next().is_some_and(is_relation) && items.next().is_none()
            })
    }
}

/// Whether the statement changes nothing.
pub(crate) fn only_reads(parse: *const pg_sys::Query) -> bool {
    // SAFETY: the planner is given a valid query.
    unsafe { (*parse).commandType == pg_sys::CmdType::CMD_SELECT && !(*parse).hasModifyingCTE }
}

/// Walks the statement once and describes it.
pub(crate) fn describe(parse: *mut pg_sys::Query, params: pg_sys::ParamListInfo) -> Statement {
    let mut gathered = Gathered {
        constants: 0,
        has_parameters: false,
        tables: 0,
        has_row_security: false,
    };
    // SAFETY: a valid query, walked with its own walker; the callback only reads.
    unsafe {
        gather(parse.cast(), (&raw mut gathered).cast());
    }
    let queryid = queryid(parse);
    let kind = match params.is_null() {
        true => PlanKind::Generic,
        false => PlanKind::Custom,
    };
    // SAFETY: the planner's parameters are valid or null.
    let params = unsafe { hash_params(params) };
    // SAFETY: backend globals, set once a database is connected.
    let (database, user) = unsafe { (pg_sys::MyDatabaseId, pg_sys::GetUserId()) };
    let class = hash_words([
        queryid as u64,
        gathered.constants,
        params,
        u64::from(database.to_u32()),
        u64::from(user.to_u32()),
    ]);
    Statement {
        queryid,
        class,
        has_tables: gathered.tables > 0,
        has_row_security: gathered.has_row_security,
        kind: gathered.has_parameters.then_some(kind),
    }
}

unsafe extern "C-unwind" fn gather(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the walkers pass valid nodes and the context given to them.
    unsafe {
        let gathered = context.cast::<Gathered>();
        match list::tag(node) {
            pg_sys::NodeTag::T_Const => {
                let constant = hash_constant(node.cast()).unwrap_or(1);
                (*gathered).constants = hash_words([(*gathered).constants, constant]);
                false
            }
            pg_sys::NodeTag::T_Param => {
                let parameter = node.cast::<pg_sys::Param>();
                (*gathered).has_parameters |= (*parameter).paramkind == pg_sys::ParamKind::PARAM_EXTERN;
                false
            }
            pg_sys::NodeTag::T_Query => {
                let query = node.cast::<pg_sys::Query>();
                (*gathered).has_row_security |= (*query).hasRowSecurity;
                query_tree_walker(query, gather, context, pg_sys::QTW_EXAMINE_RTES_BEFORE as i32)
            }
            pg_sys::NodeTag::T_RangeTblEntry => {
                let entry = node.cast::<pg_sys::RangeTblEntry>();
                let is_table = (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION;
                (*gathered).tables += u32::from(is_table);
                if is_table && QUERYIDS_KNOW_NAMES_ONLY {
                    let table = u64::from((*entry).relid.to_u32());
                    (*gathered).constants = hash_words([(*gathered).constants, table]);
                }
                false
            }
            _ => expression_tree_walker(node, gather, context),
        }
    }
}

/// The hash of a constant's type, collation and value; `None` when the value can't be read in place.
///
/// # Safety
/// `constant` is a valid `Const`.
pub(super) unsafe fn hash_constant(constant: *const pg_sys::Const) -> Option<u64> {
    // SAFETY: by the caller's promise.
    unsafe {
        let value = if (*constant).constisnull {
            0
        } else {
            hash_datum(
                (*constant).constvalue,
                (*constant).constlen,
                (*constant).constbyval,
            )?
        };
        let null = u64::from((*constant).constisnull);
        Some(hash_words([
            u64::from((*constant).consttype.to_u32()),
            null,
            value,
        ]))
    }
}

/// The hash of a datum's bytes; `None` for compressed or out-of-line values, which constants hardly are.
///
/// # Safety
/// `value` is a non-null datum of the given length class.
unsafe fn hash_datum(value: pg_sys::Datum, length: i32, by_value: bool) -> Option<u64> {
    if by_value {
        return Some(hash_words([value.value() as u64]));
    }
    // SAFETY: by the caller's promise; the length class says how many bytes lie there.
    unsafe {
        match length {
            -1 => {
                let varlena = value.cast_mut_ptr::<pg_sys::varlena>();
                let plain = !pgrx::varatt_is_1b_e(varlena) && !pgrx::varatt_is_4b_c(varlena);
                plain.then(|| hash_bytes(pgrx::varlena_to_byte_slice(varlena)))
            }
            -2 => Some(hash_bytes(
                core::ffi::CStr::from_ptr(value.cast_mut_ptr()).to_bytes(),
            )),
            length => {
                let bytes =
                    core::slice::from_raw_parts(value.cast_mut_ptr::<u8>(), usize::try_from(length).ok()?);
                Some(hash_bytes(bytes))
            }
        }
    }
}

/// The hash of bound parameter values, which custom plans are made for; 0 without any, or when a callback computes
/// them (PL/pgSQL variables): those statements are one class whatever their values.
unsafe fn hash_params(params: pg_sys::ParamListInfo) -> u64 {
    // SAFETY: a valid list has `numParams` entries when it has no callback.
    unsafe {
        if params.is_null() || (*params).paramFetch.is_some() {
            return 0;
        }
        let values = (*params).params.as_slice(list::index((*params).numParams));
        hash_words(values.iter().map(|param| {
            if param.isnull || param.ptype == pg_sys::InvalidOid {
                return 0;
            }
            let (mut length, mut by_value) = (0i16, false);
            pg_sys::get_typlenbyval(param.ptype, &mut length, &mut by_value);
            hash_datum(param.value, i32::from(length), by_value).unwrap_or(1)
        }))
    }
}

/// Whether the statement calls volatile functions: another plan might call them another number of times.
pub(crate) fn is_volatile(parse: *mut pg_sys::Query) -> bool {
    // SAFETY: a valid query; the function walks queries too.
    unsafe { pg_sys::contain_volatile_functions(parse.cast()) }
}

/// A copy of the statement, for a second planning: the planner scribbles on what it is given.
pub(crate) fn copy(parse: *mut pg_sys::Query) -> *mut pg_sys::Query {
    // SAFETY: a valid query, copied into the current memory context.
    unsafe { pg_sys::copyObjectImpl(parse.cast()).cast() }
}

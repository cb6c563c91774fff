//! What differs between PostgreSQL 14, 15, 16, 17 and 18: the only file with `cfg(feature = "pgNN")`.
//!
//! 15 and 18 are tested, 16 was in parts; 14 and 17 are written from the headers and untested.

use super::list;
use super::raw::{Mutator, Walker};
use core::ffi::{c_char, c_int, c_void};
use pgrx::pg_sys;

unsafe extern "C-unwind" {
    // nodes/nodeFuncs.h: macros around `…_impl` since 16.
    #[cfg_attr(
        any(feature = "pg16", feature = "pg17", feature = "pg18"),
        link_name = "expression_tree_walker_impl"
    )]
    pub(super) fn expression_tree_walker(
        node: *mut pg_sys::Node,
        walker: Walker,
        context: *mut c_void,
    ) -> bool;
    #[cfg_attr(
        any(feature = "pg16", feature = "pg17", feature = "pg18"),
        link_name = "query_tree_walker_impl"
    )]
    pub(super) fn query_tree_walker(
        query: *mut pg_sys::Query,
        walker: Walker,
        context: *mut c_void,
        flags: c_int,
    ) -> bool;

    #[cfg_attr(
        any(feature = "pg16", feature = "pg17", feature = "pg18"),
        link_name = "expression_tree_mutator_impl"
    )]
    pub(super) fn expression_tree_mutator(
        node: *mut pg_sys::Node,
        mutator: Mutator,
        context: *mut c_void,
    ) -> *mut pg_sys::Node;

    // libpq/pqsignal.h: a macro around the server's version since 18. What 14 to 17 return is not read.
    #[cfg_attr(feature = "pg18", link_name = "pqsignal_be")]
    pub(super) fn pqsignal(signal: c_int, handler: unsafe extern "C-unwind" fn(c_int));

    pub(super) fn standard_ExecutorStart(query: *mut pg_sys::QueryDesc, flags: c_int);

    #[cfg(not(feature = "pg18"))]
    fn standard_ExecutorRun(
        query: *mut pg_sys::QueryDesc,
        direction: pg_sys::ScanDirection::Type,
        count: u64,
        execute_once: bool,
    );
    #[cfg(feature = "pg18")]
    fn standard_ExecutorRun(
        query: *mut pg_sys::QueryDesc,
        direction: pg_sys::ScanDirection::Type,
        count: u64,
    );
}

/// The first timer of extensions (utils/timeout.h).
pub(super) const USER_TIMEOUT: c_int = if cfg!(feature = "pg14") {
    10
} else if cfg!(any(feature = "pg17", feature = "pg18")) {
    13
} else {
    12
};

/// The timers that end a statement or its transaction: `STATEMENT_TIMEOUT`, and `TRANSACTION_TIMEOUT` since 17.
pub(super) const TIME_LIMITS: &[c_int] = if cfg!(any(feature = "pg17", feature = "pg18")) {
    &[3, 8]
} else {
    &[3]
};

/// Calls a timer's handler every `every_ms` until `end`; 14 knows only the end.
///
/// # Safety
/// The timer is registered.
pub(super) unsafe fn enable_timeout_every(timer: c_int, every_ms: c_int, end: pg_sys::TimestampTz) {
    #[cfg(feature = "pg14")]
    // SAFETY: by the caller's promise.
    unsafe {
        let _ = every_ms;
        super::raw::enable_timeout_at(timer, end)
    }
    #[cfg(not(feature = "pg14"))]
    // SAFETY: by the caller's promise.
    unsafe {
        let first = end.min(pg_sys::GetCurrentTimestamp() + i64::from(every_ms) * 1000);
        timeout_every(timer, first, every_ms)
    }
}

#[cfg(not(feature = "pg14"))]
unsafe extern "C-unwind" {
    // utils/timeout.h
    #[link_name = "enable_timeout_every"]
    fn timeout_every(id: c_int, first: pg_sys::TimestampTz, delay_ms: c_int);
}

/// Runs a started execution to its end.
///
/// # Safety
/// The execution is started, and the caller's frame holds nothing to drop.
pub(super) unsafe fn run_to_end(query: *mut pg_sys::QueryDesc) {
    let forward = pg_sys::ScanDirection::ForwardScanDirection;
    // SAFETY: by the caller's promise.
    #[cfg(not(feature = "pg18"))]
    unsafe {
        standard_ExecutorRun(query, forward, 0, true)
    };
    // SAFETY: by the caller's promise.
    #[cfg(feature = "pg18")]
    unsafe {
        standard_ExecutorRun(query, forward, 0)
    };
}

/// What `ExecutorRun` is told, in the order of the newest signature; `execute_once` is gone in 18.
#[derive(Clone, Copy)]
pub(super) struct RunRequest {
    pub(super) query: *mut pg_sys::QueryDesc,
    pub(super) direction: pg_sys::ScanDirection::Type,
    pub(super) count: u64,
    #[cfg(not(feature = "pg18"))]
    pub(super) execute_once: bool,
}

impl RunRequest {
    /// Whether everything is asked for, for the first time and once. What `execute_once` says is no use: the latest minor
    /// versions don't set it any more. Who may ask for rows again or backwards said so at the start.
    ///
    /// # Safety
    /// The request came from PostgreSQL.
    pub(super) unsafe fn is_for_all(self) -> bool {
        // SAFETY: by the caller's promise.
        let is_first_and_last = unsafe {
            let again = (pg_sys::EXEC_FLAG_REWIND | pg_sys::EXEC_FLAG_BACKWARD) as c_int;
            !(*self.query).already_executed && (*(*self.query).estate).es_top_eflags & again == 0
        };
        is_first_and_last && self.count == 0 && self.direction == pg_sys::ScanDirection::ForwardScanDirection
    }

    /// Marks the execution as done, its rows having been given to the receiver.
    ///
    /// # Safety
    /// The execution is started.
    pub(super) unsafe fn mark_done(self, rows: u64) {
        // SAFETY: by the caller's promise.
        unsafe {
            (*(*self.query).estate).es_processed = rows;
            #[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
            {
                (*(*self.query).estate).es_total_processed += rows;
            }
            (*self.query).already_executed = true;
        }
    }

    /// Runs the previous hook, or PostgreSQL's own function.
    ///
    /// # Safety
    /// The request came from PostgreSQL; the caller's frame holds nothing to drop.
    pub(super) unsafe fn pass_on(self, previous: pg_sys::ExecutorRun_hook_type) {
        #[cfg(not(feature = "pg18"))]
        match previous {
            // SAFETY: by the caller's promise.
            Some(hook) => unsafe { hook(self.query, self.direction, self.count, self.execute_once) },
            // SAFETY: by the caller's promise.
            None => unsafe {
                standard_ExecutorRun(self.query, self.direction, self.count, self.execute_once)
            },
        }
        #[cfg(feature = "pg18")]
        match previous {
            // SAFETY: by the caller's promise.
            Some(hook) => unsafe { hook(self.query, self.direction, self.count) },
            // SAFETY: by the caller's promise.
            None => unsafe { standard_ExecutorRun(self.query, self.direction, self.count) },
        }
    }
}

/// The trampoline PostgreSQL calls as `ExecutorRun_hook`.
#[cfg(not(feature = "pg18"))]
pub(super) unsafe extern "C-unwind" fn executor_run(
    query: *mut pg_sys::QueryDesc,
    direction: pg_sys::ScanDirection::Type,
    count: u64,
    execute_once: bool,
) {
    // SAFETY: the arguments are PostgreSQL's.
    unsafe {
        super::hook_point::run(RunRequest {
            query,
            direction,
            count,
            execute_once,
        })
    }
}

/// The trampoline PostgreSQL calls as `ExecutorRun_hook`.
#[cfg(feature = "pg18")]
pub(super) unsafe extern "C-unwind" fn executor_run(
    query: *mut pg_sys::QueryDesc,
    direction: pg_sys::ScanDirection::Type,
    count: u64,
) {
    // SAFETY: the arguments are PostgreSQL's.
    unsafe {
        super::hook_point::run(RunRequest {
            query,
            direction,
            count,
        })
    }
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
unsafe extern "C-unwind" {
    fn standard_ExplainOneQuery(
        query: *mut pg_sys::Query,
        options: c_int,
        into: *mut pg_sys::IntoClause,
        state: *mut pg_sys::ExplainState,
        text: *const c_char,
        params: pg_sys::ParamListInfo,
        environment: *mut pg_sys::QueryEnvironment,
    );
}

#[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
unsafe extern "C-unwind" {
    // commands/explain.h
    fn ExplainOnePlan(
        planned: *mut pg_sys::PlannedStmt,
        into: *mut pg_sys::IntoClause,
        state: *mut pg_sys::ExplainState,
        text: *const c_char,
        params: pg_sys::ParamListInfo,
        environment: *mut pg_sys::QueryEnvironment,
        planning_time: *const pg_sys::instr_time,
        planning_buffers: *const pg_sys::BufferUsage,
    );
}

/// What EXPLAIN does with a statement when there is no hook: a function of its own since 17, before that written out in
/// `ExplainOneQuery` (explain.c).
///
/// # Safety
/// The request came from PostgreSQL; the caller's frame holds nothing to drop.
pub(super) unsafe fn explain_one_query(request: super::explain::Request) {
    let super::explain::Request {
        query,
        options,
        into,
        state,
        text,
        params,
        environment,
    } = request;
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    // SAFETY: by the caller's promise.
    unsafe {
        standard_ExplainOneQuery(query, options, into, state, text, params, environment)
    }
    #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
    // SAFETY: by the caller's promise; the usage counters are plain numbers of this process.
    unsafe {
        let before = (&raw const pg_sys::pgBufferUsage).read();
        let begun = std::time::Instant::now();
        let planned = super::raw::pg_plan_query(query, text, options, params);
        let took = instr_time(begun.elapsed());
        let mut used = pg_sys::BufferUsage::default();
        let buffers: *const pg_sys::BufferUsage = if (*state).buffers {
            pg_sys::BufferUsageAccumDiff(&raw mut used, &raw const pg_sys::pgBufferUsage, &raw const before);
            &raw const used
        } else {
            core::ptr::null()
        };
        ExplainOnePlan(
            planned,
            into,
            state,
            text,
            params,
            environment,
            &raw const took,
            buffers,
        );
    }
}

/// A duration as PostgreSQL keeps it (portability/instr_time.h): nanoseconds since 16.
#[cfg(any(feature = "pg14", feature = "pg15"))]
fn instr_time(duration: std::time::Duration) -> pg_sys::instr_time {
    pg_sys::instr_time {
        tv_sec: duration.as_secs() as _,
        tv_nsec: duration.subsec_nanos() as _,
    }
}

/// A duration as PostgreSQL keeps it (portability/instr_time.h): nanoseconds since 16.
#[cfg(feature = "pg16")]
fn instr_time(duration: std::time::Duration) -> pg_sys::instr_time {
    pg_sys::instr_time {
        ticks: duration.as_nanos() as i64,
    }
}

/// Whether a clause is a copy for another order of the outer joins (16 and later); one of the copies is enough.
///
/// # Safety
/// `clause` is valid.
pub(super) unsafe fn is_clone(clause: *const pg_sys::RestrictInfo) -> bool {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    {
        let _ = clause;
        false
    }
    #[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
    // SAFETY: by the caller's promise.
    unsafe {
        (*clause).is_clone
    }
}

unsafe extern "C-unwind" {
    #[cfg(feature = "pg14")]
    fn pg_analyze_and_rewrite(
        statement: *mut pg_sys::RawStmt,
        text: *const c_char,
        types: *mut pg_sys::Oid,
        count: c_int,
        environment: *mut pg_sys::QueryEnvironment,
    ) -> *mut pg_sys::List;
    #[cfg(not(feature = "pg14"))]
    fn pg_analyze_and_rewrite_fixedparams(
        statement: *mut pg_sys::RawStmt,
        text: *const c_char,
        types: *const pg_sys::Oid,
        count: c_int,
        environment: *mut pg_sys::QueryEnvironment,
    ) -> *mut pg_sys::List;
}

/// Analyses and rewrites one raw statement without parameters. Errors of PostgreSQL jump out of it.
///
/// # Safety
/// `statement` came from the parser and `text` is its source, both alive in the current memory context.
pub(super) unsafe fn analyze_and_rewrite(
    statement: *mut pg_sys::RawStmt,
    text: *const c_char,
) -> *mut pg_sys::List {
    #[cfg(feature = "pg14")]
    // SAFETY: by the caller's promise.
    unsafe {
        pg_analyze_and_rewrite(statement, text, core::ptr::null_mut(), 0, core::ptr::null_mut())
    }
    #[cfg(not(feature = "pg14"))]
    // SAFETY: by the caller's promise.
    unsafe {
        pg_analyze_and_rewrite_fixedparams(statement, text, core::ptr::null(), 0, core::ptr::null_mut())
    }
}

/// What an operator is in a B-tree: 1 less, 2 at most, 3 equal, 4 at least, 5 greater; other numbers, or `None`, for what
/// an index does not serve. Access methods have comparisons in common since 18, with the same numbers.
pub(super) fn btree_strategy(operator: pg_sys::Oid) -> Option<u32> {
    // SAFETY: a catalog lookup; the list and its elements are palloc'ed.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        {
            let found = pg_sys::get_op_btree_interpretation(operator);
            list::pointers::<pg_sys::OpBtreeInterpretation>(found)
                .next()
                .and_then(|meaning| u32::try_from((*meaning).strategy).ok())
        }
        #[cfg(feature = "pg18")]
        {
            let found = pg_sys::get_op_index_interpretation(operator);
            list::pointers::<pg_sys::OpIndexInterpretation>(found)
                .next()
                .and_then(|meaning| u32::try_from((*meaning).cmptype).ok())
        }
    }
}

/// EXPLAIN's name of a join type that older majors don't have.
pub(super) fn newer_join_type(kind: pg_sys::JoinType::Type) -> &'static str {
    #[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
    if kind == pg_sys::JoinType::JOIN_RIGHT_ANTI {
        return "Right Anti";
    }
    #[cfg(feature = "pg18")]
    if kind == pg_sys::JoinType::JOIN_RIGHT_SEMI {
        return "Right Semi";
    }
    let _ = kind;
    "???"
}

/// Whether a parsed statement is MERGE, which 14 does not have.
pub(super) fn is_merge(tag: pg_sys::NodeTag) -> bool {
    #[cfg(feature = "pg14")]
    {
        let _ = tag;
        false
    }
    #[cfg(not(feature = "pg14"))]
    {
        tag == pg_sys::NodeTag::T_MergeStmt
    }
}

thread_local! {
    #[cfg(not(feature = "pg14"))]
    static PREVIOUS_REQUEST: std::cell::Cell<pg_sys::shmem_request_hook_type> = const { std::cell::Cell::new(None) };
}

/// Calls `reserve` when shared memory may be asked for: at once on 14, in a hook of its own since 15.
pub(super) fn when_shmem_is_requested(reserve: fn()) {
    #[cfg(feature = "pg14")]
    reserve();
    #[cfg(not(feature = "pg14"))]
    // SAFETY: called from _PG_init on the main thread.
    unsafe {
        let _ = reserve;
        PREVIOUS_REQUEST.set(pg_sys::shmem_request_hook);
        pg_sys::shmem_request_hook = Some(shmem_request);
    }
}

#[cfg(not(feature = "pg14"))]
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn shmem_request() {
    // SAFETY: the hook before us, with its own signature.
    unsafe {
        if let Some(previous) = PREVIOUS_REQUEST.get() {
            previous();
        }
    }
    super::shmem::reserve();
}

/// A copy of an expression whose columns of joins are those of the joined relations.
///
/// # Safety
/// `node` is a valid expression of the query, or null.
pub(super) unsafe fn flatten_join_alias_vars(
    query: *mut pg_sys::Query,
    node: *mut pg_sys::Node,
) -> *mut pg_sys::Node {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    // SAFETY: by the caller's promise.
    unsafe {
        pg_sys::flatten_join_alias_vars(query, node)
    }
    #[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
    // SAFETY: by the caller's promise; without a planner there are no outer joins to mark.
    unsafe {
        pg_sys::flatten_join_alias_vars(core::ptr::null_mut(), query, node)
    }
}

/// Whether columns say which outer joins may have made them null, as they do since 16.
pub(super) const MARKS_OUTER_JOINS: bool = cfg!(any(feature = "pg16", feature = "pg17", feature = "pg18"));

/// Writes on a column which outer joins may have made it null (16 and later).
///
/// # Safety
/// Both are valid, the set possibly null.
pub(super) unsafe fn set_nulling(var: *mut pg_sys::Var, joins: *const pg_sys::Bitmapset) {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    let _ = (var, joins);
    #[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
    // SAFETY: by the caller's promise.
    unsafe {
        (*var).varnullingrels = pg_sys::bms_copy(joins);
    }
}

/// The names and columns of a range-table entry.
///
/// # Safety
/// The entry is valid and has this index.
pub(super) unsafe fn expand_entry(
    entry: *mut pg_sys::RangeTblEntry,
    rtindex: c_int,
) -> (*mut pg_sys::List, *mut pg_sys::List) {
    let (mut names, mut columns) = (core::ptr::null_mut(), core::ptr::null_mut());
    #[cfg(not(feature = "pg18"))]
    // SAFETY: by the caller's promise.
    unsafe {
        pg_sys::expandRTE(entry, rtindex, 0, -1, false, &mut names, &mut columns);
    }
    #[cfg(feature = "pg18")]
    // SAFETY: by the caller's promise.
    unsafe {
        let returning = pg_sys::VarReturningType::VAR_RETURNING_DEFAULT;
        pg_sys::expandRTE(entry, rtindex, 0, returning, -1, false, &mut names, &mut columns);
    }
    (names, columns)
}

/// Whether a condition is not met where a column is null.
///
/// # Safety
/// Both are valid, and the column is of the condition's query level.
pub(super) unsafe fn drops_nulls_of(clause: *mut pg_sys::Node, column: *const pg_sys::Var) -> bool {
    // SAFETY: by the caller's promise.
    let found = unsafe { pg_sys::find_nonnullable_vars(clause) };
    #[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
    // SAFETY: by the caller's promise; a set of shifted column numbers per range-table index (multibitmapset.h).
    unsafe {
        let mut sets = list::pointers::<pg_sys::Bitmapset>(found);
        let of_table = sets.nth(list::index((*column).varno));
        let shifted = c_int::from((*column).varattno) - pg_sys::FirstLowInvalidHeapAttributeNumber;
        (*column).varlevelsup == 0 && of_table.is_some_and(|set| pg_sys::bms_is_member(shifted, set))
    }
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    // SAFETY: by the caller's promise.
    unsafe {
        list::pointers::<pg_sys::Var>(found).any(|found| {
            ((*found).varno, (*found).varattno, (*found).varlevelsup)
                == ((*column).varno, (*column).varattno, (*column).varlevelsup)
        })
    }
}

/// Whether no row of a table has a null in a column, by its declaration. 18 knows constraints that hold for new rows only.
pub(super) fn is_declared_not_null(table: pg_sys::Oid, attribute: pg_sys::AttrNumber) -> bool {
    #[cfg(feature = "pg18")]
    // SAFETY: a relcache entry, given back after it was read; the descriptor has an entry per column, counted from 1.
    unsafe {
        let relation = pg_sys::RelationIdGetRelation(table);
        if relation.is_null() {
            return false;
        }
        let descriptor = &*(*relation).rd_att;
        let is_valid = usize::try_from(attribute).is_ok_and(|attribute| {
            (1..=list::index(descriptor.natts)).contains(&attribute) && {
                let columns = descriptor.compact_attrs.as_ptr();
                (*columns.add(attribute - 1)).attnullability as u8 == pg_sys::ATTNULLABLE_VALID
            }
        });
        pg_sys::RelationClose(relation);
        is_valid
    }
    #[cfg(not(feature = "pg18"))]
    // SAFETY: a syscache lookup, released after the tuple was read.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::ATTNUM as c_int;
        let tuple =
            pg_sys::SearchSysCache2(cache, pg_sys::Datum::from(table), pg_sys::Datum::from(attribute));
        if tuple.is_null() {
            return false;
        }
        let is_declared = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_attribute>()).attnotnull;
        pg_sys::ReleaseSysCache(tuple);
        is_declared
    }
}

/// Whether a query's identifier is the same for tables of one name in different schemas, as it is since 18.
pub(super) const QUERYIDS_KNOW_NAMES_ONLY: bool = cfg!(feature = "pg18");

/// Whether a range-table entry stands for what a query groups by, as there is one since 18.
pub(super) fn is_group_entry(entry: &pg_sys::RangeTblEntry) -> bool {
    #[cfg(feature = "pg18")]
    {
        entry.rtekind == pg_sys::RTEKind::RTE_GROUP
    }
    #[cfg(not(feature = "pg18"))]
    {
        let _ = entry;
        false
    }
}

/// Puts what a query groups by in the place of references to it (18), as it was up to 17; `None` where it can't be done: grouping
/// sets make nulls of it.
///
/// # Safety
/// `query` is a valid one of ours to change.
pub(super) unsafe fn flatten_groups(query: *mut pg_sys::Query) -> Option<()> {
    #[cfg(not(feature = "pg18"))]
    let _ = query;
    #[cfg(feature = "pg18")]
    // SAFETY: by the caller's promise; without a planner nothing is marked.
    unsafe {
        if !(*query).hasGroupRTE {
            return Some(());
        }
        if !(*query).groupingSets.is_null() {
            return None;
        }
        // The parser adds it when all others are there; in between it would have others' numbers change.
        let last = list::length((*query).rtable).checked_sub(1)?;
        let entry = (*(*(*query).rtable).elements.add(last))
            .ptr_value
            .cast::<pg_sys::RangeTblEntry>();
        if !is_group_entry(&*entry) {
            return None;
        }
        let no_root = core::ptr::null_mut();
        let targets = pg_sys::flatten_group_exprs(no_root, query, (*query).targetList.cast());
        (*query).havingQual = pg_sys::flatten_group_exprs(no_root, query, (*query).havingQual);
        (*query).targetList = targets.cast();
        (*query).rtable = pg_sys::list_truncate((*query).rtable, last as c_int);
        (*query).hasGroupRTE = false;
    }
    Some(())
}

/// Runs a mutator over an expression; errors of PostgreSQL become Rust's, so that callers may hold what needs dropping.
///
/// # Safety
/// `node` is a valid expression or null, and `context` what the mutator expects; the mutator holds nothing to drop.
pub(super) unsafe fn mutate(
    node: *mut pg_sys::Node,
    mutator: Mutator,
    context: *mut c_void,
) -> *mut pg_sys::Node {
    // SAFETY: by the caller's promise.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| mutator(node, context)) }
}

/// Empties what a query says about permissions beside its range table (16 and later).
///
/// # Safety
/// `query` is valid.
pub(super) unsafe fn forget_permissions(query: *mut pg_sys::Query) {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    let _ = query;
    #[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
    // SAFETY: by the caller's promise.
    unsafe {
        (*query).rteperminfos = core::ptr::null_mut();
    }
}

/// Appends a copy of a query's range-table entry to another query's, with the permissions to check (a node of its own
/// since 16).
///
/// # Safety
/// Both are valid, and the first has an entry of that index.
pub(super) unsafe fn move_entry(from: *mut pg_sys::Query, rtindex: c_int, to: *mut pg_sys::Query) {
    // SAFETY: by the caller's promise; range tables count from 1.
    unsafe {
        let at = list::index(rtindex).saturating_sub(1);
        let entry = (*(*(*from).rtable).elements.add(at)).ptr_value;
        let entry = pg_sys::copyObjectImpl(entry).cast::<pg_sys::RangeTblEntry>();
        #[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
        if (*entry).perminfoindex > 0 {
            let at = (*entry).perminfoindex as usize - 1;
            let permissions = (*(*(*from).rteperminfos).elements.add(at)).ptr_value;
            let permissions = pg_sys::copyObjectImpl(permissions);
            (*to).rteperminfos = pg_sys::lappend((*to).rteperminfos, permissions.cast());
            (*entry).perminfoindex = list::length((*to).rteperminfos) as pg_sys::Index;
        }
        (*to).rtable = pg_sys::lappend((*to).rtable, entry.cast());
    }
}

/// The SQL text of an analysed statement; `None` on 14, which only deparses views.
///
/// # Safety
/// `query` is valid and not planned yet.
pub(super) unsafe fn deparse(query: *mut pg_sys::Query) -> Option<String> {
    #[cfg(feature = "pg14")]
    {
        let _ = query;
        None
    }
    #[cfg(not(feature = "pg14"))]
    // SAFETY: by the caller's promise; the text is a palloc'ed C string.
    unsafe {
        let text = pg_sys::pg_get_querydef(query, true);
        Some(core::ffi::CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

/// A column of this query level: `varno` is unsigned on 14.
///
/// # Safety
/// As `makeVar`.
pub(super) unsafe fn make_var(
    rtindex: c_int,
    attribute: pg_sys::AttrNumber,
    of: pg_sys::Oid,
    typmod: i32,
    collation: pg_sys::Oid,
) -> *mut pg_sys::Var {
    #[cfg(feature = "pg14")]
    let rtindex = rtindex as pg_sys::Index;
    // SAFETY: by the caller's promise.
    unsafe { pg_sys::makeVar(rtindex, attribute, of, typmod, collation, 0) }
}

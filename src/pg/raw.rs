//! PostgreSQL functions as plain C symbols, without pgrx's guard around each.
//!
//! Two kinds belong here, nothing else. Functions below which users' errors are raised (planning, execution): caught and
//! raised again by pgrx's guard such an error loses its CONTEXT, QUERY and LINE; called raw, it passes by as in C.
//! And functions too hot for a jump buffer each. Callers hold nothing to drop while they call these.

use core::ffi::{c_char, c_int, c_void};
use pgrx::pg_sys::{
    Bitmapset, CommandDest, DestReceiver, ErrorData, GucAction, GucContext, GucSource, Index,
    JoinPathExtraData, JoinType, LWLock, LWLockMode, List, MemoryContext, Node, Oid, ParamListInfo, Path,
    PlannedStmt, PlannerInfo, Query, QueryDesc, QueryEnvironment, RelOptInfo, Snapshot, SpecialJoinInfo,
    TimestampTz, TupleDesc, Tuplestorestate,
};

/// The walkers' callback.
pub(super) type Walker = unsafe extern "C-unwind" fn(*mut Node, *mut c_void) -> bool;

/// The callback of those that make another tree.
pub(super) type Mutator = unsafe extern "C-unwind" fn(*mut Node, *mut c_void) -> *mut Node;

unsafe extern "C-unwind" {
    // storage/lwlock.h
    pub(super) fn LWLockAcquire(lock: *mut LWLock, mode: LWLockMode::Type) -> bool;
    pub(super) fn LWLockConditionalAcquire(lock: *mut LWLock, mode: LWLockMode::Type) -> bool;
    pub(super) fn LWLockRelease(lock: *mut LWLock);

    // optimizer/planner.h
    pub(super) fn standard_planner(
        parse: *mut Query,
        query_string: *const c_char,
        cursor_options: c_int,
        bound_params: ParamListInfo,
    ) -> *mut PlannedStmt;

    // optimizer/paths.h, optimizer/pathnode.h
    pub(super) fn add_paths_to_joinrel(
        root: *mut PlannerInfo,
        rel: *mut RelOptInfo,
        outer: *mut RelOptInfo,
        inner: *mut RelOptInfo,
        kind: JoinType::Type,
        special: *mut SpecialJoinInfo,
        clauses: *mut List,
    );
    pub(super) fn create_index_paths(root: *mut PlannerInfo, rel: *mut RelOptInfo);
    pub(super) fn create_tidscan_paths(root: *mut PlannerInfo, rel: *mut RelOptInfo);
    pub(super) fn add_path(rel: *mut RelOptInfo, path: *mut Path);
    pub(super) fn add_partial_path(rel: *mut RelOptInfo, path: *mut Path);
    pub(super) fn create_seqscan_path(
        root: *mut PlannerInfo,
        rel: *mut RelOptInfo,
        required_outer: *mut Bitmapset,
        parallel_workers: c_int,
    ) -> *mut Path;
    pub(super) fn compute_parallel_worker(
        rel: *mut RelOptInfo,
        heap_pages: f64,
        index_pages: f64,
        limit: c_int,
    ) -> c_int;

    // catalog/partition.h
    pub(super) fn get_partition_ancestors(table: Oid) -> *mut List;

    // miscadmin.h
    pub(super) fn check_stack_depth();

    // executor/executor.h
    pub(super) fn standard_ExecutorFinish(query: *mut QueryDesc);
    pub(super) fn standard_ExecutorEnd(query: *mut QueryDesc);

    // tcop/tcopprot.h, executor/execdesc.h, tcop/dest.h, utils/snapmgr.h
    pub(super) fn pg_parse_query(text: *const c_char) -> *mut List;
    pub(super) fn pg_plan_query(
        query: *mut Query,
        text: *const c_char,
        cursor_options: c_int,
        bound_params: ParamListInfo,
    ) -> *mut PlannedStmt;
    pub(super) fn CreateQueryDesc(
        plan: *mut PlannedStmt,
        text: *const c_char,
        snapshot: Snapshot,
        crosscheck: Snapshot,
        receiver: *mut DestReceiver,
        params: ParamListInfo,
        environment: *mut QueryEnvironment,
        instrument_options: c_int,
    ) -> *mut QueryDesc;
    pub(super) fn SetTuplestoreDestReceiverParams(
        receiver: *mut DestReceiver,
        rows: *mut Tuplestorestate,
        context: MemoryContext,
        detoast: bool,
        target: TupleDesc,
        mapping_error: *const c_char,
    );
    pub(super) fn CreateDestReceiver(destination: CommandDest::Type) -> *mut DestReceiver;
    pub(super) fn GetActiveSnapshot() -> Snapshot;
    pub(super) fn ExecutorStart(query: *mut QueryDesc, flags: c_int);

    // access/xact.h, utils/snapmgr.h, executor/execdesc.h
    pub(super) fn IsTransactionState() -> bool;
    pub(super) fn BeginInternalSubTransaction(name: *const c_char);
    pub(super) fn ReleaseCurrentSubTransaction();
    pub(super) fn RollbackAndReleaseCurrentSubTransaction();
    pub(super) fn PushActiveSnapshot(snapshot: Snapshot);
    pub(super) fn PopActiveSnapshot();
    pub(super) fn FreeQueryDesc(query: *mut QueryDesc);

    // utils/timeout.h
    pub(super) fn RegisterTimeout(id: c_int, handler: Option<unsafe extern "C-unwind" fn()>) -> c_int;
    pub(super) fn enable_timeout_at(id: c_int, at: TimestampTz);
    pub(super) fn disable_timeout(id: c_int, keep_indicator: bool);
    pub(super) fn get_timeout_active(id: c_int) -> bool;
    pub(super) fn get_timeout_finish_time(id: c_int) -> TimestampTz;

    // miscadmin.h
    pub(super) fn ProcessInterrupts();

    // commands/explain.h
    pub(super) fn ExplainPropertyText(
        label: *const c_char,
        value: *const c_char,
        state: *mut pgrx::pg_sys::ExplainState,
    );
    pub(super) fn ExplainCloseGroup(
        kind: *const c_char,
        label: *const c_char,
        is_labeled: bool,
        state: *mut pgrx::pg_sys::ExplainState,
    );

    // utils/guc.h
    pub(super) fn NewGUCNestLevel() -> c_int;
    pub(super) fn AtEOXact_GUC(is_commit: bool, level: c_int);
    pub(super) fn set_config_option(
        name: *const c_char,
        value: *const c_char,
        context: GucContext::Type,
        source: GucSource::Type,
        action: GucAction::Type,
        is_to_change: bool,
        elevel: c_int,
        is_reload: bool,
    ) -> c_int;

    // utils/elog.h
    pub(super) fn CopyErrorData() -> *mut ErrorData;
    pub(super) fn FlushErrorState();
    pub(super) fn ReThrowError(error: *mut ErrorData) -> !;
    pub(super) fn pg_re_throw() -> !;
    pub(super) fn geterrcode() -> c_int;
    pub(super) fn geterrposition() -> c_int;
    pub(super) fn errposition(position: c_int) -> c_int;
    pub(super) fn internalerrposition(position: c_int) -> c_int;
    pub(super) fn internalerrquery(text: *const c_char) -> c_int;

    // optimizer/paths.h
    pub(super) static max_parallel_workers_per_gather: c_int;
}

/// `set_rel_pathlist_hook`.
pub(super) type BaseRelationHook =
    unsafe extern "C-unwind" fn(*mut PlannerInfo, *mut RelOptInfo, Index, *mut pgrx::pg_sys::RangeTblEntry);
/// `set_join_pathlist_hook`.
pub(super) type JoinRelationHook = unsafe extern "C-unwind" fn(
    *mut PlannerInfo,
    *mut RelOptInfo,
    *mut RelOptInfo,
    *mut RelOptInfo,
    JoinType::Type,
    *mut JoinPathExtraData,
);
/// `planner_hook`.
pub(super) type PlannerHook =
    unsafe extern "C-unwind" fn(*mut Query, *const c_char, c_int, ParamListInfo) -> *mut PlannedStmt;
/// `ExecutorStart_hook`; PostgreSQL 18 kept its type.
pub(super) type ExecutorStartHook = unsafe extern "C-unwind" fn(*mut QueryDesc, c_int);
/// `ExecutorFinish_hook` and `ExecutorEnd_hook`.
pub(super) type ExecutorHook = unsafe extern "C-unwind" fn(*mut QueryDesc);

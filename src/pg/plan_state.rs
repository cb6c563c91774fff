//! An executed plan: which nodes ran to their end, and how many rows they produced.
//!
//! A node's count is the size of its relation only when nothing stopped it: no LIMIT above it, no merge join that ran
//! out on the other side, no first match that was enough, no parameter from an outer row. Nodes that read all of their
//! input before giving a row (Sort, Hash, aggregates) make their input complete again.

use super::{list, operators};
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;
use std::collections::{HashMap, HashSet};

/// The counts of one executed node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NodeRun {
    /// Whether each execution of it ran to its end.
    pub(crate) is_complete: bool,
    /// Rows of the relation: per loop, or over all workers where each reads a part.
    pub(crate) rows: f64,
    /// Rows over all loops.
    pub(crate) total_rows: f64,
    /// Executions.
    pub(crate) loops: f64,
}

/// SQLSTATE 57014: a time limit or a user's cancel.
pub(crate) const QUERY_CANCELED: i32 = super::ereport::sqlstate(b"57014");

/// The plan an execution runs.
pub(crate) fn planned(query: *mut pg_sys::QueryDesc) -> Option<*const pg_sys::PlannedStmt> {
    // SAFETY: the executor's hooks are given a valid query.
    let plan = unsafe { (*query).plannedstmt };
    (!plan.is_null()).then_some(plan.cast_const())
}

/// The query identifier of an execution; 0 when it has none.
pub(crate) fn queryid(query: *mut pg_sys::QueryDesc) -> i64 {
    // SAFETY: as above.
    planned(query).map_or(0, |plan| unsafe { (*plan).queryId as i64 })
}

/// Whether somebody else asked for the time of each node.
pub(crate) fn is_timed(query: *mut pg_sys::QueryDesc) -> bool {
    // SAFETY: as above.
    unsafe { (*query).instrument_options & pg_sys::InstrumentOption::INSTRUMENT_TIMER as i32 != 0 }
}

/// Whether somebody else counts or times the nodes.
pub(crate) fn is_instrumented(query: *mut pg_sys::QueryDesc) -> bool {
    // SAFETY: as above.
    unsafe { (*query).instrument_options & !(pg_sys::InstrumentOption::INSTRUMENT_ROWS as i32) != 0 }
}

/// The text of the statement alone; none when it has parameters, whose values are not in it.
pub(crate) fn statement_text<'q>(query: *mut pg_sys::QueryDesc) -> Option<&'q [u8]> {
    let plan = planned(query)?;
    // SAFETY: the source text is a C string that outlives the execution; the statement's place lies within it, or says
    // that it is all of it.
    unsafe {
        let source = (*query).sourceText;
        if source.is_null() || !(*query).params.is_null() {
            return None;
        }
        let all = core::ffi::CStr::from_ptr(source).to_bytes();
        let from = usize::try_from((*plan).stmt_location).unwrap_or(0);
        let length = usize::try_from((*plan).stmt_len)
            .ok()
            .filter(|&length| length > 0);
        all.get(from..length.map_or(all.len(), |length| from + length))
    }
}

/// Blocks this process has written to temporary files.
pub(crate) fn spilled_blocks() -> u64 {
    // SAFETY: a counter of this process.
    let written = unsafe { pg_sys::pgBufferUsage.temp_blks_written };
    u64::try_from(written).unwrap_or(0)
}

/// Asks for the row counts of the nodes in `wanted`, which costs nothing at the others. After ExecutorStart, before the
/// first row: a node decides at its first call whether it is counted. Parallel workers count all nodes or none, so their
/// plans need [`count_rows`].
pub(crate) fn count_nodes(query: *mut pg_sys::QueryDesc, wanted: &HashSet<i32>) {
    // SAFETY: a started execution; the counters live in its memory as PostgreSQL's own do.
    unsafe {
        let estate = (*query).estate;
        let mut open = vec![(*query).planstate];
        open.extend(list::pointers::<pg_sys::PlanState>((*estate).es_subplanstates));
        let before = pg_sys::MemoryContextSwitchTo((*estate).es_query_cxt);
        while let Some(state) = open.pop() {
            if state.is_null() {
                continue;
            }
            // A hash table is counted once, when it is built; whether it is empty decides over the other side.
            let is_hash = !wanted.is_empty() && list::tag(state) == NodeTag::T_HashState;
            let is_wanted = is_hash || wanted.contains(&(*(*state).plan).plan_node_id);
            if (*state).instrument.is_null() && is_wanted {
                let rows = pg_sys::InstrumentOption::INSTRUMENT_ROWS as i32;
                (*state).instrument = pg_sys::InstrAlloc(1, rows, false);
            }
            open.extend([(*state).lefttree, (*state).righttree]);
            open.extend(operators::members(state));
        }
        pg_sys::MemoryContextSwitchTo(before);
    }
}

/// Asks for the row counts of all nodes, which don't read the clock.
pub(crate) fn count_rows(query: *mut pg_sys::QueryDesc) {
    // SAFETY: called before the query is started, when the option may still be set.
    unsafe { (*query).instrument_options |= pg_sys::InstrumentOption::INSTRUMENT_ROWS as i32 }
}

/// Rows the last run gave.
pub(crate) fn processed(query: *mut pg_sys::QueryDesc) -> u64 {
    // SAFETY: called after a run, when there is an execution state.
    unsafe { (*(*query).estate).es_processed }
}

/// A random number in [0, 1), from PostgreSQL's generator.
pub(crate) fn random() -> f64 {
    // SAFETY: the backend's own generator state.
    unsafe { pg_sys::pg_prng_double(&raw mut pg_sys::pg_global_prng_state) }
}

/// Calls `freed` with the address of `query` when the memory of its execution is freed.
pub(crate) fn on_execution_memory_freed(query: *mut pg_sys::QueryDesc, freed: fn(usize)) {
    // SAFETY: the callback lies in the context whose end it waits for; both pointers stay valid until then.
    unsafe {
        let context = (*(*query).estate).es_query_cxt;
        let callback =
            pg_sys::MemoryContextAllocZero(context, size_of::<FreedCallback>()).cast::<FreedCallback>();
        (*callback).query = query as usize;
        (*callback).freed = Some(freed);
        (*callback).link.func = Some(execution_memory_freed);
        (*callback).link.arg = callback.cast();
        pg_sys::MemoryContextRegisterResetCallback(context, &raw mut (*callback).link);
    }
}

#[repr(C)]
struct FreedCallback {
    link: pg_sys::MemoryContextCallback,
    query: usize,
    freed: Option<fn(usize)>,
}

unsafe extern "C-unwind" fn execution_memory_freed(argument: *mut core::ffi::c_void) {
    // SAFETY: the argument given at registration.
    let callback = unsafe { &*argument.cast::<FreedCallback>() };
    if let Some(freed) = callback.freed {
        super::hook_point::guarded((), || freed(callback.query));
    }
}

/// Ends the open loop of every node and reads all counts, by plan node id.
///
/// `finished` says whether the statement itself ran to its end.
pub(crate) fn read(query: *mut pg_sys::QueryDesc, finished: bool) -> HashMap<i32, NodeRun> {
    let mut reader = Reader::default();
    // SAFETY: called before ExecutorEnd, when the state tree of the query is complete.
    unsafe {
        reader.node((*query).planstate, finished);
        let subplans = (*(*query).estate).es_subplanstates;
        for subplan in list::pointers::<pg_sys::PlanState>(subplans).collect::<Vec<_>>() {
            let is_complete = reader.read_out.contains(&subplan);
            reader.node(subplan, is_complete);
        }
    }
    reader.runs
}

#[derive(Default)]
struct Reader {
    runs: HashMap<i32, NodeRun>,
    /// CTE subplans that were read to their end.
    read_out: HashSet<*mut pg_sys::PlanState>,
}

impl Reader {
    /// Reads a subtree; returns whether it is partial: each worker produces a part of the relation.
    unsafe fn node(&mut self, state: *mut pg_sys::PlanState, is_complete: bool) -> bool {
        // SAFETY: null or a valid state node; casts follow its tag.
        unsafe {
            if state.is_null() {
                return false;
            }
            let plan = (*state).plan;
            let tag = list::tag(state);
            let [left, right] = children_complete(tag, state, is_complete);
            let outer = self.node((*state).lefttree, left);
            let inner = self.node((*state).righttree, right);
            let others = self.others(tag, state, is_complete);
            if tag == NodeTag::T_CteScanState {
                self.read_cte(state.cast());
            }
            let gathers = tag == NodeTag::T_GatherState || tag == NodeTag::T_GatherMergeState;
            let is_scan = (*state).lefttree.is_null() && (*state).righttree.is_null();
            let is_partial = !gathers && ((is_scan && (*plan).parallel_aware) || outer || inner || others);
            self.record(state, is_complete, is_partial);
            is_partial
        }
    }

    unsafe fn record(&mut self, state: *mut pg_sys::PlanState, is_complete: bool, is_partial: bool) {
        // SAFETY: a valid state node; its instrumentation is null or valid.
        unsafe {
            let instrument = (*state).instrument;
            if instrument.is_null() {
                return;
            }
            pg_sys::InstrEndLoop(instrument);
            let (total_rows, loops) = ((*instrument).ntuples, (*instrument).nloops);
            // Rows per outer row are no size of the relation.
            let parameterized = !list::is_empty((*(*state).plan).extParam);
            let run = NodeRun {
                is_complete: is_complete && loops > 0.0 && !parameterized,
                rows: if is_partial || loops < 1.0 {
                    total_rows
                } else {
                    total_rows / loops
                },
                total_rows,
                loops,
            };
            self.runs.insert((*(*state).plan).plan_node_id, run);
        }
    }

    /// Children outside left and right; whether any is partial.
    unsafe fn others(&mut self, tag: NodeTag, state: *mut pg_sys::PlanState, is_complete: bool) -> bool {
        // SAFETY: casts follow the tag; the arrays have the counted number of entries.
        unsafe {
            let array = |states: *mut *mut pg_sys::PlanState, count: i32| {
                if states.is_null() {
                    &[][..]
                } else {
                    core::slice::from_raw_parts(states, list::index(count))
                }
            };
            let children = match tag {
                NodeTag::T_AppendState => {
                    let append = state.cast::<pg_sys::AppendState>();
                    array((*append).appendplans, (*append).as_nplans)
                }
                NodeTag::T_MergeAppendState => {
                    let append = state.cast::<pg_sys::MergeAppendState>();
                    array((*append).mergeplans, (*append).ms_nplans)
                }
                NodeTag::T_BitmapAndState => {
                    let and = state.cast::<pg_sys::BitmapAndState>();
                    array((*and).bitmapplans, (*and).nplans)
                }
                NodeTag::T_BitmapOrState => {
                    let or = state.cast::<pg_sys::BitmapOrState>();
                    array((*or).bitmapplans, (*or).nplans)
                }
                NodeTag::T_SubqueryScanState => {
                    return self.node((*state.cast::<pg_sys::SubqueryScanState>()).subplan, is_complete);
                }
                NodeTag::T_CustomScanState => {
                    let custom = (*state.cast::<pg_sys::CustomScanState>()).custom_ps;
                    for child in list::pointers::<pg_sys::PlanState>(custom).collect::<Vec<_>>() {
                        self.node(child, false);
                    }
                    return false;
                }
                _ => return false,
            };
            let shared = (*(*state).plan).parallel_aware;
            children
                .iter()
                .fold(shared, |partial, &child| self.node(child, is_complete) || partial)
        }
    }

    unsafe fn read_cte(&mut self, scan: *mut pg_sys::CteScanState) {
        // SAFETY: a valid scan; its leader is itself or another scan of the same CTE.
        unsafe {
            let leader = (*scan).leader;
            if !leader.is_null() && (*leader).eof_cte {
                self.read_out.insert((*leader).cteplanstate);
            }
        }
    }
}

/// Whether the left and right input of a node were read to their ends, given whether the node itself was.
unsafe fn children_complete(tag: NodeTag, state: *mut pg_sys::PlanState, is_complete: bool) -> [bool; 2] {
    // SAFETY: casts follow the tag.
    unsafe {
        match tag {
            NodeTag::T_LimitState => {
                let limit = state.cast::<pg_sys::LimitState>();
                let exhausted = (*limit).lstate == pg_sys::LimitStateCond::LIMIT_SUBPLANEOF;
                [is_complete && exhausted, false]
            }
            NodeTag::T_SortState => [(*state.cast::<pg_sys::SortState>()).sort_Done, false],
            NodeTag::T_AggState => [aggregated(state.cast(), is_complete), false],
            // A hash table is built from all of its input or not at all.
            NodeTag::T_HashState => [true, false],
            NodeTag::T_MaterialState => {
                let eof = (*state.cast::<pg_sys::MaterialState>()).eof_underlying;
                [eof, false]
            }
            NodeTag::T_HashJoinState => {
                let fills_outer = !(*state.cast::<pg_sys::HashJoinState>())
                    .hj_NullInnerTupleSlot
                    .is_null();
                let inner_rows = rows_of((*state).righttree);
                // With an empty hash table the outer side is not read.
                [is_complete && (fills_outer || inner_rows > 0.0), true]
            }
            // Started anew for each outer row, a partial plan's counts can't be told apart.
            NodeTag::T_GatherState | NodeTag::T_GatherMergeState => {
                [is_complete && loops_of(state) <= 1.0, false]
            }
            NodeTag::T_MergeJoinState => [false, false],
            NodeTag::T_NestLoopState => {
                let join = state.cast::<pg_sys::NestLoopState>();
                [is_complete, is_complete && !(*join).js.single_match]
            }
            _ => [is_complete, is_complete],
        }
    }
}

/// Whether an aggregate has read all of its input.
unsafe fn aggregated(agg: *mut pg_sys::AggState, is_complete: bool) -> bool {
    // SAFETY: a valid state.
    unsafe {
        match (*agg).aggstrategy {
            pg_sys::AggStrategy::AGG_HASHED => (*agg).table_filled,
            pg_sys::AggStrategy::AGG_PLAIN => (*agg).agg_done,
            _ => is_complete,
        }
    }
}

unsafe fn loops_of(state: *mut pg_sys::PlanState) -> f64 {
    // SAFETY: a valid state; its instrumentation is null or valid.
    unsafe {
        let instrument = (*state).instrument;
        if instrument.is_null() {
            return 0.0;
        }
        pg_sys::InstrEndLoop(instrument);
        (*instrument).nloops
    }
}

unsafe fn rows_of(state: *mut pg_sys::PlanState) -> f64 {
    // SAFETY: null or a valid state.
    unsafe {
        let instrument = state
            .as_ref()
            .map_or(core::ptr::null_mut(), |state| state.instrument);
        instrument
            .as_ref()
            .map_or(0.0, |counts| counts.ntuples + counts.tuplecount)
    }
}

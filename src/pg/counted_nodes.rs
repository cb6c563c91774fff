//! Counts the rows of single plan nodes, into PostgreSQL's own instrumentation of them.
//!
//! PostgreSQL's wrapper of an instrumented node (ExecProcNodeInstr of execProcnode.c) calls instrument.c before and after each row, to look
//! for clocks and buffers that nobody asked for here. What remains of it for rows alone is an addition.

use super::{list, operators, raw};
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;
use std::collections::HashSet;

/// In a slot's flags: it holds no row.
const EMPTY: u16 = pg_sys::TTS_FLAG_EMPTY as u16;

/// Asks for the row counts of the nodes in `wanted`, which costs nothing at the others. After ExecutorStart, before the
/// first row: a node decides at its first call whether it is counted. Parallel workers count all nodes or none, so their
/// plans need [`count_rows`](super::plan_state::count_rows).
pub(crate) fn count(query: *mut pg_sys::QueryDesc, wanted: &HashSet<i32>) {
    // SAFETY: a started execution; the counters live in its memory as PostgreSQL's own do.
    unsafe {
        let before = pg_sys::MemoryContextSwitchTo((*(*query).estate).es_query_cxt);
        for_each_node(query, |state| {
            // A hash table is counted once, when it is built; whether it is empty decides over the other side.
            let is_hash = !wanted.is_empty() && list::tag(state) == NodeTag::T_HashState;
            let is_wanted = is_hash || wanted.contains(&(*(*state).plan).plan_node_id);
            let is_counted = (*state).instrument.is_null() && is_wanted;
            if is_counted {
                let rows = pg_sys::InstrumentOption::INSTRUMENT_ROWS as i32;
                (*state).instrument = pg_sys::InstrAlloc(1, rows, false);
            }
            is_counted
        });
        pg_sys::MemoryContextSwitchTo(before);
    }
}

/// Whether all nodes are to be counted and nothing else is measured: in a worker, as its leader asked.
pub(crate) fn is_for_rows_alone(query: *mut pg_sys::QueryDesc) -> bool {
    // SAFETY: the executor's hooks are given a valid query.
    unsafe { (*query).instrument_options == pg_sys::InstrumentOption::INSTRUMENT_ROWS as i32 }
}

/// Counts the nodes of a plan that is counted whole as [`count`] does. After ExecutorStart, in the leader and in each worker.
pub(crate) fn count_all(query: *mut pg_sys::QueryDesc) {
    if is_for_rows_alone(query) {
        // SAFETY: a started execution, whose nodes have counters for rows alone.
        unsafe { for_each_node(query, |state| has_counters_for_rows_alone(state)) }
    }
}

/// Calls `is_counted` with all nodes of a started execution; where it says so, the node counts its rows here.
///
/// # Safety
/// The execution is started and gave no row yet. Counted nodes have counters.
unsafe fn for_each_node(query: *mut pg_sys::QueryDesc, is_counted: impl Fn(*mut pg_sys::PlanState) -> bool) {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut open = vec![(*query).planstate];
        open.extend(list::pointers::<pg_sys::PlanState>(
            (*(*query).estate).es_subplanstates,
        ));
        let uncalled = uncalled();
        while let Some(state) = open.pop() {
            if state.is_null() {
                continue;
            }
            if is_counted(state) {
                count_here(state, uncalled);
            }
            open.extend([(*state).lefttree, (*state).righttree]);
            open.extend(operators::members(state));
        }
    }
}

/// Whether a node's counters are those that are asked for here, and not somebody's who wants more.
unsafe fn has_counters_for_rows_alone(state: *const pg_sys::PlanState) -> bool {
    // SAFETY: a valid node, whose counters are null or valid.
    unsafe {
        (*state)
            .instrument
            .as_ref()
            .is_some_and(|own| !(own.need_timer || own.need_bufusage || own.need_walusage))
    }
}

/// Has a node with counters for rows alone count them here, unless it was called or somebody else has a hand in it.
unsafe fn count_here(state: *mut pg_sys::PlanState, uncalled: pg_sys::ExecProcNodeMtd) {
    // SAFETY: a valid node.
    unsafe {
        if is_same((*state).ExecProcNode, uncalled) {
            (*state).ExecProcNode = Some(first_row);
        }
    }
}

/// The function of a node that was not called yet, which has no name outside of execProcnode.c; another one is another extension's, and stays.
fn uncalled() -> pg_sys::ExecProcNodeMtd {
    let mut node = pg_sys::PlanState::default();
    // SAFETY: it sets the functions of the node, nothing else.
    unsafe { pg_sys::ExecSetExecProcNode(&raw mut node, None) };
    node.ExecProcNode
}

fn is_same(one: pg_sys::ExecProcNodeMtd, other: pg_sys::ExecProcNodeMtd) -> bool {
    one.zip(other)
        .is_some_and(|(one, other)| core::ptr::fn_addr_eq(one, other))
}

/// The first call of a counted node: ExecProcNodeFirst of execProcnode.c.
unsafe extern "C-unwind" fn first_row(state: *mut pg_sys::PlanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: PostgreSQL calls it with the node that has it as its function; nothing here is to drop when an error passes by.
    unsafe {
        raw::check_stack_depth();
        (*state).ExecProcNode = Some(next_row);
        // A parallel hash join was given another function since the start, with its shared memory (ExecHashJoinInitializeDSM).
        for input in [(*state).lefttree, (*state).righttree] {
            if !input.is_null() && has_counters_for_rows_alone(input) {
                count_here(input, uncalled());
            }
        }
        next_row(state)
    }
}

/// A call of a counted node: InstrStopNode of instrument.c for rows alone.
unsafe extern "C-unwind" fn next_row(state: *mut pg_sys::PlanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: as above; a node has a function, and a counted one has counters.
    unsafe {
        let Some(real) = (*state).ExecProcNodeReal else {
            return core::ptr::null_mut();
        };
        let slot = real(state);
        let counters = (*state).instrument;
        (*counters).running = true;
        if !slot.is_null() && (*slot).tts_flags & EMPTY == 0 {
            (*counters).tuplecount += 1.0;
        }
        slot
    }
}

//! A trial before the execution that a user waits for: if it ends in time, its rows are the answer.

use super::compat::RunRequest;
use super::hook_point::{guarded, protected};
use super::raw;
use super::trial::{self, Attempt, Ended};
use crate::hooks;
use pgrx::pg_sys;

/// Runs the trial that waits for this execution, if one does. True when it gave the answer.
///
/// # Safety
/// The request is PostgreSQL's; the caller's frame holds nothing to drop.
pub(super) unsafe fn try_first(request: RunRequest) -> bool {
    let query = request.query;
    // SAFETY: by the caller's promise.
    unsafe {
        if !request.is_for_all() || !trial::is_possible() {
            return false;
        }
        let Some(tried) = guarded(None, || hooks::trial::take(query)) else {
            return false;
        };
        let rows = pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem);
        // Who asked for the time of the execution waits for the trial, too.
        let total = (*query).totaltime;
        if !total.is_null() {
            pg_sys::InstrStartNode(total);
        }
        let attempt = Attempt {
            plan: tried.plan,
            text: (*query).sourceText,
            snapshot: (*query).snapshot,
            receiver: receiver(rows, (*(*query).estate).es_query_cxt),
            params: (*query).params,
            environment: (*query).queryEnv,
            hints: tried.hints,
            limit_ms: tried.limit_ms,
            stops_on_load: false,
        };
        let finish = || guarded((), hooks::trial::finish);
        let ended = protected(|| trial::run(attempt), finish);
        finish();
        let is_answer = matches!(ended, Ended::Completed(_));
        let mut count = 0;
        if is_answer {
            count = give(query, rows);
            request.mark_done(count);
            guarded((), || hooks::executor::answered(query));
        }
        if !total.is_null() {
            pg_sys::InstrStopNode(total, count as f64);
        }
        pg_sys::tuplestore_end(rows);
        is_answer
    }
}

unsafe fn receiver(
    rows: *mut pg_sys::Tuplestorestate,
    context: pg_sys::MemoryContext,
) -> *mut pg_sys::DestReceiver {
    // SAFETY: PostgreSQL's receiver of this kind, with its parameters.
    unsafe {
        let receiver = raw::CreateDestReceiver(pg_sys::CommandDest::DestTuplestore);
        let no_map = core::ptr::null_mut();
        raw::SetTuplestoreDestReceiverParams(receiver, rows, context, false, no_map, core::ptr::null());
        receiver
    }
}

/// Gives the rows to whoever asked for them, as `standard_ExecutorRun` does; returns how many.
unsafe fn give(query: *mut pg_sys::QueryDesc, rows: *mut pg_sys::Tuplestorestate) -> u64 {
    // SAFETY: a started execution, whose receiver waits for its first row; errors jump out, and nothing here needs
    // dropping.
    unsafe {
        let receiver = (*query).dest;
        let slot = pg_sys::MakeSingleTupleTableSlot((*query).tupDesc, &raw const pg_sys::TTSOpsMinimalTuple);
        let mut count = 0;
        if let Some(startup) = (*receiver).rStartup {
            startup(receiver, (*query).operation as i32, (*query).tupDesc);
        }
        if let Some(receive) = (*receiver).receiveSlot {
            while pg_sys::tuplestore_gettupleslot(rows, true, false, slot) && receive(slot, receiver) {
                count += 1;
                if (&raw const pg_sys::InterruptPending).read_volatile() != 0 {
                    raw::ProcessInterrupts();
                }
            }
        }
        if let Some(shutdown) = (*receiver).rShutdown {
            shutdown(receiver);
        }
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        count
    }
}

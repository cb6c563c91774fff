//! An execution under way: what it runs, and how it is measured.

use pgrx::pg_sys;

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

/// Whether somebody else counts or times the nodes. Only of a parallel plan [`count_rows`] asks for the rows.
pub(crate) fn is_instrumented(query: *mut pg_sys::QueryDesc) -> bool {
    // SAFETY: as above.
    let is_parallel = planned(query).is_some_and(|plan| unsafe { (*plan).parallelModeNeeded });
    let ours = match is_parallel {
        true => pg_sys::InstrumentOption::INSTRUMENT_ROWS as i32,
        false => 0,
    };
    // SAFETY: as above.
    unsafe { (*query).instrument_options & !ours != 0 }
}

/// Whether somebody asked for any measurement before the execution is started.
pub(crate) fn is_measured(query: *mut pg_sys::QueryDesc) -> bool {
    // SAFETY: as above.
    unsafe { (*query).instrument_options != 0 }
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

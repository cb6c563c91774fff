//! Background workers: registering the launcher, starting a worker for a database, naps, transactions.

use core::ffi::{CStr, c_char, c_int};
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, BgWorkerStartTime, SignalWakeFlags};
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// Registers the launcher; it also runs on a standby.
pub(crate) fn register_launcher() {
    BackgroundWorkerBuilder::new("ruvector_dag launcher")
        .set_type("ruvector_dag launcher")
        .set_library("ruvector_dag")
        .set_function("ruvector_dag_launcher_main")
        .set_start_time(BgWorkerStartTime::ConsistentState)
        .set_restart_time(Some(Duration::from_secs(5)))
        .enable_shmem_access(None)
        .load();
}

unsafe extern "C-unwind" {
    // tcop/tcopprot.h; raw, because it is installed as a signal handler.
    fn die(signal: c_int);
    // storage/procsignal.h; the same.
    fn procsignal_sigusr1_handler(signal: c_int);
    // signal.h
    fn kill(pid: c_int, signal: c_int) -> c_int;
}

#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn ruvector_dag_launcher_main(_argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // The postmaster tells of started workers by SIGUSR1, which a worker without a database ignores by default.
    // SAFETY: PostgreSQL's own handler, as autoprewarm's leader installs it.
    unsafe { pg_sys::pqsignal(pgrx::pg_sys::SIGUSR1 as i32, Some(procsignal_sigusr1_handler)) };
    crate::worker::run_launcher();
}

#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn ruvector_dag_worker_main(argument: pg_sys::Datum) {
    let database = argument.value() as u32;
    // SIGTERM keeps PostgreSQL's own handler in a worker that runs SQL: it ends a statement at once.
    // SAFETY: the first thing a connected worker does.
    unsafe {
        pg_sys::BackgroundWorkerInitializeConnectionByOid(pg_sys::Oid::from(database), pg_sys::InvalidOid, 0);
        pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(die));
        pg_sys::BackgroundWorkerUnblockSignals();
    }
    crate::worker::run_worker(database);
}

/// What became of an attempt to start a worker.
pub(crate) enum Started {
    /// Its process id.
    Worker(i32),
    /// `max_worker_processes` is used up.
    NoSlot,
    /// It ended before it was seen running.
    Ended,
}

/// Starts a worker for a database.
pub(crate) fn start(database: u32) -> Started {
    let mut worker = pg_sys::BackgroundWorker {
        bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as i32,
        bgw_start_time: pg_sys::BgWorkerStartTime::BgWorkerStart_ConsistentState,
        bgw_restart_time: pg_sys::BGW_NEVER_RESTART,
        bgw_main_arg: pg_sys::Datum::from(database),
        // SAFETY: a global of this process.
        bgw_notify_pid: unsafe { pg_sys::MyProcPid },
        ..Default::default()
    };
    write_name(&mut worker.bgw_name, c"ruvector_dag worker");
    write_name(&mut worker.bgw_type, c"ruvector_dag worker");
    write_name(&mut worker.bgw_library_name, c"ruvector_dag");
    write_name(&mut worker.bgw_function_name, c"ruvector_dag_worker_main");
    // SAFETY: the description is complete; the handle is freed by the process's end at the latest, and small.
    unsafe {
        let mut handle = core::ptr::null_mut();
        if !pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle) {
            return Started::NoSlot;
        }
        let mut pid = 0;
        let status = pg_sys::WaitForBackgroundWorkerStartup(handle, &mut pid);
        pg_sys::pfree(handle.cast());
        match status {
            pg_sys::BgwHandleStatus::BGWH_STARTED => Started::Worker(pid),
            _ => Started::Ended,
        }
    }
}

fn write_name<const N: usize>(field: &mut [c_char; N], name: &CStr) {
    let bytes = name.to_bytes();
    field[..bytes.len().min(N - 1)]
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, &from)| *to = from as c_char);
}

/// Whether a process still runs.
pub(crate) fn is_alive(pid: i32) -> bool {
    // SAFETY: signal 0 only asks.
    unsafe { kill(pid, 0) == 0 }
}

/// Sleeps; false when the process should end. Reloads the configuration when asked to.
pub(crate) fn nap(time: Duration) -> bool {
    BackgroundWorker::wait_latch(Some(time)) && {
        if BackgroundWorker::sighup_received() {
            // SAFETY: in a process of its own, outside of a transaction.
            unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
        }
        !BackgroundWorker::sigterm_received()
    }
}

/// Runs `work` in a transaction of its own with a snapshot, as a plain backend would see the world.
pub(crate) fn transaction<R: Copy + std::panic::UnwindSafe + std::panic::RefUnwindSafe>(
    work: impl FnOnce() -> R + std::panic::UnwindSafe + std::panic::RefUnwindSafe,
) -> R {
    BackgroundWorker::transaction(work)
}

type AtEnd = Box<dyn FnOnce(bool)>;

thread_local! {
    static AT_END: RefCell<Vec<AtEnd>> = const { RefCell::new(Vec::new()) };
    static IS_REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// Calls `work` with true after the current transaction committed, with false when it was rolled back.
pub(crate) fn at_end_of_transaction(work: AtEnd) {
    if !IS_REGISTERED.replace(true) {
        // SAFETY: registered once per process; the callback stays valid.
        unsafe { pg_sys::RegisterXactCallback(Some(transaction_ended), core::ptr::null_mut()) };
    }
    AT_END.with_borrow_mut(|waiting| waiting.push(work));
}

unsafe extern "C-unwind" fn transaction_ended(
    event: pg_sys::XactEvent::Type,
    _argument: *mut core::ffi::c_void,
) {
    let is_committed = match event {
        pg_sys::XactEvent::XACT_EVENT_COMMIT => true,
        pg_sys::XactEvent::XACT_EVENT_ABORT => false,
        _ => return,
    };
    super::hook_point::guarded((), || {
        AT_END.take().into_iter().for_each(|work| work(is_committed))
    });
}

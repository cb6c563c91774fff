//! Background workers: registering the launcher, starting a worker for a database and following it, naps, transactions.

use super::{catalog, compat, own_settings};
use core::ffi::{CStr, c_char, c_int};
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, BgWorkerStartTime, SignalWakeFlags};
use pgrx::pg_sys;
use std::time::Duration;

/// Registers the launcher; it also runs on a standby.
pub(crate) fn register_launcher() {
    BackgroundWorkerBuilder::new("ruvector_dag launcher")
        .set_type("ruvector_dag launcher")
        .set_library("ruvector_dag")
        .set_function("ruvector_dag_launcher_main")
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::ConsistentState)
        .set_restart_time(Some(Duration::from_secs(5)))
        .load();
}

unsafe extern "C-unwind" {
    // tcop/tcopprot.h; raw, because it is installed as a signal handler.
    fn die(signal: c_int);
}

#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn ruvector_dag_launcher_main(_argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // Connected to no database: shared catalogs can be read, and no database is kept from being dropped.
    // SAFETY: the first thing the launcher does.
    unsafe { pg_sys::BackgroundWorkerInitializeConnectionByOid(pg_sys::InvalidOid, pg_sys::InvalidOid, 0) };
    own_settings::pin_in_worker();
    crate::worker::run_launcher();
}

#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn ruvector_dag_worker_main(argument: pg_sys::Datum) {
    let argument = argument.value() as u64;
    let database = argument as u32;
    // SIGTERM gets PostgreSQL's own handler in a worker that runs SQL: it ends a statement at once. Signals come before
    // the connection: connecting waits for a DROP DATABASE under way, and that waits until we answer its signal.
    // SAFETY: the first things a connected worker does.
    unsafe {
        compat::pqsignal(pg_sys::SIGTERM as i32, die);
        pg_sys::BackgroundWorkerUnblockSignals();
        pg_sys::BackgroundWorkerInitializeConnectionByOid(pg_sys::Oid::from(database), pg_sys::InvalidOid, 0);
    }
    own_settings::pin_in_worker();
    if argument & LEARNS_ONLY == 0 {
        crate::worker::run_worker(database);
    } else {
        crate::worker::run_learner();
    }
}

/// In a worker's argument, beside its database: a session waits until it has learned, and it does nothing else.
const LEARNS_ONLY: u64 = 1 << 32;

/// A worker that was asked for.
pub(crate) struct Started(*mut pg_sys::BackgroundWorkerHandle);

impl Started {
    /// Whether it still runs, or is about to. Asked by its slot: a process id may have become somebody else's.
    pub(crate) fn is_alive(&self) -> bool {
        let mut pid = 0;
        // SAFETY: the handle is ours until dropped.
        let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.0, &mut pid) };
        matches!(
            status,
            pg_sys::BgwHandleStatus::BGWH_STARTED | pg_sys::BgwHandleStatus::BGWH_NOT_YET_STARTED
        )
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // SAFETY: allocated by RegisterDynamicBackgroundWorker in a lasting context, freed once.
        unsafe { pg_sys::pfree(self.0.cast()) };
    }
}

/// Starts a worker for a database; `None` when `max_worker_processes` is used up. The process's latch is set when the
/// worker starts and ends.
pub(crate) fn start(database: u32) -> Option<Started> {
    register(u64::from(database))
}

/// Has a worker write down and learn in the session's database, in a transaction of its own, and waits for its end; false when
/// `max_worker_processes` is used up.
pub(crate) fn learn() -> bool {
    let Some(worker) = register(u64::from(catalog::database()) | LEARNS_ONLY) else {
        return false;
    };
    // SAFETY: the handle is ours until dropped, also by an error: that the statement is cancelled.
    unsafe { pg_sys::WaitForBackgroundWorkerShutdown(worker.0) };
    true
}

fn register(argument: u64) -> Option<Started> {
    let mut worker = pg_sys::BackgroundWorker {
        bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as i32,
        bgw_start_time: pg_sys::BgWorkerStartTime::BgWorkerStart_ConsistentState,
        bgw_restart_time: pg_sys::BGW_NEVER_RESTART,
        bgw_main_arg: pg_sys::Datum::from(argument),
        // SAFETY: a global of this process.
        bgw_notify_pid: unsafe { pg_sys::MyProcPid },
        ..Default::default()
    };
    write_name(&mut worker.bgw_name, c"ruvector_dag worker");
    write_name(&mut worker.bgw_type, c"ruvector_dag worker");
    write_name(&mut worker.bgw_library_name, c"ruvector_dag");
    write_name(&mut worker.bgw_function_name, c"ruvector_dag_worker_main");
    // SAFETY: the description is complete; the handle is allocated where it lasts, and only when there was a slot.
    unsafe {
        let before = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let mut handle = core::ptr::null_mut();
        let is_registered = pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle);
        pg_sys::MemoryContextSwitchTo(before);
        is_registered.then(|| Started(handle))
    }
}

fn write_name<const N: usize>(field: &mut [c_char; N], name: &CStr) {
    let bytes = name.to_bytes();
    field[..bytes.len().min(N - 1)]
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, &from)| *to = from as c_char);
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

//! Work that waits for the end of the transaction: it is told whether what was written under it is there to stay.
//!
//! Follows subtransactions, so that a rollback to a savepoint, or an error caught in PL/pgSQL, is not taken for a commit;
//! runs also when the process is terminated, which no destructor in Rust survives.

use super::hook_point::guarded;
use core::ffi::c_void;
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};

type Work = Box<dyn FnOnce(bool)>;

struct Waiting {
    /// The subtransaction whose fate decides, so far.
    subtransaction: pg_sys::SubTransactionId,
    work: Work,
}

thread_local! {
    static WAITING: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
    static IS_REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// Calls `work` with true after what is written from here on was committed, with false when it was rolled back.
pub(crate) fn call(work: Work) {
    // SAFETY: registered once per process; the callbacks stay valid. The identifier is the current transaction's.
    let subtransaction = unsafe {
        if !IS_REGISTERED.replace(true) {
            pg_sys::RegisterXactCallback(Some(transaction_ended), core::ptr::null_mut());
            pg_sys::RegisterSubXactCallback(Some(subtransaction_ended), core::ptr::null_mut());
        }
        pg_sys::GetCurrentSubTransactionId()
    };
    WAITING.with_borrow_mut(|waiting| waiting.push(Waiting { subtransaction, work }));
}

unsafe extern "C-unwind" fn transaction_ended(event: pg_sys::XactEvent::Type, _argument: *mut c_void) {
    let is_committed = match event {
        pg_sys::XactEvent::XACT_EVENT_COMMIT => true,
        // A prepared transaction may still be rolled back, by anybody and much later: rather written twice than never.
        pg_sys::XactEvent::XACT_EVENT_ABORT | pg_sys::XactEvent::XACT_EVENT_PREPARE => false,
        _ => return,
    };
    guarded((), || {
        WAITING
            .take()
            .into_iter()
            .for_each(|waiting| (waiting.work)(is_committed))
    });
}

unsafe extern "C-unwind" fn subtransaction_ended(
    event: pg_sys::SubXactEvent::Type,
    ended: pg_sys::SubTransactionId,
    parent: pg_sys::SubTransactionId,
    _argument: *mut c_void,
) {
    match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => WAITING.with_borrow_mut(|waiting| {
            waiting
                .iter_mut()
                .filter(|one| one.subtransaction == ended)
                .for_each(|one| one.subtransaction = parent);
        }),
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => guarded((), || {
            let (undone, kept) = WAITING
                .take()
                .into_iter()
                .partition(|one| one.subtransaction == ended);
            WAITING.set(kept);
            let undone: Vec<Waiting> = undone;
            undone.into_iter().for_each(|one| (one.work)(false));
        }),
        _ => {}
    }
}

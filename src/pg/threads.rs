//! Threads for the learning cycle, of which PostgreSQL must not notice anything.
//!
//! Its signal handlers belong to the process's main thread, so that a thread that takes a signal breaks it. Threads of the
//! engine's pool inherit a mask that blocks all signals; they never call PostgreSQL. A session starts none: it clusters on
//! its own thread.

use std::mem::MaybeUninit;
use std::sync::Once;

static POOL: Once = Once::new();

/// Sets up the engine's pool for a session: its own thread. Before anything of the engine runs there, which would make a pool
/// of threads that take signals.
pub(crate) fn prepare_session() {
    prepare(1);
}

/// Sets up the engine's pool for this process: with `threads` of its own, or with the calling one alone for 1.
pub(crate) fn prepare(threads: usize) {
    POOL.call_once(|| {
        let builder = rayon::ThreadPoolBuilder::new();
        let built = if threads <= 1 {
            builder.num_threads(1).use_current_thread().build_global()
        } else {
            without_signals(|| builder.num_threads(threads).build_global())
        };
        // A pool that is there already is one of ours.
        drop(built);
    });
}

/// Runs `work` with all signals blocked.
fn without_signals<R>(work: impl FnOnce() -> R) -> R {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are written before they are read; the mask is that of the calling thread.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = work();
    // SAFETY: the mask that was read above.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), core::ptr::null_mut());
    }
    result
}

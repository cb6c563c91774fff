//! Low input/output priority for what nobody waits for, where the system has it (Linux; see ioprio_set(2)).

/// While it lives, this process reads and writes when nobody else does.
#[derive(Debug)]
pub(crate) struct IdleIo {
    /// The priority before; none where it could not be changed.
    before: Option<i64>,
}

impl IdleIo {
    pub(crate) fn begin() -> Self {
        let before = own().filter(|_| set(IDLE));
        Self { before }
    }
}

impl Drop for IdleIo {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            set(before);
        }
    }
}

/// `IOPRIO_CLASS_IDLE`, in its place above the 13 bits of data (linux/ioprio.h).
const IDLE: i64 = 3 << 13;

#[cfg(target_os = "linux")]
const PROCESS: libc::c_int = 1;

#[cfg(target_os = "linux")]
fn own() -> Option<i64> {
    // SAFETY: asks for the calling thread's priority; takes no pointers.
    let priority = unsafe { libc::syscall(libc::SYS_ioprio_get, PROCESS, 0) };
    (priority >= 0).then_some(priority)
}

#[cfg(target_os = "linux")]
fn set(priority: i64) -> bool {
    // SAFETY: sets the calling thread's priority; takes no pointers.
    unsafe { libc::syscall(libc::SYS_ioprio_set, PROCESS, 0, priority) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn own() -> Option<i64> {
    None
}

#[cfg(not(target_os = "linux"))]
fn set(_priority: i64) -> bool {
    false
}

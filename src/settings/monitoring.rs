//! Settings of the log, and of what is measured.

use super::{Names, Text, define_switch};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::ffi::CString;

static TIME_LOCKS: GucSetting<bool> = GucSetting::<bool>::new(false);
static DEBUG: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));

/// Defines them.
pub(super) fn define() {
    let (name, short, long): Text = (
        c"ruvector.dag_debug",
        c"Sets for which components entries of severity debug are kept in the log, as a list of names.",
        c"all keeps them for every component, an empty list for none; see dag_debug_logs.",
    );
    let (context, flags) = (GucContext::Suset, GucFlags::default());
    GucRegistry::define_string_guc(name, short, long, &DEBUG, context, flags);
    let time_locks: Text = (
        c"ruvector.dag_time_locks",
        c"Times what is done under the locks of shared memory, for each of them.",
        c"It costs each lock a few microseconds; waits for locks are timed without it, too.",
    );
    define_switch(time_locks, &TIME_LOCKS, GucContext::Sighup);
}

/// Whether it is timed what is done under locks.
pub(crate) fn times_locks() -> bool {
    TIME_LOCKS.get()
}

/// Whether `ruvector.dag_debug` names a component.
pub(crate) fn debugs(component: &str) -> bool {
    Names::of(&DEBUG).contains(component)
}

//! Settings of the log.

use super::{Names, Text};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::ffi::CString;

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
}

/// Whether `ruvector.dag_debug` names a component.
pub(crate) fn debugs(component: &str) -> bool {
    Names::of(&DEBUG).contains(component)
}

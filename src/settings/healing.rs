//! Settings of healing: whether the worker looks for what went wrong in what it learned, and how often.

use super::{Text, define_switch};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::time::Duration;

static ENABLED: GucSetting<bool> = GucSetting::<bool>::new(true);
static INTERVAL_S: GucSetting<i32> = GucSetting::<i32>::new(300);

/// Defines them.
pub(super) fn define() {
    let enabled: Text = (
        c"ruvector.dag_healing_enabled",
        c"Looks for anomalies, and repairs what was learned where it went wrong.",
        c"The worker changes nothing but what was learned. Off leaves both to dag_auto_repair.",
    );
    define_switch(enabled, &ENABLED, GucContext::Sighup);
    let (name, short, long): Text = (
        c"ruvector.dag_healing_interval",
        c"Sets the time between two such looks of a database's worker.",
        c"A worker runs at least this often.",
    );
    let (context, flags) = (GucContext::Sighup, GucFlags::UNIT_S);
    GucRegistry::define_int_guc(name, short, long, &INTERVAL_S, 1, 86_400, context, flags);
}

/// `ruvector.dag_healing_interval`; none while `ruvector.dag_healing_enabled` is off.
pub(crate) fn healing_interval() -> Option<Duration> {
    let interval = Duration::from_secs(u64::try_from(INTERVAL_S.get()).unwrap_or(1));
    ENABLED.get().then_some(interval)
}

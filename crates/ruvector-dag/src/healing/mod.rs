//! Healing: what of the server, or of what was learned, gets worse, and what puts it right.
//!
//! Measurements come from the caller, in the order in which they were made. [`AnomalyDetector`] tells single values that are
//! unlike the ones before them, [`drift`] two samples that differ, [`crossing`] a series that rises towards a threshold, and
//! [`index_health`] what an index needs. [`repair`] runs a [`RepairStrategy`], and leaves nothing changed that did not help.

mod anomaly;
mod drift;
mod index_health;
mod predictive;
mod repair;
mod robust;

pub use anomaly::{Anomaly, AnomalyDetector, Severity};
pub use drift::{Better, Drift, Trend, drift};
pub use index_health::{
    IndexAction, IndexFacts, IndexHealth, TARGET_RECALL, expected_btree_pages, index_health,
};
pub use predictive::{Forecast, crossing};
pub use repair::{Finding, RepairOutcome, RepairReport, RepairStrategy, repair};

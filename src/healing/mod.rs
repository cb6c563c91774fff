//! Healing: what went wrong in what was learned, or in what it is learned from, is found, told and put right.
//!
//! The worker looks for anomalies each `ruvector.dag_healing_interval`, and repairs nothing but what was learned. What belongs to
//! users (statistics, indexes) is changed when its owner asks for it. Each repair is verified, and rolled back where that fails.

mod anomalies;
mod cycle;
mod drift;
mod indexes;
mod rebalance;
mod recall;
mod repairs;
mod report;
mod series;

pub(crate) use cycle::{heal_now, run_due};
pub(crate) use drift::drifts;
pub(crate) use indexes::health as index_health;
pub(crate) use rebalance::rebalance;
pub(crate) use report::report;

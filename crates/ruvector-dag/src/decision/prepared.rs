//! Prepared statements: a plan made for the values of each execution, or one for all.
//!
//! PostgreSQL compares the estimated cost of the generic plan with the average of the first five custom ones
//! (`choose_custom_plan`, utils/cache/plancache.c). Where estimates for skewed columns mislead it, measured times decide: those of custom
//! plans with their planning.

use super::lifecycle::CLEAR_GAIN;
use super::log_latency::LogLatency;
use super::sequential::{Comparison, compare_summaries};
use serde::{Deserialize, Serialize};

/// Executions of either kind before they are compared.
const LEAST_RUNS: f32 = 5.0;

/// For what values a plan was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanKind {
    /// For those of one execution.
    Custom,
    /// For whatever is bound.
    Generic,
}

/// What either kind takes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct PreparedEvidence {
    custom: LogLatency,
    generic: LogLatency,
}

impl PreparedEvidence {
    /// Takes up an execution: milliseconds with the planning that it needed.
    pub fn record(&mut self, kind: PlanKind, total_ms: f64) {
        let latency = match kind {
            PlanKind::Custom => &mut self.custom,
            PlanKind::Generic => &mut self.generic,
        };
        latency.add(total_ms.max(1e-3).ln());
    }

    /// The kind that was proved faster by more than noise.
    pub fn preferred(&self) -> Option<PlanKind> {
        let is_known = self.custom.count >= LEAST_RUNS && self.generic.count >= LEAST_RUNS;
        let gain = f64::from(self.custom.mean - self.generic.mean).abs();
        if !is_known || gain < -CLEAR_GAIN.ln() {
            return None;
        }
        match compare_summaries(&self.custom.summary(), &self.generic.summary()) {
            Comparison::Faster => Some(PlanKind::Custom),
            Comparison::Slower => Some(PlanKind::Generic),
            Comparison::Unclear => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(custom_ms: &[f64], generic_ms: &[f64]) -> PreparedEvidence {
        let mut evidence = PreparedEvidence::default();
        custom_ms
            .iter()
            .for_each(|&ms| evidence.record(PlanKind::Custom, ms));
        generic_ms
            .iter()
            .for_each(|&ms| evidence.record(PlanKind::Generic, ms));
        evidence
    }

    #[test]
    fn the_kind_that_is_faster_in_five_executions_each_is_preferred() {
        assert_eq!(measured(&[5.0; 5], &[50.0; 4]).preferred(), None);
        assert_eq!(
            measured(&[5.0; 5], &[50.0; 5]).preferred(),
            Some(PlanKind::Custom)
        );
        assert_eq!(
            measured(&[5.0; 5], &[3.0; 5]).preferred(),
            Some(PlanKind::Generic)
        );
    }

    #[test]
    fn values_that_meet_more_rows_than_others_are_not_taken_for_a_difference() {
        let spread = [1.0, 40.0, 3.0, 200.0, 9.0];
        let other = [2.0, 60.0, 1.5, 250.0, 14.0];
        assert_eq!(measured(&spread, &other).preferred(), None);
    }

    #[test]
    fn what_is_preferred_follows_the_latest_executions() {
        let mut evidence = measured(&[5.0; 5], &[50.0; 5]);
        (0..100).for_each(|_| evidence.record(PlanKind::Custom, 90.0));
        assert_eq!(evidence.preferred(), Some(PlanKind::Generic));
    }
}

//! Patterns are learned about anew where predictions of latencies got worse: what was measured there is of data that is gone.

use super::Ground;
use crate::healing::drift::{self, Predicted};
use crate::worker::known;
use crate::worker::patterns::change;
use crate::worker::sona::with_known;
use engine::healing::{Drift, Finding, RepairStrategy};
use std::collections::BTreeSet;

/// The least factor by which a prediction is off that says that its pattern is out of date.
const OFF: f64 = 2.0;

pub(super) struct PatternQuality;

impl RepairStrategy<Ground> for PatternQuality {
    /// The patterns.
    type Plan = BTreeSet<u64>;
    type Error = String;

    fn kind(&self) -> &'static str {
        "pattern_quality"
    }

    fn detect(&self, _: &Ground) -> Result<Option<Finding>, String> {
        let (_, drift) = predicted()?;
        let drift = drift.filter(drift::is_worse);
        Ok(drift.map(|drift| Finding {
            target: "patterns".to_owned(),
            issue: format!(
                "predictions of latencies are off by a factor of {:.2} lately, by {:.2} before",
                drift.current.exp(),
                drift.baseline.exp()
            ),
        }))
    }

    fn diagnose(&self, _: &Ground, _: &Finding) -> Result<String, String> {
        Ok(format!(
            "{} patterns are nearest to executions that took {OFF} times what was expected, or the part of it",
            nearest()?.len()
        ))
    }

    fn plan(&self, _: &Ground, _: &Finding) -> Result<BTreeSet<u64>, String> {
        let patterns = nearest()?;
        match patterns.is_empty() {
            true => Err("no pattern that something is known about is near".to_owned()),
            false => Ok(patterns),
        }
    }

    fn apply(&self, ground: &mut Ground, patterns: &BTreeSet<u64>) -> Result<(), String> {
        let done = ground.change(|| {
            change(|learned| {
                let bank = learned.engine.bank_mut();
                Ok(patterns.iter().filter(|&&id| bank.reset_quality(id)).count())
            })
        })?;
        let reset = done.map_err(|report| report.message)?;
        match reset == patterns.len() {
            true => Ok(()),
            false => Err(format!("{reset} of {} patterns are there", patterns.len())),
        }
    }

    /// What was stored can be read, and nothing is known about them in it.
    fn verify(&self, _: &Ground, patterns: &BTreeSet<u64>) -> Result<bool, String> {
        let stored = known::stored_parts().map_err(|error| error.to_string())?;
        if stored.iter().any(|part| part.error.is_some()) {
            return Ok(false);
        }
        let are_reset = with_known(|learned, _| {
            let bank = learned.engine.bank();
            let is_reset = |id: &u64| bank.get(*id).is_some_and(|pattern| pattern.confidence == 0.0);
            patterns.iter().all(is_reset)
        });
        are_reset.map_err(|report| report.message)
    }

    fn roll_back(&self, ground: &mut Ground, _: &BTreeSet<u64>) -> Result<(), String> {
        ground.undo();
        Ok(())
    }
}

/// The executions since the last such repair, and how the newest of them compare with the others.
fn predicted() -> Result<(Vec<Predicted>, Option<Drift>), String> {
    drift::of_predictions("pattern_quality").map_err(|error| error.to_string())
}

/// The patterns nearest to the newest executions that were not as expected.
fn nearest() -> Result<BTreeSet<u64>, String> {
    let (executions, _) = predicted()?;
    let (_, newest) = drift::halves(&executions);
    let patterns = with_known(|learned, _| {
        let bank = learned.engine.bank();
        let is_off = |execution: &&Predicted| execution.error >= OFF.ln();
        let found = newest.iter().filter(is_off).filter_map(|execution| {
            let nearest = bank.search(execution.embedding.as_ref()?, 1, -1.0);
            let pattern = bank.get(nearest.first()?.id)?;
            (pattern.confidence > 0.0).then_some(pattern.id)
        });
        found.collect()
    });
    patterns.map_err(|report| report.message)
}

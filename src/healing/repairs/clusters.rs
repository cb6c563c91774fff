//! Patterns that don't fit the executions any more are found anew.
//!
//! How they fit is the mean silhouette of the newest executions in the clusters that the patterns are. Below 0.25 there is no
//! substantial structure (Kaufman and Rousseeuw, "Finding Groups in Data", 1990, table 4).

use super::Ground;
use crate::pg::interrupts;
use crate::worker::executions;
use crate::worker::patterns::{change, recluster};
use crate::worker::sona::with_known;
use engine::embedding::PlanEmbedding;
use engine::healing::{Finding, RepairStrategy};
use engine::patterns::ReasoningBank;
use engine::patterns::kmeans::Clustering;
use engine::patterns::silhouette::silhouette;

const FITTING: f64 = 0.25;
/// What finding them anew has to bring.
const LEAST_GAIN: f64 = 0.05;
/// Executions by which it is measured, and below which nothing is said.
const NEWEST: i64 = 500;
const LEAST: usize = 50;

pub(super) struct Clusters;

impl RepairStrategy<Ground> for Clusters {
    /// How they fit before.
    type Plan = f64;
    type Error = String;

    fn kind(&self) -> &'static str {
        "clusters"
    }

    fn detect(&self, _: &Ground) -> Result<Option<Finding>, String> {
        let fit = fit()?.filter(|&fit| fit < FITTING);
        Ok(fit.map(|fit| Finding {
            target: "patterns".to_owned(),
            issue: format!("the newest executions have a mean silhouette of {fit:.3} in their patterns"),
        }))
    }

    fn diagnose(&self, _: &Ground, _: &Finding) -> Result<String, String> {
        let fixed = with_known(|learned, _| {
            let patterns = learned.engine.bank().patterns();
            let is_fixed = |pattern: &&_| is_kept(pattern);
            (patterns.iter().filter(is_fixed).count(), patterns.len())
        });
        let (fixed, all) = fixed.map_err(|report| report.message)?;
        Ok(format!(
            "{} of {all} patterns were found in executions and may be found anew",
            all - fixed
        ))
    }

    fn plan(&self, _: &Ground, _: &Finding) -> Result<f64, String> {
        fit()?.ok_or_else(|| "there are too few executions".to_owned())
    }

    fn apply(&self, ground: &mut Ground, _: &f64) -> Result<(), String> {
        let done = ground.change(|| change(recluster))?;
        done.map(drop).map_err(|report| report.message)
    }

    fn verify(&self, _: &Ground, before: &f64) -> Result<bool, String> {
        Ok(fit()?.is_some_and(|fit| fit >= before + LEAST_GAIN))
    }

    fn roll_back(&self, ground: &mut Ground, _: &f64) -> Result<(), String> {
        ground.undo();
        Ok(())
    }
}

/// Whether finding patterns anew leaves one as it is.
fn is_kept(pattern: &engine::patterns::Pattern) -> bool {
    pattern.is_pinned || !pattern.metadata.is_empty()
}

/// The mean silhouette; none where too little is known to tell.
fn fit() -> Result<Option<f64>, String> {
    let newest = executions::newest(NEWEST).map_err(|error| error.to_string())?;
    let fit = with_known(|learned, _| {
        let threshold = learned.engine.config().quality_threshold;
        let points: Vec<PlanEmbedding> = newest
            .into_iter()
            .filter(|seen| seen.quality >= threshold)
            .map(|seen| seen.embedding)
            .collect();
        let bank = learned.engine.bank();
        if points.len() < LEAST || bank.len() < 2 {
            return Ok(None);
        }
        let clustering = as_clustering(bank, &points);
        let fit = silhouette(&points, &clustering, &mut interrupts::is_asked_to_stop);
        interrupts::finished(fit)
            .map(Some)
            .map_err(|error| error.to_string())
    });
    fit.map_err(|report| report.message)?
}

/// The patterns as clusters: each execution is in that of the pattern nearest to it.
fn as_clustering(bank: &ReasoningBank, points: &[PlanEmbedding]) -> Clustering {
    let patterns = bank.patterns();
    let nearest = |point: &PlanEmbedding| {
        let similarities = patterns.iter().map(|pattern| pattern.centroid.cosine(point));
        let best = similarities.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
        best.map_or(0, |(place, _)| place as u32)
    };
    Clustering {
        centroids: patterns
            .iter()
            .map(|pattern| pattern.centroid.as_slice().to_vec())
            .collect(),
        assignment: points.iter().map(nearest).collect(),
        ..Clustering::default()
    }
}

//! Stage 8 of 9, learning: patterns found anew in the executions that are kept, when those that grew run by run are doubted.

use super::engine::DagSonaEngine;
use crate::Error;
use crate::embedding::PlanEmbedding;
use crate::interruptible::{IsOver, check};
use crate::patterns::Pattern;
use crate::patterns::kmeans::{MAX_ITERATIONS, kmeans_pp_until};
use crate::patterns::silhouette::silhouette;
use crate::trajectory::Trajectory;

/// What [`DagSonaEngine::recluster`] did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reclustering {
    /// Patterns before.
    pub before: usize,
    /// Patterns after.
    pub after: usize,
    /// How well the new clusters are apart, in [-1, 1]; 0 when there is but one.
    pub silhouette: f64,
}

impl DagSonaEngine {
    /// Finds the patterns anew in these trajectories, of those that pass the quality threshold. Patterns that are pinned
    /// or that their owner wrote about stay. The others go, and what is nearest then takes over how they were used.
    /// `None`, and nothing changes, when no trajectory passes.
    ///
    /// Deterministic. Complexity: that of k-means and of the silhouette.
    pub fn recluster(&mut self, trajectories: &[Trajectory], now_us: u64) -> Option<Reclustering> {
        let done = self.recluster_until(trajectories, now_us, &mut || false);
        // Nobody stops it.
        done.unwrap_or_default()
    }

    /// As [`DagSonaEngine::recluster`], unless it is over before.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when it is: nothing has changed when clusters were still looked for, else some of the new
    /// patterns are not merged yet, and some old ones' uses are lost.
    pub fn recluster_until(
        &mut self,
        trajectories: &[Trajectory],
        now_us: u64,
        is_over: &mut IsOver<'_>,
    ) -> Result<Option<Reclustering>, Error> {
        let threshold = self.config.quality_threshold;
        let kept: Vec<&Trajectory> = trajectories
            .iter()
            .filter(|seen| seen.quality >= threshold)
            .collect();
        if kept.is_empty() {
            return Ok(None);
        }
        let before = self.bank.len();
        let points: Vec<&PlanEmbedding> = kept.iter().map(|seen| &seen.embedding).collect();
        let (clusters, seed) = (self.config.clusters, self.config.seed);
        let clustering = kmeans_pp_until(&points, clusters, seed, MAX_ITERATIONS, is_over)?;
        let silhouette = silhouette(&points, &clustering, is_over)?;
        let gone = self.forget_found();
        self.store_patterns(&kept, &clustering, now_us);
        for old in &gone {
            check(is_over)?;
            self.inherit_uses(old);
        }
        self.bank.merge_similar_until(is_over)?;
        let bank = &self.bank;
        self.boosts.retain(|&pattern, _| bank.get(pattern).is_some());
        Ok(Some(Reclustering {
            before,
            after: self.bank.len(),
            silhouette,
        }))
    }

    /// Removes and returns the patterns that nobody but the learning system cares for.
    fn forget_found(&mut self) -> Vec<Pattern> {
        let found = |pattern: &&Pattern| !pattern.is_pinned && pattern.metadata.is_empty();
        let ids: Vec<u64> = self
            .bank
            .patterns()
            .iter()
            .filter(found)
            .map(|pattern| pattern.id)
            .collect();
        ids.into_iter().filter_map(|id| self.bank.forget(id)).collect()
    }

    fn inherit_uses(&mut self, old: &Pattern) {
        let nearest = self.bank.search(&old.centroid, 1, -1.0);
        let heir = nearest.first().and_then(|found| self.bank.get(found.id));
        if let Some(mut heir) = heir.cloned() {
            heir.uses = heir.uses.saturating_add(old.uses);
            heir.created_us = heir.created_us.min(old.created_us);
            // A pattern of a number that is there always has room.
            _ = self.bank.store(heir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learning::SonaConfig;
    use crate::trajectory::TrajectoryBuilder;

    fn embedding(at: usize, lean: f32) -> PlanEmbedding {
        let mut numbers = vec![0.0; 256];
        numbers[at] = 1.0;
        numbers[at + 1] = lean;
        PlanEmbedding::normalised(&numbers).expect("a direction")
    }

    fn runs(at: usize, count: u64) -> impl Iterator<Item = Trajectory> {
        (0..count).map(move |run| {
            let embedding = embedding(at, 0.2 * run as f32);
            TrajectoryBuilder::new(at as u64 + run, at as u64, embedding).build(10.0, run)
        })
    }

    #[test]
    fn patterns_are_found_anew_and_those_of_the_owner_stay() {
        let config = SonaConfig {
            clusters: 2,
            ..SonaConfig::default()
        };
        let mut engine = DagSonaEngine::new(config).expect("valid settings");
        let old = Pattern {
            uses: 7,
            ..Pattern::new(embedding(0, 0.1), 3, 0.5, 0.0, 1)
        };
        let old = engine.bank.store(old).expect("room");
        let pinned = Pattern {
            is_pinned: true,
            ..Pattern::new(embedding(100, 0.0), 1, 0.5, 0.0, 1)
        };
        let pinned = engine.bank.store(pinned).expect("room");
        assert_eq!(engine.recluster(&[], 9), None);
        assert!(engine.bank.get(old).is_some());
        let seen: Vec<Trajectory> = runs(0, 4).chain(runs(50, 4)).collect();
        let done = engine.recluster(&seen, 9).expect("trajectories");
        assert_eq!((done.before, done.after), (2, 3));
        assert!(done.silhouette > 0.5, "{}", done.silhouette);
        assert!(engine.bank.get(old).is_none() && engine.bank.get(pinned).is_some());
        let heir = engine.bank.search(&embedding(0, 0.1), 1, 0.0)[0].id;
        assert_eq!(engine.bank.get(heir).map(|heir| heir.uses), Some(7));
    }
}

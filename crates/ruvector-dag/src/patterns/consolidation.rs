//! Fewer patterns: those that became near-equal merged, or all brought down to a wanted number of clusters.

use super::kmeans::{Clustering, MAX_ITERATIONS, weighted_kmeans_pp};
use super::silhouette::silhouette;
use super::{Pattern, ReasoningBank, eviction};
use crate::Error;
use crate::embedding::PlanEmbedding;
use crate::interruptible::{IsOver, check};

/// Merging moves middles, which can make more patterns near-equal; after so many rounds what is left waits for next time.
const MAX_ROUNDS: usize = 8;
/// How many near-equal patterns are looked for around one at a time.
const NEIGHBOURHOOD: usize = 32;

/// What [`ReasoningBank::consolidate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Consolidation {
    /// Patterns before.
    pub before: usize,
    /// Patterns after.
    pub after: usize,
    /// How well the clusters are apart, in [-1, 1] ([`silhouette`]); 0 when there is but one.
    pub silhouette: f64,
}

impl ReasoningBank {
    /// Merges patterns whose cosine is at least `merge_similarity`, the worthier taking in the others; two pinned patterns
    /// are never merged. Returns how many were taken in.
    ///
    /// Complexity: one search per pattern and round, most of one round.
    pub fn merge_similar(&mut self) -> usize {
        // Nobody stops it.
        self.merge_similar_until(&mut || false).unwrap_or_default()
    }

    /// As [`ReasoningBank::merge_similar`], unless it is over before.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when it is; patterns that are one by then stay so.
    pub fn merge_similar_until(&mut self, is_over: &mut IsOver<'_>) -> Result<usize, Error> {
        let before = self.len();
        for _ in 0..MAX_ROUNDS {
            let length = self.len();
            for id in self.worthiest_first() {
                check(is_over)?;
                self.take_in_neighbours(id);
            }
            if self.len() == length {
                break;
            }
        }
        Ok(before - self.len())
    }

    fn worthiest_first(&self) -> Vec<u64> {
        let half_life = self.config().half_life_us;
        let mut order: Vec<&Pattern> = self.patterns().iter().collect();
        order.sort_unstable_by(|a, b| {
            let by_pin = b.is_pinned.cmp(&a.is_pinned);
            by_pin.then(eviction::by_worth(b, a, half_life))
        });
        order.into_iter().map(|pattern| pattern.id).collect()
    }

    fn take_in_neighbours(&mut self, id: u64) {
        let Some(pattern) = self.get(id) else { return };
        let near = self.search(&pattern.centroid, NEIGHBOURHOOD, self.config().merge_similarity);
        let others: Vec<u64> = near
            .into_iter()
            .map(|found| found.id)
            .filter(|&other| other != id)
            .collect();
        self.merge_into(id, &others);
    }

    /// Merges patterns into one of them; those that are pinned stay.
    fn merge_into(&mut self, id: u64, others: &[u64]) {
        let Some(mut survivor) = self.get(id).cloned() else {
            return;
        };
        let mut has_changed = false;
        for &other in others {
            if self.get(other).is_some_and(|other| !other.is_pinned)
                && let Some(other) = self.forget(other)
            {
                survivor.absorb(&other);
                has_changed = true;
            }
        }
        if has_changed {
            self.replace(survivor);
        }
    }

    /// Brings the patterns down to at most `target` clusters by k-means over their middles, each counting by its size, and
    /// merges those of a cluster into the worthiest. Pinned patterns stay, so that more may be left.
    pub fn consolidate(&mut self, target: usize, seed: u64) -> Consolidation {
        let done = self.consolidate_until(target, seed, &mut || false);
        // Nobody stops it.
        done.unwrap_or_default()
    }

    /// As [`ReasoningBank::consolidate`], unless it is over before.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when it is; then nothing has changed.
    pub fn consolidate_until(
        &mut self,
        target: usize,
        seed: u64,
        is_over: &mut IsOver<'_>,
    ) -> Result<Consolidation, Error> {
        let before = self.len();
        let centroids: Vec<&PlanEmbedding> =
            self.patterns().iter().map(|pattern| &pattern.centroid).collect();
        let weights: Vec<f32> = self
            .patterns()
            .iter()
            .map(|pattern| pattern.size.max(1) as f32)
            .collect();
        let clustering = weighted_kmeans_pp(
            &centroids,
            &weights,
            target.max(1),
            (seed, MAX_ITERATIONS),
            is_over,
        )?;
        let silhouette = silhouette(&centroids, &clustering, is_over)?;
        self.merge_clusters(&clustering);
        Ok(Consolidation {
            before,
            after: self.len(),
            silhouette,
        })
    }

    /// Merges the patterns of each cluster into the worthiest of them.
    fn merge_clusters(&mut self, clustering: &Clustering) {
        let ids: Vec<u64> = self.patterns().iter().map(|pattern| pattern.id).collect();
        let order = self.worthiest_first();
        let rank: std::collections::HashMap<u64, usize> = order
            .into_iter()
            .enumerate()
            .map(|(rank, id)| (id, rank))
            .collect();
        for members in clustering.members() {
            let mut members: Vec<u64> = members
                .into_iter()
                .filter_map(|at| ids.get(at).copied())
                .collect();
            members.sort_unstable_by_key(|id| rank.get(id).copied());
            if let Some((&survivor, others)) = members.split_first() {
                self.merge_into(survivor, others);
            }
        }
    }
}

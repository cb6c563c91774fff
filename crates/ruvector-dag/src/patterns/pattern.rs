//! One pattern: a region of similar plans, and what was learned there.

use super::Verdict;
use super::verdict::{STOCK, confidence};
use crate::Error;
use crate::embedding::PlanEmbedding;
use serde::{Deserialize, Serialize};

/// A region of similar plans, and what was learned there. Times are microseconds of the caller's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// Its number in the bank; 0 asks the bank for a new one.
    pub id: u64,
    /// Its middle: the mean of its plans' embeddings, scaled to unit norm.
    pub centroid: PlanEmbedding,
    /// How many executions it was learned from.
    pub size: u32,
    /// The mean of their rewards, in [0, 1]; 1/2 is as good as stock.
    pub quality: f32,
    /// The standard deviation of their rewards.
    pub quality_deviation: f32,
    /// The best decision seen; 0 is stock.
    pub decision: u64,
    /// How much it gains over stock, in natural logarithms of latency; 0 when it is stock.
    pub decision_gain: f32,
    /// The mean of what is predicted here, in natural logarithms of milliseconds.
    pub log_latency: f64,
    /// How well this is known, in [0, 1], as of `confidence_at_us`; decays.
    pub confidence: f32,
    /// The time from which the confidence decays.
    pub confidence_at_us: u64,
    /// How often it was used for a statement.
    pub uses: u64,
    /// When it was found first.
    pub created_us: u64,
    /// When it was used last, or found.
    pub used_us: u64,
    /// Whether it is kept whatever happens: neither decayed nor evicted.
    pub is_pinned: bool,
    /// What its executions say.
    pub verdict: Verdict,
    /// The owner's words about it; free text.
    pub metadata: String,
}

impl AsRef<PlanEmbedding> for Pattern {
    fn as_ref(&self) -> &PlanEmbedding {
        &self.centroid
    }
}

impl Pattern {
    /// A pattern with this middle, learned from `size` executions of this mean reward and standard deviation. Verdict and
    /// confidence follow from these; decision, latency and metadata are those of stock until set.
    pub fn new(centroid: PlanEmbedding, size: u32, quality: f32, quality_deviation: f32, at_us: u64) -> Self {
        Self {
            id: 0,
            centroid,
            size,
            quality,
            quality_deviation,
            decision: 0,
            decision_gain: 0.0,
            log_latency: 0.0,
            confidence: confidence(quality_deviation, size),
            confidence_at_us: at_us,
            uses: 0,
            created_us: at_us,
            used_us: at_us,
            is_pinned: false,
            verdict: Verdict::of(quality, quality_deviation, size),
            metadata: String::new(),
        }
    }

    /// Takes another pattern in. What is a mean becomes the mean of both by size, the spread that of all executions
    /// together (Chan, Golub, LeVeque 1979), the verdict follows; the decision is the one with the greater gain times
    /// confidence; uses add up. Number and metadata stay, unless there is no metadata yet.
    pub(super) fn absorb(&mut self, other: &Pattern) {
        let total = f64::from(self.size) + f64::from(other.size);
        let share = if total > 0.0 {
            f64::from(other.size) / total
        } else {
            0.5
        };
        let mean = |own: f64, others: f64| own + share * (others - own);
        let between = share * (1.0 - share) * (f64::from(other.quality) - f64::from(self.quality)).powi(2);
        let within = mean(
            f64::from(self.quality_deviation).powi(2),
            f64::from(other.quality_deviation).powi(2),
        );
        self.absorb_decision(other, share);
        self.absorb_centroid(other, share);
        self.quality = mean(f64::from(self.quality), f64::from(other.quality)) as f32;
        self.quality_deviation = (within + between).sqrt() as f32;
        self.log_latency = mean(self.log_latency, other.log_latency);
        self.confidence = mean(f64::from(self.confidence), f64::from(other.confidence)) as f32;
        self.confidence_at_us = self.confidence_at_us.max(other.confidence_at_us);
        self.size = self.size.saturating_add(other.size);
        self.uses = self.uses.saturating_add(other.uses);
        self.created_us = self.created_us.min(other.created_us);
        self.used_us = self.used_us.max(other.used_us);
        self.is_pinned |= other.is_pinned;
        self.verdict = Verdict::of(self.quality, self.quality_deviation, self.size);
        if self.metadata.is_empty() {
            self.metadata.clone_from(&other.metadata);
        }
    }

    /// A pinned pattern keeps its own.
    fn absorb_decision(&mut self, other: &Pattern, share: f64) {
        if self.decision == other.decision {
            self.decision_gain += share as f32 * (other.decision_gain - self.decision_gain);
        } else if !self.is_pinned
            && other.decision_gain * other.confidence > self.decision_gain * self.confidence
        {
            (self.decision, self.decision_gain) = (other.decision, other.decision_gain);
        }
    }

    /// The middle stays where the two are opposite, since there is no mean direction then.
    fn absorb_centroid(&mut self, other: &Pattern, share: f64) {
        let pairs = self.centroid.as_slice().iter().zip(other.centroid.as_slice());
        let mean: Vec<f32> = pairs
            .map(|(&own, &others)| own + share as f32 * (others - own))
            .collect();
        if let Ok(centroid) = PlanEmbedding::normalised(&mean) {
            self.centroid = centroid;
        }
    }

    /// As if it had no executions yet.
    pub(super) fn reset(&mut self) {
        let centroid = self.centroid.clone();
        *self = Self {
            id: self.id,
            uses: self.uses,
            created_us: self.created_us,
            used_us: self.used_us,
            is_pinned: self.is_pinned,
            metadata: std::mem::take(&mut self.metadata),
            ..Self::new(centroid, 0, STOCK as f32, 0.0, self.confidence_at_us)
        };
    }

    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), Error> {
        let shares = [
            ("quality", self.quality),
            ("quality deviation", self.quality_deviation),
            ("confidence", self.confidence),
        ];
        let shares = shares.map(|(name, share)| (name, f64::from(share), (0.0..=1.0).contains(&share)));
        let gain = f64::from(self.decision_gain);
        let numbers = [
            ("decision gain", gain, gain.is_finite()),
            ("log latency", self.log_latency, self.log_latency.is_finite()),
        ];
        match shares
            .into_iter()
            .chain(numbers)
            .find(|&(_, _, is_valid)| !is_valid)
        {
            Some((field, given, _)) => Err(Error::InvalidPattern { field, given }),
            None => Ok(()),
        }
    }
}

//! One-shot memory: a statement that surprised is remembered after one execution, without waiting for a cluster.
//!
//! The surprise of an execution is |log latency − log latency predicted|. From `plateau` on, one execution sets the memory
//! of its statement in one shot: what was measured, and an eligibility of 1 that decays as e^(−age / `time_constant_us`).
//! Later executions of a remembered statement: one that surprises again against the prediction renews the eligibility; any
//! other moves the remembered latency by the eligibility that is left, `m ← m + ε / (1 + ε) (x − m)`, and lets it fade,
//! since the model knows by then. A cancelled execution is a lower bound: it surprises only when it exceeds the
//! prediction, and moves a memory only up.
//!
//! The memory is bounded: the least eligible goes.
//!
//! Source: behavioural time-scale plasticity, Bittner, Milstein, Grienberger, Romani, Magee 2017, "Behavioral time scale
//! synaptic plasticity underlies CA1 place fields": one plateau potential makes a place field in one trial, weighed by
//! eligibility traces of seconds; updates depend on the weight that is there (Milstein et al. 2021). There is no clock here:
//! the caller gives times.

use crate::Error;
use crate::embedding::PlanEmbedding;
use crate::patterns::search::Index;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BtspConfig {
    /// How many statements are remembered; 1,024 by default, at least 1.
    pub capacity: usize,
    /// The surprise from which one execution is remembered, in natural logarithms of latency; ln 2 by default.
    pub plateau: f64,
    /// The microseconds in which the eligibility falls by a factor of e; a day by default.
    pub time_constant_us: u64,
}

impl Default for BtspConfig {
    fn default() -> Self {
        Self {
            capacity: 1_024,
            plateau: std::f64::consts::LN_2,
            time_constant_us: 24 * 3_600 * 1_000_000,
        }
    }
}

/// One execution, as the memory sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Experience<'e> {
    /// The statement class.
    pub statement: u64,
    /// The embedding of its plan.
    pub embedding: &'e PlanEmbedding,
    /// The decision it was planned with; 0 is stock.
    pub decision: u64,
    /// Natural logarithm of its latency in milliseconds.
    pub log_latency: f64,
    /// Whether it was cancelled, so that its latency is a lower bound.
    pub is_cut_off: bool,
    /// What the model predicted for it; what is not a number surprises nobody.
    pub predicted: f64,
    /// When it ended, in microseconds of the caller's clock.
    pub at_us: u64,
}

/// What is remembered of a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The statement class.
    pub statement: u64,
    /// The embedding of its plan when it surprised last.
    pub embedding: PlanEmbedding,
    /// The decision it was planned with then.
    pub decision: u64,
    /// Natural logarithm of the latency in milliseconds.
    pub log_latency: f64,
    /// Whether that is only a lower bound so far.
    pub is_cut_off: bool,
    /// The surprise that set it, in natural logarithms.
    pub surprise: f64,
    /// When it was set, in microseconds of the caller's clock.
    pub set_at_us: u64,
}

impl AsRef<PlanEmbedding> for Memory {
    fn as_ref(&self) -> &PlanEmbedding {
        &self.embedding
    }
}

/// A memory that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recall<'m> {
    /// What is remembered.
    pub memory: &'m Memory,
    /// How much it still counts, in [0, 1].
    pub eligibility: f64,
    /// The cosine of its plan to the one asked for; 1 when it was found by statement.
    pub similarity: f32,
}

/// The statements that surprised.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct BtspMemory {
    config: BtspConfig,
    memories: Vec<Memory>,
    /// By statement the place in `memories`.
    places: HashMap<u64, usize>,
    index: Index,
}

/// As it is kept.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    config: BtspConfig,
    memories: Vec<Memory>,
}

impl From<BtspMemory> for Stored {
    fn from(memory: BtspMemory) -> Self {
        let BtspMemory { config, memories, .. } = memory;
        Self { config, memories }
    }
}

impl From<Stored> for BtspMemory {
    fn from(stored: Stored) -> Self {
        let mut memory = Self {
            config: stored.config,
            ..Self::default()
        };
        for found in stored.memories {
            memory.set(found);
        }
        memory
    }
}

impl BtspMemory {
    /// A memory of nothing.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a plateau that is negative or not finite.
    pub fn new(config: BtspConfig) -> Result<Self, Error> {
        if !config.plateau.is_finite() || config.plateau < 0.0 {
            return Err(Error::InvalidSetting {
                name: "btsp plateau",
                given: config.plateau,
            });
        }
        Ok(Self {
            config,
            ..Self::default()
        })
    }

    /// What was set.
    pub fn config(&self) -> BtspConfig {
        self.config
    }

    /// How many statements are remembered.
    pub fn len(&self) -> usize {
        self.memories.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.memories.is_empty()
    }

    /// What is remembered, in no particular order.
    pub fn memories(&self) -> &[Memory] {
        &self.memories
    }

    /// Takes in an execution; returns whether it surprised, and so was remembered. One whose latency is no number is not
    /// taken in.
    pub fn observe(&mut self, experience: &Experience<'_>) -> bool {
        if !experience.log_latency.is_finite() {
            return false;
        }
        let surprise = surprise(experience);
        if surprise > 0.0 && surprise >= self.config.plateau {
            self.set(Memory {
                statement: experience.statement,
                embedding: experience.embedding.clone(),
                decision: experience.decision,
                log_latency: experience.log_latency,
                is_cut_off: experience.is_cut_off,
                surprise,
                set_at_us: experience.at_us,
            });
            return true;
        }
        self.adjust(experience);
        false
    }

    fn set(&mut self, memory: Memory) {
        if let Some(&place) = self.places.get(&memory.statement) {
            if let Some(old) = self.memories.get_mut(place) {
                self.index.replace(place, &memory.embedding);
                *old = memory;
            }
            return;
        }
        while self.len() >= self.config.capacity.max(1) {
            self.forget_weakest();
        }
        self.places.insert(memory.statement, self.len());
        self.memories.push(memory);
        self.index.push(&self.memories);
    }

    /// Moves what is remembered of a statement that no longer surprises.
    fn adjust(&mut self, experience: &Experience<'_>) {
        let time_constant = self.config.time_constant_us;
        let place = self.places.get(&experience.statement);
        let Some(memory) = place.and_then(|&place| self.memories.get_mut(place)) else {
            return;
        };
        let difference = experience.log_latency - memory.log_latency;
        let is_bound_kept = experience.is_cut_off && difference <= 0.0;
        if memory.decision != experience.decision || is_bound_kept {
            return;
        }
        let eligibility = eligibility(memory, experience.at_us, time_constant);
        memory.log_latency += eligibility / (1.0 + eligibility) * difference;
        memory.is_cut_off &= experience.is_cut_off;
    }

    /// The one that was set first: eligibilities start alike and fall alike.
    fn forget_weakest(&mut self) {
        let oldest = self
            .memories
            .iter()
            .min_by_key(|memory| (memory.set_at_us, memory.statement));
        if let Some(statement) = oldest.map(|memory| memory.statement) {
            self.forget(statement);
        }
    }

    /// Forgets a statement; returns what was remembered.
    pub fn forget(&mut self, statement: u64) -> Option<Memory> {
        let place = self.places.remove(&statement)?;
        let memory = self.memories.swap_remove(place);
        self.index.swap_remove(place);
        if let Some(moved) = self.memories.get(place) {
            self.places.insert(moved.statement, place);
        }
        Some(memory)
    }

    /// What is remembered of a statement.
    pub fn recall(&self, statement: u64, now_us: u64) -> Option<Recall<'_>> {
        let memory = self.memories.get(*self.places.get(&statement)?)?;
        Some(self.recalled(memory, now_us, 1.0))
    }

    /// What is remembered of the statement whose plan was nearest, if its cosine is at least `min_similarity`; of equally
    /// near ones the one set last.
    pub fn recall_nearest(
        &self,
        embedding: &PlanEmbedding,
        min_similarity: f32,
        now_us: u64,
    ) -> Option<Recall<'_>> {
        let found = self.index.search(&self.memories, embedding, 1, min_similarity);
        let memories = found
            .into_iter()
            .filter_map(|(place, cosine)| Some((self.memories.get(place)?, cosine)));
        let best = memories.max_by(|(a, nearness), (b, other)| {
            let by_age = a.set_at_us.cmp(&b.set_at_us).then(a.statement.cmp(&b.statement));
            nearness.total_cmp(other).then(by_age)
        });
        best.map(|(memory, cosine)| self.recalled(memory, now_us, cosine))
    }

    fn recalled<'m>(&self, memory: &'m Memory, now_us: u64, similarity: f32) -> Recall<'m> {
        Recall {
            memory,
            eligibility: eligibility(memory, now_us, self.config.time_constant_us),
            similarity,
        }
    }

    /// The same with only the `count` that were set last.
    pub(super) fn latest(&self, count: usize) -> Self {
        let mut memories = self.memories.clone();
        memories.sort_by_key(|memory| std::cmp::Reverse((memory.set_at_us, memory.statement)));
        memories.truncate(count);
        Self::from(Stored {
            config: self.config,
            memories,
        })
    }

    /// The same under other settings, the ones set last where there is not room for all.
    pub(super) fn within(self, config: BtspConfig) -> Self {
        let latest = if self.len() > config.capacity {
            self.latest(config.capacity)
        } else {
            self
        };
        Self { config, ..latest }
    }

    /// Whether a stored one holds only numbers that can be.
    pub(super) fn is_sound(&self) -> bool {
        let is_set = self.config.plateau.is_finite() && self.config.plateau >= 0.0;
        let is_possible = |memory: &Memory| memory.log_latency.is_finite() && memory.surprise.is_finite();
        is_set && self.memories.iter().all(is_possible)
    }

    /// Bytes on the heap.
    pub fn memory_bytes(&self) -> usize {
        let embedding = crate::embedding::DIMENSIONS * size_of::<f32>();
        self.memories.capacity() * size_of::<Memory>()
            + self.memories.len() * embedding
            // A table of 8/7 of the places at most twice as large as needed, and a byte each.
            + self.places.capacity() * (size_of::<(u64, usize)>() + 1) * 8 / 7
            + self.index.memory_bytes()
    }

    /// Forgets what has less eligibility left than `least`; returns how many.
    pub fn fade(&mut self, now_us: u64, least: f64) -> usize {
        let time_constant = self.config.time_constant_us;
        let is_faded = |memory: &&Memory| eligibility(memory, now_us, time_constant) < least;
        let faded = self
            .memories
            .iter()
            .filter(is_faded)
            .map(|memory| memory.statement);
        let faded: Vec<u64> = faded.collect();
        faded
            .iter()
            .filter(|&&statement| self.forget(statement).is_some())
            .count()
    }
}

/// See the module's text.
fn surprise(experience: &Experience<'_>) -> f64 {
    let difference = experience.log_latency - experience.predicted;
    let surprise = if experience.is_cut_off {
        difference
    } else {
        difference.abs()
    };
    // The maximum with what is not a number is the other.
    surprise.max(0.0)
}

fn eligibility(memory: &Memory, now_us: u64, time_constant_us: u64) -> f64 {
    let age = now_us.saturating_sub(memory.set_at_us) as f64;
    (-age / time_constant_us.max(1) as f64).exp()
}

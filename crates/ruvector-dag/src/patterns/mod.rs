//! Stage 9 of 9, patterns: what was learned, kept by where it was learned.
//!
//! A [`Pattern`] is a region of similar plans with the best decision seen there. The [`ReasoningBank`] keeps patterns and
//! finds those near a plan (`search`); it merges those that became near-equal, lets their confidence fade and lets the
//! least worthy go (`eviction`). [`kmeans`] finds patterns in trajectories, and brings many down to a wanted number.

pub mod kmeans;
pub mod silhouette;
mod consolidation;
mod eviction;
mod pattern;
pub(crate) mod search;
mod verdict;

pub use consolidation::Consolidation;
pub use pattern::Pattern;
pub use verdict::{Verdict, confidence};

use crate::Error;
use crate::embedding::PlanEmbedding;
use search::Index;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BankConfig {
    /// How many patterns there is room for; 10,000 by default.
    pub capacity: usize,
    /// The microseconds in which a confidence halves; 30 days by default.
    pub half_life_us: u64,
    /// The cosine from which two patterns are near-equal; 0.995 by default.
    pub merge_similarity: f32,
}

impl Default for BankConfig {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            half_life_us: 30 * 24 * 3_600 * 1_000_000,
            merge_similarity: 0.995,
        }
    }
}

/// A pattern found near a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// The pattern's number.
    pub id: u64,
    /// The cosine to its middle, in [-1, 1].
    pub similarity: f32,
}

/// The patterns. Serialised without its indexes, which are made anew.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Stored")]
pub struct ReasoningBank {
    config: BankConfig,
    patterns: Vec<Pattern>,
    /// By number the place in `patterns`.
    places: HashMap<u64, usize>,
    /// Of `patterns`, by place.
    index: Index,
    next_id: u64,
}

/// As it is written; read as [`Stored`].
#[derive(Serialize)]
struct Writable<'b> {
    config: BankConfig,
    patterns: &'b [Pattern],
    next_id: u64,
}

impl Serialize for ReasoningBank {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let writable = Writable {
            config: self.config,
            patterns: &self.patterns,
            next_id: self.next_id,
        };
        writable.serialize(serializer)
    }
}

/// As it is read, not yet checked.
#[derive(Deserialize)]
struct Stored {
    config: BankConfig,
    patterns: Vec<Pattern>,
    next_id: u64,
}

impl TryFrom<Stored> for ReasoningBank {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let mut bank = Self::new(stored.config);
        stored.patterns.iter().try_for_each(Pattern::check)?;
        let places = stored.patterns.iter().enumerate();
        bank.places = places.map(|(place, pattern)| (pattern.id, place)).collect();
        let ids = stored.patterns.iter().map(|pattern| pattern.id);
        let last = ids.clone().max().unwrap_or(0);
        if bank.places.len() != stored.patterns.len() || ids.min() == Some(0) {
            let field = "number, 0 or another's";
            let given = stored.patterns.len() as f64;
            return Err(Error::InvalidPattern { field, given });
        }
        bank.next_id = stored.next_id.max(last.saturating_add(1));
        bank.index.rebuild(&stored.patterns);
        bank.patterns = stored.patterns;
        Ok(bank)
    }
}

impl Default for ReasoningBank {
    fn default() -> Self {
        Self::new(BankConfig::default())
    }
}

impl ReasoningBank {
    /// A bank without patterns.
    pub fn new(config: BankConfig) -> Self {
        Self {
            config,
            patterns: Vec::new(),
            places: HashMap::new(),
            index: Index::default(),
            next_id: 1,
        }
    }

    /// What was set.
    pub fn config(&self) -> BankConfig {
        self.config
    }

    /// How many patterns there are.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The patterns, in no particular order.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// The pattern of this number.
    pub fn get(&self, id: u64) -> Option<&Pattern> {
        self.patterns.get(*self.places.get(&id)?)
    }

    /// Stores a pattern and returns its number. One of number 0 gets a new number; one of a number that is there replaces
    /// it. When there is no room, the least worthy pattern that isn't pinned goes.
    ///
    /// # Errors
    /// [`Error::InvalidPattern`], [`Error::PatternsFull`].
    pub fn store(&mut self, mut pattern: Pattern) -> Result<u64, Error> {
        pattern.check()?;
        if self.places.contains_key(&pattern.id) {
            let id = pattern.id;
            self.replace(pattern);
            return Ok(id);
        }
        if self.len() >= self.config.capacity {
            self.evict(self.config.capacity.saturating_sub(1));
        }
        if self.len() >= self.config.capacity {
            let limit = self.config.capacity;
            return Err(Error::PatternsFull { limit });
        }
        if pattern.id == 0 {
            pattern.id = self.next_id;
        }
        self.next_id = self.next_id.max(pattern.id.saturating_add(1));
        let id = pattern.id;
        self.places.insert(id, self.patterns.len());
        self.patterns.push(pattern);
        self.index.push(&self.patterns);
        Ok(id)
    }

    /// The `k` patterns nearest to a plan whose cosine is at least `min_similarity`, nearest first, equally near ones by
    /// number.
    pub fn search(&self, query: &PlanEmbedding, k: usize, min_similarity: f32) -> Vec<Match> {
        let found = self.index.search(&self.patterns, query, k, min_similarity);
        let matches = found.into_iter().filter_map(|(place, similarity)| {
            let id = self.patterns.get(place)?.id;
            Some(Match { id, similarity })
        });
        let nearer = |a: &Match, b: &Match| b.similarity.total_cmp(&a.similarity).then(a.id.cmp(&b.id));
        let mut matches: Vec<Match> = matches.collect();
        if k < matches.len() {
            matches.select_nth_unstable_by(k, nearer);
            matches.truncate(k);
        }
        matches.sort_unstable_by(nearer);
        matches
    }

    /// Counts a use of a pattern; `false` when there is none of this number.
    pub fn record_use(&mut self, id: u64, now_us: u64) -> bool {
        self.change(id, |pattern| {
            pattern.uses = pattern.uses.saturating_add(1);
            pattern.used_us = pattern.used_us.max(now_us);
        })
    }

    /// Keeps a pattern whatever happens; `false` when there is none of this number.
    pub fn pin(&mut self, id: u64) -> bool {
        self.change(id, |pattern| pattern.is_pinned = true)
    }

    /// Undoes [`ReasoningBank::pin`]; `false` when there is no pattern of this number.
    pub fn unpin(&mut self, id: u64) -> bool {
        self.change(id, |pattern| pattern.is_pinned = false)
    }

    fn change(&mut self, id: u64, change: impl FnOnce(&mut Pattern)) -> bool {
        let found = self
            .places
            .get(&id)
            .and_then(|&place| self.patterns.get_mut(place));
        found.map(change).is_some()
    }

    /// Forgets what was learned about a pattern but not the pattern: as if it had no executions yet, on stock plans;
    /// `false` when there is none of this number.
    pub fn reset_quality(&mut self, id: u64) -> bool {
        self.change(id, Pattern::reset)
    }

    /// Puts a pattern in the place of the one of its number.
    fn replace(&mut self, pattern: Pattern) {
        if let Some(&place) = self.places.get(&pattern.id)
            && let Some(old) = self.patterns.get_mut(place)
        {
            self.index.replace(place, &pattern.centroid);
            *old = pattern;
        }
    }

    /// Removes a pattern, pinned or not, and returns it.
    pub fn forget(&mut self, id: u64) -> Option<Pattern> {
        let place = self.places.remove(&id)?;
        let pattern = self.patterns.swap_remove(place);
        self.index.swap_remove(place);
        if let Some(moved) = self.patterns.get(place) {
            self.places.insert(moved.id, place);
        }
        Some(pattern)
    }

    /// Lets the confidence of patterns that aren't pinned fade up to this time.
    pub fn decay(&mut self, now_us: u64) {
        let half_life = self.config.half_life_us;
        self.patterns
            .iter_mut()
            .for_each(|pattern| eviction::decay(pattern, now_us, half_life));
    }

    /// The patterns, the least worthy first, pinned ones last.
    pub(crate) fn by_worth(&self) -> Vec<&Pattern> {
        let half_life = self.config.half_life_us;
        let mut patterns: Vec<&Pattern> = self.patterns.iter().collect();
        patterns.sort_unstable_by(|a, b| {
            let worth = eviction::by_worth(a, b, half_life);
            a.is_pinned.cmp(&b.is_pinned).then(worth)
        });
        patterns
    }

    /// Removes the least worthy patterns until at most `limit` are left or all that are left are pinned. Returns the
    /// numbers of those that went, the least worthy first.
    pub fn evict(&mut self, limit: usize) -> Vec<u64> {
        let surplus = self.len().saturating_sub(limit);
        let gone: Vec<u64> = self
            .by_worth()
            .into_iter()
            .filter(|pattern| !pattern.is_pinned)
            .take(surplus)
            .map(|pattern| pattern.id)
            .collect();
        gone.iter().for_each(|&id| {
            self.forget(id);
        });
        gone
    }
}

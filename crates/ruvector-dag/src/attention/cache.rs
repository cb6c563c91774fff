//! Scores computed before: an LRU cache that backends' threads may share.
//!
//! An entry is found by everything its scores depend on: the whole graph ([`content_hash`]), the mechanism and its
//! parameters. A mechanism with a memory (temporal BTSP) counts that memory to its parameters, or is not cached.
//!
//! The table is cut into shards by key, each behind a lock of its own, so that threads seldom meet. What goes is the
//! entry used longest ago of the new one's shard: with one shard that is LRU exactly, with 16 as good as, since keys are
//! spread by a hash.

use super::content::content_hash;
use super::lru::Lru;
use super::{AttentionScores, DagAttention};
use crate::QueryDag;
use parking_lot::Mutex;
use std::sync::Arc;

/// Shards of a cache that is large enough to be cut.
const SHARDS: usize = 16;
/// Fewer entries than this per shard, and the cut costs more hits than the locks cost time.
const LEAST_PER_SHARD: usize = 64;

/// What scores are found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// [`content_hash`] of the graph.
    pub content: u128,
    /// The mechanism's name, or the ensemble's.
    pub mechanism: &'static str,
    /// [`DagAttention::parameters_fingerprint`].
    pub parameters: u64,
}

impl CacheKey {
    /// The key of a mechanism's scores for a graph.
    ///
    /// Complexity: O(V + E + bytes of texts).
    pub fn new(dag: &QueryDag, attention: &dyn DagAttention) -> Self {
        Self {
            content: content_hash(dag),
            mechanism: attention.name(),
            parameters: attention.parameters_fingerprint(),
        }
    }
}

/// What a cache was asked since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStatistics {
    /// Lookups that found an entry.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Entries that made room for others.
    pub evictions: u64,
    /// Entries there are.
    pub entries: usize,
}

impl CacheStatistics {
    /// Hits per lookup; 0 without any.
    pub fn hit_rate(&self) -> f64 {
        let lookups = self.hits + self.misses;
        if lookups == 0 {
            0.0
        } else {
            self.hits as f64 / lookups as f64
        }
    }
}

struct Shard {
    scores: Lru<CacheKey, Arc<AttentionScores>>,
    statistics: CacheStatistics,
}

/// Scores by graph, mechanism and parameters.
///
/// Complexity: O(1) expected for each lookup and each insertion.
pub struct AttentionCache {
    shards: Box<[Mutex<Shard>]>,
}

impl std::fmt::Debug for AttentionCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttentionCache")
            .field("capacity", &self.capacity())
            .field("statistics", &self.statistics())
            .finish()
    }
}

impl Default for AttentionCache {
    fn default() -> Self {
        Self::new(Self::CAPACITY)
    }
}

impl AttentionCache {
    /// Entries of a cache by default.
    pub const CAPACITY: usize = 10_000;

    /// A cache of at most `capacity` entries; 0 keeps nothing.
    pub fn new(capacity: usize) -> Self {
        Self::with_shards(capacity, (capacity / LEAST_PER_SHARD).clamp(1, SHARDS))
    }

    /// A cache of at most `capacity` entries cut into `shards`, at least one and at most as many as entries. With one it
    /// is LRU exactly.
    pub fn with_shards(capacity: usize, shards: usize) -> Self {
        let shards = shards.clamp(1, capacity.max(1));
        let share = |shard: usize| capacity / shards + usize::from(shard < capacity % shards);
        let shards = (0..shards).map(|shard| {
            Mutex::new(Shard {
                scores: Lru::new(share(shard)),
                statistics: CacheStatistics::default(),
            })
        });
        Self {
            shards: shards.collect(),
        }
    }

    fn shard(&self, key: &CacheKey) -> &Mutex<Shard> {
        // The upper half, since tables of the shard use the lower.
        let at = (key.content >> 64) as u64 ^ key.parameters;
        &self.shards[(at % self.shards.len() as u64) as usize]
    }

    /// The scores of this key, if they are here.
    pub fn get(&self, key: &CacheKey) -> Option<Arc<AttentionScores>> {
        let mut shard = self.shard(key).lock();
        let found = shard.scores.get(key).cloned();
        match found {
            Some(_) => shard.statistics.hits += 1,
            None => shard.statistics.misses += 1,
        }
        found
    }

    /// Stores scores; those of the same key are replaced.
    pub fn insert(&self, key: CacheKey, scores: Arc<AttentionScores>) {
        let mut shard = self.shard(&key).lock();
        if shard.scores.insert(key, scores) {
            shard.statistics.evictions += 1;
        }
    }

    /// The mechanism's scores for the graph, from here or computed now. No lock is held while computing: two threads
    /// may compute the same scores, which are equal.
    pub fn scores(&self, dag: &QueryDag, attention: &dyn DagAttention) -> Arc<AttentionScores> {
        let key = CacheKey::new(dag, attention);
        self.get(&key).unwrap_or_else(|| {
            let scores = Arc::new(attention.forward(dag));
            self.insert(key, Arc::clone(&scores));
            scores
        })
    }

    /// Forgets all entries; the counts go on.
    pub fn clear(&self) {
        self.shards.iter().for_each(|shard| shard.lock().scores.clear());
    }

    /// The greatest number of entries.
    pub fn capacity(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().scores.capacity())
            .sum()
    }

    /// The counts of all shards, each read by itself.
    pub fn statistics(&self) -> CacheStatistics {
        let mut sum = CacheStatistics::default();
        for shard in &self.shards {
            let shard = shard.lock();
            sum.hits += shard.statistics.hits;
            sum.misses += shard.statistics.misses;
            sum.evictions += shard.statistics.evictions;
            sum.entries += shard.scores.len();
        }
        sum
    }
}

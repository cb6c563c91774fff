//! Stage 8 of 9, learning: what is kept in memory and replayed in idle time.
//!
//! What surprised most is replayed first, and each replay says how much of the surprise is left (prioritized replay,
//! Schaul et al. 2016, with the order made deterministic). What is kept is shared out among the classes in turn, so that
//! one busy workload does not crowd out what was learned of the others; within a class the most surprising stay.

use std::collections::BTreeMap;

/// Something worth remembering.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory<T> {
    /// What it is a case of, as a statement's template.
    pub class: u64,
    /// The absolute error of what was predicted.
    pub surprise: f64,
    /// What happened.
    pub item: T,
}

/// What a consolidation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Consolidation {
    /// Memories replayed.
    pub replayed: usize,
    /// Memories that surprise less than before.
    pub strengthened: usize,
    /// Memories dropped.
    pub dropped: usize,
}

/// A bounded memory that is replayed.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryConsolidator<T> {
    capacity: usize,
    memories: Vec<Memory<T>>,
}

impl<T> MemoryConsolidator<T> {
    /// A memory of up to `capacity` cases after each consolidation, and twice as many in between.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            memories: Vec::new(),
        }
    }

    /// Remembers a case; answers how many were dropped for it.
    pub fn remember(&mut self, memory: Memory<T>) -> usize {
        self.memories.push(memory);
        if self.memories.len() > 2 * self.capacity {
            self.keep()
        } else {
            0
        }
    }

    /// What is remembered.
    pub fn memories(&self) -> &[Memory<T>] {
        &self.memories
    }

    /// Replays memories, the most surprising first, until `budget_us` have passed on `clock` (microseconds) or all had
    /// their turn, then drops what is beyond the capacity. `replay` answers the error that is left. The clock is read
    /// before each replay: what it overruns the budget by is one replay and the final sort.
    pub fn consolidate(
        &mut self,
        mut clock: impl FnMut() -> u64,
        budget_us: u64,
        mut replay: impl FnMut(&T) -> f64,
    ) -> Consolidation {
        let deadline = clock().saturating_add(budget_us);
        self.memories.sort_by(|a, b| b.surprise.total_cmp(&a.surprise));
        let mut result = Consolidation::default();
        for memory in &mut self.memories {
            if clock() >= deadline {
                break;
            }
            let left = replay(&memory.item);
            result.replayed += 1;
            result.strengthened += usize::from(left < memory.surprise);
            memory.surprise = left;
        }
        result.dropped = self.keep();
        result
    }

    /// Keeps `capacity` cases: the most surprising one of each class, then the second of each, and so on.
    fn keep(&mut self) -> usize {
        let dropped = self.memories.len().saturating_sub(self.capacity);
        if dropped == 0 {
            return 0;
        }
        self.memories.sort_by(|a, b| b.surprise.total_cmp(&a.surprise));
        let mut seen: BTreeMap<u64, u32> = BTreeMap::new();
        let mut ranked: Vec<(u32, Memory<T>)> = std::mem::take(&mut self.memories)
            .into_iter()
            .map(|memory| {
                let rank = seen.entry(memory.class).or_default();
                *rank += 1;
                (*rank, memory)
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.truncate(self.capacity);
        self.memories = ranked.into_iter().map(|(_, memory)| memory).collect();
        dropped
    }
}

//! A bounded map that forgets what was not used for longest: a hash table into a slab whose entries are chained by age.
//!
//! Complexity: O(1) expected per operation, one allocation per slot at most, none once it is full.

use std::collections::HashMap;
use std::hash::Hash;

/// The end of the chain.
const NONE: usize = usize::MAX;

#[derive(Debug, Clone)]
struct Entry<K, V> {
    key: K,
    value: V,
    older: usize,
    newer: usize,
}

/// A map of at most `capacity` entries; a capacity of 0 keeps nothing.
#[derive(Debug, Clone)]
pub(super) struct Lru<K, V> {
    capacity: usize,
    places: HashMap<K, usize>,
    entries: Vec<Entry<K, V>>,
    oldest: usize,
    newest: usize,
}

impl<K: Hash + Eq + Clone, V> Lru<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            places: HashMap::new(),
            entries: Vec::new(),
            oldest: NONE,
            newest: NONE,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The value, without using it.
    pub(super) fn peek(&self, key: &K) -> Option<&V> {
        self.places.get(key).map(|&at| &self.entries[at].value)
    }

    /// The value, which becomes the newest.
    pub(super) fn get(&mut self, key: &K) -> Option<&mut V> {
        let at = *self.places.get(key)?;
        self.unchain(at);
        self.chain_as_newest(at);
        Some(&mut self.entries[at].value)
    }

    /// Stores a value as the newest; true when another key had to go for it.
    pub(super) fn insert(&mut self, key: K, value: V) -> bool {
        if let Some(known) = self.get(&key) {
            *known = value;
            return false;
        }
        if self.capacity == 0 {
            return false;
        }
        let is_full = self.entries.len() == self.capacity;
        let entry = Entry {
            key: key.clone(),
            value,
            older: NONE,
            newer: NONE,
        };
        let at = if is_full {
            self.replace_oldest(entry)
        } else {
            self.entries.push(entry);
            self.entries.len() - 1
        };
        self.chain_as_newest(at);
        self.places.insert(key, at);
        is_full
    }

    /// The entries, the one used longest ago first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let first = self.entries.get(self.oldest);
        std::iter::successors(first, |entry| self.entries.get(entry.newer))
            .map(|entry| (&entry.key, &entry.value))
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
        (self.oldest, self.newest) = (NONE, NONE);
    }

    fn replace_oldest(&mut self, entry: Entry<K, V>) -> usize {
        let at = self.oldest;
        self.unchain(at);
        let gone = std::mem::replace(&mut self.entries[at], entry);
        self.places.remove(&gone.key);
        at
    }

    fn unchain(&mut self, at: usize) {
        let (older, newer) = (self.entries[at].older, self.entries[at].newer);
        match self.entries.get_mut(older) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
        match self.entries.get_mut(newer) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
    }

    fn chain_as_newest(&mut self, at: usize) {
        let older = std::mem::replace(&mut self.newest, at);
        self.entries[at].older = older;
        self.entries[at].newer = NONE;
        match self.entries.get_mut(older) {
            Some(entry) => entry.newer = at,
            None => self.oldest = at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lru;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn it_does_what_a_sorted_list_does(
            capacity in 0usize..6,
            uses in proptest::collection::vec((any::<bool>(), 0u8..10), 0..60),
        ) {
            let mut lru = Lru::new(capacity);
            let mut oracle: Vec<(u8, usize)> = Vec::new();
            for (time, (is_insert, key)) in uses.into_iter().enumerate() {
                let known = oracle.iter().position(|(other, _)| *other == key).map(|at| oracle.remove(at));
                if is_insert {
                    oracle.push((key, time));
                    let evicts = oracle.len() > capacity;
                    if evicts {
                        oracle.remove(0);
                    }
                    prop_assert_eq!(lru.insert(key, time), evicts && capacity > 0);
                } else {
                    prop_assert_eq!(lru.get(&key).copied(), known.map(|(_, value)| value));
                    oracle.extend(known);
                }
                let kept: Vec<(u8, usize)> = lru.iter().map(|(key, value)| (*key, *value)).collect();
                prop_assert_eq!(&kept, &oracle);
                prop_assert_eq!(lru.len(), oracle.len());
            }
        }
    }
}

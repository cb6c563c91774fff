//! Where each operator is kept, by its number.

use crate::OperatorId;
use std::collections::HashMap;

const NOWHERE: u32 = u32::MAX;

/// The places of operators. The numbers of plans are small and dense, so most are found in an array; others, which a
/// hand-built graph may have, are looked up.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    dense: Vec<u32>,
    sparse: HashMap<u32, u32>,
    count: usize,
}

impl Places {
    /// Puts an operator at a place, also when it has one.
    pub(super) fn put(&mut self, operator: OperatorId, place: u32) {
        let number = operator.0 as usize;
        self.count += 1;
        if number >= self.dense.len() && number <= 2 * self.count + 64 {
            self.dense.resize(number + number / 2 + 64, NOWHERE);
        }
        // One found among the sparse stays there.
        if self.sparse.contains_key(&operator.0) || number >= self.dense.len() {
            self.sparse.insert(operator.0, place);
        } else {
            self.dense[number] = place;
        }
    }

    /// Forgets an operator.
    pub(super) fn remove(&mut self, operator: OperatorId) {
        self.sparse.remove(&operator.0);
        if let Some(place) = self.dense.get_mut(operator.0 as usize) {
            *place = NOWHERE;
        }
    }

    /// The operator's place.
    #[inline]
    pub(super) fn find(&self, operator: OperatorId) -> Option<u32> {
        match self.dense.get(operator.0 as usize) {
            Some(&NOWHERE) | None if self.sparse.is_empty() => None,
            Some(&NOWHERE) | None => self.sparse.get(&operator.0).copied(),
            Some(&place) => Some(place),
        }
    }
}

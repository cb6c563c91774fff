//! Bundling: how many of many hypervectors have each bit set, and the majority.
//!
//! Counts are kept bit-sliced: plane l holds bit l of the count of every place. A hypervector that comes waits until a
//! second one is there; a carry-save adder then adds both to plane 0 and its carries wait for plane 1, and so on: on average
//! one pass of five operations per 64 bits for each hypervector added, whatever the number (Harley and Seal's trees of
//! adders, in Warren, "Hacker's Delight", 2nd edition 2012, section 5-1).

use super::{Hypervector, check_bits, last_mask};
use crate::Error;
use serde::{Deserialize, Serialize};

/// The key of the hypervector that decides ties.
const TIE_BREAKER: u64 = 0x7469_6562_7265_616b;

/// Counts of the bits of hypervectors, from which [`Bundle::majority`] makes the one that is like all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    bits: usize,
    count: u64,
    planes: Vec<Plane>,
}

/// One bit of every count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Plane {
    sums: Vec<u64>,
    /// Counts that much, too, but is not added yet.
    waiting: Option<Vec<u64>>,
}

impl Bundle {
    /// A bundle of nothing.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] when there are too few bits or too many.
    pub fn new(bits: usize) -> Result<Self, Error> {
        check_bits(bits)?;
        Ok(Self::empty(bits))
    }

    pub(super) fn empty(bits: usize) -> Self {
        Self {
            bits,
            count: 0,
            planes: Vec::new(),
        }
    }

    /// How many were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a hypervector.
    ///
    /// # Errors
    /// [`Error::InvalidEmbedding`] when it has not as many bits.
    pub fn add(&mut self, vector: &Hypervector) -> Result<(), Error> {
        if vector.bits != self.bits {
            let what = "hypervectors of different lengths can't be combined";
            return Err(Error::InvalidEmbedding { what });
        }
        self.take_in(vector.words.clone(), &mut Vec::new());
        Ok(())
    }

    /// Adds the words of one of as many bits. What is no longer needed of the room for words goes to `spare`.
    pub(super) fn take_in(&mut self, words: Vec<u64>, spare: &mut Vec<Vec<u64>>) {
        self.count += 1;
        let mut carry = words;
        for plane in &mut self.planes {
            match plane.waiting.take() {
                None => {
                    plane.waiting = Some(carry);
                    return;
                }
                Some(waiting) => {
                    add_three(&mut plane.sums, &waiting, &mut carry);
                    spare.push(waiting);
                }
            }
        }
        self.planes.push(Plane {
            sums: vec![0; self.bits.div_ceil(64)],
            waiting: Some(carry),
        });
    }

    /// The hypervector with each bit as most have it; where as many have it as not, as a fixed one has it.
    pub fn majority(&self) -> Hypervector {
        let words = self.bits.div_ceil(64);
        // More than half: c ≥ ⌊n / 2⌋ + 1; as many as half: c = n / 2 for an even n.
        let half = self.count / 2;
        let (mut greater, mut equal) = (vec![0u64; words], vec![u64::MAX; words]);
        for (level, plane) in self.planes_without_waiting().iter().enumerate().rev() {
            let places = greater.iter_mut().zip(&mut equal).zip(plane);
            if half >> level & 1 == 0 {
                places.for_each(|((greater, equal), bit)| {
                    *greater |= *equal & bit;
                    *equal &= !bit;
                });
            } else {
                places.for_each(|((_, equal), bit)| *equal &= bit);
            }
        }
        if self.count.is_multiple_of(2) {
            let tie_breaker = Hypervector::drawn(TIE_BREAKER, self.bits);
            let places = greater.iter_mut().zip(equal).zip(tie_breaker.words);
            places.for_each(|((greater, equal), tie)| *greater |= equal & tie);
        }
        if let Some(last) = greater.last_mut() {
            *last &= last_mask(self.bits);
        }
        Hypervector {
            bits: self.bits,
            words: greater,
        }
    }

    /// The counts' bits, all added.
    fn planes_without_waiting(&self) -> Vec<Vec<u64>> {
        let mut planes: Vec<Vec<u64>> = self.planes.iter().map(|plane| plane.sums.clone()).collect();
        for (level, plane) in self.planes.iter().enumerate() {
            let mut carry = plane.waiting.clone().unwrap_or_default();
            for sums in planes.iter_mut().skip(level) {
                for (sum, carry) in sums.iter_mut().zip(&mut carry) {
                    (*sum, *carry) = (*sum ^ *carry, *sum & *carry);
                }
            }
            // What the uppermost plane can't hold makes another.
            if carry.iter().any(|word| *word != 0) {
                planes.push(carry);
            }
        }
        planes
    }
}

/// Adds `waiting` and `carry` to `sums`, bit by bit; `carry` becomes what counts twice.
fn add_three(sums: &mut [u64], waiting: &[u64], carry: &mut [u64]) {
    for ((sum, waiting), carry) in sums.iter_mut().zip(waiting).zip(carry) {
        let either = *sum ^ waiting;
        let both = *sum & waiting | either & *carry;
        *sum = either ^ *carry;
        *carry = both;
    }
}

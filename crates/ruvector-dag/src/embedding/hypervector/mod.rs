//! The shape of a plan, or of many, as a hypervector: thousands of bits, of which two at random agree in half.
//!
//! - Bind: exclusive or; undone by itself, unlike both. Permute: rotation; unlike what it was. Bundle: the majority of each
//!   bit; like all that is in it. Source: Kanerva, "Hyperdimensional Computing", 2009.
//! - Similarity: `1 − 2 h / bits` for h differing bits: 1 for equal ones, 0 ± 1/√bits for unrelated ones.
//! - Complexity: O(bits / 64) each; bundling by carry-save adders over 64 bits at a time.
//!
//! Job: tell at a glance whether two servers or two moments have the same plan shapes ([`PlanShapes`]). Statements are not
//! brought together by shape before they are clustered: of 1,000 synthetic plans of 40 and of 200 templates 572 and 735
//! were left, encoding and comparing took as long as k-means saved (57 to 70 ms with, 56 to 75 without), and the inertia
//! rose by 22 to 23 %, since plans of one shape differ in their rows.

mod bundle;
mod encoding;
mod shapes;

pub use bundle::Bundle;
pub use encoding::Detail;
pub use shapes::{PlanShapes, Sketch};

use crate::Error;
use crate::cardinality::mix;
use serde::{Deserialize, Serialize};

/// The bits of a hypervector unless told otherwise.
pub const DEFAULT_BITS: usize = 10_000;
/// The fewest bits: below, unrelated ones look alike by chance.
pub const MIN_BITS: usize = 1_024;
/// The most bits.
pub const MAX_BITS: usize = 65_536;

/// So many bits. Unused bits of the last word are 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Hypervector {
    bits: usize,
    words: Vec<u64>,
}

/// As it is read, not yet checked.
#[derive(Deserialize)]
struct Stored {
    bits: usize,
    words: Vec<u64>,
}

impl TryFrom<Stored> for Hypervector {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let Stored { bits, words } = stored;
        check_bits(bits)?;
        let unused = words.last().is_some_and(|last| last & !last_mask(bits) != 0);
        if words.len() != bits.div_ceil(64) || unused {
            let what = "a hypervector needs as many bits as it says";
            return Err(Error::InvalidEmbedding { what });
        }
        Ok(Self { bits, words })
    }
}

/// # Errors
/// [`Error::InvalidSetting`] when there are fewer than [`MIN_BITS`] or more than [`MAX_BITS`].
fn check_bits(bits: usize) -> Result<(), Error> {
    if (MIN_BITS..=MAX_BITS).contains(&bits) {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        name: "hypervector bits",
        given: bits as f64,
    })
}

/// The used bits of the last word.
fn last_mask(bits: usize) -> u64 {
    match bits % 64 {
        0 => u64::MAX,
        used => (1 << used) - 1,
    }
}

impl Hypervector {
    /// The random hypervector that belongs to a key.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] when there are fewer than [`MIN_BITS`] or more than [`MAX_BITS`].
    pub fn of_key(key: u64, bits: usize) -> Result<Self, Error> {
        check_bits(bits)?;
        Ok(Self::drawn(key, bits))
    }

    fn drawn(key: u64, bits: usize) -> Self {
        let mut words = Vec::new();
        draw_into(key, bits, &mut words);
        Self { bits, words }
    }

    /// How many bits there are.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// The bits, 64 to a word, the lowest first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Both bound together: binding with one of them again gives the other.
    ///
    /// # Errors
    /// [`Error::InvalidEmbedding`] when there are not as many bits in both.
    pub fn bind(&self, other: &Self) -> Result<Self, Error> {
        self.check_like(other)?;
        let mut bound = self.clone();
        bind(&mut bound.words, other);
        Ok(bound)
    }

    /// The bits moved up by `count` places, the uppermost to the bottom. Undone by the rest of a full turn.
    #[must_use]
    pub fn permute(&self, count: usize) -> Self {
        let mut words = Vec::new();
        self.permute_into(count, &mut words);
        Self {
            bits: self.bits,
            words,
        }
    }

    /// The words of the rotated one in the place of those that are there.
    fn permute_into(&self, count: usize, words: &mut Vec<u64>) {
        let count = count % self.bits;
        words.clear();
        words.resize(self.words.len(), 0);
        move_up(&self.words, count, words);
        if count > 0 {
            move_down(&self.words, self.bits - count, words);
        }
        if let Some(last) = words.last_mut() {
            *last &= last_mask(self.bits);
        }
    }

    /// In [-1, 1]: 1 for equal ones, about 0 for unrelated ones.
    ///
    /// # Errors
    /// [`Error::InvalidEmbedding`] when there are not as many bits in both.
    pub fn similarity(&self, other: &Self) -> Result<f64, Error> {
        self.check_like(other)?;
        Ok(self.likeness(other))
    }

    /// To one of as many bits.
    fn likeness(&self, other: &Self) -> f64 {
        1.0 - 2.0 * simd::hamming(&self.words, &other.words) as f64 / self.bits as f64
    }

    fn check_like(&self, other: &Self) -> Result<(), Error> {
        if self.bits == other.bits {
            return Ok(());
        }
        let what = "hypervectors of different lengths can't be combined";
        Err(Error::InvalidEmbedding { what })
    }
}

/// SplitMix64 from the key on, in the place of the words that are there. Stored hypervectors are compared with new ones:
/// this never changes.
fn draw_into(key: u64, bits: usize, words: &mut Vec<u64>) {
    let start = mix(key, 0x6879_7065_7276_6563);
    let word = |at: u64| mix(start.wrapping_add(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(at)), 0);
    words.clear();
    words.extend((0..bits.div_ceil(64) as u64).map(word));
    if let Some(last) = words.last_mut() {
        *last &= last_mask(bits);
    }
}

/// Binds words with a hypervector of as many.
fn bind(words: &mut [u64], other: &Hypervector) {
    for (word, other) in words.iter_mut().zip(&other.words) {
        *word ^= other;
    }
}

/// Sets the bits of `from` in `to`, `count` places up; what is moved over the end is lost.
fn move_up(from: &[u64], count: usize, to: &mut [u64]) {
    let (words, bits) = (count / 64, count % 64);
    let Some(to) = to.get_mut(words..) else { return };
    if bits == 0 {
        to.iter_mut().zip(from).for_each(|(to, from)| *to |= from);
        return;
    }
    let mut carry = 0;
    for (to, from) in to.iter_mut().zip(from) {
        *to |= from << bits | carry;
        carry = from >> (64 - bits);
    }
}

/// Sets the bits of `from` in `to`, `count` places down; what is moved below 0 is lost.
fn move_down(from: &[u64], count: usize, to: &mut [u64]) {
    let (words, bits) = (count / 64, count % 64);
    let Some(from) = from.get(words..) else { return };
    let above = from.iter().skip(1).copied().chain([0]);
    for (to, (from, above)) in to.iter_mut().zip(from.iter().zip(above)) {
        *to |= if bits == 0 {
            *from
        } else {
            from >> bits | above << (64 - bits)
        };
    }
}

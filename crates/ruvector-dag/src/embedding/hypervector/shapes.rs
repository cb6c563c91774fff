//! Sets of plan shapes as two hypervectors.
//!
//! Two sketches are kept of a set. *Likeness* is the bundle of the plans' hypervectors: it falls gently as plans change.
//! *Identity* is the bundle of unrelated hypervectors, one drawn for each different shape: the signs of two sums of n and m
//! of them, s in common, agree as those of normal variables with correlation ρ = s / √(n m), so that the similarity is
//! `(2 / π) asin ρ` (Sheppard 1899) and the overlap can be read off it: `ρ = sin(π / 2 · similarity)`. With 10,000 bits
//! it is off by about 0.016 (one standard deviation), and a member stands out of sets of up to some hundreds.

use super::bundle::Bundle;
use super::{Detail, Hypervector, check_bits};
use crate::cardinality::hash_words;
use crate::{Error, QueryDag};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The plan shapes of a server, or of a time; each counts once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanShapes {
    bits: usize,
    /// Hashes of the hypervectors that are in.
    known: BTreeSet<u64>,
    likeness: Bundle,
    identity: Bundle,
}

impl PlanShapes {
    /// No shapes yet.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] when there are too few bits or too many.
    pub fn new(bits: usize) -> Result<Self, Error> {
        check_bits(bits)?;
        Ok(Self {
            bits,
            known: BTreeSet::new(),
            likeness: Bundle::empty(bits),
            identity: Bundle::empty(bits),
        })
    }

    /// Takes in a plan's shape; `false` when it is there.
    pub fn insert(&mut self, dag: &QueryDag) -> bool {
        // Only wrong numbers of bits are errors, and these were checked.
        Hypervector::of_plan(dag, self.bits, Detail::Shape).is_ok_and(|shape| self.take_in(shape))
    }

    /// Takes in a shape that is encoded; `Ok(false)` when it is there.
    ///
    /// # Errors
    /// [`Error::InvalidEmbedding`] when it has not as many bits.
    pub fn insert_encoded(&mut self, shape: &Hypervector) -> Result<bool, Error> {
        self.check(shape)?;
        Ok(self.take_in(shape.clone()))
    }

    fn take_in(&mut self, shape: Hypervector) -> bool {
        let key = key_of(&shape);
        let is_new = self.known.insert(key);
        if is_new {
            let own = Hypervector::drawn(key, self.bits);
            self.identity.take_in(own.words, &mut Vec::new());
            self.likeness.take_in(shape.words, &mut Vec::new());
        }
        is_new
    }

    /// How many different shapes there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What is sent to compare: 2 × bits / 8 bytes, whatever the number of shapes.
    pub fn sketch(&self) -> Sketch {
        Sketch {
            shapes: self.known.len() as u64,
            likeness: self.likeness.majority(),
            identity: self.identity.majority(),
        }
    }

    fn check(&self, shape: &Hypervector) -> Result<(), Error> {
        if shape.bits() == self.bits {
            return Ok(());
        }
        let what = "hypervectors of different lengths can't be combined";
        Err(Error::InvalidEmbedding { what })
    }
}

/// A set of plan shapes at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sketch {
    /// How many shapes there are.
    pub shapes: u64,
    likeness: Hypervector,
    identity: Hypervector,
}

/// What the bytes of a sketch begin with, and their version.
const MAGIC: [u8; 5] = *b"RVPS\x01";

impl Sketch {
    /// The sketch as bytes, to keep and to send.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it is without a binary form.
        let body = postcard::to_allocvec(self).unwrap_or_default();
        [MAGIC.as_slice(), &body].concat()
    }

    /// A sketch that came as bytes.
    ///
    /// # Errors
    /// [`Error::InvalidEmbedding`] for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let what = "the bytes are no sketch of plan shapes";
        let body = bytes
            .strip_prefix(&MAGIC)
            .ok_or(Error::InvalidEmbedding { what })?;
        match postcard::take_from_bytes::<Self>(body) {
            Ok((sketch, [])) if sketch.likeness.bits() == sketch.identity.bits() => Ok(sketch),
            _ => Err(Error::InvalidEmbedding { what }),
        }
    }

    /// How alike the plans of two sets are as a whole, in [-1, 1]; plans of any two sets share operators, so that it is
    /// rarely below some tenths.
    ///
    /// # Errors
    /// [`Error::InvalidEmbedding`] when there are not as many bits in both.
    pub fn similarity(&self, other: &Self) -> Result<f64, Error> {
        self.likeness.similarity(&other.likeness)
    }

    /// The estimated share of shapes that two sets have in common, in [0, 1]: s / √(n m) for s common ones of n and m.
    ///
    /// # Errors
    /// [`Error::InvalidEmbedding`] when there are not as many bits in both.
    pub fn overlap(&self, other: &Self) -> Result<f64, Error> {
        let similarity = self.identity.similarity(&other.identity)?;
        Ok((std::f64::consts::FRAC_PI_2 * similarity).sin().clamp(0.0, 1.0))
    }

    /// Whether a shape is likely in the set: its own hypervector is in the identity's by half of what a member's is,
    /// √(2 / (π n)), or more.
    ///
    /// # Errors
    /// [`Error::InvalidEmbedding`] when it has not as many bits.
    pub fn recognises(&self, shape: &Hypervector) -> Result<bool, Error> {
        let own = Hypervector::drawn(key_of(shape), shape.bits());
        let expected = (2.0 / (std::f64::consts::PI * self.shapes.max(1) as f64)).sqrt();
        Ok(self.shapes > 0 && self.identity.similarity(&own)? >= expected / 2.0)
    }
}

fn key_of(shape: &Hypervector) -> u64 {
    hash_words(shape.words().iter().copied())
}

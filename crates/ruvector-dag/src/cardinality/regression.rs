//! Bayesian linear regression over parts that are discovered on the way.
//!
//! Weights start as independent standard normal numbers. An observation `y` with features `x` and noise `σ²` updates
//! mean and covariance exactly (recursive least squares; Bishop 2006, section 3.3), so that the order of observations
//! does not matter and learning one at a time is learning all at once:
//!
//! ```text
//!   s = xᵀPx + σ²     w ← w + Px (y − xᵀw) / s     P ← P − (Px)(Px)ᵀ / s
//! ```
//!
//! Parts get slots as they occur. When all are taken the one that was not seen for longest is marginalized out, which
//! for a normal distribution means to drop its row and column.

use super::template::Feature;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The most parts a regression may have room for.
pub const MAX_CAPACITY: usize = 1024;

/// Feature ids are hashes already.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

/// A map from hashes.
pub(super) type ById<V> = HashMap<u64, V, BuildHasherDefault<Identity>>;

/// Bytes that such a map takes which has room for so many: a byte more for each, and an eighth of the places stays empty.
pub(super) fn map_bytes<V>(capacity: usize) -> usize {
    capacity * 8 / 7 * (size_of::<(u64, V)>() + 1)
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Slot {
    id: u64,
    used: u64,
    /// Tells a part from the one that had the slot before.
    generation: u32,
}

/// A feature at its place, found again without a lookup as long as the part keeps its slot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Placed {
    slot: u16,
    generation: u32,
    value: f32,
}

/// What is expected of a sum of weighted features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    /// Its mean.
    pub mean: f64,
    /// Its variance, without the noise of an observation.
    pub variance: f64,
    /// Its variance before anything was learned.
    pub prior_variance: f64,
}

/// Weights of at most `capacity` parts, with their covariance.
///
/// Memory: 4 · capacity² bytes (1 MB at 512).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct FeatureRegression {
    capacity: usize,
    slots: Vec<Slot>,
    weights: Vec<f64>,
    /// The lower triangle, row by row.
    covariance: Vec<f64>,
    places: ById<u16>,
    clock: u64,
}

impl FeatureRegression {
    /// A regression that knows nothing, with room for `capacity` parts (at most [`MAX_CAPACITY`]).
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.min(MAX_CAPACITY);
        Self {
            capacity,
            slots: Vec::new(),
            weights: Vec::new(),
            covariance: Vec::new(),
            places: ById::default(),
            clock: 0,
        }
    }

    /// The number of parts known.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes on the heap.
    pub(super) fn memory_bytes(&self) -> usize {
        (self.weights.capacity() + self.covariance.capacity()) * size_of::<f64>()
            + self.slots.capacity() * size_of::<Slot>()
            + map_bytes::<u16>(self.places.capacity())
    }

    /// Whether no part is known.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What is believed of the sum of these features; unknown parts have mean 0 and their prior variance.
    ///
    /// Complexity: O(features²).
    pub fn predict(&self, features: &[Feature]) -> Belief {
        let mut belief = Belief {
            mean: 0.0,
            variance: 0.0,
            prior_variance: 0.0,
        };
        let mut known: Vec<(usize, f64)> = Vec::with_capacity(features.len());
        for feature in features {
            let prior = feature.value * feature.value;
            belief.prior_variance += prior;
            match self.places.get(&feature.id) {
                Some(&slot) => known.push((usize::from(slot), feature.value)),
                None => belief.variance += prior,
            }
        }
        known.sort_unstable_by_key(|(slot, _)| *slot);
        let mut sum = 0.0;
        for (at, &(slot, value)) in known.iter().enumerate() {
            belief.mean += value * self.weights.get(slot).copied().unwrap_or(0.0);
            let row = self.row(slot);
            let entry = |other: usize| row.get(other).copied().unwrap_or(0.0);
            let before = known.iter().take(at);
            let cross: f64 = before.map(|&(other, factor)| entry(other) * factor).sum();
            sum += value * (2.0 * cross + value * entry(slot));
        }
        belief.variance += sum.max(0.0);
        belief
    }

    /// Learns that the sum of these features was `observed`, give or take noise of this variance (> 0).
    ///
    /// Complexity: O(capacity · (features + parts known)); of a part that has to make room O(capacity) more.
    pub fn learn(&mut self, features: &[Feature], observed: f64, noise: f64) {
        if !observed.is_finite() || noise <= 0.0 || self.capacity == 0 {
            return;
        }
        self.clock += 1;
        let mut placed: Vec<(usize, f64)> = Vec::with_capacity(features.len());
        let mut unplaced = 0.0;
        for feature in features {
            match self.place(feature.id) {
                Some(slot) => placed.push((slot, feature.value)),
                None => unplaced += feature.value * feature.value,
            }
        }
        let gain = self.times(&mut placed);
        let at = |numbers: &[f64], slot: usize| numbers.get(slot).copied().unwrap_or(0.0);
        let mean: f64 = placed
            .iter()
            .map(|&(slot, value)| value * at(&self.weights, slot))
            .sum();
        let variance: f64 = placed.iter().map(|&(slot, value)| value * at(&gain, slot)).sum();
        let total = variance.max(0.0) + unplaced + noise;
        let step = (observed - mean) / total;
        self.weights
            .iter_mut()
            .zip(&gain)
            .for_each(|(weight, gain)| *weight += gain * step);
        for (row, &factor) in gain.iter().enumerate().filter(|(_, factor)| **factor != 0.0) {
            let factor = factor / total;
            self.row_mut(row)
                .iter_mut()
                .zip(&gain)
                .for_each(|(entry, gain)| *entry -= factor * gain);
        }
    }

    /// The covariance times sparse features, which come out ascending.
    fn times(&self, features: &mut [(usize, f64)]) -> Vec<f64> {
        features.sort_unstable_by_key(|(slot, _)| *slot);
        let mut product = vec![0.0; self.slots.len()];
        for &(slot, value) in features.iter() {
            // Left of the diagonal in the feature's row, below it in its column.
            let pairs = product.iter_mut().zip(self.row(slot));
            pairs.for_each(|(sum, entry)| *sum += entry * value);
        }
        for (below, sum) in product.iter_mut().enumerate() {
            let row = self.row(below);
            let before = features.iter().take_while(|(slot, _)| *slot < below);
            *sum += before
                .map(|&(slot, value)| row.get(slot).copied().unwrap_or(0.0) * value)
                .sum::<f64>();
        }
        product
    }

    /// The features at their places; parts without one are left out.
    pub(super) fn placed(&self, features: &[Feature]) -> Box<[Placed]> {
        let places = features.iter().filter_map(|feature| {
            let slot = *self.places.get(&feature.id)?;
            let generation = self.slots.get(usize::from(slot))?.generation;
            Some(Placed {
                slot,
                generation,
                value: feature.value as f32,
            })
        });
        places.collect()
    }

    /// The mean of features placed earlier; parts that lost their slot count nothing.
    pub(super) fn mean_of(&self, placed: &[Placed]) -> f64 {
        let shares = placed.iter().filter_map(|feature| {
            let slot = usize::from(feature.slot);
            let is_same = self.slots.get(slot)?.generation == feature.generation;
            is_same.then_some(f64::from(feature.value) * self.weights.get(slot)?)
        });
        shares.sum()
    }

    /// The same of the `count` parts used last: the others are marginalized out.
    pub(super) fn of_latest(&self, count: usize) -> Self {
        let mut latest: Vec<usize> = (0..self.slots.len()).collect();
        latest.sort_by_key(|&slot| std::cmp::Reverse(self.slots.get(slot).map(|held| held.used)));
        latest.truncate(count);
        latest.sort_unstable();
        let held = latest.iter().filter_map(|&slot| self.slots.get(slot));
        let slots: Vec<Slot> = held.copied().collect();
        let places = slots.iter().zip(0..).map(|(held, place)| (held.id, place));
        // Ascending, so that what is left of the diagonal stays there.
        let covariance = latest.iter().flat_map(|&slot| {
            let before = latest.iter().take_while(move |other| **other <= slot);
            before.map(move |&other| self.row(slot).get(other).copied().unwrap_or(0.0))
        });
        Self {
            covariance: covariance.collect(),
            weights: latest
                .iter()
                .filter_map(|&slot| self.weights.get(slot).copied())
                .collect(),
            places: places.collect(),
            slots,
            ..*self
        }
    }

    fn row(&self, slot: usize) -> &[f64] {
        let start = triangle(slot);
        self.covariance.get(start..start + slot + 1).unwrap_or(&[])
    }

    fn row_mut(&mut self, slot: usize) -> &mut [f64] {
        let start = triangle(slot);
        self.covariance
            .get_mut(start..start + slot + 1)
            .unwrap_or(&mut [])
    }

    /// The slot of a part, which is now the one used last.
    fn place(&mut self, id: u64) -> Option<usize> {
        let clock = self.clock;
        if let Some(&slot) = self.places.get(&id) {
            let slot = usize::from(slot);
            self.slots.get_mut(slot)?.used = clock;
            return Some(slot);
        }
        let (slot, generation) = if self.slots.len() < self.capacity {
            self.covariance.resize(triangle(self.slots.len() + 1), 0.0);
            self.weights.push(0.0);
            (self.slots.len(), 0)
        } else {
            // Not one of this observation's own.
            let oldest = self.slots.iter().enumerate().min_by_key(|(_, slot)| slot.used)?;
            if oldest.1.used == clock {
                return None;
            }
            self.places.remove(&oldest.1.id);
            (oldest.0, oldest.1.generation.wrapping_add(1))
        };
        self.forget(slot);
        let new = Slot {
            id,
            used: clock,
            generation,
        };
        match self.slots.get_mut(slot) {
            Some(old) => *old = new,
            None => self.slots.push(new),
        }
        self.places.insert(id, u16::try_from(slot).ok()?);
        Some(slot)
    }

    /// Makes a slot's weight a standard normal number that depends on nothing.
    fn forget(&mut self, slot: usize) {
        if let Some(weight) = self.weights.get_mut(slot) {
            *weight = 0.0;
        }
        self.row_mut(slot).fill(0.0);
        for row in slot..=self.slots.len() {
            if let Some(entry) = self.row_mut(row).get_mut(slot) {
                *entry = f64::from(u8::from(row == slot));
            }
        }
    }
}

/// Entries of the first `rows` rows of a lower triangle.
fn triangle(rows: usize) -> usize {
    rows * (rows + 1) / 2
}

/// How a regression is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    capacity: usize,
    clock: u64,
    slots: Vec<Slot>,
    weights: Vec<f64>,
    covariance: Vec<f64>,
}

impl From<FeatureRegression> for Stored {
    fn from(regression: FeatureRegression) -> Self {
        Self {
            capacity: regression.capacity,
            clock: regression.clock,
            slots: regression.slots,
            weights: regression.weights,
            covariance: regression.covariance,
        }
    }
}

impl TryFrom<Stored> for FeatureRegression {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let count = stored.slots.len();
        if stored.capacity > MAX_CAPACITY || count > stored.capacity {
            return Err("more parts than a regression has room for");
        }
        if stored.weights.len() != count || stored.covariance.len() != triangle(count) {
            return Err("weights and covariance don't fit the parts");
        }
        // Variances only shrink from 1; a hair more is rounding.
        let is_sound = |number: &f64| number.abs() <= 1.0 + 1e-6;
        if !stored.covariance.iter().all(is_sound) || !stored.weights.iter().all(|weight| weight.is_finite())
        {
            return Err("a weight or covariance out of bounds");
        }
        let mut regression = Self::new(stored.capacity);
        for (slot, held) in stored.slots.iter().enumerate() {
            let slot = u16::try_from(slot).map_err(|_| "too many parts")?;
            if regression.places.insert(held.id, slot).is_some() {
                return Err("a part has two slots");
            }
        }
        regression.slots = stored.slots;
        regression.covariance = stored.covariance;
        // It grew while it was read, and grows no more in a session.
        regression.covariance.shrink_to_fit();
        regression.weights = stored.weights;
        regression.clock = stored.clock;
        Ok(regression)
    }
}

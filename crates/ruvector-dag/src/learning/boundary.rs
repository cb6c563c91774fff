//! Where one task ends and the next begins: a change in the distribution of the gradients.
//!
//! Two numbers of each gradient are watched: how long it is (its logarithm), and where it points, as the cosine of |g|
//! and the root of the mean of (g/|g|)² so far: how much it changes what gradients used to change. For both a running
//! mean and variance (exponentially weighted: Welford, 1962; Finch, "Incremental calculation of weighted mean and
//! variance", 2009) say what is usual. A boundary is where the mean of the latest gradients leaves the usual by more
//! than so many of its standard deviations: to longer gradients, or away from the usual ones. Gradients that get shorter
//! are what learning does, and no boundary.

use serde::{Deserialize, Serialize};

/// Sums side by side.
const LANES: usize = 16;
/// Weight of the past in what is usual: the latest 200 gradients or so.
const USUAL_DECAY: f64 = 0.99;
/// Weight of the past in what is latest: ten gradients or so.
const LATEST_DECAY: f64 = 0.8;
/// Gradients before anything is usual.
const WARM_UP: u32 = 50;
/// Standard deviations beyond which a number counts as an outlier, cut to this: one alone is no boundary.
const OUTLIER: f64 = 3.0;
/// Standard deviations are at least this, so that rounding is no surprise.
const SMALLEST_DEVIATION: f64 = 1e-3;

/// A number whose distribution is watched.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Watched {
    mean: f64,
    variance: f64,
    latest: f64,
}

impl Watched {
    /// Takes the next number and returns the z-score of the latest ones.
    fn observe(&mut self, number: f64, count: u32) -> f64 {
        if count == 0 {
            self.mean = number;
            self.latest = number;
        }
        let deviation = self.variance.sqrt().max(SMALLEST_DEVIATION);
        let number = if count < WARM_UP {
            number
        } else {
            number.clamp(self.mean - OUTLIER * deviation, self.mean + OUTLIER * deviation)
        };
        self.latest += (1.0 - LATEST_DECAY) * (number - self.latest);
        // The standard deviation of a mean with exponential weights.
        let spread = ((1.0 - LATEST_DECAY) / (1.0 + LATEST_DECAY)).sqrt();
        let z = (self.latest - self.mean) / (deviation * spread);
        // At first a plain mean, so that the first numbers don't count for long.
        let rate = (1.0 - USUAL_DECAY).max(1.0 / f64::from(count + 1));
        let difference = number - self.mean;
        self.mean += rate * difference;
        self.variance = (1.0 - rate) * (self.variance + rate * difference * difference);
        z
    }
}

/// The detector.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Boundary {
    length: Watched,
    alignment: Watched,
    count: u32,
    /// Where gradients usually point: the running mean of the squares of their directions.
    profile: Vec<f32>,
}

impl Boundary {
    /// Whether a stored one can be gone on with.
    pub(super) fn is_sound(&self) -> bool {
        let watched = [self.length, self.alignment];
        let numbers = watched
            .iter()
            .flat_map(|watched| [watched.mean, watched.variance, watched.latest]);
        let shares = self
            .profile
            .iter()
            .all(|share| *share >= 0.0 && share.is_finite());
        shares && numbers.into_iter().all(f64::is_finite)
    }

    /// Takes a finite gradient; whether the latest ones are others than the usual ones by `threshold` standard
    /// deviations. Then everything begins anew.
    pub(super) fn observe(&mut self, gradient: &[f32], threshold: f64) -> bool {
        let norm = simd::dot(gradient, gradient).sqrt();
        if norm == 0.0 {
            return false;
        }
        self.profile.resize(gradient.len(), 0.0);
        let longer = self.length.observe(f64::from(norm).ln(), self.count);
        let alignment = f64::from(self.align(gradient, 1.0 / norm));
        let elsewhere = -self.alignment.observe(alignment, self.count);
        self.count = self.count.saturating_add(1);
        let is_boundary = self.count > WARM_UP && longer.max(elsewhere) > threshold;
        if is_boundary {
            *self = Self::default();
        }
        is_boundary
    }

    /// The cosine of the gradient, scaled to unit norm and without signs, and the root of the profile, which then takes
    /// the gradient. Several sums side by side, so that the processor's vectors are used.
    fn align(&mut self, gradient: &[f32], scale: f32) -> f32 {
        let rate = (1.0 - USUAL_DECAY) as f32;
        let (mut products, mut squares) = ([0.0f32; LANES], [0.0f32; LANES]);
        for (profile, gradient) in self.profile.chunks_mut(LANES).zip(gradient.chunks(LANES)) {
            let sums = products.iter_mut().zip(&mut squares);
            for ((profile, gradient), (product, square)) in profile.iter_mut().zip(gradient).zip(sums) {
                let direction = (gradient * scale).abs();
                *product += direction * profile.sqrt();
                *square += *profile;
                *profile += rate * (direction * direction - *profile);
            }
        }
        let squares: f32 = squares.iter().sum();
        let cosine = products.iter().sum::<f32>() / squares.sqrt();
        if squares > 0.0 { cosine } else { 1.0 }
    }
}

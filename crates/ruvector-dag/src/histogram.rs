//! Durations in buckets of equal ratio, after HdrHistogram: whatever their size, a quantile is at most 4.5 % off, and a
//! histogram always takes the same room.
//!
//! Bucket 0 holds what is shorter than [`LEAST_NS`]; from there on eight buckets double the duration, up to four and a
//! half hours, and the last bucket also holds what is longer.

/// Buckets of a histogram.
pub const BUCKETS: usize = 288;
/// Durations below this many nanoseconds are not told apart.
pub const LEAST_NS: f64 = 256.0;
const PER_DOUBLING: f64 = 8.0;

/// The bucket of a duration in nanoseconds.
#[must_use]
pub fn bucket_of(nanoseconds: u64) -> usize {
    let doublings = (nanoseconds.max(1) as f64 / LEAST_NS).log2();
    let bucket = (doublings * PER_DOUBLING).floor() + 1.0;
    (bucket.max(0.0) as usize).min(BUCKETS - 1)
}

/// The geometric middle of a bucket in nanoseconds; of the first one its upper end.
#[must_use]
pub fn middle_ns(bucket: usize) -> f64 {
    let steps = if bucket == 0 { 0.0 } else { bucket as f64 - 0.5 };
    LEAST_NS * (steps / PER_DOUBLING).exp2()
}

/// Counts per bucket, and the exact sum and maximum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    /// The longest duration in nanoseconds.
    pub max_ns: u64,
    /// All durations in nanoseconds, at most [`u64::MAX`].
    pub sum_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            max_ns: 0,
            sum_ns: 0,
        }
    }
}

impl Histogram {
    /// Adds one duration in nanoseconds.
    pub fn record(&mut self, nanoseconds: u64) {
        self.add(bucket_of(nanoseconds), 1);
        self.max_ns = self.max_ns.max(nanoseconds);
        self.sum_ns = self.sum_ns.saturating_add(nanoseconds);
    }

    /// Adds so many durations to a bucket; one that there is not is left out.
    pub fn add(&mut self, bucket: usize, count: u64) {
        if let Some(known) = self.counts.get_mut(bucket) {
            *known = known.saturating_add(count);
        }
    }

    /// Durations in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts
            .iter()
            .fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// The buckets that hold something, with their counts.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u64)> {
        let all = self.counts.iter().copied().enumerate();
        all.filter(|&(_, count)| count > 0)
    }

    /// The duration in nanoseconds that a share `q` of all does not exceed; `None` of nothing.
    #[must_use]
    pub fn quantile_ns(&self, q: f64) -> Option<f64> {
        let rank = (q.clamp(0.0, 1.0) * self.count() as f64).ceil().max(1.0);
        let mut seen = 0.0;
        for (bucket, count) in self.buckets() {
            seen += count as f64;
            if seen >= rank {
                let is_last = bucket == BUCKETS - 1;
                let most = self.max_ns as f64;
                return Some(if is_last {
                    most
                } else {
                    middle_ns(bucket).min(most)
                });
            }
        }
        None
    }
}

//! What was measured of one plan shape of one statement class.

use super::evidence::Decision;

/// Latest latencies kept per plan shape.
pub const SAMPLES: usize = 8;
/// Runs in a row outside of [`USUAL`] after which a plan's latency has changed for good.
pub(super) const SHIFTED_RUNS: u32 = 2;
/// The usual range of a latency, as multiples of the typical one.
const USUAL: std::ops::Range<f64> = 0.5..1.5;
/// Milliseconds by which a latency must differ to be unusual.
const UNUSUAL_MS: f64 = 10.0;
/// Runs of a plan before a change of its latency can be noticed.
const SETTLED_RUNS: u32 = 2;

/// Latencies of one plan shape.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct PlanEvidence {
    /// Fingerprint of the plan's shape; 0 marks a free slot.
    pub shape: u64,
    /// What this shape was first planned with; stock when stock PostgreSQL gives it, too.
    pub decision: Decision,
    /// Executions that ran to their end.
    pub runs: u32,
    /// Executions that were cancelled before their end.
    pub cut_off_runs: u32,
    /// The longest time after which an execution was cancelled, in milliseconds: a lower bound of the latency.
    pub lower_bound_ms: f32,
    /// PostgreSQL's total cost of the plan when it was first seen.
    pub total_cost: f32,
    /// Calls of the class when it ran last.
    pub seen_at: u32,
    /// Runs in a row whose latency was unusual.
    unusual_runs: u32,
    /// 1 when the data changed since it ran last: its next execution is the first that counts.
    outdated: u32,
    samples_ms: [f32; SAMPLES],
}

impl PlanEvidence {
    /// Evidence of a plan that did not run yet.
    pub fn new(shape: u64, decision: Decision, total_cost: f64) -> Self {
        Self {
            shape,
            decision,
            total_cost: total_cost as f32,
            ..Self::default()
        }
    }

    /// The same evidence with these latest samples, as many as are kept; for evidence that was stored.
    pub fn with_samples_ms(mut self, samples_ms: &[f32]) -> Self {
        self.samples_ms = [0.0; SAMPLES];
        self.samples_ms
            .iter_mut()
            .zip(samples_ms)
            .for_each(|(kept, &sample)| *kept = sample);
        self
    }

    /// Adds the latency of a completed execution, in milliseconds. True when the latency changed for good: what was
    /// measured before is forgotten.
    pub fn record(&mut self, latency_ms: f64) -> bool {
        if self.is_outdated() {
            self.begin_anew(latency_ms);
            return false;
        }
        let is_unusual = self.runs >= SETTLED_RUNS && self.is_unusual(latency_ms);
        self.unusual_runs = if is_unusual { self.unusual_runs + 1 } else { 0 };
        let has_shifted = self.unusual_runs >= SHIFTED_RUNS;
        if has_shifted {
            self.forget_latencies();
        }
        self.add(latency_ms);
        has_shifted
    }

    /// Whether a latency is unusually long for this plan.
    pub(super) fn is_slower(&self, latency_ms: f64) -> bool {
        self.is_unusual(latency_ms) && self.typical_ms().is_some_and(|typical| latency_ms > typical)
    }

    /// Forgets what was measured before the latest execution, which took this long.
    pub(super) fn begin_anew(&mut self, latency_ms: f64) {
        self.forget_latencies();
        self.add(latency_ms);
    }

    fn add(&mut self, latency_ms: f64) {
        self.samples_ms[self.runs as usize % SAMPLES] = latency_ms as f32;
        self.runs = self.runs.saturating_add(1);
    }

    fn is_unusual(&self, latency_ms: f64) -> bool {
        let typical_ms = self.typical_ms().filter(|_| !self.is_outdated());
        typical_ms.is_some_and(|typical| {
            !USUAL.contains(&(latency_ms / typical)) && (latency_ms - typical).abs() > UNUSUAL_MS
        })
    }

    /// Nothing is known of its latency any more.
    pub(super) fn forget_latencies(&mut self) {
        self.runs = 0;
        self.cut_off_runs = 0;
        self.lower_bound_ms = 0.0;
        self.unusual_runs = 0;
        self.outdated = 0;
    }

    /// The data changed: what was measured counts until it runs again.
    pub(super) fn outdate(&mut self) {
        self.outdated = 1;
    }

    /// What was measured before the data changed still counts.
    pub(super) fn keep(&mut self) {
        self.outdated = 0;
    }

    /// Whether the data changed since it ran last.
    pub(super) fn is_outdated(&self) -> bool {
        self.outdated != 0
    }

    /// Adds an execution that was cancelled after `elapsed_ms`.
    pub fn record_cut_off(&mut self, elapsed_ms: f64) {
        if self.is_outdated() {
            self.forget_latencies();
        }
        self.cut_off_runs = self.cut_off_runs.saturating_add(1);
        self.lower_bound_ms = self.lower_bound_ms.max(elapsed_ms as f32);
    }

    /// The latest samples, oldest first is not guaranteed.
    pub fn samples_ms(&self) -> &[f32] {
        &self.samples_ms[..(self.runs as usize).min(SAMPLES)]
    }

    /// The lower quartile of the latest samples in milliseconds, `None` before the first completed run; the smallest of up
    /// to four. What disturbs an execution, a cold cache or a busy machine, only ever makes it slower.
    pub fn typical_ms(&self) -> Option<f64> {
        let mut sorted = self.samples_ms;
        let count = self.samples_ms().len();
        let samples = &mut sorted[..count];
        samples.sort_by(f32::total_cmp);
        samples
            .get(count.saturating_sub(1) / 4)
            .map(|&sample| f64::from(sample))
    }

    pub(super) fn typical_or_max(&self) -> f64 {
        self.typical_ms().unwrap_or(f64::MAX)
    }

    /// What this plan is expected to take, in milliseconds: its typical latency, or, when it was only ever cut off, the
    /// time it was given, which it exceeds.
    pub fn expected_ms(&self) -> Option<f64> {
        self.outcome().map(|(Ok(ms) | Err(ms))| ms)
    }

    /// Its typical latency, or, as an error, the time that it exceeds when it was only ever cut off, both in milliseconds;
    /// `None` before it ran.
    pub fn outcome(&self) -> Option<Result<f64, f64>> {
        let bound = (self.cut_off_runs > 0).then(|| f64::from(self.lower_bound_ms));
        self.typical_ms().map(Ok).or(bound.map(Err))
    }
}

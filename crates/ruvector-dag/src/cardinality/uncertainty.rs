//! Intervals that hold as often as they say: split-conformal calibration (Papadopoulos et al. 2002, Lei et al. 2018) of
//! the regression's standard deviations, by what happened to earlier predictions.
//!
//! Before an execution is learned each of its counts is predicted; the score `|error| / standard deviation` is kept.
//! The interval is the prediction ± q standard deviations, `q` being the ⌈(n + 1) · coverage⌉-th smallest of `n` scores
//! of predictions of this kind: as many joins, as much of it known. Too few of a kind: those of as many joins; too few
//! of these: all.

use serde::{Deserialize, Serialize};

/// Classes by number of joins: none, one, two, more.
const DEPTHS: usize = 4;
/// What is known of a prediction at least, to be of the second and of the third class by that.
const LEAST_KNOWN: [f64; 2] = [0.85, 0.95];
/// Classes by how much is known.
const KNOWN: usize = LEAST_KNOWN.len() + 1;
/// Scores kept per kind.
const WINDOW: usize = 512;
/// Scores a kind needs to speak for itself.
const ENOUGH: usize = 40;
/// Standard deviations while nothing is known of any: 95 % of a normal distribution, rather too wide.
const DEFAULT_SCALE: f64 = 2.0;
/// A score that stands for everything worse, and for what is not a number.
const WORST_SCORE: f32 = 100.0;

/// The last scores of one kind.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Scores {
    window: Vec<f32>,
    next: usize,
    /// Since the last scales were made.
    is_changed: bool,
}

impl Scores {
    fn record(&mut self, score: f32) {
        match self.window.get_mut(self.next) {
            Some(oldest) => *oldest = score,
            None => self.window.push(score),
        }
        self.next = (self.next + 1) % WINDOW;
        self.is_changed = true;
    }
}

/// Scores of past predictions, by their kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    coverage: f64,
    kinds: Vec<Scores>,
    /// The scale of each kind, as its scores and those it falls back on are.
    scales: Vec<f64>,
}

impl Calibration {
    /// For intervals that are to hold this share of the counts, in (0, 1).
    pub fn new(coverage: f64) -> Self {
        Self {
            coverage: coverage.clamp(0.01, 0.99),
            kinds: vec![Scores::default(); DEPTHS * KNOWN],
            scales: vec![DEFAULT_SCALE; DEPTHS * KNOWN],
        }
    }

    /// Standard deviations on either side of a prediction over `joins` joins, of whose uncertainty the share `known` (in
    /// [0, 1]) is removed.
    pub fn scale(&self, joins: usize, known: f64) -> f64 {
        self.scales
            .get(kind(joins, known))
            .copied()
            .unwrap_or(DEFAULT_SCALE)
    }

    /// Keeps how many standard deviations a prediction was off, positive. [`Self::refresh`] makes it count.
    pub fn record(&mut self, joins: usize, known: f64, score: f64) {
        let score = if score.is_finite() {
            (score.abs() as f32).min(WORST_SCORE)
        } else {
            WORST_SCORE
        };
        if let Some(scores) = self.kinds.get_mut(kind(joins, known)) {
            scores.record(score);
        }
    }

    /// Makes new scales from the scores.
    ///
    /// Complexity: O(scores of the kinds that changed); while some kinds have few, of all.
    pub fn refresh(&mut self) {
        let is_short = |scores: &Scores| scores.window.len() < ENOUGH;
        let is_depth_short =
            |depth: &[Scores]| depth.iter().map(|scores| scores.window.len()).sum::<usize>() < ENOUGH;
        let mut all = DEFAULT_SCALE;
        if self.kinds.chunks(KNOWN).any(is_depth_short) {
            all = quantile(&self.kinds, self.coverage).unwrap_or(DEFAULT_SCALE);
        }
        for (depth, scales) in self.kinds.chunks_mut(KNOWN).zip(self.scales.chunks_mut(KNOWN)) {
            let mut of_depth = all;
            if depth.iter().any(is_short) {
                of_depth = quantile(depth, self.coverage).unwrap_or(all);
            }
            for (scores, scale) in depth.iter_mut().zip(scales) {
                let is_due = std::mem::take(&mut scores.is_changed);
                if is_short(scores) {
                    *scale = of_depth;
                } else if is_due {
                    *scale = quantile(std::slice::from_ref(scores), self.coverage).unwrap_or(of_depth);
                }
            }
        }
    }

    /// Bytes on the heap.
    pub(super) fn memory_bytes(&self) -> usize {
        let windows: usize = self.kinds.iter().map(|scores| scores.window.capacity()).sum();
        windows * size_of::<f32>()
            + self.kinds.capacity() * size_of::<Scores>()
            + self.scales.capacity() * size_of::<f64>()
    }

    /// Whether a stored calibration has the shape of one.
    pub(super) fn is_sound(&self) -> bool {
        let is_sound = |scores: &Scores| scores.window.len() <= WINDOW && scores.next < WINDOW;
        self.coverage > 0.0
            && self.coverage < 1.0
            && self.kinds.len() == DEPTHS * KNOWN
            && self.scales.len() == DEPTHS * KNOWN
            && self.kinds.iter().all(is_sound)
            && self
                .scales
                .iter()
                .all(|scale| (0.0..=f64::from(WORST_SCORE)).contains(scale))
    }
}

fn kind(joins: usize, known: f64) -> usize {
    let share = LEAST_KNOWN.iter().filter(|least| known >= **least).count();
    joins.min(DEPTHS - 1) * KNOWN + share
}

/// The conformal quantile of the scores of these kinds; `None` of too few.
fn quantile(kinds: &[Scores], coverage: f64) -> Option<f64> {
    let windows = kinds.iter().flat_map(|scores| &scores.window);
    let mut scores: Vec<f32> = windows.copied().collect();
    let rank = ((scores.len() + 1) as f64 * coverage).ceil() as usize;
    if scores.len() < ENOUGH || rank > scores.len() {
        return None;
    }
    let (_, at_rank, _) = scores.select_nth_unstable_by(rank - 1, f32::total_cmp);
    Some(f64::from(*at_rank))
}

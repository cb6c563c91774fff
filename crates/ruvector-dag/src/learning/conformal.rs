//! Stage 8 of 9, learning: intervals that hold as often as they say.
//!
//! Each prediction ŷ ± σ is scored when the truth is known: |y − ŷ| / σ. The interval of a new one is ŷ ± q σ, q the
//! ⌈(n + 1) p⌉-th smallest of the last n scores: split conformal prediction with normalised scores (Papadopoulos et al.
//! 2008; Lei et al. 2018), over a window so that it follows drift, and apart for each kind of prediction (Mondrian, Vovk
//! et al. 2003), because a statement that ran before is surer than one that never did.

use serde::{Deserialize, Serialize};

/// Scores remembered.
const WINDOW: usize = 512;
/// The normal quantile of 90 %, for want of scores.
const NORMAL_90: f64 = 1.645;

/// The scores of one kind of prediction.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Calibration {
    scores: Vec<f32>,
    next: u32,
}

impl Calibration {
    /// Adds the score of a prediction. What is not a number is left out.
    pub fn add(&mut self, error: f64, deviation: f64) {
        let score = (error.abs() / deviation.max(f64::MIN_POSITIVE)) as f32;
        if !score.is_finite() {
            return;
        }
        if self.scores.len() < WINDOW {
            self.scores.push(score);
        } else if let Some(oldest) = self.scores.get_mut(self.next as usize % WINDOW) {
            *oldest = score;
            self.next = (self.next + 1) % WINDOW as u32;
        }
    }

    /// How many deviations an interval has to reach to hold with this probability; `None` with too few scores to say.
    ///
    /// Complexity: O(scores).
    pub fn quantile(&self, probability: f64) -> Option<f64> {
        let rank = ((self.scores.len() as f64 + 1.0) * probability).ceil() as usize;
        let mut scores = self.scores.clone();
        let at = rank.checked_sub(1).filter(|&at| at < scores.len())?;
        let (_, score, _) = scores.select_nth_unstable_by(at, f32::total_cmp);
        Some(f64::from(*score))
    }

    /// The factor that makes a deviation a normal one: of a prediction ŷ ± σ · factor, 90 % are within 1.645 of these.
    pub fn factor(&self) -> f64 {
        self.quantile(0.9).map_or(1.0, |quantile| quantile / NORMAL_90)
    }

    /// Scores remembered.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether nothing was scored yet.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    pub(super) fn is_valid(&self) -> bool {
        self.scores.len() <= WINDOW && self.scores.iter().all(|score| *score >= 0.0 && score.is_finite())
    }
}

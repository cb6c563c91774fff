//! Stage 8 of 9, learning: intervals that hold as often as they say.
//!
//! Each prediction ŷ ± σ is scored when the truth is known: |y − ŷ| / σ. The interval of a new one is ŷ ± q σ, q the
//! (n + 1) p-th smallest of the last n scores: split conformal prediction with normalised scores (Papadopoulos et al.
//! 2008; Lei et al. 2018). Between two ranks the quantile is interpolated, so that intervals hold as often as they say on
//! average; rounded up, as it is for a guarantee, a dozen scores would give the greatest and hold too often. Scores are kept over a window so that it follows drift, and apart for each kind of prediction (Mondrian, Vovk
//! et al. 2003), because a statement that ran before is surer than one that never did.

use serde::{Deserialize, Serialize};

/// Scores remembered.
const WINDOW: usize = 512;
/// Scores that the guess of a factor of 1 counts as.
const PRIOR: f64 = 4.0;
/// The greatest score: what is off by more tells no more.
const GREATEST: f32 = 100.0;
/// The normal quantile of 90 %.
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
        let score = score.min(GREATEST);
        if self.scores.len() < WINDOW {
            self.scores.push(score);
        } else if let Some(oldest) = self.scores.get_mut(self.next as usize % WINDOW) {
            *oldest = score;
            self.next = (self.next + 1) % WINDOW as u32;
        }
    }

    /// How many deviations an interval has to reach to hold with this probability; `None` with too few scores to say.
    ///
    /// Complexity: O(scores · ln scores).
    pub fn quantile(&self, probability: f64) -> Option<f64> {
        let rank = (self.scores.len() as f64 + 1.0) * probability;
        let mut scores = self.scores.clone();
        scores.sort_unstable_by(f32::total_cmp);
        let below = (rank.floor() as usize).checked_sub(1)?;
        let lower = f64::from(*scores.get(below)?);
        let share = rank.fract();
        if share < 1e-9 {
            return Some(lower);
        }
        let upper = f64::from(*scores.get(below + 1)?);
        Some(lower + share * (upper - lower))
    }

    /// The factor that makes a deviation a normal one: of a prediction ŷ ± σ · factor, 90 % are within 1.645 of these. With
    /// too few scores for a quantile it is their root mean square, drawn to 1 as by four scores.
    pub fn factor(&self) -> f64 {
        let squares = || {
            self.scores
                .iter()
                .map(|&score| f64::from(score).powi(2))
                .sum::<f64>()
        };
        let spread = || ((squares() + PRIOR) / (self.scores.len() as f64 + PRIOR)).sqrt();
        self.quantile(0.9)
            .map_or_else(spread, |quantile| quantile / NORMAL_90)
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

//! After the data moved: how far each repetition is from where learning ends up.

use super::payback::Repetition;
use crate::session::median;
use serde::Serialize;

/// Repetitions that count as steady, at the end.
const STEADY: usize = 3;
/// Back in it is who takes at most this many times as long.
const NEAR: f64 = 1.1;

/// The repetitions after the data moved.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct Adaptation {
    /// Learned over stock, over the same in the steady state; one per repetition.
    pub(super) relative: Vec<f64>,
    /// The repetition from which on it stays near the steady state.
    pub(super) back_after: Option<usize>,
    /// Whether the steady state is made of other repetitions than the first three.
    pub(super) is_long_enough: bool,
}

impl Adaptation {
    pub(super) fn of(after: &[Repetition]) -> Self {
        let ratios: Vec<f64> = after.iter().map(|one| one.learned_ms / one.stock_ms).collect();
        let steady = median(&ratios[ratios.len().saturating_sub(STEADY)..]);
        let relative: Vec<f64> = ratios.iter().map(|ratio| ratio / steady).collect();
        let near = relative.iter().rev().take_while(|ratio| **ratio <= NEAR).count();
        Self {
            back_after: (near > 0).then(|| relative.len() - near + 1),
            is_long_enough: relative.len() >= 2 * STEADY,
            relative,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_counted_in_repetitions() {
        let after: Vec<Repetition> = [150.0, 80.0, 54.0, 50.0, 50.0, 50.0]
            .into_iter()
            .map(|learned_ms| Repetition {
                stock_ms: 100.0,
                learned_ms,
                trials_ms: 0.0,
            })
            .collect();
        let adaptation = Adaptation::of(&after);
        assert_eq!(adaptation.relative[0], 3.0);
        assert_eq!(adaptation.back_after, Some(3));
        assert!(adaptation.is_long_enough);
        assert!(!Adaptation::of(&after[..2]).is_long_enough);
        assert_eq!(Adaptation::of(&[]).back_after, None);
    }
}

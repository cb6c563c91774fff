//! A bandit over the mechanisms, for one pattern: what each has earned, and which to pull next.
//!
//! UCB1 (Auer, Cesa-Bianchi and Fischer 2002): of arms pulled n times with mean reward m, of t pulls together, the one of
//! the greatest `m + c · sqrt(ln t / n)`. Rewards are in [0, 1].
//!
//! **Shifting streams**: before each update, old pulls and rewards are multiplied by γ (`discount`), so that an arm's mean
//! follows its last 1/(1−γ) or so pulls of the pattern: the discounted UCB of Garivier and Moulines 2011, whose sliding
//! window would need the window to be kept. With γ = 1, the default, it is UCB1. Theirs is γ = 1 − sqrt(Υ/T)/4 for Υ
//! shifts in T pulls, with a regret against the best arm *of each moment* of O(sqrt(T Υ) log T). Since t and n are then
//! at most 1/(1−γ), a c as large as UCB1's never stops exploring; 0.3 with γ = 0.999 did better than UCB1 on nine shifts
//! in 64,000 pulls (regret 1,307 against 1,964). UCB1 holds its bound against the best *fixed* arm on every stream of
//! the tests, shifting ones too, so it is the default.
//!
//! **Prior**: the policy's suggestion counts as v = [`PRIOR_PULLS`] pulls of reward 1, and each other arm as as many of
//! reward ½. Virtual pulls are not stored and not discounted: the suggestion may be another at the next plan. What they
//! may cost: they shift the mean of an arm with n pulls by less than v/2(n + v), which the bonus covers while v < 4 c²
//! ln t (34 at the first pull), so the best arm is never shut out; and they raise a suggestion that is wrong by Δ by
//! more than Δ/2 for its first 2v/Δ pulls at most, which cost 2v, whatever T. (Under a discount they never fade: they
//! stay worth v against at most 1/(1−γ) pulls.) Why ten: many statements run a few times only, and for those the policy
//! is all there is. With arms 0.3 apart, over eight seeds, a right suggestion lowers the regret of the first 10 pulls
//! from 3.3 to 0.3 and that of 100 from 25 to 18; a wrong one raises it to 4.2 and 26. Three pulls give 2.5 and 23 when
//! right, twenty cost 12 instead of 9 in 30 pulls when wrong.
//!
//! **Exploration share** ε: in addition, a share ε · min(1, sqrt(K/t)) of pulls is of an arm drawn at random. Sessions
//! that learn one pattern at the same time see the same state; with seeds of their own, the draw keeps them from all
//! pulling the same arm. The share falls so that it costs O(sqrt(K T)).

use super::MechanismId;
use crate::cardinality::hash_words;
use serde::{Deserialize, Serialize};

/// Arms of a pattern: the mechanisms, in the order of [`MechanismId::ALL`].
pub const ARMS: usize = MechanismId::ALL.len();
/// Virtual pulls of the suggested arm, and of each other.
pub const PRIOR_PULLS: f64 = 10.0;
/// The mean reward of the virtual pulls of arms that were not suggested.
const PRIOR_MEAN: f64 = 0.5;

/// How the bandit weighs what it knows against what it doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BanditSettings {
    /// c of UCB1: the weight of what is not known.
    pub confidence: f64,
    /// ε: the share of pulls at random in the beginning, in [0, 1].
    pub exploration: f64,
    /// γ: what of a pull remains after the next one, in (0, 1]; 1 is UCB1.
    pub discount: f64,
    /// Draws and ties depend on it.
    pub seed: u64,
}

impl Default for BanditSettings {
    fn default() -> Self {
        Self {
            confidence: std::f64::consts::SQRT_2,
            exploration: 0.1,
            discount: 1.0,
            seed: 0,
        }
    }
}

impl BanditSettings {
    /// The name of the first setting that is out of its range, and its value.
    pub(super) fn out_of_range(&self) -> Option<(&'static str, f64)> {
        let settings = [
            ("confidence", self.confidence, 0.0..=1e6),
            ("exploration", self.exploration, 0.0..=1.0),
            ("discount", self.discount, f64::EPSILON..=1.0),
        ];
        settings
            .into_iter()
            .find_map(|(name, given, range)| (!range.contains(&given)).then_some((name, given)))
    }
}

/// What one mechanism has earned for a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct Arm {
    /// Pulls, discounted.
    pub pulls: f64,
    /// The sum of their rewards, discounted alike.
    pub rewards: f64,
}

impl Arm {
    /// The mean reward; `None` without a pull.
    pub fn mean(&self) -> Option<f64> {
        (self.pulls > 0.0).then(|| self.rewards / self.pulls)
    }

    fn is_valid(&self) -> bool {
        self.pulls.is_finite() && self.rewards >= 0.0 && self.rewards <= self.pulls * (1.0 + 1e-9)
    }
}

/// What all mechanisms have earned for one pattern. Plain data of fixed size, so that sessions can share it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct PatternArms {
    /// The pattern, by its fingerprint.
    pub pattern: u64,
    /// Pulls of all arms, not discounted.
    pub observations: u64,
    /// The arms, in the order of [`MechanismId::ALL`].
    pub arms: [Arm; ARMS],
}

impl PatternArms {
    /// A pattern nothing is known of.
    pub fn new(pattern: u64) -> Self {
        Self {
            pattern,
            ..Self::default()
        }
    }

    /// What a mechanism has earned.
    pub fn arm(&self, mechanism: MechanismId) -> Arm {
        self.arms[place(mechanism)]
    }

    /// Adds a pull of a mechanism, by whomever it was chosen. The reward is clamped to [0, 1]; one that is not a number
    /// says nothing and is not counted.
    pub fn update(&mut self, mechanism: MechanismId, reward: f64, settings: &BanditSettings) {
        if reward.is_nan() {
            return;
        }
        let mut pull = Self::new(self.pattern);
        pull.observations = 1;
        pull.arms[place(mechanism)] = Arm {
            pulls: 1.0,
            rewards: reward.clamp(0.0, 1.0),
        };
        self.merge(&pull, settings);
    }

    /// Adds what was learned of the same pattern elsewhere from nothing, as if it had been seen after this.
    /// Associative; without a discount also commutative, but for rounding.
    pub fn merge(&mut self, later: &PatternArms, settings: &BanditSettings) {
        let kept = if settings.discount < 1.0 {
            settings.discount.powf(later.observations as f64)
        } else {
            1.0
        };
        for (arm, more) in self.arms.iter_mut().zip(&later.arms) {
            arm.pulls = arm.pulls * kept + more.pulls;
            arm.rewards = arm.rewards * kept + more.rewards;
        }
        self.observations = self.observations.saturating_add(later.observations);
    }

    /// The mechanism to pull next. The same state, settings and suggestion give the same one.
    ///
    /// Complexity: O(mechanisms).
    pub fn select(&self, suggestion: Option<MechanismId>, settings: &BanditSettings) -> MechanismId {
        let explored =
            settings.exploration * (ARMS as f64 / (self.observations.max(1) as f64)).sqrt().min(1.0);
        let draw = self.draw(settings.seed, ARMS as u64);
        if unit_interval(draw) < explored {
            let at = hash_words([draw]) % ARMS as u64;
            return MechanismId::ALL[at as usize];
        }
        let bounds = self.upper_bounds(suggestion, settings);
        let ties = |at: usize| self.draw(settings.seed, at as u64);
        let best = MechanismId::ALL
            .into_iter()
            .enumerate()
            .max_by(|&(a, _), &(b, _)| {
                bounds[a]
                    .total_cmp(&bounds[b])
                    .then_with(|| ties(a).cmp(&ties(b)))
            });
        best.map_or(MechanismId::Topological, |(_, mechanism)| mechanism)
    }

    /// The upper confidence bound of each arm's mean reward, with the prior; infinite for an arm without any pull.
    pub fn upper_bounds(&self, suggestion: Option<MechanismId>, settings: &BanditSettings) -> [f64; ARMS] {
        let suggested = suggestion.map(place);
        let with_prior = |at: usize| {
            let arm = self.arms[at];
            let (pulls, mean) = match suggested {
                None => (0.0, 0.0),
                Some(suggested) if suggested == at => (PRIOR_PULLS, 1.0),
                Some(_) => (PRIOR_PULLS, PRIOR_MEAN),
            };
            Arm {
                pulls: arm.pulls + pulls,
                rewards: arm.rewards + pulls * mean,
            }
        };
        let arms: [Arm; ARMS] = std::array::from_fn(with_prior);
        let pulls: f64 = arms.iter().map(|arm| arm.pulls).sum();
        let log = pulls.max(1.0).ln();
        arms.map(|arm| match arm.mean() {
            Some(mean) => mean + settings.confidence * (log / arm.pulls).sqrt(),
            None => f64::INFINITY,
        })
    }

    /// A number drawn for this moment of this pattern.
    fn draw(&self, seed: u64, of: u64) -> u64 {
        hash_words([seed, self.pattern, self.observations, of])
    }

    /// Whether it can have come from updates.
    pub(super) fn is_valid(&self) -> bool {
        self.arms.iter().all(Arm::is_valid)
    }
}

/// The place of a mechanism among the arms.
fn place(mechanism: MechanismId) -> usize {
    MechanismId::ALL
        .iter()
        .position(|other| *other == mechanism)
        .unwrap_or(0)
}

/// The upper 53 bits as a number in [0, 1).
fn unit_interval(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

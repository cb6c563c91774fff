//! Which mechanism to use for a plan: a bandit per pattern, with the policy's suggestion as its prior, unless one is forced.

use super::bandit::{BanditSettings, PatternArms};
use super::lru::Lru;
use super::{MechanismId, PlanSignals, SelectionPolicy};
use crate::Error;
use serde::{Deserialize, Serialize};

/// What weighs the operators of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// One mechanism.
    Mechanism(MechanismId),
    /// The weighted mean of several. The bandit doesn't choose it, since it is no arm; it can be forced.
    Ensemble,
}

/// Chooses a mechanism per pattern and learns from rewards.
///
/// It keeps up to `capacity` patterns and forgets the one updated longest ago. Sessions share what they learn in one of
/// two ways: they update the [`PatternArms`] of a pattern in place under a lock, or each learns in a selector of its own
/// from nothing, which a worker [merges](AttentionSelector::merge).
///
/// ```
/// use ruvector_dag::attention::{AttentionSelector, Choice, MechanismId};
///
/// let mut selector = AttentionSelector::new();
/// let pattern = 42;
/// for _ in 0..1_000 {
///     if let Choice::Mechanism(mechanism) = selector.select(pattern, None) {
///         let reward = if mechanism == MechanismId::CriticalPath { 0.9 } else { 0.3 };
///         selector.update(pattern, mechanism, reward);
///     }
/// }
/// let arms = selector.arms(pattern).copied().unwrap_or_default();
/// assert!(arms.arm(MechanismId::CriticalPath).pulls > 500.0);
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "StoredSelector", try_from = "StoredSelector")]
pub struct AttentionSelector {
    settings: BanditSettings,
    forced: Option<Choice>,
    patterns: Lru<u64, PatternArms>,
}

impl Default for AttentionSelector {
    fn default() -> Self {
        Self::new()
    }
}

impl AttentionSelector {
    /// Patterns kept by default: 1.3 MB.
    pub const CAPACITY: usize = 10_000;

    /// A selector that knows nothing.
    pub fn new() -> Self {
        Self {
            settings: BanditSettings::default(),
            forced: None,
            patterns: Lru::new(Self::CAPACITY),
        }
    }

    /// A selector that knows nothing, with these settings, for up to `capacity` patterns.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] when one is out of its range.
    pub fn with_settings(settings: BanditSettings, capacity: usize) -> Result<Self, Error> {
        if let Some((name, given)) = settings.out_of_range() {
            return Err(Error::InvalidSetting { name, given });
        }
        Ok(Self {
            settings,
            forced: None,
            patterns: Lru::new(capacity),
        })
    }

    /// The settings.
    pub fn settings(&self) -> &BanditSettings {
        &self.settings
    }

    /// What to use for a plan of this pattern: what is forced, else the bandit's choice with the suggestion as its prior.
    /// Changes nothing: until the next update of the pattern the answer is the same.
    ///
    /// Complexity: O(mechanisms).
    pub fn select(&self, pattern: u64, suggestion: Option<MechanismId>) -> Choice {
        self.forced.unwrap_or_else(|| {
            let arms = self.arms(pattern).copied();
            let arms = arms.unwrap_or_else(|| PatternArms::new(pattern));
            Choice::Mechanism(arms.select(suggestion, &self.settings))
        })
    }

    /// The same with the policy's suggestion for these signals.
    pub fn select_by_policy(&self, pattern: u64, policy: &SelectionPolicy, signals: &PlanSignals) -> Choice {
        self.select(pattern, Some(policy.suggest(signals)))
    }

    /// Learns what a mechanism earned for a pattern, whether it was chosen here or forced. The reward is clamped to
    /// [0, 1]; one that is not a number says nothing.
    ///
    /// Complexity: O(mechanisms) expected.
    pub fn update(&mut self, pattern: u64, mechanism: MechanismId, reward: f64) {
        let mut pull = PatternArms::new(pattern);
        pull.update(mechanism, reward, &self.settings);
        if pull.observations > 0 {
            self.merge_arms(&pull);
        }
    }

    /// Uses this from now on, whatever the bandit thinks; `None` leaves the choice to the bandit again.
    pub fn force(&mut self, choice: Option<Choice>) {
        self.forced = choice;
    }

    /// What is forced.
    pub fn forced(&self) -> Option<Choice> {
        self.forced
    }

    /// What is known of a pattern.
    pub fn arms(&self, pattern: u64) -> Option<&PatternArms> {
        self.patterns.peek(&pattern)
    }

    /// What is known of all patterns, the one updated longest ago first.
    pub fn patterns(&self) -> impl Iterator<Item = &PatternArms> {
        self.patterns.iter().map(|(_, arms)| arms)
    }

    /// The number of patterns something is known of.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds what another selector learned from nothing, as if it had been seen after this. Settings stay.
    ///
    /// Complexity: O(patterns of `later`) expected.
    pub fn merge(&mut self, later: &AttentionSelector) {
        later.patterns().for_each(|arms| self.merge_arms(arms));
    }

    /// Adds what was learned of one pattern from nothing, as if it had been seen after this.
    pub fn merge_arms(&mut self, later: &PatternArms) {
        match self.patterns.get(&later.pattern) {
            Some(known) => known.merge(later, &self.settings),
            None => {
                self.patterns.insert(later.pattern, *later);
            }
        }
    }
}

/// The form a selector is stored in. What is forced is the session's business and not stored.
#[derive(Serialize, Deserialize)]
struct StoredSelector {
    settings: BanditSettings,
    capacity: usize,
    patterns: Vec<PatternArms>,
}

impl From<AttentionSelector> for StoredSelector {
    fn from(selector: AttentionSelector) -> Self {
        Self {
            settings: selector.settings,
            capacity: selector.patterns.capacity(),
            patterns: selector.patterns().copied().collect(),
        }
    }
}

impl TryFrom<StoredSelector> for AttentionSelector {
    type Error = Error;

    fn try_from(stored: StoredSelector) -> Result<Self, Error> {
        let mut selector = Self::with_settings(stored.settings, stored.capacity)?;
        for arms in stored.patterns {
            if !arms.is_valid() {
                return Err(Error::InvalidArms {
                    pattern: arms.pattern,
                });
            }
            selector.merge_arms(&arms);
        }
        Ok(selector)
    }
}

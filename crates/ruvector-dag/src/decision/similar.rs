//! Stage 5 of 9, decision: under which hint set a statement never seen is planned, by what was faster on statements whose
//! stock plans are like its own.
//!
//! Nadaraya-Watson regression per hint set: of the statements i on which it was measured, whose log ratio to stock was rᵢ, it
//! is expected to have Σ wᵢ rᵢ / (Σ wᵢ + w₀), with wᵢ = sᵢ⁴, s the similarity of both stock plans, and w₀ the weight of no
//! difference: far from all that was measured the stock plan stays.
//!
//! Only plans that PostgreSQL estimates to cost about as much as its own are taken ([`TIE`]): what it holds to be much dearer
//! carries over hardly. Simulated on the latencies of 49 hint sets of 86 STATS statements and the trials that pay (1.8 times
//! the workload), 40 random splits into two thirds to learn from and a third to judge by: 0.91 of stock's time on statements
//! never seen, 17 % of them planned differently, 2 % slower by more than a fifth and 20 ms. The constants were chosen there.
//!
//! How sure a gain is: the log ratio that comes out is taken to be normally distributed about the expected one, so that the
//! [`confidence`] in a gain is the probability that it is below 0. The deviation is not measured. It is the one at which a
//! confidence of 0.8 asks for the expected log ratio that did best in that simulation, −0.15.

use super::hints::{ARMS, HintSet, arm_of, arms};
use super::trial::Possibilities;
use crate::learning::normal::cumulative;
use serde::{Deserialize, Serialize};

/// A plan is a tie up to this many times the stock plan's cost.
pub const TIE: f64 = 1.1;
/// Operators of a plan that are compared at most.
const SKETCH: usize = 24;
/// Exponent of the similarity.
const SHARPNESS: i32 = 4;
/// Similarity below which a plan says nothing about another one.
const LEAST_SIMILARITY: f64 = 0.35;
/// Weight of a statement without any difference.
const NO_DIFFERENCE: f64 = 0.3;
/// Standard deviation of a log ratio about the expected one: −0.15 over the 0.2 quantile of the normal distribution.
const DEVIATION: f64 = 0.15 / 0.841_621_233_572_914;
/// What single statements may say at most, as logarithms.
const SAID: (f64, f64) = (-2.0, 0.5);
/// Natural logarithm of what a trial that was given up is taken to need over stock's latency, at least.
const GIVEN_UP: f64 = 0.1;
/// Hint sets that are planned with at most.
const PROMISING: usize = 4;
/// Steps of a log ratio of 1.
const STEPS: f64 = 40.0;
/// Not measured.
const UNKNOWN: i8 = i8::MIN;

/// The operators of a stock plan, each with what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct PlanSketch {
    /// Hashes, ascending; the smallest ones of a plan that has more.
    operators: [u32; SKETCH],
    /// How many of them there are.
    count: u32,
}

impl PlanSketch {
    /// A sketch of operators given as hashes, in any order.
    pub fn of(operators: impl IntoIterator<Item = u64>) -> Self {
        // The upper half is as good as any.
        let mut all: Vec<u32> = operators.into_iter().map(|hash| (hash >> 32) as u32).collect();
        all.sort_unstable();
        let mut sketch = Self::default();
        let places = sketch.operators.iter_mut();
        places.zip(&all).for_each(|(kept, &hash)| *kept = hash);
        sketch.count = all.len().min(SKETCH) as u32;
        sketch
    }

    fn operators(&self) -> &[u32] {
        self.operators.get(..self.count as usize).unwrap_or_default()
    }

    /// The operators both plans have, over those that one of them has, each as often as it occurs (Jaccard similarity of
    /// multisets): in [0, 1].
    pub fn similarity(&self, other: &Self) -> f64 {
        let (mut ours, mut theirs) = (self.operators(), other.operators());
        let all = ours.len() + theirs.len();
        let mut common = 0;
        while let (Some((a, after_a)), Some((b, after_b))) = (ours.split_first(), theirs.split_first()) {
            common += usize::from(a == b);
            if a <= b {
                ours = after_a;
            }
            if b <= a {
                theirs = after_b;
            }
        }
        if all == common {
            return 0.0;
        }
        common as f64 / (all - common) as f64
    }
}

/// What hint sets did to a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Experience {
    /// Shape of its stock plan.
    pub shape: u64,
    sketch: PlanSketch,
    /// Log ratio of each arm's latency to stock's, in steps.
    ratios: [i8; ARMS],
}

/// The same, to store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredExperience {
    shape: u64,
    sketch: PlanSketch,
    ratios: Vec<i8>,
}

/// A plan under a hint set that was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The hint set.
    pub hints: HintSet,
    /// The methods that the plan uses, as bits of [`METHODS`](super::hints::METHODS).
    pub methods: u32,
    /// Its latency over stock's; for one that was given up the share of stock's that it was given.
    pub ratio: f64,
    /// It was given up.
    pub is_given_up: bool,
}

/// What a plan that was measured teaches of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lesson {
    /// The arms that it speaks of.
    of: [bool; ARMS],
    steps: i8,
}

impl Lesson {
    /// A plan that is not the stock plan teaches of its hint set, and of those that switch off more, but nothing that it uses;
    /// `None` for what is no arm or took no time.
    pub fn of(measured: &Measured) -> Option<Self> {
        let own = arm_of(measured.hints)?;
        let log_ratio = measured.ratio.ln();
        let log_ratio = match measured.is_given_up {
            true => log_ratio.max(GIVEN_UP),
            false => log_ratio,
        };
        let mut of = arms()
            .map(|hints| hints.is_of_methods() && hints.adds_nothing_to(measured.hints, measured.methods));
        of.get_mut(own).into_iter().for_each(|is_of| *is_of = true);
        log_ratio.is_finite().then(|| Self {
            of,
            steps: (log_ratio * STEPS).round().clamp(-127.0, 127.0) as i8,
        })
    }
}

impl Experience {
    /// A statement of which nothing is known but its stock plan.
    pub fn new(shape: u64, sketch: PlanSketch) -> Self {
        Self {
            shape,
            sketch,
            ratios: [UNKNOWN; ARMS],
        }
    }

    /// Takes up what a plan taught. Allocates nothing.
    pub fn learn(&mut self, lesson: &Lesson) {
        let taught = self.ratios.iter_mut().zip(&lesson.of);
        taught
            .filter(|(_, is_of)| **is_of)
            .for_each(|(ratio, _)| *ratio = lesson.steps);
    }

    /// The log ratios that were measured, by arm.
    pub(super) fn measured(&self) -> impl Iterator<Item = (usize, f64)> {
        (0..ARMS).filter_map(|place| Some((place, self.log_ratio(place)?)))
    }

    /// Whether a log ratio is that of a plan that was given up: a lower bound. What ended was faster than the stock plan.
    pub(super) fn is_given_up(log_ratio: f64) -> bool {
        log_ratio > 0.5 * GIVEN_UP
    }

    fn log_ratio(&self, place: usize) -> Option<f64> {
        let steps = *self.ratios.get(place)?;
        (steps != UNKNOWN).then(|| (f64::from(steps) / STEPS).clamp(SAID.0, SAID.1))
    }

    /// Its stock plan.
    pub fn sketch(&self) -> &PlanSketch {
        &self.sketch
    }

    /// As it is stored.
    pub fn to_stored(&self) -> StoredExperience {
        StoredExperience {
            shape: self.shape,
            sketch: self.sketch,
            ratios: self.ratios.to_vec(),
        }
    }

    /// What was stored; of another version's hint sets nothing is known.
    pub fn from_stored(stored: &StoredExperience) -> Self {
        Self {
            ratios: stored.ratios.as_slice().try_into().unwrap_or([UNKNOWN; ARMS]),
            ..Self::new(stored.shape, stored.sketch)
        }
    }
}

/// The probability of a gain where the natural logarithm of the ratio to stock's latency is expected to be this; see the
/// module's text.
fn confidence(expected: f64) -> f64 {
    cumulative(-expected / DEVIATION)
}

/// The hint sets that a statement with this stock plan may be planned with, of those that may change it, the most promising first.
/// A gain is expected of each, with more than this confidence.
pub fn promising(
    plan: &PlanSketch,
    experiences: &[Experience],
    possible: &Possibilities,
    least_confidence: f64,
) -> Vec<HintSet> {
    let mut sums = [(0.0, 0.0); ARMS];
    for experience in experiences {
        let similarity = plan.similarity(&experience.sketch);
        if similarity < LEAST_SIMILARITY {
            continue;
        }
        let weight = similarity.powi(SHARPNESS);
        for (place, (log_ratios, weights)) in sums.iter_mut().enumerate() {
            if let Some(log_ratio) = experience.log_ratio(place) {
                *log_ratios += weight * log_ratio;
                *weights += weight;
            }
        }
    }
    let expected = sums.map(|(log_ratios, weights)| log_ratios / (weights + NO_DIFFERENCE));
    let gains = expected.into_iter().zip(arms());
    let mut gains: Vec<_> = gains
        .filter(|&(gain, hints)| gain < 0.0 && confidence(gain) > least_confidence && possible.allow(hints))
        .collect();
    gains.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    gains
        .into_iter()
        .map(|(_, hints)| hints)
        .take(PROMISING)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::hints::METHODS;
    use super::*;
    use crate::cardinality::hash_words;

    const USUAL: f64 = 0.8;
    const PLAN: [u64; 4] = [1 << 32, 2 << 32, 2 << 32, 3 << 32];
    const ALL: Possibilities = Possibilities::ALL;

    fn without(place: usize) -> HintSet {
        METHODS
            .get(place)
            .map_or(HintSet::NONE, |method| HintSet::from_bits(method.bit))
    }

    fn measured(ratio: f64, is_given_up: bool) -> Measured {
        Measured {
            hints: without(1),
            methods: 1 | 1 << 3,
            ratio,
            is_given_up,
        }
    }

    fn experience(ratio: f64, is_given_up: bool) -> Experience {
        let mut experience = Experience::new(7, PlanSketch::of(PLAN));
        experience.learn(&Lesson::of(&measured(ratio, is_given_up)).expect("a lesson"));
        experience
    }

    #[test]
    fn similarity_counts_operators_as_often_as_they_occur() {
        let plan = PlanSketch::of(PLAN);
        assert_eq!(plan.similarity(&plan), 1.0);
        let [one, two, _, three] = PLAN;
        assert_eq!(plan.similarity(&PlanSketch::of([three, two, one])), 0.75);
        assert_eq!(plan.similarity(&PlanSketch::of([9 << 32])), 0.0);
        assert_eq!(PlanSketch::default().similarity(&PlanSketch::default()), 0.0);
    }

    #[test]
    fn of_many_operators_the_same_ones_are_kept_of_every_plan() {
        let many = (0..100).map(|number| hash_words([number]));
        let more = (0..101).rev().map(|number| hash_words([number]));
        assert!(PlanSketch::of(many).similarity(&PlanSketch::of(more)) > 0.9);
    }

    #[test]
    fn what_was_faster_on_a_like_plan_is_promising_and_on_another_one_not() {
        let known = [experience(0.5, false)];
        let like = promising(&PlanSketch::of(PLAN), &known, &ALL, USUAL);
        assert_eq!(like.first(), Some(&without(1)));
        assert_eq!(promising(&PlanSketch::of([9 << 32]), &known, &ALL, USUAL), []);
        assert_eq!(promising(&PlanSketch::of(PLAN), &[], &ALL, USUAL), []);
        let touched = Possibilities { methods: 1, ..ALL };
        let left: Vec<_> = promising(&PlanSketch::of(PLAN), &known, &touched, USUAL);
        assert!(left.iter().all(|hints| hints.touches(1)), "{left:?}");
    }

    #[test]
    fn more_confidence_asks_for_a_greater_gain() {
        assert!((confidence(-0.15) - USUAL).abs() < 1e-6);
        assert!((confidence(0.0) - 0.5).abs() < 1e-6);
        let plan = PlanSketch::of(PLAN);
        let first = |ratio, least| {
            promising(&plan, &[experience(ratio, false)], &ALL, least)
                .first()
                .copied()
        };
        // ln 0.8 / 1.3 is -0.17, ln 0.85 / 1.3 is -0.125.
        assert_eq!(first(0.8, USUAL), Some(without(1)));
        assert_eq!(first(0.85, USUAL), None);
        assert_eq!(first(0.85, 0.7), Some(without(1)));
        assert_eq!(first(0.8, 0.9), None);
        assert_eq!(first(0.3, 1.0), None);
        // What is expected to be slower is never promising.
        assert_eq!(first(1.2, 0.0), None);
    }

    #[test]
    fn what_was_slower_or_given_up_elsewhere_outweighs_a_small_gain() {
        let mut known = vec![experience(0.7, false)];
        assert!(!promising(&PlanSketch::of(PLAN), &known, &ALL, USUAL).is_empty());
        known.extend([experience(0.95, true), experience(1.5, false)]);
        assert_eq!(promising(&PlanSketch::of(PLAN), &known, &ALL, USUAL), []);
    }

    #[test]
    fn a_plan_stands_for_all_hint_sets_that_leave_it_what_it_uses() {
        let known = experience(0.5, false);
        let ratio = |hints: HintSet| known.log_ratio(arm_of(hints).expect("an arm"));
        let off =
            |places: [usize; 2]| HintSet::from_bits(places.map(|place| without(place).bits()).iter().sum());
        assert!(ratio(without(1)).is_some());
        assert_eq!(ratio(off([1, 2])), ratio(without(1)));
        assert_eq!(ratio(off([0, 1])), None, "a hash join was used");
        assert_eq!(ratio(without(2)), None, "a merge join may be cheaper than it");
        assert_eq!(ratio(HintSet::NONE.serial()), None);
    }

    #[test]
    fn it_comes_back_as_it_was_stored() {
        let known = experience(0.5, false);
        assert_eq!(Experience::from_stored(&known.to_stored()), known);
        let of_another_version = StoredExperience {
            ratios: vec![1, 2],
            ..known.to_stored()
        };
        let sketch = PlanSketch::of(PLAN);
        assert_eq!(
            Experience::from_stored(&of_another_version),
            Experience::new(7, sketch)
        );
    }
}

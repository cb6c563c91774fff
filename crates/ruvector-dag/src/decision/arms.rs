//! What each hint set brought to the statements of a database: the prior of the next trial.
//!
//! A trial gives the ratio of its latency to the best known one, or a lower bound of it when it was cut off. Ratios are
//! counted in classes of gain, so that the expected gain and the expected time of a further trial can be told for any
//! limit: a bandit with a discounted Dirichlet-multinomial reward model per arm.

use super::evidence::Decision;
use super::hints::{ARMS, FIRST_FORM, FORMS, HintSet, arm_of};

/// Upper ends of the classes of latency ratios: a trial falls into the first whose end it stays below. The last class is
/// without gain.
pub const GAINS: [f64; 5] = [0.1, 0.35, 0.65, 0.95, f64::INFINITY];
/// A ratio that stands for its class.
const CENTRES: [f64; 5] = [0.05, 0.2, 0.5, 0.82, 1.3];
/// What is assumed of an arm before its first trial: one in three gains, most of them little.
const PRIOR: [f64; 5] = [0.03, 0.05, 0.12, 0.12, 0.68];
/// The same of another form of the statement: where there is one, half of them gain, many of them much.
const FORM_PRIOR: [f64; 5] = [0.15, 0.15, 0.15, 0.1, 0.45];
/// The same of planner costs that fit the server better: they are only there where the session's are clearly off.
const COSTS_PRIOR: [f64; 5] = [0.08, 0.1, 0.15, 0.12, 0.55];
/// Trials of all statements together count this much for the arms that were not tried yet.
const SHARED: f64 = 2.0;
/// Standard deviation of an expected log ratio, and how probable it is that it says anything.
const EXPECTED_DEVIATION: f64 = 1.2;
const RIGHT: f64 = 0.5;
/// Weight of the earlier trials of an arm at each new one.
const DISCOUNT: f32 = 0.98;

/// The place of corrected row counts after the arms, those of fitted planner costs with stock's row counts and with all that
/// were learned, and how many places there are.
pub(super) const ROWS: usize = ARMS;
pub(super) const COSTS: usize = ARMS + 1;
pub(super) const COSTS_AND_ROWS: usize = ARMS + 2;
const PLACES: usize = ARMS + 3;
/// How many places there were before parallel workers had one, and before planner costs had theirs.
const WITHOUT_WORKERS: usize = PLACES - 1;
const WITHOUT_COSTS: usize = PLACES - 3;

/// What a trial is expected to gain per time, by place.
pub type Gains = [f64; PLACES];

/// Counts per place.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct ArmStatistics {
    counts: [[f32; GAINS.len()]; PLACES],
}

impl Default for ArmStatistics {
    fn default() -> Self {
        Self {
            counts: [[0.0; GAINS.len()]; PLACES],
        }
    }
}

/// The probabilities of the classes where a log ratio is expected.
fn given(known: &[f64; GAINS.len()], expected: f64) -> [f64; GAINS.len()] {
    let likelihood = |centre: f64| (-0.5 * ((expected - centre.ln()) / EXPECTED_DEVIATION).powi(2)).exp();
    let joint: [f64; GAINS.len()] = std::array::from_fn(|class| known[class] * likelihood(CENTRES[class]));
    let total: f64 = joint.iter().sum();
    if total.is_nan() || total <= f64::MIN_POSITIVE {
        return *known;
    }
    std::array::from_fn(|class| RIGHT * joint[class] / total + (1.0 - RIGHT) * known[class])
}

fn gain_per_time(probabilities: &[f64; GAINS.len()], limit: f64) -> f64 {
    let (mut gain, mut time) = (0.0, 0.0);
    for (probability, centre) in probabilities.iter().zip(CENTRES) {
        if centre < limit {
            gain += probability * (1.0 - centre);
        }
        time += probability * centre.min(limit);
    }
    if time > 0.0 { gain / time } else { 0.0 }
}

/// The place of a decision, parameters that it keeps from another one left out; none when it has none.
pub(super) fn place(cutoff: u64, hints: HintSet) -> Option<usize> {
    let own = hints.without_costs();
    let arm = arm_of(own).or_else(|| arm_of(own.plan_methods()));
    let without = match (hints.has_costs(), cutoff > 0) {
        (true, false) => Some(COSTS),
        (true, true) => Some(COSTS_AND_ROWS),
        (false, true) if own.is_none() => Some(ROWS),
        (false, _) => None,
    };
    arm.or(without)
}

impl ArmStatistics {
    /// Counts a trial: `ratio` of its latency to the best one known before; for a trial that was cut off the share of the
    /// best one it was given.
    pub fn record(&mut self, cutoff: u64, hints: HintSet, ratio: f64, is_cut_off: bool) {
        let Some(place) = place(cutoff, hints) else { return };
        let counts = &mut self.counts[place];
        counts.iter_mut().for_each(|count| *count *= DISCOUNT);
        if is_cut_off {
            // It was slower than its limit: what classes remain is as likely as it was.
            let remaining = |class: usize| GAINS[class] > ratio;
            let mass: f64 = (0..GAINS.len())
                .filter(|&class| remaining(class))
                .map(|class| PRIOR[class])
                .sum();
            for class in (0..GAINS.len()).filter(|&class| remaining(class)) {
                counts[class] += (PRIOR[class] / mass) as f32;
            }
        } else if let Some(class) = GAINS.iter().position(|&end| ratio < end) {
            counts[class] += 1.0;
        }
    }

    /// Trials of all arms by class of gain, on top of what is assumed: shares that sum to 1.
    fn shared(&self) -> [f64; GAINS.len()] {
        let mut shared = PRIOR;
        for counts in &self.counts {
            for (sum, &count) in shared.iter_mut().zip(counts) {
                *sum += f64::from(count) / self.counts.len() as f64;
            }
        }
        let total: f64 = shared.iter().sum();
        shared.map(|sum| sum / total)
    }

    /// For each hint set of [`super::hints::arms`], then corrected row counts and planner costs: the share of the best known latency that
    /// a trial with a limit (a share of it, too) is expected to gain per execution, per share that it is expected to take.
    pub fn gains_per_time(&self, limit: f64) -> Gains {
        let shared = self.shared();
        std::array::from_fn(|place| gain_per_time(&self.probabilities(place, &shared), limit))
    }

    /// The same for a statement of which it is expected what hint sets do: natural logarithms of ratios to the best known latency, by arm.
    /// What is expected is an observation of the ratio's logarithm that is right, but for a deviation, or says nothing.
    pub fn gains_per_time_with(&self, limit: f64, expected: &[f64; ARMS]) -> Gains {
        let shared = self.shared();
        std::array::from_fn(|place| {
            let known = self.probabilities(place, &shared);
            let with = expected
                .get(place)
                .map_or(known, |&log_ratio| given(&known, log_ratio));
            gain_per_time(&with, limit)
        })
    }

    /// How probable each class of gain is for the next trial of an arm.
    fn probabilities(&self, place: usize, shared: &[f64; GAINS.len()]) -> [f64; GAINS.len()] {
        let own = &self.counts[place];
        let is_form = (FIRST_FORM..FIRST_FORM + FORMS).contains(&place);
        let assumed = match place {
            COSTS | COSTS_AND_ROWS => &COSTS_PRIOR,
            _ if is_form => &FORM_PRIOR,
            _ => shared,
        };
        let weight = SHARED + own.iter().map(|&count| f64::from(count)).sum::<f64>();
        std::array::from_fn(|class| (SHARED * assumed[class] + f64::from(own[class])) / weight)
    }

    /// The same for one decision; 0 for what is no arm.
    pub fn gain_per_time(&self, decision: Decision, limit: f64) -> f64 {
        place(decision.cutoff, decision.hints).map_or(0.0, |place| self.gains_per_time(limit)[place])
    }

    /// The counts, to store.
    pub fn counts(&self) -> &[[f32; GAINS.len()]] {
        &self.counts
    }

    /// Statistics from stored counts, also from those that had no planner costs or parallel workers yet; those of another version begin anew.
    pub fn from_counts(counts: &[[f32; GAINS.len()]]) -> Self {
        let mut known = Self::default();
        let skipped = match counts.len() {
            PLACES => None,
            WITHOUT_WORKERS | WITHOUT_COSTS => Some(ROWS - 1),
            _ => return known,
        };
        let places = (0..PLACES).filter(|&place| Some(place) != skipped);
        places
            .zip(counts)
            .for_each(|(place, counts)| known.counts[place] = *counts);
        known
    }

    /// Trials counted, with the discount.
    pub fn trials(&self) -> f64 {
        self.counts.iter().flatten().map(|&count| f64::from(count)).sum()
    }
}

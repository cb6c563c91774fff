//! What counts of some relations of a query level say about its other relations.
//!
//! A correction is ln(true rows / the planner's estimate). It is the sum of what its tables, pairs, triples … add; what
//! nothing is known of adds nothing, give or take a variance. So two sub-joins that cover a set make its correction, what
//! they have in common counted once:
//!
//! ```text
//!   S = A ∪ B, A = S − {x}, B = S − {y}
//!   correction(S) = correction(A) + correction(B) − correction(A ∩ B)   ± variance of what S adds
//! ```
//!
//! All pairs that cover a set are weighed by how little is unknown of them, so that the order in which joins are tried
//! does not matter. Where everything below a set is known this is inclusion and exclusion to the last two orders; where
//! little is, it is the log-linear model of what is known.

use super::identity::{RelationSet, positions};
use super::row_model::RowPrediction;
use std::collections::BTreeMap;

/// Variance that a set adds to what its parts say, by its number of relations: as STATS is (q-errors of PostgreSQL's
/// estimates on 2,221 sub-joins; halves of the statements agree).
const ADDED_VARIANCE: [f64; 5] = [0.07, 0.5, 1.6, 0.35, 0.15];
/// How much more variance makes a pair count e times less.
const TEMPERATURE: f64 = 0.1;
/// No correction goes beyond this factor, as a natural logarithm, either way: 10¹³.
const MOST: f64 = 30.0;
/// Standard deviations from the middle to either end of an interval of 90 %.
const DEVIATIONS_90: f64 = 1.645;

/// What is expected of ln(true rows / the planner's estimate).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogCorrection {
    /// The most likely one.
    pub mean: f64,
    /// Its variance; 0 of a count.
    pub variance: f64,
}

impl LogCorrection {
    /// Of a relation of which nothing is known.
    fn of_nothing() -> Self {
        Self {
            mean: 0.0,
            variance: added_variance(1),
        }
    }

    /// Of a count: certain.
    pub fn counted(mean: f64) -> Self {
        Self {
            mean: sound(mean),
            variance: 0.0,
        }
    }

    /// The same believed as far as `belief`, in [0, 1], and `otherwise` for the rest.
    pub fn believed(self, belief: f64, otherwise: Self) -> Self {
        let belief = if belief.is_nan() {
            0.0
        } else {
            belief.clamp(0.0, 1.0)
        };
        let between = |own: f64, other: f64| own * belief + other * (1.0 - belief);
        Self {
            mean: sound(between(self.mean, otherwise.mean)),
            variance: between(self.variance, otherwise.variance),
        }
    }

    /// Of what the row model foresees for a planner's estimate of which `log_estimate` is the logarithm.
    pub fn predicted(prediction: &RowPrediction, log_estimate: f64) -> Self {
        // The nearer end may be cut off by what is possible.
        let reach = (prediction.upper - prediction.log_rows).max(prediction.log_rows - prediction.lower);
        let deviation = reach.max(0.0) / DEVIATIONS_90;
        Self {
            mean: sound(prediction.log_rows - log_estimate),
            variance: deviation * deviation,
        }
    }

    /// Of two independent opinions, by the inverse of their variances. One less certain than this is not heard.
    pub fn combined_with(self, other: Self) -> Self {
        let is_heard = other.mean.is_finite() && other.variance < self.variance;
        if !is_heard || other.variance <= 0.0 {
            return if is_heard { other } else { self };
        }
        // As shares: inverses of tiny variances times large means are no numbers.
        let share = match self.variance.is_finite() {
            true => 1.0 / (1.0 + other.variance / self.variance),
            false => 1.0,
        };
        Self {
            mean: sound(self.mean * (1.0 - share) + other.mean * share),
            variance: other.variance * share,
        }
    }

    /// At least the correction `least`, a lower bound.
    pub fn at_least(self, least: f64) -> Self {
        Self {
            mean: self.mean.max(sound(least)),
            ..self
        }
    }

    /// The correction to plan with: the mean, or `caution` standard deviations above it.
    pub fn cautious(self, caution: f64) -> f64 {
        sound(self.mean + caution.max(0.0) * self.variance.max(0.0).sqrt())
    }
}

/// The corrections of one query level, from small sets to large ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Propagation {
    known: BTreeMap<RelationSet, LogCorrection>,
}

impl Propagation {
    /// Without any correction.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the correction of a set, for the sets that contain it.
    pub fn insert(&mut self, set: RelationSet, correction: LogCorrection) {
        let correction = LogCorrection {
            mean: sound(correction.mean),
            variance: correction.variance.clamp(0.0, f64::MAX).max(0.0),
        };
        self.known.insert(set, correction);
    }

    /// The correction kept for a set.
    pub fn get(&self, set: RelationSet) -> Option<LogCorrection> {
        self.known.get(&set).copied()
    }

    /// The correction of a set, as those kept for its subsets with one and two relations less say. A relation of which
    /// none is kept is one of which nothing is known.
    ///
    /// Complexity: O(n² log kept) of n relations.
    pub fn expected(&self, set: RelationSet) -> LogCorrection {
        let relations = set.count_ones();
        if relations < 2 {
            return self.get(set).unwrap_or(LogCorrection::of_nothing());
        }
        let covered = if relations == 2 {
            self.sum_of_bases(set)
        } else {
            self.covered_twice(set)
                .or_else(|| self.covered_by_one(set))
                .unwrap_or_else(|| self.sum_of_bases(set))
        };
        LogCorrection {
            mean: sound(covered.mean),
            variance: covered.variance + added_variance(relations),
        }
    }

    /// By all pairs of subsets with one relation less whose intersection is kept, too.
    fn covered_twice(&self, set: RelationSet) -> Option<LogCorrection> {
        let without = |position: usize| set & !(1 << position);
        let mut mean = Weighted::default();
        for left in positions(set) {
            let Some(a) = self.get(without(left)) else {
                continue;
            };
            for right in positions(set).filter(|&right| right > left) {
                let common = without(left) & without(right);
                let (Some(b), Some(both)) = (self.get(without(right)), self.get(common)) else {
                    continue;
                };
                mean.add(LogCorrection {
                    mean: a.mean + b.mean - both.mean,
                    variance: (a.variance + b.variance - both.variance).abs(),
                });
            }
        }
        mean.value()
    }

    /// By a subset with one relation less, and that relation.
    fn covered_by_one(&self, set: RelationSet) -> Option<LogCorrection> {
        let mut mean = Weighted::default();
        for position in positions(set) {
            let last = 1 << position;
            let Some(rest) = self.get(set & !last) else {
                continue;
            };
            let last = self.expected(last);
            mean.add(LogCorrection {
                mean: rest.mean + last.mean,
                variance: rest.variance + last.variance + added_variance(2),
            });
        }
        mean.value()
    }

    fn sum_of_bases(&self, set: RelationSet) -> LogCorrection {
        let zero = LogCorrection {
            mean: 0.0,
            variance: 0.0,
        };
        positions(set)
            .map(|position| self.expected(1 << position))
            .fold(zero, |sum, base| LogCorrection {
                mean: sum.mean + base.mean,
                variance: sum.variance + base.variance,
            })
    }
}

/// A mean of corrections weighed by exp(−variance / temperature), kept relative to the least variance so far.
#[derive(Default)]
struct Weighted {
    least: f64,
    weights: f64,
    means: f64,
    variances: f64,
}

impl Weighted {
    fn add(&mut self, one: LogCorrection) {
        if self.weights == 0.0 {
            self.least = one.variance;
        }
        if one.variance < self.least {
            let factor = ((one.variance - self.least) / TEMPERATURE).exp();
            self.weights *= factor;
            self.means *= factor;
            self.variances *= factor;
            self.least = one.variance;
        }
        let weight = ((self.least - one.variance) / TEMPERATURE).exp();
        self.weights += weight;
        self.means += weight * one.mean;
        self.variances += weight * one.variance;
    }

    fn value(&self) -> Option<LogCorrection> {
        (self.weights > 0.0).then(|| LogCorrection {
            mean: self.means / self.weights,
            variance: self.variances / self.weights,
        })
    }
}

fn added_variance(relations: u32) -> f64 {
    let at = (relations.max(1) as usize - 1).min(ADDED_VARIANCE.len() - 1);
    ADDED_VARIANCE.get(at).copied().unwrap_or(0.0)
}

/// A correction that can be planned with; what is not a number corrects nothing.
fn sound(correction: f64) -> f64 {
    if correction.is_nan() {
        0.0
    } else {
        correction.clamp(-MOST, MOST)
    }
}

//! Row counts of joins never seen: what the planner's estimates missed so far, carried over to sub-joins of the same
//! parts, with an interval.
//!
//! ```text
//!   ln rows = ln estimate + Σ weight · part        (regression: joins and clauses seen anywhere)
//!                         + residual               (neighbours: the same tables with clauses alike)
//!             ± scale · standard deviation         (uncertainty: as far off as predictions of this kind were)
//! ```
//!
//! A correction that its own deviation puts in doubt is held back. A model that knows none of a sub-join's parts predicts the planner's estimate, exactly, in a wide interval. No
//! correction leaves the range of those observed, and no count exceeds the product of the tables.

use super::neighbours::GraphMemory;
use super::regression::FeatureRegression;
use super::template::{PriorVariances, SubJoin, log_rows};
use super::uncertainty::Calibration;
use serde::{Deserialize, Serialize};

/// Variance of what neither parts nor neighbours can explain.
const LEAST_VARIANCE: f64 = 0.002;

/// How much doubt holds a correction back: half of it is made where it is √½ standard deviations.
const CAUTION: f64 = 0.5;

/// What a model is made of. The defaults are those that predict held-out statements of STATS best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RowModelConfig {
    /// Parts remembered (at most 1,024): memory and time to learn grow with the square. 0: none.
    pub parts: usize,
    /// Sub-joins remembered as neighbours. 0: none.
    pub neighbours: usize,
    /// The share of counts an interval is to hold, in (0, 1).
    pub coverage: f64,
    /// What is expected of the parts.
    pub variances: PriorVariances,
    /// Variance of the log count of a base relation around what the parts say.
    pub noise: f64,
    /// The same, added with each join.
    pub noise_per_join: f64,
}

impl Default for RowModelConfig {
    fn default() -> Self {
        Self {
            parts: 512,
            neighbours: 2048,
            coverage: 0.9,
            variances: PriorVariances::default(),
            noise: 0.0025,
            noise_per_join: 0.16,
        }
    }
}

/// The rows expected of a sub-join, as natural logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowPrediction {
    /// The most likely count.
    pub log_rows: f64,
    /// The interval's lower end, at least 0: one row.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
    /// The share of the uncertainty that experience has removed, in [0, 1]; 0 means: this is the planner's estimate.
    pub known: f64,
}

/// Learns from counts of executed sub-joins, predicts those of others.
///
/// Memory with the defaults: 2 MB for the parts, at most some 2 MB for the neighbours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct RowModel {
    config: RowModelConfig,
    regression: FeatureRegression,
    memory: GraphMemory,
    calibration: Calibration,
    /// The least and the greatest correction observed, 0 among them.
    corrections: (f64, f64),
}

impl Default for RowModel {
    fn default() -> Self {
        Self::new(RowModelConfig::default())
    }
}

struct Assessment {
    prediction: RowPrediction,
    deviation: f64,
}

impl RowModel {
    /// A model that knows nothing.
    pub fn new(config: RowModelConfig) -> Self {
        Self {
            config,
            regression: FeatureRegression::new(config.parts),
            memory: GraphMemory::new(config.neighbours),
            calibration: Calibration::new(config.coverage),
            corrections: (0.0, 0.0),
        }
    }

    /// The number of parts and of neighbours known.
    pub fn size(&self) -> (usize, usize) {
        (self.regression.len(), self.memory.len())
    }

    /// Bytes on the heap.
    ///
    /// Complexity: O(neighbours).
    pub fn memory_bytes(&self) -> usize {
        self.regression.memory_bytes() + self.memory.memory_bytes() + self.calibration.memory_bytes()
    }

    /// The rows expected of a sub-join.
    ///
    /// Complexity: O(parts² + neighbours of the graph · parts of one).
    pub fn predict(&self, sub_join: &SubJoin) -> RowPrediction {
        self.assess(sub_join).prediction
    }

    /// Learns what one sub-join came to. Of several of one execution use [`Self::learn_execution`]: intervals are
    /// calibrated by predictions made before the execution was known.
    pub fn learn(&mut self, sub_join: &SubJoin, actual_rows: f64) {
        self.learn_execution(&[(sub_join, actual_rows)]);
    }

    /// Learns the sub-joins of one execution with their exact counts. What was seen before with the same outcome is not
    /// new and changes nothing; counts that are not finite are left out.
    ///
    /// Complexity: per sub-join O(parts known²).
    pub fn learn_execution(&mut self, counted: &[(&SubJoin, f64)]) {
        let mut new = Vec::with_capacity(counted.len());
        for &(sub_join, rows) in counted.iter().filter(|(_, rows)| rows.is_finite()) {
            let log_ratio = log_rows(rows) - sub_join.log_estimate();
            let (graph, clauses) = (sub_join.graph_template(), sub_join.clause_point());
            if self.memory.is_repeated(graph, &clauses, log_ratio) {
                continue;
            }
            let assessment = self.assess(sub_join);
            let error = log_rows(rows) - assessment.prediction.log_rows;
            new.push((sub_join, graph, clauses, log_ratio));
            let joins = sub_join.relations.len().saturating_sub(1);
            let known = assessment.prediction.known;
            self.calibration
                .record(joins, known, error / assessment.deviation);
        }
        for (sub_join, graph, clauses, log_ratio) in &new {
            let features = sub_join.features(&self.config.variances);
            self.regression.learn(&features, *log_ratio, self.noise(sub_join));
            let parts = self.regression.placed(&features);
            self.memory.learn(*graph, clauses, parts, *log_ratio);
            self.corrections.0 = self.corrections.0.min(*log_ratio);
            self.corrections.1 = self.corrections.1.max(*log_ratio);
        }
        if !new.is_empty() {
            self.calibration.refresh();
        }
    }

    /// The same without neighbours and with only the `parts` used last.
    pub(super) fn reduced(&self, parts: usize) -> Self {
        Self {
            regression: self.regression.of_latest(parts),
            memory: GraphMemory::new(self.config.neighbours),
            ..self.clone()
        }
    }

    fn noise(&self, sub_join: &SubJoin) -> f64 {
        let joins = sub_join.relations.len().saturating_sub(1) as f64;
        self.config.noise + joins * self.config.noise_per_join
    }

    fn assess(&self, sub_join: &SubJoin) -> Assessment {
        let belief = self
            .regression
            .predict(&sub_join.features(&self.config.variances));
        let (graph, clauses) = (sub_join.graph_template(), sub_join.clause_point());
        let near = self.memory.predict(graph, &clauses, &self.regression);
        let noise = self.noise(sub_join);
        let variance = (belief.variance + noise) * near.uncertain;
        let known = (1.0 - variance / (belief.prior_variance + noise)).clamp(0.0, 1.0);
        let deviation = (variance + LEAST_VARIANCE).sqrt();

        let estimate = sub_join.log_estimate();
        let most = sub_join.log_most().max(estimate);
        let correction = cautious(belief.mean + near.residual, deviation);
        let correction = correction.clamp(self.corrections.0, self.corrections.1);
        let log_rows = (estimate + correction).clamp(0.0, most);
        let joins = sub_join.relations.len().saturating_sub(1);
        let reach = self.calibration.scale(joins, known) * deviation;
        let prediction = RowPrediction {
            log_rows,
            lower: (log_rows - reach).max(0.0),
            upper: (log_rows + reach).min(most),
            known,
        };
        Assessment {
            prediction,
            deviation,
        }
    }
}

/// A correction, the less of it the less it stands out from its standard deviation (the non-negative garrote, Breiman
/// 1995): a correction that may as well be none does harm more often than good.
fn cautious(correction: f64, deviation: f64) -> f64 {
    let doubt = CAUTION * deviation * deviation;
    correction * (correction * correction / (correction * correction + doubt))
}

/// How a model is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    config: RowModelConfig,
    regression: FeatureRegression,
    memory: GraphMemory,
    calibration: Calibration,
    corrections: (f64, f64),
}

impl From<RowModel> for Stored {
    fn from(model: RowModel) -> Self {
        Self {
            config: model.config,
            regression: model.regression,
            memory: model.memory,
            calibration: model.calibration,
            corrections: model.corrections,
        }
    }
}

impl TryFrom<Stored> for RowModel {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let (least, greatest) = stored.corrections;
        let is_sound = stored.memory.is_sound()
            && stored.calibration.is_sound()
            && least.is_finite()
            && greatest.is_finite()
            && least <= 0.0
            && greatest >= 0.0
            && stored.config.noise > 0.0
            && stored.config.noise_per_join >= 0.0;
        if !is_sound {
            return Err("a row model out of bounds");
        }
        Ok(Self {
            config: stored.config,
            regression: stored.regression,
            memory: stored.memory,
            calibration: stored.calibration,
            corrections: stored.corrections,
        })
    }
}

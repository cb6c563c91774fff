//! Stage 8 of 9, learning: what the learning system may use, and four ways to set it.

use super::coordinator::LoopBudgets;
use crate::Error;
use crate::embedding::DIMENSIONS;
use serde::{Deserialize, Serialize};

/// What can be switched off, to see what it earns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mechanisms {
    /// The adapters of embeddings.
    pub lora: bool,
    /// Nearest executions and patterns.
    pub neighbours: bool,
    /// What is remembered of a statement that ran.
    pub recall: bool,
    /// Protection of what was learned before.
    pub ewc: bool,
}

impl Default for Mechanisms {
    /// All.
    fn default() -> Self {
        Self {
            lora: true,
            neighbours: true,
            recall: true,
            ewc: true,
        }
    }
}

/// Settings of the learning system.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SonaConfig {
    /// Coordinates of an embedding: 256, the only number there is.
    pub embedding_dim: usize,
    /// Rank of the adapters per operator type, 1 or 2.
    pub micro_rank: usize,
    /// Rank of the adapter of loop B, 1 to 64.
    pub base_rank: usize,
    /// Step of the adapters per operator type, in (0, 1].
    pub micro_learning_rate: f32,
    /// Step of the adapter of loop B, in (0, 10].
    pub base_learning_rate: f32,
    /// Statements after which accumulated gradients are applied.
    pub flush_interval: usize,
    /// Steps of loop B.
    pub training_steps: usize,
    /// λ of EWC++ at the first task; it grows with the tasks.
    pub ewc_lambda: f32,
    /// The greatest λ.
    pub max_ewc_lambda: f32,
    /// The share of a parameter's importance that remains after each gradient, in (0, 1).
    pub ewc_fisher_decay: f32,
    /// Trajectories that may wait for loop B.
    pub trajectory_capacity: usize,
    /// Executions that are remembered, one per statement and decision.
    pub memory_capacity: usize,
    /// Patterns that are kept.
    pub pattern_capacity: usize,
    /// Clusters of loop B.
    pub clusters: usize,
    /// Neighbours that predict.
    pub neighbours: usize,
    /// Least quality of a trajectory to be learned from, in [0, 1].
    pub quality_threshold: f32,
    /// Executions from which on a pattern is mature.
    pub mature_size: u32,
    /// Confidence from which on a pattern is mature, in [0, 1].
    pub mature_confidence: f32,
    /// Seed of all that is random.
    pub seed: u64,
    /// What is used.
    pub mechanisms: Mechanisms,
    /// When loops run, and for how long.
    pub budgets: LoopBudgets,
}

impl Default for SonaConfig {
    fn default() -> Self {
        Self {
            embedding_dim: DIMENSIONS,
            micro_rank: 2,
            base_rank: 8,
            micro_learning_rate: 0.05,
            base_learning_rate: 0.5,
            flush_interval: 100,
            training_steps: 24,
            ewc_lambda: 2_000.0,
            max_ewc_lambda: 15_000.0,
            ewc_fisher_decay: 0.999,
            trajectory_capacity: 10_000,
            memory_capacity: 2_000,
            pattern_capacity: 10_000,
            clusters: 100,
            neighbours: 10,
            quality_threshold: 0.0,
            mature_size: 5,
            mature_confidence: 0.6,
            seed: 1,
            mechanisms: Mechanisms::default(),
            budgets: LoopBudgets::default(),
        }
    }
}

impl SonaConfig {
    /// As little work per statement as can be: rank 1, a small memory to search, gradients applied rarely.
    pub fn max_throughput() -> Self {
        Self {
            micro_rank: 1,
            flush_interval: 500,
            memory_capacity: 500,
            neighbours: 5,
            training_steps: 8,
            ..Self::default()
        }
    }

    /// The best predictions: a rank of 16, a large memory, long training.
    pub fn max_quality() -> Self {
        Self {
            base_rank: 16,
            flush_interval: 50,
            memory_capacity: 5_000,
            training_steps: 60,
            clusters: 200,
            ..Self::default()
        }
    }

    /// Less than 5 MB in all.
    pub fn edge_deployment() -> Self {
        Self {
            micro_rank: 1,
            base_rank: 4,
            trajectory_capacity: 200,
            memory_capacity: 300,
            pattern_capacity: 500,
            clusters: 20,
            neighbours: 5,
            training_steps: 8,
            ..Self::default()
        }
    }

    /// For statements that come by the thousand and can wait: much is buffered and learned at once.
    pub fn batch_processing() -> Self {
        Self {
            flush_interval: 1_000,
            trajectory_capacity: 50_000,
            memory_capacity: 5_000,
            clusters: 200,
            budgets: LoopBudgets {
                background_interval_us: 4 * 3_600_000_000,
                background_us: 30_000_000,
                background_least: 1_000,
                ..LoopBudgets::default()
            },
            ..Self::default()
        }
    }

    /// # Errors
    /// [`Error::InvalidSetting`] naming the first setting that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let ranges = [
            (
                "embedding_dim",
                self.embedding_dim as f64,
                DIMENSIONS as f64,
                DIMENSIONS as f64,
            ),
            ("micro_rank", self.micro_rank as f64, 1.0, 2.0),
            ("base_rank", self.base_rank as f64, 1.0, 64.0),
            (
                "micro_learning_rate",
                f64::from(self.micro_learning_rate),
                1e-9,
                1.0,
            ),
            (
                "base_learning_rate",
                f64::from(self.base_learning_rate),
                1e-9,
                10.0,
            ),
            ("flush_interval", self.flush_interval as f64, 1.0, 1e6),
            ("training_steps", self.training_steps as f64, 0.0, 1e4),
            (
                "ewc_lambda",
                f64::from(self.ewc_lambda),
                0.0,
                f64::from(self.max_ewc_lambda),
            ),
            ("max_ewc_lambda", f64::from(self.max_ewc_lambda), 0.0, 1e9),
            ("trajectory_capacity", self.trajectory_capacity as f64, 1.0, 1e7),
            ("memory_capacity", self.memory_capacity as f64, 1.0, 1e6),
            ("pattern_capacity", self.pattern_capacity as f64, 1.0, 1e6),
            ("clusters", self.clusters as f64, 1.0, 1e4),
            ("neighbours", self.neighbours as f64, 1.0, 1e3),
            ("quality_threshold", f64::from(self.quality_threshold), 0.0, 1.0),
            (
                "mature_size",
                f64::from(self.mature_size),
                1.0,
                f64::from(u32::MAX),
            ),
            ("mature_confidence", f64::from(self.mature_confidence), 0.0, 1.0),
        ];
        for (name, given, least, greatest) in ranges {
            // What is not a number is in no range.
            if !(least..=greatest).contains(&given) {
                return Err(Error::InvalidSetting { name, given });
            }
        }
        self.budgets.validate()
    }
}

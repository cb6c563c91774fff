//! Stage 8 of 9, learning: the engine, which holds all that is learned. What it does is in `instant`, `background`, `deep`.

use super::config::SonaConfig;
use super::dream::DreamEngine;
use super::ewc::{EwcConfig, EwcPlusPlus};
use super::memory::Execution;
use super::model::LatencyModel;
use crate::Error;
use crate::embedding::DIMENSIONS;
use crate::patterns::{BankConfig, Pattern, ReasoningBank};
use crate::trajectory::TrajectoryBuffer;
use std::collections::BTreeMap;

/// A boost below this is none.
const LEAST_BOOST: f32 = 1.05;
/// The greatest boost.
pub(super) const MAX_BOOST: f32 = 10.0;

/// SONA: learns from executions at three speeds.
#[derive(Debug)]
pub struct DagSonaEngine {
    pub(super) config: SonaConfig,
    pub(super) model: LatencyModel,
    pub(super) buffer: TrajectoryBuffer,
    pub(super) bank: ReasoningBank,
    pub(super) ewc: EwcPlusPlus,
    pub(super) dreams: DreamEngine,
    /// By pattern, how much more is learned there.
    pub(super) boosts: BTreeMap<u64, f32>,
    /// Statements since the adapters of the operator types changed.
    pub(super) since_flush: usize,
}

impl DagSonaEngine {
    /// An engine that knows nothing yet.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a setting out of its range.
    pub fn new(config: SonaConfig) -> Result<Self, Error> {
        config.validate()?;
        let model = LatencyModel::new(&config)?;
        Ok(Self {
            ewc: EwcPlusPlus::new(model.adapters.parameter_count(), ewc_config(&config))?,
            model,
            buffer: TrajectoryBuffer::new(config.trajectory_capacity),
            bank: ReasoningBank::new(BankConfig {
                capacity: config.pattern_capacity,
                ..BankConfig::default()
            }),
            dreams: DreamEngine::default(),
            boosts: BTreeMap::new(),
            since_flush: 0,
            config,
        })
    }

    /// The settings.
    pub fn config(&self) -> &SonaConfig {
        &self.config
    }

    /// Where trajectories wait for loop B; sessions may push to it without the engine.
    pub fn buffer(&self) -> &TrajectoryBuffer {
        &self.buffer
    }

    /// The patterns.
    pub fn bank(&self) -> &ReasoningBank {
        &self.bank
    }

    /// The patterns, to pin, forget and store them.
    pub fn bank_mut(&mut self) -> &mut ReasoningBank {
        &mut self.bank
    }

    /// What protects what was learned before.
    pub fn ewc(&self) -> &EwcPlusPlus {
        &self.ewc
    }

    /// The executions that predictions are made from.
    pub fn executions(&self) -> &[Execution] {
        self.model.memory.executions()
    }

    /// The patterns that are known well enough to be shared, by number.
    pub fn get_mature_patterns(&self) -> Vec<Pattern> {
        let (size, confidence) = (self.config.mature_size, self.config.mature_confidence);
        let is_mature = |pattern: &&Pattern| pattern.size >= size && pattern.confidence >= confidence;
        let mut mature: Vec<Pattern> = self.bank.patterns().iter().filter(is_mature).cloned().collect();
        mature.sort_by_key(|pattern| pattern.id);
        mature
    }

    /// Takes patterns over that others learned; answers how many were. They come as strangers: with half of their
    /// confidence, unpinned, under numbers of this bank, and impossible ones not at all. Near-equal ones become one.
    pub fn merge_network_patterns(&mut self, patterns: Vec<Pattern>, now_us: u64) -> usize {
        let mut taken = 0;
        for pattern in patterns {
            let stranger = Pattern {
                id: 0,
                confidence: 0.5 * pattern.confidence,
                confidence_at_us: now_us,
                uses: 0,
                used_us: now_us,
                is_pinned: false,
                ..pattern
            };
            taken += usize::from(self.bank.store(stranger).is_ok());
        }
        self.bank.merge_similar();
        taken
    }

    /// Learns more from the plans of a pattern, as when its tension rises: `factor` times as much, from 1 to 10. What is
    /// above 1 halves with each run of loop B. `false` when there is no such pattern or factor.
    pub fn boost_learning_rate(&mut self, pattern: u64, factor: f32) -> bool {
        let is_known = self.bank.get(pattern).is_some() && (1.0..=MAX_BOOST).contains(&factor);
        if is_known {
            self.boosts.insert(pattern, factor);
        }
        is_known
    }

    /// The boosts by pattern.
    pub fn boosts(&self) -> &BTreeMap<u64, f32> {
        &self.boosts
    }

    pub(super) fn fade_boosts(&mut self) {
        self.boosts.retain(|_, boost| {
            *boost = 1.0 + 0.5 * (*boost - 1.0);
            *boost >= LEAST_BOOST
        });
    }

    /// Bytes on the heap: the memory, the patterns, adapters and what protects them, and the trajectories that wait, those
    /// as many as there is room for, of 24 operators' types and without steps.
    pub fn memory_bytes(&self) -> usize {
        let number = size_of::<f32>();
        let embedding = DIMENSIONS * number;
        let adapters = &self.model.adapters;
        // A gradient that waits is as long as the parameters.
        let micro = 2 * adapters.micro.parameters().len();
        let base = adapters.base.parameters().len();
        // Of each task importance and place; the sum of all; the running importance.
        let ewc = (2 * self.ewc.config().max_tasks + 4) * self.ewc.parameters();
        let pattern = size_of::<Pattern>() + embedding + 4 * size_of::<u64>();
        let metadata: usize = self
            .bank
            .patterns()
            .iter()
            .map(|pattern| pattern.metadata.capacity())
            .sum();
        let trajectory = size_of::<crate::trajectory::Trajectory>() + embedding + 24 * 8;
        self.model.memory.memory_bytes()
            + self.model.shots.memory_bytes()
            + (micro + base + ewc) * number
            + self.bank.len() * pattern
            + metadata
            + self.buffer.capacity() * trajectory
            + 4 * 512 * number
    }
}

pub(super) fn ewc_config(config: &SonaConfig) -> EwcConfig {
    EwcConfig {
        lambda: config.ewc_lambda,
        max_lambda: config.max_ewc_lambda,
        fisher_decay: config.ewc_fisher_decay,
        ..EwcConfig::default()
    }
}

//! Stage 8 of 9, learning: all that is learned as bytes, to survive restarts and to move between servers.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `RVSL` |
//! | 1 | version |
//! | 8 | checksum of the version and the body, little endian (`cardinality::hash_bytes`) |
//! | rest | the body: serde on postcard |
//!
//! - Version 2, which is written: the line through cost, executions, calibrations, adapters, EWC++, patterns, boosts.
//! - Version 1: the line and the executions; the rest begins anew.
//!
//! Bytes come from outside: what is damaged, cut short, impossible or newer is refused as a whole. Adapters keep the rank
//! they were stored with. Trajectories that wait in the buffer and gradients not applied yet are not kept.

use super::adapters::PlanAdapters;
use super::config::SonaConfig;
use super::conformal::Calibration;
use super::engine::DagSonaEngine;
use super::ewc::EwcPlusPlus;
use super::latency::CostLine;
use super::memory::{Execution, ExecutionMemory};
use crate::Error;
use crate::frame::{Frame, malformed, read};
use crate::patterns::Pattern;
use serde::{Deserialize, Serialize};

/// The version that is written, the newest that is read.
pub const STATE_VERSION: u8 = 2;
const FRAME: Frame = Frame {
    magic: *b"RVSL",
    newest: STATE_VERSION,
};

#[derive(Serialize, Deserialize)]
struct Version1 {
    line: CostLine,
    executions: Vec<Execution>,
}

#[derive(Deserialize)]
struct Version2 {
    line: CostLine,
    executions: Vec<Execution>,
    calibrations: [Calibration; 4],
    adapters: PlanAdapters,
    ewc: EwcPlusPlus,
    patterns: Vec<Pattern>,
    boosts: Vec<(u64, f32)>,
}

/// The same as it is written, without a copy of what is most of the memory.
#[derive(Serialize)]
struct Stored2<'e> {
    line: &'e CostLine,
    executions: Vec<&'e Execution>,
    calibrations: &'e [Calibration; 4],
    adapters: &'e PlanAdapters,
    ewc: &'e EwcPlusPlus,
    patterns: Vec<&'e Pattern>,
    boosts: Vec<(u64, f32)>,
}

impl Version1 {
    /// What version 1 did not know begins anew.
    fn migrated(self, config: &SonaConfig) -> Result<Version2, Error> {
        let fresh = DagSonaEngine::new(*config)?;
        Ok(Version2 {
            line: self.line,
            executions: self.executions,
            calibrations: fresh.model.calibrations,
            adapters: fresh.model.adapters,
            ewc: fresh.ewc,
            patterns: Vec::new(),
            boosts: Vec::new(),
        })
    }
}

impl DagSonaEngine {
    /// All that is learned.
    pub fn to_state(&self) -> Vec<u8> {
        let executions = self.model.memory.executions().iter().collect();
        self.state_of(executions, self.bank.patterns().iter().collect())
    }

    /// The state with these executions and patterns alone.
    pub(super) fn state_of(&self, executions: Vec<&Execution>, patterns: Vec<&Pattern>) -> Vec<u8> {
        let stored = Stored2 {
            line: &self.model.line,
            executions,
            calibrations: &self.model.calibrations,
            adapters: &self.model.adapters,
            ewc: &self.ewc,
            patterns,
            boosts: self.boosts.iter().map(|(&id, &boost)| (id, boost)).collect(),
        };
        FRAME.wrap(STATE_VERSION, &stored)
    }

    /// The state as version 1 wrote it: the line through cost and the executions, for servers that know no more.
    pub fn to_state_version_1(&self) -> Vec<u8> {
        let state = Version1 {
            line: self.model.line,
            executions: self.model.memory.executions().to_vec(),
        };
        FRAME.wrap(1, &state)
    }

    /// An engine that knows what was stored. What there is no room for under this configuration goes, the oldest and the
    /// least worthy first.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a setting out of its range, [`Error::NewerState`], [`Error::MalformedState`].
    pub fn from_state(config: SonaConfig, bytes: &[u8]) -> Result<Self, Error> {
        config.validate()?;
        let (version, body) = FRAME.open(bytes)?;
        let state = match version {
            1 => read::<Version1>(body)?.migrated(&config)?,
            STATE_VERSION => read::<Version2>(body)?,
            _ => return Err(malformed("of no version")),
        };
        Self::of(config, state)
    }

    fn of(config: SonaConfig, state: Version2) -> Result<Self, Error> {
        let mut engine = Self::new(config)?;
        let is_possible = state.line.is_valid()
            && state.calibrations.iter().all(Calibration::is_valid)
            && state
                .boosts
                .iter()
                .all(|(_, boost)| (1.0..=super::engine::MAX_BOOST).contains(boost))
            && state.ewc.parameters() == state.adapters.base.parameters().len();
        if !is_possible {
            return Err(malformed("impossible numbers"));
        }
        engine.model.line = state.line;
        engine.model.calibrations = state.calibrations;
        engine.model.adapters = state.adapters;
        engine.ewc = state.ewc;
        let adapt = |known: &Execution| engine.model.adapt(&known.embedding, &known.operator_types);
        engine.model.memory = ExecutionMemory::restore(config.memory_capacity, state.executions, adapt)
            .ok_or(malformed("impossible executions"))?;
        for pattern in state.patterns {
            let is_stored = engine.bank.store(pattern);
            // Pinned ones that there is no room for are the owner's to choose from.
            if matches!(is_stored, Err(Error::InvalidPattern { .. })) {
                return Err(malformed("impossible patterns"));
            }
        }
        engine.boosts = state.boosts.into_iter().collect();
        Ok(engine)
    }
}

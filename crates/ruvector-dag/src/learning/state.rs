//! Stage 8 of 9, learning: all that is learned as bytes, to survive restarts and to move between servers.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `RVSL` |
//! | 1 | version |
//! | 8 | checksum of the version and the body, little endian (`cardinality::hash_bytes`) |
//! | rest | the body: serde on postcard |
//!
//! - Version 3, which is written: the line through cost and the one that is kept, executions, calibrations, adapters,
//!   EWC++ (but for those who only predict), patterns, boosts, what was remembered in one shot.
//! - Version 2: one line, nothing remembered in one shot; its adapters served another objective, so that they and EWC++
//!   begin anew.
//! - Version 1: the line and the executions; the rest begins anew.
//!
//! Bytes come from outside: what is damaged, cut short, impossible or newer is refused as a whole. Adapters keep the rank
//! they were stored with. Trajectories that wait in the buffer and gradients not applied yet are not kept.

use super::adapters::PlanAdapters;
use super::base_lora::BaseLora;
use super::btsp_memory::BtspMemory;
use super::config::SonaConfig;
use super::conformal::Calibration;
use super::engine::DagSonaEngine;
use super::ewc::EwcPlusPlus;
use super::latency::CostLine;
use super::memory::{Execution, ExecutionMemory};
use super::micro_lora::MicroLora;
use crate::Error;
use crate::frame::{Frame, malformed, read};
use crate::patterns::Pattern;
use serde::{Deserialize, Serialize};

/// The version that is written, the newest that is read.
pub const STATE_VERSION: u8 = 3;
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
#[cfg_attr(test, derive(Serialize))]
struct Version2 {
    line: CostLine,
    executions: Vec<Execution>,
    calibrations: [Calibration; 4],
    adapters: PlanAdapters,
    ewc: EwcPlusPlus,
    patterns: Vec<Pattern>,
    boosts: Vec<(u64, f32)>,
}

#[derive(Deserialize)]
struct Version3 {
    line: CostLine,
    reference: CostLine,
    is_anchored: bool,
    reach: Option<f64>,
    executions: Vec<Execution>,
    calibrations: [Calibration; 4],
    adapters: PlanAdapters,
    ewc: Option<EwcPlusPlus>,
    patterns: Vec<Pattern>,
    boosts: Vec<(u64, f32)>,
    shots: BtspMemory,
}

/// The same as it is written, without a copy of what is most of the memory.
#[derive(Serialize)]
struct Stored3<'e> {
    line: &'e CostLine,
    reference: &'e CostLine,
    is_anchored: bool,
    reach: Option<f64>,
    executions: Vec<&'e Execution>,
    calibrations: &'e [Calibration; 4],
    adapters: &'e PlanAdapters,
    ewc: Option<&'e EwcPlusPlus>,
    patterns: Vec<&'e Pattern>,
    boosts: Vec<(u64, f32)>,
    shots: &'e BtspMemory,
}

/// What of the memories is stored.
pub(super) struct Parts<'e> {
    pub(super) executions: Vec<&'e Execution>,
    pub(super) patterns: Vec<&'e Pattern>,
    pub(super) ewc: Option<&'e EwcPlusPlus>,
    pub(super) shots: &'e BtspMemory,
}

impl Version2 {
    fn migrated(self, config: &SonaConfig) -> Result<Version3, Error> {
        let fresh = DagSonaEngine::new(*config)?;
        let ranks = (self.adapters.base.rank(), self.adapters.micro.rank());
        let is_possible = self.ewc.parameters() == self.adapters.base.parameters().len();
        if !is_possible {
            return Err(malformed("impossible numbers"));
        }
        Ok(Version3 {
            line: self.line,
            reference: CostLine::default(),
            is_anchored: false,
            reach: None,
            executions: self.executions,
            calibrations: self.calibrations,
            adapters: PlanAdapters {
                base: BaseLora::new(ranks.0, config.seed)?,
                micro: MicroLora::new(ranks.1, config.seed)?,
            },
            ewc: None,
            patterns: self.patterns,
            boosts: self.boosts,
            shots: fresh.model.shots,
        })
    }
}

impl Version1 {
    /// What version 1 did not know begins anew.
    fn migrated(self, config: &SonaConfig) -> Result<Version2, Error> {
        let fresh = DagSonaEngine::new(*config)?;
        Ok(Version2 {
            line: self.line,
            executions: self.executions,
            calibrations: fresh.model.calibrations,
            ewc: EwcPlusPlus::new(fresh.model.adapters.base.parameters().len(), *fresh.ewc.config())?,
            adapters: fresh.model.adapters,
            patterns: Vec::new(),
            boosts: Vec::new(),
        })
    }
}

impl DagSonaEngine {
    /// All that is learned.
    pub fn to_state(&self) -> Vec<u8> {
        let executions = self.model.memory.executions().iter().collect();
        self.state_of(Parts {
            executions,
            patterns: self.bank.patterns().iter().collect(),
            ewc: Some(&self.ewc),
            shots: &self.model.shots,
        })
    }

    /// The state with these parts alone.
    pub(super) fn state_of(&self, parts: Parts<'_>) -> Vec<u8> {
        let model = &self.model;
        let stored = Stored3 {
            line: &model.line,
            reference: &model.reference,
            is_anchored: model.is_anchored,
            reach: model.reach.is_finite().then_some(model.reach),
            executions: parts.executions,
            calibrations: &model.calibrations,
            adapters: &model.adapters,
            ewc: parts.ewc,
            patterns: parts.patterns,
            boosts: self.boosts.iter().map(|(&id, &boost)| (id, boost)).collect(),
            shots: parts.shots,
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
            1 => read::<Version1>(body)?.migrated(&config)?.migrated(&config)?,
            2 => read::<Version2>(body)?.migrated(&config)?,
            STATE_VERSION => read::<Version3>(body)?,
            _ => return Err(malformed("of no version")),
        };
        Self::of(config, state)
    }

    fn of(config: SonaConfig, state: Version3) -> Result<Self, Error> {
        let mut engine = Self::new(config)?;
        let parameters = state.adapters.parameter_count();
        let ewc = match state.ewc {
            Some(ewc) => ewc,
            None => EwcPlusPlus::new(parameters, *engine.ewc.config())?,
        };
        let is_possible = state.line.is_valid()
            && state.reference.is_valid()
            && state.reach.is_none_or(|reach| reach.is_finite() && reach >= 0.0)
            && state.shots.is_sound()
            && state.calibrations.iter().all(Calibration::is_valid)
            && state
                .boosts
                .iter()
                .all(|(_, boost)| (1.0..=super::engine::MAX_BOOST).contains(boost))
            && ewc.parameters() == parameters;
        if !is_possible {
            return Err(malformed("impossible numbers"));
        }
        engine.model.line = state.line;
        engine.model.reference = state.reference;
        engine.model.is_anchored = state.is_anchored;
        engine.model.reach = state.reach.unwrap_or(f64::INFINITY);
        engine.model.calibrations = state.calibrations;
        engine.model.adapters = state.adapters;
        engine.ewc = ewc;
        let adapt = |known: &Execution| engine.model.adapt(&known.embedding, &known.operator_types);
        engine.model.memory = ExecutionMemory::restore(config.memory_capacity, state.executions, adapt)
            .ok_or(malformed("impossible executions"))?;
        engine.model.take_shots(state.shots);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::PlanEmbedding;
    use crate::learning::LatencyQuery;
    use crate::trajectory::TrajectoryBuilder;

    #[test]
    fn of_version_2_adapters_begin_anew_and_the_rest_is_kept() {
        let config = SonaConfig::edge_deployment();
        let mut engine = DagSonaEngine::new(config).expect("settings");
        let embedding = PlanEmbedding::normalised(&[1.0; 256]).expect("a direction");
        let seen = TrajectoryBuilder::new(1, 1, embedding).cost(10.0).build(3.0, 5);
        engine.post_query(seen.clone());
        engine.background_learn(6);
        let base = &engine.model.adapters.base;
        let state = Version2 {
            line: engine.model.line,
            executions: engine.executions().to_vec(),
            calibrations: engine.model.calibrations.clone(),
            adapters: engine.model.adapters.clone(),
            ewc: EwcPlusPlus::new(base.parameters().len(), *engine.ewc.config()).expect("settings"),
            patterns: engine.bank.patterns().to_vec(),
            boosts: Vec::new(),
        };
        let again = DagSonaEngine::from_state(config, &FRAME.wrap(2, &state)).expect("a state");
        assert_eq!(again.executions(), engine.executions());
        assert_eq!(again.bank().patterns(), engine.bank().patterns());
        assert_eq!(
            again.model.adapters,
            DagSonaEngine::new(config).expect("settings").model.adapters
        );
        assert_eq!(again.ewc.parameters(), again.model.adapters.parameter_count());
        let known = again.predict(&LatencyQuery::of(&seen), &seen.embedding, &seen.operator_types);
        assert_eq!(known.log_latency, seen.log_latency);
        let foreign = Version2 {
            ewc: EwcPlusPlus::new(3, *engine.ewc.config()).expect("settings"),
            ..state
        };
        assert!(DagSonaEngine::from_state(config, &FRAME.wrap(2, &foreign)).is_err());
    }
}

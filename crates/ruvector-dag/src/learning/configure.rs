//! Stage 8 of 9, learning: other settings for an engine that learned already.

use super::adapters::PlanAdapters;
use super::base_lora::BaseLora;
use super::config::SonaConfig;
use super::engine::{DagSonaEngine, ewc_config};
use super::ewc::EwcPlusPlus;
use super::micro_lora::MicroLora;
use crate::Error;

impl DagSonaEngine {
    /// Takes other settings over. What was learned stays, but for adapters of another rank, which begin anew, and what
    /// there is no room for any more, which goes as in [`DagSonaEngine::from_state`].
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a setting out of its range; then nothing changes.
    pub fn configure(&mut self, config: SonaConfig) -> Result<(), Error> {
        if config == self.config {
            return Ok(());
        }
        let mut configured = Self::from_state(config, &self.to_state())?;
        let adapters = &configured.model.adapters;
        if (adapters.micro.rank(), adapters.base.rank()) != (config.micro_rank, config.base_rank) {
            configured.model.adapters = PlanAdapters {
                base: BaseLora::new(config.base_rank, config.seed)?,
                micro: MicroLora::new(config.micro_rank, config.seed)?,
            };
            let parameters = configured.model.adapters.base.parameters().len();
            configured.ewc = EwcPlusPlus::new(parameters, ewc_config(&config))?;
            configured.model.readapt();
        } else {
            configured.ewc.configure(ewc_config(&config))?;
        }
        *self = configured;
        Ok(())
    }

    /// All that is learned in at most so many bytes, for those who only predict: executions go, the oldest first, until
    /// it fits; then patterns, the least worthy first. Empty when nothing of it fits.
    pub fn to_state_within(&self, bytes: usize) -> Vec<u8> {
        let mut config = self.config;
        let mut state = self.to_state();
        let mut smaller = None;
        while state.len() > bytes {
            // Executions and patterns are nearly all of it.
            let engine = smaller.as_ref().unwrap_or(self);
            config.memory_capacity = engine.executions().len() / 2;
            config.pattern_capacity = engine.bank().len() * 3 / 4;
            if config.memory_capacity == 0 || config.pattern_capacity == 0 {
                return Vec::new();
            }
            let Ok(engine) = Self::from_state(config, &state) else {
                return Vec::new();
            };
            state = engine.to_state();
            smaller = Some(engine);
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_rank_begins_anew_and_nothing_else_does() {
        let mut engine = DagSonaEngine::new(SonaConfig::default()).expect("defaults");
        let config = SonaConfig {
            base_rank: 4,
            clusters: 7,
            ewc_lambda: 3_000.0,
            ..SonaConfig::default()
        };
        engine.configure(config).expect("valid settings");
        assert_eq!(engine.model.adapters.base.rank(), 4);
        assert_eq!(
            engine.ewc.parameters(),
            engine.model.adapters.base.parameters().len()
        );
        assert_eq!(
            (engine.config().clusters, engine.ewc.config().lambda),
            (7, 3_000.0)
        );
        let wrong = SonaConfig {
            clusters: 0,
            ..config
        };
        assert!(engine.configure(wrong).is_err());
        assert_eq!(engine.config().clusters, 7);
        assert!(engine.to_state_within(10).is_empty());
        assert_eq!(engine.to_state_within(usize::MAX), engine.to_state());
    }
}

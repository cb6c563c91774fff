//! Stage 8 of 9, learning: other settings for an engine that learned already.

use super::adapters::PlanAdapters;
use super::base_lora::BaseLora;
use super::config::SonaConfig;
use super::engine::{DagSonaEngine, ewc_config};
use super::ewc::EwcPlusPlus;
use super::memory::Execution;
use super::micro_lora::MicroLora;
use super::state::Parts;
use crate::Error;
use crate::embedding::DIMENSIONS;

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
            let parameters = configured.model.adapters.parameter_count();
            configured.ewc = EwcPlusPlus::new(parameters, ewc_config(&config))?;
            configured.model.readapt();
        } else {
            configured.ewc.configure(ewc_config(&config))?;
        }
        *self = configured;
        Ok(())
    }

    /// All that is learned in at most so many bytes, for those who only predict: of the executions half of what is left goes
    /// at a time, the oldest first, and of the patterns a quarter, the least worthy first, until it fits. Empty when
    /// nothing of it fits.
    pub fn to_state_within(&self, bytes: usize) -> Vec<u8> {
        // Embeddings are most of it: more of them than this can't fit.
        let most = bytes / (DIMENSIONS * size_of::<f32>());
        let mut newest: Vec<&Execution> = self.executions().iter().collect();
        newest.sort_by_key(|execution| std::cmp::Reverse(execution.at_us));
        let mut worthiest = self.bank.by_worth();
        worthiest.reverse();
        loop {
            if newest.len() + worthiest.len() <= most {
                let shots = self.model.shots.latest(newest.len());
                let state = self.state_of(Parts {
                    executions: newest.clone(),
                    patterns: worthiest.clone(),
                    ewc: None,
                    shots: &shots,
                });
                if state.len() <= bytes {
                    return state;
                }
            }
            if newest.is_empty() && worthiest.is_empty() {
                return Vec::new();
            }
            newest.truncate(newest.len() / 2);
            worthiest.truncate(worthiest.len() * 3 / 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::PlanEmbedding;
    use crate::patterns::Pattern;
    use crate::trajectory::TrajectoryBuilder;

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
        assert_eq!(engine.ewc.parameters(), engine.model.adapters.parameter_count());
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
        let to_predict = engine.to_state_within(usize::MAX);
        let again = DagSonaEngine::from_state(config, &to_predict).expect("a state");
        assert_eq!(again.to_state(), engine.to_state());
    }

    #[test]
    fn what_fits_is_the_newest_and_the_worthiest() {
        let mut engine = DagSonaEngine::new(SonaConfig::default()).expect("defaults");
        for at in 0..40u32 {
            let mut numbers = [0.0; DIMENSIONS];
            numbers[at as usize] = 1.0;
            let embedding = PlanEmbedding::normalised(&numbers).expect("not zero");
            let run = TrajectoryBuilder::new(u64::from(at), 0, embedding.clone()).build(1.0, u64::from(at));
            engine.post_query(run);
            let pattern = Pattern::new(embedding, 1 + at, 0.5, 0.1, 1);
            engine.bank_mut().store(pattern).expect("room");
        }
        // Too little for the twenty executions and ten patterns that go first; the adapters alone are most of it.
        let limit = engine.to_state_within(usize::MAX).len() - 25_000;
        let state = engine.to_state_within(limit);
        assert!(!state.is_empty() && state.len() <= limit);
        let smaller = DagSonaEngine::from_state(SonaConfig::default(), &state).expect("a state");
        assert_eq!(smaller.executions().len(), 20);
        assert!(smaller.executions().iter().all(|known| known.at_us >= 20));
        let sizes: Vec<u32> = smaller.bank().patterns().iter().map(|known| known.size).collect();
        assert_eq!(sizes.iter().min(), Some(&11));
    }
}

//! Trials in idle time: the stored statements that the server may run by itself between two rounds.

use crate::session::Session;
use anyhow::Result;
use std::time::Instant;

/// Without them nothing is run by the server itself.
const NEEDED: [&str; 2] = ["ruvector.dag_dream_execute", "ruvector.dag_store_literals"];

/// A budget that was asked for and can be given.
pub(crate) struct IdleTrials {
    owner: Session,
    seconds: f64,
}

impl IdleTrials {
    /// Switches them on; says so and gives nothing when this build has none.
    pub(crate) fn switch_on(mut owner: Session, seconds: f64) -> Result<Option<Self>> {
        for setting in NEEDED {
            if !owner.has_setting(setting)? {
                println!("trials in idle time are not available: no setting {setting}");
                return Ok(None);
            }
        }
        for setting in NEEDED {
            owner.execute(&format!("ALTER SYSTEM SET {setting} = on"))?;
        }
        // The worker leaves them to us, whose time is counted.
        owner.execute("ALTER SYSTEM SET ruvector.dag_dream_budget = 0")?;
        owner.execute("SELECT pg_reload_conf()")?;
        Ok(Some(Self { owner, seconds }))
    }

    /// Lets the server try; returns how long that took, in milliseconds.
    pub(crate) fn run(&mut self) -> Result<f64> {
        let begun = Instant::now();
        self.owner.execute(&format!(
            "SELECT count(*) FROM ruvector.dag_dream('{} s'::interval)",
            self.seconds
        ))?;
        Ok(begun.elapsed().as_secs_f64() * 1000.0)
    }
}

//! Stage 8 of 9, learning: which loop is due. Told the time, the load and what waits, it answers what to run and how long;
//! it starts nothing.
//!
//! | loop | runs in | due | budget |
//! |---|---|---|---|
//! | A, instant | the session | with each statement | 100 µs |
//! | B, background | the worker | after its interval with enough trajectories, on demand, or when the buffer is filling up | 1 s |
//! | C, deep | the worker | after its interval when the server is idle | what is given |

use crate::Error;
use serde::{Deserialize, Serialize};

/// When loops run, and for how long. Times are in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LoopBudgets {
    /// Time of loop A per statement.
    pub instant_us: u64,
    /// Time between two runs of loop B.
    pub background_interval_us: u64,
    /// Time of loop B.
    pub background_us: u64,
    /// Trajectories that are worth a run of loop B.
    pub background_least: usize,
    /// Share of the buffer, in (0, 1], at which loop B does not wait for its interval.
    pub background_fill: f64,
    /// Time between two runs of loop C.
    pub deep_interval_us: u64,
    /// Time of loop C.
    pub deep_us: u64,
    /// Load, as a share of the processors, above which loop C does not run.
    pub idle_load: f64,
}

const SECOND: u64 = 1_000_000;

impl Default for LoopBudgets {
    /// B each hour, C each day when less than a fifth of the processors is busy.
    fn default() -> Self {
        Self {
            instant_us: 100,
            background_interval_us: 3_600 * SECOND,
            background_us: SECOND,
            background_least: 100,
            background_fill: 0.8,
            deep_interval_us: 24 * 3_600 * SECOND,
            deep_us: 600 * SECOND,
            idle_load: 0.2,
        }
    }
}

impl LoopBudgets {
    /// # Errors
    /// [`Error::InvalidSetting`] for a share out of its range, or a budget of nothing.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |name, given| Err(Error::InvalidSetting { name, given });
        if !(self.background_fill > 0.0 && self.background_fill <= 1.0) {
            return refuse("share of the buffer that calls loop B", self.background_fill);
        }
        if !(0.0..=1.0).contains(&self.idle_load) {
            return refuse("load at which the server is idle", self.idle_load);
        }
        for (name, given) in [
            ("budget of loop A", self.instant_us),
            ("budget of loop B", self.background_us),
            ("budget of loop C", self.deep_us),
        ] {
            if given == 0 {
                return refuse(name, 0.0);
            }
        }
        Ok(())
    }
}

/// What the coordinator is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Situation {
    /// Microseconds on any clock that does not go back.
    pub now_us: u64,
    /// Share of the processors that is busy, in [0, 1].
    pub load: f64,
    /// Trajectories that wait.
    pub waiting: usize,
    /// Trajectories for which there is room.
    pub capacity: usize,
}

/// A loop of the worker. Loop A is never due: it runs with each statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// Loop B.
    Background {
        /// For at most this long.
        budget_us: u64,
    },
    /// Loop C.
    Deep {
        /// For at most this long.
        budget_us: u64,
    },
}

/// What the loops did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoopCounts {
    /// Runs.
    pub runs: u64,
    /// Runs that took longer than their budget.
    pub overruns: u64,
    /// Microseconds in all.
    pub spent_us: u64,
}

/// Says which loop is due.
#[derive(Debug, Clone, Default)]
pub struct LoopCoordinator {
    budgets: LoopBudgets,
    /// Loops A, B and C.
    counts: [LoopCounts; 3],
    background_at: Option<u64>,
    deep_at: Option<u64>,
    is_wanted: bool,
}

impl LoopCoordinator {
    /// A coordinator; intervals begin with the first situation it is told.
    ///
    /// # Errors
    /// Those of [`LoopBudgets::validate`].
    pub fn new(budgets: LoopBudgets) -> Result<Self, Error> {
        budgets.validate()?;
        Ok(Self {
            budgets,
            ..Self::default()
        })
    }

    /// A coordinator that goes on where another left off: when loops B and C last ended, `None` for never, after which
    /// they are due at once.
    ///
    /// # Errors
    /// Those of [`LoopBudgets::validate`].
    pub fn resume(
        budgets: LoopBudgets,
        background_at: Option<u64>,
        deep_at: Option<u64>,
    ) -> Result<Self, Error> {
        let mut coordinator = Self::new(budgets)?;
        coordinator.background_at = Some(background_at.unwrap_or(0));
        coordinator.deep_at = Some(deep_at.unwrap_or(0));
        Ok(coordinator)
    }

    /// Asks for loop B as soon as possible, with however few trajectories.
    pub fn want_background(&mut self) {
        self.is_wanted = true;
    }

    /// What is to run now. B goes before C: dreams are better when what is known is learned.
    pub fn due(&mut self, situation: &Situation) -> Due {
        let now = situation.now_us;
        let since = |start: &mut Option<u64>| now.saturating_sub(*start.get_or_insert(now));
        let (background, deep) = (since(&mut self.background_at), since(&mut self.deep_at));
        if self.is_background_due(situation, background) {
            let budget_us = self.budgets.background_us;
            Due::Background { budget_us }
        } else if deep >= self.budgets.deep_interval_us && situation.load <= self.budgets.idle_load {
            let budget_us = self.budgets.deep_us;
            Due::Deep { budget_us }
        } else {
            Due::Nothing
        }
    }

    fn is_background_due(&self, situation: &Situation, since: u64) -> bool {
        let is_time = since >= self.budgets.background_interval_us;
        let is_enough = situation.waiting >= self.budgets.background_least.max(1);
        let is_full = situation.capacity > 0
            && situation.waiting as f64 >= self.budgets.background_fill * situation.capacity as f64;
        self.is_wanted || (is_time && is_enough) || is_full
    }

    /// Counts a run of a loop of the worker that lasted from `started_us` to `ended_us`.
    pub fn finished(&mut self, due: Due, started_us: u64, ended_us: u64) {
        let (at, budget_us) = match due {
            Due::Nothing => return,
            Due::Background { budget_us } => {
                (self.background_at, self.is_wanted) = (Some(ended_us), false);
                (1, budget_us)
            }
            Due::Deep { budget_us } => {
                self.deep_at = Some(ended_us);
                (2, budget_us)
            }
        };
        self.count(at, budget_us, ended_us.saturating_sub(started_us));
    }

    /// Counts a run of loop A.
    pub fn instant(&mut self, spent_us: u64) {
        self.count(0, self.budgets.instant_us, spent_us);
    }

    fn count(&mut self, at: usize, budget_us: u64, spent_us: u64) {
        if let Some(counts) = self.counts.get_mut(at) {
            counts.runs += 1;
            counts.overruns += u64::from(spent_us > budget_us);
            counts.spent_us += spent_us;
        }
    }

    /// What loops A, B and C did.
    pub fn counts(&self) -> [LoopCounts; 3] {
        self.counts
    }
}

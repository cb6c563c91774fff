//! What is known of a statement whatever its constants: a *region* is the constants for which stock PostgreSQL makes the
//! same plan (the plan diagrams of Reddy and Haritsa, VLDB 2005; parametric query optimisation, Ioannidis et al. 1992).
//!
//! Constants that were never seen take their region's decision. Executions of a region differ in how many rows they meet, so
//! latencies are compared per unit of the stock plan's cost, as logarithms. What was not proved faster is only ever tried with a
//! way back, and an attempt that was given up counts as having taken twice as long.

use super::arms::{Gains, ROWS, place};
use super::evidence::Decision;
use super::hints::{HintSet, arms};
use super::lifecycle::{CLEAR_GAIN, Reason, State};
use super::log_latency::LogLatency;
use super::sequential::{Comparison, compare_summaries, confidence_of};
use super::trial::{Possibilities, Trial};
use serde::{Deserialize, Serialize};

/// Regions remembered per statement; the one not seen for longest makes room.
pub const REGIONS: usize = 4;
/// Decisions remembered per region; the slowest one makes room.
const POLICIES: usize = 6;
/// Stock executions before anything is tried.
const STOCK_RUNS: f32 = 3.0;
/// Attempts at a decision that seems faster after which it must be proved faster.
const ATTEMPTS: f32 = 12.0;
/// One execution in so many of a region whose decision is applied is planned as stock, to follow a moving baseline.
const CONTROLS: u64 = 16;
/// What an attempt that was given up is taken to have needed, over the time it was given.
const GIVEN_UP: f64 = 2.0;
/// Milliseconds that stock must be expected to take: another planning takes up to one.
const LEAST_MS: f64 = 5.0;
/// A decision, whatever plans it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct Policy {
    /// 1 to plan with all learned row counts.
    uses_rows: u32,
    /// [`HintSet::bits`].
    hints: u32,
}

impl Policy {
    /// Of a decision.
    pub fn of(decision: Decision) -> Self {
        Self {
            uses_rows: u32::from(decision.cutoff > 0),
            hints: decision.hints.bits(),
        }
    }

    /// The decision with what is known now; `newest` is the newest sequence number learned.
    pub fn decision(self, newest: u64) -> Decision {
        Decision {
            cutoff: u64::from(self.uses_rows) * newest,
            hints: HintSet::from_bits(self.hints),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[repr(C)]
struct PolicyEvidence {
    policy: Policy,
    latency: LogLatency,
}

/// One execution in a region.
#[derive(Debug, Clone, Copy)]
pub struct RegionRun {
    /// What it was planned with.
    pub decision: Decision,
    /// The stock plan's total cost.
    pub cost: f64,
    /// Milliseconds it took, or after which it was given up.
    pub outcome: Result<f64, f64>,
    /// It was one attempt with a way back.
    pub is_trial: bool,
    /// The region chose its decision.
    pub is_chosen: bool,
}

/// What the next execution of a region is planned with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RegionChoice {
    /// As stock PostgreSQL does.
    Stock,
    /// This, which was proved faster.
    Use(Decision),
    /// As stock does, and this is tried first.
    Try(Trial),
}

/// What was measured of a region.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct RegionEvidence {
    /// Shape of the stock plan; 0 marks a free slot.
    shape: u64,
    /// The statement's executions when it was seen last.
    seen_at: u64,
    /// Executions, trials left out.
    calls: u64,
    /// Arms tried, a bit each.
    tried: u64,
    saved_ms: f64,
    lost_ms: f64,
    stock: LogLatency,
    policies: [PolicyEvidence; POLICIES],
}

/// A decision's latency in a region, for users.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyReport {
    /// The decision.
    pub policy: Policy,
    /// Executions it stands for, which fade.
    pub runs: f64,
    /// Milliseconds per unit of the stock plan's cost.
    pub ms_per_cost: f64,
}

impl RegionEvidence {
    /// Shape of the stock plan that makes the region.
    pub fn shape(&self) -> u64 {
        self.shape
    }

    /// Executions, trials left out.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Milliseconds saved and lost against what stock is expected to take.
    pub fn savings(&self) -> (f64, f64) {
        (self.saved_ms, self.lost_ms)
    }

    /// What the stock plan takes, when its cost is this.
    pub fn stock_ms(&self, cost: f64) -> Option<f64> {
        self.stock.typical().map(|per_cost| per_cost * cost)
    }

    /// What was tried, the fastest first.
    pub fn tried(&self) -> Vec<PolicyReport> {
        let mut known: Vec<_> = self.known().copied().collect();
        known.sort_by(|a, b| a.latency.mean.total_cmp(&b.latency.mean));
        let report = |known: PolicyEvidence| {
            Some(PolicyReport {
                policy: known.policy,
                runs: f64::from(known.latency.count),
                ms_per_cost: known.latency.typical()?,
            })
        };
        known.into_iter().filter_map(report).collect()
    }

    /// The decision in use, where the region stands, and how sure it is that it differs from stock.
    pub fn standing(&self) -> (Option<Policy>, State, Option<f64>) {
        let best = self.promising();
        let confidence = best.and_then(|best| confidence_of(&best.latency.summary(), &self.stock.summary()));
        let state = match (self.proved(), best) {
            (Some(proved), _) => return (Some(proved.policy), State::Applied, confidence),
            (None, Some(_)) => State::Exploring,
            (None, None) if self.known().next().is_some() => State::Reverted,
            _ => State::Observing,
        };
        (None, state, confidence)
    }

    fn known(&self) -> impl Iterator<Item = &PolicyEvidence> {
        self.policies.iter().filter(|known| known.latency.count > 0.0)
    }

    /// The fastest decision that seems clearly faster than stock.
    fn promising(&self) -> Option<&PolicyEvidence> {
        let least = self.stock.mean + CLEAR_GAIN.ln() as f32;
        let faster = self
            .known()
            .filter(|known| self.stock.count >= STOCK_RUNS && known.latency.mean < least);
        faster.min_by(|a, b| a.latency.mean.total_cmp(&b.latency.mean))
    }

    /// That decision, if it is proved.
    fn proved(&self) -> Option<&PolicyEvidence> {
        let is_proved = |best: &&PolicyEvidence| {
            compare_summaries(&best.latency.summary(), &self.stock.summary()) == Comparison::Faster
        };
        self.promising().filter(is_proved)
    }

    /// Whether its decision may be another one than stock's.
    fn may_act(&self) -> bool {
        self.stock.count >= STOCK_RUNS
    }

    /// What to plan the next execution with, whose stock plan costs `cost`. `gains` are those of
    /// [`super::ArmStatistics::gains_per_time`].
    pub fn choose(&self, cost: f64, newest: u64, gains: &Gains, possible: &Possibilities) -> RegionChoice {
        let (true, Some(stock_ms)) = (self.may_act(), self.stock_ms(cost)) else {
            return RegionChoice::Stock;
        };
        if stock_ms < LEAST_MS {
            return RegionChoice::Stock;
        }
        if let Some(proved) = self.proved() {
            return match self.calls.is_multiple_of(CONTROLS) {
                true => RegionChoice::Stock,
                false => RegionChoice::Use(proved.policy.decision(newest)),
            };
        }
        let again = self
            .promising()
            .filter(|best| best.latency.count < ATTEMPTS)
            .map(|best| (best.policy.decision(newest), Reason::NotSureYet));
        let trial = again.or_else(|| self.untried(newest, gains, possible));
        trial.map_or(RegionChoice::Stock, |(decision, reason)| {
            RegionChoice::Try(Trial {
                decision,
                limit_ms: stock_ms * CLEAR_GAIN,
                reason,
            })
        })
    }

    /// What promises most of what was not tried.
    fn untried(&self, newest: u64, gains: &Gains, possible: &Possibilities) -> Option<(Decision, Reason)> {
        let is_new = |place: usize| self.tried & (1 << place) == 0;
        let has_rows = is_new(ROWS) && newest > 0 && !possible.is_without_rows;
        let rows = Policy {
            uses_rows: 1,
            hints: 0,
        };
        let rows = has_rows.then(|| (ROWS, rows.decision(newest), Reason::NewKnowledge));
        let is_open = |&(arm, hints): &(usize, HintSet)| is_new(arm) && possible.allow(hints);
        let hints = arms().into_iter().enumerate().filter(is_open);
        let hints = hints.map(|(arm, hints)| (arm, Decision { cutoff: 0, hints }, Reason::UntriedHints));
        let costs = possible.costs_with(newest).filter(|&(place, _)| is_new(place));
        let costs = costs.map(|(place, decision)| (place, decision, Reason::FittedCosts));
        rows.into_iter()
            .chain(hints)
            .chain(costs)
            .max_by(|a, b| gains[a.0].total_cmp(&gains[b.0]))
            .map(|(_, decision, reason)| (decision, reason))
    }

    /// A decision was planned with here: it is not new any more.
    pub fn note_planned(&mut self, decision: Decision) {
        self.tried |= 1 << place(decision.cutoff, decision.hints).unwrap_or(ROWS);
    }

    fn record(&mut self, run: &RegionRun) {
        self.calls += u64::from(!run.is_trial);
        let per_cost = |ms: f64| (ms.max(1e-3) / run.cost.max(1e-3)).ln();
        if run.decision.is_stock() {
            // The stock plan is only given up by its users, which says little.
            if let Ok(ms) = run.outcome {
                self.stock.add(per_cost(ms));
            }
            return;
        }
        self.account(run);
        let ms = run.outcome.unwrap_or_else(|ms| ms * GIVEN_UP);
        self.slot(Policy::of(run.decision)).latency.add(per_cost(ms));
    }

    fn account(&mut self, run: &RegionRun) {
        let Some(stock_ms) = self.stock_ms(run.cost).filter(|_| run.is_chosen) else {
            return;
        };
        match run.outcome {
            Ok(ms) if ms <= stock_ms => self.saved_ms += stock_ms - ms,
            Ok(ms) => self.lost_ms += ms - stock_ms,
            Err(ms) => self.lost_ms += ms,
        }
    }

    fn slot(&mut self, policy: Policy) -> &mut PolicyEvidence {
        let worst = |known: &PolicyEvidence| match known.latency.count > 0.0 {
            true => known.latency.mean,
            false => f32::INFINITY,
        };
        let found = self.known().any(|known| known.policy == policy);
        let place = match found {
            true => self
                .policies
                .iter()
                .position(|known| known.latency.count > 0.0 && known.policy == policy),
            false => (0..POLICIES).max_by(|&a, &b| {
                let [a, b] = [a, b].map(|at| self.policies.get(at).map_or(0.0, worst));
                a.total_cmp(&b)
            }),
        };
        let slot = &mut self.policies[place.unwrap_or(0)];
        if !found {
            *slot = PolicyEvidence {
                policy,
                latency: LogLatency::default(),
            };
        }
        slot
    }
}

/// The regions of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct Regions {
    calls: u64,
    regions: [RegionEvidence; REGIONS],
}

impl Regions {
    /// Those that are known.
    pub fn known(&self) -> impl Iterator<Item = &RegionEvidence> {
        self.regions.iter().filter(|region| region.shape != 0)
    }

    /// The one of a stock plan's shape.
    pub fn get(&self, shape: u64) -> Option<&RegionEvidence> {
        self.known().find(|region| region.shape == shape)
    }

    /// Whether any may ask for another plan than stock's.
    pub fn may_act(&self) -> bool {
        self.known().any(RegionEvidence::may_act)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, shape: u64) -> Option<&mut RegionEvidence> {
        self.regions
            .iter_mut()
            .find(|region| region.shape != 0 && region.shape == shape)
    }

    /// Takes up an execution in the region of a stock plan's shape, which is not 0.
    pub fn record(&mut self, shape: u64, run: &RegionRun) {
        self.calls += 1;
        let calls = self.calls;
        let found = self.regions.iter().position(|region| region.shape == shape);
        let oldest =
            || (0..REGIONS).min_by_key(|&at| self.regions.get(at).map_or(0, |region| region.seen_at));
        let place = found.or_else(oldest).unwrap_or(0);
        let region = &mut self.regions[place];
        if found.is_none() {
            *region = RegionEvidence {
                shape,
                ..RegionEvidence::default()
            };
        }
        region.seen_at = calls;
        region.record(run);
    }
}

//! Stage 8 of 9, learning: the executions that predictions are made from, one per statement and decision.
//!
//! Runs of the same pair are averaged, a bounded number of them so that the average follows change. A run that was cut
//! off counts only as long as none of the pair was complete, and then by the greatest bound. When the memory is full, the
//! eighth part that was used longest ago goes.

use crate::OperatorType;
use crate::embedding::PlanEmbedding;
use crate::trajectory::Trajectory;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Runs that the average remembers.
const RUNS: f64 = 8.0;

/// What is remembered of a statement's executions under a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// The statement's class, constants included.
    pub statement: u64,
    /// The statement's class, constants left out.
    pub template: u64,
    /// The decision, 0 for stock.
    pub decision: u64,
    /// The embedding of the plan that ran last, as it was made.
    pub embedding: PlanEmbedding,
    /// Its operators' types and the attention that each got.
    pub operator_types: Vec<(OperatorType, f32)>,
    /// The natural logarithm of the cost.
    pub log_cost: f64,
    /// The mean of the natural logarithms of the latencies in milliseconds.
    pub log_latency: f64,
    /// Runs.
    pub runs: u32,
    /// Whether no run was complete: then the latency is a lower bound.
    pub is_cut_off: bool,
    /// When it last ran.
    pub at_us: u64,
    /// The error of the last prediction.
    pub surprise: f32,
}

impl Execution {
    fn of(trajectory: &Trajectory, surprise: f64) -> Self {
        Self {
            statement: trajectory.statement,
            template: trajectory.template,
            decision: trajectory.decision,
            embedding: trajectory.embedding.clone(),
            operator_types: trajectory.operator_types.clone(),
            log_cost: trajectory.log_cost,
            log_latency: trajectory.log_latency,
            runs: 1,
            is_cut_off: trajectory.is_cut_off,
            at_us: trajectory.at_us,
            surprise: surprise as f32,
        }
    }

    fn add(&mut self, trajectory: &Trajectory, surprise: f64) {
        let log_latency = match (self.is_cut_off, trajectory.is_cut_off) {
            (true, true) => self.log_latency.max(trajectory.log_latency),
            (true, false) => trajectory.log_latency,
            (false, true) => self.log_latency,
            (false, false) => {
                let share = 1.0 / (f64::from(self.runs) + 1.0).min(RUNS);
                self.log_latency + share * (trajectory.log_latency - self.log_latency)
            }
        };
        *self = Self {
            log_latency,
            runs: self.runs.saturating_add(1),
            is_cut_off: self.is_cut_off && trajectory.is_cut_off,
            ..Self::of(trajectory, surprise)
        };
    }

    fn is_valid(&self) -> bool {
        self.log_cost.is_finite() && self.log_latency.is_finite() && self.surprise >= 0.0
    }
}

/// A plan as the adapters see it, and what the readout adds to the line for it.
pub(super) type Seen = (PlanEmbedding, f64);

/// A bounded set of executions.
#[derive(Debug, Clone, Default)]
pub(super) struct ExecutionMemory {
    capacity: usize,
    executions: Vec<Execution>,
    /// As the adapters see the embeddings, in the order of the executions.
    adapted: Vec<PlanEmbedding>,
    /// What the readout adds to the line for each.
    offsets: Vec<f64>,
    /// How many wait to be seen anew, and where to go on.
    stale: usize,
    cursor: usize,
    places: BTreeMap<(u64, u64), usize>,
}

impl ExecutionMemory {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ..Self::default()
        }
    }

    pub(super) fn executions(&self) -> &[Execution] {
        &self.executions
    }

    pub(super) fn adapted(&self) -> &[PlanEmbedding] {
        &self.adapted
    }

    /// What the readout adds to the line for an execution; 0 for none.
    pub(super) fn offset(&self, at: usize) -> f64 {
        self.offsets.get(at).copied().unwrap_or(0.0)
    }

    /// What is known of a pair.
    pub(super) fn get(&self, statement: u64, decision: u64) -> Option<&Execution> {
        self.executions.get(*self.places.get(&(statement, decision))?)
    }

    /// Remembers a run; `surprise` is the absolute error of what was predicted.
    pub(super) fn add(&mut self, trajectory: &Trajectory, (adapted, offset): Seen, surprise: f64) {
        let pair = (trajectory.statement, trajectory.decision);
        let place = self.places.get(&pair).copied();
        if let Some((at, execution)) = place.and_then(|at| Some((at, self.executions.get_mut(at)?))) {
            execution.add(trajectory, surprise);
            self.see(at, (adapted, offset));
            return;
        }
        if self.executions.len() >= self.capacity {
            self.evict(self.capacity - self.capacity.div_ceil(8));
        }
        self.places.insert(pair, self.executions.len());
        self.executions.push(Execution::of(trajectory, surprise));
        self.adapted.push(adapted);
        self.offsets.push(offset);
    }

    fn see(&mut self, at: usize, (adapted, offset): Seen) {
        if let Some((embedding, known)) = self.adapted.get_mut(at).zip(self.offsets.get_mut(at)) {
            (*embedding, *known) = (adapted, offset);
        }
    }

    /// What the adapters changed.
    pub(super) fn adapt(&mut self, adapt: impl Fn(&Execution) -> Seen + Sync) {
        (self.adapted, self.offsets) = self.executions.par_iter().with_min_len(16).map(&adapt).unzip();
        self.stale = 0;
    }

    /// All are to be seen anew, some at a time.
    pub(super) fn mark_stale(&mut self) {
        self.stale = self.executions.len();
    }

    /// Sees up to `count` of those that wait anew.
    pub(super) fn adapt_some(&mut self, count: usize, adapt: impl Fn(&Execution) -> Seen) {
        for _ in 0..count.min(self.stale) {
            self.cursor = if self.cursor + 1 < self.executions.len() {
                self.cursor + 1
            } else {
                0
            };
            self.stale -= 1;
            if let Some(seen) = self.executions.get(self.cursor).map(&adapt) {
                self.see(self.cursor, seen);
            }
        }
    }

    /// What an execution surprises by now.
    pub(super) fn set_surprise(&mut self, at: usize, surprise: f64) {
        if let Some(execution) = self.executions.get_mut(at) {
            execution.surprise = surprise as f32;
        }
    }

    /// Keeps these executions.
    pub(super) fn keep(&mut self, is_kept: impl Fn(usize) -> bool) {
        let seen = std::mem::take(&mut self.adapted)
            .into_iter()
            .zip(std::mem::take(&mut self.offsets));
        let all = std::mem::take(&mut self.executions).into_iter().zip(seen);
        let kept = all.enumerate().filter(|(at, _)| is_kept(*at));
        let seen: Vec<Seen>;
        (self.executions, seen) = kept.map(|(_, pair)| pair).unzip();
        (self.adapted, self.offsets) = seen.into_iter().unzip();
        self.places = places(&self.executions);
    }

    /// Keeps the `count` that were used last.
    fn evict(&mut self, count: usize) {
        let mut order: Vec<usize> = (0..self.executions.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(self.executions.get(at).map(|known| known.at_us)));
        let mut is_kept = vec![false; order.len()];
        for at in order.into_iter().take(count) {
            is_kept.get_mut(at).into_iter().for_each(|kept| *kept = true);
        }
        self.keep(|at| is_kept.get(at).copied().unwrap_or(false));
    }

    /// A memory of stored executions, adapted by `adapt`; `None` when one is impossible or there are two of a pair.
    pub(super) fn restore(
        capacity: usize,
        executions: Vec<Execution>,
        adapt: impl Fn(&Execution) -> Seen + Sync,
    ) -> Option<Self> {
        let places = places(&executions);
        if places.len() != executions.len() || !executions.iter().all(Execution::is_valid) {
            return None;
        }
        let mut memory = Self {
            capacity,
            executions,
            places,
            ..Self::default()
        };
        memory.adapt(adapt);
        if memory.executions.len() > capacity {
            memory.evict(capacity);
        }
        Some(memory)
    }

    /// Bytes on the heap.
    pub(super) fn memory_bytes(&self) -> usize {
        let embedding = crate::embedding::DIMENSIONS * size_of::<f32>();
        let types: usize = self
            .executions
            .iter()
            .map(|known| known.operator_types.capacity() * size_of::<(OperatorType, f32)>())
            .sum();
        self.executions.capacity() * size_of::<Execution>()
            + self.adapted.capacity() * size_of::<PlanEmbedding>()
            + self.offsets.capacity() * size_of::<f64>()
            + 2 * self.executions.len() * embedding
            + types
            // A node of a B-tree is at least half full.
            + 2 * self.places.len() * size_of::<((u64, u64), usize)>()
    }
}

fn places(executions: &[Execution]) -> BTreeMap<(u64, u64), usize> {
    let pairs = executions.iter().enumerate();
    pairs
        .map(|(at, known)| ((known.statement, known.decision), at))
        .collect()
}

//! Loop A in a session: what to expect of a statement, and what to learn from it at once.
//!
//! A session works on a copy of what the worker published, and takes a new one when there is one: so what it learned
//! itself lasts until the worker, which learns from the same executions and from those of all others, has caught up.

use crate::pg::{catalog, threads};
use crate::settings;
use crate::shmem::latencies::{self, Component};
use crate::shmem::{counters, snapshots};
use engine::OperatorType;
use engine::attention::MechanismId;
use engine::embedding::PlanEmbedding;
use engine::learning::{DagSonaEngine, LatencyPrediction, LatencyQuery, SonaConfig};
use engine::trajectory::{Trajectory, TrajectoryBuilder};
use std::cell::RefCell;
use std::time::Instant;

/// A statement that took less, in milliseconds, is not made to wait for a new copy, which takes some.
const WORTH_WAITING_MS: f64 = 10.0;

struct Session {
    database: u32,
    version: u64,
    engine: DagSonaEngine,
}

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// What is known of an execution besides its plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described {
    /// The statement's class, constants included.
    pub(crate) statement: u64,
    /// Its `queryid`.
    pub(crate) template: u64,
    /// 0 for the stock plan, else the plan's shape.
    pub(crate) decision: u64,
    pub(crate) total_cost: f64,
    pub(crate) execution_ms: f64,
    pub(crate) baseline_ms: Option<f64>,
    pub(crate) is_cut_off: bool,
    /// `None` for the ensemble.
    pub(crate) mechanism: Option<MechanismId>,
    pub(crate) at_us: u64,
}

impl Described {
    /// What the decision for a plan is called: plans made with corrections by their shape.
    pub(crate) fn decision(cutoff: u64, hints: u32, shape: u64) -> u64 {
        if cutoff == 0 && hints == 0 { 0 } else { shape }
    }

    /// The execution as the engine takes it, and room for its steps.
    pub(crate) fn builder(
        self,
        embedding: PlanEmbedding,
        types: Vec<(OperatorType, f32)>,
    ) -> TrajectoryBuilder {
        let mut builder = TrajectoryBuilder::new(self.statement, self.template, embedding)
            .decision(self.decision)
            .cost(self.total_cost)
            .operator_types(types);
        if let Some(mechanism) = self.mechanism {
            builder = builder.mechanism(mechanism);
        }
        if let Some(baseline_ms) = self.baseline_ms {
            builder = builder.baseline(baseline_ms);
        }
        if self.is_cut_off {
            builder = builder.cut_off();
        }
        builder
    }
}

/// What was expected of an execution before it is learned from, in milliseconds; none before anything is known.
pub(crate) fn learn(
    described: &Described,
    embedding: PlanEmbedding,
    types: Vec<(OperatorType, f32)>,
) -> Option<f64> {
    let begun = Instant::now();
    let trajectory = described
        .builder(embedding, types)
        .build(described.execution_ms, described.at_us);
    let expected_ms = with_engine(described.execution_ms, |engine| post(engine, trajectory));
    let took = begun.elapsed();
    counters::add_instant_learnings(1);
    counters::add_instant_nanoseconds(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    latencies::record(Component::InstantLearning, took);
    expected_ms.flatten()
}

fn post(engine: &mut DagSonaEngine, trajectory: Trajectory) -> Option<f64> {
    let is_informed = !engine.executions().is_empty();
    let learned = engine.post_query(trajectory);
    // Nobody drains a session's buffer: the worker reads the table.
    drop(engine.buffer().drain());
    is_informed.then(|| learned.expected.expected_ms())
}

/// Cosine from which a plan is of a pattern.
const NEAR: f32 = 0.9;

/// What is known of a plan before it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreseen {
    pub(crate) prediction: LatencyPrediction,
    /// Whether it is of a pattern.
    pub(crate) has_pattern: bool,
}

/// What is known of a plan; none before anything is.
pub(crate) fn predict(
    query: &LatencyQuery,
    embedding: &PlanEmbedding,
    types: &[(OperatorType, f32)],
) -> Option<Foreseen> {
    with_engine(f64::INFINITY, |engine| {
        let is_informed = !engine.executions().is_empty();
        is_informed.then(|| Foreseen {
            prediction: engine.predict(query, embedding, types),
            has_pattern: !engine.bank().search(embedding, 1, NEAR).is_empty(),
        })
    })
    .flatten()
}

/// The similarity of the nearest pattern, and how many the session knows; none before it knows anything.
pub(crate) fn nearest_pattern(embedding: &PlanEmbedding) -> Option<(Option<f32>, usize)> {
    with_engine(f64::INFINITY, |engine| {
        let bank = engine.bank();
        let nearest = bank.search(embedding, 1, -1.0);
        (nearest.first().map(|found| found.similarity), bank.len())
    })
}

/// Patterns that the session knows, after it took over what is new.
pub(crate) fn patterns() -> usize {
    with_engine(f64::INFINITY, |engine| engine.bank().len()).unwrap_or(0)
}

/// Bytes of what the session knows; none before it needed anything.
pub(crate) fn memory_bytes() -> Option<usize> {
    SESSION.with_borrow(|session| session.as_ref().map(|session| session.engine.memory_bytes()))
}

/// Runs `work` on the session's engine, which is renewed when a newer one was published and `waited_ms` is worth it.
fn with_engine<R>(waited_ms: f64, work: impl FnOnce(&mut DagSonaEngine) -> R) -> Option<R> {
    // Looked at first: a new extension forgets what the old one learned.
    if !catalog::has_extension() {
        return None;
    }
    let database = catalog::database();
    threads::prepare_session();
    SESSION.with_borrow_mut(|session| {
        let version = snapshots::version(database);
        let known = session
            .as_ref()
            .map_or((0, 0), |session| (session.database, session.version));
        if known != (database, version) && (waited_ms >= WORTH_WAITING_MS || session.is_none()) {
            renew(session, database);
        }
        session.as_mut().map(|session| work(&mut session.engine))
    })
}

fn renew(session: &mut Option<Session>, database: u32) {
    let config = SonaConfig {
        trajectory_capacity: 1,
        ..settings::sona()
    };
    let published = snapshots::read(database);
    let version = published.as_ref().map_or(0, |(version, _)| *version);
    // What this session learned itself is worth more than nothing.
    if version == 0 && session.is_some() {
        return;
    }
    // First: the allocator would keep the room of two.
    *session = None;
    // Nothing is what there is after it was forgotten.
    let engine = match published {
        Some((_, state)) if !state.is_empty() => DagSonaEngine::from_state(config, &state),
        _ => DagSonaEngine::new(config),
    };
    *session = engine.ok().map(|engine| Session {
        database,
        version,
        engine,
    });
}

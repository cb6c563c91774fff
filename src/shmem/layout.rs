//! What lies in shared memory: plain fixed-size data, its sizes, and the locks in words.
//!
//! Locks. Each table is divided into partitions with one LWLock each (tranche `ruvector_dag`): shared to look up,
//! exclusive to change. Nobody holds two of them, and no PostgreSQL function that can raise an error, allocate or wait
//! is called under one. The ring has no lock: a slot is claimed and released by its state word. Counters are atomics.

use crate::steer::rewrite::Rule;
use engine::attention::PatternArms;
use engine::decision::{
    ArmStatistics, Breaker, Experience, LoadGauge, OperatorTimes, PlanCosts, PreparedEvidence, Regions,
    StatementEvidence,
};
use engine::embedding::DIMENSIONS;
use serde::{Deserialize, Serialize};

/// Base relations whose OIDs are kept with a correction; further ones count in its key only.
pub(crate) const MAX_RELATIONS: usize = 12;

/// One learned row count, keyed by the relation's identity and database.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub(crate) struct Correction {
    /// The relation's identity.
    pub(crate) relation_key: u64,
    /// Rows counted at the latest complete execution, or the most rows seen of it.
    pub(crate) rows: f64,
    /// PostgreSQL's estimate before the count was known.
    pub(crate) estimated_rows: f64,
    /// Sum of the tables' `reltuples` when counted.
    pub(crate) table_rows: f64,
    /// Sum of the tables' inserted, updated and deleted rows (pg_stat) when counted.
    pub(crate) modifications: u64,
    /// When this key was first learned, in units of learned keys: the knowledge cutoff of decisions.
    pub(crate) sequence: u64,
    /// Statement that taught it (`queryid`).
    pub(crate) queryid: i64,
    /// When it was last counted.
    pub(crate) measured_at: i64,
    /// Times it was counted.
    pub(crate) observations: u32,
    /// OID of the database.
    pub(crate) database: u32,
    /// Number of base relations.
    pub(crate) relation_count: u32,
    /// 1 until the worker has written it to its table.
    pub(crate) dirty: u32,
    /// 1 when `rows` is a lower bound: no execution of it ran to its end.
    pub(crate) is_bound: u32,
    /// OID of the role that alone knows it, where roles are kept apart; 0 is everybody.
    pub(crate) role: u32,
    /// OIDs of the tables, ascending, 0-terminated.
    pub(crate) relations: [u32; MAX_RELATIONS],
}

/// One statement class: a statement with its constants, in one database, for one user.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub(crate) struct Statement {
    /// The class itself.
    pub(crate) class: u64,
    /// `queryid`, as in pg_stat_statements.
    pub(crate) queryid: i64,
    /// OID of the database.
    pub(crate) database: u32,
    /// OID of the user who runs it.
    pub(crate) user: u32,
    /// When it last ran.
    pub(crate) last_run_at: i64,
    /// 1 until the worker has written it to its table.
    pub(crate) dirty: u32,
    /// Latencies per plan shape.
    pub(crate) evidence: StatementEvidence,
}

/// A statement whatever its constants, in one database, for one user.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[repr(C)]
pub(crate) struct Template {
    /// OID of the database.
    pub(crate) database: u32,
    /// OID of the user who runs it.
    pub(crate) user: u32,
    /// `queryid`, as in pg_stat_statements.
    pub(crate) queryid: i64,
    /// When it last ran.
    pub(crate) last_run_at: i64,
    /// Evidence per region of constants.
    pub(crate) regions: Regions,
    /// What custom and generic plans take, of a statement with parameters.
    #[serde(default)]
    pub(crate) prepared: PreparedEvidence,
}

/// Parts of a statement in one piece of its kept row counts.
pub(super) const PLANNED_PARTS: usize = 128;

/// Tables as they were when something was learned of them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[repr(C)]
pub(crate) struct Tables {
    /// Sum of their `reltuples`.
    pub(crate) rows: f64,
    /// Sum of their inserted, updated and deleted rows (pg_stat).
    pub(crate) modifications: u64,
    /// OIDs, ascending, 0-terminated.
    pub(crate) relations: [u32; MAX_RELATIONS],
}

/// A piece of the row counts that the best plan of a class was planned with.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub(crate) struct PlannedRows {
    /// The statement class.
    pub(crate) class: u64,
    /// The same in all pieces that were kept together.
    pub(crate) stamp: u64,
    /// Knowledge cutoff of the decision.
    pub(crate) cutoff: u64,
    /// OID of the database.
    pub(crate) database: u32,
    /// OID of the user who runs it.
    pub(crate) user: u32,
    /// 1 when it was planned cautiously.
    pub(crate) is_cautious: u32,
    /// Parts in this piece.
    pub(crate) count: u32,
    /// Which piece it is, from 0.
    pub(crate) piece: u32,
    /// How many pieces there are.
    pub(crate) pieces: u32,
    /// What was there to count.
    pub(crate) tables: Tables,
    /// What the parts are, see [`crate::pg::level::Part`].
    pub(crate) parts: [u64; PLANNED_PARTS],
    /// Their row counts.
    pub(crate) rows: [f64; PLANNED_PARTS],
}

/// What hint sets did to a class, for statements never seen.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub(crate) struct ClassExperience {
    /// The statement class.
    pub(crate) class: u64,
    /// OID of the database.
    pub(crate) database: u32,
    /// OID of the user who runs it.
    pub(crate) user: u32,
    /// Its stock plan and what was measured beside it.
    pub(crate) experience: Experience,
}

/// What a plan took that was made with stock's row counts, keyed by class and plan shape.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[repr(C)]
pub(crate) struct PlanTiming {
    /// The statement class.
    pub(crate) class: u64,
    /// The plan's shape.
    pub(crate) shape: u64,
    /// OID of the database.
    pub(crate) database: u32,
    /// OID of the user who runs it.
    pub(crate) user: u32,
    /// What it was estimated to spend.
    pub(crate) costs: PlanCosts,
    /// Milliseconds that it takes, or after which it was given up.
    pub(crate) ms: f32,
    /// 1 when it never ran to its end.
    pub(crate) is_bound: u32,
}

/// What attention mechanisms earned for a plan shape.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub(crate) struct Arms {
    /// OID of the database.
    pub(crate) database: u32,
    /// The arms of the bandit.
    pub(crate) arms: PatternArms,
}

/// What watches over the decisions of a database.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub(crate) struct Guard {
    /// OID of the database.
    pub(crate) database: u32,
    /// Trials that ended.
    pub(crate) trials: u32,
    /// Milliseconds of all watched executions.
    pub(crate) spent_ms: f64,
    /// Milliseconds that users waited for trials in vain.
    pub(crate) lost_ms: f64,
    /// Hour in which trials ran last while nobody waited.
    pub(crate) dream_hour: i64,
    /// Milliseconds they took in it.
    pub(crate) dreamt_ms: f64,
    /// Milliseconds that trials took while nobody waited, since the server started.
    pub(crate) idle_ms: f64,
    /// 1 while there is something promising to try.
    pub(crate) has_dreams: u32,
    /// A hint set with the planner costs that fit this server, as bits; 0 where the settings do, or that is not known.
    pub(crate) costs: u32,
    /// Seconds of the server's clock when the planner costs were fitted last.
    pub(crate) fitted_at: i64,
    /// How long operators take per unit of their cost.
    pub(crate) times: OperatorTimes,
    /// Suspends all decisions when they are slower than stock.
    pub(crate) breaker: Breaker,
    /// How busy the server is.
    pub(crate) load: LoadGauge,
    /// What hint sets brought.
    pub(crate) arms: ArmStatistics,
    /// What each rule for rewrites brought.
    pub(crate) rewrites: [Rewrites; Rule::ALL.len()],
}

/// What a rule for rewrites brought.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub(crate) struct Rewrites {
    /// Executions of statements that it rewrote.
    pub(crate) executions: u64,
    /// Milliseconds gained against stock plans, in equal parts where several rules rewrote a statement.
    pub(crate) saved_ms: f64,
    /// Milliseconds lost against them.
    pub(crate) lost_ms: f64,
}

impl Guard {
    /// Of a database where nothing was tried.
    pub(crate) fn new(database: u32) -> Self {
        Self {
            database,
            trials: 0,
            spent_ms: 0.0,
            lost_ms: 0.0,
            dream_hour: 0,
            dreamt_ms: 0.0,
            idle_ms: 0.0,
            has_dreams: 1,
            costs: 0,
            fitted_at: 0,
            times: OperatorTimes::default(),
            breaker: Breaker::default(),
            load: LoadGauge::default(),
            arms: ArmStatistics::default(),
            rewrites: Default::default(),
        }
    }
}

/// Uses of a pattern that the learner has not taken over yet.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub(crate) struct Use {
    /// The pattern's number.
    pub(crate) pattern: u64,
    /// OID of the database.
    pub(crate) database: u32,
    /// How often.
    pub(crate) count: u32,
    /// When it was used last.
    pub(crate) last_at: i64,
}

/// Bytes of plan (the engine's binary form) that fit into one slot of the ring; larger plans leave it empty.
pub(crate) const PLAN_BYTES: usize = 3840;

/// Bytes of counted sub-joins that fit into one slot of the ring; what is longer is dropped.
pub(crate) const SUB_JOIN_BYTES: usize = 2048;

/// Bytes of a statement that fit into one slot of the ring; longer ones are not stored.
pub(crate) const TEXT_BYTES: usize = 2048;

/// Bytes of a `search_path`; statements under a longer one are not stored.
pub(crate) const SEARCH_PATH_BYTES: usize = 256;

/// One execution, on its way from a backend to the worker.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Trajectory {
    /// `queryid` of the statement.
    pub(crate) queryid: i64,
    /// Statement class, the key in the statement table.
    pub(crate) class: u64,
    /// Shape of the plan that ran.
    pub(crate) shape: u64,
    /// Knowledge cutoff it was planned with, 0 = stock.
    pub(crate) cutoff: u64,
    /// Hint set it was planned with, as bits.
    pub(crate) hints: u32,
    /// 1 when it was a trial.
    pub(crate) is_trial: u32,
    /// End of execution.
    pub(crate) ended_at: i64,
    /// Time spent in the executor.
    pub(crate) execution_ms: f64,
    /// The class's typical stock latency, NaN when not yet measured.
    pub(crate) baseline_ms: f64,
    /// What the session expected it to take, NaN when nothing was known.
    pub(crate) expected_ms: f64,
    /// Largest q-error of a counted relation, at least 1; NaN when nothing was counted.
    pub(crate) max_q_error: f64,
    /// Relations whose count was complete.
    pub(crate) counted: u32,
    /// Corrections that were applied.
    pub(crate) corrected: u32,
    /// OID of the database.
    pub(crate) database: u32,
    /// OID of the user.
    pub(crate) user: u32,
    /// 1 when the execution was cancelled.
    pub(crate) cut_off: u32,
    /// PostgreSQL's total cost of the plan.
    pub(crate) total_cost: f64,
    /// What weighed its operators, by [`crate::attention::place`].
    pub(crate) attention: u32,
    /// 1 when `embedding` is one.
    pub(crate) is_embedded: u32,
    /// The plan as a point, pooled by attention.
    pub(crate) embedding: [f32; DIMENSIONS],
    /// Length of `plan`.
    pub(crate) plan_length: u32,
    /// The executed plan in the engine's binary form.
    pub(crate) plan: [u8; PLAN_BYTES],
    /// Length of `sub_joins`.
    pub(crate) sub_joins_length: u32,
    /// Counts for the row model, in the engine's binary form.
    pub(crate) sub_joins: [u8; SUB_JOIN_BYTES],
    /// Length of `text`; 0 unless literals may be stored.
    pub(crate) text_length: u32,
    /// Length of `search_path`.
    pub(crate) search_path_length: u32,
    /// The statement.
    pub(crate) text: [u8; TEXT_BYTES],
    /// The `search_path` it was analysed under.
    pub(crate) search_path: [u8; SEARCH_PATH_BYTES],
}

/// A database that has the extension.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub(crate) struct Database {
    /// Its OID.
    pub(crate) database: u32,
    /// OID of the extension in it, which CREATE EXTENSION makes anew; 0 until a session or worker looked.
    pub(crate) extension: u32,
    /// 1 once what was learned is in shared memory.
    pub(crate) is_loaded: u32,
    /// 1 when it is known to have no extension, or to be gone.
    pub(crate) is_absent: u32,
    /// Seconds of the server's clock when the last cycle ended.
    pub(crate) cycled_at: i64,
    /// The same of the last run of loop B.
    pub(crate) learned_at: i64,
    /// The same of loop C.
    pub(crate) dreamt_at: i64,
    /// The same of healing.
    pub(crate) healed_at: i64,
    /// The last execution in which it looked for anomalies.
    pub(crate) healed_up_to: i64,
    /// Not before this time may a worker be started again.
    pub(crate) not_before: i64,
    /// How often the extension was announced.
    pub(crate) announcements: u64,
}

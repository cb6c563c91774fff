//! Stage 5 of 9, decision: what a statement class is planned with.
//!
//! This module weighs measured latencies and says what to plan next; it neither plans nor measures. A [`Decision`] is a
//! *knowledge cutoff* and a [`HintSet`]. Every correction of a row count carries the sequence number at which it was first
//! learned, and planning with cutoff `c` applies the corrections numbered up to `c`: a plan that was good once is had again
//! by planning with the cutoff it was found with, which suppresses the corrections that led away from it.

mod arms;
mod breaker;
mod evidence;
mod expected_ratios;
mod fastest_predicted;
mod fitted_costs;
pub mod hints;
mod lifecycle;
mod load;
mod log_latency;
mod operator_times;
mod plan_costs;
mod plan_evidence;
mod planner_costs;
mod prepared;
mod region;
mod review;
pub mod sequential;
mod similar;
mod table_state;
mod trial;

pub use arms::{ArmStatistics, GAINS, Gains};
pub use breaker::{Breaker, BreakerState};
pub use evidence::{Decision, MAX_PLANS, Run, StatementEvidence};
pub use expected_ratios::{ExpectedRatios, KnownStatement, LogRatios};
pub use fastest_predicted::FastestPredicted;
pub use fitted_costs::{FittedCosts, SessionCosts};
pub use hints::{ARMS, HintSet, METHODS, WORKERS_SOONER, arm_of, arms};
pub use lifecycle::{CLEAR_GAIN, Choice, Reason, State};
pub use load::LoadGauge;
pub use operator_times::{OperatorTimes, Timing};
pub use plan_costs::{Compilation, CostedOperator, OperatorKind, PlanCosts, without_penalties};
pub use plan_evidence::{PlanEvidence, SAMPLES};
pub use planner_costs::{CostSetting, ExecutedPlan, PlannerCosts, SpentCosts, planner_costs};
pub use prepared::{PlanKind, PreparedEvidence};
pub use region::{Policy, PolicyReport, REGIONS, RegionChoice, RegionEvidence, RegionRun, Regions};
pub use similar::{Experience, Lesson, Measured, PlanSketch, StoredExperience, TIE, promising};
pub use table_state::TableState;
pub use trial::{Possibilities, Prospects, Trial, TrialBudget};

//! The policy: which mechanism fits what is known of a plan before any reward is. The bandit takes it as its prior.

use super::MechanismId;
use crate::mincut::plan_tension;
use crate::{OperatorType, QueryDag};

/// What the policy looks at.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PlanSignals {
    /// The plan's tension, in [0, 1].
    pub tension: f64,
    /// The statement's median latency, in milliseconds; `None` when it never ran.
    pub p50_ms: Option<f64>,
    /// The statement's 99th percentile of latency, in milliseconds.
    pub p99_ms: Option<f64>,
    /// Edges on the longest way through the plan.
    pub depth: usize,
    /// The most branches that meet in one operator. (Not the number of scans: a left-deep join of five tables has five,
    /// but nothing in it is parallel.)
    pub parallel_branches: usize,
    /// Whether the plan changes rows.
    pub writes: bool,
    /// Whether the statement's executions depend on when they happen.
    pub is_time_correlated: bool,
}

impl PlanSignals {
    /// What the plan itself tells: all but latencies and the correlation with time.
    ///
    /// Complexity: O(V + E).
    pub fn of_plan(dag: &QueryDag) -> Self {
        let branches = (0..dag.len()).map(|at| dag.input_positions(at).len());
        Self {
            tension: plan_tension(dag),
            depth: dag.depth(),
            parallel_branches: branches.max().unwrap_or(0),
            writes: dag
                .nodes()
                .any(|node| node.operator_type == OperatorType::ModifyTable),
            ..Self::default()
        }
    }

    /// The same with the statement's latencies, in milliseconds.
    pub fn with_latencies(mut self, p50_ms: f64, p99_ms: f64) -> Self {
        (self.p50_ms, self.p99_ms) = (Some(p50_ms), Some(p99_ms));
        self
    }

    /// The same, and whether the statement's executions depend on when they happen.
    pub fn with_time_correlation(mut self, is_time_correlated: bool) -> Self {
        self.is_time_correlated = is_time_correlated;
        self
    }
}

/// Why the policy suggests a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The tension is above its threshold.
    Tension,
    /// The 99th percentile of latency is far above the median.
    LatencyTail,
    /// The plan is deep.
    Depth,
    /// Many branches meet in one operator.
    ParallelBranches,
    /// The plan changes rows.
    Writes,
    /// Executions depend on when they happen.
    Time,
    /// Nothing stands out.
    Default,
}

impl Trigger {
    /// The mechanism for this trigger.
    pub fn mechanism(self) -> MechanismId {
        match self {
            Trigger::Tension => MechanismId::MincutGated,
            Trigger::LatencyTail => MechanismId::CriticalPath,
            Trigger::Depth => MechanismId::HierarchicalLorentz,
            Trigger::ParallelBranches => MechanismId::ParallelBranch,
            Trigger::Writes => MechanismId::CausalCone,
            Trigger::Time => MechanismId::TemporalBtsp,
            Trigger::Default => MechanismId::Topological,
        }
    }

    /// The trigger in words.
    pub fn reason(self) -> &'static str {
        match self {
            Trigger::Tension => "tension is above its threshold",
            Trigger::LatencyTail => "the 99th percentile of latency is far above the median",
            Trigger::Depth => "the plan is deep",
            Trigger::ParallelBranches => "many branches meet in one operator",
            Trigger::Writes => "the plan changes rows",
            Trigger::Time => "executions depend on when they happen",
            Trigger::Default => "nothing stands out",
        }
    }
}

/// When which trigger is pulled. All comparisons are strict; what is not a number pulls none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SelectionPolicy {
    /// Tension above which the narrowest place counts, in [0, 1].
    pub tension_threshold: f64,
    /// 99th percentile over median of latency above which the slowest way counts.
    pub latency_ratio: f64,
    /// Depth above which the hierarchy counts, in edges.
    pub depth: usize,
    /// Branches at one operator above which their balance counts.
    pub parallel_branches: usize,
}

impl Default for SelectionPolicy {
    fn default() -> Self {
        Self {
            tension_threshold: 0.7,
            latency_ratio: 2.0,
            depth: 10,
            parallel_branches: 3,
        }
    }
}

impl SelectionPolicy {
    /// The first trigger that is pulled, in the order of [`Trigger`].
    pub fn trigger(&self, signals: &PlanSignals) -> Trigger {
        let has_tail = match (signals.p50_ms, signals.p99_ms) {
            (Some(p50), Some(p99)) => p99 > self.latency_ratio * p50,
            _ => false,
        };
        let triggers = [
            (signals.tension > self.tension_threshold, Trigger::Tension),
            (has_tail, Trigger::LatencyTail),
            (signals.depth > self.depth, Trigger::Depth),
            (
                signals.parallel_branches > self.parallel_branches,
                Trigger::ParallelBranches,
            ),
            (signals.writes, Trigger::Writes),
            (signals.is_time_correlated, Trigger::Time),
        ];
        let pulled = triggers.into_iter().find(|(is_pulled, _)| *is_pulled);
        pulled.map_or(Trigger::Default, |(_, trigger)| trigger)
    }

    /// The mechanism that fits best before any reward is known.
    pub fn suggest(&self, signals: &PlanSignals) -> MechanismId {
        self.trigger(signals).mechanism()
    }
}

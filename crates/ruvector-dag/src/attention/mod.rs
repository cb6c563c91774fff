//! Stage 3 of 9, attention: which operators of the plan matter.

mod bandit;
mod cache;
mod content;
mod lru;
mod policy;
mod selector;

pub use bandit::{ARMS, Arm, BanditSettings, PRIOR_PULLS, PatternArms};
pub use cache::{AttentionCache, CacheKey, CacheStatistics};
pub use content::content_hash;
pub use policy::{PlanSignals, SelectionPolicy, Trigger};
pub use selector::{AttentionSelector, Choice};

use crate::{Error, OperatorId, QueryDag};

/// A mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MechanismId {
    /// Stand-in.
    Topological,
    /// Stand-in.
    CausalCone,
    /// Stand-in.
    CriticalPath,
    /// Stand-in.
    MincutGated,
    /// Stand-in.
    HierarchicalLorentz,
    /// Stand-in.
    ParallelBranch,
    /// Stand-in.
    TemporalBtsp,
}

impl MechanismId {
    /// All of them.
    pub const ALL: [MechanismId; 7] = [
        MechanismId::Topological,
        MechanismId::CausalCone,
        MechanismId::CriticalPath,
        MechanismId::MincutGated,
        MechanismId::HierarchicalLorentz,
        MechanismId::ParallelBranch,
        MechanismId::TemporalBtsp,
    ];

    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            MechanismId::Topological => "topological",
            MechanismId::CausalCone => "causal_cone",
            MechanismId::CriticalPath => "critical_path",
            MechanismId::MincutGated => "mincut_gated",
            MechanismId::HierarchicalLorentz => "hierarchical_lorentz",
            MechanismId::ParallelBranch => "parallel_branch",
            MechanismId::TemporalBtsp => "temporal_btsp",
        }
    }

    /// The mechanism of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// Scores, in the order of [`QueryDag::nodes`].
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionScores(Vec<f64>);

impl AttentionScores {
    /// Of these numbers, scaled to sum 1.
    pub fn new(mut scores: Vec<f64>) -> Self {
        let sum: f64 = scores.iter().sum();
        scores.iter_mut().for_each(|score| *score /= sum);
        Self(scores)
    }

    /// The numbers.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }
}

/// An attention.
pub trait DagAttention: Send + Sync {
    /// The scores.
    fn forward(&self, dag: &QueryDag) -> AttentionScores;
    /// One row.
    ///
    /// # Errors
    /// [`Error::UnknownOperator`].
    fn attend(&self, dag: &QueryDag, operator: OperatorId) -> Result<Vec<f64>, Error>;
    /// All rows.
    fn matrix(&self, dag: &QueryDag) -> Vec<Vec<f64>>;
    /// The name in settings.
    fn name(&self) -> &'static str;
    /// The complexity of `forward`.
    fn complexity(&self) -> &'static str;
    /// A hash of the parameters.
    fn parameters_fingerprint(&self) -> u64;
}

//! Stage 3 of 9, attention: which operators of the plan matter.
//!
//! Common form. For operators q and v, `A(q, v)` is the softmax, over the v in `mask(q)`, of
//! `<u_q, u_v> / sqrt(d) + bias(q, v)`, where u is an operator's features projected to d = 4 dimensions and scaled to
//! unit length (see `kernel.rs`). The score of an operator is how much of the plan's cost attends to it:
//! `s(v) = Σ_q w(q) A(q, v)`, where w is the share of the self cost (equal shares in a plan without costs). Scores are
//! in [0, 1] and sum to 1. The seven mechanisms differ in mask and bias, each in a file of its own.
//!
//! Every pair of operators would cost O(n²). Instead the exponential of the content part is a quadratic polynomial,
//! hence an inner product of two vectors of 15 numbers, and sums over masks are sums of such vectors, passed along the
//! edges once in each direction. Masks and biases are exact, also where subplans are shared; only the exponential is
//! approximated, within 0.83 % ([`KERNEL_ERROR`]), so that every A is within 1.7 % of the exact one and so is every
//! score. `attend` and `matrix` use the same polynomial: `forward` is their weighted sum.

mod kernel;
mod facts;
mod closure;
mod parameters;
mod topological;
mod causal_cone;
mod critical_path;
mod mincut_gated;
mod hierarchical_lorentz;
mod parallel_branch;
mod temporal_btsp;
mod ensemble;
mod content;
mod lru;
mod cache;
mod bandit;
mod policy;
mod selector;

pub use bandit::{ARMS, Arm, BanditSettings, PRIOR_PULLS, PatternArms};
pub use cache::{AttentionCache, CacheKey, CacheStatistics};
pub use causal_cone::{CausalConeAttention, CausalConeParameters};
pub use content::content_hash;
pub use critical_path::{CriticalPathAttention, CriticalPathParameters};
pub use ensemble::EnsembleAttention;
pub(crate) use facts::Facts;
pub use hierarchical_lorentz::{HierarchicalLorentzAttention, HierarchicalLorentzParameters};
pub use kernel::KERNEL_ERROR;
pub use mincut_gated::{MinCutGatedAttention, MinCutGatedParameters};
pub use parallel_branch::{ParallelBranchAttention, ParallelBranchParameters};
pub use policy::{PlanSignals, SelectionPolicy, Trigger};
pub use selector::{AttentionSelector, Choice};
pub use temporal_btsp::{CAPACITY as BTSP_TRACES, TemporalBTSPAttention, TemporalBTSPParameters};
pub use topological::{TopologicalAttention, TopologicalParameters};

use crate::{Error, OperatorId, QueryDag};
use serde::{Deserialize, Serialize};

/// A mechanism of attention. Stored by name, or by place where the form is binary: the order never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MechanismId {
    /// [`TopologicalAttention`].
    Topological,
    /// [`CausalConeAttention`].
    CausalCone,
    /// [`CriticalPathAttention`].
    CriticalPath,
    /// [`MinCutGatedAttention`].
    MincutGated,
    /// [`HierarchicalLorentzAttention`].
    HierarchicalLorentz,
    /// [`ParallelBranchAttention`].
    ParallelBranch,
    /// [`TemporalBTSPAttention`].
    TemporalBtsp,
}

impl MechanismId {
    /// All of them, in the order of the documentation.
    pub const ALL: [MechanismId; 7] = [
        MechanismId::Topological,
        MechanismId::CausalCone,
        MechanismId::CriticalPath,
        MechanismId::MincutGated,
        MechanismId::HierarchicalLorentz,
        MechanismId::ParallelBranch,
        MechanismId::TemporalBtsp,
    ];

    /// Its name, as in settings.
    pub const fn name(self) -> &'static str {
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
    ///
    /// # Errors
    /// [`Error::UnknownMechanism`], whose text lists the names.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|mechanism| mechanism.name() == name);
        found.ok_or_else(|| Error::UnknownMechanism {
            given: name.to_owned(),
        })
    }

    /// All names, separated by commas.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The mechanism with the parameters in a JSON object; those that are not named have their defaults.
    ///
    /// ```
    /// use ruvector_dag::attention::MechanismId;
    ///
    /// let cone = MechanismId::CausalCone.configured(r#"{"max_depth": 3}"#)?;
    /// assert_eq!(cone.name(), "causal_cone");
    /// assert!(MechanismId::CausalCone.configured(r#"{"max_deep": 3}"#).is_err());
    /// # Ok::<(), ruvector_dag::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::MalformedParameters`], [`Error::InvalidParameter`].
    pub fn configured(self, parameters: &str) -> Result<Box<dyn DagAttention>, Error> {
        Ok(match self {
            MechanismId::Topological => {
                Box::new(TopologicalAttention::new(parameters::read(self, parameters)?))
            }
            MechanismId::CausalCone => {
                Box::new(CausalConeAttention::new(parameters::read(self, parameters)?)?)
            }
            MechanismId::CriticalPath => {
                Box::new(CriticalPathAttention::new(parameters::read(self, parameters)?)?)
            }
            MechanismId::MincutGated => {
                Box::new(MinCutGatedAttention::new(parameters::read(self, parameters)?)?)
            }
            MechanismId::HierarchicalLorentz => Box::new(HierarchicalLorentzAttention::new(
                parameters::read(self, parameters)?,
            )?),
            MechanismId::ParallelBranch => {
                Box::new(ParallelBranchAttention::new(parameters::read(self, parameters)?)?)
            }
            MechanismId::TemporalBtsp => {
                Box::new(TemporalBTSPAttention::new(parameters::read(self, parameters)?)?)
            }
        })
    }

    /// The mechanism with its default parameters.
    pub fn with_defaults(self) -> Box<dyn DagAttention> {
        match self {
            MechanismId::Topological => Box::new(TopologicalAttention),
            MechanismId::CausalCone => Box::new(CausalConeAttention::default()),
            MechanismId::CriticalPath => Box::new(CriticalPathAttention::default()),
            MechanismId::MincutGated => Box::new(MinCutGatedAttention::default()),
            MechanismId::HierarchicalLorentz => Box::new(HierarchicalLorentzAttention::default()),
            MechanismId::ParallelBranch => Box::new(ParallelBranchAttention::default()),
            MechanismId::TemporalBtsp => Box::new(TemporalBTSPAttention::default()),
        }
    }
}

/// A score per operator: in [0, 1], with sum 1 unless there are no operators.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AttentionScores {
    scores: Vec<f64>,
}

impl AttentionScores {
    /// Scores in the order of [`QueryDag::nodes`]. Scaled to sum 1; what is negative or not a number counts as 0, and
    /// when nothing is left all operators score the same.
    pub fn new(mut scores: Vec<f64>) -> Self {
        scores
            .iter_mut()
            .filter(|score| !(**score > 0.0 && score.is_finite()))
            .for_each(|score| *score = 0.0);
        let sum: f64 = scores.iter().sum();
        if sum >= f64::MIN_POSITIVE && sum.is_finite() {
            let scale = 1.0 / sum;
            scores
                .iter_mut()
                .for_each(|score| *score = (*score * scale).min(1.0));
        } else {
            let equal = 1.0 / scores.len() as f64;
            scores.fill(equal);
        }
        Self { scores }
    }

    /// The scores in the order of [`QueryDag::nodes`].
    pub fn as_slice(&self) -> &[f64] {
        &self.scores
    }

    /// The score of an operator of the graph that the scores belong to.
    pub fn get(&self, operator: OperatorId, dag: &QueryDag) -> Option<f64> {
        self.scores.get(dag.position(operator).ok()?).copied()
    }

    /// The number of operators.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there are no operators.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }
}

/// The directions that the content part compares: each operator's features projected to four axes (data, work, surprise,
/// place) and scaled to unit length, in the order of [`QueryDag::nodes`].
///
/// Complexity: O(V + E).
pub fn directions(dag: &QueryDag) -> Vec<[f64; 4]> {
    Facts::of(dag).of.iter().map(|fact| fact.direction).collect()
}

/// Weighs the operators of a plan. Deterministic: the same graph and the same mechanism give the same bits.
///
/// ```
/// use ruvector_dag::attention::{DagAttention, TopologicalAttention};
/// use ruvector_dag::{OperatorNode, OperatorType, QueryDag};
///
/// let mut dag = QueryDag::new();
/// let scan = dag.add_node(OperatorNode::seq_scan(0, "users").with_estimate(1e6, 0.0, 900.0));
/// let sort = dag.add_node(OperatorNode::new(1, OperatorType::Sort).with_estimate(1e6, 950.0, 1000.0));
/// dag.add_edge(scan, sort)?;
///
/// let attention = TopologicalAttention::new(Default::default());
/// let scores = attention.forward(&dag);
/// assert!(scores.get(scan, &dag) > scores.get(sort, &dag));
/// assert_eq!(attention.attend(&dag, scan)?, [1.0, 0.0]); // nothing feeds a scan
/// # Ok::<(), ruvector_dag::Error>(())
/// ```
pub trait DagAttention: Send + Sync {
    /// The scores `s(v)` of all operators.
    fn forward(&self, dag: &QueryDag) -> AttentionScores;

    /// How an operator attends to the others: the row `A(q, ·)`, in the order of [`QueryDag::nodes`], with sum 1.
    ///
    /// # Errors
    /// [`Error::UnknownOperator`].
    fn attend(&self, dag: &QueryDag, operator: OperatorId) -> Result<Vec<f64>, Error>;

    /// All rows, in the order of [`QueryDag::nodes`]: O(n²) numbers.
    fn matrix(&self, dag: &QueryDag) -> Vec<Vec<f64>>;

    /// The mechanism's name, as in settings.
    fn name(&self) -> &'static str;

    /// The time of `forward`, n being the number of operators and s that of shared ones.
    fn complexity(&self) -> &'static str;

    /// A hash of the mechanism, its parameters and its state: what makes two calls comparable.
    fn parameters_fingerprint(&self) -> u64;
}

/// What a mechanism adds to the common form.
trait Mechanism {
    /// The scores before they are scaled.
    fn scores(&self, facts: &Facts<'_>) -> Vec<f64>;

    /// e to the bias for each v in the mask of the operator at this position, 0 for the others.
    fn factors(&self, facts: &Facts<'_>, at: usize) -> Vec<f64>;

    fn forward_on(&self, dag: &QueryDag) -> AttentionScores {
        AttentionScores::new(self.scores(&Facts::of(dag)))
    }

    fn attend_on(&self, dag: &QueryDag, operator: OperatorId) -> Result<Vec<f64>, Error> {
        let at = dag.position(operator)?;
        let facts = Facts::of(dag);
        Ok(facts.row(at, self.factors(&facts, at)))
    }

    fn matrix_on(&self, dag: &QueryDag) -> Vec<Vec<f64>> {
        let facts = Facts::of(dag);
        let rows = (0..dag.len()).map(|at| facts.row(at, self.factors(&facts, at)));
        rows.collect()
    }
}

/// The methods of [`DagAttention`] that are the same for every [`Mechanism`].
macro_rules! common_form {
    () => {
        fn forward(&self, dag: &QueryDag) -> AttentionScores {
            self.forward_on(dag)
        }

        fn attend(&self, dag: &QueryDag, operator: OperatorId) -> Result<Vec<f64>, Error> {
            self.attend_on(dag, operator)
        }

        fn matrix(&self, dag: &QueryDag) -> Vec<Vec<f64>> {
            self.matrix_on(dag)
        }
    };
}
use common_form;

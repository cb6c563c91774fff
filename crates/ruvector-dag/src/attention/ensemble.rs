//! Ensemble attention: a weighted mean of other mechanisms.
//!
//! - A(q, v) and s(v): Σ_m a_m A_m(q, v) and Σ_m a_m s_m(v), with weights a scaled to sum 1.
//! - Complexity: that of its members, added.
//! - Source: mixtures of attentions as in multi-head attention (Vaswani et al. 2017), with a mean in place of the output
//!   projection.
//!
//! Job: plans to which more than one trigger applies.

use super::parameters::{check, fingerprint};
use super::{AttentionScores, DagAttention, MechanismId};
use crate::{Error, OperatorId, QueryDag};

const NAME: &str = "ensemble";

/// See the module's text: the weighted mean of its members.
pub struct EnsembleAttention {
    members: Vec<(Box<dyn DagAttention>, f64)>,
}

impl EnsembleAttention {
    /// The mean of these mechanisms with these weights: not negative, at least one of them above 0.
    ///
    /// ```
    /// use ruvector_dag::attention::{EnsembleAttention, MechanismId};
    ///
    /// let both = [MechanismId::CriticalPath, MechanismId::MincutGated].map(|member| (member.with_defaults(), 0.5));
    /// assert!(EnsembleAttention::new(both.into()).is_ok());
    /// assert!(EnsembleAttention::new(Vec::new()).is_err());
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidParameter`].
    pub fn new(mut members: Vec<(Box<dyn DagAttention>, f64)>) -> Result<Self, Error> {
        for &(_, weight) in &members {
            check(
                NAME,
                "weight",
                weight,
                (0.0..=1e9).contains(&weight),
                "from 0 to 1e9",
            )?;
        }
        let sum: f64 = members.iter().map(|(_, weight)| weight).sum();
        check(NAME, "sum of weights", sum, sum >= f64::MIN_POSITIVE, "above 0")?;
        members.retain(|&(_, weight)| weight > 0.0);
        members.iter_mut().for_each(|(_, weight)| *weight /= sum);
        Ok(Self { members })
    }

    /// The plain mean of all seven mechanisms, each as `make` makes it.
    pub fn of_all(make: impl Fn(MechanismId) -> Box<dyn DagAttention>) -> Self {
        let weight = 1.0 / MechanismId::ALL.len() as f64;
        Self {
            members: MechanismId::ALL.map(|mechanism| (make(mechanism), weight)).into(),
        }
    }

    /// The weighted mean of what each member says, number by number.
    fn mean(
        &self,
        length: usize,
        of: impl Fn(&dyn DagAttention) -> Result<Vec<f64>, Error>,
    ) -> Result<Vec<f64>, Error> {
        let mut mean = vec![0.0; length];
        for (member, weight) in &self.members {
            for (mean, value) in mean.iter_mut().zip(of(member.as_ref())?) {
                *mean += weight * value;
            }
        }
        Ok(mean)
    }
}

impl DagAttention for EnsembleAttention {
    fn forward(&self, dag: &QueryDag) -> AttentionScores {
        let scores = self.mean(dag.len(), |member| Ok(member.forward(dag).scores));
        AttentionScores::new(scores.unwrap_or_default())
    }

    fn attend(&self, dag: &QueryDag, operator: OperatorId) -> Result<Vec<f64>, Error> {
        self.mean(dag.len(), |member| member.attend(dag, operator))
    }

    fn matrix(&self, dag: &QueryDag) -> Vec<Vec<f64>> {
        let mut mean = vec![vec![0.0; dag.len()]; dag.len()];
        for (member, weight) in &self.members {
            for (mean, row) in mean.iter_mut().zip(member.matrix(dag)) {
                for (mean, value) in mean.iter_mut().zip(row) {
                    *mean += weight * value;
                }
            }
        }
        mean
    }

    fn name(&self) -> &'static str {
        NAME
    }

    fn complexity(&self) -> &'static str {
        "the sum of its members'"
    }

    fn parameters_fingerprint(&self) -> u64 {
        let words = self
            .members
            .iter()
            .flat_map(|(member, weight)| [f64::from_bits(member.parameters_fingerprint()), *weight]);
        fingerprint(NAME, &words.collect::<Vec<_>>())
    }
}

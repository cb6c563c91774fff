//! Attention by its definition, pair by pair: exp of content plus bias over the mask, with the exact exponential.

use ruvector_dag::attention::{
    CausalConeParameters, CriticalPathParameters, HierarchicalLorentzParameters, MechanismId,
    MinCutGatedParameters, ParallelBranchParameters, TemporalBTSPAttention, directions,
};
use ruvector_dag::{OperatorId, QueryDag, mincut};
use std::collections::{HashMap, HashSet, VecDeque};

/// What the definitions speak of.
pub(crate) struct Plan<'d> {
    dag: &'d QueryDag,
    ids: Vec<OperatorId>,
    places: HashMap<OperatorId, usize>,
    feeding: Vec<HashSet<usize>>,
    pub(crate) directions: Vec<[f64; 4]>,
    pub(crate) weights: Vec<f64>,
}

impl<'d> Plan<'d> {
    pub(crate) fn of(dag: &'d QueryDag) -> Self {
        let ids: Vec<OperatorId> = dag.nodes().map(|node| node.id).collect();
        let places: HashMap<OperatorId, usize> = ids.iter().copied().zip(0..).collect();
        let feeding = ids
            .iter()
            .map(|&id| dag.ancestors(id).iter().map(|id| places[id]).collect());
        let costs: Vec<f64> = ids.iter().map(|&id| dag.self_cost(id).min(f64::MAX)).collect();
        let largest = costs.iter().copied().fold(0.0, f64::max);
        let sum: f64 = costs.iter().map(|cost| cost / largest).sum();
        let share = |cost: &f64| {
            if largest > 0.0 {
                cost / largest / sum
            } else {
                1.0 / costs.len() as f64
            }
        };
        Self {
            dag,
            feeding: feeding.collect(),
            directions: directions(dag),
            weights: costs.iter().map(share).collect(),
            places,
            ids,
        }
    }

    fn inputs(&self, at: usize) -> Vec<usize> {
        self.dag.inputs(self.ids[at]).map(|id| self.places[&id]).collect()
    }

    fn consumers(&self, at: usize) -> Vec<usize> {
        self.dag
            .consumers(self.ids[at])
            .map(|id| self.places[&id])
            .collect()
    }

    pub(crate) fn content(&self, q: usize, v: usize) -> f64 {
        let pairs = self.directions[q].iter().zip(&self.directions[v]);
        pairs.map(|(a, b)| a * b).sum::<f64>() / 2.0
    }

    fn hops(&self, from: usize, to: usize) -> Option<usize> {
        let mut open = VecDeque::from([(from, 0)]);
        while let Some((at, hops)) = open.pop_front() {
            if at == to {
                return Some(hops);
            }
            open.extend(self.inputs(at).into_iter().map(|input| (input, hops + 1)));
        }
        None
    }

    fn cost_of_way(&self, at: usize) -> f64 {
        let ways = self.inputs(at).into_iter().map(|input| self.cost_of_way(input));
        self.weights[at] + ways.fold(0.0, f64::max)
    }

    fn costliest_way(&self, at: usize) -> HashSet<usize> {
        let mut way = HashSet::from([at]);
        let mut inputs = self.inputs(at);
        // Of equal ones the first: the last maximum of the reversed inputs.
        inputs.reverse();
        let best = inputs
            .into_iter()
            .max_by(|&a, &b| self.cost_of_way(a).total_cmp(&self.cost_of_way(b)));
        if let Some(best) = best {
            way.extend(self.costliest_way(best));
        }
        way
    }

    fn nesting(&self, at: usize) -> usize {
        let above = self
            .consumers(at)
            .into_iter()
            .map(|consumer| self.nesting(consumer) + 1);
        above.max().unwrap_or(0)
    }

    fn branch_share(&self, at: usize) -> f64 {
        match self.consumers(at)[..] {
            [only] if self.inputs(only).len() == 1 => self.branch_share(only),
            _ => {
                let below: f64 = self.feeding[at].iter().map(|&input| self.weights[input]).sum();
                (self.weights[at] + below).min(1.0)
            }
        }
    }

    /// The bias of a mechanism with default parameters; `None` outside its mask.
    fn bias(
        &self,
        mechanism: MechanismId,
        temporal: &TemporalBTSPAttention,
        q: usize,
        v: usize,
    ) -> Option<f64> {
        let is_fed = q == v || self.feeding[q].contains(&v);
        match mechanism {
            MechanismId::Topological => is_fed.then_some(0.0),
            MechanismId::CausalCone => {
                let CausalConeParameters { max_depth, decay } = Default::default();
                let hops = self.hops(q, v).filter(|&hops| hops <= max_depth as usize)?;
                Some(hops as f64 * decay.ln())
            }
            MechanismId::CriticalPath => {
                let CriticalPathParameters { beta } = Default::default();
                is_fed.then(|| {
                    if self.costliest_way(q).contains(&v) {
                        beta
                    } else {
                        0.0
                    }
                })
            }
            MechanismId::MincutGated => {
                let MinCutGatedParameters { theta, tau } = Default::default();
                let tension = mincut::tensions(self.dag)[v];
                is_fed.then(|| (1.0 / (1.0 + (-(tension - theta) / tau).exp())).ln())
            }
            MechanismId::HierarchicalLorentz => {
                let HierarchicalLorentzParameters { curvature, tau } = Default::default();
                let radius = |at| (1.0 + self.nesting(at) as f64).ln();
                let distance = (radius(q).cosh() * radius(v).cosh()).acosh() / curvature.sqrt();
                Some(if q == v { 0.0 } else { -distance / tau })
            }
            MechanismId::ParallelBranch => {
                let ParallelBranchParameters { sync_penalty } = Default::default();
                let is_beside = q == v || !(is_fed || self.feeding[v].contains(&q));
                is_beside.then(|| -sync_penalty * (self.branch_share(q) - self.branch_share(v)))
            }
            MechanismId::TemporalBtsp => {
                let node = self.dag.node(self.ids[v])?;
                is_fed.then(|| (1.0 + temporal.trace(node)).ln())
            }
        }
    }

    /// A(q, ·).
    pub(crate) fn row(&self, mechanism: MechanismId, temporal: &TemporalBTSPAttention, q: usize) -> Vec<f64> {
        let exponential = |v| {
            let bias = self.bias(mechanism, temporal, q, v);
            bias.map_or(0.0, |bias| (self.content(q, v) + bias).exp())
        };
        let row: Vec<f64> = (0..self.ids.len()).map(exponential).collect();
        let sum: f64 = row.iter().sum();
        row.into_iter().map(|value| value / sum).collect()
    }
}

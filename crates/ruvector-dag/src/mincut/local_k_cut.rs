//! LocalKCut: a cut of value at most k and volume at most ν around an operator, or the certainty that there is none.
//!
//! The task is that of El-Hayek, Henzinger and Li (2025), for directed graphs with capacities: a set X that holds the
//! operator and no sink, whose leaving edges have capacities of at most k in sum (its value), and whose members have at
//! most ν leaving edges in all (its volume). It is solved exactly, by branching: what the members lead to is either a
//! member too, or its edges are cut. A branch ends when its value or volume is too large, so that only operators within
//! ν edges are looked at, however large the plan is. On trees, where each operator has one consumer, that is O(ν); with
//! c operators outside X that its edges lead to, O((ν + 1)^(c + 1)).

use super::DagMinCutEngine;
use crate::{Error, OperatorId};
use std::collections::HashMap;

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalKCut {
    /// The largest value, k.
    pub value: f64,
    /// The largest volume, ν, in edges.
    pub volume: usize,
}

/// A cut around an operator.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalCut {
    /// The operators within, sorted.
    pub operators: Vec<OperatorId>,
    /// The edges that leave them, sorted.
    pub edges: Vec<(OperatorId, OperatorId)>,
    /// The sum of the edges' capacities.
    pub value: f64,
    /// How many edges leave members, also towards other members.
    pub volume: usize,
}

/// The state before a decision, to come back to.
#[derive(Clone, Copy)]
struct Decision {
    found: usize,
    value: f64,
    volume: usize,
    is_member: bool,
}

/// Operators in the order in which they were found, the first of them decided.
struct Search<'e> {
    engine: &'e DagMinCutEngine,
    limit: LocalKCut,
    found: Vec<u32>,
    /// Whether each found operator is a member; `None` while undecided.
    members: HashMap<u32, Option<bool>>,
    decisions: Vec<Decision>,
    value: f64,
    volume: usize,
}

impl LocalKCut {
    /// A cut of at most this value and volume around an operator; `None` says that none exists.
    ///
    /// # Errors
    /// [`Error::UnknownOperator`].
    pub fn find(&self, engine: &DagMinCutEngine, around: OperatorId) -> Result<Option<LocalCut>, Error> {
        let place = engine.place(around)?;
        let mut search = Search {
            engine,
            limit: *self,
            found: vec![place],
            members: HashMap::from([(place, None)]),
            decisions: Vec::new(),
            value: 0.0,
            volume: 0,
        };
        let is_found = search.decide(true) && search.run();
        Ok(is_found.then(|| search.cut()))
    }
}

impl DagMinCutEngine {
    /// The narrow places of single sources: around each a cut within these limits, each once, the narrowest first.
    pub fn local_cuts(&self, limit: LocalKCut) -> Vec<LocalCut> {
        let sources = (0..self.numbers.len() as u32).filter(|&place| self.inputs[place as usize] == 0);
        let operators = sources.filter_map(|place| self.numbers[place as usize]);
        let found = operators.filter_map(|operator| limit.find(self, operator).ok().flatten());
        let mut cuts: Vec<LocalCut> = found.filter(|cut| !cut.edges.is_empty()).collect();
        cuts.sort_by(|a, b| a.value.total_cmp(&b.value).then_with(|| a.edges.cmp(&b.edges)));
        cuts.dedup_by(|a, b| a.edges == b.edges);
        cuts
    }
}

impl Search<'_> {
    /// Decides until nothing is open; tells whether a cut was found.
    fn run(&mut self) -> bool {
        while self.decisions.len() < self.found.len() {
            // Cutting first finds the smallest cuts first.
            if !self.decide(false) && !self.revise() {
                return false;
            }
        }
        true
    }

    /// Decides the next operator; tells whether the cut is still small enough.
    fn decide(&mut self, is_member: bool) -> bool {
        let place = self.found[self.decisions.len()];
        self.decisions.push(Decision {
            found: self.found.len(),
            value: self.value,
            volume: self.volume,
            is_member,
        });
        self.members.insert(place, Some(is_member));
        if is_member {
            self.let_in(place);
        } else {
            self.value += self.entering(place);
        }
        let is_sink = is_member && self.engine.consumers(place).next().is_none();
        !is_sink && self.value <= self.limit.value && self.volume <= self.limit.volume
    }

    fn let_in(&mut self, place: u32) {
        for (consumer, capacity) in self.engine.consumers(place) {
            self.volume += 1;
            if self.volume > self.limit.volume {
                return;
            }
            match self.members.get(&consumer) {
                Some(Some(false)) => self.value += capacity,
                Some(_) => {}
                None => {
                    self.members.insert(consumer, None);
                    self.found.push(consumer);
                }
            }
        }
    }

    /// The capacities of the edges from members to an operator.
    fn entering(&self, place: u32) -> f64 {
        let members = self.found[..self.decisions.len()]
            .iter()
            .filter(|found| self.members.get(found) == Some(&Some(true)));
        members
            .flat_map(|&member| self.engine.consumers(member))
            .filter(|&(consumer, _)| consumer == place)
            .map(|(_, capacity)| capacity)
            .sum()
    }

    /// Goes back to the last operator that was left out, until one may be let in; tells whether there was one.
    fn revise(&mut self) -> bool {
        while let Some(decision) = self.decisions.pop() {
            for place in self.found.drain(decision.found..) {
                self.members.remove(&place);
            }
            (self.value, self.volume) = (decision.value, decision.volume);
            self.members.insert(self.found[self.decisions.len()], None);
            if !decision.is_member && self.decide(true) {
                return true;
            }
        }
        false
    }

    fn cut(&self) -> LocalCut {
        let is_member = |place: &u32| self.members.get(place) == Some(&Some(true));
        let number = |place: u32| self.engine.numbers[place as usize];
        let members = || self.found.iter().copied().filter(is_member);
        let leaving = members().flat_map(|member| {
            let outside = self
                .engine
                .consumers(member)
                .filter(|(consumer, _)| !is_member(consumer));
            outside.filter_map(move |(consumer, _)| number(member).zip(number(consumer)))
        });
        let (mut operators, mut edges): (Vec<_>, Vec<_>) =
            (members().filter_map(number).collect(), leaving.collect());
        operators.sort_unstable();
        edges.sort_unstable();
        LocalCut {
            operators,
            edges,
            value: self.value,
            volume: self.volume,
        }
    }
}

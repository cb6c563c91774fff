//! Under what a statement never seen is planned beside its stock plan, and which of these plans is taken.

use super::choice::{LEAST_COST, allowed};
use super::rewrite::Spending;
use crate::pg::catalog;
use crate::pg::plan_tree::PlanFacts;
use crate::settings::{self, FirstSight};
use crate::shmem::{experiences, guards};
use engine::decision::{FastestPredicted, HintSet, Possibilities, TIE};

/// The hint sets under which a statement never seen is planned, too, and what says which of these plans is taken.
pub(crate) struct Others {
    /// The last one is next.
    hints: Vec<HintSet>,
    /// Those that were planned, with the methods that their plans use, as bits.
    planned: Vec<(HintSet, u32)>,
    judge: Judge,
}

impl Others {
    fn new(mut hints: Vec<HintSet>, judge: Judge) -> Self {
        hints.reverse();
        Self {
            hints,
            planned: Vec::new(),
            judge,
        }
    }

    /// The next one that may give a plan not seen yet, if there is time for another planning.
    pub(crate) fn next(&mut self, spending: &Spending) -> Option<HintSet> {
        if !self.judge.allows_another(spending) {
            return None;
        }
        let is_known = |hints: HintSet| {
            let mut planned = self.planned.iter();
            planned.any(|&(other, used)| hints.adds_nothing_to(other, used))
        };
        std::iter::from_fn(|| self.hints.pop()).find(|&hints| !is_known(hints))
    }

    /// Whether the plan with these facts is taken that was made under these hints, where the stock plan costs `own_cost`; `is_other` where it is
    /// another plan than that.
    pub(crate) fn takes(&mut self, facts: &PlanFacts, hints: HintSet, own_cost: f64, is_other: bool) -> bool {
        self.planned.push((hints, facts.methods));
        let is_taken = is_other && self.judge.takes(facts, own_cost);
        if is_taken && matches!(self.judge, Judge::Tie) {
            // The hint sets that promise less are left out.
            self.hints.clear();
        }
        is_taken
    }
}

/// What says whether a plan is taken instead of the stock plan.
#[derive(Debug, Clone)]
enum Judge {
    /// It costs about as much, and its hint set was faster elsewhere.
    Tie,
    /// It is predicted to be faster than the stock plan, and than the best one so far.
    Times(FastestPredicted),
}

impl Judge {
    /// Whether a plan with these facts is taken where the stock plan costs `own_cost`.
    fn takes(&mut self, facts: &PlanFacts, own_cost: f64) -> bool {
        match self {
            Judge::Tie => facts.total_cost <= TIE * own_cost,
            Judge::Times(fastest) => fastest.takes(&facts.costs, facts.total_cost, own_cost),
        }
    }

    /// Whether there is time for another planning.
    fn allows_another(&self, spending: &Spending) -> bool {
        match self {
            Judge::Tie => true,
            Judge::Times(fastest) => fastest.allows_planning(spending.total_ms()),
        }
    }
}

/// Under what a statement never seen is planned, too, whose stock plan this is; none where that is not worth it.
pub(crate) fn others(facts: &PlanFacts, spending: &Spending) -> Option<Others> {
    if facts.total_cost < LEAST_COST {
        return None;
    }
    let possible = Possibilities {
        is_without_rows: true,
        ..allowed(facts.uses_jit, facts.is_parallel, facts.methods)
    };
    let others = match settings::first_sight() {
        FirstSight::Predicted => predicted(facts, &possible, spending)?,
        _ => Others::new(
            experiences::promising_for(&facts.operators, &possible),
            Judge::Tie,
        ),
    };
    (!others.hints.is_empty()).then_some(others)
}

fn predicted(facts: &PlanFacts, possible: &Possibilities, spending: &Spending) -> Option<Others> {
    let times = guards::get(catalog::database()).times;
    let fastest = FastestPredicted::of_stock(facts.costs, times, settings::confidence());
    let has_time = fastest.allows_planning(spending.total_ms());
    has_time.then(|| Others::new(fastest.candidates(possible), Judge::Times(fastest)))
}

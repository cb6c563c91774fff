//! What was understood of a plan when it was made, kept in the session until the plan runs: often at once, for a prepared
//! statement many times. Found again by the token on the plan.

use crate::pg::plan_tree::PlanFacts;
use crate::pg::statement::Statement;
use crate::steer::rewrite::Rules;
use engine::decision::{Decision, HintSet};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// Plans kept per session; the oldest one goes first, and is not learned from any more.
const CAPACITY: usize = 1024;

/// Where a statement stands among its own with other constants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region {
    /// Shape of the stock plan.
    pub(crate) shape: u64,
    /// The stock plan's total cost.
    pub(crate) cost: f64,
    /// What stock is expected to take, when the region chose what is planned with instead.
    pub(crate) stock_ms: Option<f64>,
}

/// A plan's context.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) statement: Statement,
    /// What it was planned with.
    pub(crate) decision: Decision,
    /// Milliseconds that planning took, where that is compared.
    pub(crate) planning_ms: f64,
    /// What rewrote the statement.
    pub(crate) rules: Rules,
    /// What the statement's own form was estimated to cost, where this one was taken for being cheaper.
    pub(crate) own_cost: Option<f64>,
    /// Corrections applied.
    pub(crate) corrected: u32,
    /// What its corrected parts were planned with.
    pub(crate) planned_rows: Vec<(u64, f64)>,
    pub(crate) facts: PlanFacts,
    /// Its region, as far as its stock plan is known.
    pub(crate) region: Option<Region>,
    /// It was planned to be tried, with a way back.
    pub(crate) is_trial: bool,
    /// Nobody waits for it.
    pub(crate) is_dream: bool,
}

impl Remembered {
    /// Whether what is known of other constants decided.
    pub(crate) fn is_chosen_by_region(&self) -> bool {
        self.region.is_some_and(|region| region.stock_ms.is_some())
    }

    /// What is not stock about the plan, in words.
    pub(crate) fn describe(&self) -> String {
        match (self.corrected, self.decision.hints) {
            (0, HintSet::NONE) => "stock plan".to_owned(),
            (0, hints) => self.name_rules(hints),
            (corrected, HintSet::NONE) => format!("{corrected} row estimates corrected"),
            (corrected, hints) => format!("{corrected} row estimates corrected, {}", self.name_rules(hints)),
        }
    }

    /// The hints, and by which rules the statement was rewritten.
    fn name_rules(&self, hints: HintSet) -> String {
        match self.rules {
            Rules::NONE => hints.describe(),
            rules => format!("{}, by {}", hints.describe(), rules.names()),
        }
    }
}

#[derive(Default)]
struct Store {
    plans: HashMap<u32, Rc<Remembered>>,
    order: VecDeque<u32>,
    next: u32,
}

thread_local! {
    static STORE: RefCell<Store> = RefCell::default();
}

/// Keeps a plan's context and returns its token.
pub(crate) fn remember(remembered: Remembered) -> u32 {
    STORE.with_borrow_mut(|store| {
        if store.order.len() >= CAPACITY
            && let Some(oldest) = store.order.pop_front()
        {
            store.plans.remove(&oldest);
        }
        store.next = store.next.wrapping_add(1);
        store.plans.insert(store.next, Rc::new(remembered));
        store.order.push_back(store.next);
        store.next
    })
}

/// The context of the plan with this token.
pub(crate) fn find(token: u32) -> Option<Rc<Remembered>> {
    STORE.with_borrow(|store| store.plans.get(&token).cloned())
}

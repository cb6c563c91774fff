//! What executions say of the planner's cost settings: whether a unit of cost takes as long where pages are read at random,
//! or where rows are processed, as where tables are read in order.
//!
//! The model is that of Wu et al. ("Predicting query execution time: are optimizer cost models really unusable?", ICDE 2013):
//! a plan takes the sum of its costs by kind, each times how long a unit of that kind takes here. They time statements made for it;
//! here the statements that run anyway have to do, so that what can't be told from them is not said. Only plans whose row counts
//! were right belong here: other plans' costs are wrong for another reason.
//!
//! Costs are relative, so that one kind is the measure of the others: reading tables in order, their rows included. On a
//! server where rows and not pages take the time this measure holds part of what `cpu_*` settings are about: advice then goes
//! less far than it should, never further, and what is left shows when it was followed.

mod fit;
mod spent;

pub use spent::SpentCosts;

use crate::Error;
use crate::cost::PostgresCostModel;
use crate::interruptible::IsOver;
use fit::{Observation, Ratio};

/// Plans and statements below which nothing is said.
const LEAST_PLANS: usize = 30;
const LEAST_STATEMENTS: usize = 10;
/// Statements with a plan of which a kind is at least this share, below which nothing is said of the kind.
const LEAST_OF_KIND: usize = 5;
const PRESENT: f64 = 0.2;
/// Pages read in order that a plan must be estimated to cost. What is cheaper is seen only when it was slow, since fast
/// executions of unknown statements are not recorded: it would make its kind look dear.
const LEAST_PAGES: f64 = 1000.0;
/// A setting is clearly off when the whole interval is, by more than this factor …
const CLEAR: f64 = 1.5;
/// … and a suggestion changes it by at most this one.
const MOST: f64 = 100.0;
/// Standard errors on either side that make an interval.
const ERRORS: f64 = 2.0;
/// Groups of statements that are left out in turn (Kott 2001: some thirty are enough).
const GROUPS: usize = 30;

/// An execution of a plan whose row counts were estimated right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExecutedPlan {
    /// The statement without its constants.
    pub statement: u64,
    /// The statement with them.
    pub class: u64,
    /// The plan's operators.
    pub plan_shape: u64,
    /// What it was estimated to cost.
    pub costs: SpentCosts,
    /// Time in the executor, in milliseconds.
    pub elapsed_ms: f64,
}

/// A setting, and what executions say of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostSetting {
    /// Its name in PostgreSQL.
    pub name: &'static str,
    /// The value that the plans were made with.
    pub current: f64,
    /// A better one, where the current one is clearly off.
    pub suggested: Option<f64>,
    /// Between which values the right one is, with some 95 % confidence; `None` where too little ran to say.
    pub interval: Option<(f64, f64)>,
}

/// What executions say of all settings.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannerCosts {
    /// `random_page_cost`, `cpu_tuple_cost`, `cpu_index_tuple_cost`, `cpu_operator_cost`.
    pub settings: [CostSetting; 4],
    /// Plans that were compared: executions of the same class and plan count once.
    pub plans: usize,
    /// Statements they are of, constants aside.
    pub statements: usize,
}

/// Compares what plans were estimated to cost at these prices with the time they took. Each statement counts once, whatever the
/// number of its constants and plans.
///
/// # Errors
/// [`Error::Cancelled`].
pub fn planner_costs(
    executed: &[ExecutedPlan],
    prices: &PostgresCostModel,
    is_over: &mut IsOver<'_>,
) -> Result<PlannerCosts, Error> {
    let plans = typical(executed, LEAST_PAGES * prices.seq_page_cost);
    let statements: Vec<&[ExecutedPlan]> = plans.chunk_by(|a, b| a.statement == b.statement).collect();
    let ratios = if plans.len() < LEAST_PLANS || statements.len() < LEAST_STATEMENTS {
        [None; 2]
    } else {
        ratios(&statements, is_over)?
    };
    Ok(PlannerCosts {
        settings: settings(prices, ratios),
        plans: plans.len(),
        statements: statements.len(),
    })
}

/// The median execution of each plan of each class, by statement.
fn typical(executed: &[ExecutedPlan], least_cost: f64) -> Vec<ExecutedPlan> {
    let is_usable = |plan: &&ExecutedPlan| {
        let (cost, ms) = (plan.costs.total(), plan.elapsed_ms);
        let are_costs = plan.costs.by_kind().iter().all(|&cost| cost >= 0.0);
        are_costs && cost > 0.0 && cost >= least_cost && cost.is_finite() && ms > 0.0 && ms.is_finite()
    };
    let key = |plan: &ExecutedPlan| (plan.statement, plan.class, plan.plan_shape);
    let mut usable: Vec<ExecutedPlan> = executed.iter().filter(is_usable).copied().collect();
    usable.sort_by(|a, b| {
        let by_time = a.elapsed_ms.total_cmp(&b.elapsed_ms);
        key(a).cmp(&key(b)).then(by_time)
    });
    let runs = usable.chunk_by(|a, b| key(a) == key(b));
    runs.filter_map(|runs| runs.get(runs.len() / 2).copied())
        .collect()
}

/// How long a unit of cost takes at random, and in processing rows, against one in order; `None` of what hardly occurs.
fn ratios(statements: &[&[ExecutedPlan]], is_over: &mut IsOver<'_>) -> Result<[Option<Ratio>; 2], Error> {
    let has = |kind: usize| {
        let is_of_kind = |plan: &ExecutedPlan| {
            let of_kind = plan.costs.by_kind().get(kind).copied().unwrap_or(0.0);
            of_kind >= PRESENT * plan.costs.total()
        };
        let count = statements.iter().filter(|plans| plans.iter().any(is_of_kind));
        count.count() >= LEAST_OF_KIND
    };
    if !has(0) {
        return Ok([None; 2]);
    }
    let groups = statements.len().min(GROUPS);
    let of_statement = |(at, plans): (usize, &&[ExecutedPlan])| {
        let weight = 1.0 / plans.len() as f64;
        let observation = |plan: &ExecutedPlan| Observation {
            costs: plan.costs.by_kind(),
            log_ms: plan.elapsed_ms.ln(),
            weight,
            group: at % groups,
        };
        plans.iter().map(observation).collect::<Vec<_>>()
    };
    let observations: Vec<Observation> = statements.iter().enumerate().flat_map(of_statement).collect();
    let fitted = fit::ratios(&observations, groups, is_over)?;
    Ok(fitted.map_or([None; 2], |[random, cpu]| {
        [Some(random).filter(|_| has(1)), Some(cpu).filter(|_| has(2))]
    }))
}

fn settings(prices: &PostgresCostModel, [random, cpu]: [Option<Ratio>; 2]) -> [CostSetting; 4] {
    // A page read at random is never cheaper than one read in order (PostgreSQL's own advice).
    let least = prices.seq_page_cost;
    [
        setting("random_page_cost", prices.random_page_cost, least, random),
        setting("cpu_tuple_cost", prices.cpu_tuple_cost, 0.0, cpu),
        setting("cpu_index_tuple_cost", prices.cpu_index_tuple_cost, 0.0, cpu),
        setting("cpu_operator_cost", prices.cpu_operator_cost, 0.0, cpu),
    ]
}

fn setting(name: &'static str, current: f64, least: f64, ratio: Option<Ratio>) -> CostSetting {
    let interval = ratio.map(|ratio| {
        let reach = ERRORS * ratio.deviation;
        (
            current * (ratio.log - reach).exp(),
            current * (ratio.log + reach).exp(),
        )
    });
    let is_clear = |&(lower, upper): &(f64, f64)| lower > CLEAR * current || upper < current / CLEAR;
    let suggested = ratio
        .filter(|_| interval.as_ref().is_some_and(is_clear))
        .and_then(|ratio| {
            let factor = ratio.log.exp().clamp(1.0 / MOST, MOST);
            let value = two_digits(current * factor).max(least);
            // The least value may be on the other side.
            ((value - current) * ratio.log > 0.0).then_some(value)
        });
    CostSetting {
        name,
        current,
        suggested,
        interval,
    }
}

/// More digits would promise more than is known.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

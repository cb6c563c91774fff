//! Which planner costs fit this server, by its executions, and how long its operators take: what decisions of its statements may
//! plan with, and what they choose by at first sight.

use crate::advice::planner_costs;
use crate::shmem::{guards, timings};
use engine::decision::{FittedCosts, HintSet, OperatorTimes};

/// Seconds between two looks of a worker, each at thousands of plans.
const EVERY: i64 = 60;

/// Fits them unless that was done just before, in the transaction under way.
pub(super) fn fit_when_due(database: u32) {
    if guards::begins_fitting(database, EVERY) {
        fit(database);
    }
}

/// Fits them now.
pub(super) fn fit(database: u32) {
    fit_times(database);
    // What can't be read is no reason not to learn the rest.
    let Ok((found, prices)) = planner_costs::on_all() else {
        return;
    };
    guards::begins_fitting(database, 0);
    let before = HintSet::from_bits(guards::get(database).costs).costs();
    let costs = FittedCosts::of(&found, prices.seq_page_cost, before);
    guards::set_costs(database, HintSet::NONE.with_costs(costs));
}

/// Fits how long operators take. What too few plans say leaves what was known.
pub(super) fn fit_times(database: u32) {
    if let Some(times) = OperatorTimes::fit(&timings::to_fit(database)) {
        guards::set_times(database, times);
    }
}

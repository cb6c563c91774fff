//! Which planner costs fit this server, by its executions: what decisions of its statements may plan with.

use crate::advice::planner_costs;
use crate::shmem::guards;
use engine::decision::{FittedCosts, HintSet};

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
    // What can't be read is no reason not to learn the rest.
    let Ok((found, prices)) = planner_costs::on_all() else {
        return;
    };
    guards::begins_fitting(database, 0);
    let before = HintSet::from_bits(guards::get(database).costs).costs();
    let costs = FittedCosts::of(&found, prices.seq_page_cost, before);
    guards::set_costs(database, HintSet::NONE.with_costs(costs));
}

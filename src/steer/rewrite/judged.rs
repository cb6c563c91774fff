//! When another form is not worth another planning: where plannings took long already for what the statement is estimated
//! to take, or where the same statement with other constants was planned in vain.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// PostgreSQL's costs per millisecond, roughly: one is the read of a page in sequence.
const COST_PER_MS: f64 = 100.0;
/// Share of a statement's estimated time that its plannings may take before one more: a millisecond of a statement of the least
/// cost whose forms are planned.
const SHARE: f64 = 0.01;
/// A statement that costs so many times what it cost when it was judged is judged again.
const GROWTH: f64 = 4.0;
/// Statements remembered per session; then all are forgotten, which costs a planning each.
const CAPACITY: usize = 1024;

thread_local! {
    /// What statements cost whose forms brought no clear gain, by `queryid`.
    static IN_VAIN: RefCell<HashMap<i64, f64>> = RefCell::default();
}

/// Whether a statement's forms were judged in vain when it cost about as much as now.
pub(super) fn is_in_vain(queryid: i64, cost: f64) -> bool {
    IN_VAIN.with_borrow(|judged| judged.get(&queryid).is_some_and(|&known| cost < known * GROWTH))
}

/// Notes a comparison of a statement that costs this much with one of its forms.
pub(super) fn note(queryid: i64, cost: f64, is_gain: bool) {
    IN_VAIN.with_borrow_mut(|judged| {
        if is_gain {
            judged.remove(&queryid);
            return;
        }
        if judged.len() >= CAPACITY {
            judged.clear();
        }
        judged.insert(queryid, cost);
    });
}

/// What plannings of a statement took so far.
#[derive(Clone, Copy)]
pub(crate) struct Spending {
    first: Duration,
    /// When the first of the others began.
    others: Option<Instant>,
}

impl Spending {
    /// After the statement itself was planned.
    pub(crate) fn of_first(took: Duration) -> Self {
        Self {
            first: took,
            others: None,
        }
    }

    /// Another planning begins.
    pub(crate) fn begin_another(&mut self) {
        self.others.get_or_insert_with(Instant::now);
    }

    /// Whether there is time for another planning, which takes about as long as the first, when the best plan so far costs
    /// this much.
    pub(super) fn allows_another(&self, cost: f64) -> bool {
        self.total_ms() <= cost / COST_PER_MS * SHARE
    }

    /// All plannings so far, in milliseconds.
    pub(crate) fn total_ms(&self) -> f64 {
        let others = self.others.map_or(Duration::ZERO, |begun| begun.elapsed());
        (self.first + others).as_secs_f64() * 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_is_fast_by_estimate_is_planned_once() {
        let spending = Spending::of_first(Duration::from_millis(2));
        assert!(!spending.allows_another(1_000.0));
        assert!(spending.allows_another(1_000_000.0));
    }

    #[test]
    fn a_statement_judged_in_vain_is_judged_again_when_it_costs_much_more() {
        assert!(!is_in_vain(7, 20_000.0));
        note(7, 20_000.0, false);
        assert!(is_in_vain(7, 30_000.0) && !is_in_vain(7, 100_000.0) && !is_in_vain(8, 20_000.0));
        note(7, 100_000.0, true);
        assert!(!is_in_vain(7, 20_000.0));
    }
}

//! Planner costs as part of a decision: in units of `seq_page_cost`, on a grid of twelve values per decade (the series E12 of
//! IEC 60063). So a decision says in a few bits what it was measured with, whatever is fitted later, and a fit that moves a little is the
//! same decision.

use super::hints::HintSet;
use super::planner_costs::{CostSetting, PlannerCosts};
use core::ffi::CStr;

/// The values of a decade, times ten.
const SERIES: [u32; 12] = [10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82];
/// Values that a grid has; level 0 is none of them.
const LEVELS: u32 = 63;
/// The bits of a level.
const LEVEL_BITS: u32 = 6;

/// A grid begins at this power of ten: a page at random costs at least as much as one in order, and a row a hundredth of PostgreSQL's
/// default. Each goes over five decades.
const RANDOM_FROM: i32 = 0;
const CPU_FROM: i32 = -4;

/// Planner costs that a statement is planned with, in units of `seq_page_cost`. What is none stays as the session has it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FittedCosts {
    /// `random_page_cost`.
    pub random_page: Option<f64>,
    /// `cpu_tuple_cost`; the other `cpu_*` costs keep their proportion to it.
    pub cpu_tuple: Option<f64>,
}

/// The cost settings of a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionCosts {
    /// `seq_page_cost`
    pub seq_page: f64,
    /// `random_page_cost`
    pub random_page: f64,
    /// `cpu_tuple_cost`
    pub cpu_tuple: f64,
    /// `cpu_index_tuple_cost`
    pub cpu_index_tuple: f64,
    /// `cpu_operator_cost`
    pub cpu_operator: f64,
}

impl FittedCosts {
    /// Out of the bits that [`Self::bits`] gave.
    pub(super) fn from_bits(bits: u32) -> Self {
        Self {
            random_page: value(RANDOM_FROM, bits & LEVELS),
            cpu_tuple: value(CPU_FROM, bits >> LEVEL_BITS & LEVELS),
        }
    }

    /// Twelve bits, 0 for nothing fitted.
    pub(super) fn bits(self) -> u32 {
        let level = |from, value: Option<f64>| value.map_or(0, |value| level(from, value));
        level(RANDOM_FROM, self.random_page) | level(CPU_FROM, self.cpu_tuple) << LEVEL_BITS
    }

    /// What executions say, on the grid. Where too little ran to say something it is as it was found before.
    pub fn of(found: &PlannerCosts, seq_page_cost: f64, before: Self) -> Self {
        let fitted = |setting: &CostSetting, before: Option<f64>| match setting.interval {
            Some(_) => setting.suggested.map(|suggested| suggested / seq_page_cost),
            None => before,
        };
        let [random, cpu, ..] = &found.settings;
        let fitted = Self {
            random_page: fitted(random, before.random_page),
            cpu_tuple: fitted(cpu, before.cpu_tuple),
        };
        Self::from_bits(fitted.bits())
    }

    /// What is to be set in a session with these costs of its own, by name; nothing of what it has already.
    pub fn settings(self, own: &SessionCosts) -> impl Iterator<Item = (&'static CStr, f64)> + use<> {
        let scaled = |value: f64| four_digits(value * own.seq_page);
        let cpu_tuple = self.cpu_tuple.map_or(own.cpu_tuple, scaled);
        let in_proportion = |cost: f64| match own.cpu_tuple > 0.0 {
            true => four_digits(cost * (cpu_tuple / own.cpu_tuple)),
            false => cost,
        };
        let random_page = self.random_page.map_or(own.random_page, scaled);
        let all = [
            (c"random_page_cost", own.random_page, random_page),
            (c"cpu_tuple_cost", own.cpu_tuple, cpu_tuple),
            (
                c"cpu_index_tuple_cost",
                own.cpu_index_tuple,
                self.cpu_tuple
                    .map_or(own.cpu_index_tuple, |_| in_proportion(own.cpu_index_tuple)),
            ),
            (
                c"cpu_operator_cost",
                own.cpu_operator,
                self.cpu_tuple
                    .map_or(own.cpu_operator, |_| in_proportion(own.cpu_operator)),
            ),
        ];
        let is_other = |&(_, own, fitted): &(&CStr, f64, f64)| fitted != own && fitted.is_finite();
        all.into_iter()
            .filter(is_other)
            .map(|(name, _, fitted)| (name, fitted))
    }

    /// Words for users.
    pub(super) fn describe(self) -> impl Iterator<Item = String> {
        let random = self
            .random_page
            .map(|cost| format!("random_page_cost fitted to {cost}"));
        let cpu = self
            .cpu_tuple
            .map(|cost| format!("cpu_tuple_cost fitted to {cost}"));
        random.into_iter().chain(cpu)
    }
}

impl HintSet {
    /// The planner costs in force under it.
    pub fn costs(self) -> FittedCosts {
        FittedCosts::from_bits(self.cost_bits())
    }

    /// The same set with these planner costs, on the grid.
    pub fn with_costs(self, costs: FittedCosts) -> Self {
        self.with_cost_bits(costs.bits())
    }

    /// Whether it has planner costs of its own.
    pub fn has_costs(self) -> bool {
        self.cost_bits() != 0
    }

    /// The same set with the session's planner costs.
    pub fn without_costs(self) -> Self {
        self.with_cost_bits(0)
    }
}

fn value(from: i32, level: u32) -> Option<f64> {
    let at = level.checked_sub(1).filter(|&at| at < LEVELS)?;
    let of_ten = f64::from(*SERIES.get(at as usize % SERIES.len())?);
    let power = from - 1 + i32::try_from(at as usize / SERIES.len()).ok()?;
    // Powers of ten are exact, their inverses are not.
    Some(match power < 0 {
        true => of_ten / 10f64.powi(-power),
        false => of_ten * 10f64.powi(power),
    })
}

/// The level of the nearest value; 0 of what is no cost.
fn level(from: i32, cost: f64) -> u32 {
    if !(cost > 0.0 && cost.is_finite()) {
        return 0;
    }
    let distance = |level: &u32| value(from, *level).map_or(f64::INFINITY, |value| (value / cost).ln().abs());
    let nearest = (1..=LEVELS).min_by(|a, b| distance(a).total_cmp(&distance(b)));
    nearest.unwrap_or(0)
}

/// Keeps what multiplication adds to a decimal number out of what users read.
fn four_digits(value: f64) -> f64 {
    if !(value > 0.0 && value.is_finite()) {
        return value;
    }
    let places = 3 - value.log10().floor() as i32;
    match (0..=15).contains(&places) {
        true => {
            let scale = 10f64.powi(places);
            (value * scale).round() / scale
        }
        false => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: SessionCosts = SessionCosts {
        seq_page: 1.0,
        random_page: 4.0,
        cpu_tuple: 0.01,
        cpu_index_tuple: 0.005,
        cpu_operator: 0.0025,
    };

    fn set(costs: FittedCosts, own: &SessionCosts) -> Vec<(&'static str, f64)> {
        let named = |(name, value): (&'static CStr, f64)| (name.to_str().unwrap_or(""), value);
        costs.settings(own).map(named).collect()
    }

    #[test]
    fn what_is_fitted_is_set_as_decimals_and_in_proportion() {
        let costs = FittedCosts {
            random_page: Some(1.2),
            cpu_tuple: Some(0.047),
        };
        let expected = [
            ("random_page_cost", 1.2),
            ("cpu_tuple_cost", 0.047),
            ("cpu_index_tuple_cost", 0.0235),
            ("cpu_operator_cost", 0.01175),
        ];
        assert_eq!(set(costs, &OWN), expected);
        let of_memory = SessionCosts { seq_page: 0.1, ..OWN };
        assert_eq!(set(costs, &of_memory)[0], ("random_page_cost", 0.12));
    }

    #[test]
    fn a_session_that_has_these_costs_already_has_nothing_to_set() {
        let costs = FittedCosts {
            random_page: Some(4.7),
            cpu_tuple: Some(0.0022),
        };
        let mut own = OWN;
        own.random_page = 4.7;
        assert_eq!(set(costs, &own).len(), 3);
        [own.cpu_tuple, own.cpu_index_tuple, own.cpu_operator] = [0.0022, 0.0011, 0.00055];
        assert_eq!(set(costs, &own), []);
        assert_eq!(set(FittedCosts::default(), &OWN), []);
    }

    #[test]
    fn costs_that_are_nothing_stay_nothing_in_proportion() {
        let costs = FittedCosts {
            random_page: None,
            cpu_tuple: Some(0.1),
        };
        let free = SessionCosts {
            cpu_tuple: 0.0,
            ..OWN
        };
        assert_eq!(set(costs, &free), [("cpu_tuple_cost", 0.1)]);
    }

    #[test]
    fn words_tell_costs_apart() {
        let hints = HintSet::NONE.serial().with_costs(FittedCosts {
            random_page: Some(1.0),
            cpu_tuple: Some(0.0082),
        });
        let words = "no parallel workers, random_page_cost fitted to 1, cpu_tuple_cost fitted to 0.0082";
        assert_eq!(hints.describe(), words);
    }

    proptest! {
        #[test]
        fn a_cost_is_kept_within_a_tenth_and_again_exactly(random in 1.0..1e5f64, cpu in 1e-4..10.0f64, others in 0u32..1 << 10) {
            let others = HintSet::from_bits(others);
            let hints = others.with_costs(FittedCosts { random_page: Some(random), cpu_tuple: Some(cpu) });
            let kept = hints.costs();
            let is_near = |kept: Option<f64>, cost: f64| kept.is_some_and(|kept| (kept / cost).ln().abs() < 0.12);
            prop_assert!(is_near(kept.random_page, random) && is_near(kept.cpu_tuple, cpu), "{kept:?}");
            prop_assert_eq!(HintSet::NONE.with_costs(kept).costs(), kept);
            prop_assert_eq!(HintSet::from_bits(hints.bits()), hints);
            // As it is stored: a positive integer.
            prop_assert!(i32::try_from(hints.bits()).is_ok());
            prop_assert_eq!(hints.without_costs(), others);
        }

        #[test]
        fn any_bits_are_costs_or_none(bits in 0u32..1 << 12) {
            let costs = FittedCosts::from_bits(bits);
            prop_assert_eq!(costs.bits(), bits);
            let fitted = [costs.random_page, costs.cpu_tuple];
            prop_assert!(fitted.into_iter().flatten().all(|cost| cost > 0.0 && cost.is_finite()));
        }
    }
}

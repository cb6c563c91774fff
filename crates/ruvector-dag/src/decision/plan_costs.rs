//! What PostgreSQL estimates a plan to spend, by kind of operator.

use super::hints::METHODS;
use crate::OperatorType;
use serde::{Deserialize, Serialize};

/// Kinds of operators that are told apart.
pub(super) const KINDS: usize = OperatorKind::ALL.len();
/// What starting an execution counts as in PostgreSQL's unit: about a millisecond.
const FIXED: f64 = 100.0;
/// What compiling an operator just in time counts as, and with inlining and optimisation: about 3 and 30 milliseconds.
const QUICK: f64 = 300.0;
const OPTIMIZED: f64 = 3000.0;
/// What `disable_cost` of costsize.c adds to the cost of what was switched off and is used all the same, and half of that.
const SWITCHED_OFF: f64 = 1e10;

/// An operator of a finished plan, as its costs are read.
pub trait CostedOperator: Sized {
    /// What it is.
    fn operator_type(&self) -> OperatorType;

    /// PostgreSQL's total cost, inputs included.
    fn total_cost(&self) -> f64;

    /// What it reads, the outer input first. What subplans cost is part of the operators that run them: they are left out.
    fn inputs(&self) -> Vec<Self>;
}

/// How a plan is compiled just in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compilation {
    /// Not at all.
    #[default]
    Off,
    /// As it is.
    Quick,
    /// Inlined or optimised.
    Optimized,
}

impl Compilation {
    /// What compiling an operator counts as.
    fn of_operator(self) -> f64 {
        match self {
            Self::Off => 0.0,
            Self::Quick => QUICK,
            Self::Optimized => OPTIMIZED,
        }
    }
}

/// What takes a plan's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum OperatorKind {
    /// Starting the execution.
    Start,
    /// Compiling it just in time.
    Compilation,
    /// A table read in order.
    SeqScan,
    /// Rows looked up in a table by an index.
    IndexScan,
    /// Rows read from an index alone.
    IndexOnlyScan,
    /// Pages looked up by a bitmap, with the bitmap.
    BitmapScan,
    /// A hash join, with its table.
    HashJoin,
    /// A merge join.
    MergeJoin,
    /// A nested loop with what it looks up by an index.
    IndexedLoop,
    /// The same where what was looked up is kept.
    MemoizedLoop,
    /// Any other nested loop.
    Loop,
    /// A sort.
    Sort,
    /// Rows kept to be read again.
    Materialize,
    /// Groups and aggregates.
    Aggregate,
    /// Anything else.
    Other,
}

impl OperatorKind {
    pub(super) const ALL: [Self; 15] = [
        Self::Start,
        Self::Compilation,
        Self::SeqScan,
        Self::IndexScan,
        Self::IndexOnlyScan,
        Self::BitmapScan,
        Self::HashJoin,
        Self::MergeJoin,
        Self::IndexedLoop,
        Self::MemoizedLoop,
        Self::Loop,
        Self::Sort,
        Self::Materialize,
        Self::Aggregate,
        Self::Other,
    ];

    /// As users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Compilation => "compilation",
            Self::SeqScan => "sequential scan",
            Self::IndexScan => "index scan",
            Self::IndexOnlyScan => "index-only scan",
            Self::BitmapScan => "bitmap scan",
            Self::HashJoin => "hash join",
            Self::MergeJoin => "merge join",
            Self::IndexedLoop => "nested loop with an index",
            Self::MemoizedLoop => "nested loop with an index, memoized",
            Self::Loop => "nested loop",
            Self::Sort => "sort",
            Self::Materialize => "materialize",
            Self::Aggregate => "aggregate",
            Self::Other => "other",
        }
    }

    /// That of an operator by itself; a nested loop's kind depends on what it reads.
    fn of(operator: OperatorType) -> Self {
        match operator {
            OperatorType::SeqScan => Self::SeqScan,
            OperatorType::IndexScan => Self::IndexScan,
            OperatorType::IndexOnlyScan => Self::IndexOnlyScan,
            OperatorType::HashJoin => Self::HashJoin,
            OperatorType::MergeJoin => Self::MergeJoin,
            OperatorType::Sort | OperatorType::IncrementalSort => Self::Sort,
            OperatorType::Materialize => Self::Materialize,
            OperatorType::Aggregate
            | OperatorType::Group
            | OperatorType::WindowAgg
            | OperatorType::Unique
            | OperatorType::SetOp => Self::Aggregate,
            _ => Self::Other,
        }
    }

    /// Which of the [`METHODS`] make operators of this kind, as bits.
    pub(super) fn methods(self) -> u32 {
        let [hash, merge, nested, seq, index, index_only, bitmap] = METHODS.map(|method| method.bit);
        match self {
            Self::SeqScan => seq,
            Self::IndexScan => index,
            Self::IndexOnlyScan => index_only,
            Self::BitmapScan => bitmap,
            Self::HashJoin => hash,
            Self::MergeJoin | Self::Sort => merge,
            Self::IndexedLoop | Self::MemoizedLoop => nested | index,
            Self::Loop => nested,
            Self::Start | Self::Compilation | Self::Materialize | Self::Aggregate | Self::Other => 0,
        }
    }
}

/// What PostgreSQL estimates a plan to spend, by kind of operator, in its unit of cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[repr(C)]
pub struct PlanCosts {
    by_kind: [f32; KINDS],
}

impl PlanCosts {
    /// Of an execution without any operator.
    pub(super) fn of_start() -> Self {
        let mut costs = Self::default();
        costs.add(OperatorKind::Start, FIXED);
        costs
    }

    /// Of a finished plan.
    pub fn of_plan(top: &impl CostedOperator, compilation: Compilation) -> Self {
        let mut costs = Self::of_start();
        let compiling = compilation.of_operator();
        if compiling > 0.0 {
            costs.add(OperatorKind::Compilation, compiling * operators(top) as f64);
        }
        costs.add_operator(top, 1.0);
        costs
    }

    /// Adds a share of an operator and of what it reads.
    fn add_operator<O: CostedOperator>(&mut self, operator: &O, share: f64) {
        let mut inputs = operator.inputs();
        let kind = match operator.operator_type() {
            OperatorType::NestedLoop => match inputs.get(1).and_then(lookup) {
                Some(kind) => {
                    inputs.truncate(1);
                    kind
                }
                None => OperatorKind::Loop,
            },
            OperatorType::BitmapHeapScan => {
                // The bitmap is part of it.
                inputs.clear();
                OperatorKind::BitmapScan
            }
            other => OperatorKind::of(other),
        };
        let of_inputs = inputs.iter().map(CostedOperator::total_cost).sum();
        let share = self.spend(kind, share, operator.total_cost(), of_inputs);
        inputs.iter().for_each(|input| self.add_operator(input, share));
    }

    /// Adds an operator of which a share counts, with its total cost and that of its inputs; answers which share of these counts.
    /// An operator that costs less than its inputs does not read them to their end (Limit, a merge join).
    pub(super) fn spend(&mut self, kind: OperatorKind, share: f64, total: f64, of_inputs: f64) -> f64 {
        let (total, of_inputs) = (without_penalties(total), without_penalties(of_inputs));
        if of_inputs > total {
            return share * (total / of_inputs).max(0.0);
        }
        self.add(kind, share * (total - of_inputs));
        share
    }

    fn add(&mut self, kind: OperatorKind, cost: f64) {
        if let Some(sum) = self.by_kind.get_mut(kind as usize) {
            *sum += cost as f32;
        }
    }

    #[cfg(test)]
    pub(super) fn of(&self, kind: OperatorKind) -> f64 {
        f64::from(self.by_kind[kind as usize])
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = f64> {
        self.by_kind.iter().map(|&cost| f64::from(cost))
    }

    pub(super) fn total(&self) -> f64 {
        self.parts().sum()
    }

    /// Without what it takes to start.
    pub(super) fn of_operators(&self) -> f64 {
        self.parts().skip(OperatorKind::SeqScan as usize).sum()
    }
}

/// How many operators a plan has.
fn operators(top: &impl CostedOperator) -> usize {
    1 + top.inputs().iter().map(operators).sum::<usize>()
}

/// A cost without what was added for methods that are switched off.
pub fn without_penalties(cost: f64) -> f64 {
    if cost < SWITCHED_OFF / 2.0 {
        return cost;
    }
    (cost - (cost / SWITCHED_OFF).round() * SWITCHED_OFF).max(0.0)
}

/// What a nested loop is that looks up its inner rows by an index; `None` of another one.
fn lookup(inner: &impl CostedOperator) -> Option<OperatorKind> {
    match inner.operator_type() {
        OperatorType::Memoize => inner
            .inputs()
            .first()
            .and_then(lookup)
            .map(|_| OperatorKind::MemoizedLoop),
        OperatorType::IndexScan | OperatorType::IndexOnlyScan | OperatorType::BitmapHeapScan => {
            Some(OperatorKind::IndexedLoop)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Operator(OperatorType, f64, Vec<Operator>);

    impl CostedOperator for Operator {
        fn operator_type(&self) -> OperatorType {
            self.0
        }

        fn total_cost(&self) -> f64 {
            self.1
        }

        fn inputs(&self) -> Vec<Self> {
            self.2.clone()
        }
    }

    fn scan(operator: OperatorType, cost: f64) -> Operator {
        Operator(operator, cost, Vec::new())
    }

    fn join(operator: OperatorType, inner: Operator) -> Operator {
        Operator(operator, 100.0, vec![scan(OperatorType::SeqScan, 30.0), inner])
    }

    /// What a plan is estimated to spend on each kind of operator that it has.
    fn spent(plan: &Operator) -> Vec<(OperatorKind, f64)> {
        let costs = PlanCosts::of_plan(plan, Compilation::Off);
        let kinds = OperatorKind::ALL.into_iter().zip(costs.parts()).skip(1);
        kinds.filter(|&(_, cost)| cost > 0.0).collect()
    }

    #[test]
    fn what_a_loop_looks_up_is_part_of_it() {
        let index = scan(OperatorType::IndexScan, 0.5);
        assert_eq!(
            spent(&join(OperatorType::NestedLoop, index.clone())),
            [(OperatorKind::SeqScan, 30.0), (OperatorKind::IndexedLoop, 70.0)]
        );
        let memoized = Operator(OperatorType::Memoize, 0.6, vec![index.clone()]);
        assert_eq!(
            spent(&join(OperatorType::NestedLoop, memoized)),
            [(OperatorKind::SeqScan, 30.0), (OperatorKind::MemoizedLoop, 70.0)]
        );
        assert_eq!(
            spent(&join(OperatorType::MergeJoin, index)),
            [
                (OperatorKind::SeqScan, 30.0),
                (OperatorKind::IndexScan, 0.5),
                (OperatorKind::MergeJoin, 69.5)
            ]
        );
    }

    #[test]
    fn a_loop_without_an_index_reads_its_inner_rows_once_and_keeps_them() {
        let kept = Operator(
            OperatorType::Materialize,
            20.0,
            vec![scan(OperatorType::SeqScan, 15.0)],
        );
        assert_eq!(
            spent(&join(OperatorType::NestedLoop, kept)),
            [
                (OperatorKind::SeqScan, 45.0),
                (OperatorKind::Loop, 50.0),
                (OperatorKind::Materialize, 5.0)
            ]
        );
    }

    #[test]
    fn compiling_counts_by_operators_and_is_no_operator() {
        let plan = join(OperatorType::HashJoin, scan(OperatorType::SeqScan, 5.0));
        let of = |compilation| PlanCosts::of_plan(&plan, compilation);
        let [off, quick, optimized] = [Compilation::Off, Compilation::Quick, Compilation::Optimized].map(of);
        let compiling = [&off, &quick, &optimized].map(|costs| costs.of(OperatorKind::Compilation));
        assert_eq!(compiling, [0.0, 3.0 * QUICK, 3.0 * OPTIMIZED]);
        assert_eq!(optimized.of_operators(), off.of_operators());
    }

    #[test]
    fn penalties_for_what_is_switched_off_are_no_costs() {
        assert_eq!(without_penalties(123.0), 123.0);
        assert_eq!(without_penalties(3.0 * SWITCHED_OFF + 123.0), 123.0);
        assert_eq!(without_penalties(SWITCHED_OFF - 1.0), 0.0);
    }

    #[test]
    fn a_bitmap_is_part_of_its_scan() {
        let bitmap = scan(OperatorType::BitmapIndexScan, 5.0);
        let plan = Operator(OperatorType::BitmapHeapScan, 50.0, vec![bitmap]);
        assert_eq!(spent(&plan), [(OperatorKind::BitmapScan, 50.0)]);
    }

    #[test]
    fn only_a_share_of_what_is_not_read_to_its_end_counts() {
        let mut costs = PlanCosts::default();
        let share = costs.spend(OperatorKind::Other, 1.0, 10.0, 1000.0);
        assert_eq!(share, 0.01);
        costs.spend(OperatorKind::SeqScan, share, 1000.0, 0.0);
        assert!((costs.total() - 10.0).abs() < 1e-3, "{costs:?}");
    }

    #[test]
    fn what_switched_off_methods_cost_on_top_does_not_count() {
        let mut costs = PlanCosts::default();
        let share = costs.spend(OperatorKind::HashJoin, 1.0, 3e10 + 500.0, 2e10 + 100.0);
        assert_eq!(share, 1.0);
        assert!((costs.total() - 400.0).abs() < 1e-3, "{costs:?}");
    }
}

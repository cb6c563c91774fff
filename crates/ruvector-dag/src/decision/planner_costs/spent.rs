//! What a plan costs by what it is spent on.
//!
//! [`QueryDag::self_costs`] gives an operator what it costs to run its input again. Here that is the input's: an index that a
//! nested loop looks up for each outer row is read at random, whoever asks. An input that is not read to its end (Limit, a merge
//! join) has its share only. So the costs by kind always add up to the plan's.

use crate::cost::PostgresCostModel;
use crate::dag::{OperatorType, QueryDag};

/// A total cost from which on something is in it that was switched off (`disable_cost` of costsize.c is 1e10).
const SWITCHED_OFF: f64 = 1e9;

/// The parts of a plan's cost, in PostgreSQL's unit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SpentCosts {
    /// Tables read in order, their rows included.
    pub sequential: f64,
    /// Pages of indexes, and of tables through indexes.
    pub random: f64,
    /// Rows from indexes, joins, sorts, aggregates and all else.
    pub cpu: f64,
}

/// What an operator spends its own cost on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Sequential,
    /// Pages at random, but for so much per row that it gives.
    Random(f64),
    Cpu,
}

impl Kind {
    /// `None` for what other settings price (parallel workers, foreign servers, extensions), whose cost is a guess (functions,
    /// recursion), or which does what is not priced at all (writing).
    fn of(operator: OperatorType, prices: &PostgresCostModel) -> Option<Self> {
        let entry = prices.cpu_index_tuple_cost + prices.cpu_operator_cost;
        match operator {
            OperatorType::SeqScan | OperatorType::SampleScan | OperatorType::TidRangeScan => {
                Some(Kind::Sequential)
            }
            OperatorType::IndexScan | OperatorType::IndexOnlyScan => {
                Some(Kind::Random(entry + prices.cpu_tuple_cost))
            }
            OperatorType::BitmapIndexScan => Some(Kind::Random(entry)),
            OperatorType::BitmapHeapScan | OperatorType::TidScan => Some(Kind::Random(prices.cpu_tuple_cost)),
            OperatorType::ForeignScan
            | OperatorType::CustomScan
            | OperatorType::HnswScan
            | OperatorType::IvfFlatScan
            | OperatorType::FunctionScan
            | OperatorType::TableFunctionScan
            | OperatorType::RecursiveUnion
            | OperatorType::Gather
            | OperatorType::GatherMerge
            | OperatorType::ModifyTable
            | OperatorType::LockRows => None,
            _ => Some(Kind::Cpu),
        }
    }
}

impl SpentCosts {
    /// Of a plan that was made at these prices; `None` when something in it has another price, or was not counted and may have run
    /// often.
    ///
    /// Complexity: O(V · depth + E).
    pub fn of(dag: &QueryDag, prices: &PostgresCostModel) -> Option<Self> {
        let mut costs = Self::default();
        // By position, over all executions.
        let mut spent = vec![0.0; dag.len()];
        for at in dag.order().into_iter().rev() {
            let node = dag.node_at(at);
            let kind = Kind::of(node.operator_type, prices)?;
            if node.total_cost >= SWITCHED_OFF {
                return None;
            }
            let of_result = dag.consumer_positions(at).is_empty().then_some(node.total_cost);
            let here = of_result.or(spent.get(at).copied()).unwrap_or(0.0);
            if node.total_cost <= 0.0 {
                continue;
            }
            // Per execution.
            let mut own = node.total_cost;
            let executions = here / node.total_cost;
            let inputs = dag.input_positions(at).iter().copied();
            for input in inputs.filter(|&input| dag.payer(input) == Some(at)) {
                let cost = (dag.node_at(input).total_cost * runs_of(dag, at, input)?).min(own);
                own -= cost;
                if let Some(spent) = spent.get_mut(input) {
                    *spent += executions * cost;
                }
            }
            costs.add(kind, node.rows, own, executions);
        }
        Some(costs)
    }

    fn add(&mut self, kind: Kind, rows: f64, own: f64, executions: f64) {
        match kind {
            Kind::Sequential => self.sequential += executions * own,
            Kind::Random(per_row) => {
                let of_rows = (rows * per_row).min(own);
                self.cpu += executions * of_rows;
                self.random += executions * (own - of_rows);
            }
            Kind::Cpu => self.cpu += executions * own,
        }
    }

    /// All of it.
    pub fn total(&self) -> f64 {
        self.sequential + self.random + self.cpu
    }

    /// In order, at random, in processing rows.
    pub(super) fn by_kind(&self) -> [f64; 3] {
        [self.sequential, self.random, self.cpu]
    }
}

/// How often an input runs in full per execution of its consumer: as counted, else once for each row of the outer side; `None`
/// where that is not known.
fn runs_of(dag: &QueryDag, at: usize, input: usize) -> Option<f64> {
    let (node, run) = (dag.node_at(at), dag.node_at(input));
    let counted = |input| Some(loops(dag, input)? / loops(dag, at)?).filter(|runs| runs.is_finite());
    if let Some(name) = &run.subplan_name {
        return if name.starts_with("SubPlan") {
            counted(input)
        } else {
            Some(1.0)
        };
    }
    let mut sides = dag.input_positions(at).iter().copied();
    let outer = sides.find(|&side| dag.node_at(side).subplan_name.is_none());
    let Some(outer) = outer.filter(|&outer| node.operator_type == OperatorType::NestedLoop && outer != input)
    else {
        return Some(1.0);
    };
    let counted = match run.operator_type {
        // Read once and kept: what is read again is the join's.
        OperatorType::Materialize | OperatorType::Sort | OperatorType::IncrementalSort => Some(1.0),
        // What is found in it does not run.
        OperatorType::Memoize => dag
            .input_positions(input)
            .first()
            .and_then(|&below| counted(below)),
        _ => counted(input),
    };
    Some(counted.unwrap_or(dag.node_at(outer).rows.max(1.0)))
}

/// Executions of an operator: its own count, else that of the nearest one below that was counted.
fn loops(dag: &QueryDag, at: usize) -> Option<f64> {
    let below = |&at: &usize| dag.input_positions(at).first().copied();
    std::iter::successors(Some(at), below).find_map(|at| dag.node_at(at).loops)
}

//! What predicts: PostgreSQL, nearest neighbours, the model.

use crate::cases::Case;
use ruvector_dag::cardinality::{RowModel, SubJoin};
use std::collections::HashMap;

/// A prediction and its interval, as natural logarithms.
#[derive(Clone, Copy)]
pub(crate) struct Predicted {
    pub(crate) log_rows: f64,
    pub(crate) interval: Option<(f64, f64)>,
    /// The share of the uncertainty that is removed.
    pub(crate) known: f64,
}

/// Something that learns executions and predicts.
pub(crate) trait Predictor {
    fn learn(&mut self, execution: &[&Case]);
    fn predict(&self, case: &Case) -> Predicted;
}

pub(crate) struct PostgreSql;

impl Predictor for PostgreSql {
    fn learn(&mut self, _: &[&Case]) {}

    fn predict(&self, case: &Case) -> Predicted {
        Predicted {
            log_rows: case.sub_join.log_estimate(),
            interval: None,
            known: 0.0,
        }
    }
}

/// As AQO does it: the mean of the three nearest by log selectivities among those with the same clauses, constants left
/// out; PostgreSQL's estimate where there is none.
#[derive(Default)]
pub(crate) struct NearestNeighbours {
    /// Log selectivities and log rows, by the clauses.
    known: HashMap<String, Vec<(Vec<f64>, f64)>>,
}

impl NearestNeighbours {
    fn place(case: &Case) -> Vec<f64> {
        let relations = case.sub_join.relations.iter();
        let mut logs: Vec<(u64, f64)> = relations
            .flat_map(|relation| &relation.clauses)
            .map(|clause| (clause.template, clause.selectivity.max(1e-6).ln()))
            .collect();
        logs.sort_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
        logs.into_iter().map(|(_, log)| log).collect()
    }
}

impl Predictor for NearestNeighbours {
    fn learn(&mut self, execution: &[&Case]) {
        for case in execution {
            let known = self.known.entry(case.clauses.clone()).or_default();
            known.push((Self::place(case), case.log_actual()));
        }
    }

    fn predict(&self, case: &Case) -> Predicted {
        let place = Self::place(case);
        let known = self.known.get(&case.clauses).into_iter().flatten();
        let mut near: Vec<(f64, f64)> = known
            .map(|(other, log_rows)| (distance(&place, other), *log_rows))
            .collect();
        near.sort_by(|left, right| left.0.total_cmp(&right.0));
        near.truncate(3);
        let weigh = |distance: f64| 1.0 / (0.01 + distance);
        let weights: f64 = near.iter().map(|near| weigh(near.0)).sum();
        let sum: f64 = near.iter().map(|near| weigh(near.0) * near.1).sum();
        let is_unknown = near.is_empty();
        Predicted {
            log_rows: if is_unknown {
                case.sub_join.log_estimate()
            } else {
                sum / weights
            },
            interval: None,
            known: 0.0,
        }
    }
}

fn distance(left: &[f64], right: &[f64]) -> f64 {
    let squares = left.iter().zip(right).map(|(left, right)| (left - right).powi(2));
    squares.sum::<f64>().sqrt()
}

impl Predictor for RowModel {
    fn learn(&mut self, execution: &[&Case]) {
        let counted: Vec<(&SubJoin, f64)> = execution
            .iter()
            .map(|case| (&case.sub_join, case.actual))
            .collect();
        self.learn_execution(&counted);
    }

    fn predict(&self, case: &Case) -> Predicted {
        let prediction = RowModel::predict(self, &case.sub_join);
        Predicted {
            log_rows: prediction.log_rows,
            interval: Some((prediction.lower, prediction.upper)),
            known: prediction.known,
        }
    }
}

//! What attention earns: the latency of each statement predicted from the plans of the others, per mechanism.

use engine::QueryDag;
use engine::attention::{AttentionScores, DagAttention, EnsembleAttention, MechanismId};
use engine::embedding::PlanEmbedding;
use engine::embedding::evaluation::{Observation, PredictionErrors, leave_one_statement_out};
use serde::Serialize;
use std::fmt::Write;

/// Nearest plans that predict.
const NEIGHBOURS: usize = 8;

type Pooling = Box<dyn Fn(&QueryDag) -> AttentionScores>;

/// One statement's stock plan and its latency.
pub(super) struct Measured {
    /// EXPLAIN's JSON, estimates only.
    pub(super) plan: serde_json::Value,
    pub(super) latency_ms: f64,
}

/// Mean absolute errors of the natural logarithm of the latency.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pooling: &'static str,
    neighbours: f64,
    neighbours_over_cost: f64,
}

/// The errors of all mechanisms beside those of PostgreSQL's cost alone.
#[derive(Debug, Serialize, Default)]
pub(super) struct Predictions {
    statements: usize,
    mean: f64,
    cost: f64,
    rows: Vec<Row>,
}

impl Predictions {
    pub(super) fn of(measured: &[Measured]) -> Self {
        let known: Vec<(QueryDag, Observation)> = measured
            .iter()
            .enumerate()
            .filter_map(|(number, one)| observed(number, one))
            .collect();
        let uniform = |dag: &QueryDag| AttentionScores::new(vec![1.0; dag.len()]);
        let mut poolings: Vec<(&str, Pooling)> = vec![("uniform", Box::new(uniform))];
        for mechanism in MechanismId::ALL {
            let attention = mechanism.with_defaults();
            poolings.push((mechanism.name(), Box::new(move |dag| attention.forward(dag))));
        }
        let members = MechanismId::ALL.map(|mechanism| (mechanism.with_defaults(), 1.0));
        if let Ok(ensemble) = EnsembleAttention::new(members.into()) {
            poolings.push(("ensemble", Box::new(move |dag| ensemble.forward(dag))));
        }
        let mut predictions = Self::default();
        for (pooling, scores) in poolings {
            let errors = errors(&known, scores.as_ref());
            (predictions.mean, predictions.cost) = (errors.mean, errors.cost);
            predictions.statements = errors.predicted;
            predictions.rows.push(Row {
                pooling,
                neighbours: errors.neighbours,
                neighbours_over_cost: errors.neighbours_over_cost,
            });
        }
        predictions
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = format!(
            "Error of the predicted latency, leave one of {} statements out ({NEIGHBOURS} neighbours; mean absolute error \
             of the natural logarithm)\n\n| pooled by | nearest plans | cost, corrected by nearest plans |\n|---|---|---|\n",
            self.statements
        );
        let _ = writeln!(text, "| the mean, without plans | {:.3} | |", self.mean);
        let _ = writeln!(text, "| PostgreSQL's cost alone | {:.3} | |", self.cost);
        for row in &self.rows {
            let _ = writeln!(
                text,
                "| {} | {:.3} | {:.3} |",
                row.pooling, row.neighbours, row.neighbours_over_cost
            );
        }
        text
    }
}

fn observed(number: usize, one: &Measured) -> Option<(QueryDag, Observation)> {
    let text = serde_json::json!([{ "Plan": one.plan }]).to_string();
    let dag = QueryDag::from_explain_json(&text).ok()?;
    let cost = one.plan["Total Cost"].as_f64()?;
    let observation = Observation {
        statement: number as u64,
        log_latency: one.latency_ms.max(1e-3).ln(),
        log_cost: cost.max(1e-3).ln(),
    };
    Some((dag, observation))
}

fn errors(
    known: &[(QueryDag, Observation)],
    scores: &dyn Fn(&QueryDag) -> AttentionScores,
) -> PredictionErrors {
    let (observations, embeddings): (Vec<Observation>, Vec<PlanEmbedding>) = known
        .iter()
        .filter_map(|(dag, seen)| Some((*seen, PlanEmbedding::new(dag, &scores(dag)).ok()?)))
        .unzip();
    leave_one_statement_out(&observations, &embeddings, NEIGHBOURS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_that_follow_the_plan_are_predicted() {
        let measured: Vec<Measured> = (1..30)
            .map(|size| Measured {
                plan: serde_json::json!({"Node Type": "Seq Scan", "Relation Name": "t", "Plan Rows": size * 1000,
                    "Total Cost": f64::from(size) * 10.0}),
                latency_ms: f64::from(size),
            })
            .collect();
        let predictions = Predictions::of(&measured);
        assert_eq!((predictions.statements, predictions.rows.len()), (29, 9));
        assert!(
            predictions
                .rows
                .iter()
                .all(|row| row.neighbours < predictions.mean)
        );
        assert!(predictions.markdown().contains("| temporal_btsp |"));
    }
}

//! What attention earns: the latency of each statement predicted from the plans of the others, per mechanism.

use engine::QueryDag;
use engine::attention::{AttentionScores, DagAttention, EnsembleAttention, MechanismId};
use engine::embedding::PlanEmbedding;
use engine::embedding::evaluation::{Observation, PredictionErrors, leave_one_statement_out};
use engine::learning::SonaConfig;
use engine::learning::evaluation::{LatencyErrors, LeftOut, ablate, pooled_alike};
use engine::trajectory::{Trajectory, TrajectoryBuilder, type_attention};
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

/// What the learning system predicts without one of its mechanisms.
#[derive(Debug, Serialize)]
pub(super) struct Ablated {
    without: &'static str,
    /// Leave one statement out, leave one template out.
    errors: [Errors; 2],
}

/// Of log latency.
#[derive(Debug, Serialize, Clone, Copy)]
struct Errors {
    mean: f64,
    median: f64,
    p95: f64,
    coverage_90: f64,
}

impl From<LatencyErrors> for Errors {
    fn from(errors: LatencyErrors) -> Self {
        Self {
            mean: errors.mean,
            median: errors.median,
            p95: errors.p95,
            coverage_90: errors.coverage_90,
        }
    }
}

/// The errors of all mechanisms beside those of PostgreSQL's cost alone.
#[derive(Debug, Serialize, Default)]
pub(super) struct Predictions {
    statements: usize,
    mean: f64,
    cost: f64,
    rows: Vec<Row>,
    templates: usize,
    ablation: Vec<Ablated>,
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
        let ensemble = EnsembleAttention::of_all(MechanismId::with_defaults);
        poolings.push(("ensemble", Box::new(move |dag| ensemble.forward(dag))));
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
        predictions.ablate(&known);
        predictions
    }

    /// The learning system as the worker runs it, on embeddings by the default mechanism.
    fn ablate(&mut self, known: &[(QueryDag, Observation)]) {
        let topological = MechanismId::Topological.with_defaults();
        let scores = |dag: &QueryDag| topological.forward(dag);
        let (trajectories, uniform): (Vec<Trajectory>, Vec<Trajectory>) = known
            .iter()
            .filter_map(|(dag, seen)| {
                let trajectory = trajectory(dag, seen, &scores(dag))?;
                let uniform = pooled_alike(&trajectory, dag).ok()?;
                Some((trajectory, uniform))
            })
            .unzip();
        let templates: std::collections::BTreeSet<u64> =
            trajectories.iter().map(|seen| seen.template).collect();
        self.templates = templates.len();
        let one_by_one = trajectories.len().max(2) as u64;
        let ablated = [LeftOut::Statement, LeftOut::Template].map(|left_out| {
            ablate(
                &trajectories,
                &uniform,
                left_out,
                one_by_one,
                &SonaConfig::default(),
            )
        });
        let [Ok(by_statement), Ok(by_template)] = ablated else {
            return;
        };
        let rows = by_statement.rows().into_iter().zip(by_template.rows());
        self.ablation = rows
            .map(|((without, statement), (_, template))| Ablated {
                without,
                errors: [statement.into(), template.into()],
            })
            .collect();
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
        let _ = writeln!(
            text,
            "\nThe learning system: error of the predicted log latency (mean / median / 95th percentile, and the share of truths \
             within the interval given as holding 90 %), leave one of {} statements and one of {} templates (sets of tables) out\n\n\
             | | statement left out | template left out |\n|---|---|---|",
            self.statements, self.templates
        );
        for row in &self.ablation {
            let [statement, template] = row.errors.map(|errors| {
                format!(
                    "{:.3} / {:.3} / {:.3}, {:.0} %",
                    errors.mean,
                    errors.median,
                    errors.p95,
                    100.0 * errors.coverage_90
                )
            });
            let _ = writeln!(text, "| {} | {statement} | {template} |", row.without);
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

/// What the worker would learn from. A template is a set of tables.
fn trajectory(dag: &QueryDag, seen: &Observation, scores: &AttentionScores) -> Option<Trajectory> {
    let tables: std::collections::BTreeSet<&str> =
        dag.nodes().filter_map(|node| node.relation.as_deref()).collect();
    let template = engine::cardinality::hash_words(
        tables
            .into_iter()
            .map(|table| engine::cardinality::hash_bytes(table.as_bytes())),
    );
    let embedding = PlanEmbedding::new(dag, scores).ok()?;
    let ran = TrajectoryBuilder::new(seen.statement, template, embedding)
        .mechanism(MechanismId::Topological)
        .cost(seen.log_cost.exp())
        .operator_types(type_attention(dag, scores));
    Some(ran.build(seen.log_latency.exp(), seen.statement))
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

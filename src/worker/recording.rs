//! Executions that somebody else watched: written down like our own, for loop B to learn from.

use super::persist;
use crate::attention;
use crate::error::{from_engine, learning_failed};
use crate::pg::catalog;
use crate::pg::ereport::Report;
use crate::sona;
use engine::QueryDag;
use engine::cardinality::{hash_bytes, hash_words};
use engine::embedding::PlanEmbedding;
use engine::learning::LatencyQuery;
use engine::trajectory::{reward, type_attention};
use pgrx::{Spi, pg_sys};

/// An execution as it was told.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// As `queryid`: the statement with its constants left out.
    pub(crate) template: i64,
    /// Its plan, with counts where there are.
    pub(crate) dag: QueryDag,
    pub(crate) execution_ms: f64,
    /// How long the stock plan takes, where it is known.
    pub(crate) baseline_ms: Option<f64>,
    /// What is to weigh the operators, as [`attention::by_name`] takes it.
    pub(crate) mechanism: Option<engine::attention::Choice>,
}

/// Writes an execution down and answers its number, in the transaction under way.
pub(crate) fn record(recorded: &Recorded) -> Result<i64, Report> {
    let planned = recorded.dag.as_planned();
    // Constants are not known: plans that are estimated differently are of different ones.
    let class = hash_words([recorded.template as u64, hash_bytes(&planned.to_binary())]);
    let choice = recorded
        .mechanism
        .unwrap_or_else(|| attention::choose(&planned, None));
    let scores = attention::scores(&planned, choice);
    let embedding = PlanEmbedding::new(&planned, &scores).map_err(from_engine)?;
    let results = planned.sinks().filter_map(|id| planned.node(id));
    let total_cost = results.map(|node| node.total_cost).fold(0.0, f64::max);
    let query = LatencyQuery {
        statement: class,
        template: recorded.template as u64,
        decision: 0,
        log_cost: reward::log_of_positive(total_cost),
    };
    let expected = sona::predict(&query, &embedding, &type_attention(&planned, &scores));
    let expected_ms = expected.map(|expected| expected.prediction.expected_ms());
    let errors = q_errors(&recorded.dag);
    let worst = errors.iter().copied().reduce(f64::max);
    let number = Spi::get_one_with_args::<i64>(
        "INSERT INTO ruvector.dag_trajectories (queryid, class, plan_shape, cutoff, userid, ended_at, execution_ms, \
         baseline_ms, max_q_error, counted_relations, corrected_relations, is_cut_off, plan, total_cost, \
         attention_mechanism, embedding, expected_ms) \
         VALUES ($1, $2, $3, 0, $4, clock_timestamp(), $5, $6, $7, $8, 0, false, $9, $10, $11, $12, $13) \
         RETURNING trajectory_id",
        &[
            recorded.template.into(),
            persist::bits(class).into(),
            persist::bits(planned.shape_fingerprint()).into(),
            pg_sys::Oid::from(catalog::caller()).into(),
            recorded.execution_ms.into(),
            recorded.baseline_ms.into(),
            worst.into(),
            (errors.len() as i32).into(),
            recorded.dag.to_binary().into(),
            total_cost.into(),
            attention::name_at(attention::place(choice)).into(),
            embedding.as_slice().to_vec().into(),
            expected_ms.into(),
        ],
    );
    let number = number.map_err(|error| learning_failed(error.to_string()))?;
    Ok(number.unwrap_or(0))
}

/// Of each counted operator, by which factor its estimate is off.
fn q_errors(dag: &QueryDag) -> Vec<f64> {
    let error = |estimated: f64, actual: f64| (estimated / actual).max(actual / estimated);
    dag.nodes()
        .filter_map(|node| Some(error(node.rows.max(1.0), node.actual_rows?.max(1.0))))
        .collect()
}

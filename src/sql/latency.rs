//! How long a statement is expected to take, and `dag_prewarm_patterns`, which makes a session know it early.

use super::analysis::dag_of;
use crate::attention;
use crate::error::{from_engine, not_preloaded, or_raise};
use crate::observe::planned::{self, Planned};
use crate::pg::ereport::Report;
use crate::shmem;
use crate::sona::{self, Described, Foreseen};
use engine::embedding::PlanEmbedding;
use engine::learning::{LatencyQuery, Source};
use engine::trajectory::{reward, type_attention};
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

/// What is known of the latency of a statement before it runs; none before anything is, or when it is left alone.
pub(super) fn latency_estimate(planned: &Planned) -> Result<Option<Foreseen>, Report> {
    let Some(remembered) = planned.remembered.as_deref() else {
        return Ok(None);
    };
    let statement = &remembered.statement;
    let dag = dag_of(planned)?;
    // As its executions are embedded.
    let evidence = shmem::statements::evidence(statement.class);
    let scores = attention::scores(&dag, attention::choose(&dag, evidence.as_ref()));
    let embedding = PlanEmbedding::new(&dag, &scores).map_err(from_engine)?;
    let query = LatencyQuery {
        statement: statement.class,
        template: statement.queryid as u64,
        decision: Described::decision(
            remembered.decision.cutoff,
            remembered.decision.hints.bits(),
            remembered.facts.shape,
        ),
        log_cost: reward::log_of_positive(remembered.facts.total_cost),
    };
    Ok(sona::predict(&query, &embedding, &type_attention(&dag, &scores)))
}

type WarmRow = (Option<bool>, i64);

/// Takes over what is new, and makes the scores of a statement's plan known to the session. Whether a pattern or an
/// earlier execution is found for it, and how many patterns the session knows.
#[pg_extern]
fn dag_prewarm(
    query: Option<&str>,
) -> TableIterator<'static, (name!(is_known, Option<bool>), name!(patterns, i64))> {
    TableIterator::once(or_raise(prewarm(query)))
}

fn prewarm(query: Option<&str>) -> Result<WarmRow, Report> {
    if !shmem::is_available() {
        return Err(not_preloaded());
    }
    let foreseen = match query {
        Some(query) => Some(latency_estimate(&planned::plan(query)?)?),
        None => None,
    };
    let is_known =
        |foreseen: Foreseen| foreseen.has_pattern || foreseen.prediction.source == Source::Recalled;
    Ok((
        foreseen.map(|foreseen| foreseen.is_some_and(is_known)),
        sona::patterns() as i64,
    ))
}

//! Executions that were written down, as the learning system takes them.

use crate::attention;
use crate::sona::Described;
use engine::QueryDag;
use engine::attention::{Choice, MechanismId};
use engine::embedding::PlanEmbedding;
use engine::trajectory::{Trajectory, type_attention};
use pgrx::Spi;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

/// The columns that [`execution`] reads, before the plan.
const COLUMNS: &str = "trajectory_id, class, queryid, cutoff, plan_shape, ended_at, execution_ms, baseline_ms, \
     is_cut_off, total_cost, attention_mechanism, embedding, hints";

const PLANS: &str = "SELECT DISTINCT ON (plan_shape) plan FROM ruvector.dag_trajectories WHERE plan IS NOT NULL \
     ORDER BY plan_shape, trajectory_id DESC";

/// Executions after the numbered one, oldest first, with their numbers; what has no embedding teaches nothing here.
pub(super) fn after(id: i64, limit: i64) -> SpiResult<Vec<(i64, Option<Trajectory>)>> {
    let after = format!(
        "SELECT {COLUMNS}, plan FROM ruvector.dag_trajectories WHERE trajectory_id > $1 ORDER BY trajectory_id LIMIT $2"
    );
    Spi::connect(|client| {
        let rows = client.select(&after, None, &[id.into(), limit.into()])?;
        rows.map(|row| Ok((row.get::<i64>(1)?.unwrap_or(id), execution(&row)?)))
            .collect()
    })
}

/// The plans of the executions that the current user sees, one of each shape.
pub(crate) fn plans() -> SpiResult<Vec<QueryDag>> {
    let plan = |row: SpiHeapTupleData<'_>| row.get::<Vec<u8>>(1);
    let plans: Vec<Option<Vec<u8>>> = Spi::connect(|client| {
        let rows = client.select(PLANS, None, &[])?;
        rows.map(plan).collect::<SpiResult<_>>()
    })?;
    Ok(plans
        .into_iter()
        .flatten()
        .filter_map(|plan| QueryDag::from_binary(&plan).ok())
        .collect())
}

/// All executions that are kept, oldest first, without their operators.
pub(super) fn kept() -> SpiResult<Vec<Trajectory>> {
    let kept = format!(
        "SELECT {COLUMNS}, NULL::bytea FROM ruvector.dag_trajectories WHERE embedding IS NOT NULL ORDER BY trajectory_id"
    );
    Spi::connect(|client| {
        let rows = client.select(&kept, None, &[])?;
        rows.filter_map(|row| execution(&row).transpose()).collect()
    })
}

/// The newest executions, without their operators, newest first.
pub(crate) fn newest(limit: i64) -> SpiResult<Vec<Trajectory>> {
    let newest = format!(
        "SELECT {COLUMNS}, NULL::bytea FROM ruvector.dag_trajectories WHERE embedding IS NOT NULL \
         ORDER BY trajectory_id DESC LIMIT $1"
    );
    Spi::connect(|client| {
        let rows = client.select(&newest, None, &[limit.into()])?;
        rows.filter_map(|row| execution(&row).transpose()).collect()
    })
}

fn execution(row: &SpiHeapTupleData<'_>) -> SpiResult<Option<Trajectory>> {
    let embedding = row.get::<Vec<f32>>(12)?;
    let Some(embedding) = embedding.and_then(|numbers| PlanEmbedding::try_from(numbers).ok()) else {
        return Ok(None);
    };
    let word = |column| -> SpiResult<u64> { Ok(row.get::<i64>(column)?.unwrap_or(0) as u64) };
    let ended_at = row.get::<TimestampWithTimeZone>(6)?.map_or(0, i64::from);
    let plan = row.get::<Vec<u8>>(14)?;
    let mechanism = row.get::<String>(11)?;
    let described = Described {
        statement: word(2)?,
        template: word(3)?,
        decision: Described::decision(word(4)?, row.get::<i32>(13)?.unwrap_or(0) as u32, word(5)?),
        total_cost: row.get::<f64>(10)?.unwrap_or(0.0),
        execution_ms: row.get::<f64>(7)?.unwrap_or(0.0),
        baseline_ms: row.get::<f64>(8)?,
        is_cut_off: row.get::<bool>(9)?.unwrap_or(false),
        mechanism: mechanism.and_then(|name| MechanismId::from_name(&name).ok()),
        at_us: u64::try_from(ended_at).unwrap_or_else(|_| super::sona::microseconds()),
    };
    let dag = plan.and_then(|plan| QueryDag::from_binary(&plan).ok());
    Ok(Some(trajectory(described, embedding, dag.as_ref())))
}

/// The execution as the engine takes it; its operators' counts, where the plan is known, are its steps.
fn trajectory(described: Described, embedding: PlanEmbedding, dag: Option<&QueryDag>) -> Trajectory {
    let choice = described.mechanism.map_or(Choice::Ensemble, Choice::Mechanism);
    let weighed = dag.map(|dag| {
        let planned = dag.as_planned();
        let scores = attention::weigh_again(&planned, choice);
        (dag, type_attention(&planned, &scores), scores)
    });
    let types = weighed
        .as_ref()
        .map_or_else(Vec::new, |(_, types, _)| types.clone());
    let mut builder = described.builder(embedding, types);
    if let Some((dag, _, scores)) = &weighed {
        builder.add_operators(dag, scores, described.at_us);
    }
    builder.build(described.execution_ms, described.at_us)
}

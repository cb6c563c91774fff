//! Executions that were written down, as the learning system takes them.

use crate::sona::Described;
use engine::attention::{DagAttention, EnsembleAttention, MechanismId};
use engine::embedding::PlanEmbedding;
use engine::trajectory::{Trajectory, TrajectoryBuilder, reward, type_attention};
use engine::{OperatorType, QueryDag};
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
    let types = dag.map_or_else(Vec::new, |dag| types(dag, described.mechanism));
    let mut builder = described.builder(embedding, types);
    if let Some(dag) = dag {
        add_steps(&mut builder, dag, described.at_us);
    }
    builder.build(described.execution_ms, described.at_us)
}

/// Operators whose counts become steps; plans beyond are rare, and their first operators say most.
const STEPS: usize = 32;

/// The attention that each operator type of a plan got before it ran.
fn types(dag: &QueryDag, mechanism: Option<MechanismId>) -> Vec<(OperatorType, f32)> {
    let planned = dag.as_planned();
    let attention: Option<Box<dyn DagAttention>> = match mechanism {
        Some(mechanism) => Some(mechanism.with_defaults()),
        None => {
            let members = MechanismId::ALL.map(|mechanism| (mechanism.with_defaults(), 1.0));
            EnsembleAttention::new(members.into())
                .ok()
                .map(|ensemble| Box::new(ensemble) as Box<dyn DagAttention>)
        }
    };
    attention.map_or_else(Vec::new, |attention| {
        type_attention(&planned, &attention.forward(&planned))
    })
}

/// A step per operator that was counted: the operator as a plan of its own, rated by how well its rows were expected.
fn add_steps(builder: &mut TrajectoryBuilder, dag: &QueryDag, at_us: u64) {
    for node in dag.nodes().take(STEPS) {
        let Some(actual) = node.actual_rows else { continue };
        let mut alone = QueryDag::new();
        if alone.try_add_node(node.clone()).is_err() {
            continue;
        }
        if let Ok(embedding) = PlanEmbedding::uniform(&alone.as_planned()) {
            let reward = reward::of_row_count(node.rows, actual);
            builder.add_step(embedding.into(), Vec::new(), reward, at_us);
        }
    }
}

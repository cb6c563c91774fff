//! What attention mechanisms earn: an embedding is worth as much as it helps to predict the latency of other statements
//! better than their cost does.

use super::persist::Taken;
use crate::attention;
use crate::shmem::arms;
use engine::QueryDag;
use engine::attention::MechanismId;
use engine::embedding::PlanEmbedding;
use engine::embedding::evaluation::{Observation, predict};
use pgrx::Spi;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

/// Executions to compare with.
const SAMPLES: &str = "SELECT class, execution_ms, total_cost, embedding FROM ruvector.dag_trajectories \
     WHERE embedding IS NOT NULL AND NOT is_cut_off ORDER BY trajectory_id DESC LIMIT 500";
/// Executions rewarded per cycle; further ones teach little more and cost as much.
const REWARDED: usize = 100;
/// Nearest executions that predict.
const NEIGHBOURS: usize = 8;
/// Executions of other statements below which nothing can be said.
const LEAST: usize = 10;

/// Rewards the mechanisms of the executions just written.
pub(super) fn give(database: u32, taken: &Taken) {
    let rewarded = taken
        .trajectories
        .iter()
        .map(|(_, entry)| entry)
        .filter(|entry| entry.is_embedded != 0 && entry.cut_off == 0)
        .take(REWARDED);
    let mut rewarded = rewarded.peekable();
    if rewarded.peek().is_none() {
        return;
    }
    let Ok(known) = Spi::connect(|client| {
        let rows = client.select(SAMPLES, None, &[])?;
        rows.map(|row| sample(&row)).collect::<SpiResult<Vec<_>>>()
    }) else {
        return;
    };
    let known: Vec<_> = known.into_iter().flatten().collect();
    for entry in rewarded {
        let observation = observation(entry.class, entry.execution_ms, entry.total_cost);
        let Ok(embedding) = PlanEmbedding::try_from(entry.embedding.to_vec()) else {
            continue;
        };
        let others: Vec<_> = known
            .iter()
            .filter(|(other, _)| other.statement != observation.statement)
            .map(|(other, embedding)| (other, embedding))
            .collect();
        let Some(&mechanism) = MechanismId::ALL.get(entry.attention as usize) else {
            continue;
        };
        let plan = &entry.plan[..entry.plan_length as usize];
        let Ok(dag) = QueryDag::from_binary(plan) else {
            continue;
        };
        if others.len() >= LEAST {
            let reward = predict((&observation, &embedding), &others, NEIGHBOURS).reward();
            let pattern = dag.shape_fingerprint();
            arms::reward(database, pattern, mechanism, reward, &attention::bandit());
        }
    }
}

fn observation(class: u64, execution_ms: f64, total_cost: f64) -> Observation {
    Observation {
        statement: class,
        log_latency: execution_ms.max(1e-3).ln(),
        log_cost: total_cost.max(1e-3).ln(),
    }
}

fn sample(row: &SpiHeapTupleData<'_>) -> SpiResult<Option<(Observation, PlanEmbedding)>> {
    let class = row.get::<i64>(1)?.unwrap_or(0) as u64;
    let (took, cost) = (row.get::<f64>(2)?, row.get::<f64>(3)?);
    let embedding = row.get::<Vec<f32>>(4)?;
    Ok(embedding
        .and_then(|numbers| PlanEmbedding::try_from(numbers).ok())
        .map(|embedding| {
            let seen = observation(class, took.unwrap_or(0.0), cost.unwrap_or(0.0));
            (seen, embedding)
        }))
}

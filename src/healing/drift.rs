//! Drift: how what is predicted, learned and decided does lately against before, by the executions that the current user sees.
//!
//! The newest quarter of what is known of a metric is compared with the rest.

use crate::pg::own_settings;
use crate::worker::sona::with_known;
use engine::embedding::PlanEmbedding;
use engine::healing::{Better, Drift, Trend, drift};
use pgrx::Spi;
use pgrx::spi::SpiResult;

/// Executions that are compared at most, the newest.
const MOST: i64 = 2_000;
/// Of so many the newest one is lately.
const LATELY: usize = 4;

/// Each metric of executions: its name, what is better, whether its values are logarithms, and the values in the order of
/// `trajectory_id`. Medians of logarithms of factors are shown as factors.
const METRICS: [(&str, Better, bool, &str); 4] = [
    (
        "latency_prediction",
        Better::Lower,
        true,
        "SELECT pg_catalog.abs(pg_catalog.ln(execution_ms / expected_ms)) FROM ruvector.dag_trajectories \
         WHERE NOT is_cut_off AND execution_ms > 0 AND expected_ms > 0 ORDER BY trajectory_id DESC LIMIT $1",
    ),
    (
        "row_estimates",
        Better::Lower,
        true,
        "SELECT pg_catalog.ln(max_q_error) FROM ruvector.dag_trajectories WHERE max_q_error > 0 \
         ORDER BY trajectory_id DESC LIMIT $1",
    ),
    (
        "row_model",
        Better::Lower,
        true,
        "SELECT pg_catalog.ln(model_q_error) FROM ruvector.dag_trajectories WHERE model_q_error > 0 \
         ORDER BY trajectory_id DESC LIMIT $1",
    ),
    (
        "decision_gain",
        Better::Higher,
        false,
        "SELECT improvement_ratio FROM ruvector.dag_trajectories WHERE improvement_ratio IS NOT NULL AND NOT is_trial \
         AND (cutoff <> 0 OR hints <> 0) ORDER BY trajectory_id DESC LIMIT $1",
    ),
];
const PATTERN_QUALITY: &str = "pattern_quality";

/// Robust standard deviations that are worth to act: with many executions less is significant, too.
const WORTH: f64 = 0.5;

/// Whether something got worse by so much that something should be done.
pub(super) fn is_worse(drift: &Drift) -> bool {
    drift.trend == Trend::Worsening && drift.magnitude.abs() >= WORTH
}

/// A metric, and what became of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved {
    pub(crate) metric: &'static str,
    pub(crate) drift: Drift,
}

/// Every metric of which enough is known.
pub(crate) fn drifts() -> SpiResult<Vec<Moved>> {
    let mut all = Vec::new();
    for (metric, better, is_logarithm, sql) in METRICS {
        let values = values(sql)?;
        let (before, lately) = halves(&values);
        let found = drift(before, lately, better).map(|drift| match is_logarithm {
            true => as_factors(drift),
            false => drift,
        });
        all.extend(found.map(|drift| Moved { metric, drift }));
    }
    all.extend(of_patterns().map(|drift| Moved {
        metric: PATTERN_QUALITY,
        drift,
    }));
    Ok(all)
}

fn as_factors(drift: Drift) -> Drift {
    Drift {
        baseline: drift.baseline.exp(),
        current: drift.current.exp(),
        ..drift
    }
}

/// In the order in which they were measured.
fn values(sql: &str) -> SpiResult<Vec<f64>> {
    let mut values = Spi::connect(|client| {
        let rows = client.select(sql, None, &[MOST.into()])?;
        rows.filter_map(|row| row.get::<f64>(1).transpose())
            .collect::<SpiResult<Vec<f64>>>()
    })?;
    values.reverse();
    Ok(values)
}

/// What was before, and what was lately.
pub(super) fn halves<T>(values: &[T]) -> (&[T], &[T]) {
    values.split_at(values.len() - values.len() / LATELY)
}

/// The quality of patterns of which something is known, those found first against those found last. What can't be read has none.
fn of_patterns() -> Option<Drift> {
    let qualities = own_settings::within_as_owner(|| {
        with_known(|learned, _| {
            let mut known: Vec<_> = learned
                .engine
                .bank()
                .patterns()
                .iter()
                .filter(|pattern| pattern.size > 0 && pattern.confidence > 0.0)
                .map(|pattern| (pattern.created_us, f64::from(pattern.quality)))
                .collect();
            known.sort_by_key(|(created_us, _)| *created_us);
            known
                .into_iter()
                .map(|(_, quality)| quality)
                .collect::<Vec<f64>>()
        })
    });
    let qualities = qualities.ok()?;
    let (before, lately) = halves(&qualities);
    drift(before, lately, Better::Higher)
}

/// An execution that was predicted.
pub(super) struct Predicted {
    /// The absolute natural logarithm of what it took over what was expected.
    pub(super) error: f64,
    pub(super) embedding: Option<PlanEmbedding>,
}

/// The executions that were predicted since the last repair of a kind that helped, the oldest first, and how the newest of them
/// compare with the others.
pub(super) fn of_predictions(since_repair: &str) -> SpiResult<(Vec<Predicted>, Option<Drift>)> {
    let sql = "SELECT pg_catalog.abs(pg_catalog.ln(execution_ms / expected_ms)), embedding FROM ruvector.dag_trajectories \
         WHERE NOT is_cut_off AND execution_ms > 0 AND expected_ms > 0 AND ended_at > coalesce((SELECT max(repaired_at) \
            FROM ruvector.dag_repairs WHERE repair_type = $2 AND status = 'repaired'), '-infinity') \
         ORDER BY trajectory_id DESC LIMIT $1";
    let mut executions = Spi::connect(|client| {
        let rows = client.select(sql, None, &[MOST.into(), since_repair.into()])?;
        rows.map(|row| {
            let numbers = row.get::<Vec<f32>>(2)?;
            Ok(Predicted {
                error: row.get(1)?.unwrap_or(f64::NAN),
                embedding: numbers.and_then(|numbers| PlanEmbedding::try_from(numbers).ok()),
            })
        })
        .collect::<SpiResult<Vec<_>>>()
    })?;
    executions.reverse();
    let errors: Vec<f64> = executions.iter().map(|execution| execution.error).collect();
    let (before, lately) = halves(&errors);
    let found = drift(before, lately, Better::Lower);
    Ok((executions, found))
}

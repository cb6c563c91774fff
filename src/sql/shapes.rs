//! `dag_plan_fingerprint` and `dag_plan_shapes_similarity`: which plan shapes a database has, at a glance.

use crate::error::{from_engine, learning_failed, or_raise};
use crate::pg::ereport::Report;
use crate::pg::own_settings;
use crate::settings;
use crate::worker::executions;
use engine::embedding::hypervector::{PlanShapes, Sketch};
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

/// The shapes of the plans whose executions the caller may see, as some thousand bytes.
#[pg_extern]
fn dag_plan_fingerprint() -> Vec<u8> {
    or_raise(sketch()).to_bytes()
}

fn sketch() -> Result<Sketch, Report> {
    let mut shapes = PlanShapes::new(settings::hdc_dimensions()).map_err(from_engine)?;
    let plans = settings::paused(|| own_settings::within(executions::plans));
    let plans = plans.map_err(|error| learning_failed(error.to_string()))?;
    plans.iter().for_each(|plan| _ = shapes.insert(plan));
    Ok(shapes.sketch())
}

type SimilarityRow = (i64, i64, f64, f64);

/// How alike the plan shapes here are to those of another server or moment.
#[pg_extern]
fn dag_plan_shapes_similarity(
    other: &[u8],
) -> TableIterator<
    'static,
    (
        name!(shapes, i64),
        name!(other_shapes, i64),
        name!(similarity, f64),
        name!(overlap, f64),
    ),
> {
    TableIterator::once(or_raise(similarity(other)))
}

fn similarity(other: &[u8]) -> Result<SimilarityRow, Report> {
    let other = Sketch::from_bytes(other).map_err(from_engine)?;
    let own = sketch()?;
    Ok((
        own.shapes as i64,
        other.shapes as i64,
        own.similarity(&other).map_err(from_engine)?,
        own.overlap(&other).map_err(from_engine)?,
    ))
}

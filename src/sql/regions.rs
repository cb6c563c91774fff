//! `dag_plan_regions`: what is decided for statements whatever their constants.

use super::state::{Viewer, is_readable};
use crate::error::or_raise;
use crate::pg::catalog;
use crate::pg::ereport::Report;
use crate::shmem::layout::Template;
use crate::shmem::{corrections, regions};
use engine::decision::{Policy, PolicyReport, RegionEvidence};
use pgrx::iter::TableIterator;
use pgrx::{JsonB, name, pg_extern, pg_sys};
use serde_json::json;

/// Units of cost that latencies are given for.
const UNIT: f64 = 1000.0;

type Row = (
    Option<i64>,
    pg_sys::Oid,
    Option<i64>,
    String,
    &'static str,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    JsonB,
    i64,
    f64,
    f64,
);

/// One row per region of each statement of this database. Other users' identifiers are shown to `pg_read_all_stats` only.
#[pg_extern]
fn dag_plan_regions() -> TableIterator<
    'static,
    (
        name!(queryid, Option<i64>),
        name!(userid, pg_sys::Oid),
        name!(plan_shape, Option<i64>),
        name!(decision, String),
        name!(state, &'static str),
        name!(stock_ms_per_1000, Option<f64>),
        name!(current_ms_per_1000, Option<f64>),
        name!(confidence, Option<f64>),
        name!(tried, JsonB),
        name!(calls, i64),
        name!(saved_ms, f64),
        name!(lost_ms, f64),
    ),
> {
    TableIterator::new(or_raise(rows()))
}

fn rows() -> Result<Vec<Row>, Report> {
    is_readable()?;
    let viewer = Viewer::current();
    let templates = regions::of_database(catalog::database());
    let of_template = |template: &Template| {
        let is_visible = viewer.sees_user(template.user);
        let rows = template
            .regions
            .known()
            .map(|region| row(template, region, is_visible));
        rows.collect::<Vec<_>>()
    };
    Ok(templates.iter().flat_map(of_template).collect())
}

fn row(template: &Template, region: &RegionEvidence, is_visible: bool) -> Row {
    let (policy, state, confidence) = region.standing();
    let tried = region.tried();
    let used = tried.iter().find(|report| Some(report.policy) == policy);
    let stock_ms = region.stock_ms(UNIT);
    let (saved_ms, lost_ms) = region.savings();
    (
        is_visible.then_some(template.queryid),
        pg_sys::Oid::from(template.user),
        is_visible.then_some(region.shape() as i64),
        describe(policy.unwrap_or_default()),
        state.name(),
        stock_ms,
        used.map(|report| report.ms_per_cost * UNIT).or(stock_ms),
        confidence,
        JsonB(tried.iter().map(told).collect()),
        region.calls() as i64,
        saved_ms,
        lost_ms,
    )
}

fn told(report: &PolicyReport) -> serde_json::Value {
    json!({
        "decision": describe(report.policy),
        "ms_per_1000": report.ms_per_cost * UNIT,
        "runs": report.runs,
    })
}

fn describe(policy: Policy) -> String {
    policy.decision(corrections::newest()).describe()
}

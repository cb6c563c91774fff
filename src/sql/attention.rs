//! Attention and the minimum cut on a statement's plan, and attention on graphs that are given.

use super::analysis::{Weighed, weigh};
use crate::attention;
use crate::error::{from_engine, invalid_argument, not_preloaded, or_raise};
use crate::pg::ereport::Report;
use crate::settings;
use crate::shmem::{self, counters};
use engine::attention::MechanismId;
use engine::mincut::{DagMinCutEngine, LocalKCut};
use engine::{Drawing, OperatorId, QueryDag};
use pgrx::iter::TableIterator;
use pgrx::{JsonB, name, pg_extern};
use std::collections::BTreeSet;

/// The weights of a plan's operators, how each attends to the others (its row) and how it is attended to (its column).
#[pg_extern]
fn dag_attention_scores(
    query: &str,
    mechanism: &str,
) -> TableIterator<
    'static,
    (
        name!(node_id, i32),
        name!(attention_weight, f64),
        name!(query_contribution, Vec<f64>),
        name!(key_contribution, Vec<f64>),
    ),
> {
    TableIterator::new(or_raise(scores(query, mechanism)))
}

type ScoreRow = (i32, f64, Vec<f64>, Vec<f64>);

fn scores(query: &str, mechanism: &str) -> Result<Vec<ScoreRow>, Report> {
    let weighed = weigh(query, mechanism)?;
    let matrix = attention::matrix(&weighed.dag, weighed.choice);
    let weights = weighed.scores.as_slice();
    Ok(weighed
        .dag
        .nodes()
        .enumerate()
        .map(|(at, node)| {
            let column = matrix.iter().map(|row| row.get(at).copied().unwrap_or(0.0));
            let row = matrix.get(at).cloned().unwrap_or_default();
            let weight = weights.get(at).copied().unwrap_or(0.0);
            (node.id.0 as i32, weight, row, column.collect())
        })
        .collect())
}

/// A plan drawn with the weights of its operators.
#[pg_extern]
fn dag_attention_visualize(query: &str, mechanism: &str, format: &str) -> String {
    or_raise(visualize(query, mechanism, format))
}

fn visualize(query: &str, mechanism: &str, format: &str) -> Result<String, Report> {
    let weighed = weigh(query, mechanism)?;
    let drawing = Drawing::new(&weighed.dag).with_weights(weighed.scores.as_slice());
    match format {
        "dot" => Ok(drawing.dot()),
        "json" => Ok(drawing.json()),
        "ascii" => Ok(drawing.ascii()),
        "mermaid" => Ok(drawing.mermaid()),
        "svg" => Ok(drawing.svg()),
        other => Err(invalid_argument(
            format!("unrecognized format \"{other}\""),
            "Use dot, json, ascii, mermaid or svg.",
        )),
    }
}

/// The costliest way through a plan, from the first scan to the result.
#[pg_extern]
fn dag_critical_path(
    query: &str,
) -> TableIterator<
    'static,
    (
        name!(path_position, i32),
        name!(node_id, i32),
        name!(operator_type, &'static str),
        name!(accumulated_cost, f64),
        name!(attention_weight, f64),
    ),
> {
    TableIterator::new(or_raise(critical_path(query)))
}

type PathRow = (i32, i32, &'static str, f64, f64);

fn critical_path(query: &str) -> Result<Vec<PathRow>, Report> {
    let Weighed { dag, scores, .. } = weigh(query, "auto")?;
    let mut accumulated = 0.0;
    let mut rows = Vec::new();
    for (at, id) in dag.critical_path().operators.into_iter().enumerate() {
        let Some(node) = dag.node(id) else { continue };
        accumulated += dag.self_cost(id);
        let weight = scores.get(id, &dag).unwrap_or(0.0);
        rows.push((
            at as i32 + 1,
            id.0 as i32,
            node.operator_type.name(),
            accumulated,
            weight,
        ));
    }
    Ok(rows)
}

/// The operators under the most tension.
#[pg_extern]
fn dag_bottlenecks(
    query: &str,
    threshold: f64,
) -> TableIterator<
    'static,
    (
        name!(node_id, i32),
        name!(operator_type, &'static str),
        name!(bottleneck_score, f64),
        name!(impact_estimate, f64),
        name!(suggested_action, String),
    ),
> {
    TableIterator::new(or_raise(bottlenecks(query, threshold)))
}

type BottleneckRow = (i32, &'static str, f64, f64, String);

fn bottlenecks(query: &str, threshold: f64) -> Result<Vec<BottleneckRow>, Report> {
    if !(0.0..=1.0).contains(&threshold) {
        return Err(invalid_argument(
            format!("threshold must be between 0 and 1, not {threshold}"),
            "A tension is at least 0 and below 1.",
        ));
    }
    let weighed = weigh(query, "auto")?;
    let tensions = engine::mincut::tensions(&weighed.dag);
    let mut rows: Vec<BottleneckRow> = weighed
        .dag
        .nodes()
        .zip(tensions)
        .enumerate()
        .filter(|(_, (_, tension))| *tension >= threshold)
        .map(|(at, (node, tension))| {
            let impact = weighed.share_of_cost(node.id);
            (
                node.id.0 as i32,
                node.operator_type.name(),
                tension,
                impact,
                weighed.advice(at),
            )
        })
        .collect();
    rows.sort_by(|a, b| b.2.total_cmp(&a.2));
    Ok(rows)
}

/// The narrow places of a plan: the edges all its rows must pass, and cuts around its scans that are nearly as narrow.
#[pg_extern]
fn dag_mincut_analysis(
    query: &str,
) -> TableIterator<
    'static,
    (
        name!(cut_id, i32),
        name!(source_nodes, Vec<i32>),
        name!(sink_nodes, Vec<i32>),
        name!(cut_capacity, f64),
        name!(parallelization_opportunity, bool),
    ),
> {
    TableIterator::new(or_raise(mincut(query)))
}

type CutRow = (i32, Vec<i32>, Vec<i32>, f64, bool);

fn mincut(query: &str) -> Result<Vec<CutRow>, Report> {
    let Weighed { dag, .. } = weigh(query, "auto")?;
    let mut engine = DagMinCutEngine::new();
    engine.build_from_dag(&dag);
    let cut = engine.min_cut();
    if cut.edges.is_empty() {
        return Ok(Vec::new());
    }
    let limit = LocalKCut {
        value: NEARLY_AS_NARROW * cut.value,
        volume: NEARBY,
    };
    let local = engine.local_cuts(limit).into_iter();
    let mut cuts = vec![(cut.edges, cut.value)];
    cuts.extend(local.map(|local| (local.edges, local.value)));
    // The minimum cut may be found around a source again.
    let is_again = |at: usize| at > 0 && cuts[at].0 == cuts[0].0;
    let is_serial = dag.nodes().all(|node| node.workers == 0);
    let rows = (0..cuts.len()).filter(|&at| !is_again(at)).zip(1..);
    let row = |(at, number): (usize, i32)| {
        let (edges, value) = &cuts[at];
        // Several branches meet there, and no worker takes part yet.
        let is_opportunity = is_serial && edges.len() > 1;
        (
            number,
            ends(edges, |edge| edge.0),
            ends(edges, |edge| edge.1),
            *value,
            is_opportunity,
        )
    };
    Ok(rows.take(CUTS).map(row).collect())
}

/// Cuts around single scans up to this multiple of the minimum cut are told, too.
const NEARLY_AS_NARROW: f64 = 2.0;
/// The volume, in edges, within which they are looked for around each scan.
const NEARBY: usize = 8;
/// Cuts that are told.
const CUTS: usize = 6;

/// The operators at one side of edges.
fn ends(edges: &[Edge], side: fn(&Edge) -> OperatorId) -> Vec<i32> {
    let ids: BTreeSet<i32> = edges.iter().map(|edge| side(edge).0 as i32).collect();
    ids.into_iter().collect()
}

type Edge = (OperatorId, OperatorId);

/// Calls, time and cache hits of each mechanism since the server started.
#[pg_extern]
fn dag_attention_counts() -> TableIterator<
    'static,
    (
        name!(mechanism, &'static str),
        name!(invocations, i64),
        name!(avg_latency_us, Option<f64>),
        name!(hit_rate, Option<f64>),
    ),
> {
    if !shmem::is_available() {
        or_raise::<()>(Err(not_preloaded()));
    }
    let counts = counters::attention()
        .into_iter()
        .enumerate()
        .map(|(place, count)| {
            let calls = count.invocations as f64;
            let per_call = |sum: f64| (calls > 0.0).then(|| sum / calls);
            (
                attention::name_at(place),
                count.invocations as i64,
                per_call(count.nanoseconds as f64 / 1000.0),
                per_call(count.hits as f64),
            )
        });
    TableIterator::new(counts.collect::<Vec<_>>())
}

/// The name again, if there is such a mechanism.
#[pg_extern]
fn dag_attention_name(mechanism: &str) -> String {
    or_raise(attention::by_name(mechanism).map_err(from_engine));
    mechanism.to_owned()
}

/// The parameters that are set, with those of one mechanism replaced by ones that were checked.
#[pg_extern]
fn dag_attention_parameters(mechanism: &str, params: JsonB) -> JsonB {
    JsonB(or_raise(configure(mechanism, params.0)))
}

fn configure(mechanism: &str, params: serde_json::Value) -> Result<serde_json::Value, Report> {
    let mechanism = MechanismId::from_name(mechanism).map_err(from_engine)?;
    mechanism.configured(&params.to_string()).map_err(from_engine)?;
    let before = serde_json::from_str(&settings::attention_parameters());
    let mut all: serde_json::Map<_, _> = before.unwrap_or_default();
    all.insert(mechanism.name().to_owned(), params);
    Ok(all.into())
}

/// The weights of a graph's operators by a mechanism with its default parameters.
fn given(mechanism: MechanismId, dag: JsonB) -> Vec<f64> {
    // The graph is dropped before an error is raised.
    or_raise(weights(mechanism, dag))
}

fn weights(mechanism: MechanismId, JsonB(dag): JsonB) -> Result<Vec<f64>, Report> {
    let scores = mechanism.with_defaults().forward(&graph(&dag)?);
    Ok(scores.as_slice().to_vec())
}

/// A graph as JSON of the engine or of EXPLAIN.
pub(super) fn graph(dag: &serde_json::Value) -> Result<QueryDag, Report> {
    let read = match dag {
        explained @ serde_json::Value::Array(_) => QueryDag::from_explain_json(&explained.to_string()),
        own => QueryDag::from_json(own),
    };
    read.map_err(from_engine)
}

/// [`MechanismId::Topological`] on a graph, as JSON of the engine or of EXPLAIN.
#[pg_extern]
fn attention_topological(dag: JsonB) -> Vec<f64> {
    given(MechanismId::Topological, dag)
}

/// [`MechanismId::CausalCone`] on a graph, as JSON of the engine or of EXPLAIN.
#[pg_extern]
fn attention_causal_cone(dag: JsonB) -> Vec<f64> {
    given(MechanismId::CausalCone, dag)
}

/// [`MechanismId::CriticalPath`] on a graph, as JSON of the engine or of EXPLAIN.
#[pg_extern]
fn attention_critical_path(dag: JsonB) -> Vec<f64> {
    given(MechanismId::CriticalPath, dag)
}

/// [`MechanismId::MincutGated`] on a graph, as JSON of the engine or of EXPLAIN.
#[pg_extern]
fn attention_mincut_gated(dag: JsonB) -> Vec<f64> {
    given(MechanismId::MincutGated, dag)
}

/// [`MechanismId::HierarchicalLorentz`] on a graph, as JSON of the engine or of EXPLAIN.
#[pg_extern]
fn attention_hierarchical_lorentz(dag: JsonB) -> Vec<f64> {
    given(MechanismId::HierarchicalLorentz, dag)
}

/// [`MechanismId::ParallelBranch`] on a graph, as JSON of the engine or of EXPLAIN.
#[pg_extern]
fn attention_parallel_branch(dag: JsonB) -> Vec<f64> {
    given(MechanismId::ParallelBranch, dag)
}

/// [`MechanismId::TemporalBtsp`] on a graph, as JSON of the engine or of EXPLAIN.
#[pg_extern]
fn attention_temporal_btsp(dag: JsonB) -> Vec<f64> {
    given(MechanismId::TemporalBtsp, dag)
}

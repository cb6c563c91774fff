//! `dag_analyze_plan` and `dag_explain`: a statement's plan, and what is known of its relations. Planned, never run.

use crate::attention;
use crate::error::{from_engine, invalid_argument, not_preloaded, or_raise};
use crate::observe::planned::{self, Planned};
use crate::pg::ereport::{Report, sqlstate};
use crate::pg::node_runs::NodeRun;
use crate::pg::operators::OperatorView;
use crate::pg::plan_tree::Counted;
use crate::plan::read;
use crate::steer::rewrite::{self, Rules};
use crate::steer::rows::{self, Learned};
use crate::{settings, shmem};
use engine::attention::{AttentionScores, Choice};
use engine::embedding::PlanEmbedding;
use engine::{Drawing, OperatorId, QueryDag};
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};
use serde_json::json;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// Factor between the estimate and the learned count from which on statistics are worth a look.
const POOR_ESTIMATE: f64 = 10.0;

type AnalyzedRow = (
    i32,
    &'static str,
    f64,
    f64,
    Option<Vec<f32>>,
    Vec<i32>,
    Vec<i32>,
    f64,
    Vec<String>,
);

/// Each operator of a statement's plan: its weight, its tension, its neighbours and what may be done about it.
#[pg_extern]
fn dag_analyze_plan(
    query: &str,
) -> TableIterator<
    'static,
    (
        name!(node_id, i32),
        name!(operator_type, &'static str),
        name!(criticality, f64),
        name!(bottleneck_score, f64),
        name!(embedding, Option<Vec<f32>>),
        name!(parent_ids, Vec<i32>),
        name!(child_ids, Vec<i32>),
        name!(estimated_cost, f64),
        name!(recommendations, Vec<String>),
    ),
> {
    TableIterator::new(or_raise(analyze(query)))
}

fn analyze(query: &str) -> Result<Vec<AnalyzedRow>, Report> {
    let weighed = weigh(query, "auto")?;
    let dag = &weighed.dag;
    let tensions = engine::mincut::tensions(dag);
    let ids = |ids: &mut dyn Iterator<Item = OperatorId>| ids.map(|id| id.0 as i32).collect::<Vec<_>>();
    let embedding = PlanEmbedding::new(dag, &weighed.scores).ok();
    Ok(dag
        .nodes()
        .zip(tensions)
        .enumerate()
        .map(|(at, (node, tension))| {
            // The plan's point stands on the row of its result, which nobody reads.
            let is_result = dag.consumers(node.id).next().is_none();
            let embedding = embedding.as_ref().filter(|_| is_result);
            (
                node.id.0 as i32,
                node.operator_type.name(),
                weighed.scores.get(node.id, dag).unwrap_or(0.0),
                tension,
                embedding.map(|embedding| embedding.as_slice().to_vec()),
                ids(&mut dag.consumers(node.id)),
                ids(&mut dag.inputs(node.id)),
                dag.self_cost(node.id),
                weighed.recommendations(at).to_vec(),
            )
        })
        .collect())
}

/// The plan of a statement as a point, as it is stored of executions: out of estimates alone.
#[pg_extern]
fn dag_embedding(query: &str, mechanism: &str) -> Vec<f32> {
    or_raise(embedding(query, mechanism))
}

fn embedding(query: &str, mechanism: &str) -> Result<Vec<f32>, Report> {
    let weighed = weigh(query, mechanism)?;
    let dag = dag_of(&weighed.planned)?;
    let scores = attention::scores(&dag, weighed.choice);
    let embedding = PlanEmbedding::new(&dag, &scores).map_err(from_engine)?;
    Ok(embedding.into())
}

/// The cosine of two embeddings.
#[pg_extern]
fn dag_similarity(a: Vec<f32>, b: Vec<f32>) -> f32 {
    let point = |numbers| PlanEmbedding::try_from(numbers).map_err(from_engine);
    or_raise(point(a).and_then(|a| Ok(a.cosine(&point(b)?))))
}

/// A statement's plan with the weights of its operators. Counts that were learned stand for actual rows.
pub(super) struct Weighed {
    pub(super) dag: QueryDag,
    pub(super) choice: Choice,
    pub(super) scores: Arc<AttentionScores>,
    /// What the counts say about each operator.
    recommendations: Vec<Vec<String>>,
    planned: Planned,
}

/// Plans a statement and weighs its operators by the named mechanism.
pub(super) fn weigh(query: &str, mechanism: &str) -> Result<Weighed, Report> {
    let wanted = attention::by_name(mechanism).map_err(from_engine)?;
    let planned = planned::plan(query)?;
    let known = knowledge(&planned);
    let dag = counted_dag(&planned, &known)?;
    let recommendations = planned
        .operators
        .iter()
        .map(|view| recommendations(view, known.get(&view.plan_node_id)))
        .collect();
    let choice = wanted.unwrap_or_else(|| {
        let class = planned.remembered.as_ref().map(|known| known.statement.class);
        attention::choose(&dag, class.and_then(shmem::statements::evidence).as_ref())
    });
    let scores = attention::scores(&dag, choice);
    Ok(Weighed {
        dag,
        choice,
        scores,
        recommendations,
        planned,
    })
}

impl Weighed {
    /// What it was made of.
    pub(super) fn planned(&self) -> &Planned {
        &self.planned
    }

    /// An operator's share of the plan's cost, in [0, 1].
    pub(super) fn share_of_cost(&self, id: OperatorId) -> f64 {
        let total: f64 = self.dag.nodes().map(|node| self.dag.self_cost(node.id)).sum();
        if total > 0.0 {
            self.dag.self_cost(id) / total
        } else {
            0.0
        }
    }

    /// What the counts say about the operator at a position.
    fn recommendations(&self, at: usize) -> &[String] {
        self.recommendations.get(at).map_or(&[], Vec::as_slice)
    }

    /// What may be done about the operator at a position.
    pub(super) fn advice(&self, at: usize) -> String {
        if let Some(recommendation) = self.recommendations(at).first() {
            return recommendation.clone();
        }
        let Some(view) = self.planned.operators.get(at) else {
            return String::new();
        };
        let relation = view.relation.as_deref().unwrap_or("its relation");
        match view.name {
            "Seq Scan" => format!(
                "an index on the columns that {relation} is filtered or joined by, if few rows are needed"
            ),
            "Nested Loop" => "an index on the inner side's join columns, or better row estimates".to_owned(),
            "Sort" | "Incremental Sort" => "an index that gives this order, or more work_mem".to_owned(),
            "Hash" | "Hash Join" | "Aggregate" => "more work_mem, or fewer rows before it".to_owned(),
            _ => "fewer rows before it".to_owned(),
        }
    }
}

/// The graph of a plan whose relations have the rows that were learned.
fn counted_dag(planned: &Planned, known: &Knowledge<'_>) -> Result<QueryDag, Report> {
    let runs = known.iter().filter_map(|(&node, (_, learned))| {
        let rows = learned.as_ref()?.correction.rows;
        let run = NodeRun {
            is_complete: true,
            rows,
            least_rows: rows,
            total_rows: rows,
            loops: 1.0,
        };
        Some((node, run))
    });
    graph(planned, &runs.collect())
}

/// The graph of a plan, out of estimates alone.
pub(super) fn dag_of(planned: &Planned) -> Result<QueryDag, Report> {
    graph(planned, &HashMap::new())
}

fn graph(planned: &Planned, runs: &HashMap<i32, NodeRun>) -> Result<QueryDag, Report> {
    read::to_dag(&planned.operators, runs).ok_or_else(|| Report {
        sqlstate: sqlstate(b"XX000"),
        message: "the plan can't be read as a graph".to_owned(),
        detail: None,
        hint: None,
    })
}

/// By plan node id: a relation, and what was learned of it.
type Knowledge<'p> = HashMap<i32, (&'p Counted, Option<Learned>)>;

/// By plan node id: the relation it produces, and what was learned of it.
fn knowledge(planned: &Planned) -> Knowledge<'_> {
    let counted = planned
        .remembered
        .iter()
        .flat_map(|remembered| &remembered.facts.counted);
    counted
        .map(|node| (node.plan_node_id, (node, rows::learned(&node.subject))))
        .collect()
}

fn recommendations(view: &OperatorView, known: Option<&(&Counted, Option<Learned>)>) -> Vec<String> {
    let Some((counted, Some(learned))) = known else {
        return Vec::new();
    };
    let (estimated, actual) = (counted.estimated.max(1.0), learned.correction.rows.max(1.0));
    let factor = (estimated / actual).max(actual / estimated);
    if factor < POOR_ESTIMATE {
        return Vec::new();
    }
    let what = match &view.relation {
        Some(relation) => {
            format!("extended statistics on the filtered columns of {relation} may help every statement")
        }
        None => "its inputs' columns are correlated in a way that statistics don't show".to_owned(),
    };
    vec![format!(
        "estimated {estimated:.0} rows, counted {}{actual:.0} ({factor:.0} times off): {what}",
        at_least(learned)
    )]
}

/// The plan with PostgreSQL's row estimates beside the learned ones.
#[pg_extern]
fn dag_explain(query: &str, format: &str) -> String {
    or_raise(explain(query, format))
}

fn explain(query: &str, format: &str) -> Result<String, Report> {
    if !shmem::is_available() {
        return Err(not_preloaded());
    }
    let planned = planned::plan(query)?;
    match format {
        "text" => Ok(as_text(&planned)),
        "json" => Ok(as_json(&planned)),
        "dot" => draw(&planned, |drawing| drawing.dot()),
        "mermaid" => draw(&planned, |drawing| drawing.mermaid()),
        "svg" => draw(&planned, |drawing| drawing.svg()),
        other => Err(invalid_argument(
            format!("unrecognized format \"{other}\""),
            "Use text, json, dot, mermaid or svg.",
        )),
    }
}

fn draw(planned: &Planned, render: impl Fn(&Drawing<'_>) -> String) -> Result<String, Report> {
    let knowledge = knowledge(planned);
    let notes: Vec<String> = planned
        .operators
        .iter()
        .map(|view| match knowledge.get(&view.plan_node_id) {
            Some((counted, Some(learned))) => {
                format!(
                    "rows {:.0}, learned {}{:.0}",
                    counted.estimated,
                    at_least(learned),
                    learned.correction.rows
                )
            }
            _ => format!("rows {:.0}", view.rows),
        })
        .collect();
    Ok(render(&Drawing::new(&dag_of(planned)?).with_notes(&notes)))
}

/// What stands before a count that is only known to be that or more.
fn at_least(learned: &Learned) -> &'static str {
    if learned.is_bound() { ">=" } else { "" }
}

/// The decision in words.
fn decision(planned: &Planned) -> String {
    let Some(remembered) = &planned.remembered else {
        let reason = if settings::is_enabled() {
            "it reads no table that is learned from, or has no query identifier"
        } else {
            "disabled"
        };
        return format!("left alone: {reason}");
    };
    let known = shmem::statements::evidence(remembered.statement.class).unwrap_or_default();
    let choice = known.choose();
    let why = match remembered.own_cost {
        Some(own_cost) => format!(
            "at first sight: it is estimated to cost {:.0}, as it was written {own_cost:.0}",
            remembered.facts.total_cost
        ),
        None if remembered.rules != Rules::NONE && rewrite::is_forced() => {
            "ruvector.dag_rewrite = force".to_owned()
        }
        None => format!("{}: {}", choice.state.name(), choice.reason.text()),
    };
    format!("{} ({why})", remembered.describe())
}

fn as_text(planned: &Planned) -> String {
    let knowledge = knowledge(planned);
    let mut text = String::new();
    for view in &planned.operators {
        if let Some(name) = &view.subplan_name {
            let _ = writeln!(text, "{}{name}", " ".repeat(2 + 6 * view.depth.saturating_sub(1)));
        }
        let arrow = if view.depth == 0 {
            String::new()
        } else {
            format!("{}->  ", " ".repeat(6 * view.depth - 4))
        };
        let _ = write!(
            text,
            "{arrow}{}  (cost={:.2}..{:.2} ",
            title(view),
            view.startup_cost,
            view.total_cost
        );
        let _ = writeln!(text, "{})", row_counts(view, knowledge.get(&view.plan_node_id)));
    }
    let _ = write!(text, "Decision: {}", decision(planned));
    text
}

fn title(view: &OperatorView) -> String {
    let mut title = match view.join_type {
        Some(kind) if kind != "Inner" => view.name.replace(" Join", &format!(" {kind} Join")),
        _ => view.name.to_owned(),
    };
    if let Some(index) = &view.index {
        let _ = write!(title, " using {index}");
    }
    if let Some(relation) = view.relation.as_ref().or(view.cte.as_ref()) {
        let _ = write!(title, " on {relation}");
    }
    match &view.alias {
        Some(alias) if view.relation.as_ref() != Some(alias) => title + " " + alias,
        _ => title,
    }
}

fn row_counts(view: &OperatorView, known: Option<&(&Counted, Option<Learned>)>) -> String {
    let Some((counted, learned)) = known else {
        return format!("rows={:.0}", view.rows);
    };
    let estimate = format!("rows={:.0}", counted.estimated);
    match learned {
        None => estimate + " learned=none",
        Some(learned) => format!(
            "{estimate} learned={}{:.0} used={:.0}, counted {} times, last by query {}, belief {:.2}",
            at_least(learned),
            learned.correction.rows,
            counted.planned,
            learned.correction.observations,
            learned.correction.queryid,
            learned.belief
        ),
    }
}

fn as_json(planned: &Planned) -> String {
    let knowledge = knowledge(planned);
    let operators: Vec<_> = planned
        .operators
        .iter()
        .enumerate()
        .map(|(position, view)| {
            let known = knowledge.get(&view.plan_node_id);
            let learned = known.and_then(|(_, learned)| learned.as_ref());
            json!({
                "node_id": position,
                "operator_type": view.name,
                "subplan": view.subplan_name,
                "relation": view.relation,
                "alias": view.alias,
                "index": view.index,
                "join_type": view.join_type,
                "child_ids": view.inputs,
                "total_cost": view.total_cost,
                "estimated_rows": known.map_or(view.rows, |(counted, _)| counted.estimated),
                "planned_rows": known.map_or(view.rows, |(counted, _)| counted.planned),
                "learned_rows": learned.map(|learned| learned.correction.rows),
                "is_lower_bound": learned.map(Learned::is_bound),
                "belief": learned.map(|learned| learned.belief),
                "observations": learned.map(|learned| learned.correction.observations),
                "learned_from_queryid": learned.map(|learned| learned.correction.queryid),
            })
        })
        .collect();
    json!({ "decision": decision(planned), "plan": operators }).to_string()
}

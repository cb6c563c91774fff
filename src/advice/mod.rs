//! What owners may do for a statement themselves, each piece with the evidence for it. Nothing is advised on a guess, and
//! nothing here changes what is learned.

mod decision;
pub(crate) mod hint_text;
mod indexes;
pub(crate) mod planner_costs;
mod statistics;

use crate::observe::planned::{self, Planned};
use crate::pg::columns::ComparedColumn;
use crate::pg::ereport::Report;
use crate::shmem::statements;
use crate::steer::rows;
use engine::decision::StatementEvidence;

/// A piece of advice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Advice {
    /// index, join_order, parallelism, memory or statistics.
    pub(crate) category: &'static str,
    /// What, and what speaks for it.
    pub(crate) description: String,
    /// Share of the statement's latency, or of its cost, that is saved; `None` when that is not known.
    pub(crate) expected_improvement: Option<f64>,
    /// What to run.
    pub(crate) sql: String,
    /// In [0, 1].
    pub(crate) confidence: f64,
}

/// A table that the plan scans and the statement filters.
#[derive(Debug)]
struct Scanned<'p> {
    /// EXPLAIN's name of the operator.
    operator: &'static str,
    estimated: f64,
    /// Rows counted of it, or the most seen.
    rows: f64,
    is_bound: bool,
    belief: f64,
    table_rows: f64,
    /// The columns compared with values.
    filters: Vec<&'p ComparedColumn>,
}

/// All advice for a statement, what saves most first.
pub(crate) fn on(text: &str) -> Result<Vec<Advice>, Report> {
    let planned = planned::plan(text)?;
    let evidence = evidence_of(&planned);
    let scanned = scanned(&planned);
    let mut advice = indexes::on(text, &planned, &scanned)?;
    advice.extend(statistics::on(&scanned, evidence.as_ref())?);
    if let Some(evidence) = &evidence {
        advice.extend(decision::on(text, &planned, evidence));
    }
    let gain = |advice: &Advice| advice.expected_improvement.unwrap_or(0.0);
    advice.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
    Ok(advice)
}

/// What was measured of a planned statement.
pub(crate) fn evidence_of(planned: &Planned) -> Option<StatementEvidence> {
    let class = planned.remembered.as_ref()?.statement.class;
    statements::evidence(class)
}

fn scanned(planned: &Planned) -> Vec<Scanned<'_>> {
    let Some(remembered) = &planned.remembered else {
        return Vec::new();
    };
    let of_operator = |view: &crate::pg::operators::OperatorView| {
        let counted = remembered.facts.counted.iter();
        let counted = counted
            .filter(|counted| counted.plan_node_id == view.plan_node_id)
            .find(|counted| counted.subject.tables.len() == 1)?;
        let learned = rows::learned(&counted.subject)?;
        let alias = view.alias.as_ref()?;
        let filters = planned.columns.iter().filter(|column| {
            column.alias == *alias
                && counted.subject.tables == [column.table]
                && column.comparison != crate::pg::columns::Comparison::Join
        });
        Some(Scanned {
            operator: view.name,
            estimated: counted.estimated.max(1.0),
            rows: learned.correction.rows.max(1.0),
            is_bound: learned.is_bound(),
            belief: learned.belief,
            table_rows: counted.subject.table_rows,
            filters: filters.collect(),
        })
    };
    planned.operators.iter().filter_map(of_operator).collect()
}

/// Names in a sentence or in SQL.
fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

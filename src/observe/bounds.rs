//! What an execution teaches of relations that it did not count to their end: they have at least as many rows as were seen.
//!
//! Of an execution that an error ended, counts and bounds are taken up without a call of PostgreSQL's that could fail in
//! turn: how often tables changed was noted when it started.

use super::knowledge::Remembered;
use crate::pg::catalog;
use crate::pg::node_runs::NodeRun;
use crate::pg::plan_tree::Counted;
use crate::shmem::corrections::{self, Observation};
use engine::cardinality::is_material;
use std::collections::HashMap;

/// What was taught.
#[derive(Debug, Default, Clone)]
pub(super) struct Taught {
    /// Something is known now that was not, and that the plan was not made with.
    pub(super) is_news: bool,
    /// Something differs from what the plan was made with.
    pub(super) is_surprise: bool,
    /// The sequence numbers of surprises that were not known.
    pub(super) news: Vec<u64>,
}

/// Notes how often the tables of a plan changed, for [`from_failed`].
pub(crate) fn note_tables(remembered: &Remembered) {
    let nodes = remembered.facts.counted.iter();
    let tables = nodes.filter(|node| node.subject.tables.len() == 1);
    tables
        .flat_map(|node| &node.subject.tables)
        .for_each(|&table| _ = catalog::modifications(table));
}

/// Lower bounds from an execution that ended.
pub(super) fn from_ended(remembered: &Remembered, runs: &HashMap<i32, NodeRun>) -> Taught {
    let modifications = |table| Some(catalog::modifications(table));
    learn(remembered, runs, &|run| !run.is_complete, &modifications)
}

/// Counts and lower bounds from an execution that an error ended.
pub(super) fn from_failed(remembered: &Remembered, runs: &HashMap<i32, NodeRun>) -> Taught {
    learn(remembered, runs, &|_| true, &catalog::noted_modifications)
}

fn learn(
    remembered: &Remembered,
    runs: &HashMap<i32, NodeRun>,
    is_wanted: &dyn Fn(&NodeRun) -> bool,
    modifications: &dyn Fn(u32) -> Option<u64>,
) -> Taught {
    let mut taught = Taught::default();
    if catalog::is_standby() {
        return taught;
    }
    for node in &remembered.facts.counted {
        let Some(run) = runs.get(&node.plan_node_id).filter(|run| is_wanted(run)) else {
            continue;
        };
        let is_bound = !run.is_complete;
        let rows = if is_bound { run.least_rows } else { run.rows };
        if is_bound && !exceeds(rows, node.planned.min(node.estimated)) {
            continue;
        }
        let tables = node.subject.tables.iter();
        let Some(changes) = tables.map(|&table| modifications(table)).sum::<Option<u64>>() else {
            continue;
        };
        let seen = observation(node, rows, is_bound, changes, remembered.statement.queryid);
        let learned = corrections::learn(catalog::database(), node.subject.key.0, &seen);
        let is_surprise = is_material(node.planned, rows) && (!is_bound || rows > node.planned);
        taught.is_surprise |= is_surprise;
        taught.is_news |= learned.is_new_or_changed && is_surprise;
        taught.news.extend(learned.new_sequence.filter(|_| is_surprise));
    }
    taught
}

/// Whether so many rows prove an estimate wrong.
fn exceeds(rows: f64, estimated: f64) -> bool {
    rows > estimated && is_material(estimated, rows)
}

/// What was seen of a node's relation.
pub(super) fn observation<'n>(
    node: &'n Counted,
    rows: f64,
    is_bound: bool,
    modifications: u64,
    queryid: i64,
) -> Observation<'n> {
    Observation {
        rows,
        is_bound,
        estimated_rows: node.estimated,
        table_rows: node.subject.table_rows,
        modifications,
        queryid,
        measured_at: catalog::now(),
        role: node.subject.role,
        relations: &node.subject.tables,
    }
}

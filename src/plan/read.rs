//! Operators of a live plan → `QueryDag`, the same graph that the engine makes of EXPLAIN's JSON.

use crate::pg::node_runs::NodeRun;
use crate::pg::operators::OperatorView;
use engine::{OperatorId, OperatorNode, OperatorType, QueryDag};
use std::collections::HashMap;

/// The dag of a plan, with actual rows where there are counts.
pub(crate) fn to_dag(operators: &[OperatorView], runs: &HashMap<i32, NodeRun>) -> Option<QueryDag> {
    graph(operators, |position, view| {
        let mut node = node(position, view);
        node.relation.clone_from(&view.relation);
        node.alias.clone_from(&view.alias);
        node.index.clone_from(&view.index);
        node.subplan_name.clone_from(&view.subplan_name);
        if let Some(run) = runs.get(&view.plan_node_id).filter(|run| run.loops > 0.0) {
            node.actual_rows = Some(run.total_rows / run.loops);
            node.loops = Some(run.loops);
        }
        node
    })
}

/// The dag of a plan before it ran, without names: what attention and embeddings look at.
pub(crate) fn to_outline(operators: &[OperatorView]) -> Option<QueryDag> {
    graph(operators, node)
}

fn graph(
    operators: &[OperatorView],
    node: impl Fn(usize, &OperatorView) -> OperatorNode,
) -> Option<QueryDag> {
    let mut dag = QueryDag::new();
    let ids: Vec<OperatorId> = operators
        .iter()
        .enumerate()
        .map(|(position, view)| dag.try_add_node(node(position, view)).ok())
        .collect::<Option<_>>()?;
    for (position, view) in operators.iter().enumerate() {
        for &input in &view.inputs {
            dag.add_edge(ids[input], ids[position]).ok()?;
        }
        if let Some(cte) = view
            .cte
            .as_deref()
            .and_then(|name| cte_plan(operators, position, name))
        {
            dag.add_edge(ids[cte], ids[position]).ok()?;
        }
    }
    Some(dag)
}

/// The subplan that computes the CTE of this name: the nearest one that hangs above the scan. A scan that it hangs on
/// has its edge already.
fn cte_plan(operators: &[OperatorView], scan: usize, name: &str) -> Option<usize> {
    let parent = |&at: &usize| {
        (0..at)
            .rev()
            .find(|&above| operators[above].depth + 1 == operators[at].depth)
    };
    let is_wanted = |&&input: &&usize| {
        let subplan = operators[input].subplan_name.as_deref();
        subplan.and_then(|subplan| subplan.strip_prefix("CTE ")) == Some(name)
    };
    let mut levels = std::iter::successors(Some(scan), parent);
    let (level, cte) = levels.find_map(|at| Some((at, *operators[at].inputs.iter().find(is_wanted)?)))?;
    (level != scan).then_some(cte)
}

fn node(position: usize, view: &OperatorView) -> OperatorNode {
    let named = || OperatorType::from_name(view.name).unwrap_or(OperatorType::CustomScan);
    let operator_type = view.vector_scan.unwrap_or_else(named);
    let mut node = OperatorNode::new(position as u32, operator_type);
    node.join_type = view.join_type.map(str::to_owned);
    node.rows = view.rows;
    node.startup_cost = view.startup_cost;
    node.total_cost = view.total_cost;
    node.width = view.width.unsigned_abs();
    node.workers = view.workers;
    node
}

//! The output of `EXPLAIN (FORMAT JSON)` of PostgreSQL 14 to 18, with or without ANALYZE, BUFFERS and the rest, as a
//! graph. Operators are numbered in the order EXPLAIN prints them.
//!
//! A CTE's subplan feeds the node it hangs under, as in EXPLAIN, and every CTE Scan that reads it.

use super::{OperatorId, OperatorNode, OperatorType, QueryDag};
use crate::Error;
use serde_json::{Map, Value};

/// Levels of a plan; PostgreSQL's own stack gives out earlier.
const MAX_DEPTH: usize = 1000;

/// The clauses EXPLAIN shows, in the order in which they are kept.
const CLAUSES: &[&str] = &[
    "Index Cond",
    "Recheck Cond",
    "TID Cond",
    "Order By",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "One-Time Filter",
    "Filter",
    "Run Condition",
    "Cache Key",
];

type Object = Map<String, Value>;

impl QueryDag {
    /// Reads the output of `EXPLAIN (FORMAT JSON)` of one statement.
    ///
    /// # Errors
    /// [`Error::MalformedExplain`], [`Error::TooDeep`], and those of building a graph.
    pub fn from_explain_json(text: &str) -> Result<Self, Error> {
        let document: Value = serde_json::from_str(text).map_err(|error| malformed(&error.to_string()))?;
        let statement = match &document {
            Value::Array(statements) => match statements.as_slice() {
                [statement] => statement,
                _ => return Err(malformed("expected the plan of one statement")),
            },
            statement => statement,
        };
        let plan = statement
            .get("Plan")
            .and_then(Value::as_object)
            .ok_or(malformed("no \"Plan\""))?;
        let mut reader = Reader {
            dag: QueryDag::new(),
            cte_scans: Vec::new(),
            ctes: Vec::new(),
        };
        reader.node(plan, 0)?;
        reader.connect_ctes()?;
        Ok(reader.dag)
    }
}

struct Reader {
    dag: QueryDag,
    /// CTE Scans and the name each reads.
    cte_scans: Vec<(OperatorId, String)>,
    /// The roots of CTE subplans.
    ctes: Vec<(String, OperatorId)>,
}

impl Reader {
    fn node(&mut self, plan: &Object, depth: usize) -> Result<OperatorId, Error> {
        if depth >= MAX_DEPTH {
            return Err(Error::TooDeep { limit: MAX_DEPTH });
        }
        let node = operator(self.dag.len() as u32, plan)?;
        let id = self.dag.try_add_node(node)?;
        if let Some(name) = text(plan, "CTE Name") {
            self.cte_scans.push((id, name));
        }
        if let Some(name) = text(plan, "Subplan Name")
            .as_deref()
            .and_then(|name| name.strip_prefix("CTE "))
        {
            self.ctes.push((name.to_owned(), id));
        }
        let children = plan
            .get("Plans")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        for child in children {
            let child = child
                .as_object()
                .ok_or(malformed("a plan that is not an object"))?;
            let child = self.node(child, depth + 1)?;
            self.dag.add_edge(child, id)?;
        }
        Ok(id)
    }

    /// An inner CTE hides an outer one of the same name, and comes later.
    fn connect_ctes(&mut self) -> Result<(), Error> {
        for (scan, name) in &self.cte_scans {
            let Some((_, cte)) = self.ctes.iter().rev().find(|(cte, _)| cte == name) else {
                continue;
            };
            if !self.dag.inputs(*scan).any(|input| input == *cte) {
                self.dag.add_edge(*cte, *scan)?;
            }
        }
        Ok(())
    }
}

fn operator(id: u32, plan: &Object) -> Result<OperatorNode, Error> {
    let name = text(plan, "Node Type").ok_or(malformed("a plan without \"Node Type\""))?;
    let operator_type = OperatorType::from_name(&name)
        .ok_or_else(|| malformed(&format!("unknown \"Node Type\" {name:?}")))?;
    let mut node = OperatorNode::new(id, operator_type);
    node.relation = text(plan, "Relation Name");
    node.alias = text(plan, "Alias");
    node.index = text(plan, "Index Name");
    node.join_type = text(plan, "Join Type");
    node.subplan_name = text(plan, "Subplan Name");
    node.clauses = clauses(plan);
    node.rows = number(plan, "Plan Rows").unwrap_or(0.0);
    node.startup_cost = number(plan, "Startup Cost").unwrap_or(0.0);
    node.total_cost = number(plan, "Total Cost").unwrap_or(0.0);
    node.width = number(plan, "Plan Width").unwrap_or(0.0) as u32;
    node.workers = number(plan, "Workers Planned").unwrap_or(0.0) as u32;
    // A node that never ran shows zero loops: it has no counts.
    node.loops = number(plan, "Actual Loops").filter(|&loops| loops > 0.0);
    if node.loops.is_some() {
        node.actual_rows = number(plan, "Actual Rows");
        node.actual_ms = number(plan, "Actual Total Time");
    }
    Ok(node)
}

fn clauses(plan: &Object) -> Vec<(String, String)> {
    let shown = CLAUSES
        .iter()
        .filter_map(|&kind| Some((kind.to_owned(), text(plan, kind)?)));
    shown.collect()
}

fn text(plan: &Object, key: &str) -> Option<String> {
    plan.get(key)?.as_str().map(str::to_owned)
}

fn number(plan: &Object, key: &str) -> Option<f64> {
    plan.get(key)?.as_f64()
}

fn malformed(what: &str) -> Error {
    Error::MalformedExplain(what.to_owned())
}

//! The output of `EXPLAIN (FORMAT JSON)` of PostgreSQL 14 to 18, with or without ANALYZE, BUFFERS and the rest, as a
//! graph. Operators are numbered in the order EXPLAIN prints them. What a graph has no place for is passed over.
//!
//! InitPlans and SubPlans feed the operator they hang under, as in EXPLAIN. A CTE's subplan also feeds every CTE Scan
//! that reads it, so that a CTE read twice is one shared operator. A WorkTable Scan reads what the Recursive Union above
//! it gave before, which would be a cycle: it gets no such edge.

use super::{Clause, ClauseKind, OperatorNode, OperatorType, QueryDag};
use crate::{Error, OperatorId};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Levels of a plan. A join of a hundred tables has some two hundred.
const MAX_DEPTH: usize = 400;
/// Levels of JSON: an object and an array for each level of the plan, and what surrounds or ends them.
const MAX_JSON_DEPTH: usize = 2 * MAX_DEPTH + 8;

type Object = Map<String, Value>;

impl QueryDag {
    /// Reads the output of `EXPLAIN (FORMAT JSON)` of one statement.
    ///
    /// # Errors
    /// [`Error::MalformedExplain`], [`Error::TooDeep`] for more than 400 levels, and those of building a graph.
    pub fn from_explain_json(text: &str) -> Result<Self, Error> {
        let document = parse(text)?;
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
        let mut reader = Reader::default();
        reader.node(plan, None, 0)?;
        reader.connect_ctes();
        Self::from_parts(reader.nodes, reader.edges)
    }
}

/// Parses JSON whose depth was looked at first: the parser and the value's own end recurse on the stack.
fn parse(text: &str) -> Result<Value, Error> {
    if nesting(text) > MAX_JSON_DEPTH {
        return Err(Error::TooDeep { limit: MAX_DEPTH });
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    parser.disable_recursion_limit();
    let document = Value::deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    document.map_err(|error| malformed(&error.to_string()))
}

/// The deepest nesting of arrays and objects.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[derive(Default)]
struct Reader {
    nodes: Vec<OperatorNode>,
    edges: Vec<(OperatorId, OperatorId)>,
    /// The operator each hangs under, by number.
    parents: Vec<Option<OperatorId>>,
    /// CTE Scans and the name each reads.
    cte_scans: Vec<(OperatorId, String)>,
    /// The roots of CTE subplans, by the operator they hang under and their name.
    ctes: HashMap<(Option<OperatorId>, String), OperatorId>,
}

impl Reader {
    fn node(&mut self, plan: &Object, parent: Option<OperatorId>, depth: usize) -> Result<OperatorId, Error> {
        if depth >= MAX_DEPTH {
            return Err(Error::TooDeep { limit: MAX_DEPTH });
        }
        let node = operator(self.nodes.len() as u32, plan)?;
        let id = node.id;
        if node.operator_type == OperatorType::CteScan {
            self.cte_scans
                .extend(text(plan, "CTE Name").map(|name| (id, name)));
        }
        if let Some(name) = node
            .subplan_name
            .as_deref()
            .and_then(|name| name.strip_prefix("CTE "))
        {
            self.ctes.insert((parent, name.to_owned()), id);
        }
        self.nodes.push(node);
        self.parents.push(parent);
        let children = plan
            .get("Plans")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        for child in children {
            let child = child
                .as_object()
                .ok_or(malformed("a plan that is not an object"))?;
            let child = self.node(child, Some(id), depth + 1)?;
            self.edges.push((child, id));
        }
        Ok(id)
    }

    /// A CTE's subplan hangs under the top of the query level that defines it, so the nearest one of its name, from the
    /// scan upward, is the one a scan reads.
    fn connect_ctes(&mut self) {
        for (scan, name) in &self.cte_scans {
            let parent = |id: &OperatorId| self.parents.get(id.0 as usize).copied().flatten();
            let mut levels = std::iter::successors(Some(*scan), parent);
            let cte = levels.find_map(|level| Some((level, *self.ctes.get(&(Some(level), name.clone()))?)));
            // A scan that is the top of the level has that edge already.
            self.edges.extend(
                cte.filter(|(level, _)| level != scan)
                    .map(|(_, cte)| (cte, *scan)),
            );
        }
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
    node.strategy = strategy(plan);
    node.subplan_name = text(plan, "Subplan Name");
    node.clauses = clauses(plan);
    node.rows = number(plan, "Plan Rows").unwrap_or(0.0);
    node.startup_cost = number(plan, "Startup Cost").unwrap_or(0.0);
    node.total_cost = number(plan, "Total Cost").unwrap_or(0.0);
    node.width = number(plan, "Plan Width").unwrap_or(0.0) as u32;
    node.workers = number(plan, "Workers Planned").unwrap_or(0.0) as u32;
    // An operator that never ran shows zero loops: it has no counts.
    node.loops = number(plan, "Actual Loops").filter(|&loops| loops > 0.0);
    if node.loops.is_some() {
        node.actual_rows = number(plan, "Actual Rows");
        node.actual_ms = number(plan, "Actual Total Time");
        node.shared_hit_blocks = count(plan, "Shared Hit Blocks");
        node.shared_read_blocks = count(plan, "Shared Read Blocks");
    }
    Ok(node)
}

fn strategy(plan: &Object) -> Option<String> {
    let way = text(plan, "Strategy").or_else(|| text(plan, "Operation"))?;
    match plan.get("Partial Mode").and_then(Value::as_str) {
        Some(mode @ ("Partial" | "Finalize")) => Some(format!("{mode} {way}")),
        _ => Some(way),
    }
}

fn clauses(plan: &Object) -> Vec<Clause> {
    let shown = |&kind: &ClauseKind| {
        let text = match plan.get(kind.name())? {
            Value::String(text) => text.clone(),
            Value::Array(keys) => keys
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(", "),
            _ => return None,
        };
        Some(Clause::new(kind, text))
    };
    ClauseKind::ALL.iter().filter_map(shown).collect()
}

fn text(plan: &Object, key: &str) -> Option<String> {
    plan.get(key)?.as_str().map(str::to_owned)
}

fn number(plan: &Object, key: &str) -> Option<f64> {
    plan.get(key)?.as_f64()
}

fn count(plan: &Object, key: &str) -> Option<u64> {
    plan.get(key)?.as_u64()
}

fn malformed(what: &str) -> Error {
    Error::MalformedExplain(what.to_owned())
}

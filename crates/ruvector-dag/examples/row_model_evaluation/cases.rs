//! Sub-joins with their true counts.

use ruvector_dag::cardinality::{BaseRelation, ClauseEstimate, JoinClass, SubJoin, hash_bytes};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Deserialize)]
struct Filter {
    column: String,
    operator: String,
    constant: String,
    selectivity: f64,
}

#[derive(Deserialize)]
struct Relation {
    alias: String,
    table: String,
    rows: f64,
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
pub(crate) struct Line {
    pub(crate) statement: u64,
    relations: Vec<Relation>,
    equalities: Vec<Vec<String>>,
    estimate: f64,
    actual: f64,
    executed: bool,
}

/// A sub-join, its true count, and what tells it from others.
pub(crate) struct Case {
    pub(crate) statement: u64,
    pub(crate) sub_join: SubJoin,
    pub(crate) actual: f64,
    pub(crate) executed: bool,
    /// Tables and joins.
    pub(crate) graph: String,
    /// These and the filters' columns.
    pub(crate) columns: String,
    /// These and the filters' operators.
    pub(crate) clauses: String,
    /// These and the constants: the relation itself.
    pub(crate) whole: String,
}

impl Case {
    pub(crate) fn new(line: &Line) -> Self {
        let position: HashMap<&str, usize> = line
            .relations
            .iter()
            .enumerate()
            .map(|(at, relation)| (relation.alias.as_str(), at))
            .collect();
        // Columns by table, not by alias.
        let member = |name: &String| -> Option<(usize, String)> {
            let (alias, column) = name.split_once('.')?;
            let at = *position.get(alias)?;
            Some((at, format!("{}.{column}", line.relations.get(at)?.table)))
        };
        let classes: Vec<Vec<(usize, String)>> = line
            .equalities
            .iter()
            .map(|class| class.iter().filter_map(member).collect())
            .collect();
        let text = |of_filter: &dyn Fn(&Filter) -> Option<String>| {
            let mut parts: Vec<String> = classes
                .iter()
                .map(|class| sorted(class.iter().map(|(_, column)| column.clone())).join("="))
                .collect();
            for relation in &line.relations {
                let filters: BTreeSet<String> = relation.filters.iter().filter_map(of_filter).collect();
                parts.push(format!("{}{filters:?}", relation.table));
            }
            sorted(parts.into_iter()).join(" ")
        };
        let relations = line.relations.iter().map(|relation| BaseRelation {
            table: hash_bytes(relation.table.as_bytes()),
            rows: relation.rows,
            clauses: relation
                .filters
                .iter()
                .map(|filter| ClauseEstimate {
                    template: hash_bytes(
                        format!("{}.{} {}", relation.table, filter.column, filter.operator).as_bytes(),
                    ),
                    selectivity: filter.selectivity,
                })
                .collect(),
        });
        let joins = classes.iter().map(|class| JoinClass {
            kind: 0,
            members: class
                .iter()
                .map(|(at, column)| (*at, hash_bytes(column.as_bytes())))
                .collect(),
        });
        Self {
            statement: line.statement,
            sub_join: SubJoin {
                relations: relations.collect(),
                joins: joins.collect(),
                estimate: line.estimate,
            },
            actual: line.actual,
            executed: line.executed,
            graph: text(&|_| None),
            columns: text(&|filter| Some(filter.column.clone())),
            clauses: text(&|filter| Some(format!("{} {}", filter.column, filter.operator))),
            whole: text(&|filter| {
                let Filter {
                    column,
                    operator,
                    constant,
                    ..
                } = filter;
                Some(format!("{column} {operator} {constant}"))
            }),
        }
    }

    pub(crate) fn log_actual(&self) -> f64 {
        self.actual.max(1.0).ln()
    }

    pub(crate) fn joins(&self) -> usize {
        self.sub_join.relations.len() - 1
    }
}

fn sorted(parts: impl Iterator<Item = String>) -> Vec<String> {
    let mut parts: Vec<String> = parts.collect();
    parts.sort();
    parts
}

/// Groups of statements held out together.
pub(crate) fn groups(cases: &[Case], key: fn(&Case) -> &str) -> Vec<BTreeSet<u64>> {
    let mut largest: BTreeMap<u64, &Case> = BTreeMap::new();
    for case in cases {
        let held = largest.entry(case.statement).or_insert(case);
        if case.joins() > held.joins() {
            *held = case;
        }
    }
    let mut groups: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for (statement, case) in largest {
        groups.entry(key(case)).or_default().insert(statement);
    }
    groups.into_values().collect()
}

pub(crate) fn statements(cases: &[Case]) -> Vec<BTreeSet<u64>> {
    let all: BTreeSet<u64> = cases.iter().map(|case| case.statement).collect();
    all.into_iter()
        .map(|statement| BTreeSet::from([statement]))
        .collect()
}

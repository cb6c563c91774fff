//! How well the rows of a statement's joins are expected from the counts of some of them: q-errors beside PostgreSQL's.
//! Reads sub-joins as JSON lines, as `bench rows` writes them:
//! `cargo run --release --example propagation_evaluation -- rows.jsonl`.
//!
//! Counted are the relations that PostgreSQL's own plan of the statement counts, or all of at most k tables. The row
//! model of the one half of the statements (even or odd numbers) serves the other half.

use ruvector_dag::cardinality::{
    BaseRelation, ClauseEstimate, JoinClass, LogCorrection, Propagation, RelationSet, RowModel, SubJoin,
    hash_bytes,
};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;

#[derive(Deserialize)]
struct Filter {
    column: String,
    operator: String,
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
struct Line {
    statement: u64,
    relations: Vec<Relation>,
    equalities: Vec<Vec<String>>,
    estimate: f64,
    actual: f64,
    executed: bool,
}

impl Line {
    fn sub_join(&self) -> SubJoin {
        let at = |alias: &str| self.relations.iter().position(|relation| relation.alias == alias);
        let member = |name: &String| {
            let (alias, column) = name.split_once('.')?;
            let at = at(alias)?;
            let table = &self.relations.get(at)?.table;
            Some((at, hash_bytes(format!("{table}.{column}").as_bytes())))
        };
        let clause = |table: &str, filter: &Filter| ClauseEstimate {
            template: hash_bytes(format!("{table}.{} {}", filter.column, filter.operator).as_bytes()),
            selectivity: filter.selectivity,
        };
        SubJoin {
            relations: self
                .relations
                .iter()
                .map(|relation| BaseRelation {
                    table: hash_bytes(relation.table.as_bytes()),
                    rows: relation.rows,
                    clauses: relation
                        .filters
                        .iter()
                        .map(|filter| clause(&relation.table, filter))
                        .collect(),
                })
                .collect(),
            joins: self
                .equalities
                .iter()
                .map(|class| JoinClass {
                    kind: 0,
                    members: class.iter().filter_map(member).collect(),
                })
                .collect(),
            estimate: self.estimate,
        }
    }
}

/// Tables of the largest joins for which the extension asks the row model.
const MODELLED: u32 = 3;

/// A relation of a statement.
struct Case {
    set: RelationSet,
    sub_join: SubJoin,
    actual: f64,
    executed: bool,
}

impl Case {
    fn log_ratio(&self) -> f64 {
        self.actual.max(1.0).ln() - self.sub_join.log_estimate()
    }
}

type Statements = BTreeMap<u64, Vec<Case>>;

fn read(text: &str) -> Result<Statements, Box<dyn Error>> {
    let mut statements = Statements::new();
    let mut places: HashMap<u64, HashMap<String, u32>> = HashMap::new();
    for line in text.lines() {
        let line: Line = serde_json::from_str(line)?;
        let known = places.entry(line.statement).or_default();
        let mut set = 0;
        for relation in &line.relations {
            let next = known.len() as u32;
            set |= 1 << *known.entry(relation.alias.clone()).or_insert(next);
        }
        statements.entry(line.statement).or_default().push(Case {
            set,
            sub_join: line.sub_join(),
            actual: line.actual,
            executed: line.executed,
        });
    }
    statements
        .values_mut()
        .for_each(|cases| cases.sort_by_key(|case| (case.set.count_ones(), case.set)));
    Ok(statements)
}

/// What is expected of the cases that are not counted: the error of the logarithm, and in standard deviations.
fn expect(
    cases: &[Case],
    is_counted: &dyn Fn(&Case) -> bool,
    model: Option<(&RowModel, u32)>,
) -> Vec<(u32, f64, f64)> {
    let mut propagation = Propagation::new();
    let mut errors = Vec::new();
    for case in cases {
        let relations = case.set.count_ones();
        let expected = if is_counted(case) {
            LogCorrection::counted(case.log_ratio())
        } else {
            let propagated = propagation.expected(case.set);
            let expected = match model {
                Some((model, most)) if relations <= most => {
                    let log_estimate = case.sub_join.log_estimate();
                    propagated.combined_with(LogCorrection::predicted(
                        &model.predict(&case.sub_join),
                        log_estimate,
                    ))
                }
                _ => propagated,
            };
            let log_rows = (case.sub_join.log_estimate() + expected.mean).max(0.0);
            let error = (case.actual.max(1.0).ln() - log_rows).abs();
            errors.push((relations, error, error / expected.variance.sqrt()));
            expected
        };
        propagation.insert(case.set, expected);
    }
    errors
}

fn quantile(numbers: &[f64], share: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

fn show(name: &str, errors: &[(f64, f64)]) {
    let logs: Vec<f64> = errors.iter().map(|one| one.0).collect();
    let inside = errors.iter().filter(|one| one.1 <= 1.645).count();
    let mean_square = logs.iter().map(|log| log * log).sum::<f64>() / logs.len().max(1) as f64;
    println!(
        "| {name} | {} | {:.2} | {:.1} | {:.1} | {:.3} | {:.0} % |",
        logs.len(),
        quantile(&logs, 0.5).exp(),
        quantile(&logs, 0.9).exp(),
        quantile(&logs, 0.95).exp(),
        mean_square.sqrt(),
        100.0 * inside as f64 / logs.len().max(1) as f64,
    );
}

/// The row models of what the plans counted, of all statements but those of one half.
fn trained(statements: &Statements) -> [RowModel; 2] {
    [0, 1].map(|half| {
        let mut model = RowModel::default();
        for (_, cases) in statements.iter().filter(|(number, _)| *number % 2 != half) {
            let counted: Vec<(&SubJoin, f64)> = cases
                .iter()
                .filter(|case| case.executed)
                .map(|case| (&case.sub_join, case.actual))
                .collect();
            model.learn_execution(&counted);
        }
        model
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("the path of the sub-joins as JSON lines")?;
    let statements = read(&std::fs::read_to_string(path)?)?;
    let models = trained(&statements);
    type Counted = Box<dyn Fn(&Case) -> bool>;
    let mut settings: Vec<(String, Counted)> = vec![
        ("nothing".to_owned(), Box::new(|_| false)),
        ("what the plan counts".to_owned(), Box::new(|case| case.executed)),
    ];
    for most in 1..5 {
        let is_counted = move |case: &Case| case.set.count_ones() <= most;
        settings.push((format!("all of at most {most} tables"), Box::new(is_counted)));
    }
    for (name, is_counted) in &settings {
        println!(
            "\ncounted: {name}\n\n| others, by | n | median q | 90 % | 95 % | rms of logarithms | within 90 % |\n|---|---|---|---|---|---|---|"
        );
        let run = |title: &str, tables: Option<u32>, model: Option<(&[RowModel; 2], u32)>, is_stock: bool| {
            let mut errors = Vec::new();
            for (number, cases) in &statements {
                let model = model.map(|(models, most)| (&models[usize::from(number % 2 == 1)], most));
                let found = if is_stock {
                    let others = cases.iter().filter(|case| !is_counted(case));
                    others
                        .map(|case| (case.set.count_ones(), case.log_ratio().abs(), 0.0))
                        .collect()
                } else {
                    expect(cases, is_counted, model)
                };
                let wanted = found
                    .into_iter()
                    .filter(|one| tables.is_none_or(|tables| one.0 == tables));
                errors.extend(wanted.map(|one| (one.1, one.2)));
            }
            if !errors.is_empty() {
                show(title, &errors);
            }
        };
        for tables in [None, Some(2), Some(3), Some(4), Some(5)] {
            let of = tables.map_or("all".to_owned(), |tables| format!("{tables} tables"));
            run(&format!("{of}: PostgreSQL"), tables, None, true);
            run(&format!("{of}: propagation"), tables, None, false);
            let with_model = format!("{of}: with the row model up to {MODELLED} tables");
            run(&with_model, tables, Some((&models, MODELLED)), false);
            run(
                &format!("{of}: with it at all"),
                tables,
                Some((&models, u32::MAX)),
                false,
            );
        }
    }
    Ok(())
}

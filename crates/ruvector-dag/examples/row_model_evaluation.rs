//! How well row counts of statements never seen are predicted: q-errors beside PostgreSQL's, and how often the intervals
//! hold. Reads sub-joins as JSON lines: `cargo run --release --example row_model_evaluation -- rows.jsonl`.
//!
//! A line: `{"statement": 1, "relations": [{"alias", "table", "rows", "filters": [{"column", "operator", "constant",
//! "selectivity"}]}], "equalities": [["b.userid", "u.id"]], "estimate", "actual", "executed"}`; `executed` marks those
//! that PostgreSQL's own plan of the statement counts.
//!
//! Held out are: a statement; a template (all statements with the same tables, joins and filter columns); a join graph
//! (all with the same tables and joins, whatever the filters). The figures are of joins whose very relation, constants
//! included, no other statement contains.

use ruvector_dag::cardinality::{
    BaseRelation, ClauseEstimate, JoinClass, PriorVariances, RowModel, RowModelConfig, SubJoin, hash_bytes,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::error::Error;

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
struct Line {
    statement: u64,
    relations: Vec<Relation>,
    equalities: Vec<Vec<String>>,
    estimate: f64,
    actual: f64,
    executed: bool,
}

/// A sub-join, its true count, and what tells it from others.
struct Case {
    statement: u64,
    sub_join: SubJoin,
    actual: f64,
    executed: bool,
    /// Tables and joins.
    graph: String,
    /// These and the filters' columns.
    columns: String,
    /// These and the filters' operators.
    clauses: String,
    /// These and the constants: the relation itself.
    whole: String,
}

impl Case {
    fn new(line: &Line) -> Self {
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

    fn log_actual(&self) -> f64 {
        self.actual.max(1.0).ln()
    }

    fn joins(&self) -> usize {
        self.sub_join.relations.len() - 1
    }
}

fn sorted(parts: impl Iterator<Item = String>) -> Vec<String> {
    let mut parts: Vec<String> = parts.collect();
    parts.sort();
    parts
}

/// A prediction and its interval, as natural logarithms.
#[derive(Clone, Copy)]
struct Predicted {
    log_rows: f64,
    interval: Option<(f64, f64)>,
    /// The share of the uncertainty that is removed.
    known: f64,
}

/// Something that learns executions and predicts.
trait Predictor {
    fn learn(&mut self, execution: &[&Case]);
    fn predict(&self, case: &Case) -> Predicted;
}

struct PostgreSql;

impl Predictor for PostgreSql {
    fn learn(&mut self, _: &[&Case]) {}

    fn predict(&self, case: &Case) -> Predicted {
        Predicted {
            log_rows: case.sub_join.log_estimate(),
            interval: None,
            known: 0.0,
        }
    }
}

/// As AQO does it: the mean of the three nearest by log selectivities among those with the same clauses, constants left
/// out; PostgreSQL's estimate where there is none.
#[derive(Default)]
struct NearestNeighbours {
    /// Log selectivities and log rows, by the clauses.
    known: HashMap<String, Vec<(Vec<f64>, f64)>>,
}

impl NearestNeighbours {
    fn place(case: &Case) -> Vec<f64> {
        let relations = case.sub_join.relations.iter();
        let mut logs: Vec<(u64, f64)> = relations
            .flat_map(|relation| &relation.clauses)
            .map(|clause| (clause.template, clause.selectivity.max(1e-6).ln()))
            .collect();
        logs.sort_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
        logs.into_iter().map(|(_, log)| log).collect()
    }
}

impl Predictor for NearestNeighbours {
    fn learn(&mut self, execution: &[&Case]) {
        for case in execution {
            let known = self.known.entry(case.clauses.clone()).or_default();
            known.push((Self::place(case), case.log_actual()));
        }
    }

    fn predict(&self, case: &Case) -> Predicted {
        let place = Self::place(case);
        let known = self.known.get(&case.clauses).into_iter().flatten();
        let mut near: Vec<(f64, f64)> = known
            .map(|(other, log_rows)| (distance(&place, other), *log_rows))
            .collect();
        near.sort_by(|left, right| left.0.total_cmp(&right.0));
        near.truncate(3);
        let weigh = |distance: f64| 1.0 / (0.01 + distance);
        let weights: f64 = near.iter().map(|near| weigh(near.0)).sum();
        let sum: f64 = near.iter().map(|near| weigh(near.0) * near.1).sum();
        let is_unknown = near.is_empty();
        Predicted {
            log_rows: if is_unknown {
                case.sub_join.log_estimate()
            } else {
                sum / weights
            },
            interval: None,
            known: 0.0,
        }
    }
}

fn distance(left: &[f64], right: &[f64]) -> f64 {
    let squares = left.iter().zip(right).map(|(left, right)| (left - right).powi(2));
    squares.sum::<f64>().sqrt()
}

impl Predictor for RowModel {
    fn learn(&mut self, execution: &[&Case]) {
        let counted: Vec<(&SubJoin, f64)> = execution
            .iter()
            .map(|case| (&case.sub_join, case.actual))
            .collect();
        self.learn_execution(&counted);
    }

    fn predict(&self, case: &Case) -> Predicted {
        let prediction = RowModel::predict(self, &case.sub_join);
        Predicted {
            log_rows: prediction.log_rows,
            interval: Some((prediction.lower, prediction.upper)),
            known: prediction.known,
        }
    }
}

/// What became of one held-out sub-join.
struct Tested {
    joins: usize,
    /// Which of its parts the training contained: 0 the relation itself, 1 the same clauses with other constants, 2 the
    /// same joins with other clauses, 3 not even these.
    novelty: usize,
    /// Natural logarithm of the q-error.
    error: f64,
    /// The same of PostgreSQL's estimate.
    stock_error: f64,
    /// Whether the interval held it, and the interval's width.
    held: Option<(bool, f64)>,
    known: f64,
}

/// Which executions a predictor learns from.
#[derive(Clone, Copy, PartialEq)]
enum Training {
    /// All sub-joins of the other statements.
    All,
    /// Those that their plans counted.
    Executed,
    /// Those that the plans counted, of the statement itself too: its other sub-joins are predicted.
    OwnPlan,
}

/// Groups of statements held out together.
fn groups(cases: &[Case], key: fn(&Case) -> &str) -> Vec<BTreeSet<u64>> {
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

fn statements(cases: &[Case]) -> Vec<BTreeSet<u64>> {
    let all: BTreeSet<u64> = cases.iter().map(|case| case.statement).collect();
    all.into_iter()
        .map(|statement| BTreeSet::from([statement]))
        .collect()
}

fn evaluate<P: Predictor>(
    cases: &[Case],
    groups: &[BTreeSet<u64>],
    training: Training,
    make: &dyn Fn() -> P,
) -> Vec<Tested> {
    let mut tested = Vec::new();
    for held_out in groups {
        let is_used = |case: &&Case| match training {
            Training::All => !held_out.contains(&case.statement),
            Training::Executed => case.executed && !held_out.contains(&case.statement),
            Training::OwnPlan => case.executed,
        };
        let mut predictor = make();
        let used: Vec<&Case> = cases.iter().filter(is_used).collect();
        for execution in used.chunk_by(|left, right| left.statement == right.statement) {
            predictor.learn(execution);
        }
        let texts = |text: fn(&Case) -> &str| used.iter().map(|case| text(case)).collect::<HashSet<_>>();
        let known = [
            (
                texts(|case| &case.whole),
                (|case| &case.whole) as fn(&Case) -> &str,
            ),
            (texts(|case| &case.clauses), |case| &case.clauses),
            (texts(|case| &case.graph), |case| &case.graph),
        ];
        for case in cases.iter().filter(|case| held_out.contains(&case.statement)) {
            if training == Training::OwnPlan && case.executed {
                continue;
            }
            let predicted = predictor.predict(case);
            let novelty = known.iter().position(|(texts, text)| texts.contains(text(case)));
            let held = predicted.interval.map(|(lower, upper)| {
                // To the last digits the planner shows: whole rows.
                let is_held = (lower - 1e-9..=upper + 1e-9).contains(&case.log_actual());
                (is_held, upper - lower)
            });
            tested.push(Tested {
                joins: case.joins(),
                novelty: novelty.unwrap_or(known.len()),
                error: (predicted.log_rows - case.log_actual()).abs(),
                stock_error: (case.sub_join.log_estimate() - case.log_actual()).abs(),
                held,
                known: predicted.known,
            });
        }
    }
    tested
}

fn quantile(mut numbers: Vec<f64>, share: f64) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let at = ((numbers.len() as f64 - 1.0) * share).round() as usize;
    numbers.get(at).copied().unwrap_or(f64::NAN)
}

/// Count, q-errors of PostgreSQL and of the predictor, how often it is off by less than half and more than twice as much, coverage and width.
fn figures(tested: &[Tested], wanted: &dyn Fn(&Tested) -> bool) -> String {
    let chosen: Vec<&Tested> = tested.iter().filter(|one| wanted(one)).collect();
    let at = |error: fn(&Tested) -> f64, share| {
        quantile(chosen.iter().map(|one| error(one)).collect(), share).exp()
    };
    let share = |count: usize, of: usize| 100.0 * count as f64 / of.max(1) as f64;
    let better = chosen
        .iter()
        .filter(|one| one.stock_error > one.error + 2f64.ln())
        .count();
    let worse = chosen
        .iter()
        .filter(|one| one.error > one.stock_error + 2f64.ln())
        .count();
    let held: Vec<(bool, f64)> = chosen.iter().filter_map(|one| one.held).collect();
    let coverage = if held.is_empty() {
        "| |".to_owned()
    } else {
        let inside = held.iter().filter(|(is_held, _)| *is_held).count();
        let width = quantile(held.iter().map(|(_, width)| *width).collect(), 0.5);
        format!("{:.1} % | {:.1} |", share(inside, held.len()), width.exp())
    };
    let stock = |one: &Tested| one.stock_error;
    let own = |one: &Tested| one.error;
    format!(
        "{} | {:.2} | {:.1} | {:.2} | {:.2} | {:.1} | {:.1} % | {:.1} % | {coverage}",
        chosen.len(),
        at(stock, 0.5),
        at(stock, 0.95),
        at(own, 0.5),
        at(own, 0.95),
        at(own, 0.99),
        share(better, chosen.len()),
        share(worse, chosen.len()),
    )
}

const HEADER: &str = "| n | PostgreSQL median q | 95 % | median q | 95 % | 99 % | better by 2x | worse by 2x | held | median width |\n\
    |---|---|---|---|---|---|---|---|---|---|---|";

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("the path of the sub-joins as JSON lines")?;
    let text = std::fs::read_to_string(path)?;
    let lines: Vec<Line> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut cases: Vec<Case> = lines.iter().map(Case::new).collect();
    cases.sort_by_key(|case| case.statement);

    let whole = RowModelConfig::default();
    let leave_out = |change: &dyn Fn(&mut PriorVariances)| {
        let mut config = whole;
        change(&mut config.variances);
        config
    };
    let models = [
        ("template regression only", RowModelConfig { parts: 0, ..whole }),
        (
            "parts only, no neighbours",
            RowModelConfig {
                neighbours: 0,
                ..whole
            },
        ),
        ("the model", whole),
    ];
    let ablations = [
        (
            "the model without edge x clause",
            leave_out(&|variances| variances.edge_clause = 0.0),
        ),
        (
            "the model without edges",
            leave_out(&|variances| variances.edge = 0.0),
        ),
        (
            "the model without classes",
            leave_out(&|variances| variances.class = 0.0),
        ),
        (
            "the model without clauses",
            leave_out(&|variances| variances.clause = 0.0),
        ),
        ("the model with 256 parts", RowModelConfig { parts: 256, ..whole }),
    ];
    let per_statement = statements(&cases);
    let per_template = groups(&cases, |case| &case.columns);
    let per_graph = groups(&cases, |case| &case.graph);
    let plans = [
        ("a statement held out", &per_statement, Training::All),
        ("a template held out", &per_template, Training::All),
        ("a join graph held out", &per_graph, Training::All),
        (
            "a statement held out, learned from executed sub-joins",
            &per_statement,
            Training::Executed,
        ),
        (
            "a template held out, learned from executed sub-joins",
            &per_template,
            Training::Executed,
        ),
        (
            "after one execution: what the plan did not count",
            &per_statement,
            Training::OwnPlan,
        ),
    ];
    let is_new_join = |one: &Tested| one.joins > 0 && one.novelty > 0;
    for (number, (name, groups, training)) in plans.into_iter().enumerate() {
        println!(
            "\n{name}: {} groups\n\n| joins never seen, by {HEADER}",
            groups.len()
        );
        let show = |name: &str, tested: &[Tested]| println!("| {name} | {}", figures(tested, &is_new_join));
        show("PostgreSQL", &evaluate(&cases, groups, training, &|| PostgreSql));
        show(
            "nearest neighbours",
            &evaluate(&cases, groups, training, &NearestNeighbours::default),
        );
        let more = if number == 0 || number == 3 {
            &ablations[..]
        } else {
            &[]
        };
        let mut last = Vec::new();
        for (name, config) in models.iter().chain(more) {
            let tested = evaluate(&cases, groups, training, &|| RowModel::new(*config));
            show(name, &tested);
            if *name == "the model" {
                last = tested;
            }
        }
        println!("\n| the model, of {HEADER}");
        let part =
            |name: &str, wanted: &dyn Fn(&Tested) -> bool| println!("| {name} | {}", figures(&last, wanted));
        part("all sub-joins", &|_| true);
        part("base relations", &|one| one.joins == 0);
        part("one join", &|one| one.joins == 1);
        part("two joins", &|one| one.joins == 2);
        part("three joins and more", &|one| one.joins > 2);
        part("joins, less than 85 % known", &|one| {
            one.joins > 0 && one.known < 0.85
        });
        part("joins, 85 to 95 % known", &|one| {
            one.joins > 0 && (0.85..0.95).contains(&one.known)
        });
        part("joins, more than 95 % known", &|one| {
            one.joins > 0 && one.known >= 0.95
        });
        part("joins seen before", &|one| one.joins > 0 && one.novelty == 0);
        part("joins seen with other constants", &|one| {
            one.joins > 0 && one.novelty == 1
        });
        part("joins seen with other filters", &|one| {
            one.joins > 0 && one.novelty == 2
        });
        part("joins never seen at all", &|one| {
            one.joins > 0 && one.novelty == 3
        });
    }
    Ok(())
}

//! How well row counts of statements never seen are predicted: q-errors beside PostgreSQL's, and how often the intervals
//! hold. Reads sub-joins as JSON lines: `cargo run --release --example row_model_evaluation -- rows.jsonl`.
//!
//! A line: `{"statement": 1, "relations": [{"alias", "table", "rows", "filters": [{"column", "operator", "constant",
//! "selectivity"}]}], "equalities": [["b.userid", "u.id"]], "estimate", "actual", "executed"}`; `executed` marks those
//! that PostgreSQL's own plan of the statement counts.
//!
//! The model's variances and noises are chosen anew on the statements with even numbers alone; figures are of those with
//! odd numbers. Held out are: a statement; a template (all statements with the same tables, joins and filter columns); a
//! join graph (all with the same tables and joins, whatever the filters). Most figures are of joins whose very relation,
//! constants included, no other statement contains.

mod cases;
mod evaluation;
mod predictors;
mod tuning;

use cases::{Case, Line, groups, statements};
use evaluation::{Tested, Training, evaluate, figures, is_new_join};
use predictors::{NearestNeighbours, PostgreSql};
use ruvector_dag::cardinality::{PriorVariances, RowModel, RowModelConfig};
use std::collections::BTreeSet;
use std::error::Error;

const HEADER: &str = "| n | PostgreSQL median q | 95 % | median q | 95 % | 99 % | better by 2x | worse by 2x | held | median width |\n\
    |---|---|---|---|---|---|---|---|---|---|---|";

/// The name of the model whose figures are shown in parts.
const CHOSEN: &str = "the model, numbers chosen on even statements";

fn is_odd(statement: u64) -> bool {
    !statement.is_multiple_of(2)
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("the path of the sub-joins as JSON lines")?;
    let text = std::fs::read_to_string(path)?;
    let lines: Vec<Line> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut cases: Vec<Case> = lines.iter().map(Case::new).collect();
    cases.sort_by_key(|case| case.statement);
    let even: Vec<Case> = lines
        .iter()
        .filter(|line| !is_odd(line.statement))
        .map(Case::new)
        .collect();
    let (chosen, loss) = tuning::tuned(&even);
    println!("chosen on even statements, mean log q-error {loss:.4}: {chosen:?}");
    let of_default = tuning::loss(&even, RowModelConfig::default());
    println!("the default, mean log q-error of even statements {of_default:.4}");

    let models = models(chosen);
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
    for (number, (name, groups, training)) in plans.into_iter().enumerate() {
        let with_ablations = number == 0 || number == 3;
        let models = if with_ablations { &models[..] } else { &models[..2] };
        println!("\n{name}\n\n| joins never seen, by {HEADER}");
        show_plan(&cases, groups, training, models);
    }
    Ok(())
}

/// Of the model with these numbers, with those that it has by default, and without each of its parts.
fn models(chosen: RowModelConfig) -> Vec<(&'static str, RowModelConfig)> {
    let without = |change: &dyn Fn(&mut PriorVariances)| {
        let mut config = chosen;
        change(&mut config.variances);
        config
    };
    vec![
        (CHOSEN, chosen),
        ("the model, numbers it has by default", RowModelConfig::default()),
        ("neighbours only", RowModelConfig { parts: 0, ..chosen }),
        (
            "parts only",
            RowModelConfig {
                neighbours: 0,
                ..chosen
            },
        ),
        (
            "without edge x clause",
            without(&|variances| variances.edge_clause = 0.0),
        ),
        ("without edges", without(&|variances| variances.edge = 0.0)),
        ("without classes", without(&|variances| variances.class = 0.0)),
        ("without clauses", without(&|variances| variances.clause = 0.0)),
        ("with 256 parts", RowModelConfig { parts: 256, ..chosen }),
    ]
}

fn show_plan(
    cases: &[Case],
    groups: &[BTreeSet<u64>],
    training: Training,
    models: &[(&str, RowModelConfig)],
) {
    let show = |name: &str, tested: &[Tested]| println!("| {name} | {}", figures(tested, &is_new_join));
    show(
        "PostgreSQL",
        &evaluate(cases, groups, training, &is_odd, &|| PostgreSql),
    );
    show(
        "nearest neighbours (as AQO)",
        &evaluate(cases, groups, training, &is_odd, &NearestNeighbours::default),
    );
    let mut parts = Vec::new();
    for (name, config) in models {
        let tested = evaluate(cases, groups, training, &is_odd, &|| RowModel::new(*config));
        show(name, &tested);
        if *name == CHOSEN {
            parts = tested;
        }
    }
    println!("\n| {CHOSEN}, of {HEADER}");
    show_parts(&parts);
}

fn show_parts(tested: &[Tested]) {
    let part =
        |name: &str, wanted: &dyn Fn(&Tested) -> bool| println!("| {name} | {}", figures(tested, wanted));
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

//! Rewritten statements give what stock PostgreSQL gives.
//!
//! Statements over random tables run stock, then rewritten wherever a rule can, then as the text that
//! `dag_rewrite_query` gives. What must be left alone is.

mod joins;

use anyhow::Result;
use joins::Generator;
use postgres::error::SqlState;
use postgres::{Client, SimpleQueryMessage};
use ruvector_dag_tests::server;
use testkit::Cluster;

const SCHEMAS: u64 = 50;
const STATEMENTS: usize = 120;

/// Under the collation `loose` strings that differ may be equal, where the server is built with ICU; else it is just another one.
fn prepare(client: &mut Client) -> Result<()> {
    client.batch_execute("CREATE EXTENSION ruvector_dag")?;
    let made = client.batch_execute(
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    );
    match made {
        Err(error) if error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) => {
            println!("no ICU: collations are all deterministic");
            Ok(client.batch_execute("CREATE COLLATION loose FROM \"C\"")?)
        }
        made => Ok(made?),
    }
}

/// Rows as text, sorted; or the error.
fn answer(client: &mut Client, sql: &str) -> Vec<String> {
    let messages = match client.simple_query(sql) {
        Ok(messages) => messages,
        Err(error) => return vec![error.as_db_error().map_or("lost".to_owned(), ToString::to_string)],
    };
    let mut rows: Vec<String> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let fields = (0..row.len()).map(|at| row.get(at).unwrap_or("NULL"));
                Some(fields.collect::<Vec<_>>().join(","))
            }
            _ => None,
        })
        .collect();
    rows.sort_unstable();
    rows
}

fn rewritten(client: &mut Client, sql: &str) -> Result<Option<String>> {
    Ok(client
        .query_one("SELECT ruvector.dag_rewrite_query($1)", &[&sql])?
        .get(0))
}

/// What is compared.
struct Comparison {
    schemas: u64,
    generator: fn(u64) -> Generator,
    schema: fn(&mut Generator, &str) -> String,
    /// What the rule needs besides.
    setting: &'static str,
    statement: fn(&mut Generator) -> String,
    /// Statements that have another form, and their rows, at least.
    at_least: (usize, usize),
    /// Rules that each of them is rewritten by.
    rule: &'static str,
}

/// Of statements that aggregate joins.
fn of_aggregates(
    generator: fn(u64) -> Generator,
    rule: &'static str,
    at_least: (usize, usize),
) -> Comparison {
    Comparison {
        schemas: SCHEMAS,
        generator,
        statement: Generator::statement,
        ..of_subqueries(rule, at_least)
    }
}

/// With subqueries, also in statements that join and aggregate.
fn of_subqueries(rule: &'static str, at_least: (usize, usize)) -> Comparison {
    Comparison {
        schemas: SCHEMAS / 2,
        generator: |seed| Generator::with_outer_joins(seed + 1000),
        schema: Generator::schema,
        setting: "",
        statement: Generator::subquery_statement,
        at_least,
        rule,
    }
}

/// Compares stock results with those of rewritten statements, and of what `dag_rewrite_query` gives.
fn compare(comparison: &Comparison) -> Result<()> {
    let server = server()?;
    let cluster = Cluster::builder(&server).set("jit", "off").start()?;
    prepare(&mut cluster.client("postgres")?)?;
    let mut stock = cluster.client("postgres")?;
    stock.batch_execute("SET ruvector.dag_mode = off; SET statement_timeout = '20s'")?;
    let mut forced = cluster.client("postgres")?;
    forced.batch_execute("SET ruvector.dag_rewrite = force; SET statement_timeout = '20s'")?;
    let rules = match comparison.rule.starts_with("eager") {
        true => "all",
        false => comparison.rule,
    };
    forced.batch_execute(&format!(
        "SET ruvector.dag_rewrite_rules = '{rules}'; {}",
        comparison.setting
    ))?;
    let (mut changed, mut by_rule, mut rows) = (0, 0, 0);
    for seed in 0..comparison.schemas {
        let mut generator = (comparison.generator)(seed);
        let name = format!("s{seed}");
        stock.batch_execute(&(comparison.schema)(&mut generator, &name))?;
        forced.batch_execute(&format!("SET search_path = {name}, public"))?;
        for number in 0..STATEMENTS {
            let sql = (comparison.statement)(&mut generator);
            let expected = answer(&mut stock, &sql);
            let found = answer(&mut forced, &sql);
            assert_eq!(found, expected, "schema {seed}, statement {number}: {sql}");
            // What PostgreSQL does not accept has no other form either.
            if let Ok(Some(text)) = rewritten(&mut forced, &sql) {
                let found = answer(&mut stock, &text);
                assert_eq!(
                    found, expected,
                    "schema {seed}, statement {number}: {sql}\n{text}"
                );
                changed += 1;
                by_rule += usize::from(
                    text.lines()
                        .next()
                        .is_some_and(|line| line.contains(comparison.rule)),
                );
                rows += expected.len();
            }
        }
        stock.batch_execute(&format!("DROP SCHEMA {name} CASCADE"))?;
    }
    let errors: i64 = forced
        .query_one("SELECT internal_errors FROM ruvector.dag_status()", &[])?
        .get(0);
    println!(
        "{} statements, {changed} rewritten, {by_rule} by {}, {rows} rows",
        comparison.schemas as usize * STATEMENTS,
        comparison.rule
    );
    assert_eq!(errors, 0);
    let (least, least_rows) = comparison.at_least;
    assert!(
        by_rule > least && rows > least_rows,
        "{by_rule} rewritten, {rows} rows"
    );
    Ok(())
}

#[test]
fn results_are_those_of_stock_postgresql() -> Result<()> {
    compare(&of_aggregates(Generator::new, "eager_aggregation", (1000, 2000)))
}

#[test]
fn results_over_outer_joins_are_those_of_stock_postgresql() -> Result<()> {
    compare(&of_aggregates(
        |seed| Generator::with_outer_joins(!seed),
        "eager_aggregation_over_outer_joins",
        (500, 2000),
    ))
}

#[test]
fn floating_point_sums_are_those_of_stock_postgresql_where_no_order_rounds_them() -> Result<()> {
    compare(&Comparison {
        setting: "SET ruvector.dag_rewrite_float_sums = on",
        ..of_aggregates(Generator::adding_floats, "eager_aggregation", (1000, 2000))
    })
}

#[test]
fn results_without_joins_on_foreign_keys_are_those_of_stock_postgresql() -> Result<()> {
    compare(&Comparison {
        schemas: SCHEMAS * 2,
        generator: Generator::with_keys,
        schema: Generator::referring_schema,
        setting: "SET ruvector.dag_rewrite_trust_foreign_keys = on",
        statement: Generator::reference_statement,
        ..of_subqueries("foreign_key_join", (1000, 50_000))
    })
}

#[test]
fn results_of_correlated_aggregates_are_those_of_stock_postgresql() -> Result<()> {
    compare(&of_subqueries("scalar_subquery_to_join", (500, 2000)))
}

#[test]
fn results_of_correlated_exists_are_those_of_stock_postgresql() -> Result<()> {
    compare(&Comparison {
        statement: Generator::exists_statement,
        ..of_subqueries("exists_to_join", (800, 2000))
    })
}

#[test]
fn results_of_not_in_are_those_of_stock_postgresql() -> Result<()> {
    compare(&Comparison {
        schemas: SCHEMAS,
        generator: Generator::with_keys,
        statement: Generator::not_in_statement,
        ..of_subqueries("not_in_to_anti_join", (1000, 500))
    })
}

#[test]
fn results_of_all_rules_together_are_those_of_stock_postgresql() -> Result<()> {
    compare(&Comparison {
        schemas: SCHEMAS,
        ..of_subqueries("eager_aggregation", (100, 500))
    })
}

#[test]
fn results_of_disjunctions_are_those_of_stock_postgresql() -> Result<()> {
    compare(&Comparison {
        schemas: SCHEMAS,
        statement: Generator::disjunction_statement,
        ..of_subqueries("or_to_union_all", (600, 1000))
    })
}

#[test]
fn distinct_results_of_semi_joins_are_those_of_stock_postgresql() -> Result<()> {
    compare(&Comparison {
        schemas: SCHEMAS,
        statement: Generator::distinct_statement,
        ..of_subqueries("distinct_to_semi_join", (1000, 3000))
    })
}

#[test]
fn results_without_self_joins_are_those_of_stock_postgresql() -> Result<()> {
    compare(&Comparison {
        schemas: SCHEMAS,
        statement: Generator::self_join_statement,
        ..of_subqueries("redundant_self_join", (800, 20_000))
    })
}

#[test]
fn results_of_correlated_in_are_those_of_stock_postgresql() -> Result<()> {
    compare(&Comparison {
        schemas: SCHEMAS,
        statement: Generator::membership_statement,
        ..of_subqueries("in_to_semi_join", (1000, 10_000))
    })
}

#[test]
fn first_rows_of_joins_are_those_of_stock_postgresql() -> Result<()> {
    compare(&Comparison {
        schemas: SCHEMAS * 2,
        generator: Generator::with_keys,
        statement: Generator::top_n_statement,
        ..of_subqueries("top_n_below_join", (500, 2500))
    })
}

//! Results with the extension on equal those with it off, over 2,000 generated statements.
//!
//! Statements are built at random (fixed seed) from everything the planner treats differently; each runs off, then on
//! until it was stock, corrected and settled. Results are deterministic by construction: integers, no LIMIT without a
//! complete ORDER BY.

mod generator;

use anyhow::{Context, Result};
use generator::Generator;
use postgres::{Client, SimpleQueryMessage};
use ruvector_dag_tests::{load, server};
use testkit::Cluster;

const STATEMENTS: usize = 2000;
/// Statements run once with rewrites forced.
const FORCED: usize = 5000;
/// Runs with the extension on: two of stock, then corrected ones.
const RUNS: usize = 4;

#[test]
fn results_are_those_of_stock_postgresql() -> Result<()> {
    let server = server()?;
    let cluster = Cluster::builder(&server)
        .set("ruvector.dag_min_duration", "0")
        .set("ruvector.dag_explore_budget", "1")
        .start()?;
    load(&mut cluster.client("postgres")?, generator::TABLES)?;
    cluster
        .client("postgres")?
        .batch_execute("CREATE EXTENSION ruvector_dag; ANALYZE")?;
    let mut stock = cluster.client("postgres")?;
    stock.batch_execute("SET ruvector.dag_mode = off")?;
    let mut learned = cluster.client("postgres")?;
    // What is known is used where nothing was measured, too.
    learned.batch_execute("SET ruvector.dag_first_sight = rows")?;
    let mut generator = Generator::new(20_140_911);
    let mut rows = 0;
    for number in 0..STATEMENTS {
        let sql = generator.statement();
        let expected = answer(&mut stock, &sql)?;
        rows += expected.len();
        for run in 0..RUNS {
            let found = answer(&mut learned, &sql)
                .with_context(|| format!("statement {number}, run {run}: {sql}\n{}", last_words(&cluster)))?;
            assert_eq!(found, expected, "statement {number}, run {run}: {sql}");
        }
    }
    let status = "SELECT internal_errors, corrections, corrections_applied FROM ruvector.dag_status()";
    let status = learned.query_one(status, &[])?;
    let (errors, corrections, applied): (i64, i64, i64) = (status.get(0), status.get(1), status.get(2));
    println!(
        "{STATEMENTS} statements, {rows} rows, {corrections} relations learned, {applied} estimates corrected"
    );
    assert_eq!(errors, 0);
    assert!(rows > STATEMENTS, "statements should give rows");
    assert!(
        corrections > 500 && applied > 500,
        "{corrections} learned, {applied} applied"
    );
    Ok(())
}

#[test]
fn results_are_those_of_stock_postgresql_where_rewrites_are_forced() -> Result<()> {
    let server = server()?;
    let cluster = Cluster::builder(&server)
        .set("ruvector.dag_min_duration", "0")
        .start()?;
    load(&mut cluster.client("postgres")?, generator::TABLES)?;
    cluster
        .client("postgres")?
        .batch_execute("CREATE EXTENSION ruvector_dag; ANALYZE")?;
    let mut stock = cluster.client("postgres")?;
    stock.batch_execute("SET ruvector.dag_mode = off")?;
    let mut forced = cluster.client("postgres")?;
    forced.batch_execute("SET ruvector.dag_rewrite = force")?;
    let mut generator = Generator::new(19_950_911);
    for number in 0..FORCED {
        let sql = generator.statement();
        let expected = answer(&mut stock, &sql)?;
        assert_eq!(answer(&mut forced, &sql)?, expected, "statement {number}: {sql}");
    }
    let status = "SELECT internal_errors FROM ruvector.dag_status()";
    assert_eq!(forced.query_one(status, &[])?.get::<_, i64>(0), 0);
    let rewritten = "SELECT rule, executions FROM ruvector.dag_rewrite_savings() WHERE executions > 0";
    let rewritten: Vec<(String, i64)> = forced
        .query(rewritten, &[])?
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    println!("{FORCED} statements, executions by rule: {rewritten:?}");
    assert_eq!(rewritten.len(), 10);
    let least = rewritten.iter().map(|&(_, executions)| executions).min();
    assert!(least >= Some(20));
    let of_rule = |rule| {
        rewritten
            .iter()
            .find(|(name, _)| name == rule)
            .map(|&(_, executions)| executions)
    };
    assert!(of_rule("eager_aggregation") > Some(500));
    Ok(())
}

/// The end of the server's log.
fn last_words(cluster: &Cluster<'_>) -> String {
    let log = cluster.log().unwrap_or_default();
    let mut lines: Vec<&str> = log.lines().rev().take(30).collect();
    lines.reverse();
    lines.join("\n")
}

/// Rows as text, sorted; what changes data is rolled back. The same error is the same answer.
fn answer(client: &mut Client, sql: &str) -> Result<Vec<String>> {
    client.batch_execute("BEGIN")?;
    let messages = client.simple_query(sql);
    client.batch_execute("ROLLBACK")?;
    let messages = messages.map_err(|error| anyhow::anyhow!("{error}: {sql}"))?;
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
    Ok(rows)
}

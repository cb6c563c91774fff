//! Rewritten statements give what stock PostgreSQL gives.
//!
//! Statements over random tables run stock, then rewritten wherever a rule can, then as the text that
//! `dag_rewrite_query` gives. What must be left alone is.

mod joins;

use anyhow::Result;
use joins::Generator;
use postgres::{Client, SimpleQueryMessage};
use ruvector_dag_tests::server;
use testkit::Cluster;

const SCHEMAS: u64 = 50;
const STATEMENTS: usize = 120;
const PREPARE: &str = "CREATE EXTENSION ruvector_dag;
    CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";

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

#[test]
fn results_are_those_of_stock_postgresql() -> Result<()> {
    let server = server()?;
    let cluster = Cluster::builder(&server).set("jit", "off").start()?;
    cluster.client("postgres")?.batch_execute(PREPARE)?;
    let mut stock = cluster.client("postgres")?;
    stock.batch_execute("SET ruvector.dag_mode = off; SET statement_timeout = '20s'")?;
    let mut forced = cluster.client("postgres")?;
    forced.batch_execute("SET ruvector.dag_rewrite = force; SET statement_timeout = '20s'")?;
    let (mut changed, mut rows) = (0, 0);
    for seed in 0..SCHEMAS {
        let mut generator = Generator::new(seed);
        let name = format!("s{seed}");
        stock.batch_execute(&generator.schema(&name))?;
        forced.batch_execute(&format!("SET search_path = {name}, public"))?;
        for number in 0..STATEMENTS {
            let sql = generator.statement();
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
                rows += expected.len();
            }
        }
        stock.batch_execute(&format!("DROP SCHEMA {name} CASCADE"))?;
    }
    let errors: i64 = forced
        .query_one("SELECT internal_errors FROM ruvector.dag_status()", &[])?
        .get(0);
    println!(
        "{} statements, {changed} rewritten, {rows} rows",
        SCHEMAS as usize * STATEMENTS
    );
    assert_eq!(errors, 0);
    assert!(changed > 1000 && rows > 2000, "{changed} rewritten, {rows} rows");
    Ok(())
}

//! Advice on the planner's cost settings, on a real server.

use anyhow::{Context, Result};
use ruvector_dag_tests::{learning, load, run_aggregates, server};

/// Rows with the same value are all over the table; only one of the two columns has an index.
const DATA: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE t (id int, indexed int, plain int, filler text);
    INSERT INTO t SELECT i, i % 100, i / 7 % 100, repeat('x', 50) FROM generate_series(1, 200000) AS i;
    CREATE INDEX ON t (indexed);
    ANALYZE t";

#[test]
fn pages_that_are_said_to_be_dear_and_lie_in_memory_are_found_to_be_cheap() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server)
        .set("random_page_cost", "400")
        .set("ruvector.dag_mode", "observe")
        .set("max_parallel_workers_per_gather", "0")
        .set("jit", "off")
        .start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, DATA)?;
    run_aggregates(&mut client, "plain")?;
    client.batch_execute("SET enable_seqscan = off; SET enable_bitmapscan = off")?;
    run_aggregates(&mut client, "indexed")?;
    let advice = "SELECT current_value, suggested_value, lower, upper, plans, statements, implementation_sql
        FROM ruvector.dag_planner_costs() WHERE setting = 'random_page_cost'";
    // The worker may be writing some of them.
    let row = (0..100).find_map(|_| {
        let row = client
            .batch_execute("SELECT ruvector.dag_learn_now(); SELECT pg_sleep(0.1)")
            .and_then(|()| client.query_one(advice, &[]));
        row.map(|row| (row.get::<_, i64>(4) >= 72).then_some(row))
            .transpose()
    });
    let row = row.context("executions are missing")??;
    let (current, suggested): (f64, Option<f64>) = (row.get(0), row.get(1));
    let (lower, upper): (Option<f64>, Option<f64>) = (row.get(2), row.get(3));
    let told = format!("{current} to {suggested:?}, between {lower:?} and {upper:?}");
    println!("{told}");
    let (plans, statements): (i64, i64) = (row.get(4), row.get(5));
    assert_eq!((current, plans, statements), (400.0, 72, 24));
    assert!(upper.is_some_and(|upper| upper < 100.0), "{told}");
    let suggested = suggested.context(told)?;
    assert!((1.0..=40.0).contains(&suggested), "{suggested}");

    // It changed nothing. Once its advice is followed, what ran before does not count.
    let count = "SELECT count(*) FROM pg_settings WHERE name = 'random_page_cost' AND reset_val::float8 = $1";
    assert_eq!(client.query_one(count, &[&400.0])?.get::<_, i64>(0), 1);
    let sql: String = row.get(6);
    for statement in sql.split_inclusive(';') {
        client.simple_query(statement)?;
    }
    for attempt in 0.. {
        let row = client.query_one(advice, &[])?;
        if row.get::<_, f64>(0) == suggested {
            assert_eq!((row.get::<_, Option<f64>>(1), row.get::<_, i64>(4)), (None, 0));
            break;
        }
        anyhow::ensure!(attempt < 100, "the settings are not read again");
        client.batch_execute("SELECT pg_sleep(0.1)")?;
    }
    Ok(())
}

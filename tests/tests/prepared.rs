//! Prepared statements on a real cluster: where PostgreSQL takes a generic plan that is slower, measured times choose custom ones.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{learning, load, server};

/// Half of the rows have one value, of which a plan for any value knows nothing: it expects a row or two.
const DATA: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE t (a int, k int);
    INSERT INTO t SELECT CASE WHEN i % 2 = 0 THEN 0 ELSE i END, (i::bigint * 7919) % 100000 FROM generate_series(1, 100000) AS i;
    CREATE TABLE u (k int PRIMARY KEY, x int);
    INSERT INTO u SELECT (i::bigint * 104729) % 100000, i FROM generate_series(0, 99999) AS i;
    CREATE INDEX ON t (a);
    ANALYZE t, u";

/// Executes the statement as often with the frequent value; returns how many plans were made for it and for any value.
fn execute(client: &mut Client, times: usize) -> Result<(i64, i64)> {
    client
        .batch_execute("PREPARE p (int) AS SELECT count(*), sum(x) FROM t JOIN u USING (k) WHERE a = $1")?;
    for _ in 0..times {
        client.batch_execute("EXECUTE p (0)")?;
    }
    let row = client.query_one(
        "SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE name = 'p'",
        &[],
    )?;
    Ok((row.get(0), row.get(1)))
}

#[test]
fn a_generic_plan_measured_to_be_slower_is_not_taken_by_the_next_session() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server)
        .set("ruvector.dag_rewrite", "off")
        .set("ruvector.dag_explore_budget", "0")
        .set("ruvector.dag_first_sight", "off")
        .set("max_parallel_workers_per_gather", "0")
        .set("jit", "off")
        .start()?;
    load(&mut cluster.client("postgres")?, DATA)?;
    let stock = execute(&mut cluster.client("postgres")?, 20)?;
    assert_eq!(stock, (5, 15), "PostgreSQL takes the generic plan");
    assert_eq!(execute(&mut cluster.client("postgres")?, 20)?, (20, 0));
    let mut client = cluster.client("postgres")?;
    client.batch_execute("SET ruvector.dag_plan_kinds = off")?;
    assert_eq!(execute(&mut client, 20)?, stock);
    Ok(())
}

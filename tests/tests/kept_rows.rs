//! A plan that was found with learned row counts stays found, whatever is learned or forgotten of the counts.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{FLUSH, answer, count, server, trying};
use testkit::cluster::wait_for;

/// Five columns say the same, so that PostgreSQL expects few of the rows, and looks each up in an index.
const MISLEADING: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE t (id int PRIMARY KEY, a int, b int, c int, d int, e int);
    INSERT INTO t SELECT i, i % 5, i % 5, i % 5, i % 5, i % 5 FROM generate_series(1, 200000) AS i;
    CREATE TABLE u (id int PRIMARY KEY, t_id int, pad text);
    INSERT INTO u SELECT i, 1 + hashint4(i) & 131071, repeat('x', 40) FROM generate_series(1, 100000) AS i;
    CREATE INDEX ON u (t_id);
    ANALYZE t, u";

const STATEMENT: &str = "SELECT count(*), count(u.pad) FROM t JOIN u ON u.t_id = t.id WHERE a = 3 AND b = 3 AND c = 3 AND d = 3 AND e = 3";

/// The plan; how sure the decision is of itself is left out.
fn plan(client: &mut Client) -> String {
    answer(client, &format!("EXPLAIN (COSTS OFF) {STATEMENT}"))
        .join("\n")
        .replace("(exploring)", "(applied)")
}

#[test]
fn a_plan_made_with_learned_counts_outlives_them() -> Result<()> {
    let server = server()?;
    let cluster = trying(&server)
        .set("ruvector.dag_rewrite", "off")
        .set("ruvector.dag_hint_sets", "off")
        .set("ruvector.dag_row_model", "off")
        .set("enable_mergejoin", "off")
        .start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(MISLEADING)?;
    client.batch_execute(FLUSH)?;
    assert!(plan(&mut client).contains("Nested Loop"), "{}", plan(&mut client));
    for _ in 0..5 {
        client.simple_query(STATEMENT)?;
    }
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let applied = "SELECT count(*) FROM ruvector.dag_decisions() WHERE state IN ('applied', 'exploring') AND decision = 'corrected row counts'";
    assert_eq!(
        count(&mut client, applied)?,
        1,
        "{}",
        answer(&mut client, "SELECT * FROM ruvector.dag_decisions()").join("\n")
    );
    let found = plan(&mut client);
    assert!(
        found.contains("Hash Join") && found.contains("row estimates corrected"),
        "{found}"
    );
    client.batch_execute("SET ruvector.dag_mode = off; DELETE FROM ruvector.dag_corrections")?;
    drop(client);
    cluster.restart("fast")?;
    let mut client = cluster.client("postgres")?;
    assert_eq!(
        count(&mut client, "SELECT count(*) FROM ruvector.dag_corrections")?,
        0
    );
    wait_for("the worker to load", || {
        Ok((plan(&mut client) == found).then_some(()))
    })?;
    client.simple_query(STATEMENT)?;
    assert_eq!(plan(&mut client), found);
    // What is kept is of these data.
    client.batch_execute("UPDATE t SET c = c")?;
    client.batch_execute(FLUSH)?;
    wait_for("the counts to fade", || {
        Ok((!plan(&mut client).contains("corrected")).then_some(()))
    })
}

//! Statements whose constants are always new, on a real cluster: what was proved faster with some serves the others.

use anyhow::{Context, Result};
use postgres::Client;
use ruvector_dag_tests::{answer, load, server, trying};
use testkit::cluster::wait_for;
use testkit::{Cluster, Server};

/// A table of which every statement wants a thousandth, under settings that make PostgreSQL read all of it.
const DATA: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE t (id int, a int, x int);
    INSERT INTO t SELECT i, i % 1000, i % 10 FROM generate_series(1, 200000) AS i;
    CREATE INDEX ON t (a);
    ANALYZE t";

fn statement(constant: usize) -> String {
    format!("SELECT count(*), sum(x) FROM t WHERE a = {constant}")
}

fn cluster(server: &Server) -> Result<Cluster<'_>> {
    let cluster = trying(server)
        .set("ruvector.dag_rewrite", "off")
        .set("random_page_cost", "100000")
        .start()?;
    load(&mut cluster.client("postgres")?, DATA)?;
    Ok(cluster)
}

fn state(client: &mut Client) -> Result<Option<(String, String, f64)>> {
    let sql = "SELECT state, decision, saved_ms FROM ruvector.dag_plan_regions() ORDER BY calls DESC LIMIT 1";
    let row = client.query_opt(sql, &[])?;
    Ok(row.map(|row| (row.get(0), row.get(1), row.get(2))))
}

/// Runs the statement with constants never seen until their region's decision is applied; returns how many it took.
fn until_applied(client: &mut Client, stock: &mut Client) -> Result<usize> {
    for constant in 0..80 {
        let sql = statement(constant);
        assert_eq!(answer(client, &sql), answer(stock, &sql), "{sql}");
        if state(client)?.is_some_and(|(state, ..)| state == "applied") {
            return Ok(constant + 1);
        }
    }
    let all = answer(client, "SELECT * FROM ruvector.dag_plan_regions()").join("\n");
    let plan = answer(client, &format!("EXPLAIN {}", statement(1))).join("\n");
    anyhow::bail!("no decision is applied: {all}\n{plan}")
}

#[test]
fn constants_never_seen_take_the_decision_proved_with_others_and_keep_it_over_a_restart() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    let mut stock = cluster.client("postgres")?;
    stock.batch_execute("SET ruvector.dag_mode = off")?;
    until_applied(&mut client, &mut stock)?;
    let explained = |client: &mut Client, constant| {
        answer(client, &format!("EXPLAIN {}", statement(constant))).join("\n")
    };
    let (_, decision, _) = state(&mut client)?.context("a region")?;
    assert_ne!(decision, "stock plan");
    let plans: Vec<String> = (80..84)
        .map(|constant| explained(&mut client, constant))
        .collect();
    let is_told = |plan: &String| plan.contains("(applied to other constants, too)");
    // One execution in sixteen follows the stock plan.
    assert!(plans.iter().any(is_told), "{plans:?}");
    client.batch_execute("SET ruvector.dag_plan_regions = off")?;
    assert!(!is_told(&explained(&mut client, 84)));
    client.batch_execute("RESET ruvector.dag_plan_regions; SELECT ruvector.dag_learn_now()")?;
    cluster.restart("fast")?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("SELECT ruvector.dag_status()")?;
    wait_for("what was learned to be loaded", || {
        Ok(state(&mut client)?.filter(|(state, ..)| state == "applied"))
    })?;
    for constant in 85..95 {
        let sql = statement(constant);
        let mut stock = cluster.client("postgres")?;
        stock.batch_execute("SET ruvector.dag_mode = off")?;
        assert_eq!(answer(&mut client, &sql), answer(&mut stock, &sql));
    }
    assert!(state(&mut client)?.is_some_and(|(.., saved_ms)| saved_ms > 0.0));
    client.batch_execute("SELECT ruvector.dag_reset_learning()")?;
    assert_eq!(state(&mut client)?, None);
    Ok(())
}

#[test]
fn identifiers_of_others_are_hidden() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("CREATE ROLE other; GRANT pg_read_all_stats TO other")?;
    client.simple_query(&statement(1))?;
    let seen = "SELECT queryid IS NOT NULL AND plan_shape IS NOT NULL FROM ruvector.dag_plan_regions() WHERE calls > 0 LIMIT 1";
    let sees = |client: &mut Client, role: &str| -> Result<bool> {
        client.batch_execute(&format!("SET ROLE {role}"))?;
        let sees = client.query_one(seen, &[])?.get(0);
        client.batch_execute("RESET ROLE")?;
        Ok(sees)
    };
    assert!(sees(&mut client, "other")?);
    client.batch_execute("REVOKE pg_read_all_stats FROM other")?;
    assert!(!sees(&mut client, "other")?);
    Ok(())
}

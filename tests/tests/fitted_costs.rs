//! Planner costs fitted to the server, set for single statements: on a cluster that is told pages at random are dear.

use anyhow::{Context, Result};
use postgres::Client;
use ruvector_dag_tests::{SETTINGS, answer, count, load, run_aggregates, server, trying};
use testkit::cluster::wait_for;
use testkit::{Cluster, Server};

/// Rows with the same value of a column are all over the table. `ceiling` runs while a statement is planned.
const DATA: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE t (id int, indexed int, plain int, filler text);
    INSERT INTO t SELECT i, i % 100, i / 7 % 100, repeat('x', 50) FROM generate_series(1, 200000) AS i;
    CREATE INDEX ON t (indexed);
    CREATE TABLE few AS SELECT i * 3001 % 200000 + 1 AS id FROM generate_series(1, 40) AS i;
    CREATE TABLE switch (is_broken bool, is_slow bool);
    INSERT INTO switch VALUES (false, false);
    CREATE FUNCTION ceiling() RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        'BEGIN
            IF (SELECT is_broken FROM switch) THEN RAISE EXCEPTION ''broken''; END IF;
            IF (SELECT is_slow FROM switch) THEN PERFORM pg_sleep(60); END IF;
            RETURN 1000;
         END';
    ANALYZE t, few";

/// Few rows of many by an index: stock PostgreSQL reads the table, since forty lookups are said to cost more.
fn lookups(column: &str) -> String {
    format!("SELECT few.id, t.{column} FROM few JOIN t ON t.id = few.id WHERE t.plain < ceiling() ORDER BY 1")
}

/// A cluster that knows what reads in order and at random take.
fn fitted(server: &Server) -> Result<(Cluster<'_>, Client)> {
    let cluster = trying(server)
        .set("random_page_cost", "400")
        .set("ruvector.dag_hint_sets", "off")
        .set("ruvector.dag_rewrite", "off")
        .set("ruvector.dag_plan_regions", "off")
        .start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, DATA)?;
    client.batch_execute("SET ruvector.dag_mode = observe")?;
    run_aggregates(&mut client, "plain")?;
    client.batch_execute("SET enable_seqscan = off; SET enable_bitmapscan = off")?;
    run_aggregates(&mut client, "indexed")?;
    client.batch_execute("RESET enable_seqscan; RESET enable_bitmapscan")?;
    wait_for("all executions to be written", || {
        client.batch_execute("SELECT ruvector.dag_learn_now()")?;
        let clear = "SELECT count(*) FROM ruvector.dag_planner_costs() \
                     WHERE setting = 'random_page_cost' AND suggested_value < 40 AND plans >= 72";
        Ok((count(&mut client, clear)? == 1).then_some(()))
    })?;
    client.batch_execute("RESET ruvector.dag_mode; CREATE INDEX ON t (id)")?;
    Ok((cluster, client))
}

fn explained(client: &mut Client, sql: &str) -> String {
    answer(client, &format!("EXPLAIN (COSTS OFF) {sql}")).join("\n")
}

/// Runs a statement as often as users' trials need.
fn decide(client: &mut Client, sql: &str) -> Result<String> {
    (0..6).try_for_each(|_| client.simple_query(sql).map(drop))?;
    Ok(explained(client, sql))
}

/// The fitted costs that a plan says it was made with.
fn words(plan: &str) -> Option<&str> {
    let (_, from) = plan.split_once("random_page_cost fitted to ")?;
    from.split([',', ' ']).next()
}

fn decisions(client: &mut Client) -> String {
    answer(client, "SELECT * FROM ruvector.dag_decisions()").join("\n")
}

#[test]
fn a_statement_that_dear_pages_slow_down_is_planned_with_fitted_costs_for_itself_alone() -> Result<()> {
    let server = server()?;
    let (cluster, mut client) = fitted(&server)?;
    let sql = lookups("plain");
    let stock = explained(&mut client, &sql);
    assert!(stock.contains("Seq Scan on t"), "{stock}");
    let mut plain = cluster.client("postgres")?;
    plain.batch_execute("SET ruvector.neural_dag_enabled = off")?;
    let (expected, settings) = (answer(&mut plain, &sql), answer(&mut client, SETTINGS));
    let plan = decide(&mut client, &sql)?;
    let cost = words(&plan)
        .with_context(|| format!("{plan}\n{}", decisions(&mut client)))?
        .to_owned();
    assert!(
        plan.contains("Index") && !plan.contains("Seq Scan on t"),
        "{plan}"
    );
    assert_eq!(answer(&mut client, &sql), expected);
    assert_eq!(answer(&mut client, SETTINGS), settings);
    let faster = "SELECT count(*) FROM ruvector.dag_decisions() WHERE state IN ('applied', 'exploring') \
                  AND decision LIKE '%random_page_cost fitted to%' AND current_ms < 0.5 * baseline_ms";
    assert_eq!(count(&mut client, faster)?, 1, "{}", decisions(&mut client));

    is_shown(&mut client, &mut plain, &sql, &cost)?;
    errors_leave_the_settings(&mut client, &sql)?;
    assert_eq!(words(&explained(&mut client, &sql)), Some(cost.as_str()));

    // Off tries nothing of the kind.
    client.batch_execute("SET ruvector.dag_statement_settings = off")?;
    let other = lookups("indexed");
    let plan = decide(&mut client, &other)?;
    assert!(plan.contains("Seq Scan on t") && words(&plan).is_none(), "{plan}");

    // What was measured is kept, and so is what fits.
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    drop((client, plain));
    cluster.restart("fast")?;
    let mut client = cluster.client("postgres")?;
    wait_for("the worker to load", || {
        let plan = explained(&mut client, &sql);
        Ok((words(&plan) == Some(cost.as_str()) && plan.contains("Index")).then_some(()))
    })?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let plan = decide(&mut client, &lookups("filler"))?;
    assert!(words(&plan).is_some(), "{plan}\n{}", decisions(&mut client));
    Ok(())
}

/// As settings, which give the plan without the extension.
fn is_shown(client: &mut Client, plain: &mut Client, sql: &str, cost: &str) -> Result<()> {
    let told: String = client
        .query_one("SELECT ruvector.dag_explain($1)", &[&sql])?
        .get(0);
    assert_eq!(words(&told), Some(cost), "{told}");
    let rewritten: String = client
        .query_one("SELECT ruvector.dag_rewrite_query($1)", &[&sql])?
        .get(0);
    assert!(
        rewritten.contains(&format!("Set(random_page_cost {cost})")),
        "{rewritten}"
    );
    let advice = "SELECT count(*) FROM ruvector.dag_suggest_optimizations($1) \
                  WHERE category = 'join_order' AND implementation_sql LIKE '%random_page_cost%'";
    assert_eq!(client.query_one(advice, &[&sql])?.get::<_, i64>(0), 1);
    let settings = rewritten.lines().filter_map(|line| line.strip_prefix("-- "));
    let settings = settings.filter(|line| line.starts_with("SET LOCAL"));
    plain.batch_execute(&format!("BEGIN; {}", settings.collect::<Vec<_>>().join(" ")))?;
    let plan = explained(plain, sql);
    assert!(
        plan.contains("Index") && !plan.contains("Seq Scan on t"),
        "{plan}"
    );
    plain.batch_execute("ROLLBACK")?;
    Ok(())
}

/// Planning with fitted costs fails, or is cancelled, at the top and inside a transaction that goes on.
fn errors_leave_the_settings(client: &mut Client, sql: &str) -> Result<()> {
    let settings = answer(client, SETTINGS);
    for (switch, message) in [("is_broken", "broken"), ("is_slow", "statement timeout")] {
        client.batch_execute(&format!("UPDATE switch SET {switch} = true"))?;
        let failed = |client: &mut Client| {
            answer(client, "SET statement_timeout = '300ms'");
            let failed = answer(client, sql).join("\n");
            assert!(failed.contains(message), "{failed}");
        };
        failed(client);
        client.batch_execute("RESET statement_timeout")?;
        assert_eq!(answer(client, SETTINGS), settings, "{switch}");
        client.batch_execute("BEGIN; SAVEPOINT s")?;
        failed(client);
        client.batch_execute("ROLLBACK TO s")?;
        assert_eq!(answer(client, SETTINGS), settings, "{switch}");
        client.batch_execute("ROLLBACK")?;
        client.batch_execute(&format!("UPDATE switch SET {switch} = false"))?;
    }
    Ok(())
}

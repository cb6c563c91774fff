//! Decisions on real clusters: applied, shown as advice, kept by restarts and dumps, and given up when they turn slow.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{SETTINGS, answer, count, load, restore_dump, server, trying};
use testkit::cluster::wait_for;
use testkit::{Cluster, Server};

/// PostgreSQL reads all of a table, since it is told that an index costs a thousand times more than it does.
const MISLED: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE big (id int PRIMARY KEY, k int, pad text);
    INSERT INTO big SELECT i, i, repeat('x', 60) FROM generate_series(1, 200000) AS i;
    CREATE INDEX big_k ON big (k);
    CREATE TABLE slow (is_slow bool);
    INSERT INTO slow VALUES (false);
    CREATE FUNCTION passes(id int) RETURNS bool STABLE COST 1 LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(0.1) FROM slow WHERE is_slow; RETURN true; END';
    ANALYZE big";

fn misled(server: &Server) -> Result<Cluster<'_>> {
    let cluster = trying(server)
        .set("random_page_cost", "100000")
        .set("cpu_index_tuple_cost", "100")
        .set("ruvector.dag_plan_regions", "off")
        .start()?;
    load(&mut cluster.client("postgres")?, MISLED)?;
    Ok(cluster)
}

fn lookup(from: i32) -> String {
    format!(
        "SELECT count(*) FROM big WHERE k BETWEEN {from} AND {} AND passes(id)",
        from + 9
    )
}

fn decisions(client: &mut Client) -> Vec<String> {
    answer(
        client,
        "SELECT calls, state, decision, baseline_ms, current_ms, plans_tried FROM ruvector.dag_decisions() ORDER BY calls DESC",
    )
}

fn is_index_used(client: &mut Client, sql: &str) -> bool {
    answer(client, &format!("EXPLAIN (COSTS OFF) {sql}"))
        .join("\n")
        .contains("Index")
}

/// Measures stock and tries everything else.
fn decide(client: &mut Client, statements: &[String]) -> Result<()> {
    for sql in statements {
        (0..2).try_for_each(|_| client.simple_query(sql).map(drop))?;
    }
    client.simple_query("SELECT * FROM ruvector.dag_dream('20 s')")?;
    for sql in statements {
        assert!(is_index_used(client, sql), "{sql}: {:?}", decisions(client));
    }
    Ok(())
}

/// Executions that count of the plan that was found.
fn runs_of_found(client: &mut Client) -> Result<i64> {
    client.simple_query("SELECT ruvector.dag_learn_now()")?;
    count(
        client,
        "SELECT max(runs) FROM ruvector.dag_plan_shapes WHERE hints <> 0 OR cutoff <> 0",
    )
}

#[test]
fn a_plan_is_measured_anew_when_a_fifth_of_its_rows_changed() -> Result<()> {
    let server = server()?;
    let cluster = misled(&server)?;
    let mut client = cluster.client("postgres")?;
    let sql = lookup(100);
    decide(&mut client, std::slice::from_ref(&sql))?;
    let change = |client: &mut Client, rows: i32| {
        client.batch_execute(&format!(
            "UPDATE big SET pad = 'changed' WHERE id <= {rows}; SELECT pg_stat_force_next_flush()"
        ))
    };
    let run = |client: &mut Client| (0..3).try_for_each(|_| client.simple_query(&sql).map(drop));
    run(&mut client)?;
    change(&mut client, 10_000)?;
    // How often tables changed is asked for once a while and session.
    let mut client = cluster.client("postgres")?;
    run(&mut client)?;
    let before = runs_of_found(&mut client)?;
    assert!(before > 3, "{before}: {:?}", decisions(&mut client));
    change(&mut client, 60_000)?;
    let mut client = cluster.client("postgres")?;
    client.simple_query(&sql)?;
    assert_eq!(runs_of_found(&mut client)?, 1, "{:?}", decisions(&mut client));
    assert!(is_index_used(&mut client, &sql), "{:?}", decisions(&mut client));
    // The stock plan gets a little more time than that, and nobody waits for its end.
    client.simple_query(&sql)?;
    assert_eq!(runs_of_found(&mut client)?, 2, "{:?}", decisions(&mut client));
    let given_up = "SELECT count(*) FROM ruvector.dag_plan_shapes AS p JOIN ruvector.dag_statement_classes USING (class) \
                    WHERE hints = 0 AND cutoff = 0 AND p.runs = 0 AND cut_off_runs = 1 \
                    AND EXISTS (SELECT FROM ruvector.dag_plan_shapes AS o WHERE o.class = p.class AND o.hints <> 0)";
    assert_eq!(count(&mut client, given_up)?, 1, "{:?}", decisions(&mut client));
    Ok(())
}

#[test]
fn a_decision_is_applied_shown_as_advice_kept_by_restart_and_dump_and_survives_ddl() -> Result<()> {
    let server = server()?;
    let cluster = misled(&server)?;
    let mut client = cluster.client("postgres")?;
    let sql = lookup(100);
    assert!(!is_index_used(&mut client, &sql));
    decide(&mut client, std::slice::from_ref(&sql))?;
    let settings = answer(&mut client, SETTINGS);
    assert_eq!(answer(&mut client, &sql), ["10", "1 rows"]);
    assert_eq!(answer(&mut client, SETTINGS), settings);
    let applied = "SELECT count(*) FROM ruvector.dag_decisions() \
                   WHERE state = 'applied' AND decision LIKE '%no sequential scan%' AND current_ms < baseline_ms";
    assert_eq!(count(&mut client, applied)?, 1, "{:?}", decisions(&mut client));
    client.batch_execute("SET ruvector.dag_mode = advise")?;
    assert!(!is_index_used(&mut client, &sql));
    assert_eq!(count(&mut client, applied)?, 1);
    client.batch_execute("RESET ruvector.dag_mode; SELECT ruvector.dag_learn_now()")?;
    let stored = "SELECT (SELECT array_agg(p ORDER BY p) FROM ruvector.dag_plan_shapes AS p WHERE hints <> 0), \
                  (SELECT array_agg(part ORDER BY part) FROM ruvector.dag_state)";
    client.batch_execute("SET ruvector.dag_mode = off")?;
    restore_dump(&cluster)?;
    let before = answer(&mut client, stored);
    let mut restored = cluster.client("restored")?;
    restored.batch_execute("SET ruvector.dag_mode = off")?;
    assert_eq!(answer(&mut restored, stored), before);
    drop((client, restored));
    cluster.restart("fast")?;
    let mut client = cluster.client("postgres")?;
    wait_for("the worker to load", || {
        Ok(is_index_used(&mut client, &sql).then_some(()))
    })?;
    // Statistics, columns and indexes change under a decision.
    let changes = [
        "ANALYZE big",
        "ALTER TABLE big ADD COLUMN more int",
        "ALTER TABLE big ALTER COLUMN pad TYPE varchar",
        "REINDEX TABLE big",
        "DROP INDEX big_k",
        "ALTER TABLE big DROP CONSTRAINT big_pkey",
        "CREATE INDEX big_k ON big (k)",
    ];
    client.batch_execute(&format!("PREPARE p AS {sql}"))?;
    for change in changes {
        client.batch_execute(change)?;
        for _ in 0..4 {
            assert_eq!(answer(&mut client, &sql), ["10", "1 rows"], "{change}");
            assert_eq!(answer(&mut client, "EXECUTE p"), ["10", "1 rows"], "{change}");
        }
    }
    Ok(())
}

#[test]
fn after_a_change_of_the_data_stock_is_back_within_two_executions_and_it_learns_anew() -> Result<()> {
    let server = server()?;
    let cluster = misled(&server)?;
    let mut client = cluster.client("postgres")?;
    let sql = lookup(500);
    decide(&mut client, std::slice::from_ref(&sql))?;
    for _ in 0..3 {
        client.simple_query(&sql)?;
    }
    client.batch_execute("UPDATE slow SET is_slow = true")?;
    for _ in 0..2 {
        assert!(is_index_used(&mut client, &sql));
        client.simple_query(&sql)?;
    }
    assert!(!is_index_used(&mut client, &sql), "{:?}", decisions(&mut client));
    client.batch_execute("UPDATE slow SET is_slow = false")?;
    decide(&mut client, &[sql])
}

#[test]
fn decisions_that_turn_slow_together_are_suspended_with_a_warning() -> Result<()> {
    let server = server()?;
    let cluster = misled(&server)?;
    let mut client = cluster.client("postgres")?;
    let statements: Vec<String> = (1..8).map(|n| lookup(1000 * n)).collect();
    decide(&mut client, &statements)?;
    for sql in &statements {
        (0..4).try_for_each(|_| client.simple_query(sql).map(drop))?;
    }
    client.batch_execute("UPDATE slow SET is_slow = true")?;
    for sql in &statements {
        client.simple_query(sql)?;
    }
    assert!(
        cluster
            .log()?
            .contains("WARNING:  ruvector_dag: applied decisions were slower"),
        "{:?}",
        decisions(&mut client)
    );
    for sql in &statements {
        assert!(!is_index_used(&mut client, sql), "{sql}");
    }
    Ok(())
}

#[test]
fn a_decision_for_one_table_is_not_taken_for_another_of_the_same_name() -> Result<()> {
    let server = server()?;
    let cluster = misled(&server)?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(
        "CREATE SCHEMA other; CREATE TABLE other.big AS TABLE big; CREATE INDEX ON other.big (k); ANALYZE other.big",
    )?;
    let sql = lookup(100);
    decide(&mut client, std::slice::from_ref(&sql))?;
    // From 18 on both statements have one query identifier.
    client.batch_execute("SET search_path = other, public")?;
    assert!(!is_index_used(&mut client, &sql), "{:?}", decisions(&mut client));
    client.batch_execute("RESET search_path")?;
    assert!(is_index_used(&mut client, &sql));
    Ok(())
}

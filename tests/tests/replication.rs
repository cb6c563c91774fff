//! Standbys, logical replication, settings that are changed while the server runs.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{TABLE, WRITTEN, count, learn, learning, load, measure, server};
use testkit::cluster::wait_for;
use testkit::{Cluster, Server};

const STATEMENT: &str = "SELECT count(*) FROM t WHERE a = 3 AND b = 3";
/// Another one over the same relation, which never runs.
const UNSEEN: &str = "SELECT sum(id) FROM t WHERE a = 3 AND b = 3";

/// Whether a server knows how many rows a statement reads that never ran.
fn knows(client: &mut Client) -> Result<bool> {
    let explained: String = client
        .query_one("SELECT ruvector.dag_explain($1)", &[&UNSEEN])?
        .get(0);
    assert!(explained.contains("learned="), "{explained}");
    Ok(explained.contains("learned=1000"))
}

#[test]
fn a_standby_knows_what_its_primary_learned_and_goes_on_learning_when_promoted() -> Result<()> {
    let server = server()?;
    let primary = learning(&server).start()?;
    let mut client = primary.client("postgres")?;
    load(&mut client, TABLE)?;
    let standby = primary.standby()?;
    let mut reader = wait_for("the standby", || Ok(standby.client("postgres").ok()))?;
    assert!(!knows(&mut reader)?);
    client.simple_query(STATEMENT)?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    // Planned with the count of its primary, though the statement never ran here.
    wait_for("the standby to follow", || Ok(knows(&mut reader)?.then_some(())))?;
    reader.simple_query(STATEMENT)?;
    assert_eq!(measure(&mut reader, "internal_errors")?, 0.0);
    let written = count(&mut reader, WRITTEN)?;
    drop(client);
    primary.stop("fast")?;
    reader.batch_execute("SELECT pg_promote()")?;
    assert!(
        !reader
            .query_one("SELECT pg_is_in_recovery()", &[])?
            .get::<_, bool>(0)
    );
    assert!(knows(&mut reader)?);
    learn(&mut reader, 5..9)?;
    wait_for("the worker to write on the new primary", || {
        Ok((count(&mut reader, WRITTEN)? >= written + 4).then_some(()))
    })?;
    reader.batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert_eq!(measure(&mut reader, "internal_errors")?, 0.0);
    Ok(())
}

fn logical(server: &Server) -> Result<(Cluster<'_>, Client)> {
    let cluster = learning(server).set("wal_level", "logical").start()?;
    let client = cluster.client("postgres")?;
    Ok((cluster, client))
}

fn subscribe(subscriber: &mut Client, publisher: &Cluster<'_>, publication: &str) -> Result<()> {
    let connection = format!(
        "host={} port=5432 user=postgres dbname=postgres",
        publisher.socket().display()
    );
    subscriber.batch_execute(&format!(
        "CREATE SUBSCRIPTION {publication} CONNECTION '{connection}' PUBLICATION {publication}"
    ))?;
    Ok(())
}

fn arrived(subscriber: &mut Client, rows: i64) -> Result<()> {
    wait_for("rows to arrive", || {
        Ok((count(subscriber, "SELECT count(*) FROM t")? == rows).then_some(()))
    })
}

#[test]
fn two_learning_servers_replicate_users_tables_and_each_keeps_its_own_learning() -> Result<()> {
    let server = server()?;
    let (publisher, mut source) = logical(&server)?;
    let (_subscriber, mut target) = logical(&server)?;
    load(&mut source, TABLE)?;
    source.batch_execute("CREATE PUBLICATION tables FOR TABLES IN SCHEMA public")?;
    target
        .batch_execute("CREATE EXTENSION ruvector_dag; CREATE TABLE t (id int PRIMARY KEY, a int, b int)")?;
    subscribe(&mut target, &publisher, "tables")?;
    arrived(&mut target, 20_000)?;
    learn(&mut source, 0..6)?;
    source.batch_execute("SELECT ruvector.dag_learn_now()")?;
    source.batch_execute("INSERT INTO t VALUES (0, 1, 1)")?;
    arrived(&mut target, 20_001)?;
    target.batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert!(count(&mut source, WRITTEN)? >= 6);
    assert!(count(&mut target, WRITTEN)? < 3);
    Ok(())
}

#[test]
fn a_publication_of_all_tables_stops_no_worker_and_a_subscriber_until_it_has_the_extension() -> Result<()> {
    let server = server()?;
    let (publisher, mut source) = logical(&server)?;
    let (subscriber, mut target) = logical(&server)?;
    let table = "CREATE TABLE t (id int PRIMARY KEY, a int, b int)";
    source.batch_execute(table)?;
    source.batch_execute("CREATE PUBLICATION everything FOR ALL TABLES")?;
    target.batch_execute(table)?;
    subscribe(&mut target, &publisher, "everything")?;
    source.batch_execute("INSERT INTO t SELECT i, i % 20, i % 20 FROM generate_series(1, 20000) AS i")?;
    arrived(&mut target, 20_000)?;
    source.batch_execute("CREATE EXTENSION ruvector_dag")?;
    // Rows of ours are changed and removed under a publication of updates and deletes: each table has an identity.
    for _ in 0..3 {
        learn(&mut source, 0..5)?;
        source.batch_execute("SELECT ruvector.dag_learn_now()")?;
    }
    source.batch_execute("SELECT ruvector.dag_reset_learning(false, false)")?;
    assert_eq!(measure(&mut source, "internal_errors")?, 0.0);
    // What is documented: the subscriber looks for our tables, and goes on where it was once it has them.
    let missing = "logical replication target relation \"ruvector.dag_";
    wait_for("the subscriber to complain", || {
        Ok(subscriber.log()?.contains(missing).then_some(()))
    })?;
    source.batch_execute("INSERT INTO t VALUES (0, 1, 1)")?;
    target.batch_execute("CREATE EXTENSION ruvector_dag")?;
    arrived(&mut target, 20_001)?;
    // Rows of ours are not taken over: the tables are not part of the subscription.
    assert_eq!(count(&mut target, EXECUTIONS)?, 0);
    Ok(())
}

/// Of the statement that is learned from.
const EXECUTIONS: &str = "SELECT count(*) FROM ruvector.dag_trajectories WHERE counted_relations >= 2";

/// Each setting that can be changed without a restart, and a value that it does not have.
const RELOADABLE: &str = "SELECT name, CASE vartype
        WHEN 'bool' THEN CASE setting WHEN 'on' THEN 'off' ELSE 'on' END
        WHEN 'enum' THEN enumvals[CASE WHEN enumvals[1] = setting THEN 2 ELSE 1 END]
        WHEN 'string' THEN CASE name WHEN 'ruvector.dag_attention_parameters' THEN '{\"causal_cone\": {\"max_depth\": 3}}' ELSE 'none' END
        ELSE CASE WHEN setting = min_val THEN max_val ELSE min_val END END AS other, setting
    FROM pg_settings WHERE name LIKE 'ruvector.%' AND context IN ('sighup', 'superuser', 'user') ORDER BY name";

#[test]
fn every_setting_that_needs_no_restart_is_changed_by_a_reload() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    let settings = client.query(RELOADABLE, &[])?;
    assert!(settings.len() >= 30, "{}", settings.len());
    let is = |client: &mut Client, name: &str, value: &str| -> Result<bool> {
        let now: String = client
            .query_one("SELECT setting FROM pg_settings WHERE name = $1", &[&name])?
            .get(0);
        Ok(now == value
            || now
                .parse::<f64>()
                .ok()
                .zip(value.parse::<f64>().ok())
                .is_some_and(|(a, b)| a == b))
    };
    let mut worker_seen = cluster.client("postgres")?;
    for row in settings {
        let (name, other, before): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let literal = other.replace('\'', "''");
        client.batch_execute(&format!("ALTER SYSTEM SET {name} = '{literal}'"))?;
        client.batch_execute("SELECT pg_reload_conf()")?;
        wait_for(&format!("{name} = {other}"), || {
            let all = is(&mut client, &name, &other)? && is(&mut worker_seen, &name, &other)?;
            Ok(all.then_some(()))
        })?;
        learn(&mut worker_seen, 0..2)?;
        client.batch_execute(&format!("ALTER SYSTEM RESET {name}"))?;
        client.batch_execute("SELECT pg_reload_conf()")?;
        wait_for(&format!("{name} = {before}"), || {
            let all = is(&mut client, &name, &before)? && is(&mut worker_seen, &name, &before)?;
            Ok(all.then_some(()))
        })?;
    }
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    let log = cluster.log()?;
    for bad in ["PANIC", "FATAL", "terminated by signal", "invalid value"] {
        assert!(!log.contains(bad), "{log}");
    }
    Ok(())
}

#[test]
fn an_extension_dropped_and_made_again_in_an_open_session_begins_anew() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    let mut other = cluster.client("postgres")?;
    for round in 0..4 {
        learn(&mut client, 0..4)?;
        learn(&mut other, 0..4)?;
        let classes = count(&mut other, "SELECT statement_classes FROM ruvector.dag_status()")?;
        assert!((4..60).contains(&classes), "{classes} in round {round}");
        client.batch_execute("DROP EXTENSION ruvector_dag")?;
        // Stock PostgreSQL meanwhile, in both sessions; and a drop that is taken back.
        learn(&mut other, 0..2)?;
        client.batch_execute("CREATE EXTENSION ruvector_dag")?;
        client.batch_execute("BEGIN; DROP EXTENSION ruvector_dag; SELECT count(*) FROM t; ROLLBACK")?;
        assert_eq!(
            count(&mut other, "SELECT count(*) FROM ruvector.dag_corrections")?,
            0
        );
    }
    assert_eq!(measure(&mut other, "internal_errors")?, 0.0);
    Ok(())
}

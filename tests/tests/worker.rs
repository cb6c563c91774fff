//! The background worker: what it must not do, and what must not be lost on its way to the tables.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{TABLE, WRITTEN, count, learn, learning, load, server};
use std::time::Duration;
use testkit::cluster::wait_for;
use testkit::{Cluster, Server};

/// A cluster whose worker finds no slot, so that only `dag_learn_now` writes.
fn without_worker(server: &Server) -> Result<(Cluster<'_>, Client)> {
    let cluster = learning(server).set("max_worker_processes", "2").start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    Ok((cluster, client))
}

const QUIET: &str = "SET ruvector.neural_dag_enabled = off";

#[test]
fn an_idle_database_has_no_worker() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("CREATE DATABASE shop")?;
    let mut shop = cluster.client("shop")?;
    load(&mut shop, TABLE)?;
    learn(&mut shop, 1..2)?;
    wait_for("the worker to write", || {
        Ok((count(&mut shop, WRITTEN)? > 0).then_some(()))
    })?;
    drop(shop);
    // It does not learn from its own statements, which would give it something to write for ever.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        count(
            &mut client,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'"
        )?,
        0
    );
    client.batch_execute("DROP DATABASE shop")?;
    Ok(())
}

#[test]
fn the_owner_of_a_database_gets_no_rights_of_the_worker() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("CREATE ROLE owner LOGIN")?;
    client.batch_execute("CREATE DATABASE shop")?;
    load(&mut cluster.client("shop")?, TABLE)?;
    client.batch_execute("ALTER DATABASE shop OWNER TO owner")?;
    cluster.client_as("shop", "owner")?.batch_execute(
        "CREATE SCHEMA trap;
         CREATE FUNCTION trap.unnest(oid[]) RETURNS SETOF oid LANGUAGE plpgsql AS $$BEGIN
             IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
                 ALTER ROLE owner SUPERUSER;
             END IF;
             RETURN QUERY SELECT pg_catalog.unnest($1);
         END$$;
         ALTER DATABASE shop SET search_path = trap, pg_catalog, public",
    )?;
    // Only workers that start from here on see the setting.
    client.batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'")?;
    let mut shop = cluster.client("shop")?;
    learn(&mut shop, 1..2)?;
    wait_for("the worker to write", || {
        Ok((count(&mut shop, WRITTEN)? > 0).then_some(()))
    })?;
    std::thread::sleep(Duration::from_secs(2));
    let is_superuser: bool = client
        .query_one("SELECT rolsuper FROM pg_roles WHERE rolname = 'owner'", &[])?
        .get(0);
    assert!(!is_superuser);
    Ok(())
}

#[test]
fn settings_of_a_database_do_not_stop_its_worker() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("ALTER DATABASE postgres SET default_transaction_read_only = on")?;
    load(&mut client, TABLE)?;
    learn(&mut client, 1..2)?;
    wait_for("the worker to write", || {
        Ok((count(&mut client, WRITTEN)? > 0).then_some(()))
    })
}

#[test]
fn what_a_savepoint_undoes_is_written_later() -> Result<()> {
    let server = server()?;
    let (_cluster, mut client) = without_worker(&server)?;
    learn(&mut client, 1..2)?;
    client.batch_execute("BEGIN; SAVEPOINT s; SELECT ruvector.dag_learn_now(); ROLLBACK TO s; COMMIT")?;
    assert_eq!(count(&mut client, WRITTEN)?, 0);
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert!(count(&mut client, WRITTEN)? > 0);
    Ok(())
}

#[test]
fn what_a_terminated_session_was_writing_is_written_later() -> Result<()> {
    let server = server()?;
    let (cluster, mut client) = without_worker(&server)?;
    learn(&mut client, 1..2)?;
    let mut locker = cluster.client("postgres")?;
    locker.batch_execute("BEGIN; LOCK TABLE ruvector.dag_corrections IN EXCLUSIVE MODE")?;
    let mut writer = cluster.client("postgres")?;
    let pid: i32 = writer.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    let writing = std::thread::spawn(move || writer.simple_query("SELECT ruvector.dag_learn_now()").is_err());
    let waits =
        format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock'");
    wait_for("the session to wait", || {
        Ok((count(&mut client, &waits)? == 1).then_some(()))
    })?;
    client.batch_execute(&format!("SELECT pg_terminate_backend({pid})"))?;
    assert!(
        writing.join().expect("the thread ends"),
        "a terminated session can't answer"
    );
    locker.batch_execute("ROLLBACK")?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert!(count(&mut client, WRITTEN)? > 0);
    Ok(())
}

#[test]
fn a_new_extension_knows_nothing_of_the_old_one() -> Result<()> {
    let server = server()?;
    let (_cluster, mut client) = without_worker(&server)?;
    learn(&mut client, 1..2)?;
    assert!(count(&mut client, "SELECT corrections FROM ruvector.dag_status()")? > 0);
    client.batch_execute("DROP EXTENSION ruvector_dag; CREATE EXTENSION ruvector_dag")?;
    client.batch_execute("SET ruvector.dag_min_duration = '1h'; SELECT count(*) FROM t")?;
    assert_eq!(
        count(&mut client, "SELECT corrections FROM ruvector.dag_status()")?,
        0
    );
    Ok(())
}

#[test]
fn a_restart_loads_without_a_statement_and_forgets_what_was_reset() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    learn(&mut client, 1..2)?;
    wait_for("the worker to write", || {
        Ok((count(&mut client, WRITTEN)? > 0).then_some(()))
    })?;
    client.batch_execute("SELECT ruvector.dag_reset_learning(preserve_patterns => true)")?;
    client.batch_execute(QUIET)?;
    assert_eq!(
        count(&mut client, "SELECT count(*) FROM ruvector.dag_statement_classes")?,
        0
    );
    drop(client);
    cluster.restart("fast")?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(QUIET)?;
    let loaded = "SELECT corrections FROM ruvector.dag_status() WHERE is_loaded";
    wait_for("the worker to load", || {
        Ok(client
            .query_opt(loaded, &[])?
            .filter(|row| row.get::<_, i64>(0) > 0))
    })?;
    Ok(())
}

#[test]
fn a_role_that_may_learn_needs_no_rights_on_the_tables() -> Result<()> {
    let server = server()?;
    let (cluster, mut client) = without_worker(&server)?;
    client.batch_execute(
        "CREATE ROLE operator LOGIN; GRANT EXECUTE ON FUNCTION ruvector.dag_learn_now() TO operator",
    )?;
    learn(&mut client, 1..2)?;
    cluster
        .client_as("postgres", "operator")?
        .batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert!(count(&mut client, WRITTEN)? > 0);
    Ok(())
}

//! Crashes, restarts, standbys, databases that come and go.

use anyhow::{Context, Result};
use postgres::Client;
use ruvector_dag_tests::{TABLE, WRITTEN, count, learn, learning, load, server};
use std::time::{Duration, Instant};
use testkit::cluster::wait_for;
use testkit::{Cluster, Server};

fn cluster(server: &Server) -> Result<Cluster<'_>> {
    let cluster = learning(server).start()?;
    load(&mut cluster.client("postgres")?, TABLE)?;
    Ok(cluster)
}

const KNOWN: &str = "SELECT corrections FROM ruvector.dag_status()";

/// Waits until the worker has written at least so many relations.
fn wait_until_written(client: &mut Client, at_least: i64) -> Result<i64> {
    wait_for("the worker to write", || {
        let written = count(client, WRITTEN)?;
        Ok((written >= at_least).then_some(written))
    })
}

/// Touches the database, so that its worker is started, and waits until it has loaded so many relations.
fn wait_until_loaded(client: &mut Client, at_least: i64) -> Result<()> {
    client.simple_query("SELECT count(*) FROM t")?;
    wait_for("the worker to load", || {
        Ok((count(client, KNOWN)? >= at_least).then_some(()))
    })
}

/// A connection after a crash: one that survives the restart.
fn reconnect(cluster: &Cluster<'_>) -> Result<Client> {
    wait_for("the server to recover", || {
        let Ok(mut client) = cluster.client("postgres") else {
            return Ok(None);
        };
        Ok(client
            .simple_query("SELECT count(*) FROM t")
            .is_ok()
            .then_some(client))
    })
}

#[test]
fn the_worker_writes_and_a_restart_loads() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    learn(&mut client, 0..5)?;
    let written = wait_until_written(&mut client, 5)?;
    let calls = count(
        &mut client,
        "SELECT sum(calls)::bigint FROM ruvector.dag_statement_classes",
    )?;
    drop(client);
    let begun = Instant::now();
    cluster.restart("fast")?;
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "stopping and starting took {:?}",
        begun.elapsed()
    );
    let mut client = cluster.client("postgres")?;
    wait_until_loaded(&mut client, written)?;
    assert!(
        count(
            &mut client,
            "SELECT sum(calls)::bigint FROM ruvector.dag_decisions()"
        )? >= calls
    );
    Ok(())
}

#[test]
fn a_killed_backend_loses_nothing_drained() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    learn(&mut client, 0..5)?;
    let written = wait_until_written(&mut client, 5)?;
    let mut busy = cluster.client("postgres")?;
    let pid: i32 = busy.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    let running =
        std::thread::spawn(move || busy.simple_query("SELECT count(*) FROM t a, t b, t c").is_err());
    wait_for("the statement to run", || {
        let active = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'");
        Ok((count(&mut client, &active)? == 1).then_some(()))
    })?;
    cluster.kill(pid)?;
    assert!(
        running.join().expect("the thread ends"),
        "a killed backend can't answer"
    );
    let mut client = reconnect(&cluster)?;
    wait_until_loaded(&mut client, written)
}

#[test]
fn a_killed_launcher_loses_nothing_drained() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    learn(&mut client, 0..5)?;
    let written = wait_until_written(&mut client, 5)?;
    cluster.kill(cluster.child("ruvector_dag launcher")?)?;
    wait_for("the crash to end this session", || {
        Ok(client.simple_query("SELECT 1").is_err().then_some(()))
    })?;
    let mut client = reconnect(&cluster)?;
    wait_until_loaded(&mut client, written)?;
    learn(&mut client, 5..8)?;
    wait_until_written(&mut client, written + 3)?;
    Ok(())
}

#[test]
fn an_immediate_shutdown_loses_nothing_drained() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    learn(&mut client, 0..5)?;
    let written = wait_until_written(&mut client, 5)?;
    let busy = std::thread::spawn(move || learn(&mut client, 0..20).and_then(|()| learn(&mut client, 0..20)));
    cluster.restart("immediate")?;
    // Whether it was done before the shutdown does not matter here.
    let _ = busy.join();
    let mut client = reconnect(&cluster)?;
    wait_until_loaded(&mut client, written)
}

#[test]
fn a_standby_reads_what_its_primary_learned() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    learn(&mut client, 0..5)?;
    let written = wait_until_written(&mut client, 5)?;
    let standby = cluster.standby()?;
    let mut reader = wait_for("the standby", || Ok(standby.client("postgres").ok()))?;
    wait_until_loaded(&mut reader, written)?;
    // It follows, and writes nothing.
    learn(&mut client, 5..10)?;
    let more = wait_until_written(&mut client, written + 5)?;
    wait_until_loaded(&mut reader, more)?;
    let error = reader
        .simple_query("SELECT ruvector.dag_learn_now()")
        .expect_err("a standby can't learn");
    assert_eq!(error.code().context("a database error")?.code(), "RV004");
    assert_eq!(
        count(&mut reader, "SELECT internal_errors FROM ruvector.dag_status()")?,
        0
    );
    Ok(())
}

#[test]
fn databases_and_extensions_come_and_go() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut owner = cluster.client("postgres")?;
    for name in ["shop", "Two words"] {
        owner.batch_execute(&format!("CREATE DATABASE \"{name}\""))?;
        let mut client = cluster.client(name)?;
        load(&mut client, TABLE)?;
        learn(&mut client, 0..3)?;
        wait_until_written(&mut client, 3)?;
        client.batch_execute("DROP EXTENSION ruvector_dag")?;
        client.simple_query("SELECT count(*) FROM t")?;
        client.batch_execute("CREATE EXTENSION ruvector_dag")?;
        learn(&mut client, 0..2)?;
        wait_until_written(&mut client, 2)?;
        drop(client);
        // No worker stands in the way for longer than PostgreSQL waits.
        owner.batch_execute(&format!("DROP DATABASE \"{name}\""))?;
    }
    // What is learned elsewhere is not touched by any of this.
    learn(&mut owner, 0..2)?;
    wait_until_written(&mut owner, 2)?;
    Ok(())
}

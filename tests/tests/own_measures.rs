//! What is measured and logged of our own work, and which tables are learned from, across sessions, restarts and dumps.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{TABLE, count, learn, learning, load, restore_dump, server};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use testkit::Cluster;
use testkit::cluster::wait_for;

const EXECUTIONS: &str = "SELECT count FROM ruvector.dag_latency_breakdown() WHERE component = 'execution'";

fn is_followed(client: &mut Client) -> Result<bool> {
    let sql = "SELECT (details ->> 'is_followed')::bool FROM \
               ruvector.dag_trace_query('SELECT count(*) FROM t') WHERE operation = 'plan'";
    Ok(client.query_one(sql, &[])?.get(0))
}

fn status(client: &mut Client, component: &str) -> Result<String> {
    let sql = "SELECT string_agg(status || ': ' || message, '; ' ORDER BY status) FROM ruvector.dag_health_check() WHERE component = $1";
    Ok(client.query_one(sql, &[&component])?.get(0))
}

fn logged(client: &mut Client, component: &str, severity: &str) -> Result<i64> {
    let sql = "SELECT count(*) FROM ruvector.dag_debug_logs(NULL, $1, $2)";
    Ok(client.query_one(sql, &[&component, &severity])?.get(0))
}

fn learn_in_many_sessions(cluster: &Cluster<'_>) -> Result<()> {
    thread::scope(|scope| {
        let sessions = (0..8).map(|session| {
            scope.spawn(move || -> Result<()> {
                let mut client = cluster.client("postgres")?;
                for _ in 0..5 {
                    learn(&mut client, session..session + 4)?;
                }
                Ok(())
            })
        });
        let sessions: Vec<_> = sessions.collect();
        sessions
            .into_iter()
            .try_for_each(|session| session.join().expect("a session panicked"))
    })
}

#[test]
fn the_latencies_of_many_sessions_are_all_counted() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    client.batch_execute("SELECT ruvector.dag_reset_statistics(); SET ruvector.neural_dag_enabled = off")?;
    learn_in_many_sessions(&cluster)?;
    let statistic = |client: &mut Client, metric: &str| -> Result<f64> {
        let sql = "SELECT value FROM ruvector.dag_statistics() WHERE metric = $1";
        Ok(client.query_one(sql, &[&metric])?.get(0))
    };
    let executions = count(&mut client, EXECUTIONS)? as f64;
    assert!(executions >= 160.0, "{executions}");
    // A trial's execution is learned from, too, and measured likewise.
    assert_eq!(executions, statistic(&mut client, "statements_learned")?);
    assert_eq!(statistic(&mut client, "latencies_dropped")?, 0.0);
    Ok(())
}

/// Looks at all of shared memory, under one lock after the other, until it is over.
fn look_around(mut client: Client, is_over: &AtomicBool) -> Result<()> {
    while !is_over.load(Ordering::Relaxed) {
        client.batch_execute("SELECT * FROM ruvector.dag_memory_usage()")?;
    }
    Ok(())
}

#[test]
fn waits_for_locks_are_timed_with_what_others_did_under_them() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).set("ruvector.dag_time_locks", "on").start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    client.batch_execute("SET ruvector.neural_dag_enabled = off")?;
    let waits = |client: &mut Client, component: &str| -> Result<i64> {
        let sql =
            "SELECT coalesce(sum(count), 0)::int8 FROM ruvector.dag_latency_breakdown() WHERE component = $1";
        Ok(client.query_one(sql, &[&component])?.get(0))
    };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let lookers = (0..4)
            .map(|_| -> Result<_> {
                let (session, is_over) = (cluster.client("postgres")?, &is_over);
                Ok(scope.spawn(move || look_around(session, is_over)))
            })
            .collect::<Result<Vec<_>>>()?;
        // Two sessions that want the same lock at a time are a matter of chance.
        let seen = wait_for("a session to wait for a lock", || {
            learn_in_many_sessions(&cluster)?;
            Ok((waits(&mut client, "lock_wait")? > 0).then_some(()))
        });
        is_over.store(true, Ordering::Relaxed);
        for looker in lookers {
            looker.join().expect("a session panicked")?;
        }
        seen
    })?;
    // In this order: workers go on.
    let waited = waits(&mut client, "lock_wait")?;
    let timed = waits(&mut client, "lock_work")?;
    assert!(0 < waited && waited <= timed, "{waited} waits, {timed} timed");
    Ok(())
}

#[test]
fn latencies_of_one_database_stay_when_another_resets() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    client.batch_execute("CREATE DATABASE other")?;
    let mut other = cluster.client("other")?;
    load(&mut other, TABLE)?;
    learn(&mut client, 0..3)?;
    learn(&mut other, 0..3)?;
    other.batch_execute("SELECT ruvector.dag_reset_statistics(); SET ruvector.neural_dag_enabled = off")?;
    assert_eq!(other.query(EXECUTIONS, &[])?.len(), 0);
    assert!(count(&mut client, EXECUTIONS)? >= 3);
    Ok(())
}

#[test]
fn what_is_said_of_tables_reaches_other_sessions_and_dumps() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    let mut other = cluster.client("postgres")?;
    assert!(is_followed(&mut other)?);
    client.batch_execute("BEGIN; SELECT ruvector.dag_disable('t')")?;
    assert!(!is_followed(&mut client)?);
    assert!(is_followed(&mut other)?);
    client.batch_execute("COMMIT")?;
    assert!(!is_followed(&mut other)?);
    restore_dump(&cluster)?;
    let mut restored = cluster.client("restored")?;
    assert!(!is_followed(&mut restored)?);
    let kept = "SELECT count(*) FROM ruvector.dag_enabled_tables() WHERE relation = 't'::regclass AND NOT is_enabled";
    assert_eq!(count(&mut restored, kept)?, 1);
    // Nobody waits for who drops the extension, or for who changes it.
    client.batch_execute("BEGIN; LOCK ruvector.dag_tables")?;
    cluster
        .client("postgres")?
        .batch_execute("SET statement_timeout = '20s'; SELECT count(*) FROM t")?;
    client.batch_execute("COMMIT; DROP EXTENSION ruvector_dag; CREATE EXTENSION ruvector_dag")?;
    assert!(is_followed(&mut other)?);
    Ok(())
}

#[test]
fn the_log_and_the_health_check_tell_of_a_restart_and_of_a_broken_state() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    learn(&mut client, 0..8)?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert_eq!(logged(&mut client, "learning", "info")?, 1);
    drop(client);
    cluster.restart("fast")?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("SET ruvector.neural_dag_enabled = off")?;
    wait_for("the worker to load", || {
        Ok((logged(&mut client, "state", "info")? > 0).then_some(()))
    })?;
    for component in ["launcher", "worker", "state", "library", "version"] {
        wait_for(component, || {
            let found = status(&mut client, component)?;
            Ok((found.starts_with("ok") && !found.contains("error")).then_some(()))
        })?;
    }
    client.batch_execute("UPDATE ruvector.dag_state SET state = 'broken' WHERE part = 'sona'")?;
    let broken = status(&mut client, "state")?;
    assert!(broken.starts_with("error: sona can't be read"), "{broken}");
    client.batch_execute("SET ruvector.neural_dag_enabled = on; SELECT ruvector.dag_learn_now()")?;
    assert!(logged(&mut client, "state", "warning")? > 0);
    let kept = status(&mut client, "state")?;
    assert!(
        !kept.contains("error") && kept.contains("is kept aside"),
        "{kept}"
    );
    Ok(())
}

#[test]
fn decisions_are_logged_by_the_worker_and_carried_by_a_dump() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    learn(&mut client, 0..1)?;
    client.batch_execute("SELECT ruvector.dag_pin_decision(class) FROM ruvector.dag_decisions()")?;
    const PINNED: &str = "SELECT count(*) FROM ruvector.dag_decisions_log WHERE state = 'pinned'";
    client.batch_execute("SET ruvector.neural_dag_enabled = off")?;
    // A new execution, so that the worker has something to do at once.
    learn(&mut cluster.client("postgres")?, 1..2)?;
    wait_for("the worker to log", || {
        Ok((count(&mut client, PINNED)? > 0).then_some(()))
    })?;
    restore_dump(&cluster)?;
    let mut restored = cluster.client("restored")?;
    assert_eq!(count(&mut restored, PINNED)?, count(&mut client, PINNED)?);
    Ok(())
}

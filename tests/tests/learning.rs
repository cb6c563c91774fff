//! What is learned at three speeds on real clusters: kept across restarts, crashes and dumps, never in the way of
//! sessions, and worth something.

use anyhow::{Context, Result};
use postgres::Client;
use ruvector_dag_tests::{TABLE, count, learn, learning, load, restore_dump, server};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use testkit::cluster::{Builder, wait_for};
use testkit::{Cluster, Server};

const EXECUTIONS: &str = "SELECT count(*) FROM ruvector.dag_trajectories";
const REVISION: &str = "SELECT coalesce(max(revision), 0) FROM ruvector.dag_state WHERE part = 'sona'";
const LEARNED_UP_TO: &str =
    "SELECT coalesce(max(learned_up_to), 0) FROM ruvector.dag_state WHERE part = 'sona'";
/// Patterns that a session knows.
const PATTERNS: &str = "SELECT patterns_loaded FROM ruvector.dag_prewarm_patterns('{}')";

/// A cluster whose worker learns when it is told to, with something learned.
fn taught(server: &Server) -> Result<(Cluster<'_>, Client)> {
    teach(learning(server))
}

fn teach(builder: Builder<'_>) -> Result<(Cluster<'_>, Client)> {
    let cluster = builder.start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    learn(&mut client, 0..5)?;
    wait_for("the worker to write", || {
        client.batch_execute("SELECT ruvector.dag_learn_now()")?;
        Ok((count(&mut client, EXECUTIONS)? >= 5).then_some(()))
    })?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert!(count(&mut client, PATTERNS)? > 0);
    Ok((cluster, client))
}

/// Waits until a new session knows patterns: the worker published them.
fn wait_until_published(cluster: &Cluster<'_>) -> Result<Client> {
    wait_for("the worker to publish", || {
        let Ok(mut client) = cluster.client("postgres") else {
            return Ok(None);
        };
        let patterns = count(&mut client, PATTERNS).unwrap_or(0);
        Ok((patterns > 0).then_some(client))
    })
}

/// Learns from new statements, and sees that it was learned on top of what was known.
fn goes_on(client: &mut Client) -> Result<()> {
    let (revision, learned_up_to) = (count(client, REVISION)?, count(client, LEARNED_UP_TO)?);
    assert!(revision > 0 && learned_up_to > 0);
    learn(client, 10..13)?;
    wait_for("more to be learned", || {
        client.batch_execute("SELECT ruvector.dag_learn_now()")?;
        let is_more =
            count(client, LEARNED_UP_TO)? >= learned_up_to + 3 && count(client, REVISION)? > revision;
        Ok(is_more.then_some(()))
    })
}

#[test]
fn what_is_learned_survives_a_restart() -> Result<()> {
    let server = server()?;
    let (cluster, client) = taught(&server)?;
    drop(client);
    cluster.restart("fast")?;
    goes_on(&mut wait_until_published(&cluster)?)
}

#[test]
fn what_is_learned_survives_killed_processes_and_an_immediate_stop() -> Result<()> {
    let server = server()?;
    let (cluster, mut client) = taught(&server)?;
    let patterns = count(&mut client, PATTERNS)?;
    cluster.kill(cluster.child("ruvector_dag launcher")?)?;
    wait_for("the crash to end this session", || {
        Ok(client.simple_query("SELECT 1").is_err().then_some(()))
    })?;
    let mut client = wait_until_published(&cluster)?;
    assert_eq!(count(&mut client, PATTERNS)?, patterns);
    drop(client);
    cluster.restart("immediate")?;
    let mut client = wait_until_published(&cluster)?;
    assert_eq!(count(&mut client, PATTERNS)?, patterns);
    goes_on(&mut client)
}

#[test]
fn a_dump_carries_what_is_learned() -> Result<()> {
    let server = server()?;
    // No slot for a worker: it would learn from what was restored before that is compared.
    let (cluster, mut client) = teach(learning(&server).set("max_worker_processes", "2"))?;
    let known = |client: &mut Client| -> Result<(Vec<u8>, i64, i64)> {
        let row = client.query_one(
            "SELECT state, learned_up_to, revision FROM ruvector.dag_state WHERE part = 'sona'",
            &[],
        )?;
        Ok((row.get(0), row.get(1), row.get(2)))
    };
    let before = known(&mut client)?;
    restore_dump(&cluster)?;
    let mut restored = cluster.client("restored")?;
    assert_eq!(known(&mut restored)?, before);
    restored.batch_execute("ANALYZE")?;
    goes_on(&mut restored)
}

/// Puts other bytes in the place of what is learned; learns again, and returns the parts that there are then.
fn learn_over(cluster: &Cluster<'_>, client: &mut Client, change: &str) -> Result<Vec<String>> {
    client.batch_execute(&format!(
        "UPDATE ruvector.dag_state SET state = {change}, revision = revision + 1 WHERE part = 'sona'"
    ))?;
    // Another session: this one still has an engine.
    let mut other = cluster.client("postgres")?;
    learn(&mut other, 5..7)?;
    other.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let parts = "SELECT part FROM ruvector.dag_state WHERE part LIKE 'sona%' ORDER BY part";
    Ok(other.query(parts, &[])?.iter().map(|row| row.get(0)).collect())
}

#[test]
fn a_state_that_can_not_be_read_is_kept_aside_and_learning_begins_anew() -> Result<()> {
    let server = server()?;
    // The version is the byte after the four of its name.
    for (change, reason) in [
        ("overlay(state placing '\\x00' from 100)", "damaged"),
        ("set_byte(state, 4, 99)", "version 99"),
    ] {
        let (cluster, mut client) = taught(&server)?;
        let parts = learn_over(&cluster, &mut client, change)?;
        assert_eq!(parts.len(), 2, "{parts:?}");
        assert!(
            parts[0] == "sona" && parts[1].starts_with("sona refused "),
            "{parts:?}"
        );
        let log = cluster.log()?;
        let line = log
            .lines()
            .find(|line| line.contains("WARNING") && line.contains("begins anew"))
            .context("no warning in the log")?;
        assert!(line.contains(reason), "{line}");
        // It goes on from the new state, without another word.
        goes_on(&mut cluster.client("postgres")?)?;
        assert_eq!(cluster.log()?.matches("begins anew").count(), 1);
    }
    Ok(())
}

#[test]
fn sessions_do_not_wait_for_whoever_learns() -> Result<()> {
    let server = server()?;
    let (cluster, mut learner) = taught(&server)?;
    learner.batch_execute("BEGIN; SELECT ruvector.dag_learn_now()")?;
    let mut session = cluster.client("postgres")?;
    // Far more than planning takes, far less than the lock is held.
    session.batch_execute("SET statement_timeout = '20s'; SET lock_timeout = '1s'")?;
    assert!(count(&mut session, PATTERNS)? > 0);
    learn(&mut session, 20..23)?;
    session.batch_execute(
        "SELECT ruvector.dag_explain('SELECT count(*) FROM t WHERE a = 1');
         SELECT * FROM ruvector.dag_trajectory_trends();
         SELECT * FROM ruvector.dag_memory_usage()",
    )?;
    // Whoever learns waits for its turn.
    let error = session
        .batch_execute("SELECT ruvector.dag_learn_now()")
        .expect_err("somebody else learns");
    assert_eq!(error.code().context("a database error")?.code(), "55P03");
    learner.batch_execute("ROLLBACK")?;
    session.batch_execute("SELECT ruvector.dag_learn_now()")?;
    Ok(())
}

/// Statements whose cost says little: two templates, one of which sleeps for each row it counts.
const TEMPLATES: &str = "CREATE FUNCTION slow(n int) RETURNS int COST 1 STABLE LANGUAGE plpgsql
        AS $$BEGIN PERFORM pg_sleep(0.002); RETURN n; END$$;
    CREATE TABLE s AS SELECT i, i % 400 AS a FROM generate_series(1, 4000) AS i;
    ANALYZE s";

fn run_templates(client: &mut Client, constants: std::ops::Range<i32>) -> Result<()> {
    for n in constants {
        client.simple_query(&format!("SELECT count(slow(i)) FROM s WHERE a = {n}"))?;
        client.simple_query(&format!(
            "SELECT count(abs(i)) FROM s WHERE a <> {n} AND i % 2 = 0"
        ))?;
    }
    Ok(())
}

/// The mean error of what sessions expected of the executions after the numbered one, as a factor.
fn error_after(client: &mut Client, number: i64) -> Result<f64> {
    let error = "SELECT exp(avg(abs(ln(execution_ms) - ln(greatest(expected_ms, 1e-3))))) FROM ruvector.dag_trajectories
        WHERE trajectory_id > $1 AND execution_ms > 0 AND expected_ms < 'Infinity'";
    let error: Option<f64> = client.query_one(error, &[&number])?.get(0);
    error.context("nothing was expected")
}

fn write_down(client: &mut Client) -> Result<i64> {
    // What has just run is on its way for a moment when the worker takes it.
    std::thread::sleep(Duration::from_secs(2));
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    count(
        client,
        "SELECT coalesce(max(trajectory_id), 0) FROM ruvector.dag_trajectories",
    )
}

#[test]
fn what_is_expected_of_new_constants_comes_true() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("CREATE EXTENSION ruvector_dag")?;
    client.batch_execute(TEMPLATES)?;
    client.batch_execute("SELECT ruvector.dag_reset_learning(false, false)")?;
    // Nothing is expected of the first statement, and little can be of the next ones.
    let mut first = cluster.client("postgres")?;
    run_templates(&mut first, 0..3)?;
    write_down(&mut client)?;
    let before = error_after(&mut client, 0)?;
    run_templates(&mut first, 3..60)?;
    let trained_up_to = write_down(&mut client)?;
    // A session that never ran these templates, and constants that nobody used.
    run_templates(&mut cluster.client("postgres")?, 200..210)?;
    write_down(&mut client)?;
    let after = error_after(&mut client, trained_up_to)?;
    assert!(
        after < before,
        "{after} times off after learning, {before} before"
    );
    assert!(after < 2.0, "{after} times off after learning");
    Ok(())
}

#[test]
fn the_worker_learns_on_its_interval() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server)
        .set("ruvector.dag_background_interval", "1s")
        .start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    let mut revision = 0;
    for constants in [0..4, 4..8] {
        learn(&mut client, constants)?;
        revision = wait_for("the worker to learn", || {
            let now = count(&mut client, REVISION)?;
            Ok((now > revision).then_some(now))
        })?;
    }
    wait_for("a session to know it", || {
        Ok((count(&mut client, PATTERNS)? > 0).then_some(()))
    })
}

#[test]
fn a_new_extension_begins_anew() -> Result<()> {
    let server = server()?;
    let (cluster, mut client) = taught(&server)?;
    client.batch_execute("DROP EXTENSION ruvector_dag; CREATE EXTENSION ruvector_dag")?;
    let mut other = cluster.client("postgres")?;
    other.batch_execute("SET ruvector.neural_dag_enabled = off")?;
    assert_eq!(count(&mut other, REVISION)?, 0);
    assert_eq!(count(&mut other, PATTERNS)?, 0);
    // So does a session that knew what was learned.
    assert_eq!(count(&mut client, PATTERNS)?, 0);
    learn(&mut client, 0..3)?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    wait_for("it to be learned", || {
        client.batch_execute("SELECT ruvector.dag_learn_now()")?;
        Ok((count(&mut client, REVISION)? > 0).then_some(()))
    })
}

/// Memory of a process that is its own, in bytes.
fn private_bytes(pid: i32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kilobytes = line
        .and_then(|line| line.split_whitespace().nth(1))
        .context("no RssAnon")?;
    Ok(kilobytes.parse::<u64>()? << 10)
}

/// The most private memory that a process had while `work` ran.
fn peak_during(pid: i32, work: impl FnOnce() -> Result<()>) -> Result<u64> {
    let (is_done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                peak.fetch_max(private_bytes(pid).unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let result = work();
        is_done.store(true, Ordering::Relaxed);
        result
    })?;
    Ok(peak.into_inner())
}

/// Ten thousand executions whose plans have nothing in common, so that each becomes a pattern.
const STRANGERS: &str = "INSERT INTO ruvector.dag_trajectories (queryid, class, plan_shape, cutoff, userid, ended_at,
        execution_ms, baseline_ms, counted_relations, corrected_relations, is_cut_off, attention_mechanism, total_cost, embedding)
    SELECT i % 100, i, i, 0, 10, now(), 1 + random() * 100, 200, 0, 0, false, 'topological', 1 + random() * 1000,
        (SELECT array_agg(x / norm ORDER BY at)
         FROM (SELECT at, x, sqrt(sum(x * x) OVER ()) AS norm
               FROM (SELECT at, random() - 0.5 + 0 * i AS x FROM generate_series(1, 256) AS at OFFSET 0) AS drawn) AS scaled)::real[]
    FROM generate_series(1, 10000) AS i";

#[test]
fn ten_thousand_executions_and_patterns_fit_into_100_megabytes() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server)
        .set("ruvector.dag_pattern_clusters", "1000")
        .set("ruvector.dag_max_trajectories", "10000")
        .set("ruvector.dag_max_patterns", "10000")
        .set("max_worker_processes", "2")
        .start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("CREATE EXTENSION ruvector_dag")?;
    client.batch_execute(STRANGERS)?;
    let mut learner = cluster.client("postgres")?;
    learner.batch_execute("SET ruvector.dag_min_duration = '1h'; SELECT ruvector.dag_status()")?;
    let pid: i32 = learner.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    let before = private_bytes(pid)?;
    let peak = peak_during(pid, || {
        for _ in 0..10 {
            learner.batch_execute("SELECT ruvector.dag_learn_now()")?;
        }
        Ok(())
    })?;
    let found = count(&mut client, "SELECT count(*) FROM ruvector.dag_patterns_found()")?;
    assert!(found > 9_000, "{found} patterns");
    // Whoever writes a further one down removes the oldest.
    assert!(count(&mut client, LEARNED_UP_TO)? >= 10_000);
    let grown = (peak - before) >> 20;
    println!("{grown} MB for 10,000 executions and {found} patterns");
    assert!(grown < 100, "{grown} MB");
    Ok(())
}

#[test]
fn sessions_that_learn_have_one_thread() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    learn(&mut client, 0..20)?;
    learn(&mut client, 0..20)?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    // With what the worker published.
    let mut reader = cluster.client("postgres")?;
    learn(&mut reader, 0..20)?;
    reader.batch_execute(
        "SELECT * FROM ruvector.dag_query_patterns(array_fill(0.1::real, ARRAY[256]), 5, -1)",
    )?;
    for session in [&mut client, &mut reader] {
        let process: i32 = session.query_one("SELECT pg_backend_pid()", &[])?.get(0);
        let threads = fs::read_dir(format!("/proc/{process}/task"))?.count();
        assert_eq!(threads, 1, "a signal of PostgreSQL's may reach another thread");
    }
    Ok(())
}

//! Healing on a real server: what goes wrong is found, repaired where that helps, rolled back where it does not.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{FLUSH, TABLE, count, learning, load, measure, server};
use testkit::cluster::{Builder, wait_for};
use testkit::{Cluster, Server};

/// A statement that takes as long as its table says.
const DELAYS: &str =
    "CREATE TABLE delays (seconds float8); INSERT INTO delays VALUES (0.004); ANALYZE delays";
const DELAYED: &str = "SELECT count(pg_sleep(seconds)) FROM delays";

/// Statements whose plans have little in common, each with other constants a class of its own.
fn kinds(n: usize) -> [String; 6] {
    [
        format!("SELECT count(*) FROM t WHERE a = {n}"),
        format!("SELECT count(*) FROM t x JOIN t y USING (id) WHERE x.a = {n} AND x.b = {n}"),
        format!("SELECT a, count(*) FROM t WHERE b <> {n} GROUP BY a ORDER BY 2"),
        format!("SELECT * FROM t WHERE id = {n}"),
        format!(
            "SELECT * FROM (SELECT * FROM t ORDER BY b LIMIT {n} + 1) x UNION ALL SELECT * FROM t WHERE id < 5"
        ),
        format!("SELECT id, row_number() OVER (PARTITION BY a ORDER BY b) FROM t WHERE b = {n}"),
    ]
}

/// Only who asks heals.
fn unattended(server: &Server) -> Builder<'_> {
    learning(server)
        .set("ruvector.dag_healing_enabled", "off")
        .set("max_parallel_workers_per_gather", "0")
}

fn start<'s>(builder: Builder<'s>) -> Result<(Cluster<'s>, Client)> {
    let cluster = builder.start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    Ok((cluster, client))
}

fn run(client: &mut Client, sql: &str, times: usize) -> Result<()> {
    (0..times).try_for_each(|_| client.simple_query(sql).map(drop))?;
    Ok(())
}

fn texts(client: &mut Client, sql: &str) -> Result<Vec<String>> {
    Ok(client.query(sql, &[])?.iter().map(|row| row.get(0)).collect())
}

/// What repairs of a kind came to.
fn repaired(client: &mut Client, kind: &str) -> Result<Vec<String>> {
    texts(
        client,
        &format!("SELECT status FROM ruvector.dag_auto_repair() WHERE repair_type = '{kind}'"),
    )
}

/// The class of which `watched` tells: looking for something is a statement, too, and soon the one that ran most.
const WATCHED: &str = "(SELECT class FROM watched)";

#[test]
fn a_latency_anomaly_is_found_told_to_whom_it_concerns_repaired_once_and_resolved() -> Result<()> {
    let server = server()?;
    let (cluster, mut client) = start(learning(&server).set("ruvector.dag_healing_interval", "1s"))?;
    client.batch_execute(DELAYS)?;
    run(&mut client, DELAYED, 40)?;
    client.batch_execute("UPDATE delays SET seconds = 0.1")?;
    run(&mut client, DELAYED, 4)?;
    client.batch_execute(
        "SELECT ruvector.dag_learn_now();
         CREATE TABLE watched AS SELECT class FROM ruvector.dag_trajectories GROUP BY class ORDER BY count(*) DESC LIMIT 1",
    )?;
    // A moment that was slow before may have been one, too.
    let slow = format!(
        "FROM ruvector.dag_anomalies WHERE anomaly_type = 'latency' AND class = {WATCHED} AND value > 90"
    );
    let is_resolved = format!("SELECT (resolved_at IS NOT NULL)::text {slow}");
    wait_for("the anomaly", || {
        Ok((texts(&mut client, &is_resolved)? == ["false"]).then_some(()))
    })?;
    let row = client.query_one(
        &format!("SELECT value > 90, median BETWEEN 3 AND 50, z_score > 3.5, severity <> 'low' {slow}"),
        &[],
    )?;
    assert!((0..4).all(|at| row.get::<_, bool>(at)), "{row:?}");
    // Not to others.
    client.batch_execute(
        "CREATE ROLE other LOGIN; CREATE ROLE watching LOGIN; GRANT pg_read_all_stats TO watching",
    )?;
    let all = "SELECT count(*) FROM ruvector.dag_anomalies() WHERE anomaly_type = 'latency'";
    assert_eq!(count(&mut cluster.client_as("postgres", "other")?, all)?, 0);
    assert!(count(&mut cluster.client_as("postgres", "watching")?, all)? > 0);
    // Its plans are tried again, once for this anomaly.
    let repairs = &format!(
        "SELECT count(*) FROM ruvector.dag_repairs WHERE repair_type = 'decision' AND status = 'repaired' AND class = {WATCHED}"
    );
    wait_for("the repair", || {
        Ok((count(&mut client, repairs)? == 1).then_some(()))
    })?;
    run(&mut client, DELAYED, 2)?;
    // As usual again.
    client.batch_execute("UPDATE delays SET seconds = 0.004")?;
    run(&mut client, DELAYED, 3)?;
    wait_for("the anomaly's end", || {
        Ok((texts(&mut client, &is_resolved)? == ["true"]).then_some(()))
    })?;
    assert_eq!(count(&mut client, repairs)?, 1);
    // After a restart nothing is found twice.
    drop(client);
    cluster.restart("fast")?;
    let mut client = cluster.wait_until_up("postgres")?;
    run(&mut client, DELAYED, 3)?;
    let written = format!("SELECT count(*) FROM ruvector.dag_trajectories WHERE class = {WATCHED}");
    wait_for("the executions", || {
        Ok((count(&mut client, &written)? >= 52).then_some(()))
    })?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(count(&mut client, &format!("SELECT count(*) {slow}"))?, 1);
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    Ok(())
}

/// Two patterns: the middle of all executions, to which all are nearest, and its opposite.
fn misplace(client: &mut Client) -> Result<()> {
    client.batch_execute(
        "SELECT count(ruvector.dag_forget(pattern_id)) FROM (SELECT pattern_id FROM ruvector.dag_patterns OFFSET 0) AS known;
         CREATE TEMP TABLE middle AS SELECT array_agg(mean ORDER BY n) AS v FROM (SELECT n, avg(x)::real AS mean
            FROM ruvector.dag_trajectories, unnest(embedding) WITH ORDINALITY AS u (x, n) GROUP BY n) AS means;
         SELECT ruvector.dag_store_pattern(v, NULL, 0.5) FROM middle;
         SELECT ruvector.dag_store_pattern((SELECT array_agg(-x ORDER BY n) FROM unnest(v) WITH ORDINALITY AS u (x, n)), NULL, 0.5)
            FROM middle;
         DROP TABLE middle",
    )?;
    Ok(())
}

const PATTERNS: &str =
    "SELECT string_agg(pattern_id::text, ' ' ORDER BY pattern_id) FROM ruvector.dag_patterns";

#[test]
fn an_unfit_clustering_is_found_anew_and_one_that_does_not_help_is_rolled_back() -> Result<()> {
    let server = server()?;
    let (_cluster, mut client) = start(unattended(&server))?;
    for kind in (0..15).flat_map(kinds) {
        run(&mut client, &kind, 1)?;
    }
    client.batch_execute(
        "SELECT ruvector.dag_learn_now(); SET ruvector.dag_sample_rate = 0;
         SELECT ruvector.dag_configure_sona(pattern_clusters => 6)",
    )?;
    misplace(&mut client)?;
    let before = texts(&mut client, PATTERNS)?;
    assert_eq!(repaired(&mut client, "clusters")?, ["repaired"]);
    assert_ne!(texts(&mut client, PATTERNS)?, before);
    // They fit now.
    assert!(repaired(&mut client, "clusters")?.is_empty());
    // One cluster is that middle again: nothing of it stays.
    client.batch_execute("SELECT ruvector.dag_configure_sona(pattern_clusters => 1)")?;
    misplace(&mut client)?;
    let before = texts(&mut client, PATTERNS)?;
    assert_eq!(repaired(&mut client, "clusters")?, ["rolled_back"]);
    assert_eq!(texts(&mut client, PATTERNS)?, before);
    let told = "SELECT count(*) FROM ruvector.dag_repairs WHERE repair_type = 'clusters' AND status = 'rolled_back' AND reason LIKE '%silhouette%'";
    assert_eq!(count(&mut client, told)?, 1);
    // Nor does what its caller rolls back.
    client.batch_execute("SELECT ruvector.dag_configure_sona(pattern_clusters => 6); BEGIN")?;
    assert_eq!(repaired(&mut client, "clusters")?, ["repaired"]);
    client.batch_execute("ROLLBACK")?;
    assert_eq!(texts(&mut client, PATTERNS)?, before);
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    Ok(())
}

#[test]
fn stale_tables_are_analysed_for_their_owner_and_nobody_else() -> Result<()> {
    let server = server()?;
    let (cluster, mut client) = start(unattended(&server))?;
    client.batch_execute(
        "CREATE ROLE owner LOGIN; GRANT ruvector_dag_admin TO owner; CREATE SCHEMA AUTHORIZATION owner",
    )?;
    let mut owner = cluster.client_as("postgres", "owner")?;
    owner.batch_execute(
        "CREATE TABLE \"Own\" (id int); INSERT INTO \"Own\" SELECT generate_series(1, 5000)",
    )?;
    client.batch_execute("INSERT INTO t SELECT i, 1, 1 FROM generate_series(20001, 90000) AS i")?;
    for session in [&mut owner, &mut client] {
        session.batch_execute(FLUSH)?;
    }
    let own = "SELECT target || ' ' || status FROM ruvector.dag_auto_repair() WHERE repair_type = 'statistics' ORDER BY 1";
    assert_eq!(texts(&mut owner, own)?, ["owner.\"Own\" repaired"]);
    assert!(texts(&mut owner, own)?.is_empty());
    let rows = "SELECT reltuples::bigint FROM pg_class WHERE relname = ";
    assert_eq!(count(&mut client, &format!("{rows} 'Own'"))?, 5000);
    assert_eq!(count(&mut client, &format!("{rows} 't'"))?, 20_000);
    assert_eq!(texts(&mut client, own)?, ["public.t repaired"]);
    assert_eq!(count(&mut client, &format!("{rows} 't'"))?, 90_000);
    // An ANALYZE that fails leaves the rest alone.
    client.batch_execute(
        "CREATE FUNCTION fails(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN
             IF current_setting('my.trap', true) = 'on' THEN RAISE 'trapped'; END IF; RETURN i;
         END$$;
         CREATE INDEX ON t (fails(a));
         CREATE TABLE fine AS SELECT generate_series(1, 5000) AS id;
         UPDATE t SET b = b + 1; SET my.trap = on",
    )?;
    client.batch_execute(FLUSH)?;
    assert_eq!(
        texts(&mut client, own)?,
        ["public.fine repaired", "public.t rolled_back"]
    );
    let told =
        "SELECT count(*) FROM ruvector.dag_repairs WHERE target = 'public.t' AND reason LIKE '%trapped%'";
    assert_eq!(count(&mut client, told)?, 1);
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    Ok(())
}

#[test]
fn drift_is_seen_after_the_data_changed() -> Result<()> {
    let server = server()?;
    let (_cluster, mut client) = start(unattended(&server))?;
    let drift = "SELECT trend FROM ruvector.dag_learning_drift() WHERE metric = 'row_estimates'";
    // What is known of a class is counted seldom: each of these is one of its own.
    let run_from = |client: &mut Client, from: usize, to: usize| {
        (from..to).try_for_each(|n| {
            let statement = format!("SELECT count(*) FROM t WHERE a = {} AND id > {n}", n % 20);
            run(client, &statement, 1)
        })
    };
    run_from(&mut client, 0, 60)?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert_eq!(texts(&mut client, drift)?, ["stable"]);
    // Of a value that statistics don't know: they take the others to have grown.
    client.batch_execute("INSERT INTO t SELECT i, 99, 99 FROM generate_series(20001, 120000) AS i")?;
    client.batch_execute(FLUSH)?;
    run_from(&mut client, 60, 90)?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert_eq!(texts(&mut client, drift)?, ["worsening"]);
    let row = client.query_one(
        "SELECT current_value, baseline_value, drift_magnitude FROM ruvector.dag_learning_drift() WHERE metric = 'row_estimates'",
        &[],
    )?;
    let (current, baseline, magnitude): (f64, f64, f64) = (row.get(0), row.get(1), row.get(2));
    assert!(
        current > 3.0 && (1.0..1.5).contains(&baseline) && magnitude > 1.0,
        "{row:?}"
    );
    let told =
        "SELECT count(*) FROM ruvector.dag_health_report() WHERE subsystem = 'drift' AND status = 'warning'
        AND array_to_string(issues, ' ') LIKE '%row_estimates%'";
    assert_eq!(count(&mut client, told)?, 1);
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    Ok(())
}

#[test]
fn a_repair_is_queued_before_a_rising_variance_gets_there_and_made_when_it_goes_on() -> Result<()> {
    let server = server()?;
    let (_cluster, mut client) = start(learning(&server).set("ruvector.dag_healing_interval", "1d"))?;
    let statement = "SELECT count(*) FROM t WHERE b = 7";
    run(&mut client, statement, 128)?;
    // One execution a second, alternately slower and faster by a factor that grows; not as much as to be an anomaly.
    client.batch_execute(
        "SELECT ruvector.dag_learn_now();
         SET ruvector.dag_sample_rate = 0;
         CREATE TABLE watched AS SELECT class FROM ruvector.dag_trajectories GROUP BY class ORDER BY count(*) DESC LIMIT 1;
         UPDATE ruvector.dag_trajectories AS t SET ended_at = now() - (200 - n) * interval '1 second', plan = NULL,
             execution_ms = 10 * exp(sqrt(0.005 + 0.0009 * n) * CASE WHEN n % 2 = 0 THEN 1 ELSE -1 END)
         FROM (SELECT trajectory_id, row_number() OVER (ORDER BY trajectory_id) AS n FROM ruvector.dag_trajectories) AS o
         WHERE o.trajectory_id = t.trajectory_id AND class IN (SELECT class FROM watched);
         SELECT ruvector.dag_auto_repair()",
    )?;
    let queue = "SELECT status FROM ruvector.dag_repairs WHERE class IN (SELECT class FROM watched) AND reason LIKE '%variance%'";
    assert_eq!(texts(&mut client, queue)?, ["queued"]);
    let report = "SELECT count(*) FROM ruvector.dag_health_report() WHERE subsystem = 'repairs' AND '1 repairs are queued' = ANY (issues)";
    assert_eq!(count(&mut client, report)?, 1);
    let state = "SELECT reason FROM ruvector.dag_decisions() WHERE class IN (SELECT class FROM watched)";
    let before = texts(&mut client, state)?;
    // It runs once more, as slowly as before.
    client.batch_execute("SET ruvector.dag_sample_rate = 1")?;
    run(&mut client, statement, 1)?;
    client.batch_execute(
        "SELECT ruvector.dag_learn_now();
         SET ruvector.dag_sample_rate = 0;
         UPDATE ruvector.dag_trajectories SET execution_ms = 10 * exp(0.345),
             ended_at = (SELECT ended_at + interval '1 second' FROM ruvector.dag_trajectories
                 WHERE class IN (SELECT class FROM watched) ORDER BY trajectory_id DESC OFFSET 1 LIMIT 1)
             WHERE class IN (SELECT class FROM watched)
             AND trajectory_id = (SELECT max(trajectory_id) FROM ruvector.dag_trajectories WHERE class IN (SELECT class FROM watched));
         SELECT ruvector.dag_auto_repair()",
    )?;
    assert_eq!(texts(&mut client, queue)?, ["repaired"]);
    // The plan in use stays.
    assert_eq!(texts(&mut client, state)?, before);
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    Ok(())
}

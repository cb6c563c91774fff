//! Sessions that change what is learned all at once take turns: nobody waits in a circle, nobody else waits for them, and who
//! waits can be cancelled.

use anyhow::{Context, Result};
use postgres::Client;
use ruvector_dag_tests::{TABLE, WRITTEN, count, learn, learning, load, measure, server};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use testkit::Cluster;
use testkit::cluster::wait_for;

const IMPORT: &str = "SELECT ruvector.dag_import_state(ruvector.dag_export_state())";
const RECORD: &str = r#"SELECT ruvector.dag_record_trajectory(1,
    '[{"Plan": {"Node Type": "Seq Scan", "Total Cost": 3, "Plan Rows": 10}}]', 1, 0, 'auto')"#;

/// What sessions do again and again. In transactions they ask for turns in every order.
const TASKS: &[&str] = &[
    IMPORT,
    "SELECT ruvector.dag_learn_now()",
    "BEGIN; SELECT ruvector.dag_import_state(ruvector.dag_export_state()); SELECT ruvector.dag_learn_now(); COMMIT",
    "BEGIN; SELECT ruvector.dag_learn_now(); SELECT ruvector.dag_reset_role('postgres'); \
     SELECT ruvector.dag_configure_sona(); COMMIT",
    "BEGIN; SELECT ruvector.dag_enable('t'), ruvector.dag_disable('u'); SELECT ruvector.dag_learn_now(); COMMIT",
    r#"BEGIN; SELECT ruvector.dag_record_trajectory(1, '[{"Plan": {"Node Type": "Seq Scan", "Total Cost": 3, "Plan Rows": 10}}]',
       1, 0, 'auto'); SELECT ruvector.dag_learn_now(); COMMIT"#,
    "BEGIN; SELECT ruvector.dag_learn_now(); SELECT ruvector.dag_disable('u'), ruvector.dag_enable('t'); \
     SELECT ruvector.dag_import_state(ruvector.dag_export_state()); COMMIT",
    "BEGIN; SELECT ruvector.dag_learn_now(); SELECT ruvector.dag_reset_learning(false, false); COMMIT",
    "SELECT * FROM ruvector.dag_dream('50 ms')",
];

/// Turns that everybody gets, however busy the machine is.
const LEAST: usize = 2;
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a task and statements to learn from until the time is over; answers how often, and which errors there were.
fn repeat(mut client: Client, task: &str, until: Instant) -> Result<(usize, Vec<String>)> {
    let (mut turns, mut errors) = (0, Vec::new());
    while Instant::now() < until || turns < LEAST && Instant::now() < until + PATIENCE {
        let constant = i32::try_from(turns % 20)?;
        for statement in [
            format!(
                "SELECT count(*) FROM t x JOIN t y USING (id) WHERE x.a = {constant} AND x.b = {constant}"
            ),
            task.to_owned(),
        ] {
            if let Err(error) = client.simple_query(&statement) {
                let error = error.as_db_error().context("the connection is lost")?;
                errors.push(format!(
                    "{} {}: {statement}",
                    error.code().code(),
                    error.message()
                ));
                client.batch_execute("ROLLBACK")?;
            }
        }
        turns += 1;
    }
    Ok((turns, errors))
}

#[test]
fn sessions_that_import_learn_and_reset_at_once_never_wait_in_a_circle() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server)
        .set("deadlock_timeout", "20ms")
        .set("ruvector.dag_background_interval", "1s")
        .set("ruvector.dag_store_literals", "on")
        .start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    client.batch_execute("CREATE TABLE u (a int)")?;
    let until = Instant::now() + Duration::from_secs(6);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| -> Result<()> {
        for task in TASKS.iter().chain(TASKS) {
            let (client, done) = (cluster.client("postgres")?, &done);
            scope.spawn(move || {
                let result = repeat(client, task, until);
                done.lock().expect("nobody panicked").push((task, result));
            });
        }
        Ok(())
    })?;
    for (task, result) in done.into_inner()? {
        let (turns, errors) = result?;
        assert_eq!(errors, [""; 0]);
        assert!(turns >= LEAST, "{turns} times: {task}");
    }
    let log = cluster.log()?;
    assert!(!log.contains("ERROR:"), "{log}");
    Ok(())
}

/// A session that gives up what it waits for.
fn hasty(cluster: &Cluster<'_>, setting: &str) -> Result<Client> {
    let mut client = cluster.client("postgres")?;
    client.batch_execute(&format!("SET {setting} = '500ms'"))?;
    Ok(client)
}

/// The SQLSTATE that a statement ends with.
fn error_of(client: &mut Client, sql: &str) -> Result<String> {
    let error = client.batch_execute(sql).expect_err("it can't get its turn");
    Ok(error.code().context("a database error")?.code().to_owned())
}

#[test]
fn an_open_import_keeps_only_those_waiting_who_change_the_same_and_they_can_be_cancelled() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut importer = cluster.client("postgres")?;
    load(&mut importer, TABLE)?;
    importer.batch_execute(&format!("SET ruvector.neural_dag_enabled = off; BEGIN; {IMPORT}"))?;
    let mut session = hasty(&cluster, "lock_timeout")?;
    let written = count(&mut session, WRITTEN)?;
    learn(&mut session, 0..3)?;
    session.batch_execute(
        "SELECT ruvector.dag_explain('SELECT count(*) FROM t WHERE a = 1');
         SELECT * FROM ruvector.dag_status();
         SELECT * FROM ruvector.dag_dream('10 ms');
         SELECT ruvector.dag_export_state()",
    )?;
    session.batch_execute(RECORD)?;
    wait_for("the worker to write", || {
        Ok((count(&mut session, WRITTEN)? > written).then_some(()))
    })?;
    let mut patient = hasty(&cluster, "statement_timeout")?;
    for change in [
        IMPORT,
        "SELECT ruvector.dag_learn_now()",
        "SELECT ruvector.dag_reset_learning(false, false)",
        "SELECT ruvector.dag_enable('t')",
    ] {
        assert_eq!(error_of(&mut session, change)?, "55P03", "{change}");
        assert_eq!(error_of(&mut patient, change)?, "57014", "{change}");
    }
    importer.batch_execute("COMMIT")?;
    session.batch_execute("SELECT ruvector.dag_learn_now()")?;
    session.batch_execute(IMPORT)?;
    Ok(())
}

/// Two tables whose join takes some tenths of a second, however it is done.
const LONG: &str = "CREATE TABLE p (id int PRIMARY KEY, a int);
    INSERT INTO p SELECT i, i % 100 FROM generate_series(1, 20000) AS i; ANALYZE p;
    SELECT count(*) FROM p JOIN p AS q USING (a) WHERE p.id + q.id > 10;
    SELECT count(*) FROM p JOIN p AS q USING (a) WHERE p.id + q.id > 10";

#[test]
fn a_dream_that_tries_keeps_nobody_from_learning() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server)
        .set("ruvector.dag_dream_execute", "on")
        .set("ruvector.dag_store_literals", "on")
        .set("ruvector.dag_dream_budget", "0")
        .set("max_parallel_workers_per_gather", "0")
        .set("jit", "off")
        .start()?;
    let mut dreamer = cluster.client("postgres")?;
    load(&mut dreamer, TABLE)?;
    dreamer.batch_execute(LONG)?;
    let mut learner = hasty(&cluster, "lock_timeout")?;
    let dreaming = thread::spawn(move || dreamer.batch_execute("SELECT ruvector.dag_dream('5 s')"));
    let mut times = 0;
    while !dreaming.is_finished() {
        learn(&mut learner, times..times + 1)?;
        learner.batch_execute("SELECT ruvector.dag_learn_now()")?;
        times += 1;
        thread::sleep(Duration::from_millis(100));
    }
    dreaming.join().expect("the thread ends")?;
    assert!(times > 1 && measure(&mut learner, "trials_run")? > 0.0);
    Ok(())
}

/// What a session waits for that asks for its turn while another may drop the extension.
const CHANGES: &[&str] = &[
    "SELECT ruvector.dag_learn_now()",
    "SELECT * FROM ruvector.dag_learn_now()",
    "SELECT ruvector.dag_reset_learning(false, false)",
    "SELECT ruvector.dag_reset_role('postgres')",
    "SELECT ruvector.dag_configure_sona()",
    "SELECT ruvector.dag_enable('t')",
    "SELECT ruvector.dag_reset_tables()",
    "SELECT ruvector.dag_recompute_clusters()",
    "SELECT ruvector.dag_forget(1)",
    "DO $$ BEGIN PERFORM ruvector.dag_learn_now(); END $$",
];

/// Has `owner` commit a DROP EXTENSION while sessions wait; answers what each of them ended with.
fn errors_of_those_who_wait(
    cluster: &Cluster<'_>,
    owner: &mut Client,
    changes: &[&'static str],
    commit: &str,
) -> Result<Vec<(&'static str, String)>> {
    let mut waiting = Vec::new();
    let mut pids: Vec<i32> = Vec::new();
    for &change in changes {
        let mut client = cluster.client("postgres")?;
        pids.push(client.query_one("SELECT pg_backend_pid()", &[])?.get(0));
        waiting.push((change, thread::spawn(move || client.batch_execute(change))));
    }
    let waits = "SELECT count(*) FROM pg_locks WHERE pid = ANY ($1) AND NOT granted";
    wait_for("the sessions to wait", || {
        let found: i64 = owner.query_one(waits, &[&pids])?.get(0);
        Ok((usize::try_from(found)? == changes.len()).then_some(()))
    })?;
    owner.batch_execute(commit)?;
    let ended = waiting.into_iter().map(|(change, session)| {
        let error = session.join().expect("the thread ends").expect_err(change);
        let error = error.as_db_error().context("the connection is lost")?;
        Ok((change, format!("{} {}", error.code().code(), error.message())))
    });
    ended.collect()
}

#[test]
fn who_waits_for_a_turn_is_told_that_the_extension_is_dropped() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    client.batch_execute("BEGIN; SELECT ruvector.dag_learn_now()")?;
    let gone = "RV004 learning failed: the extension is dropped";
    let drop = "DROP EXTENSION ruvector_dag; COMMIT";
    for (change, error) in errors_of_those_who_wait(&cluster, &mut client, CHANGES, drop)? {
        assert_eq!(error, gone, "{change}");
    }
    // The same where it is dropped already, but not committed. What reads a table first is told that there is none; above it
    // would keep the one who drops from it, who keeps it from its turn.
    client.batch_execute("CREATE EXTENSION ruvector_dag")?;
    client.batch_execute("BEGIN; DROP EXTENSION ruvector_dag")?;
    let others = ["SELECT ruvector.dag_dream('10 ms')", IMPORT];
    let changes: Vec<_> = CHANGES.iter().chain(&others).copied().collect();
    for (change, error) in errors_of_those_who_wait(&cluster, &mut client, &changes, "COMMIT")? {
        let has_read = change == IMPORT && error.starts_with("42P01");
        assert!(error == gone || has_read, "{error}: {change}");
    }
    Ok(())
}

#[test]
fn the_time_that_a_turn_was_waited_for_is_measured() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    let waits = "SELECT count, max_us FROM ruvector.dag_latency_breakdown() WHERE component = 'turn_wait'";
    client.batch_execute("BEGIN; SELECT ruvector.dag_learn_now()")?;
    assert!(client.query_opt(waits, &[])?.is_none());
    let mut other = cluster.client("postgres")?;
    let begun = Instant::now();
    let waiting = thread::spawn(move || other.batch_execute("SELECT ruvector.dag_enable('t')"));
    let is_waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND objsubid = 1";
    wait_for("the session to wait", || {
        Ok((count(&mut client, is_waiting)? == 1).then_some(()))
    })?;
    let least = Instant::now();
    thread::sleep(Duration::from_millis(200));
    let least = least.elapsed();
    client.batch_execute("COMMIT")?;
    waiting.join().expect("the thread ends")?;
    let most = begun.elapsed();
    let row = client.query_one(waits, &[])?;
    let (times, longest): (i64, f64) = (row.get(0), row.get(1));
    let longest = Duration::from_secs_f64(longest / 1e6);
    assert_eq!(times, 1);
    assert!(
        least <= longest && longest <= most,
        "{longest:?}, not {least:?} to {most:?}"
    );
    Ok(())
}

//! What is learned as a whole: moved between servers, and a deep cycle that is cancelled.

use anyhow::Result;
use engine::bundle::StateBundle;
use postgres::Client;
use ruvector_dag_tests::{TABLE, count, learn, learning, load, server};
use std::time::{Duration, Instant};
use testkit::cluster::wait_for;

const PATTERNS: &str = "SELECT count(*) FROM ruvector.dag_patterns";

fn export(client: &mut Client) -> Result<Vec<u8>> {
    Ok(client
        .query_one("SELECT ruvector.dag_export_state()", &[])?
        .get(0))
}

#[test]
fn what_was_learned_moves_to_another_server() -> Result<()> {
    let server = server()?;
    let one = learning(&server).start()?;
    let mut source = one.client("postgres")?;
    load(&mut source, TABLE)?;
    learn(&mut source, 1..12)?;
    source.batch_execute("SELECT ruvector.dag_learn_now(); SELECT ruvector.dag_pin(min(pattern_id)) FROM ruvector.dag_patterns")?;
    let state = export(&mut source)?;
    let patterns = count(&mut source, PATTERNS)?;
    assert!(patterns > 0);
    let other = learning(&server).start()?;
    let mut target = other.client("postgres")?;
    target.batch_execute("CREATE EXTENSION ruvector_dag")?;
    let before = export(&mut target)?;
    let damaged: Vec<u8> = state.iter().rev().copied().collect();
    assert!(
        target
            .query("SELECT * FROM ruvector.dag_import_state($1)", &[&damaged])
            .is_err()
    );
    assert_eq!(export(&mut target)?, before);
    let strange = StateBundle::new(vec![
        ("sona".to_owned(), before),
        ("dreams".to_owned(), Vec::new()),
    ]);
    let error = target
        .query("SELECT ruvector.dag_import_state($1)", &[&strange.to_binary()])
        .expect_err("a part that nobody knows");
    assert_eq!(error.code().map(|code| code.code()), Some("22023"), "{error}");
    let imported = target.query_one("SELECT * FROM ruvector.dag_import_state($1)", &[&state])?;
    assert_eq!(imported.get::<_, i64>(0), patterns);
    assert!(imported.get::<_, i64>(1) >= 11, "{}", imported.get::<_, i64>(1));
    assert_eq!(export(&mut target)?, state);
    // Another session knows it, too.
    let mut another = other.client("postgres")?;
    assert_eq!(count(&mut another, PATTERNS)?, patterns);
    assert_eq!(count(&mut another, &format!("{PATTERNS} WHERE is_pinned"))?, 1);
    Ok(())
}

/// The learned row count of a part of a statement that never ran.
fn estimate(client: &mut Client) -> Result<Option<f64>> {
    let query = "SELECT count(*) FROM t x JOIN t y USING (id) WHERE x.a = 17 AND x.b = 17";
    let row = client.query_one(
        "SELECT neural_estimate FROM ruvector.dag_estimate($1) WHERE metric = 'rows: x'",
        &[&query],
    )?;
    Ok(row.get(0))
}

#[test]
fn learned_row_counts_move_to_another_server() -> Result<()> {
    let server = server()?;
    let one = learning(&server).set("ruvector.dag_mode", "observe").start()?;
    let mut source = one.client("postgres")?;
    load(&mut source, TABLE)?;
    learn(&mut source, 0..15)?;
    source.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let learned = estimate(&mut source)?.expect("it is known of other constants");
    assert!((500.0..=2_000.0).contains(&learned), "{learned} of 1,000 rows");
    let state = export(&mut source)?;

    let other = learning(&server).set("ruvector.dag_mode", "observe").start()?;
    let mut target = other.client("postgres")?;
    load(&mut target, TABLE)?;
    assert_eq!(estimate(&mut target)?, None);
    target.query("SELECT ruvector.dag_import_state($1)", &[&state])?;
    let mut another = other.client("postgres")?;
    assert_eq!(estimate(&mut another)?, Some(learned));
    // An export of before holds the learning system alone, and leaves row counts as they are.
    let sql = "SELECT state FROM ruvector.dag_state WHERE part = 'sona'";
    let older: Vec<u8> = source.query_one(sql, &[])?.get(0);
    target.query("SELECT ruvector.dag_import_state($1)", &[&older])?;
    assert_eq!(estimate(&mut target)?, Some(learned));
    // What is imported is learned on from.
    let size = "SELECT length(state)::bigint FROM ruvector.dag_state WHERE part = 'rows'";
    let imported = count(&mut target, size)?;
    target.batch_execute("SELECT count(*) FROM t x JOIN t y USING (id) WHERE x.a = 7 AND y.b = 7")?;
    target.batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert!(count(&mut target, size)? > imported);
    let more = estimate(&mut target)?;
    assert!(more.is_some());
    // Not when the transaction is rolled back.
    let before = export(&mut target)?;
    let mut undone = target.transaction()?;
    undone.query("SELECT ruvector.dag_import_state($1)", &[&state])?;
    undone.rollback()?;
    assert_eq!(export(&mut target)?, before);
    assert_eq!(estimate(&mut target)?, more);
    Ok(())
}

#[test]
fn learning_does_not_wait_for_a_dream_nor_a_dream_for_learning() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut learner = cluster.client("postgres")?;
    load(&mut learner, TABLE)?;
    learn(&mut learner, 0..10)?;
    for n in 0..400 {
        learner.simple_query(&format!("SELECT count(*) FROM t WHERE id < {n}"))?;
    }
    learner.batch_execute("SELECT ruvector.dag_learn_now(); SET lock_timeout = '1s'")?;
    let dreams = |budget: &str| -> Result<_> {
        let mut dreamer = cluster.client("postgres")?;
        let sql = format!("SET lock_timeout = '1s'; SELECT count(*) FROM ruvector.dag_dream('{budget}')");
        Ok(std::thread::spawn(move || dreamer.batch_execute(&sql)))
    };
    // Whoever wants to learn meanwhile gets a turn, on a busy machine, too.
    const TAKEN: &str =
        "SELECT count(*) FROM pg_locks WHERE classid = 'pg_extension'::regclass AND objsubid = 1";
    let dream = dreams("1 hour")?;
    let (mut looks, mut locked) = (0, 0);
    while !dream.is_finished() {
        looks += 1;
        locked += i32::from(count(&mut learner, TAKEN)? > 0);
    }
    dream.join().expect("the dreaming thread ends")?;
    assert!(
        looks > 5 && 10 * locked < 9 * looks,
        "{locked} of {looks} times locked"
    );

    // The other way round: learned, not committed.
    let mut learning = learner.transaction()?;
    learning.batch_execute("SELECT ruvector.dag_pin(min(pattern_id)) FROM ruvector.dag_patterns")?;
    dreams("200 milliseconds")?
        .join()
        .expect("the dreaming thread ends")?;
    learning.commit()?;
    assert_eq!(count(&mut learner, &format!("{PATTERNS} WHERE is_pinned"))?, 1);
    Ok(())
}

#[test]
fn a_cancelled_dream_ends_at_once_and_changes_nothing() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    learn(&mut client, 0..20)?;
    for n in 0..400 {
        client.simple_query(&format!("SELECT count(*) FROM t WHERE id < {n}"))?;
    }
    client.batch_execute("SELECT ruvector.dag_learn_now(); SET ruvector.dag_sample_rate = 0")?;
    let before = export(&mut client)?;
    client.batch_execute("SET statement_timeout = '10ms'")?;
    let begun = Instant::now();
    let error = client
        .query("SELECT * FROM ruvector.dag_dream('1 hour')", &[])
        .expect_err("a dream of an hour was cancelled");
    assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    client.batch_execute("RESET statement_timeout")?;
    assert_eq!(export(&mut client)?, before);
    let dreams = client.query("SELECT * FROM ruvector.dag_dream('300 milliseconds')", &[])?;
    assert!(dreams.len() <= 100);
    assert_ne!(export(&mut client)?, before);
    Ok(())
}

#[test]
fn patterns_are_looked_up_while_they_are_changed() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut writer = cluster.client("postgres")?;
    load(&mut writer, TABLE)?;
    learn(&mut writer, 1..3)?;
    writer.batch_execute("SELECT ruvector.dag_learn_now(); SET ruvector.dag_sample_rate = 0")?;
    let found = "SELECT count(*) FROM (SELECT centroid FROM ruvector.dag_patterns LIMIT 1) AS p,
        ruvector.dag_query_patterns(p.centroid, 1)";
    let mut reader = cluster.client("postgres")?;
    reader.batch_execute("SET lock_timeout = '5s'; SET ruvector.dag_sample_rate = 0")?;
    let before = count(&mut reader, PATTERNS)?;
    let mut change = writer.transaction()?;
    change.batch_execute("SELECT ruvector.dag_forget(pattern_id) FROM ruvector.dag_patterns")?;
    assert_eq!(count(&mut reader, found)?, 1);
    assert_eq!(count(&mut reader, PATTERNS)?, before);
    change.commit()?;
    assert_eq!(count(&mut reader, PATTERNS)?, 0);
    // What was noted of a pattern that is gone is passed over.
    writer.batch_execute("SELECT ruvector.dag_configure_sona()")?;
    assert_eq!(count(&mut reader, found)?, 0);
    Ok(())
}

#[test]
fn a_standby_shows_patterns_and_changes_none() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    learn(&mut client, 1..3)?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let patterns = count(&mut client, PATTERNS)?;
    let standby = cluster.standby()?;
    let mut reader = wait_for("the standby", || Ok(standby.client("postgres").ok()))?;
    wait_for("the patterns", || {
        Ok((count(&mut reader, PATTERNS)? == patterns).then_some(()))
    })?;
    assert!(patterns > 0);
    assert!(
        count(
            &mut reader,
            "SELECT count(*) FROM ruvector.dag_pattern_clusters()"
        )? > 0
    );
    let used = "SELECT p.usage_count FROM (SELECT centroid FROM ruvector.dag_patterns LIMIT 1) AS c,
        ruvector.dag_query_patterns(c.centroid, 1) AS p";
    let first = count(&mut reader, used)?;
    assert_eq!(count(&mut reader, used)?, first + 1);
    for change in ["dag_pin(1)", "dag_dream('1 second')", "dag_recompute_clusters()"] {
        let error = reader
            .simple_query(&format!("SELECT ruvector.{change}"))
            .expect_err("a standby does not change");
        assert_eq!(error.code().map(|code| code.code()), Some("RV004"), "{change}");
    }
    Ok(())
}

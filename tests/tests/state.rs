//! What is learned as a whole: moved between servers, and a deep cycle that is cancelled.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{TABLE, count, learn, learning, server};
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
    source.batch_execute(TABLE)?;
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

#[test]
fn a_cancelled_dream_ends_at_once_and_changes_nothing() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(TABLE)?;
    learn(&mut client, 0..20)?;
    for n in 0..400 {
        client.simple_query(&format!("SELECT count(*) FROM t WHERE id < {n}"))?;
    }
    client.batch_execute("SELECT ruvector.dag_learn_now(); SET ruvector.dag_sample_rate = 0")?;
    let before = export(&mut client)?;
    client.batch_execute("SET statement_timeout = '200ms'")?;
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
    writer.batch_execute(TABLE)?;
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
    client.batch_execute(TABLE)?;
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

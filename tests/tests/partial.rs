//! Partial knowledge on real clusters: what was not counted to its end gives lower bounds, and what was counted corrects
//! what contains it.

use anyhow::{Context, Result};
use postgres::{Client, SimpleQueryMessage};
use ruvector_dag_tests::{TABLE, count, learning, restore_dump, server};
use serde_json::Value;
use std::collections::BTreeSet;
use testkit::cluster::wait_for;

/// Planned as a nested loop over 20,000 rows for the one that is expected; there are 10,000.
const SLOW: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE events (a int, b int, c int, d int, x int, k int);
    INSERT INTO events SELECT i % 10, i % 10, i % 10, i % 10, i % 10, i FROM generate_series(0, 99999) AS i;
    CREATE TABLE facts (k int);
    INSERT INTO facts SELECT i * 5 FROM generate_series(0, 19999) AS i;
    ANALYZE events, facts;
    SET enable_hashjoin = off; SET max_parallel_workers_per_gather = 0; SET jit = off";
const CUT_OFF: &str = "SELECT count(*) FROM events e JOIN facts f ON f.k = e.k \
    WHERE e.a = 5 AND e.b = 5 AND e.c = 5 AND e.d = 5 AND e.x = 5";

const BOUNDS: &str = "SELECT rows, is_lower_bound FROM ruvector.dag_corrections WHERE 't'::regclass = ANY (relations) \
     ORDER BY rows";

/// Makes tables, and has their changes known before anything is learned of them.
fn set_up(client: &mut Client, sql: &str) -> Result<()> {
    client.batch_execute(sql)?;
    Ok(client.batch_execute("SELECT pg_stat_force_next_flush()")?)
}

/// What is written down of table `t`.
fn known(client: &mut Client) -> Result<Vec<(f64, bool)>> {
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let rows = client.query(BOUNDS, &[])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

#[test]
fn a_plan_that_was_cut_off_is_not_chosen_again_when_it_saw_too_many_rows() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    set_up(&mut client, SLOW)?;
    client.batch_execute("SET statement_timeout = '700ms'")?;
    for _ in 0..2 {
        let error = client
            .simple_query(CUT_OFF)
            .expect_err("ten thousand times 20,000 rows");
        assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{error}");
    }
    let answer = client.simple_query(CUT_OFF);
    assert!(answer.is_ok(), "the third plan is cut off, too: {answer:?}");
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let sql = "SELECT count(*) FROM ruvector.dag_trajectories WHERE is_cut_off";
    assert_eq!(count(&mut client, sql)?, 2);
    // Now counted to its end.
    let sql = "SELECT count(*) FROM ruvector.dag_corrections \
               WHERE relations = ARRAY['events'::regclass::oid] AND rows = 10000 AND NOT is_lower_bound";
    assert_eq!(count(&mut client, sql)?, 1);
    Ok(())
}

#[test]
fn a_limit_gives_a_bound_that_only_more_rows_raise_and_a_count_replaces() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    set_up(&mut client, TABLE)?;
    // 1,000 rows, of which PostgreSQL expects 50.
    let limited = |limit: i32| format!("SELECT id FROM t WHERE a = 7 AND b = 7 LIMIT {limit}");
    client.simple_query(&limited(20))?;
    assert_eq!(known(&mut client)?, [], "fewer rows than expected say nothing");
    client.simple_query(&limited(200))?;
    assert_eq!(known(&mut client)?, [(200.0, true)]);
    client.simple_query(&limited(300))?;
    client.simple_query(&limited(100))?;
    assert_eq!(known(&mut client)?, [(300.0, true)]);
    let explained = client.query_one(
        "SELECT ruvector.dag_explain('SELECT id FROM t WHERE a = 7 AND b = 7', 'text')",
        &[],
    )?;
    let text: String = explained.get(0);
    assert!(text.contains("learned=>=300"), "{text}");
    client.simple_query("SELECT id FROM t WHERE a = 7 AND b = 7")?;
    assert_eq!(known(&mut client)?, [(1000.0, false)]);
    client.simple_query(&limited(400))?;
    assert_eq!(known(&mut client)?, [(1000.0, false)]);
    Ok(())
}

#[test]
fn rows_fetched_backwards_and_forwards_again_are_no_bound() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    set_up(&mut client, TABLE)?;
    let mut walk = |back: &str| -> Result<Vec<(f64, bool)>> {
        client.batch_execute("BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM t WHERE a = 7 AND b = 7")?;
        for _ in 0..6 {
            client.batch_execute(&format!("MOVE FORWARD 300 IN c; MOVE BACKWARD {back} IN c"))?;
        }
        client.batch_execute("CLOSE c; COMMIT")?;
        known(&mut client)
    };
    assert_eq!(walk("299")?, []);
    // To go back to the start begins anew: each pass is counted by itself. Before 18 a cursor's statement has no identifier, and is
    // not followed.
    let found = walk("ALL")?;
    assert!(found.is_empty() || found == [(300.0, true)], "{found:?}");
    Ok(())
}

#[test]
fn bounds_survive_a_restart_and_a_dump() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    set_up(&mut client, TABLE)?;
    client.simple_query("SELECT id FROM t WHERE a = 7 AND b = 7 LIMIT 200")?;
    assert_eq!(known(&mut client)?, [(200.0, true)]);
    drop(client);
    cluster.restart("fast")?;
    let mut client = cluster.client("postgres")?;
    assert_eq!(known(&mut client)?, [(200.0, true)]);
    // A lower one is compared with what was loaded.
    client.simple_query("SELECT id FROM t WHERE a = 7 AND b = 7 LIMIT 150")?;
    assert_eq!(known(&mut client)?, [(200.0, true)]);
    restore_dump(&cluster)?;
    let mut restored = cluster.client("restored")?;
    let sql = "SELECT rows, is_lower_bound FROM ruvector.dag_corrections WHERE rows = 200";
    assert!(restored.query_one(sql, &[])?.get::<_, bool>(1));
    Ok(())
}

/// Of a thousand users the ten active ones wrote nine tenths of the posts.
const SKEWED: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE users (k int, active int, rank int);
    INSERT INTO users SELECT i, (i % 100 = 0)::int, (i % 100 = 0)::int FROM generate_series(0, 999) AS i;
    CREATE TABLE posts (k int, topic int);
    INSERT INTO posts SELECT CASE WHEN i % 10 = 0 THEN i ELSE i % 10 * 100 END, i
        FROM generate_series(0, 999) AS i;
    CREATE TABLE topics (topic int, page int);
    INSERT INTO topics SELECT i, i FROM generate_series(0, 999) AS i;
    CREATE TABLE visits (page int);
    INSERT INTO visits SELECT i % 1000 FROM generate_series(0, 199999) AS i;
    ANALYZE users, posts, topics, visits";
const HASHED: &str =
    "SET max_parallel_workers_per_gather = 0; SET enable_nestloop = off; SET enable_mergejoin = off";
const SMALL: &str =
    "SELECT count(*) FROM users u JOIN posts p ON p.k = u.k WHERE u.active = 1 AND u.rank = 1";
/// PostgreSQL meets topics and posts first, and estimates the join with users by their estimate.
const LARGE: &str = "SELECT count(*) FROM topics t, posts p, visits v, users u \
    WHERE t.topic = p.topic AND t.page = v.page AND p.k = u.k AND u.active = 1 AND u.rank = 1";

/// The aliases below a node; adds the expected rows of each join to `joins`.
fn joins(node: &Value, found: &mut Vec<(BTreeSet<String>, f64)>) -> BTreeSet<String> {
    let mut aliases: BTreeSet<String> = node["Alias"].as_str().map(str::to_owned).into_iter().collect();
    for child in node["Plans"].as_array().into_iter().flatten() {
        aliases.extend(joins(child, found));
    }
    let kind = node["Node Type"].as_str().unwrap_or_default();
    if kind == "Nested Loop" || kind.ends_with("Join") {
        found.push((aliases.clone(), node["Plan Rows"].as_f64().unwrap_or(f64::NAN)));
    }
    aliases
}

fn explained(client: &mut Client, sql: &str) -> Result<Vec<(BTreeSet<String>, f64)>> {
    let answer = client.simple_query(&format!("EXPLAIN (FORMAT JSON) {sql}"))?;
    let text = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let plan: Value = serde_json::from_str(text.context("no plan")?)?;
    let mut found = Vec::new();
    joins(&plan[0]["Plan"], &mut found);
    Ok(found)
}

#[test]
fn a_join_counted_in_one_statement_corrects_a_larger_one_in_another() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server)
        .set("ruvector.dag_rewrite", "off")
        .set("ruvector.dag_first_sight", "rows")
        .start()?;
    let mut client = cluster.client("postgres")?;
    set_up(&mut client, SKEWED)?;
    client.batch_execute(HASHED)?;
    let expected = |client: &mut Client| -> Result<f64> {
        let unseen = LARGE.replace("count(*)", "count(*) + 1");
        let joins = explained(client, &unseen)?;
        let is_it = |set: &BTreeSet<String>| set.iter().map(String::as_str).eq(["p", "t", "u"]);
        let found = joins.iter().find(|(set, _)| is_it(set));
        found
            .map(|&(_, rows)| rows)
            .with_context(|| format!("another order: {joins:?}"))
    };
    for _ in 0..2 {
        client.simple_query(LARGE)?;
    }
    // What its own executions counted of joins is forgotten, also by the row model.
    client.batch_execute(
        "SELECT ruvector.dag_learn_now(); DELETE FROM ruvector.dag_corrections WHERE relation_count > 1;
         DELETE FROM ruvector.dag_trajectories; DELETE FROM ruvector.dag_state",
    )?;
    drop(client);
    cluster.restart("fast")?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(HASHED)?;
    wait_for("the worker to load what was learned", || {
        let known = count(
            &mut client,
            "SELECT count(*) FROM ruvector.dag_decisions() WHERE calls = 2",
        )?;
        Ok((known > 0).then_some(()))
    })?;
    let before = expected(&mut client)?;
    client.simple_query(SMALL)?;
    let after = expected(&mut client)?;
    // Active users have 910 posts or so, each of one topic.
    assert!(
        before < 50.0 && (600.0..1300.0).contains(&after),
        "{before}, then {after}"
    );
    Ok(())
}

//! Trials where nobody waits, on real clusters: with the rights of who ran the statement, read only, within their budget, and
//! with nothing stored that the owner did not ask for.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{answer, count, learning, measure, milliseconds, server};
use std::time::Duration;
use testkit::cluster::{Builder, wait_for};
use testkit::{Cluster, Server};

/// Bob has a table with row security and a function that tries what it may not.
const BOB: &str = "CREATE EXTENSION ruvector_dag;
    CREATE ROLE bob LOGIN; CREATE SCHEMA bob AUTHORIZATION bob; CREATE TABLE secret (n int);
    CREATE TABLE shared (id int PRIMARY KEY, owner name, a int, b int);
    INSERT INTO shared SELECT i, CASE WHEN i % 2 = 0 THEN 'bob' ELSE 'alice' END, i % 20, i % 20
        FROM generate_series(1, 40000) AS i;
    ALTER TABLE shared ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON shared USING (owner = current_user);
    GRANT SELECT ON shared TO bob; ANALYZE shared;
    SET ROLE bob; SET search_path = bob, public;
    CREATE TABLE seen (who name);
    CREATE FUNCTION spy(id int) RETURNS bool STABLE LANGUAGE plpgsql AS $$
        BEGIN
            IF id % 10000 = 0 THEN
                RAISE LOG 'spy: user %, path %, row %, read only %', current_user, current_setting('search_path'),
                    (SELECT owner FROM public.shared ORDER BY owner LIMIT 1), current_setting('transaction_read_only');
                PERFORM set_config('search_path', 'bob, pg_catalog', false);
                PERFORM set_config('work_mem', '12MB', false);
                BEGIN EXECUTE 'SET ROLE postgres'; RAISE LOG 'spy: role'; EXCEPTION WHEN OTHERS THEN NULL; END;
                BEGIN EXECUTE 'SET SESSION AUTHORIZATION postgres'; RAISE LOG 'spy: session';
                EXCEPTION WHEN OTHERS THEN NULL; END;
                BEGIN EXECUTE 'ALTER ROLE bob SUPERUSER'; RAISE LOG 'spy: superuser'; EXCEPTION WHEN OTHERS THEN NULL; END;
                BEGIN EXECUTE 'TABLE public.secret'; RAISE LOG 'spy: secret'; EXCEPTION WHEN OTHERS THEN NULL; END;
                BEGIN EXECUTE 'SET LOCAL transaction_read_only = off'; RAISE LOG 'spy: writable';
                EXCEPTION WHEN OTHERS THEN NULL; END;
            END IF;
            RETURN true;
        END $$;
    RESET ROLE; RESET search_path";
const SPYING: &str = "SELECT count(*) FROM public.shared x JOIN public.shared y USING (id) WHERE x.a = 0 AND x.b = 0 AND bob.spy(x.id)";

fn dreaming(server: &Server) -> Builder<'_> {
    learning(server)
        .set("ruvector.dag_dream_execute", "on")
        .set("ruvector.dag_store_literals", "on")
        .set("ruvector.dag_explore_budget", "0")
        .set("max_parallel_workers_per_gather", "0")
        .set("jit", "off")
}

const TEXTS: &str = "SELECT count(*) FROM ruvector.dag_statement_texts";

/// Waits without a statement: dreams end when one begins.
fn idle(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

/// Two tables whose join takes some tenths of a second, however it is done.
const LONG: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE p (id int PRIMARY KEY, a int); CREATE TABLE q (id int PRIMARY KEY, a int);
    INSERT INTO p SELECT i, i % 100 FROM generate_series(1, 20000) AS i; INSERT INTO q SELECT * FROM p; ANALYZE p, q";
const LONG_STATEMENT: &str = "SELECT count(*) FROM p JOIN q USING (a) WHERE p.id + q.id > 10";

fn run(client: &mut Client, sql: &str, times: usize) -> Result<()> {
    (0..times).try_for_each(|_| Ok(client.simple_query(sql).map(drop)?))
}

#[test]
fn a_dream_has_the_rights_of_who_ran_the_statement_and_leaves_no_setting_behind() -> Result<()> {
    let server = server()?;
    let cluster = dreaming(&server).set("ruvector.dag_dream_budget", "0").start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(BOB)?;
    let mut bob = cluster.client_as("postgres", "bob")?;
    bob.batch_execute("SET search_path = bob, public; SELECT true")?;
    let expected = answer(&mut bob, SPYING);
    run(&mut bob, SPYING, 2)?;
    let settings = "SELECT current_user, session_user, current_setting('search_path'), current_setting('work_mem'), \
                    current_setting('transaction_read_only')";
    let before = answer(&mut client, settings);
    let log = cluster.log()?.len();
    client.simple_query("SELECT * FROM ruvector.dag_dream('10 s')")?;
    assert_eq!(answer(&mut client, settings), before);
    assert!(measure(&mut client, "trials_run")? > 0.0);
    let log = cluster.log()?.split_off(log);
    let spied: Vec<&str> = log.lines().filter(|line| line.contains("LOG:  spy: ")).collect();
    assert!(!spied.is_empty(), "{log}");
    for line in spied {
        let ok = line.contains("spy: user bob, path bob, public, row bob, read only on")
            || line.contains("spy: user bob, path bob, pg_catalog, row bob, read only on");
        assert!(ok, "{line}");
    }
    assert_eq!(
        count(
            &mut client,
            "SELECT count(*) FROM pg_roles WHERE rolname = 'bob' AND rolsuper"
        )?,
        0
    );
    // What bob may not read any more, dreams can't either.
    client.batch_execute("REVOKE SELECT ON shared FROM bob; SELECT ruvector.dag_reset_learning()")?;
    client.batch_execute("GRANT SELECT ON shared TO bob")?;
    assert_eq!(answer(&mut bob, SPYING), expected);
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    Ok(())
}

/// A small table whose rows are waited for, so that workers help on any machine.
const SLOW: &str = "CREATE EXTENSION ruvector_dag;
    CREATE FUNCTION slow(id int) RETURNS boolean STABLE PARALLEL SAFE COST 10000 LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(0.002); RETURN id > 0; END';
    CREATE TABLE small (id int, padding text) WITH (autovacuum_enabled = off);
    INSERT INTO small SELECT i, repeat('x', 1000) FROM generate_series(1, 200) AS i; ANALYZE small";

#[test]
fn a_small_table_is_read_by_parallel_workers_where_that_is_faster_and_the_session_may() -> Result<()> {
    let server = server()?;
    let dreaming = dreaming(&server).set("ruvector.dag_dream_budget", "0");
    let cluster = dreaming.set("max_parallel_workers_per_gather", "2").start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(SLOW)?;
    let statement = "SELECT count(*) FROM small WHERE slow(id)";
    client.batch_execute("SET ruvector.dag_hint_sets = off")?;
    run(&mut client, statement, 3)?;
    let explained = |client: &mut Client| answer(client, &format!("EXPLAIN {statement}")).concat();
    assert!(!explained(&mut client).contains("Gather"));
    client.simple_query("SELECT * FROM ruvector.dag_dream('20 s')")?;
    client.batch_execute(
        "SELECT ruvector.dag_pin_decision(class, 'parallel workers for small tables')
         FROM ruvector.dag_decisions(), jsonb_array_elements(tried) AS t
         WHERE t ->> 'decision' = 'parallel workers for small tables' AND (t ->> 'runs')::int > 0",
    )?;
    let plan = explained(&mut client);
    assert!(
        plan.contains("Workers Planned: 2") && plan.contains("pinned"),
        "{plan}"
    );
    assert_eq!(count(&mut client, statement)?, 200);
    let least_size = "SELECT count(*) FROM pg_settings WHERE name LIKE 'min_parallel%' AND setting::int > 0";
    assert_eq!(count(&mut client, least_size)?, 2);
    let query = "SELECT ruvector.dag_rewrite_query($1)";
    let rewritten: String = client.query_one(query, &[&statement])?.get(0);
    assert!(
        rewritten.contains("-- SET LOCAL min_parallel_table_scan_size = 0;"),
        "{rewritten}"
    );
    // The limit on their number is the session's own.
    client.batch_execute("SET max_parallel_workers_per_gather = 0")?;
    let plan = explained(&mut client);
    assert!(!plan.contains("Gather"), "{plan}");
    assert_eq!(count(&mut client, statement)?, 200);
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    Ok(())
}

#[test]
fn another_statement_of_the_same_text_is_not_run() -> Result<()> {
    let server = server()?;
    let cluster = dreaming(&server).set("ruvector.dag_dream_budget", "0").start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(LONG)?;
    client.batch_execute("CREATE ROLE bob LOGIN; GRANT SELECT ON p, q TO bob")?;
    run(&mut cluster.client_as("postgres", "bob")?, LONG_STATEMENT, 2)?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    // The caller's temporary table comes first in everybody's path.
    client.batch_execute("CREATE TEMP TABLE p AS SELECT * FROM public.p; GRANT SELECT ON p TO bob")?;
    client.simple_query("SELECT * FROM ruvector.dag_dream('4 s')")?;
    assert_eq!(measure(&mut client, "trials_run")?, 0.0);
    client.batch_execute("DROP TABLE pg_temp.p")?;
    client.simple_query("SELECT * FROM ruvector.dag_dream('4 s')")?;
    assert!(measure(&mut client, "trials_run")? > 0.0);
    Ok(())
}

#[test]
fn texts_are_stored_only_when_asked_to_without_parameters_and_removed_when_not() -> Result<()> {
    let server = server()?;
    let cluster = dreaming(&server).set("ruvector.dag_dream_budget", "0").start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(LONG)?;
    client.batch_execute("ALTER SYSTEM SET ruvector.dag_store_literals = off")?;
    client.batch_execute("SELECT pg_reload_conf()")?;
    wait_for("the setting", || {
        Ok((answer(&mut client, "SHOW ruvector.dag_store_literals")[0] == "off").then_some(()))
    })?;
    client.batch_execute("SELECT count(*) FROM p WHERE a = 4711; SELECT ruvector.dag_learn_now()")?;
    assert_eq!(count(&mut client, TEXTS)?, 0);
    client.batch_execute("ALTER SYSTEM SET ruvector.dag_store_literals = on")?;
    client.batch_execute("SELECT pg_reload_conf()")?;
    wait_for("the setting", || {
        Ok((answer(&mut client, "SHOW ruvector.dag_store_literals")[0] == "on").then_some(()))
    })?;
    client.query("SELECT count(*) FROM p WHERE a = $1", &[&4712])?;
    // The worker takes the setting over in its own time.
    wait_for("the text to be stored", || {
        client.batch_execute("SELECT count(*) FROM p WHERE a = 4713")?;
        client.batch_execute("SELECT ruvector.dag_learn_now()")?;
        let stored = format!("{TEXTS} WHERE query ~ 'FROM p WHERE a = 4713'");
        Ok((count(&mut client, &stored)? == 1).then_some(()))
    })?;
    assert_eq!(count(&mut client, &format!("{TEXTS} WHERE query ~ '[$]'"))?, 0);
    let mut other = cluster.client("postgres")?;
    other.batch_execute("CREATE ROLE reader LOGIN; GRANT pg_read_all_stats TO reader")?;
    assert!(
        cluster
            .client_as("postgres", "reader")?
            .simple_query(TEXTS)
            .is_err()
    );
    client.batch_execute("ALTER SYSTEM SET ruvector.dag_store_literals = off")?;
    client.batch_execute("SELECT pg_reload_conf()")?;
    wait_for("the texts to be removed", || {
        client.simple_query("SELECT count(*) FROM q WHERE a = 4714")?;
        Ok((count(&mut client, TEXTS)? == 0).then_some(()))
    })
}

#[test]
fn an_idle_server_dreams_within_its_budget() -> Result<()> {
    let server = server()?;
    let cluster = dreaming(&server)
        .set("ruvector.dag_dream_budget", "2")
        .set("ruvector.dag_dream_load", "1")
        .start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(LONG)?;
    run(&mut client, LONG_STATEMENT, 2)?;
    // A busy machine may be idle only after a while.
    for _ in 0..6 {
        idle(15);
        if measure(&mut client, "trials_run")? > 0.0 {
            break;
        }
    }
    idle(5);
    let run = measure(&mut client, "trials_run")?;
    assert!(run > 0.0, "nothing was tried");
    idle(3);
    assert_eq!(measure(&mut client, "trials_run")?, run, "the budget is spent");
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let spent = "SELECT coalesce(sum(execution_ms), 0)::bigint FROM ruvector.dag_trajectories WHERE is_trial";
    let spent_ms = count(&mut client, spent)?;
    assert!(spent_ms <= 2500, "{spent_ms} ms");
    Ok(())
}

#[test]
fn a_dream_ends_when_a_users_statement_begins() -> Result<()> {
    let server = server()?;
    let cluster = dreaming(&server)
        .set("ruvector.dag_dream_budget", "600")
        .set("ruvector.dag_dream_load", "1")
        .start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(LONG)?;
    let three_times = LONG_STATEMENT.replace("USING (a)", "USING (a), generate_series(1, 3)");
    for _ in 0..2 {
        let took_ms = milliseconds(&mut client, &three_times)?;
        assert!(took_ms > 500.0, "{took_ms} ms are too few to be interrupted");
    }
    // One statement every tenth of a second: no trial that takes longer comes to its end.
    let ends = std::time::Instant::now() + Duration::from_secs(8);
    while std::time::Instant::now() < ends {
        client.simple_query("SELECT count(*) FROM p WHERE id = 1")?;
        std::thread::sleep(Duration::from_millis(80));
    }
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let long = "SELECT count(*) FROM ruvector.dag_trajectories WHERE is_trial AND execution_ms > 400";
    assert_eq!(count(&mut client, long)?, 0);
    Ok(())
}

#[test]
fn what_writes_locks_or_is_volatile_is_not_dreamt_of() -> Result<()> {
    let server = server()?;
    let cluster: Cluster<'_> = dreaming(&server).set("ruvector.dag_dream_budget", "0").start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(LONG)?;
    client.batch_execute("CREATE TABLE written (n bigint)")?;
    for sql in [
        "INSERT INTO written SELECT count(*) FROM p JOIN q USING (a) WHERE p.id < 500",
        "UPDATE p SET a = q.a FROM q WHERE q.id = p.id AND p.id < 500",
        "SELECT p.id FROM p JOIN q USING (id) WHERE p.id < 500 FOR UPDATE",
        "SELECT count(*) FROM p JOIN q USING (id) WHERE p.a + random() > 5",
    ] {
        run(&mut client, sql, 3)?;
    }
    client.simple_query("SELECT * FROM ruvector.dag_dream('3 s')")?;
    assert_eq!(measure(&mut client, "trials_run")?, 0.0);
    assert_eq!(count(&mut client, "SELECT count(*) FROM written")?, 3);
    Ok(())
}

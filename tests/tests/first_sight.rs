//! Statements never seen, on a real cluster: they take the methods that are predicted to be faster by how long operators took, or that were
//! faster where stock plans were like theirs.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{answer, load, server, trying};
use testkit::cluster::wait_for;

/// A table of which every statement wants a thousandth, in columns that make statements differ: large enough for several plannings.
const DATA: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE t (a int, c0 int, c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int);
    INSERT INTO t SELECT i % 1000, i, i, i, i, i, i, i, i FROM generate_series(1, 1000000) AS i;
    CREATE INDEX ON t (a);
    CREATE TABLE u AS SELECT * FROM t;
    CREATE INDEX ON u (a);
    ANALYZE t, u";

/// Statements that are learned from; one that is not, and one of another table.
const LEARNED: usize = 12;
const NEVER_SEEN: usize = 15;
const OF_ANOTHER_TABLE: &str = "EXPLAIN SELECT count(*) FROM u WHERE a = 7";

fn statement(number: usize) -> String {
    format!(
        "SELECT count(*), sum(c{} - c{}) FROM t WHERE a = 7",
        number % 8,
        number / 8
    )
}

fn cost(client: &mut Client) -> Result<f64> {
    let plan = answer(client, &format!("EXPLAIN (FORMAT JSON) {}", statement(0)));
    let plan: serde_json::Value = serde_json::from_str(&plan[0])?;
    let cost = plan[0]["Plan"]["Total Cost"].as_f64();
    anyhow::Context::context(cost, "a cost")
}

/// Finds what a random page must cost for reading all of the table to be estimated a little cheaper than the index, without
/// bitmaps. Answers the settings.
fn make_a_tie(client: &mut Client) -> Result<String> {
    client.batch_execute("SET ruvector.dag_mode = off; SET enable_bitmapscan = off")?;
    let (mut least, mut most) = (1.0, 1000.0);
    for _ in 0..40 {
        let tried = (least + most) / 2.0;
        client.batch_execute(&format!(
            "SET random_page_cost = {tried}; SET enable_seqscan = off"
        ))?;
        let index = cost(client)?;
        client.batch_execute("SET enable_seqscan = on; SET enable_indexscan = off")?;
        let sequential = cost(client)?;
        client.batch_execute("RESET enable_indexscan")?;
        match index < 1.05 * sequential {
            true => least = tried,
            false => most = tried,
        }
    }
    client.batch_execute("RESET ruvector.dag_mode; RESET enable_seqscan")?;
    Ok(format!(
        "SET random_page_cost = {least}; SET enable_bitmapscan = off"
    ))
}

fn explained(client: &mut Client) -> String {
    answer(client, &format!("EXPLAIN {}", statement(NEVER_SEEN))).join("\n")
}

#[test]
fn what_was_faster_where_plans_were_alike_is_taken_and_compared_with_stock_afterwards() -> Result<()> {
    others_teach("similar", |client| {
        let unlike = answer(client, OF_ANOTHER_TABLE).join("\n");
        assert!(unlike.contains("Seq Scan"), "{unlike}");
    })
}

#[test]
fn what_is_predicted_to_be_faster_is_taken_and_compared_with_stock_afterwards() -> Result<()> {
    others_teach("predicted", |client| {
        let times = "SELECT i.ms_per_1000_cost < s.ms_per_1000_cost, s.plans >= 20 FROM ruvector.dag_operator_times() AS i, \
                     ruvector.dag_operator_times() AS s WHERE i.operator = 'index scan' AND s.operator = 'sequential scan'";
        assert_eq!(answer(client, times), ["t,t", "1 rows"]);
        // Operators take what they take, whatever they read.
        let unlike = answer(client, OF_ANOTHER_TABLE).join("\n");
        assert!(!unlike.contains("Seq Scan"), "{unlike}");
    })
}

/// Learns from other statements and plans one that was never seen; `look` looks at what was learned meanwhile.
fn others_teach(first_sight: &str, look: impl Fn(&mut Client)) -> Result<()> {
    let server = server()?;
    let cluster = trying(&server)
        .set("ruvector.dag_rewrite", "off")
        .set("ruvector.dag_explore_budget", "0")
        .set("ruvector.dag_first_sight", first_sight)
        .start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, DATA)?;
    let tied = make_a_tie(&mut client)?;
    client.batch_execute(&tied)?;
    let never_seen = explained(&mut client);
    assert!(
        never_seen.contains("Seq Scan") && !never_seen.contains("RuVector"),
        "{never_seen}"
    );
    for number in 0..LEARNED {
        for _ in 0..2 {
            client.simple_query(&statement(number))?;
        }
    }
    client.simple_query("SELECT * FROM ruvector.dag_dream('20 s')")?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let never_seen = explained(&mut client);
    assert!(
        !never_seen.contains("Seq Scan") && never_seen.contains("(at first sight)"),
        "{never_seen}"
    );
    look(&mut client);
    drop(client);
    cluster.restart("fast")?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(&tied)?;
    wait_for("the worker to load", || {
        let is_known = explained(&mut client).contains("(at first sight)");
        Ok(is_known.then_some(()))
    })?;
    client.batch_execute("SET ruvector.dag_first_sight = off")?;
    assert!(explained(&mut client).contains("Seq Scan"));
    client.batch_execute("RESET ruvector.dag_first_sight; SET ruvector.dag_mode = off")?;
    let expected = answer(&mut client, &statement(NEVER_SEEN));
    client.batch_execute("RESET ruvector.dag_mode; SET ruvector.dag_explore_budget = 1")?;
    // Used twice, then the stock plan is given a little more time than it takes, and loses.
    for _ in 0..6 {
        assert_eq!(answer(&mut client, &statement(NEVER_SEEN)), expected);
    }
    let used = explained(&mut client);
    assert!(
        used.contains("RuVector") && !used.contains("at first sight"),
        "{used}"
    );
    let decided =
        "SELECT state, decision <> 'stock plan', reason FROM ruvector.dag_decisions() WHERE calls > 2";
    let faster = "applied,t,another plan was measured faster than the stock plan";
    assert_eq!(answer(&mut client, decided), [faster, "1 rows"]);
    Ok(())
}

/// A table without an index is read in order under any hint set, at a cost of ten billions where that is switched off.
#[test]
fn penalties_for_what_is_switched_off_compile_nothing() -> Result<()> {
    const STATEMENT: &str = "SELECT count(*), sum(c0) FROM t, w WHERE a = 7 AND x = c0 % 100";
    let server = server()?;
    let cluster = trying(&server)
        .set("ruvector.dag_rewrite", "off")
        .set("ruvector.dag_explore_budget", "0")
        .set("jit", "on")
        .start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, DATA)?;
    load(
        &mut client,
        "CREATE TABLE w AS SELECT i AS x FROM generate_series(1, 100) AS i; ANALYZE w",
    )?;
    let tied = make_a_tie(&mut client)?;
    client.batch_execute(&tied)?;
    for _ in 0..2 {
        client.simple_query(STATEMENT)?;
    }
    client.simple_query("SELECT * FROM ruvector.dag_dream('20 s')")?;
    let used = answer(&mut client, &format!("EXPLAIN {STATEMENT}")).join("\n");
    assert!(
        used.contains("Seq Scan on w") && used.contains("no sequential scan") && !used.contains("JIT:"),
        "{used}"
    );
    let portable = format!("SELECT ruvector.dag_rewrite_query('{STATEMENT}')");
    let portable = answer(&mut client, &portable).join("\n");
    assert!(portable.contains("SET LOCAL jit = off;"), "{portable}");
    Ok(())
}

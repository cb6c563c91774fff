//! What surrounds a statement keeps its meaning where the statement is rewritten: parameters, cursors, plans kept for
//! later, rights, locks, functions.
//!
//! Each case runs in two sessions, stock and with rewrites forced, which have to see the same.

use anyhow::{Context, Result};
use ruvector_dag_tests::rewriting::{EACH_RULE, OF_EACH_RULE, Pair, TABLES};
use ruvector_dag_tests::{answer, server};
use testkit::Cluster;

#[test]
fn each_rule_is_named_by_explain_and_can_be_switched_off() -> Result<()> {
    let server = server()?;
    let mut pair = Pair::new(&server)?;
    for (rule, sql) in OF_EACH_RULE {
        let explained = answer(&mut pair.forced, &format!("EXPLAIN {sql}"));
        assert!(
            explained.iter().any(|line| line.contains(rule)),
            "{rule}: {explained:#?} {:#?}",
            answer(
                &mut pair.forced,
                &format!("SELECT ruvector.dag_rewrite_query($${sql}$$)")
            )
        );
        pair.same(sql);
        let others: Vec<&str> = OF_EACH_RULE
            .iter()
            .map(|&(name, _)| name)
            .filter(|&name| name != rule)
            .collect();
        let others = others.join(", ");
        pair.forced
            .batch_execute(&format!("SET ruvector.dag_rewrite_rules = '{others}'"))?;
        pair.is_left_alone(sql);
        pair.forced.batch_execute("RESET ruvector.dag_rewrite_rules")?;
    }
    let sql = "SELECT rule, executions FROM ruvector.dag_rewrite_savings() WHERE executions > 0";
    pair.forced.batch_execute("SET ruvector.dag_rewrite = auto")?;
    assert!(pair.forced.query(sql, &[])?.len() <= OF_EACH_RULE.len());
    pair.without_errors()
}

#[test]
fn executions_are_counted_for_their_rules() -> Result<()> {
    let server = server()?;
    let cluster = Cluster::builder(&server)
        .set("ruvector.dag_min_duration", "0")
        .start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(TABLES)?;
    client.batch_execute(EACH_RULE)?;
    for (_, sql) in OF_EACH_RULE {
        client.simple_query(sql)?;
    }
    let sql = "SELECT rule, executions, saved_ms + lost_ms FROM ruvector.dag_rewrite_savings()";
    for row in client.query(sql, &[])? {
        let (rule, executions): (String, i64) = (row.get(0), row.get(1));
        assert!(executions >= 1, "{rule}");
        assert!(row.get::<_, f64>(2).is_finite());
    }
    Ok(())
}

#[test]
fn parameters_of_custom_and_generic_plans_reach_rewritten_statements() -> Result<()> {
    let server = server()?;
    let mut pair = Pair::new(&server)?;
    let statements = [
        "SELECT a.x, count(*) FROM a JOIN b ON b.k = a.k JOIN c ON c.k = b.k WHERE c.y < $1 GROUP BY a.x",
        "SELECT a.x, count(c.y) FROM a LEFT JOIN c ON c.k = a.k AND c.y < $1 GROUP BY a.x",
        "SELECT a.id, (SELECT count(*) + $1 FROM c WHERE c.k = a.k AND c.y < $1) FROM a",
        "SELECT a.id FROM a WHERE a.x = $1 OR EXISTS (SELECT FROM c WHERE c.k = a.k AND c.y < $1)",
        "SELECT a.id FROM a WHERE a.x NOT IN (SELECT b.x FROM b WHERE b.id < $1)",
        "SELECT DISTINCT a.x FROM a JOIN c ON c.k < a.k + $1",
        "SELECT a.id FROM a WHERE a.x IN (SELECT c.y FROM c WHERE c.k = a.k AND c.y <> $1)",
        "SELECT a.id, b.x FROM a LEFT JOIN b ON b.id = a.k AND b.x < 9 ORDER BY a.x DESC, a.id LIMIT $1",
    ];
    for mode in ["force_custom_plan", "force_generic_plan"] {
        for sql in statements {
            pair.same(&format!("SET plan_cache_mode = {mode}; PREPARE p (int) AS {sql}"));
            for n in [3, 0, 100] {
                pair.same(&format!("EXECUTE p ({n})"));
            }
            pair.same("EXECUTE p (NULL); DEALLOCATE p");
        }
    }
    pair.without_errors()
}

#[test]
fn cursors_with_hold_give_all_rows_after_their_transaction() -> Result<()> {
    let server = server()?;
    let mut pair = Pair::new(&server)?;
    for (_, sql) in OF_EACH_RULE {
        for kind in ["CURSOR", "NO SCROLL CURSOR", "SCROLL CURSOR"] {
            pair.same(&format!("BEGIN; DECLARE walk {kind} WITH HOLD FOR {sql}; COMMIT"));
            let fetched = pair.same("FETCH ALL FROM walk; CLOSE walk");
            assert!(fetched.len() > 1);
        }
    }
    pair.without_errors()
}

/// A kept plan that depends on what goes: the statement, what changes, and what is inserted then.
const INVALIDATED: [(&str, &str); 10] = [
    (
        "SELECT a.id, b.k, b.x FROM a LEFT JOIN b ON b.id = a.id ORDER BY a.id LIMIT 1",
        "ALTER TABLE a DROP CONSTRAINT a_pkey; INSERT INTO a VALUES (0, 1, 1); INSERT INTO b VALUES (0, 1, 1)",
    ),
    (
        "SELECT count(*) FROM b AS one JOIN b AS two ON one.id = two.id",
        "ALTER TABLE b DROP CONSTRAINT b_pkey; INSERT INTO b SELECT * FROM b",
    ),
    (
        "SELECT count(*) FROM b AS one JOIN b AS two ON one.id = two.id AND one.x < 9",
        "CREATE TABLE more () INHERITS (b); INSERT INTO more SELECT * FROM b",
    ),
    (
        "SELECT count(*) FROM a WHERE a.x NOT IN (SELECT b.x FROM b WHERE b.id > 84)",
        "ALTER TABLE b ALTER x DROP NOT NULL; INSERT INTO b VALUES (1000, 1, NULL)",
    ),
    (
        "SELECT count(*) FROM a WHERE a.x NOT IN (SELECT b.id FROM b WHERE b.id > 4)",
        "ALTER TABLE a ALTER x DROP NOT NULL; INSERT INTO a VALUES (1000, 1, NULL), (1001, 1, 0)",
    ),
    (
        "SELECT count(*), count(b.x) FROM c LEFT JOIN b ON b.id = c.k",
        "ALTER TABLE b DROP CONSTRAINT b_pkey; INSERT INTO b SELECT * FROM b",
    ),
    (
        "SELECT a.x, count(*) FROM c JOIN a ON a.id = c.k JOIN b ON b.k = a.k GROUP BY a.x",
        "ALTER TABLE a DROP CONSTRAINT a_pkey; INSERT INTO a SELECT * FROM a",
    ),
    (
        "SELECT a.id, (SELECT sum(c.y) FROM c WHERE c.k = a.k) FROM a",
        "ALTER TABLE c ALTER k TYPE bigint; INSERT INTO c VALUES (4, 7)",
    ),
    (
        "SELECT count(*) FROM d JOIN p ON p.id = d.owner",
        "ALTER TABLE d DROP CONSTRAINT d_owner_fkey; INSERT INTO d VALUES (1000, 1, 1, 9999), (1001, 1, 1, 2)",
    ),
    (
        "SELECT count(*) FROM d JOIN p ON p.id = d.owner AND d.x < 9",
        "ALTER TABLE p DISABLE TRIGGER ALL; DELETE FROM p WHERE id = 2",
    ),
];

#[test]
fn kept_plans_are_made_again_when_what_they_depend_on_goes() -> Result<()> {
    let server = server()?;
    for (sql, change) in INVALIDATED {
        let mut pair = Pair::new(&server)?;
        assert!(
            pair.is_rewritten(sql, "rewritten") || sql.contains("LEFT JOIN"),
            "{sql}"
        );
        pair.same(&format!(
            "SET plan_cache_mode = force_generic_plan; PREPARE kept AS {sql}"
        ));
        let before = pair.same("EXECUTE kept");
        pair.cluster.client("postgres")?.batch_execute(change)?;
        let after = pair.same("EXECUTE kept");
        assert_ne!(before, after, "{sql}");
        pair.without_errors()?;
    }
    Ok(())
}

#[test]
fn rows_that_policies_hide_stay_hidden() -> Result<()> {
    let server = server()?;
    let mut pair = Pair::new(&server)?;
    pair.stock.batch_execute(
        "CREATE ROLE clerk; GRANT SELECT ON a, b, c, d, p TO clerk; GRANT USAGE ON SCHEMA ruvector TO clerk;
         ALTER TABLE c ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON c USING (y > 1)",
    )?;
    pair.same("SET ROLE clerk");
    for (rule, sql) in OF_EACH_RULE {
        match rule {
            "not_in_to_anti_join" => _ = pair.same(sql),
            _ => pair.is_left_alone(sql),
        }
    }
    pair.without_errors()
}

#[test]
fn security_barriers_and_rights_on_columns_hold() -> Result<()> {
    let server = server()?;
    let mut pair = Pair::new(&server)?;
    pair.stock.batch_execute(
        "CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM c WHERE y > 1;
         CREATE ROLE clerk; GRANT USAGE ON SCHEMA ruvector TO clerk; GRANT SELECT ON a, c, guarded TO clerk;
         GRANT SELECT (id, k) ON b TO clerk;
         CREATE VIEW of_b AS SELECT k, hidden FROM b; GRANT SELECT ON of_b TO clerk",
    )?;
    for (_, sql) in OF_EACH_RULE {
        let sql = sql.replace(" c ", " guarded c ");
        if !sql.contains("(SELECT") {
            pair.is_left_alone(&sql);
        }
        pair.same(&sql);
    }
    pair.same("SET ROLE clerk");
    for sql in [
        // Allowed.
        "SELECT a.x, count(*) FROM a JOIN b ON b.k = a.k JOIN c ON c.k = b.k GROUP BY a.x",
        "SELECT a.x, count(b.id) FROM a LEFT JOIN b ON b.k = a.k GROUP BY a.x",
        "SELECT a.id, (SELECT count(*) FROM b WHERE b.k = a.k) FROM a",
        "SELECT a.id, (SELECT sum(hidden) FROM of_b WHERE of_b.k = a.k) FROM a",
        "SELECT DISTINCT a.id FROM a JOIN b ON b.k < a.k",
        "SELECT a.id FROM a WHERE a.k IN (SELECT b.k FROM b WHERE b.id > a.x)",
        "SELECT a.id, b.k FROM a LEFT JOIN b ON b.id = a.k ORDER BY a.x, a.id LIMIT 4",
        // Refused.
        "SELECT b.id, a.k FROM b LEFT JOIN a ON a.id = b.k ORDER BY b.hidden, b.id LIMIT 4",
        "SELECT a.id FROM a WHERE a.k IN (SELECT b.hidden FROM b WHERE b.id > a.x)",
        "SELECT DISTINCT a.id FROM a JOIN b ON b.k < a.k AND b.hidden > 2",
        "SELECT a.x, sum(b.hidden) FROM a LEFT JOIN b ON b.k = a.k GROUP BY a.x",
        "SELECT a.id, (SELECT max(b.hidden) FROM b WHERE b.k = a.k) FROM a",
        "SELECT a.id FROM a WHERE a.x = 3 OR EXISTS (SELECT FROM b WHERE b.k = a.k AND b.hidden > 2)",
        "SELECT a.id FROM a WHERE a.x NOT IN (SELECT b.x FROM b)",
    ] {
        pair.same(sql);
    }
    pair.without_errors()
}

#[test]
fn what_has_effects_or_locks_is_left_alone() -> Result<()> {
    let server = server()?;
    let mut pair = Pair::new(&server)?;
    pair.stock.batch_execute(
        "CREATE FUNCTION dice() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 4';
         CREATE FUNCTION twice(n int) RETURNS SETOF int LANGUAGE sql IMMUTABLE AS 'VALUES (n), (n)'",
    )?;
    for sql in [
        "SELECT a.x, count(*) FROM a LEFT JOIN c ON c.k = a.k AND c.y < dice() GROUP BY a.x",
        "SELECT a.id, (SELECT count(*) FROM c WHERE c.k = a.k AND c.y < dice()) FROM a",
        "SELECT DISTINCT a.id FROM a JOIN c ON c.k < a.k + dice()",
        "SELECT a.id, dice() FROM a WHERE a.x NOT IN (SELECT b.x FROM b)",
        "SELECT a.id FROM a WHERE a.x IN (SELECT c.y + dice() FROM c WHERE c.k = a.k)",
        "SELECT a.id FROM a WHERE a.x IN (SELECT c.y FROM c WHERE c.k = a.k) FOR UPDATE",
        "SELECT a.id FROM a WHERE a.x NOT IN (SELECT b.x FROM b WHERE b.id < 6) FOR UPDATE",
        "SELECT a.id, (SELECT count(*) FROM c WHERE c.k = a.k) FROM a FOR SHARE OF a",
        "SELECT a.id, (SELECT count(*) FROM (SELECT * FROM c FOR UPDATE) AS c WHERE c.k = a.k) FROM a",
        "SELECT a.x, twice(a.x), count(*) FROM a LEFT JOIN c ON c.k = a.k GROUP BY a.x",
        "SELECT a.id, (SELECT twice(1) FROM c WHERE c.k = a.k LIMIT 1) FROM a",
        "SELECT a.id FROM a WHERE a.x = 3 OR EXISTS (SELECT twice(c.k) FROM c WHERE c.k = a.k)",
        "SELECT a.id, b.x FROM a LEFT JOIN b ON b.id = a.k ORDER BY a.x, a.id LIMIT 4 FOR UPDATE OF a",
        "SELECT a.id, dice() FROM a LEFT JOIN b ON b.id = a.k ORDER BY a.x, a.id LIMIT 4",
        "SELECT a.id, twice(a.x) FROM a LEFT JOIN b ON b.id = a.k ORDER BY a.x, a.id LIMIT 4",
        "UPDATE a SET k = (SELECT count(*) FROM c WHERE c.k = a.k) WHERE a.x NOT IN (SELECT b.x FROM b)",
        "DELETE FROM a WHERE a.x NOT IN (SELECT b.x FROM b WHERE b.id < 3)",
        "DELETE FROM a WHERE a.x IN (SELECT c.y FROM c WHERE c.k = a.k)",
    ] {
        pair.stock.batch_execute("BEGIN")?;
        pair.forced.batch_execute("BEGIN")?;
        // Rows that one session changed or locked are not waited for: one after the other.
        assert!(!pair.is_rewritten(sql, ""), "{sql}");
        let forced = answer(&mut pair.forced, sql);
        pair.forced.batch_execute("ROLLBACK")?;
        let stock = answer(&mut pair.stock, sql);
        pair.stock.batch_execute("ROLLBACK")?;
        let sorted = |mut rows: Vec<String>| {
            rows.sort_unstable();
            rows
        };
        assert_eq!(sorted(forced), sorted(stock), "{sql}");
    }
    let changing = "WITH gone AS (DELETE FROM b WHERE id > 50 RETURNING k)
        SELECT a.id, (SELECT count(*) FROM c WHERE c.k = a.k) FROM a JOIN gone ON gone.k = a.k";
    assert!(!pair.is_rewritten(changing, ""));
    // Functions that give a row more often than once stay where they are, and what surrounds them may be rewritten.
    pair.same("SELECT a.id, twice(a.x), (SELECT count(*) FROM c WHERE c.k = a.k) FROM a");
    pair.same("SELECT count(*) FROM a JOIN twice(3) AS t ON t = a.x LEFT JOIN c ON c.k = a.k");
    pair.without_errors()
}

#[test]
fn functions_of_settings_are_called_by_every_execution() -> Result<()> {
    let server = server()?;
    let mut pair = Pair::new(&server)?;
    let statements = [
        "SELECT a.x, count(c.y) FROM a LEFT JOIN c ON c.k = a.k AND c.y < current_setting('app.n')::int GROUP BY a.x",
        "SELECT a.id, (SELECT count(*) FROM c WHERE c.k = a.k AND c.y < current_setting('app.n')::int) FROM a",
        "SELECT a.id FROM a WHERE a.x NOT IN (SELECT b.x FROM b WHERE b.id < current_setting('app.n')::int)",
    ];
    for sql in statements {
        pair.same("SET app.n = 2; SET plan_cache_mode = force_generic_plan");
        pair.same(&format!("PREPARE kept AS {sql}"));
        let before = pair.same("EXECUTE kept");
        pair.same("SET app.n = 4");
        assert_ne!(before, pair.same("EXECUTE kept"), "{sql}");
        pair.same("DEALLOCATE kept");
    }
    pair.without_errors()
}

#[test]
fn counts_beyond_a_bigint_fail_in_both_forms() -> Result<()> {
    let server = server()?;
    let mut pair = Pair::new(&server)?;
    pair.stock.batch_execute(
        "CREATE TABLE wide (k int, n bigint); INSERT INTO wide SELECT 1, 9e18 FROM generate_series(1, 40)",
    )?;
    let sides = |count: usize| -> String {
        (1..=count)
            .map(|at| format!(" LEFT JOIN wide w{at} ON w{at}.k = w0.k"))
            .collect()
    };
    // 40 to the power of 12 is beyond a bigint; stock PostgreSQL would count for years.
    let sql = format!("SELECT count(*) FROM wide w0{}", sides(11));
    let refused = answer(&mut pair.forced, &sql);
    let refused = refused.first().context("an answer")?;
    assert!(refused.contains("bigint out of range"), "{refused}");
    for aggregate in [
        "count(*)",
        "count(w1.n)",
        "sum(w1.n)",
        "sum(w0.n)",
        "avg(w2.n)",
        "sum(w1.k)",
    ] {
        pair.same(&format!("SELECT {aggregate} FROM wide w0{}", sides(2)));
    }
    pair.same("SELECT w0.k, (SELECT sum(w1.n) FROM wide w1 WHERE w1.k = w0.k) FROM wide w0");
    pair.without_errors()
}

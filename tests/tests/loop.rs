//! The loop on a real server: a misestimated statement is learned, corrected, kept or reverted, and shared.

use anyhow::Result;
use postgres::{Client, SimpleQueryMessage};
use ruvector_dag_tests::{learning, load, measure, server};
use testkit::cluster::wait_for;
use testkit::{Cluster, Server};

const DATA: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE customers (id int PRIMARY KEY, city int, country int, language int);
    INSERT INTO customers SELECT i, c, c / 10, c / 10 FROM (SELECT i, i % 50 AS c FROM generate_series(1, 20000) AS i) AS s;
    CREATE TABLE orders (id int PRIMARY KEY, customer_id int, year int);
    INSERT INTO orders SELECT i, 1 + i % 20000, i % 7 FROM generate_series(1, 100000) AS i;
    CREATE INDEX ON orders (customer_id);
    ANALYZE customers; ANALYZE orders";

const STATEMENT: &str = "SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id \
    WHERE c.country = 2 AND c.language = 2 AND c.city BETWEEN 20 AND 29";

/// Statements are planned as they are written, those never seen with what is known of their tables.
fn cluster(server: &Server) -> Result<Cluster<'_>> {
    let cluster = learning(server)
        .set("ruvector.dag_rewrite", "off")
        .set("ruvector.dag_first_sight", "rows")
        .start()?;
    load(&mut cluster.client("postgres")?, DATA)?;
    Ok(cluster)
}

/// A statement over the same join that never ran.
fn unseen() -> String {
    STATEMENT.replace("count(*)", "count(*) + 1")
}

fn value(client: &mut Client, sql: &str) -> Result<String> {
    let messages = client.simple_query(sql)?;
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("").to_owned()),
        _ => None,
    });
    Ok(row.unwrap_or_default())
}

fn json(client: &mut Client, sql: &str) -> Result<serde_json::Value> {
    let messages = client.simple_query(sql)?;
    let lines = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(serde_json::from_str(&lines.collect::<String>())?)
}

fn plan(client: &mut Client, sql: &str) -> Result<serde_json::Value> {
    Ok(json(client, &format!("EXPLAIN (FORMAT JSON) {sql}"))?[0]["Plan"].clone())
}

/// Rows of the topmost join.
fn join_rows(plan: &serde_json::Value) -> f64 {
    let name = plan["Node Type"].as_str().unwrap_or("");
    if name.ends_with("Join") || name == "Nested Loop" {
        return plan["Plan Rows"].as_f64().unwrap_or(0.0);
    }
    plan["Plans"]
        .as_array()
        .map_or(0.0, |plans| plans.iter().map(join_rows).fold(0.0, f64::max))
}

#[test]
fn a_counted_join_is_planned_with_its_true_size() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    let stock = join_rows(&plan(&mut client, STATEMENT)?);
    let truth: f64 = value(&mut client, STATEMENT)?.parse()?;
    assert!(
        truth / stock > 10.0,
        "the data no longer misleads PostgreSQL: {stock} estimated, {truth} counted"
    );
    let corrected = join_rows(&plan(&mut client, &unseen())?);
    // What the join's estimate comes to by the counted customers is left alone within a tenth; it depends on ANALYZE's sample.
    assert!(
        corrected.max(truth) / corrected.min(truth) < 1.1,
        "{corrected} planned, {truth} counted"
    );
    // Another session plans with it, too; one that only observes does not.
    let mut other = cluster.client("postgres")?;
    assert_eq!(join_rows(&plan(&mut other, &unseen())?), corrected);
    // Stock is measured before what is known of a statement itself is used.
    assert_eq!(join_rows(&plan(&mut other, STATEMENT)?), stock);
    other.batch_execute("SET ruvector.dag_mode = observe")?;
    assert_eq!(join_rows(&plan(&mut other, &unseen())?), stock);
    Ok(())
}

#[test]
fn a_table_joined_with_itself_by_its_key_is_learned_as_it_is_planned() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    // 18 can make one scan of it, and does by default.
    client.batch_execute(
        "SET ruvector.dag_row_model = off;
         SELECT set_config(name, boot_val, false) FROM pg_settings WHERE name = 'enable_self_join_elimination'",
    )?;
    let statement =
        "SELECT count(*) FROM customers x JOIN customers y USING (id) WHERE x.country = 2 AND y.language = 2";
    for _ in 0..4 {
        assert_eq!(value(&mut client, statement)?, "4000");
    }
    let scan = "SELECT id FROM customers WHERE country = 2 AND language = 2";
    let joined = plan(&mut client, statement)?.to_string().contains("Join");
    let rows = plan(&mut client, scan)?["Plan Rows"].as_f64().unwrap_or(0.0);
    // What one scan counted holds for any other scan with these conditions.
    assert_eq!(rows > 3900.0, !joined, "{rows} rows");
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    Ok(())
}

#[test]
fn a_prepared_statement_with_custom_plans_shares_what_was_learned() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(
        "SET plan_cache_mode = force_custom_plan;
         PREPARE q (int) AS SELECT count(*) FROM orders x JOIN customers y ON y.id = x.customer_id
         WHERE y.city BETWEEN 20 AND 29 AND y.country = $1 AND y.language = 2",
    )?;
    client.simple_query(STATEMENT)?;
    client.simple_query("EXECUTE q (2)")?;
    let explained = json(
        &mut client,
        &format!("SELECT ruvector.dag_explain($q${STATEMENT}$q$, 'json')"),
    )?;
    let join = explained["plan"]
        .as_array()
        .and_then(|nodes| nodes.iter().find(|node| node["join_type"] == "Inner"));
    let observations = join.and_then(|join| join["observations"].as_u64());
    assert_eq!(
        observations,
        Some(2),
        "both statements count the same join: {explained}"
    );
    Ok(())
}

#[test]
fn what_was_learned_fades_when_its_tables_change() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    for _ in 0..3 {
        client.simple_query(STATEMENT)?;
    }
    let corrected = join_rows(&plan(&mut client, &unseen())?);
    client.batch_execute("UPDATE customers SET language = language; DELETE FROM orders WHERE id % 2 = 0")?;
    client.batch_execute("ANALYZE customers; ANALYZE orders")?;
    let faded = wait_for("the statistics to arrive", || {
        let rows = join_rows(&plan(&mut client, &unseen())?);
        Ok((rows < corrected / 10.0).then_some(rows))
    })?;
    assert!(faded < corrected);
    // A rewritten table is another one at once.
    client.simple_query(STATEMENT)?;
    client.batch_execute("VACUUM FULL customers")?;
    let explained = json(
        &mut client,
        &format!("SELECT ruvector.dag_explain($q${STATEMENT}$q$, 'json')"),
    )?;
    let scan = explained["plan"]
        .as_array()
        .and_then(|nodes| nodes.iter().find(|node| node["relation"] == "customers"));
    assert_eq!(
        scan.map(|scan| scan["learned_rows"].is_null()),
        Some(true),
        "{explained}"
    );
    Ok(())
}

#[test]
fn a_live_plan_and_explain_give_the_same_dag() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("SET ruvector.dag_mode = observe")?;
    let statements = [
        STATEMENT,
        "SELECT city, count(*) FROM customers WHERE id < 100 GROUP BY city ORDER BY 2",
        "WITH w AS MATERIALIZED (SELECT * FROM customers WHERE city = 1) SELECT count(*) FROM w a JOIN w b USING (id)",
        "SELECT count(*) FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.year = 3)",
        "SELECT (SELECT max(id) FROM orders), count(*) FROM customers WHERE id IN (1, 2, 3)",
        "SELECT id FROM customers WHERE city = 1 UNION ALL SELECT id FROM orders WHERE year = 1",
        "SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.year = 9 WHERE o.id IS NULL",
        "SELECT count(*) FROM customers c WHERE c.id < 50 AND c.id > (SELECT avg(o.id) FROM orders o WHERE o.customer_id = c.id)",
    ];
    let mut counted = 0;
    for sql in statements {
        let before = value(&mut client, "SELECT clock_timestamp()")?;
        client.simple_query(sql)?;
        let newest = format!(
            "SELECT plan FROM ruvector.dag_trajectories WHERE ended_at > '{before}' ORDER BY trajectory_id LIMIT 1"
        );
        // Whoever is first writes it: the worker or this call.
        client.batch_execute("SELECT ruvector.dag_learn_now()")?;
        let written = wait_for("the execution to be written", || {
            Ok(client.query_opt(&newest, &[])?)
        })?;
        let binary: Vec<u8> = written.get(0);
        let live = engine::QueryDag::from_binary(&binary)?;
        let told = json(
            &mut client,
            &format!("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}"),
        )?;
        let told = engine::QueryDag::from_explain_json(&told.to_string())?;
        let (mut told_nodes, told_edges) = bare(&told);
        let (live_nodes, live_edges) = bare(&live);
        // Only the nodes that produce a relation are counted.
        for (told, live) in told_nodes
            .iter_mut()
            .zip(&live_nodes)
            .filter(|(_, live)| live.loops.is_none())
        {
            (told.actual_rows, told.loops) = (live.actual_rows, live.loops);
        }
        for (told, live) in told_nodes.iter_mut().zip(&live_nodes) {
            told.startup_cost = unrounded(told.startup_cost, live.startup_cost);
            told.total_cost = unrounded(told.total_cost, live.total_cost);
        }
        assert_eq!(live_nodes, told_nodes, "{sql}");
        assert_eq!(live_edges, told_edges, "{sql}");
        counted += usize::from(live_nodes.iter().any(|node| node.actual_rows.is_some()));
        assert_eq!(
            live.relations_fingerprint(),
            told.relations_fingerprint(),
            "{sql}"
        );
    }
    // The last one's relations depend on an outer row: they have no size.
    assert_eq!(counted, statements.len() - 1);
    Ok(())
}

/// A cost as EXPLAIN prints it, with two digits, put back to the live one when it is that.
fn unrounded(printed: f64, live: f64) -> f64 {
    if (printed - live).abs() < 0.00501 {
        live
    } else {
        printed
    }
}

/// A graph without what only one of the two forms has: EXPLAIN rounds and deparses clauses.
fn bare(
    dag: &engine::QueryDag,
) -> (
    Vec<engine::OperatorNode>,
    Vec<(engine::OperatorId, engine::OperatorId)>,
) {
    let mut nodes: Vec<_> = dag.nodes().cloned().collect();
    for node in &mut nodes {
        node.clauses.clear();
        node.strategy = None;
        (node.shared_hit_blocks, node.shared_read_blocks) = (None, None);
        node.actual_rows = node.actual_rows.map(f64::round);
        node.rows = node.rows.round();
    }
    (nodes, dag.edges().collect())
}

#[test]
fn a_cancelled_execution_bounds_the_latency_of_its_plan() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("SET statement_timeout = '200ms'")?;
    assert!(
        client
            .simple_query("SELECT count(*) FROM orders a, orders b WHERE a.year = b.year")
            .is_err()
    );
    client.batch_execute("RESET statement_timeout; SELECT ruvector.dag_learn_now()")?;
    let bounds =
        "SELECT runs, cut_off_runs, lower_bound_ms FROM ruvector.dag_plan_shapes WHERE cut_off_runs > 0";
    let row = client.query_one(bounds, &[])?;
    let (runs, cut_off, bound): (i64, i64, f32) = (row.get(0), row.get(1), row.get(2));
    assert_eq!((runs, cut_off), (0, 1));
    assert!(bound >= 100.0, "{bound}");
    Ok(())
}

#[test]
fn a_plan_measured_slower_is_not_kept() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    // Costs that are wrong on purpose: with true row counts the planner prefers what is slow.
    client
        .batch_execute("SET seq_page_cost = 1000; SET enable_hashjoin = off; SET enable_mergejoin = off")?;
    for _ in 0..12 {
        client.simple_query(STATEMENT)?;
    }
    let kept =
        "SELECT state, baseline_ms, current_ms FROM ruvector.dag_decisions() ORDER BY calls DESC LIMIT 1";
    let row = client.query_one(kept, &[])?;
    let (state, baseline, current): (String, f64, f64) = (row.get(0), row.get(1), row.get(2));
    assert!(
        current <= baseline,
        "{state}: {baseline} ms stock, {current} ms kept"
    );
    Ok(())
}

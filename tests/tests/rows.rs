//! The row model on a real cluster: what is learned of some constants holds for others that never ran.

use anyhow::Result;
use postgres::{Client, SimpleQueryMessage};
use ruvector_dag_tests::{answer, count, learning, load, server};
use testkit::cluster::wait_for;
use testkit::{Cluster, Server};

/// A city lies in one country; of a city's customers, those of a high level have most of the orders.
const SHOP: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE customers (id int PRIMARY KEY, city int, country int, level int);
    INSERT INTO customers SELECT i, i % 100, i % 100 / 10, CASE WHEN i / 100 % 20 = 0 THEN 1 ELSE 0 END
        FROM generate_series(0, 9999) AS i;
    CREATE TABLE orders (id int PRIMARY KEY, customer_id int, amount int);
    INSERT INTO orders SELECT i, CASE WHEN i % 5 > 0 THEN i % 100 + i / 100 % 5 * 2000 ELSE i % 10000 END, i % 97
        FROM generate_series(0, 49999) AS i;
    CREATE TABLE items (order_id int, product int);
    INSERT INTO items SELECT i % 50000, i % 500 FROM generate_series(0, 99999) AS i;
    ANALYZE customers, orders, items";

/// Without the loop, as `EXPLAIN` is to say what PostgreSQL estimates, and counts are to be counted and not learned.
const QUIET: &str = "SET ruvector.neural_dag_enabled = off";
const AWAKE: &str = "RESET ruvector.neural_dag_enabled";

fn of_city(city: i32) -> String {
    format!(
        "SELECT o.id FROM customers c JOIN orders o ON o.customer_id = c.id \
         WHERE c.city = {city} AND c.country = {} AND c.level = 1",
        city / 10
    )
}

fn shop(server: &Server) -> Result<(Cluster<'_>, Client)> {
    let cluster = learning(server).set("ruvector.dag_mode", "observe").start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, SHOP)?;
    Ok((cluster, client))
}

fn run_cities(client: &mut Client, cities: impl Iterator<Item = i32>) -> Result<()> {
    for city in cities {
        client.simple_query(&of_city(city))?;
    }
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    Ok(())
}

/// PostgreSQL's estimate and the learned one.
fn estimate(client: &mut Client, metric: &str, query: &str) -> Result<(f64, Option<f64>)> {
    let sql = "SELECT postgres_estimate, neural_estimate FROM ruvector.dag_estimate($1) WHERE metric = $2";
    let row = client.query_one(sql, &[&query, &metric])?;
    Ok((row.get(0), row.get(1)))
}

fn true_rows(client: &mut Client, query: &str) -> Result<f64> {
    client.batch_execute(QUIET)?;
    let rows = count(client, &format!("SELECT count(*) FROM ({query}) AS counted"))?;
    client.batch_execute(AWAKE)?;
    Ok(rows as f64)
}

fn q_error(expected: f64, actual: f64) -> f64 {
    let (expected, actual) = (expected.max(1.0), actual.max(1.0));
    (expected / actual).max(actual / expected)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[test]
fn other_constants_are_estimated_better_than_by_postgresql() -> Result<()> {
    let server = server()?;
    let (_cluster, mut client) = shop(&server)?;
    run_cities(&mut client, (0..100).step_by(4))?;
    for metric in ["rows", "rows: c", "rows: c, o"] {
        let (mut stock, mut learned) = (Vec::new(), Vec::new());
        for city in (1..100).step_by(9).filter(|city| city % 4 != 0) {
            let query = of_city(city);
            let counted = match metric {
                "rows: c" => format!(
                    "SELECT FROM customers WHERE city = {city} AND country = {} AND level = 1",
                    city / 10
                ),
                _ => query.clone(),
            };
            let actual = true_rows(&mut client, &counted)?;
            let (estimated, predicted) = estimate(&mut client, metric, &query)?;
            stock.push(q_error(estimated, actual));
            learned.push(q_error(predicted.expect("the parts are known"), actual));
        }
        let (stock, learned) = (median(stock), median(learned));
        println!("{metric}: median q-error {stock:.2} by PostgreSQL, {learned:.2} by the model");
        assert!(
            learned < stock / 2.0,
            "{metric}: {learned} is not clearly below {stock}"
        );
    }
    Ok(())
}

#[test]
fn the_quality_of_the_model_is_that_of_predictions_made_before() -> Result<()> {
    let server = server()?;
    let (_cluster, mut client) = shop(&server)?;
    run_cities(&mut client, 0..30)?;
    let row = client.query_one("SELECT * FROM ruvector.dag_row_model_quality()", &[])?;
    let (executions, counts): (i64, i64) = (row.get(0), row.get(1));
    // The very first execution is learned by a model that knows nothing, and says nothing about it.
    assert!(executions > 0 && executions < 30, "{executions} executions");
    assert!(counts >= executions);
    let (stock, learned): (f64, f64) = (row.get(2), row.get(4));
    assert!(learned < stock, "{learned} against {stock}");
    let within: f64 = row.get(6);
    assert!((0.0..=1.0).contains(&within));
    // The same again is nothing new.
    client.batch_execute("SELECT ruvector.dag_reset_learning(true, false)")?;
    run_cities(&mut client, 0..30)?;
    let sql = "SELECT counts FROM ruvector.dag_row_model_quality()";
    let again: i64 = client.query_one(sql, &[])?.get(0);
    assert_eq!(again, 0);
    Ok(())
}

#[test]
fn what_is_learned_of_row_counts_survives_a_restart() -> Result<()> {
    let server = server()?;
    let (cluster, mut client) = shop(&server)?;
    run_cities(&mut client, 0..20)?;
    let before = estimate(&mut client, "rows: c, o", &of_city(55))?;
    assert!(before.1.is_some());
    drop(client);
    cluster.restart("immediate")?;
    let mut client = cluster.client("postgres")?;
    let after = wait_for("the worker to publish", || {
        let after = estimate(&mut client, "rows: c, o", &of_city(55))?;
        Ok(after.1.is_some().then_some(after))
    })?;
    assert_eq!(after, before);
    Ok(())
}

#[test]
fn a_damaged_row_model_is_kept_aside() -> Result<()> {
    let server = server()?;
    let (cluster, mut client) = shop(&server)?;
    run_cities(&mut client, 0..5)?;
    client.batch_execute(
        "UPDATE ruvector.dag_state SET state = state || '\\x00', revision = revision + 1 WHERE part = 'rows'",
    )?;
    let mut client = cluster.client("postgres")?;
    run_cities(&mut client, 5..10)?;
    let kept = "SELECT count(*) FROM ruvector.dag_state WHERE part LIKE 'rows refused %'";
    assert_eq!(count(&mut client, kept)?, 1);
    assert_eq!(
        count(
            &mut client,
            "SELECT count(*) FROM ruvector.dag_state WHERE part = 'rows'"
        )?,
        1
    );
    assert!(estimate(&mut client, "rows: c, o", &of_city(55))?.1.is_some());
    Ok(())
}

/// Rows that PostgreSQL estimates of a statement's result.
fn stock_estimate(client: &mut Client, query: &str) -> Result<f64> {
    client.batch_execute(QUIET)?;
    let messages = client.simple_query(&format!("EXPLAIN {query}"))?;
    client.batch_execute(AWAKE)?;
    let first = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    let text = first.expect("a plan has a first line");
    let rows = text.split("rows=").nth(1).and_then(|rest| rest.split(' ').next());
    Ok(rows.expect("a line of a plan has rows").parse()?)
}

#[test]
fn corrections_do_not_touch_what_the_model_learns_from() -> Result<()> {
    let server = server()?;
    let (_cluster, mut client) = shop(&server)?;
    client.batch_execute("SET ruvector.dag_mode = on; SET ruvector.dag_first_sight = rows")?;
    let query = "SELECT c.id FROM customers c JOIN orders o ON o.customer_id = c.id \
                 JOIN items i ON i.order_id = o.id WHERE c.city = 11 AND c.country = 1 AND c.level = 1";
    let stock = stock_estimate(&mut client, query)?;
    let corrected = "SELECT ruvector.dag_explain($1)";
    let unseen = query.replace("c.id FROM", "c.id + 1 FROM");
    let is_corrected = |client: &mut Client| -> Result<bool> {
        let text: String = client.query_one(corrected, &[&unseen])?.get(0);
        Ok(text.contains("row estimates corrected"))
    };
    for _ in 0..20 {
        client.simple_query(query)?;
        if is_corrected(&mut client)? {
            break;
        }
    }
    assert!(is_corrected(&mut client)?);
    let (estimated, _) = estimate(&mut client, "rows", query)?;
    // PostgreSQL rounds each of its inputs to whole rows.
    assert!(q_error(estimated, stock) < 1.2, "{estimated} is not {stock}");
    Ok(())
}

#[test]
fn rows_that_parallel_workers_find_are_counted_once() -> Result<()> {
    let server = server()?;
    let (_cluster, mut client) = shop(&server)?;
    client.batch_execute(
        "CREATE INDEX ON customers (level); SET enable_nestloop = off; SET max_parallel_workers_per_gather = 2; \
         SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; \
         SET min_parallel_index_scan_size = 0; SET enable_indexscan = off; SET enable_bitmapscan = off",
    )?;
    let joined = "SELECT o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.level = 1";
    let query = format!("SELECT count(*) FROM ({joined}) AS all_joined");
    let expected = [
        true_rows(&mut client, "SELECT FROM customers WHERE level = 1")?,
        true_rows(&mut client, joined)?,
    ];
    for (settings, node) in [
        ("SET enable_seqscan = on", "Parallel Hash Join"),
        ("SET enable_parallel_hash = off", "  Hash Join"),
        ("SET enable_hashjoin = off", "Merge Join"),
        (
            "SET enable_seqscan = off; SET enable_bitmapscan = on",
            "Bitmap Heap Scan on customers",
        ),
    ] {
        client.batch_execute(settings)?;
        let plan = answer(&mut client, &format!("EXPLAIN {query}")).concat();
        assert!(
            plan.contains("Workers Planned: 2") && plan.contains(node),
            "{plan}"
        );
        client.batch_execute("SELECT ruvector.dag_reset_learning(false, false)")?;
        client.simple_query(&query)?;
        client.batch_execute("SELECT ruvector.dag_learn_now()")?;
        let counted = "SELECT array_agg(rows ORDER BY relation_count) FROM ruvector.dag_corrections \
             WHERE 'customers'::regclass = ANY (relations) AND NOT is_lower_bound";
        let counted: Option<Vec<f64>> = client.query_one(counted, &[])?.get(0);
        assert_eq!(counted.as_deref(), Some(&expected[..]), "{plan}");
    }
    Ok(())
}

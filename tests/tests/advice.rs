//! What owners see of decisions on a real server: EXPLAIN's line, pins, hints, advice and HypoPG.

use anyhow::{Context, Result};
use postgres::{Client, SimpleQueryMessage};
use ruvector_dag_tests::{learning, load, server};
use testkit::{Cluster, Server};

// Three columns that say the same: one row is expected of 400, and the other table is read once for each.
const DATA: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE customers (id int PRIMARY KEY, city int, country int, language int);
    INSERT INTO customers SELECT i, i % 50, i % 50, i % 50 FROM generate_series(1, 20000) AS i;
    CREATE TABLE orders (id int PRIMARY KEY, customer_id int, year int);
    INSERT INTO orders SELECT i, 1 + i % 20000, i % 7 FROM generate_series(1, 10000) AS i;
    ANALYZE customers; ANALYZE orders";

const STATEMENT: &str = "SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id \
    WHERE c.city = 7 AND c.country = 7 AND c.language = 7";

fn cluster(server: &Server) -> Result<Cluster<'_>> {
    let cluster = learning(server)
        .set("enable_hashjoin", "off")
        // Trials cost what they cost: this is about what is shown of them.
        .set("ruvector.dag_explore_budget", "1")
        .start()?;
    load(&mut cluster.client("postgres")?, DATA)?;
    Ok(cluster)
}

fn lines(client: &mut Client, sql: &str) -> Result<Vec<String>> {
    let messages = client.simple_query(sql)?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(rows.collect())
}

fn text(client: &mut Client, sql: &str) -> Result<String> {
    Ok(lines(client, sql)?.join("\n"))
}

/// Runs the statement until another plan was tried to its end, and pins the class to that.
fn pin_another_plan(client: &mut Client) -> Result<String> {
    let tried =
        "SELECT class, t ->> 'decision' FROM ruvector.dag_decisions(), jsonb_array_elements(tried) AS t
        WHERE (t ->> 'runs')::int > 0 ORDER BY calls DESC LIMIT 1";
    for _ in 0..40 {
        client.simple_query(STATEMENT)?;
        let Some(row) = client.query_opt(tried, &[])? else {
            continue;
        };
        let (class, decision): (i64, String) = (row.get(0), row.get(1));
        client.query_one("SELECT ruvector.dag_pin_decision($1, $2)", &[&class, &decision])?;
        return Ok(decision);
    }
    let decided = "SELECT d::text FROM ruvector.dag_decisions() AS d";
    anyhow::bail!(
        "no other plan ran to its end: {:?}, {:?}",
        lines(client, decided)?,
        lines(client, &format!("EXPLAIN (ANALYZE) {STATEMENT}"))?
    )
}

#[test]
fn explain_says_what_was_decided_in_each_format() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    assert!(!text(&mut client, &format!("EXPLAIN {STATEMENT}"))?.contains("RuVector"));
    pin_another_plan(&mut client)?;
    let printed = lines(&mut client, &format!("EXPLAIN {STATEMENT}"))?;
    let last = printed.last().context("no plan")?;
    assert!(
        last.starts_with("RuVector: ") && last.ends_with(" (pinned)"),
        "{printed:?}"
    );
    let decision = last.trim_start_matches("RuVector: ");
    for options in [
        "FORMAT JSON",
        "FORMAT JSON, ANALYZE, BUFFERS",
        "FORMAT JSON, SETTINGS, SUMMARY",
    ] {
        let json = text(&mut client, &format!("EXPLAIN ({options}) {STATEMENT}"))?;
        let json: serde_json::Value = serde_json::from_str(&json)?;
        assert_eq!(json[0]["RuVector"], decision, "{options}: {json}");
        assert!(json[0]["Plan"].is_object(), "{json}");
    }
    let yaml = text(&mut client, &format!("EXPLAIN (FORMAT YAML) {STATEMENT}"))?;
    assert!(yaml.ends_with(&format!("\n  RuVector: \"{decision}\"")), "{yaml}");
    let xml = text(&mut client, &format!("EXPLAIN (FORMAT XML) {STATEMENT}"))?;
    let document = roxmltree::Document::parse(&xml)?;
    let told = document
        .descendants()
        .find(|node| node.tag_name().name() == "RuVector");
    let told = told.with_context(|| xml.clone())?;
    assert_eq!(told.text(), Some(decision), "{xml}");
    assert!(
        told.parent()
            .is_some_and(|parent| parent.has_tag_name(("http://www.postgresql.org/2009/explain", "Query"))),
        "{xml}"
    );
    // Of what EXPLAIN runs, too; an error of the statement stays what it is.
    let table = text(
        &mut client,
        &format!("EXPLAIN CREATE TABLE copied AS {STATEMENT}"),
    )?;
    assert!(table.contains("Aggregate"), "{table}");
    let error = client
        .simple_query("EXPLAIN SELECT 1 / 0")
        .err()
        .context("no error")?;
    assert_eq!(error.code().map(postgres::error::SqlState::code), Some("22012"));
    assert_eq!(text(&mut client, "EXPLAIN (COSTS OFF) SELECT 1")?, "Result");
    Ok(())
}

#[test]
fn a_pinned_decision_survives_a_restart_and_is_unpinned() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    let decision = pin_another_plan(&mut client)?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    drop(client);
    cluster.restart("fast")?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let pinned = "SELECT class, decision FROM ruvector.dag_decisions() WHERE state = 'pinned'";
    let row = client.query_one(pinned, &[])?;
    assert_eq!(row.get::<_, String>(1), decision);
    client.query_one("SELECT ruvector.dag_unpin_decision($1)", &[&row.get::<_, i64>(0)])?;
    assert!(client.query_opt(pinned, &[])?.is_none());
    Ok(())
}

#[test]
fn a_rewritten_statement_names_the_plan_and_gives_the_same_answer() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    let expected = text(&mut client, STATEMENT)?;
    pin_another_plan(&mut client)?;
    // Hints, where no rule gives another form.
    client.batch_execute("SET ruvector.dag_rewrite_rules = ''")?;
    let rewritten: String = client
        .query_one("SELECT ruvector.dag_rewrite_query($1)", &[&STATEMENT])?
        .get(0);
    assert!(rewritten.starts_with("/*+\n  Leading(("), "{rewritten}");
    assert!(
        rewritten.contains(" (pinned: ") && rewritten.ends_with(STATEMENT),
        "{rewritten}"
    );
    assert_eq!(text(&mut client, &rewritten)?, expected);
    Ok(())
}

#[test]
fn a_partitioned_table_is_hinted_by_its_alias() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server)
        .set("enable_hashjoin", "off")
        .set("ruvector.dag_explore_budget", "1")
        .start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(&DATA.replace(
        "language int);",
        "language int) PARTITION BY RANGE (id);
        CREATE TABLE low PARTITION OF customers FOR VALUES FROM (MINVALUE) TO (10000);
        CREATE TABLE high PARTITION OF customers FOR VALUES FROM (10000) TO (MAXVALUE);",
    ))?;
    pin_another_plan(&mut client)?;
    // Hints, where no rule gives another form.
    client.batch_execute("SET ruvector.dag_rewrite_rules = ''")?;
    let rewritten: String = client
        .query_one("SELECT ruvector.dag_rewrite_query($1)", &[&STATEMENT])?
        .get(0);
    let orders = ["Leading((c o))", "Leading((o c))"];
    assert!(
        orders.iter().any(|order| rewritten.contains(order)),
        "{rewritten}"
    );
    Ok(())
}

#[test]
fn an_index_is_advised_when_hypopg_shows_that_it_helps() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("CREATE EXTENSION hypopg")?;
    let sql = "SELECT * FROM orders WHERE customer_id = 77";
    let advice = "SELECT category, implementation_sql, expected_improvement, description
        FROM ruvector.dag_suggest_optimizations($1)";
    let row = client.query_one(advice, &[&sql])?;
    assert_eq!(row.get::<_, String>(0), "index");
    assert_eq!(
        row.get::<_, String>(1),
        "CREATE INDEX ON public.orders (customer_id);"
    );
    assert!(row.get::<_, f64>(2) > 0.8, "{}", row.get::<_, f64>(2));
    assert!(row.get::<_, String>(3).contains("hypothetical"));
    // None is left behind, and one that is there is not advised again.
    assert_eq!(
        client
            .query_one("SELECT count(*) FROM hypopg()", &[])?
            .get::<_, i64>(0),
        0
    );
    client.batch_execute(&row.get::<_, String>(1))?;
    assert!(client.query_opt(advice, &[&sql])?.is_none());
    // One that would not be used is not advised.
    let all = "SELECT count(*) FROM orders WHERE year >= 0";
    assert!(client.query_opt(advice, &[&all])?.is_none());
    Ok(())
}

#[test]
fn what_is_estimated_of_many_statements_is_what_was_measured() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    pin_another_plan(&mut client)?;
    let measured = "SELECT 1 - current_ms / baseline_ms FROM ruvector.dag_decisions() WHERE state = 'pinned'";
    let estimated = "SELECT estimated_improvement FROM ruvector.dag_bulk_analyze(ARRAY['SELECT 1', $1])
        WHERE query_index = 2";
    let measured: f64 = client.query_one(measured, &[])?.get(0);
    let estimated: f64 = client.query_one(estimated, &[&STATEMENT])?.get(0);
    assert!((measured - estimated).abs() < 1e-6, "{measured} {estimated}");
    Ok(())
}

/// Category, SQL and expected improvement of each piece of advice.
fn advice(client: &mut Client, sql: &str) -> Result<Vec<(String, String, Option<f64>)>> {
    let rows = client.query(
        "SELECT category, implementation_sql, expected_improvement FROM ruvector.dag_suggest_optimizations($1)
            ORDER BY category",
        &[&sql],
    )?;
    Ok(rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect())
}

#[test]
fn advice_follows_what_was_counted_and_measured() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    pin_another_plan(&mut client)?;
    let all = advice(&mut client, STATEMENT)?;
    let [(decision, sql, improvement), (statistics, create, _)] = all.as_slice() else {
        anyhow::bail!("{all:?}");
    };
    assert_eq!(
        (decision.as_str(), statistics.as_str()),
        ("join_order", "statistics")
    );
    assert!(sql.starts_with("/*+"), "{sql}");
    assert!(improvement.is_some_and(|saved| saved > 0.05), "{all:?}");
    // What is advised can be run as it is, and is not advised again.
    client.batch_execute(create)?;
    let all = advice(&mut client, STATEMENT)?;
    assert!(
        all.iter().all(|(category, ..)| category != "statistics"),
        "{all:?}"
    );
    Ok(())
}

#[test]
fn memory_is_advised_where_temporary_files_were_written() -> Result<()> {
    let server = server()?;
    let cluster = cluster(&server)?;
    let mut client = cluster.client("postgres")?;
    let sorted = "SELECT id, city FROM customers ORDER BY city, id";
    assert!(advice(&mut client, sorted)?.is_empty());
    client.batch_execute("SET work_mem = '64kB'; SET ruvector.dag_max_work_mem = '64kB'")?;
    client.simple_query(sorted)?;
    let all = advice(&mut client, sorted)?;
    assert_eq!(
        all,
        [(
            "memory".to_owned(),
            "SET LOCAL work_mem = '2MB';".to_owned(),
            None
        )]
    );
    Ok(())
}

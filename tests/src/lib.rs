//! What tests on real clusters share.

pub mod rewriting;

use anyhow::Context;
use postgres::{Client, SimpleQueryMessage};
use std::process::Stdio;
use std::time::Instant;
use testkit::cluster::Builder;
use testkit::{Cluster, Result, Server, build};

/// A table whose columns are correlated.
pub const TABLE: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE t (id int PRIMARY KEY, a int, b int);
    INSERT INTO t SELECT i, i % 20, i % 20 FROM generate_series(1, 20000) AS i;
    ANALYZE t";

/// Tells everybody at once how many rows were written so far: what is counted before they know seems out of date after.
pub const FLUSH: &str = "SELECT pg_stat_force_next_flush()";

/// Relations of that table that were written down.
pub const WRITTEN: &str =
    "SELECT count(*) FROM ruvector.dag_corrections WHERE 't'::regclass = ANY (relations)";

/// Makes tables, and tells everybody how much was written to them.
pub fn load(client: &mut Client, sql: &str) -> Result<()> {
    client.batch_execute(sql)?;
    Ok(client.batch_execute(FLUSH)?)
}

/// A private server with the extension. Each test has its own; building it again takes a fraction of a second.
pub fn server() -> Result<Server> {
    Server::with_extension(build::major())
}

/// A cluster that learns from every statement.
pub fn learning(server: &Server) -> Builder<'_> {
    let builder = Cluster::builder(server)
        .set("autovacuum", "off")
        .set("ruvector.dag_min_duration", "0");
    match build::major() {
        // Tables are joined with themselves here to be joins, which 18 would make one scan.
        18.. => builder.set("enable_self_join_elimination", "off"),
        _ => builder,
    }
}

/// Runs a statement on the table for each constant; each teaches relations of its own.
pub fn learn(client: &mut Client, constants: std::ops::Range<i32>) -> Result<()> {
    for n in constants {
        client.simple_query(&format!(
            "SELECT count(*) FROM t x JOIN t y USING (id) WHERE x.a = {n} AND x.b = {n}"
        ))?;
    }
    Ok(())
}

/// What `t` with an `id`, a `plain` column and a `filler` is asked for.
const AGGREGATES: [&str; 12] = [
    "count(*)",
    "count(filler)",
    "sum(id)",
    "min(id)",
    "max(id)",
    "avg(id)",
    "sum(plain)",
    "stddev(id)",
    "variance(id)",
    "avg(plain)",
    "min(filler)",
    "max(filler)",
];

/// Aggregates over a table `t` by a column, each with three constants, twice.
pub fn run_aggregates(client: &mut Client, column: &str) -> Result<()> {
    for aggregate in AGGREGATES {
        for constant in 1..=3 {
            let sql = format!("SELECT {aggregate} FROM t WHERE {column} = {constant}");
            (0..2).try_for_each(|_| client.simple_query(&sql).map(drop))?;
        }
    }
    Ok(())
}

/// A statement's only number.
pub fn count(client: &mut Client, sql: &str) -> Result<i64> {
    Ok(client.query_one(sql, &[])?.get(0))
}

/// Dumps the database `postgres` of a cluster into a new one, `restored`.
pub fn restore_dump(cluster: &Cluster<'_>) -> Result<()> {
    cluster
        .client("postgres")?
        .batch_execute("CREATE DATABASE restored")?;
    let mut dump = cluster
        .program("pg_dump")
        .arg("postgres")
        .stdout(Stdio::piped())
        .spawn()?;
    let restore = cluster
        .program("psql")
        .args(["--quiet", "--set=ON_ERROR_STOP=1", "restored"])
        .stdin(dump.stdout.take().context("the dump's output")?)
        .stdout(Stdio::null())
        .status()?;
    assert!(dump.wait()?.success() && restore.success());
    Ok(())
}

/// A number of `dag_measures()`.
pub fn measure(client: &mut Client, name: &str) -> Result<f64> {
    let sql = "SELECT value FROM ruvector.dag_measures() WHERE measure = $1";
    Ok(client.query_one(sql, &[&name])?.get(0))
}

/// What the server answers to one or more statements: rows with their command tags, or the error.
pub fn answer(client: &mut Client, sql: &str) -> Vec<String> {
    let messages = match client.simple_query(sql) {
        Ok(messages) => messages,
        Err(error) => {
            let error = error.as_db_error();
            return vec![error.map_or("connection lost".to_owned(), |error| format!("{error:?}"))];
        }
    };
    let told = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let fields = (0..row.len()).map(|at| row.get(at).unwrap_or("NULL"));
            Some(fields.collect::<Vec<_>>().join(","))
        }
        SimpleQueryMessage::CommandComplete(count) => Some(format!("{count} rows")),
        _ => None,
    };
    messages.iter().filter_map(told).collect()
}

/// What must be in a session before a statement and after it.
pub const SETTINGS: &str = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings \
    WHERE category LIKE 'Query Tuning%' OR category LIKE 'Resource Usage%' OR name IN \
    ('jit', 'search_path', 'transaction_read_only', 'transaction_isolation', 'is_superuser', 'statement_timeout')";

/// A cluster in which every statement is tried with another plan as often as it may be.
pub fn trying(server: &Server) -> Builder<'_> {
    learning(server)
        .set("ruvector.dag_explore_budget", "1")
        .set("ruvector.dag_dream_execute", "on")
        .set("ruvector.dag_store_literals", "on")
        .set("ruvector.dag_dream_budget", "0")
        .set("max_parallel_workers_per_gather", "0")
        .set("jit", "off")
}

/// How long a statement takes for who waits for it.
pub fn milliseconds(client: &mut Client, sql: &str) -> Result<f64> {
    let begun = Instant::now();
    client.simple_query(sql)?;
    Ok(begun.elapsed().as_secs_f64() * 1000.0)
}

//! What tests on real clusters share.

use postgres::Client;
use testkit::cluster::Builder;
use testkit::{Cluster, Result, Server};

/// A table whose columns are correlated.
pub const TABLE: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE t (id int PRIMARY KEY, a int, b int);
    INSERT INTO t SELECT i, i % 20, i % 20 FROM generate_series(1, 20000) AS i;
    ANALYZE t";

/// Relations of that table that were written down.
pub const WRITTEN: &str =
    "SELECT count(*) FROM ruvector.dag_corrections WHERE 't'::regclass = ANY (relations)";

/// A private server with the extension. Each test has its own; building it again takes a fraction of a second.
pub fn server() -> Result<Server> {
    Server::with_extension(15)
}

/// A cluster that learns from every statement.
pub fn learning(server: &Server) -> Builder<'_> {
    Cluster::builder(server)
        .set("autovacuum", "off")
        .set("ruvector.dag_min_duration", "0")
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

/// A statement's only number.
pub fn count(client: &mut Client, sql: &str) -> Result<i64> {
    Ok(client.query_one(sql, &[])?.get(0))
}

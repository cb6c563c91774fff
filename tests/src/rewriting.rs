//! Statements that the rules for rewrites know, in two sessions that have to see the same: stock, and rewritten wherever that can be.

use crate::answer;
use postgres::Client;
use testkit::{Cluster, Result, Server};

/// Tables that each rule has a statement about.
pub const TABLES: &str = "CREATE EXTENSION ruvector_dag;
    CREATE TABLE a (id int PRIMARY KEY, k int, x int NOT NULL);
    CREATE TABLE b (id int PRIMARY KEY, k int, x int NOT NULL, hidden int);
    CREATE TABLE c (k int, y int);
    INSERT INTO a SELECT i, nullif(i % 17, 5), i % 7 FROM generate_series(1, 120) AS i;
    INSERT INTO b SELECT i, i % 13, i % 11, i FROM generate_series(1, 90) AS i;
    INSERT INTO c SELECT nullif(i % 19, 3), i % 5 FROM generate_series(1, 150) AS i;
    CREATE TABLE p (id int PRIMARY KEY, name text);
    CREATE TABLE d (id int PRIMARY KEY, k int, x int NOT NULL, owner int REFERENCES p);
    INSERT INTO p SELECT i, 'p' || i FROM generate_series(1, 20) AS i;
    INSERT INTO d SELECT i, i % 12, i % 7, 1 + nullif(i % 14, 3) FROM generate_series(1, 80) AS i;
    ANALYZE";

/// A statement per rule.
pub const OF_EACH_RULE: [(&str, &str); 11] = [
    (
        "eager_aggregation",
        "SELECT a.x, count(*) FROM a JOIN b ON b.k = a.k JOIN c ON c.k = b.k GROUP BY a.x",
    ),
    (
        "eager_aggregation_over_outer_joins",
        "SELECT a.x, count(*), count(c.y), sum(c.y) FROM a LEFT JOIN c ON c.k = a.k GROUP BY a.x",
    ),
    (
        "scalar_subquery_to_join",
        "SELECT a.id, (SELECT count(*) FROM c WHERE c.k = a.k) AS n FROM a",
    ),
    (
        "exists_to_join",
        "SELECT a.id FROM a WHERE a.x = 3 OR EXISTS (SELECT FROM c WHERE c.k = a.k AND c.y > 2)",
    ),
    (
        "not_in_to_anti_join",
        "SELECT a.id FROM a WHERE a.x NOT IN (SELECT b.x FROM b WHERE b.id < 6)",
    ),
    (
        "or_to_union_all",
        "SELECT a.id, c.y FROM a JOIN c ON c.k = a.k WHERE a.x = 3 OR c.y = 2",
    ),
    (
        "distinct_to_semi_join",
        "SELECT DISTINCT a.id FROM a JOIN c ON c.k < a.k",
    ),
    (
        "redundant_self_join",
        "SELECT b.k, a.x FROM a JOIN a AS b ON b.id = a.id JOIN c ON c.k = b.k",
    ),
    (
        "in_to_semi_join",
        "SELECT a.id FROM a WHERE a.x IN (SELECT c.y FROM c WHERE c.k = a.k)",
    ),
    (
        "top_n_below_join",
        "SELECT a.id, c.y, b.x FROM a LEFT JOIN b ON b.id = a.k LEFT JOIN (SELECT k, max(y) AS y FROM c GROUP BY k) AS c ON c.k = a.k
            ORDER BY a.x, a.id LIMIT 7",
    ),
    (
        "foreign_key_join",
        "SELECT d.id, c.y FROM d JOIN p ON p.id = d.owner JOIN c ON c.k = d.k",
    ),
];

/// What a session needs for each rule to have its say.
pub const EACH_RULE: &str =
    "SET ruvector.dag_rewrite = force; SET ruvector.dag_rewrite_trust_foreign_keys = on";

/// A cluster with the tables, and two sessions.
pub struct Pair<'s> {
    /// Where both are connected.
    pub cluster: Cluster<'s>,
    /// The session without the extension.
    pub stock: Client,
    /// The session in which rewrites are forced.
    pub forced: Client,
}

impl<'s> Pair<'s> {
    /// Starts the cluster.
    pub fn new(server: &'s Server) -> Result<Self> {
        let cluster = Cluster::builder(server).set("jit", "off").start()?;
        let mut stock = cluster.client("postgres")?;
        stock.batch_execute(TABLES)?;
        stock.batch_execute("SET ruvector.dag_mode = off")?;
        let mut forced = cluster.client("postgres")?;
        forced.batch_execute(EACH_RULE)?;
        Ok(Self {
            cluster,
            stock,
            forced,
        })
    }

    /// The same statements in both sessions, which have to answer the same, whatever the order of rows.
    pub fn same(&mut self, sql: &str) -> Vec<String> {
        let [stock, forced] = [&mut self.stock, &mut self.forced].map(|client| {
            let mut rows = answer(client, sql);
            rows.sort_unstable();
            rows
        });
        assert_eq!(forced, stock, "{sql}");
        forced
    }

    /// Whether EXPLAIN says that the statement is rewritten by this rule.
    pub fn is_rewritten(&mut self, sql: &str, rule: &str) -> bool {
        let lines = answer(&mut self.forced, &format!("EXPLAIN {sql}"));
        lines
            .iter()
            .any(|line| line.contains("rewritten") && line.contains(rule))
    }

    /// The statement must not be rewritten.
    pub fn is_left_alone(&mut self, sql: &str) {
        assert!(!self.is_rewritten(sql, ""), "{sql}");
        self.same(sql);
    }

    /// The end: nothing of ours failed.
    pub fn without_errors(mut self) -> Result<()> {
        let status = "SELECT internal_errors FROM ruvector.dag_status()";
        let errors: i64 = self.forced.query_one(status, &[])?.get(0);
        assert_eq!(errors, 0);
        drop(self.cluster);
        Ok(())
    }
}

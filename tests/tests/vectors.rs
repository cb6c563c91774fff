//! Beside pgvector, which no package has for PostgreSQL 15: `make test-pg16` and `make test-pg18` run these.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{answer, learn, learning, measure, server};
use testkit::{Cluster, Server};

const ITEMS: &str = "CREATE EXTENSION vector; CREATE EXTENSION ruvector_dag;
    CREATE TABLE items (id int PRIMARY KEY, kind int, embedding vector(3));
    INSERT INTO items SELECT i, i % 10, ARRAY[i % 7, i % 11, i % 13]::real[]::vector FROM generate_series(1, 5000) AS i;
    CREATE TABLE t (id int PRIMARY KEY, a int, b int); INSERT INTO t SELECT i, i % 20, i % 20 FROM generate_series(1, 20000) AS i;
    ANALYZE items, t";
const NEAREST: &str = "SELECT id FROM items ORDER BY embedding <-> '[1,2,3]' LIMIT 5";

fn cluster(server: &Server) -> Result<(Cluster<'_>, Client)> {
    let cluster = learning(server).start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(ITEMS)?;
    Ok((cluster, client))
}

fn operators(client: &mut Client, statement: &str) -> Result<Vec<String>> {
    let rows = client.query(
        "SELECT operator_type FROM ruvector.dag_analyze_plan($1) ORDER BY node_id",
        &[&statement],
    )?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[test]
#[ignore = "needs pgvector: make test-pg16, make test-pg18"]
fn scans_of_vector_indexes_are_operators_of_their_own() -> Result<()> {
    let server = server()?;
    let (_cluster, mut client) = cluster(&server)?;
    assert!(
        !operators(&mut client, NEAREST)?
            .iter()
            .any(|name| name.contains("HNSW") || name.contains("IVFFlat"))
    );
    for (method, options, operator) in [
        ("hnsw", "", "HNSW Scan"),
        ("ivfflat", "WITH (lists = 10)", "IVFFlat Scan"),
    ] {
        client.batch_execute(&format!(
            "CREATE INDEX nearest ON items USING {method} (embedding vector_l2_ops) {options}; SET enable_seqscan = off"
        ))?;
        let expected = answer(&mut client, NEAREST);
        let found = operators(&mut client, NEAREST)?;
        assert!(found.iter().any(|name| name == operator), "{method}: {found:?}");
        let joined = format!("SELECT count(*) FROM ({NEAREST}) AS n JOIN items USING (id) WHERE kind < 9");
        let found = operators(&mut client, &joined)?;
        assert!(found.iter().any(|name| name == operator), "{method}: {found:?}");
        // Learned from, tried and drawn like any other; an approximate scan's answer stays what it is.
        for _ in 0..12 {
            assert_eq!(answer(&mut client, NEAREST), expected, "{method}");
            client.simple_query(&joined)?;
        }
        for function in [
            "dag_explain",
            "dag_estimate",
            "dag_suggest_optimizations",
            "dag_attention_visualize",
            "dag_rewrite_query",
        ] {
            client.query(&format!("SELECT * FROM ruvector.{function}($1)"), &[&joined])?;
        }
        client.batch_execute("SELECT ruvector.dag_learn_now(); DROP INDEX nearest; RESET enable_seqscan")?;
    }
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    Ok(())
}

#[test]
#[ignore = "needs pgvector: make test-pg16, make test-pg18"]
fn patterns_are_stored_and_looked_up_as_vectors() -> Result<()> {
    let server = server()?;
    let (_cluster, mut client) = cluster(&server)?;
    learn(&mut client, 0..12)?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    client.batch_execute(
        "CREATE TABLE mine AS SELECT pattern_id, centroid::vector(256) AS v FROM ruvector.dag_patterns",
    )?;
    // A vector is taken where a real[] is, by pgvector's own cast, written or not.
    for argument in [
        "m.v",
        "m.v::real[]",
        "(SELECT centroid FROM ruvector.dag_patterns AS p WHERE p.pattern_id = m.pattern_id)",
    ] {
        let sql = format!(
            "SELECT count(*), count(*) FILTER (WHERE f.pattern_id = m.pattern_id AND f.similarity > 0.999) FROM mine AS m,
                 ruvector.dag_query_patterns({argument}, 1) AS f"
        );
        let row = client.query_one(&sql, &[])?;
        let (found, same): (i64, i64) = (row.get(0), row.get(1));
        assert!(found > 0 && found == same, "{argument}: {same} of {found}");
    }
    let nearest = "SELECT count(*) > 0 AND bool_and(ruvector.dag_similarity(v, v) > 0.999 AND (v <=> v) < 0.001) FROM mine";
    assert!(client.query_one(nearest, &[])?.get::<_, bool>(0));
    let stored =
        "SELECT ruvector.dag_store_pattern((SELECT v FROM mine LIMIT 1), '{\"by\": \"hand\"}', 0.5) > 0";
    assert!(client.query_one(stored, &[])?.get::<_, bool>(0));
    let embedded = "SELECT vector_dims(ruvector.dag_embedding($1)::vector) = 256";
    assert!(client.query_one(embedded, &[&NEAREST])?.get::<_, bool>(0));
    // Another length is no embedding.
    let error = client
        .query("SELECT ruvector.dag_query_patterns('[1,2,3]'::vector)", &[])
        .expect_err("three numbers are no plan");
    assert_eq!(error.code().map(|code| code.code()), Some("22023"), "{error}");
    Ok(())
}

/// Recall of the only vector index, as it is told.
fn recall(client: &mut Client) -> Result<Option<f64>> {
    let sql = "SELECT recall_estimate FROM ruvector.dag_index_health() WHERE index_name LIKE '%nearest'";
    Ok(client.query_one(sql, &[])?.get(0))
}

fn file(client: &mut Client) -> Result<u32> {
    let sql = "SELECT relfilenode FROM pg_class WHERE relname = 'nearest'";
    Ok(client.query_one(sql, &[])?.get(0))
}

#[test]
#[ignore = "needs pgvector: make test-pg16, make test-pg18"]
fn a_vector_index_that_finds_too_little_is_built_anew_or_left_as_it_was() -> Result<()> {
    let server = server()?;
    let (cluster, mut client) = cluster(&server)?;
    // Lists made of three vectors, and then thousands elsewhere.
    client.batch_execute(
        "CREATE TABLE spread (id int PRIMARY KEY, embedding vector(3));
         INSERT INTO spread VALUES (1, '[0,0,0]'), (2, '[1000,1000,1000]'), (3, '[1001,1001,1001]');
         CREATE INDEX nearest ON spread USING ivfflat (embedding vector_l2_ops) WITH (lists = 3);
         INSERT INTO spread SELECT i, ARRAY[i % 97, i % 89, i % 83]::real[]::vector FROM generate_series(4, 4000) AS i;
         ANALYZE spread; SET ivfflat.probes = 3",
    )?;
    assert_eq!(recall(&mut client)?, Some(1.0));
    let rebalance = |target: &str| {
        format!("SELECT vectors_moved, new_recall FROM ruvector.dag_rebalance_index('nearest', {target})")
    };
    // Enough is found: nothing is done.
    let before = file(&mut client)?;
    let row = client.query_one(&rebalance("1"), &[])?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, f64>(1)), (0, 1.0));
    assert_eq!(file(&mut client)?, before);
    // No rebuilding makes up for a search that ends too soon.
    client.batch_execute(
        "DROP INDEX nearest; CREATE INDEX nearest ON spread USING hnsw (embedding vector_l2_ops); SET hnsw.ef_search = 1",
    )?;
    let before = file(&mut client)?;
    let least = recall(&mut client)?.unwrap_or(1.0);
    assert!(least < 0.9, "{least}");
    let error = client.query(&rebalance("0.95"), &[]).expect_err("no recall");
    let error = error.as_db_error().cloned();
    let error = error.unwrap_or_else(|| panic!("the connection ended"));
    assert_eq!(error.code().code(), "RV009", "{error:?}");
    assert!(
        error.hint().is_some_and(|hint| hint.contains("hnsw.ef_search")),
        "{error:?}"
    );
    assert_eq!(file(&mut client)?, before);
    // An index that is invalid finds nothing, and is one that finds again.
    client.batch_execute(
        "SET hnsw.ef_search = 100; UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'nearest'::regclass",
    )?;
    let row = client.query_one(&rebalance("0.9"), &[])?;
    let (moved, found): (i64, f64) = (row.get(0), row.get(1));
    assert!(moved == 4000 && found >= 0.9, "{moved} {found}");
    assert_ne!(file(&mut client)?, before);
    // Not somebody else's, and its recall is for who may read the table.
    client.batch_execute("CREATE ROLE other LOGIN; GRANT pg_monitor TO other")?;
    let mut other = cluster.client_as("postgres", "other")?;
    assert_eq!(recall(&mut other)?, None);
    let error = other.query(&rebalance("0.9"), &[]).expect_err("not its own");
    assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{error}");
    client.batch_execute("GRANT SELECT ON spread TO other")?;
    assert!(recall(&mut other)?.is_some_and(|recall| recall > 0.0));
    Ok(())
}

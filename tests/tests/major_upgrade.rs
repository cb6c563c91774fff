//! pg_upgrade to a new cluster of the same major, which takes the way of any other: between two majors it depends on whether
//! the minor versions at hand know what each other's catalogs hold.

use anyhow::Result;
use ruvector_dag_tests::{TABLE, WRITTEN, count, learn, learning, load, measure, server};
use testkit::cluster::wait_for;

#[test]
fn pg_upgrade_keeps_what_was_learned() -> Result<()> {
    let server = server()?;
    let old = learning(&server).start()?;
    let mut client = old.client("postgres")?;
    load(&mut client, TABLE)?;
    learn(&mut client, 0..12)?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let kept = [
        WRITTEN,
        "SELECT count(*) FROM ruvector.dag_trajectories",
        "SELECT sum(calls)::bigint FROM ruvector.dag_statement_classes",
        "SELECT sum(length(state))::bigint FROM ruvector.dag_state WHERE part IN ('sona', 'rows')",
        "SELECT count(*) FROM ruvector.dag_patterns",
    ];
    let before = kept
        .iter()
        .map(|sql| count(&mut client, sql))
        .collect::<Result<Vec<_>>>()?;
    assert!(before.iter().all(|&number| number > 0), "{before:?}");
    drop(client);
    old.stop("fast")?;

    let new = learning(&server).set("ruvector.dag_sample_rate", "0").start()?;
    new.stop("fast")?;
    new.upgrade_from(&old)?;
    new.start()?;
    let mut client = new.client("postgres")?;
    let after = kept
        .iter()
        .map(|sql| count(&mut client, sql))
        .collect::<Result<Vec<_>>>()?;
    assert_eq!(after, before);
    // Tables keep their OIDs and files, so what is known of them is known of them still.
    let explained = "SELECT ruvector.dag_explain('SELECT count(*) FROM t x JOIN t y USING (id) WHERE x.a = 3 AND x.b = 3')";
    wait_for("the worker to load", || {
        let known: String = client.query_one(explained, &[])?.get(0);
        Ok(known.contains("learned=1000").then_some(()))
    })?;
    client.batch_execute("SET ruvector.dag_sample_rate = 1")?;
    learn(&mut client, 12..14)?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert!(count(&mut client, WRITTEN)? > after[0]);
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    Ok(())
}

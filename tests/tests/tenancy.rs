//! Learning kept apart: what one role or database learns, forgets or exports is nothing to the others.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{TABLE, count, learning, load, server};
use testkit::cluster::wait_for;
use testkit::{Cluster, Server};

/// Two tenants who read the same table.
const TENANTS: &str = "CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN; GRANT SELECT ON t TO ann, bob";

fn cluster<'s>(server: &'s Server, scope: &str) -> Result<(Cluster<'s>, Client)> {
    let cluster = learning(server).set("ruvector.dag_scope", scope).start()?;
    let mut owner = cluster.client("postgres")?;
    load(&mut owner, TABLE)?;
    owner.batch_execute(TENANTS)?;
    Ok((cluster, owner))
}

const STATEMENT: &str = "SELECT count(*) FROM t WHERE a = 3 AND b = 3";

/// Whether a role knows how many rows a statement of this kind reads.
fn knows(client: &mut Client) -> Result<bool> {
    let explained: String = client
        .query_one("SELECT ruvector.dag_explain($1)", &[&STATEMENT])?
        .get(0);
    assert!(explained.contains("learned="), "{explained}");
    Ok(explained.contains("learned=1000"))
}

fn run(client: &mut Client) -> Result<()> {
    client.simple_query(STATEMENT)?;
    Ok(())
}

/// Of the roles ann and bob.
fn classes(client: &mut Client, role: &str) -> Result<i64> {
    count(
        client,
        &format!("SELECT count(*) FROM ruvector.dag_decisions() WHERE userid = '{role}'::regrole"),
    )
}

#[test]
fn roles_of_a_database_share_row_counts_unless_they_are_kept_apart() -> Result<()> {
    let server = server()?;
    let (cluster, mut owner) = cluster(&server, "database")?;
    let mut ann = cluster.client_as("postgres", "ann")?;
    let mut bob = cluster.client_as("postgres", "bob")?;
    assert!(!knows(&mut bob)?);
    run(&mut ann)?;
    assert!(knows(&mut ann)? && knows(&mut bob)?);
    // From the reload on, and back.
    for (scope, is_shared) in [("role", false), ("database", true)] {
        owner.batch_execute(&format!("ALTER SYSTEM SET ruvector.dag_scope = {scope}"))?;
        owner.batch_execute("SELECT pg_reload_conf()")?;
        wait_for("the reload", || {
            let setting: String = bob.query_one("SHOW ruvector.dag_scope", &[])?.get(0);
            let anns: String = ann.query_one("SHOW ruvector.dag_scope", &[])?.get(0);
            Ok((setting == scope && anns == scope).then_some(()))
        })?;
        assert_eq!(knows(&mut bob)?, is_shared, "{scope}");
        assert_eq!(knows(&mut ann)?, is_shared, "{scope}");
    }
    Ok(())
}

#[test]
fn what_one_role_learned_is_not_applied_to_another_also_after_a_restart() -> Result<()> {
    let server = server()?;
    let (cluster, mut owner) = cluster(&server, "role")?;
    let mut ann = cluster.client_as("postgres", "ann")?;
    run(&mut ann)?;
    assert!(knows(&mut ann)?);
    owner.batch_execute("SELECT ruvector.dag_learn_now()")?;
    let of_ann = "SELECT count(*) FROM ruvector.dag_corrections WHERE role = 'ann'::regrole";
    assert_eq!(count(&mut owner, of_ann)?, 1);
    drop((ann, owner));
    cluster.restart("fast")?;
    let mut ann = cluster.client_as("postgres", "ann")?;
    let mut bob = cluster.client_as("postgres", "bob")?;
    wait_for("the worker to load", || Ok(knows(&mut ann)?.then_some(())))?;
    assert!(!knows(&mut bob)?);
    // SET ROLE changes whose learning it is; so does what runs with its owner's rights.
    let mut owner = cluster.client("postgres")?;
    assert!(!knows(&mut owner)?);
    owner.batch_execute("SET ROLE ann")?;
    assert!(knows(&mut owner)?);
    // The row model is everybody's.
    owner.batch_execute("RESET ROLE; SELECT ruvector.dag_learn_now()")?;
    let told = "SELECT count(*) FROM ruvector.dag_trajectories WHERE sub_joins IS NOT NULL";
    assert_eq!(count(&mut owner, told)?, 0);
    Ok(())
}

#[test]
fn forgetting_one_role_leaves_the_others() -> Result<()> {
    let server = server()?;
    let (cluster, mut owner) = cluster(&server, "role")?;
    let mut ann = cluster.client_as("postgres", "ann")?;
    let mut bob = cluster.client_as("postgres", "bob")?;
    for _ in 0..2 {
        run(&mut ann)?;
        run(&mut bob)?;
    }
    owner.batch_execute("SELECT ruvector.dag_learn_now()")?;
    // Learned, and not written down yet.
    run(&mut ann)?;
    run(&mut bob)?;
    let bobs = |client: &mut Client| -> Result<_> {
        let evidence = "SELECT calls::text || ' ' || baseline_runs FROM ruvector.dag_decisions() \
                        WHERE userid = 'bob'::regrole ORDER BY queryid";
        let rows = client.query(evidence, &[])?;
        Ok(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>())
    };
    let before = bobs(&mut owner)?;
    owner.batch_execute("SELECT ruvector.dag_reset_role('ann', false, false)")?;
    assert_eq!(classes(&mut owner, "ann")?, 0);
    assert_eq!(bobs(&mut owner)?, before);
    assert!(!knows(&mut ann)? && knows(&mut bob)?);
    for table in ["dag_trajectories", "dag_statement_classes", "dag_corrections"] {
        let column = if table == "dag_corrections" {
            "role"
        } else {
            "userid"
        };
        let of =
            |role: &str| format!("SELECT count(*) FROM ruvector.{table} WHERE {column} = '{role}'::regrole");
        assert_eq!(count(&mut owner, &of("ann"))?, 0, "{table}");
        assert!(count(&mut owner, &of("bob"))? > 0, "{table}");
    }
    // Evidence goes, what is preserved stays.
    owner.batch_execute("SELECT ruvector.dag_reset_role('bob', true, true)")?;
    assert_eq!(classes(&mut owner, "bob")?, 0);
    assert!(knows(&mut bob)?);
    let executions = "SELECT count(*) FROM ruvector.dag_trajectories WHERE userid = 'bob'::regrole";
    assert!(count(&mut owner, executions)? > 0);
    Ok(())
}

#[test]
fn forgetting_and_exporting_one_database_leaves_the_others() -> Result<()> {
    let server = server()?;
    let (cluster, mut owner) = cluster(&server, "database")?;
    owner.batch_execute("CREATE DATABASE other")?;
    let mut other = cluster.client("other")?;
    load(&mut other, TABLE)?;
    for client in [&mut owner, &mut other] {
        run(client)?;
        client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    }
    // The worker may write down other statements meanwhile, these here among them; of this table there is nothing new.
    let all = "SELECT string_agg(concat_ws(' ', relation_key, rows, estimated_rows, table_rows, queryid), '|' ORDER BY relation_key)
            || (SELECT string_agg(part, '|' ORDER BY part) FROM ruvector.dag_state)
        FROM ruvector.dag_corrections WHERE relations = ARRAY['t'::regclass::oid]";
    let seen = |client: &mut Client| -> Result<String> { Ok(client.query_one(all, &[])?.get(0)) };
    let before = seen(&mut other)?;
    owner.batch_execute(
        "SELECT ruvector.dag_export_state(); SELECT ruvector.dag_reset_learning(false, false);
         SELECT ruvector.dag_reset_role('postgres', false, false)",
    )?;
    assert!(!knows(&mut owner)? && knows(&mut other)?);
    assert_eq!(seen(&mut other)?, before);
    Ok(())
}

//! From the version before to this one, with everything that was learned; and what stands in the way of the next major.

use anyhow::Result;
use postgres::{Client, SimpleQueryMessage};
use ruvector_dag_tests::{TABLE, count, learn, learning, load, measure, server};
use std::time::Duration;
use testkit::cluster::wait_for;
use testkit::{Cluster, Server};

const BEFORE: &str = "0.1.0";

/// The tables of 0.1.0 that hold what was learned.
const TABLES: &[&str] = &[
    "dag_trajectories",
    "dag_corrections",
    "dag_statement_classes",
    "dag_plan_shapes",
    "dag_statement_texts",
    "dag_state",
];

const COLUMNS: &str = "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''";

/// A database that learned, went back to objects of 0.1.0 and has its rows in them, as after a new library was installed.
fn of_version_before(server: &Server) -> Result<(Cluster<'_>, Client)> {
    let cluster = learning(server).start()?;
    let mut client = cluster.client("postgres")?;
    load(&mut client, TABLE)?;
    learn(&mut client, 0..12)?;
    client.batch_execute("SELECT ruvector.dag_learn_now(); SET ruvector.neural_dag_enabled = off")?;
    for table in TABLES {
        client.batch_execute(&format!("CREATE TABLE kept_{table} AS TABLE ruvector.{table}"))?;
    }
    client.batch_execute(&format!(
        "DROP EXTENSION ruvector_dag; CREATE EXTENSION ruvector_dag VERSION '{BEFORE}'"
    ))?;
    for table in TABLES {
        let own = format!("ruvector.{table}");
        let columns: String = client.query_one(COLUMNS, &[&own])?.get(0);
        client.batch_execute(&format!(
            "TRUNCATE {own}; INSERT INTO {own} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM kept_{table}"
        ))?;
    }
    // Rows that were put in with their numbers leave the sequence where it was.
    client.batch_execute(
        "SELECT setval(pg_get_serial_sequence('ruvector.dag_trajectories', 'trajectory_id'), max(trajectory_id))
            FROM ruvector.dag_trajectories; RESET ruvector.neural_dag_enabled",
    )?;
    Ok((cluster, client))
}

/// Adapters and patterns are there; a worker may have gone on learning them.
const LEARNED: &str = "SELECT (SELECT count(*) FROM ruvector.dag_corrections) || ' ' || (SELECT count(*) FROM ruvector.dag_plan_shapes)
    || ' ' || (SELECT sum(calls) FROM ruvector.dag_statement_classes) || ' ' || (SELECT count(*) FROM ruvector.dag_trajectories)
    || ' ' || (SELECT string_agg(part || CASE part WHEN 'rows' THEN md5(state) ELSE '' END, ',' ORDER BY part)
        FROM ruvector.dag_state WHERE part <> 'attention')";

fn learned(client: &mut Client) -> Result<String> {
    Ok(client.query_one(LEARNED, &[])?.get(0))
}

#[test]
fn an_update_keeps_everything_that_was_learned() -> Result<()> {
    let server = server()?;
    let (cluster, mut client) = of_version_before(&server)?;
    let before = learned(&mut client)?;
    client.batch_execute("SET ruvector.dag_sample_rate = 0; ALTER EXTENSION ruvector_dag UPDATE")?;
    // Sessions that were there before notice, too; the worker loads.
    let explained = "SELECT ruvector.dag_explain('SELECT count(*) FROM t x JOIN t y USING (id) WHERE x.a = 3 AND x.b = 3')";
    let mut another = cluster.client("postgres")?;
    wait_for("the worker to load", || {
        let known: String = client.query_one(explained, &[])?.get(0);
        Ok(known.contains("learned=1000").then_some(()))
    })?;
    assert_eq!(learned(&mut client)?, before);
    let calls = "SELECT sum(calls)::bigint FROM ruvector.dag_decisions()";
    assert_eq!(
        count(&mut another, calls)?,
        count(
            &mut another,
            "SELECT sum(calls)::bigint FROM ruvector.dag_statement_classes"
        )?
    );
    // What comes next is learned.
    learn(&mut another, 12..15)?;
    another.batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert_ne!(learned(&mut client)?, before);
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    Ok(())
}

/// What the catalog says of every object of the extension.
const CATALOG: &str = "WITH members AS (
        SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
            AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ruvector_dag'))
    SELECT pg_get_functiondef(p.oid) || coalesce(p.proacl::text, '') || p.procost || ' ' || p.prorows || coalesce(obj_description(p.oid, 'pg_proc'), '')
    FROM members JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid
    UNION ALL
    SELECT format('%s %s %s %s %s %s %s %s', c.oid::regclass, c.relkind, c.relacl, c.relrowsecurity, c.reloptions,
        obj_description(c.oid, 'pg_class'), CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END,
        (SELECT string_agg(format('%s %s %s %s %s %s %s %s', a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            a.attstorage, a.attidentity, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)), ';' ORDER BY a.attnum)
         FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attrelid = c.oid AND a.attnum > 0))
    FROM members JOIN pg_class AS c ON classid = 'pg_class'::regclass AND c.oid = objid
    UNION ALL
    SELECT pg_get_indexdef(i.indexrelid) FROM members JOIN pg_index AS i ON classid = 'pg_class'::regclass AND i.indrelid = objid
    UNION ALL
    SELECT conrelid::regclass || pg_get_constraintdef(k.oid) FROM members JOIN pg_constraint AS k ON classid = 'pg_class'::regclass AND k.conrelid = objid
    UNION ALL
    SELECT format('%s %s %s %s', polrelid::regclass, polname, polcmd, pg_get_expr(polqual, polrelid))
    FROM members JOIN pg_policy ON classid = 'pg_class'::regclass AND polrelid = objid
    UNION ALL
    SELECT format('config %s %s', c::regclass, n) FROM pg_extension, unnest(extconfig, extcondition) AS u (c, n) WHERE extname = 'ruvector_dag'
    UNION ALL
    SELECT format('initially %s %s', pg_describe_object(i.classoid, i.objoid, i.objsubid), initprivs)
    FROM pg_init_privs AS i JOIN members ON classid = i.classoid AND objid = i.objoid
    ORDER BY 1";

fn catalog(client: &mut Client) -> Result<Vec<String>> {
    let rows = client.query(CATALOG, &[])?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[test]
fn an_updated_catalog_is_that_of_a_new_installation() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("CREATE EXTENSION ruvector_dag")?;
    let fresh = catalog(&mut client)?;
    assert!(fresh.len() > 70, "{} objects", fresh.len());
    client.batch_execute("CREATE DATABASE updated")?;
    let mut updated = cluster.client("updated")?;
    updated.batch_execute(&format!("CREATE EXTENSION ruvector_dag VERSION '{BEFORE}'"))?;
    assert_ne!(catalog(&mut updated)?, fresh);
    updated.batch_execute("ALTER EXTENSION ruvector_dag UPDATE")?;
    for (updated, fresh) in catalog(&mut updated)?.iter().zip(&fresh) {
        assert_eq!(updated, fresh);
    }
    assert_eq!(catalog(&mut updated)?.len(), fresh.len());
    // The role is of the server: made once, there for both.
    assert_eq!(
        count(
            &mut client,
            "SELECT count(*) FROM pg_roles WHERE rolname = 'ruvector_dag_admin'"
        )?,
        1
    );
    client.batch_execute("DROP EXTENSION ruvector_dag; CREATE EXTENSION ruvector_dag")?;
    Ok(())
}

#[test]
fn until_the_update_nothing_breaks_and_what_can_not_be_done_says_what_to_do() -> Result<()> {
    let server = server()?;
    let (cluster, mut client) = of_version_before(&server)?;
    let before = learned(&mut client)?;
    learn(&mut client, 0..20)?;
    // The worker looked at it and left it alone; it is not started again and again.
    wait_for("the worker to say what to do", || {
        Ok(cluster
            .log()?
            .contains("run ALTER EXTENSION ruvector_dag UPDATE")
            .then_some(()))
    })?;
    std::thread::sleep(Duration::from_secs(4));
    let log = cluster.log()?;
    assert!(
        log.matches("run ALTER EXTENSION ruvector_dag UPDATE").count() <= 3,
        "{log}"
    );
    assert_eq!(learned(&mut client)?, before);
    // Every function of the old script with what it must be given: answered, or refused with a hint; never anything else.
    let functions = "SELECT p.proname || '(' || coalesce((SELECT string_agg(CASE a WHEN 'text'::regtype
                THEN quote_literal('SELECT count(*) FROM t WHERE a = 1') ELSE 'NULL::' || format_type(a, NULL) END, ', ' ORDER BY n)
            FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u (a, n) WHERE n <= p.pronargs - p.pronargdefaults), '') || ')'
        FROM pg_depend AS d JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ruvector_dag')
            AND d.deptype = 'e' ORDER BY 1";
    let functions: Vec<String> = client
        .query(functions, &[])?
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(functions.len() > 60, "{}", functions.len());
    let mut refused = 0;
    for call in functions {
        let answer = client.simple_query(&format!("SELECT * FROM ruvector.{call}"));
        let Err(error) = answer else { continue };
        let error = error.as_db_error().cloned();
        let error = error.unwrap_or_else(|| panic!("{call} ended the connection"));
        match error.code().code() {
            "55000" => {
                assert!(
                    error
                        .hint()
                        .is_some_and(|hint| hint.contains("ALTER EXTENSION ruvector_dag UPDATE")),
                    "{call}: {error:?}"
                );
                refused += 1;
            }
            // Bad arguments.
            "22004" | "22023" | "22P02" | "RV002" => {}
            other => panic!("{call}: {other} {error:?}"),
        }
    }
    assert!(refused > 5, "{refused}");
    for refused in [
        "dag_learn_now()",
        "dag_reset_learning()",
        "dag_export_state()",
        "dag_decisions()",
    ] {
        let error = client
            .simple_query(&format!("SELECT ruvector.{refused}"))
            .expect_err(refused);
        assert_eq!(error.code().map(|code| code.code()), Some("55000"), "{refused}");
    }
    let known = client.simple_query("SELECT internal_errors FROM ruvector.dag_status()")?;
    let errors = known.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    assert_eq!(errors.as_deref(), Some("0"));
    assert_eq!(learned(&mut client)?, before);
    Ok(())
}

/// Columns that pg_upgrade refuses (`check.c`): OID aliases whose numbers change with the catalog, and types whose format did.
const BLOCKING: &str = "SELECT format('%s.%s %s', c.oid::regclass, a.attname, format_type(a.atttypid, NULL))
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'ruvector'::regnamespace AND c.relkind IN ('r', 'm', 'i') AND a.attnum > 0 AND NOT a.attisdropped
        AND (format_type(a.atttypid, NULL) ~ '^(reg(collation|config|dictionary|namespace|oper|operator|proc|procedure)|aclitem|abstime|reltime|tinterval|line|unknown|information_schema\\..*)(\\[\\])?$'
            OR a.atttypid IN (SELECT reltype FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND reltype <> 0))";

#[test]
fn nothing_of_ours_stands_in_the_way_of_pg_upgrade() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("CREATE EXTENSION ruvector_dag")?;
    let columns: Vec<String> = client
        .query(BLOCKING, &[])?
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(columns.is_empty(), "{columns:?}");
    // The check itself works.
    client.batch_execute("CREATE TABLE ruvector.bad (a regproc, b regclass)")?;
    assert_eq!(client.query(BLOCKING, &[])?.len(), 1);
    client.batch_execute("DROP TABLE ruvector.bad")?;
    // No function in another language than those every server has, none loaded from a place of its own, no prepared
    // transactions, operators or casts.
    let strange = "SELECT count(*) FROM pg_depend AS d LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ruvector_dag')
        AND (d.classid NOT IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass, 'pg_namespace'::regclass)
            OR p.probin IS NOT NULL AND p.probin <> '$libdir/ruvector_dag')";
    assert_eq!(count(&mut client, strange)?, 0);
    Ok(())
}

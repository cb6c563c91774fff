//! A user who may make objects and wants more rights than that: nothing of ours resolves to them or runs them.

use anyhow::Result;
use postgres::Client;
use ruvector_dag_tests::{WRITTEN, answer, count, learn, learning, measure, server};
use testkit::Cluster;

/// Objects named like those of pg_catalog that our SQL uses, in a schema of mallory's that comes first in everybody's path. Each
/// one counts that it was called; called by a superuser it makes mallory one.
const TRAPS: &str = r#"
    CREATE ROLE mallory LOGIN; CREATE SCHEMA evil AUTHORIZATION mallory;
    SET ROLE mallory; SET search_path = evil, pg_catalog;
    CREATE SEQUENCE evil.calls; GRANT ALL ON SEQUENCE evil.calls TO PUBLIC; GRANT USAGE ON SCHEMA evil TO PUBLIC;
    CREATE FUNCTION evil.spring() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
        PERFORM pg_catalog.nextval('evil.calls');
        IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user) THEN
            ALTER ROLE mallory SUPERUSER;
        END IF;
        RETURN true;
    END$$;
    DO $$DECLARE ty text; op text; BEGIN
        FOREACH ty IN ARRAY ARRAY['int4', 'int8', 'float4', 'float8', 'text', 'oid', 'timestamptz', 'bool', 'name', 'int8[]', 'oid[]',
                'pg_catalog."char"', 'bytea', 'jsonb', 'real[]'] LOOP
            EXECUTE pg_catalog.format('CREATE FUNCTION evil.compare(%1$s, %1$s) RETURNS boolean LANGUAGE sql AS ''SELECT evil.spring()''', ty);
            FOREACH op IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>=', '~~', '<@'] LOOP
                EXECUTE pg_catalog.format('CREATE OPERATOR evil.%1$s (FUNCTION = evil.compare, LEFTARG = %2$s, RIGHTARG = %2$s)', op, ty);
            END LOOP;
            EXECUTE pg_catalog.format('CREATE FUNCTION evil.same(%1$s, %1$s) RETURNS %1$s LANGUAGE sql AS ''SELECT CASE WHEN evil.spring() THEN $1 END''', ty);
            FOREACH op IN ARRAY ARRAY['+', '-', '*', '/', '||'] LOOP
                EXECUTE pg_catalog.format('CREATE OPERATOR evil.%1$s (FUNCTION = evil.same, LEFTARG = %2$s, RIGHTARG = %2$s)', op, ty);
            END LOOP;
            EXECUTE pg_catalog.format('CREATE FUNCTION evil.step(int8, %1$s) RETURNS int8 LANGUAGE sql AS ''SELECT CASE WHEN evil.spring() THEN 1::pg_catalog.int8 END''', ty);
            FOREACH op IN ARRAY ARRAY['count', 'sum', 'avg', 'max', 'min', 'string_agg', 'array_agg'] LOOP
                EXECUTE pg_catalog.format('CREATE AGGREGATE evil.%1$s (%2$s) (SFUNC = evil.step, STYPE = int8)', op, ty);
            END LOOP;
            EXECUTE pg_catalog.format('CREATE FUNCTION evil.round(%1$s) RETURNS %1$s LANGUAGE sql AS ''SELECT CASE WHEN evil.spring() THEN $1 END''', ty);
            EXECUTE pg_catalog.format('CREATE FUNCTION evil.abs(%1$s) RETURNS %1$s LANGUAGE sql AS ''SELECT CASE WHEN evil.spring() THEN $1 END''', ty);
            EXECUTE pg_catalog.format('CREATE FUNCTION evil.unnest(%1$s) RETURNS SETOF %1$s LANGUAGE sql AS ''SELECT $1 WHERE evil.spring()''', ty);
        END LOOP;
    END$$;
    CREATE FUNCTION evil.step(int8) RETURNS int8 LANGUAGE sql AS 'SELECT CASE WHEN evil.spring() THEN 1::pg_catalog.int8 END';
    CREATE AGGREGATE evil.count(*) (SFUNC = evil.step, STYPE = int8);
    CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT CASE WHEN evil.spring() THEN pg_catalog.now() END';
    CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS 'SELECT CASE WHEN evil.spring() THEN ''on'' END';
    CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT CASE WHEN evil.spring() THEN ''on'' END';
    CREATE FUNCTION evil.pg_has_role(oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.spring()';
    CREATE DOMAIN evil.regclass AS pg_catalog.text; CREATE DOMAIN evil.bigint AS pg_catalog.text;
    CREATE VIEW evil.pg_class AS SELECT * FROM pg_catalog.pg_class WHERE evil.spring();
    CREATE VIEW evil.pg_settings AS SELECT * FROM pg_catalog.pg_settings WHERE evil.spring();
    CREATE VIEW evil.pg_roles AS SELECT * FROM pg_catalog.pg_roles WHERE evil.spring();
    CREATE VIEW evil.pg_stat_activity AS SELECT * FROM pg_catalog.pg_stat_activity WHERE evil.spring();
    RESET ROLE; RESET search_path"#;

/// The traps spring where they can.
const CALLS: &str = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM evil.calls";

/// Every function that can be called without an argument, and each of the others once.
const ALL: &str = "SELECT p.oid::regprocedure::text FROM pg_depend AS d JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ruvector_dag')
        AND d.deptype = 'e' AND p.pronargs = p.pronargdefaults ORDER BY 1";
const WITH_ARGUMENTS: &[&str] = &[
    "dag_analyze_plan('SELECT count(*) FROM public.t WHERE a = 1')",
    "dag_explain('SELECT count(*) FROM public.t WHERE a = 1')",
    "dag_similar_statements('SELECT count(*) FROM public.t WHERE a = 1')",
    "dag_suggest_optimizations('SELECT count(*) FROM public.t WHERE a = 1 AND b = 1')",
    "dag_bulk_analyze(ARRAY['SELECT count(*) FROM public.t WHERE a = 1'])",
    "dag_estimate('SELECT count(*) FROM public.t WHERE a = 1')",
    "dag_rewrite_query('SELECT count(*) FROM public.t x JOIN public.t y USING (a)')",
    "dag_prewarm_patterns(ARRAY['SELECT count(*) FROM public.t WHERE a = 1'])",
    "dag_attention_matrix('SELECT count(*) FROM public.t WHERE a = 1')",
    "dag_set_attention('auto')",
    "dag_attention_configure('causal_cone', '{}')",
    "dag_import_state(ruvector.dag_export_state())",
    "dag_dream('100 milliseconds')",
    "dag_plan_shapes_similarity(ruvector.dag_plan_fingerprint())",
    "dag_reset_role('mallory', false, false)",
];

/// `reader` looks up what there is, under a search path of its own.
fn call_everything(client: &mut Client, reader: &mut Client) -> Result<usize> {
    let names = reader.query(ALL, &[])?;
    let mut called = 0;
    for name in names.iter().map(|row| row.get::<_, String>(0)) {
        let call = name.split('(').next().unwrap_or_default().to_owned() + "()";
        let call = if call.starts_with("ruvector.") {
            call
        } else {
            format!("ruvector.{call}")
        };
        client.batch_execute(&format!("SELECT * FROM {call}"))?;
        called += 1;
    }
    for call in WITH_ARGUMENTS {
        client.batch_execute(&format!("SELECT * FROM ruvector.{call}"))?;
    }
    for view in ["dag_patterns", "dag_trajectories", "dag_corrections"] {
        client.batch_execute(&format!("SELECT * FROM ruvector.{view} LIMIT 1"))?;
    }
    Ok(called)
}

fn assert_harmless(cluster: &Cluster<'_>) -> Result<()> {
    let mut client = cluster.client("postgres")?;
    client.batch_execute("SET search_path = pg_catalog")?;
    assert_eq!(count(&mut client, CALLS)?, 0, "something of mallory's was called");
    let supers = "SELECT count(*) FROM pg_roles WHERE rolname = 'mallory' AND rolsuper";
    assert_eq!(count(&mut client, supers)?, 0);
    Ok(())
}

#[test]
fn a_hostile_search_path_changes_the_meaning_of_nothing_of_ours() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server)
        .set("ruvector.dag_background_interval", "1s")
        .start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(TRAPS)?;
    // The traps work: this is how they spring.
    client.batch_execute(
        "CREATE ROLE victim; GRANT mallory TO victim; SET ROLE victim; SET search_path = evil, pg_catalog;
         SELECT 1::int4 = 1::int4, count(*) FROM pg_class; RESET ROLE; RESET search_path",
    )?;
    assert!(count(&mut client, CALLS)? > 0);
    client.batch_execute("SELECT setval('evil.calls', 1, false); DROP ROLE victim")?;
    // From here on for everybody, workers included.
    client.batch_execute("ALTER DATABASE postgres SET search_path = evil, pg_catalog, public")?;
    let mut victim = cluster.client("postgres")?;
    victim.batch_execute(
        "CREATE EXTENSION ruvector_dag VERSION '0.1.0'; ALTER EXTENSION ruvector_dag UPDATE; DROP EXTENSION ruvector_dag;
         CREATE EXTENSION ruvector_dag",
    )?;
    assert_harmless(&cluster)?;
    victim.batch_execute(
        "SET search_path = pg_catalog, public; CREATE TABLE public.t (id int PRIMARY KEY, a int, b int);
         INSERT INTO public.t SELECT i, i % 20, i % 20 FROM generate_series(1, 20000) AS i; ANALYZE public.t",
    )?;
    learn(&mut victim, 0..5)?;
    victim.batch_execute("SET search_path = evil, pg_catalog, public")?;
    assert!(call_everything(&mut victim, &mut cluster_client(&cluster)?)? > 20);
    assert_harmless(&cluster)?;
    // The worker has had its turn.
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(measure(&mut cluster_client(&cluster)?, "worker_cycles")? > 0.0);
    assert_harmless(&cluster)?;
    victim.batch_execute("DROP EXTENSION ruvector_dag")?;
    assert_harmless(&cluster)
}

fn cluster_client(cluster: &Cluster<'_>) -> Result<Client> {
    let mut client = cluster.client("postgres")?;
    client.batch_execute("SET search_path = pg_catalog, public")?;
    Ok(client)
}

#[test]
fn temporary_objects_of_an_admin_do_not_come_first_in_functions_with_the_owners_rights() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(TRAPS)?;
    client.batch_execute(ruvector_dag_tests::TABLE)?;
    client.batch_execute(
        "GRANT ruvector_dag_admin, pg_read_all_stats TO mallory; GRANT SELECT ON t TO mallory",
    )?;
    learn(&mut client, 0..5)?;
    let mut mallory = cluster.client_as("postgres", "mallory")?;
    mallory.batch_execute(
        "CREATE TEMP VIEW dag_state AS SELECT 'sona' AS part WHERE evil.spring();
         CREATE TEMP VIEW dag_corrections AS SELECT 1 AS relation_key WHERE evil.spring();
         CREATE TEMP VIEW pg_class AS SELECT 1::oid AS oid WHERE evil.spring();
         CREATE TEMP VIEW pg_stat_activity AS SELECT 'active' AS state WHERE evil.spring();
         CREATE TEMP VIEW pg_extension AS SELECT 'ruvector_dag' AS extname WHERE evil.spring();
         SET search_path = pg_temp, evil, pg_catalog",
    )?;
    client.batch_execute("SELECT ruvector.dag_learn_now()")?;
    assert!(count(&mut client, WRITTEN)? > 0);
    for call in [
        "dag_learn_now()",
        "dag_export_state()",
        "dag_memory_usage()",
        "dag_list_patterns()",
        "dag_recompute_clusters()",
        "dag_consolidate_patterns(3)",
        "dag_reset_pattern_quality()",
        "dag_import_state(ruvector.dag_export_state())",
        "dag_configure_sona(pattern_clusters => 5)",
        "dag_dream('50 milliseconds')",
        "dag_reset_role('postgres', false, false)",
        "dag_reset_learning(false, false)",
    ] {
        mallory.batch_execute(&format!("SELECT ruvector.{call}"))?;
    }
    assert_harmless(&cluster)?;
    assert_eq!(count(&mut client, WRITTEN)?, 0);
    Ok(())
}

/// Functions that count how often they are called.
const COUNTED: &str = "CREATE SEQUENCE calls; GRANT ALL ON SEQUENCE calls TO PUBLIC;
    CREATE FUNCTION volatile_one(i int) RETURNS int VOLATILE LANGUAGE plpgsql AS $$BEGIN PERFORM nextval('calls'); RETURN i; END$$;
    CREATE FUNCTION stable_one(i int) RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN PERFORM nextval('calls'); RETURN i; END$$;
    CREATE FUNCTION immutable_one(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM nextval('calls'); RETURN i; END$$";
const TAKEN: &str = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM calls";

#[test]
fn analysis_runs_no_function_that_explain_would_not_run() -> Result<()> {
    let server = server()?;
    let cluster = learning(&server).start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(ruvector_dag_tests::TABLE)?;
    client.batch_execute(COUNTED)?;
    let statements = [
        ("SELECT volatile_one(a) FROM t", false),
        ("SELECT count(*) FROM t WHERE volatile_one(1) = a", false),
        (
            "INSERT INTO t SELECT volatile_one(id) + 100000, 1, 1 FROM t",
            false,
        ),
        ("DELETE FROM t WHERE stable_one(a) = b", false),
        ("SELECT stable_one(a), immutable_one(b) FROM t", false),
        ("SELECT count(*) FROM t WHERE a = immutable_one(3)", true),
        (
            "SELECT count(*) FROM t x JOIN t y USING (a) WHERE y.b = stable_one(3)",
            true,
        ),
    ];
    let functions = [
        "dag_analyze_plan($1)",
        "dag_critical_path($1)",
        "dag_bottlenecks($1)",
        "dag_mincut_analysis($1)",
        "dag_attention_scores($1)",
        "dag_explain($1)",
        "dag_embedding($1)",
        "dag_similar_statements($1)",
        "dag_estimate($1)",
        "dag_suggest_optimizations($1)",
        "dag_rewrite_query($1)",
        "dag_summarize($1)",
        "dag_bulk_analyze(ARRAY[$1])",
        "dag_prewarm($1)",
    ];
    for (statement, is_folded) in statements {
        let before = count(&mut client, TAKEN)?;
        client.simple_query(&format!("EXPLAIN {statement}"))?;
        let by_explain = count(&mut client, TAKEN)? - before;
        assert_eq!(by_explain > 0, is_folded, "{statement}");
        for function in functions {
            let before = count(&mut client, TAKEN)?;
            client.query(&format!("SELECT * FROM ruvector.{function}"), &[&statement])?;
            let taken = count(&mut client, TAKEN)? - before;
            // Each planning folds what EXPLAIN's folds, and none of them reads a row.
            let most = if is_folded { 500 } else { 0 };
            assert!(taken <= most, "{function} of {statement}: {taken} calls");
        }
    }
    assert_eq!(count(&mut client, "SELECT count(*) FROM t")?, 20_000);
    // One statement, and nothing but a statement that is planned.
    for text in [
        "SELECT 1; DROP TABLE t",
        "DROP TABLE t",
        "EXPLAIN ANALYZE DELETE FROM t",
        "DO 'BEGIN END'",
        "",
    ] {
        assert!(
            client
                .query("SELECT * FROM ruvector.dag_analyze_plan($1)", &[&text])
                .is_err(),
            "{text}"
        );
    }
    Ok(())
}

/// Rows of two owners behind row-level security, and a cheap function that tells what it is shown.
const SECRETS: &str = "CREATE EXTENSION ruvector_dag; CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN; CREATE SCHEMA bob AUTHORIZATION bob;
    CREATE TABLE secret (id int PRIMARY KEY, owner name, n int);
    INSERT INTO secret SELECT i, CASE WHEN i % 2 = 0 THEN 'ann' ELSE 'bob' END, i % 50 FROM generate_series(1, 20000) AS i;
    CREATE TABLE other (id int PRIMARY KEY, n int); INSERT INTO other SELECT i, i % 50 FROM generate_series(1, 20000) AS i;
    ALTER TABLE secret ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON secret USING (owner = current_user);
    GRANT SELECT ON secret, other TO ann, bob; ANALYZE secret, other;
    SET ROLE bob;
    CREATE FUNCTION bob.leak(id int) RETURNS boolean COST 0.0001 LANGUAGE plpgsql AS $$BEGIN
        IF id % 2 = 0 THEN RAISE LOG 'leaked row %', id; END IF; RETURN true; END$$;
    CREATE FUNCTION bob.stable_leak(id int) RETURNS boolean STABLE COST 0.0001 LANGUAGE plpgsql AS $$BEGIN
        IF id % 2 = 0 THEN RAISE LOG 'leaked row %', id; END IF; RETURN true; END$$; RESET ROLE";

#[test]
fn row_level_security_holds_for_every_plan_that_is_tried_rewritten_or_dreamt_of() -> Result<()> {
    let server = server()?;
    let cluster = ruvector_dag_tests::trying(&server)
        .set("ruvector.dag_rewrite", "force")
        .set("ruvector.dag_dream_budget", "5min")
        .start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute(SECRETS)?;
    let mut bob = cluster.client_as("postgres", "bob")?;
    let mut ann = cluster.client_as("postgres", "ann")?;
    let statements = [
        "SELECT count(*), min(id % 2) FROM secret WHERE bob.leak(id)",
        "SELECT count(*), min(s.id % 2) FROM secret s JOIN other o USING (n) WHERE bob.stable_leak(s.id) AND s.n < 3",
        "SELECT count(*) FROM secret s JOIN other o USING (n) JOIN secret r USING (n) WHERE bob.stable_leak(r.id) AND o.id < 500",
    ];
    let mut stock = cluster.client_as("postgres", "bob")?;
    stock.batch_execute("SET ruvector.neural_dag_enabled = off")?;
    for statement in statements {
        let expected = answer(&mut stock, statement);
        for _ in 0..8 {
            assert_eq!(answer(&mut bob, statement), expected, "{statement}");
        }
        for function in [
            "dag_analyze_plan",
            "dag_estimate",
            "dag_rewrite_query",
            "dag_suggest_optimizations",
            "dag_explain",
        ] {
            bob.query(&format!("SELECT * FROM ruvector.{function}($1)"), &[&statement])?;
        }
    }
    // The same text means other rows to another role.
    let of_owner = "SELECT count(*), min(owner), max(owner) FROM secret s JOIN other o USING (id)";
    for _ in 0..6 {
        assert_eq!(answer(&mut bob, of_owner)[0], "10000,bob,bob");
        assert_eq!(answer(&mut ann, of_owner)[0], "10000,ann,ann");
    }
    client.batch_execute("SELECT ruvector.dag_learn_now(); SELECT ruvector.dag_dream('3 s')")?;
    assert!(measure(&mut client, "trials_run")? > 0.0, "nothing was tried");
    let log = cluster.log()?;
    assert!(!log.contains("leaked row"), "{log}");
    assert_eq!(measure(&mut client, "internal_errors")?, 0.0);
    Ok(())
}

-- A role of the server that nobody can log in as.
SELECT rolsuper, rolcanlogin, rolcreaterole, rolinherit, rolbypassrls FROM pg_roles WHERE rolname = 'ruvector_dag_admin';
-- What not everybody may execute, the role may; nothing of it is listed.
SELECT p.oid::regprocedure AS not_for_admins
FROM pg_depend AS d JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ruvector_dag')
    AND d.deptype = 'e' AND NOT has_function_privilege('public', p.oid, 'EXECUTE')
    AND NOT has_function_privilege('ruvector_dag_admin', p.oid, 'EXECUTE') ORDER BY 1;
-- What runs with its owner's rights names its search path, and none that somebody else could write to; nothing is listed.
SELECT p.oid::regprocedure AS without_search_path
FROM pg_depend AS d JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ruvector_dag')
    AND d.deptype = 'e' AND p.prosecdef
    AND (p.proconfig IS DISTINCT FROM '{"search_path=pg_catalog, pg_temp"}' OR p.pronamespace <> 'ruvector'::regnamespace) ORDER BY 1;
-- SQL functions were parsed when they were made; none is kept as text that a search path could change the meaning of.
SELECT p.oid::regprocedure AS kept_as_text
FROM pg_depend AS d JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ruvector_dag')
    AND d.deptype = 'e' AND p.prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') AND p.prosqlbody IS NULL ORDER BY 1;
-- Nobody but the owner writes to the tables or makes anything in the schema; nothing is listed.
SELECT c.oid::regclass AS writable
FROM pg_class AS c WHERE c.relnamespace = 'ruvector'::regnamespace AND c.relkind IN ('r', 'v', 'S')
    AND (has_table_privilege('public', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        OR has_table_privilege('ruvector_dag_admin', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')) ORDER BY 1;
SELECT has_schema_privilege('public', 'ruvector', 'CREATE') AS anybody, has_schema_privilege('ruvector_dag_admin', 'ruvector', 'CREATE') AS admins;

GRANT ruvector_dag_admin TO regress_dag_user;
SET ROLE regress_dag_user;
SELECT count(*) FROM ruvector.dag_learn_now();
SELECT ruvector.dag_configure_sona(pattern_clusters => 7);
SELECT ruvector.dag_configure_sona(NULL, NULL, NULL, NULL);
SELECT ruvector.dag_reset_role('regress_dag_user', false, true);
SELECT ruvector.dag_reset_role(NULL) IS NULL AS nothing_for_nobody;
SELECT ruvector.dag_reset_role('nobody_of_this_name');
SELECT length(ruvector.dag_export_state()) > 0 AS exports;
-- Its rights end there.
DELETE FROM ruvector.dag_trajectories;
SELECT count(queryid) FROM ruvector.dag_decisions() WHERE userid <> 'regress_dag_user'::regrole;
SET ruvector.dag_scope = role;
RESET ROLE;
REVOKE ruvector_dag_admin FROM regress_dag_user;
SET ROLE regress_dag_user;
SELECT ruvector.dag_reset_role('regress_dag_user');
RESET ROLE;

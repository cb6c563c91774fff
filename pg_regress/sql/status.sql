-- What is installed.
SELECT extname, extversion, nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
WHERE extname = 'ruvector_dag';
SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, provolatile, proisstrict, proparallel
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'ruvector_dag' ORDER BY 1, 2;
-- Every object has a comment.
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'ruvector'::regnamespace
    AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT relname FROM pg_class WHERE relnamespace = 'ruvector'::regnamespace AND relkind = 'r'
    AND obj_description(oid, 'pg_class') IS NULL;
-- The settings.
SELECT name, boot_val, unit, context FROM ruvector.dag_config();
SELECT mode, qudag_connected, internal_errors, attention_hits FROM ruvector.dag_status();
SET ruvector.neural_dag_enabled = off;
SELECT mode FROM ruvector.dag_status();
RESET ruvector.neural_dag_enabled;
SET ruvector.dag_mode = observe;
SELECT mode FROM ruvector.dag_status();
RESET ruvector.dag_mode;

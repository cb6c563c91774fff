-- Messages and hints, then the same with their SQLSTATEs.
\set SHOW_CONTEXT never
SELECT ruvector.dag_explain('SELECT 1; SELECT 2');
SELECT ruvector.dag_explain('');
SELECT ruvector.dag_explain('CREATE TABLE x ()');
SELECT ruvector.dag_explain('SELECT 1 FROM customers', 'xml');
SELECT ruvector.dag_analyze_plan('no statement');
SELECT ruvector.dag_analyze_plan('SELECT * FROM nowhere');
SELECT ruvector.dag_analyze_plan('SELECT id / 0 FROM customers WHERE nothing = 1');
SELECT ruvector.dag_explain(NULL) IS NULL AS is_null;
SELECT count(*) FROM ruvector.dag_analyze_plan(NULL);
SET ruvector.neural_dag_enabled = off;
SELECT ruvector.dag_learn_now();
RESET ruvector.neural_dag_enabled;
SET ruvector.dag_mode = sometimes;
SET ruvector.dag_sample_rate = 2;
SET ruvector.dag_max_trajectories = 5;
\set VERBOSITY sqlstate
SELECT ruvector.dag_explain('SELECT 1; SELECT 2');
SELECT ruvector.dag_explain('');
SELECT ruvector.dag_explain('CREATE TABLE x ()');
SELECT ruvector.dag_explain('SELECT 1 FROM customers', 'xml');
SELECT ruvector.dag_analyze_plan('no statement');
SELECT ruvector.dag_analyze_plan('SELECT * FROM nowhere');
SET ruvector.neural_dag_enabled = off;
SELECT ruvector.dag_learn_now();
RESET ruvector.neural_dag_enabled;
SET ruvector.dag_mode = sometimes;
SET ruvector.dag_sample_rate = 2;
SET ruvector.dag_max_trajectories = 5;
\set VERBOSITY default
-- Errors of users' own keep their context.
CREATE FUNCTION fails(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / (n - n); END $$;
\set SHOW_CONTEXT always
SELECT fails(id) FROM customers WHERE city = 42;
DO $$ BEGIN PERFORM 1 / (city - city) FROM customers; END $$;
\set SHOW_CONTEXT errors
SELECT internal_errors FROM ruvector.dag_status();

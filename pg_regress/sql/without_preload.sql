CREATE EXTENSION ruvector_dag;
\c
-- The first function loads the library, which warns; those that need shared memory say what to do.
SELECT * FROM ruvector.dag_status();
\set VERBOSITY sqlstate
SELECT * FROM ruvector.dag_decisions();
SELECT * FROM ruvector.dag_learn_now();
SELECT ruvector.dag_reset_learning();
SELECT ruvector.dag_explain('SELECT 1');
\set VERBOSITY default
-- A plan needs none.
SELECT count(*) > 0 AS planned FROM ruvector.dag_analyze_plan('SELECT count(*) FROM pg_class');
SELECT count(*) FROM ruvector.dag_trajectory_history();

CREATE EXTENSION ruvector_dag;
\c
-- The first function loads the library, which warns; those that need shared memory say what to do.
SELECT * FROM ruvector.dag_status();
\set VERBOSITY sqlstate
SELECT * FROM ruvector.dag_decisions();
SELECT * FROM ruvector.dag_savings();
SELECT ruvector.dag_rewrite_query('SELECT 1');
SELECT * FROM ruvector.dag_suggest_optimizations('SELECT 1');
SELECT ruvector.dag_pin_decision(1);
SELECT * FROM ruvector.dag_learn_now();
SELECT ruvector.dag_reset_learning();
SELECT ruvector.dag_query_patterns('{1}');
SELECT count(*) FROM ruvector.dag_patterns;
SELECT ruvector.dag_pattern_clusters();
SELECT ruvector.dag_ewc_constraints();
SELECT ruvector.dag_export_state();
SELECT ruvector.dag_import_state('');
SELECT ruvector.dag_pin(1);
SELECT ruvector.dag_unpin(1);
SELECT ruvector.dag_forget(1);
SELECT ruvector.dag_memory_usage();
SELECT ruvector.dag_estimate('SELECT 1');
SELECT ruvector.dag_prewarm_patterns('{}');
SELECT ruvector.dag_trajectory_trends();
SELECT ruvector.dag_store_pattern('{1}', '{}', 0.5);
SELECT ruvector.dag_consolidate_patterns();
SELECT ruvector.dag_recompute_clusters();
SELECT ruvector.dag_reset_pattern_quality();
SELECT ruvector.dag_configure_sona();
SELECT ruvector.dag_dream('1 second');
SELECT ruvector.dag_explain('SELECT 1');
\set VERBOSITY default
-- A plan needs none.
SELECT count(*) > 0 AS planned FROM ruvector.dag_analyze_plan('SELECT count(*) FROM pg_class');
SELECT count(*) FROM ruvector.dag_trajectory_history();

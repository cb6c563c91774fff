-- Executions that were measured elsewhere, trends, what is taken, plan shapes.
SELECT ruvector.dag_reset_learning(false, false);
-- Only these.
SET ruvector.dag_sample_rate = 0;
CREATE FUNCTION plan_of(query text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan; RETURN plan; END $$;
SELECT ruvector.dag_record_trajectory(42, plan_of('SELECT count(*) FROM customers WHERE city = 3'), 12.5, 0.75, 'topological') > 0
    AS is_recorded;
SELECT queryid, execution_ms, baseline_ms, improvement_ratio, attention_mechanism, cardinality(embedding) AS numbers,
    counted_relations, max_q_error, total_cost > 0 AS costs, userid = 'postgres'::regrole AS own
FROM ruvector.dag_trajectories WHERE queryid = 42;
-- With counts.
SELECT ruvector.dag_record_trajectory(43, '[{"Plan": {"Node Type": "Sort", "Total Cost": 3, "Plan Rows": 10, "Actual Rows": 40,
    "Actual Loops": 1, "Plans": [{"Node Type": "Seq Scan", "Total Cost": 2, "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1}]}}]',
    1, NULL, 'auto') > 0 AS is_recorded;
SELECT counted_relations, max_q_error, improvement_ratio, attention_mechanism IS NOT NULL AS is_weighed
FROM ruvector.dag_trajectories WHERE queryid = 43;
SELECT ruvector.dag_record_trajectory(NULL, '[]', 1, NULL, NULL) IS NULL AS is_null;
-- Many: all or none.
SELECT ruvector.dag_bulk_record_trajectories(array_agg(jsonb_build_object('query_hash', 100 + i % 5, 'dag_structure',
    plan_of('SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.city = ' || i),
    'execution_time_ms', 10 + i, 'improvement_ratio', 0.5, 'attention_mechanism', 'critical_path')))
FROM generate_series(1, 40) AS i;
SELECT count(*) FROM ruvector.dag_trajectories WHERE queryid BETWEEN 100 AND 104;
SELECT ruvector.dag_bulk_record_trajectories('{}');
SELECT ruvector.dag_bulk_record_trajectories(ARRAY['{"query_hash": 7, "dag_structure": [{"Plan": {"Node Type": "Result"}}],
    "execution_time_ms": 1}', '{"query_hash": 7}']::jsonb[]);
SELECT count(*) FROM ruvector.dag_trajectories WHERE queryid = 7;
-- What is wrong is said.
SELECT ruvector.dag_bulk_record_trajectories(ARRAY[NULL]::jsonb[]);
SELECT ruvector.dag_bulk_record_trajectories('{"{\"query_hash\": 7, \"hash\": 7}"}');
SELECT ruvector.dag_record_trajectory(1, '[]', 1, 0, 'topological');
SELECT ruvector.dag_record_trajectory(1, '{"operators": []}', 1, 0, 'topological');
SELECT ruvector.dag_record_trajectory(1, '[{"Plan": {"Node Type": "Result"}}]', -1, 0, 'topological');
SELECT ruvector.dag_record_trajectory(1, '[{"Plan": {"Node Type": "Result"}}]', 'NaN', 0, 'topological');
SELECT ruvector.dag_record_trajectory(1, '[{"Plan": {"Node Type": "Result"}}]', 1, 1, 'topological');
\set VERBOSITY sqlstate
SELECT ruvector.dag_record_trajectory(1, '[{"Plan": {"Node Type": "Result"}}]', 1, 0, 'astrology');
SELECT ruvector.dag_bulk_record_trajectories(array_agg('{}'::jsonb)) FROM generate_series(1, 10001);
SET ruvector.neural_dag_enabled = off;
SELECT ruvector.dag_record_trajectory(1, '[{"Plan": {"Node Type": "Result"}}]', 1, 0, 'topological');
RESET ruvector.neural_dag_enabled;
SET ROLE regress_dag_user;
SELECT ruvector.dag_record_trajectory(1, '[{"Plan": {"Node Type": "Result"}}]', 1, 0, 'topological');
SELECT ruvector.dag_bulk_record_trajectories('{}');
RESET ROLE;
\set VERBOSITY default
-- What is recorded belongs to who recorded it, also under another's rights.
GRANT EXECUTE ON FUNCTION ruvector.dag_record_trajectory TO regress_dag_user;
SET ROLE regress_dag_user;
SELECT ruvector.dag_record_trajectory(8, '[{"Plan": {"Node Type": "Result"}}]', 1, 0, 'topological') > 0 AS is_recorded;
SELECT count(*) FROM ruvector.dag_trajectories WHERE queryid = 8;
-- Trends of what one may see.
SELECT sum(trajectory_count) FROM ruvector.dag_trajectory_trends();
RESET ROLE;
REVOKE EXECUTE ON FUNCTION ruvector.dag_record_trajectory FROM regress_dag_user;
SELECT new_clusters > 0 AS found FROM ruvector.dag_learn_now();
SELECT sum(trajectory_count) > 40 AS all_seen, round(max(avg_improvement)::numeric, 3) AS improvement,
    max(best_mechanism) AS best, sum(pattern_discoveries) > 0 AS found
FROM ruvector.dag_trajectory_trends('1 day');
SELECT count(*) = 0 OR bool_and(avg_prediction_error >= 0) AS errors FROM ruvector.dag_trajectory_trends('5 minutes');
SELECT count(*) FROM ruvector.dag_trajectory_trends('1 month');
SELECT count(*) FROM ruvector.dag_trajectory_trends('0 seconds');
-- From the second cycle on something is expected.
SELECT ruvector.dag_record_trajectory(100, plan_of('SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.city = 50'),
    30, 0.5, 'critical_path') > 0 AS is_recorded;
SELECT expected_ms > 0 AS is_expected FROM ruvector.dag_trajectories ORDER BY trajectory_id DESC LIMIT 1;
-- Before a session needs it.
SELECT patterns_loaded > 0 AS loaded, cache_hit_rate
FROM ruvector.dag_prewarm_patterns(ARRAY['SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.city = 50']);
SELECT patterns_loaded > 0 AS loaded, cache_hit_rate FROM ruvector.dag_prewarm_patterns('{}');
SELECT ruvector.dag_prewarm_patterns('{no statement}');
SELECT count(*) FROM ruvector.dag_prewarm_patterns(NULL);
SELECT count(*) FROM ruvector.dag_trajectory_trends(NULL);
SELECT ruvector.dag_bulk_record_trajectories(NULL) IS NULL AS is_null;
SELECT ruvector.dag_estimate(NULL);
\set VERBOSITY sqlstate
SELECT ruvector.dag_prewarm_patterns('{no statement}');
SELECT patterns_loaded > 0 AS loaded, cache_hit_rate FROM ruvector.dag_prewarm_patterns(ARRAY[NULL]::text[]);
SELECT ruvector.dag_trajectory_trends('0 seconds');
SELECT ruvector.dag_bulk_record_trajectories(ARRAY[NULL]::jsonb[]);
SELECT ruvector.dag_estimate('');
SELECT ruvector.dag_estimate('SELECT 1; SELECT 2');
\set VERBOSITY default
SET ROLE regress_dag_user;
SELECT ruvector.dag_prewarm_patterns('{SELECT * FROM orders}');
SELECT count(*) FROM ruvector.dag_prewarm_patterns('{SELECT * FROM customers}');
RESET ROLE;
-- What is taken: parts of shared memory as the server knows them.
SELECT component, allocated_bytes >= used_bytes AS fits, peak_bytes >= used_bytes AS is_peak, used_bytes > 0 AS is_used
FROM ruvector.dag_memory_usage();
SELECT (SELECT sum(size) FROM pg_shmem_allocations WHERE name LIKE 'ruvector_dag %')
    = (SELECT sum(allocated_bytes) FROM ruvector.dag_memory_usage() WHERE peak_bytes IS NOT NULL AND component <> 'locks') AS is_true;
SET ROLE regress_dag_user;
SELECT count(*) > 0 AS sees FROM ruvector.dag_memory_usage();
RESET ROLE;
-- Plan shapes at a glance.
SELECT length(ruvector.dag_plan_fingerprint()) AS bytes;
SELECT shapes = other_shapes AS as_many, similarity, overlap
FROM ruvector.dag_plan_shapes_similarity(ruvector.dag_plan_fingerprint());
CREATE TABLE before AS SELECT ruvector.dag_plan_fingerprint() AS shapes;
SELECT ruvector.dag_record_trajectory(9, plan_of(
    'SELECT city, sum(amount) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY city ORDER BY 2 LIMIT 1'), 1, 0, 'auto') > 0
    AS is_recorded;
SELECT s.shapes - s.other_shapes AS new_shapes, s.similarity < 1 AS differs, s.overlap BETWEEN 0.5 AND 1 AS overlaps
FROM before, ruvector.dag_plan_shapes_similarity(before.shapes) AS s;
SELECT ruvector.dag_plan_shapes_similarity('\x00');
SET ROLE regress_dag_user;
SELECT shapes, other_shapes, similarity, overlap FROM ruvector.dag_plan_shapes_similarity(ruvector.dag_plan_fingerprint());
RESET ROLE;
SELECT learning_rate_effective FROM ruvector.dag_status();
DROP TABLE before;
DROP FUNCTION plan_of(text);
SELECT ruvector.dag_reset_learning(false, false);
RESET ALL;

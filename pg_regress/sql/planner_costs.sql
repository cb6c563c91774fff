-- Whether the planner's cost settings fit the server.
SET ruvector.dag_sample_rate = 0;
SELECT ruvector.dag_reset_learning(false, false);
-- Nothing ran, nothing is said.
SELECT * FROM ruvector.dag_planner_costs();
-- Tables read in order, read through an index, and sorted: a page at random takes four times as long as it is said to cost.
CREATE TABLE executions AS SELECT i AS query_hash, kind, cost, CASE kind
        WHEN 'order' THEN format('{"Node Type": "Seq Scan", "Total Cost": %s, "Plan Rows": 9, "Actual Rows": 9, "Actual Loops": 1}', cost)
        WHEN 'index' THEN format('{"Node Type": "Index Scan", "Total Cost": %s, "Plan Rows": 9, "Actual Rows": 9, "Actual Loops": 1}', cost)
        ELSE format('{"Node Type": "Sort", "Total Cost": %s, "Plan Rows": 9, "Actual Rows": 9, "Actual Loops": 1, "Plans":
            [{"Node Type": "Seq Scan", "Total Cost": %s, "Plan Rows": 9, "Actual Rows": 9, "Actual Loops": 1}]}', cost, cost / 5) END AS plan,
    cost * CASE kind WHEN 'index' THEN 0.02 ELSE 0.005 END * (1 + 0.1 * (i * 7 % 5 - 2)) AS ms
FROM generate_series(1, 48) AS i, LATERAL (SELECT 1000 + i * 7919 % 20000 AS cost,
    CASE i % 3 WHEN 0 THEN 'order' WHEN 1 THEN 'index' ELSE 'sort' END AS kind) AS s;
CREATE FUNCTION record(statements integer) RETURNS integer LANGUAGE sql AS $$
    SELECT ruvector.dag_bulk_record_trajectories(array_agg(jsonb_build_object('query_hash', query_hash,
        'dag_structure', format('[{"Plan": %s}]', plan)::jsonb, 'execution_time_ms', ms)))
    FROM executions WHERE query_hash <= statements
$$;
SELECT record(29);
SELECT setting, suggested_value, lower, upper, plans, statements FROM ruvector.dag_planner_costs();
SELECT record(48);
SELECT setting, current_value, suggested_value, lower < suggested_value AND suggested_value < upper AS is_within, plans, statements,
    implementation_sql FROM ruvector.dag_planner_costs();
SELECT setting, round((lower / current_value)::numeric, 1) AS lower, round((upper / current_value)::numeric, 1) AS upper
FROM ruvector.dag_planner_costs();
-- What a session sets is not what others were planned with.
SET random_page_cost = 16;
SELECT current_value FROM ruvector.dag_planner_costs() WHERE setting = 'random_page_cost';
RESET random_page_cost;
-- From one's own executions; all for pg_read_all_stats.
SET ROLE regress_dag_user;
SELECT setting, current_value, suggested_value, lower, upper, plans, statements, implementation_sql FROM ruvector.dag_planner_costs();
RESET ROLE;
GRANT pg_read_all_stats TO regress_dag_user;
SET ROLE regress_dag_user;
SELECT setting, suggested_value, plans FROM ruvector.dag_planner_costs();
-- Advice only.
ALTER SYSTEM SET random_page_cost = 16;
RESET ROLE;
REVOKE pg_read_all_stats FROM regress_dag_user;
SELECT setting FROM pg_settings WHERE name = 'random_page_cost';
-- What was cut off, tried, planned with wrong row counts, or before the settings were read does not count.
UPDATE ruvector.dag_trajectories SET is_cut_off = true WHERE queryid % 4 = 0;
UPDATE ruvector.dag_trajectories SET is_trial = true WHERE queryid % 4 = 1;
UPDATE ruvector.dag_trajectories SET max_q_error = 2.1 WHERE queryid % 4 = 2;
SELECT DISTINCT plans, statements FROM ruvector.dag_planner_costs();
UPDATE ruvector.dag_trajectories SET ended_at = '2000-01-01';
SELECT DISTINCT plans, statements FROM ruvector.dag_planner_costs();
-- A plan that can't be read is passed over.
UPDATE ruvector.dag_trajectories SET ended_at = now();
UPDATE ruvector.dag_trajectories SET plan = '\x00' WHERE queryid > 3;
SELECT DISTINCT plans, statements FROM ruvector.dag_planner_costs();
DROP FUNCTION record(integer);
DROP TABLE executions;
SELECT ruvector.dag_reset_learning(false, false);
RESET ALL;

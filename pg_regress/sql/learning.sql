-- From stock to corrected and back again.
SELECT ruvector.dag_reset_learning(false, false);
SET plan_cache_mode = force_custom_plan;
CREATE FUNCTION run(times int, query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE result bigint;
BEGIN
    FOR i IN 1..times LOOP EXECUTE query INTO result; END LOOP;
    RETURN result;
END $$;
SELECT run(1, 'SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.city = 7 AND c.country = 0');
SELECT decision, state, baseline_runs, calls, reason FROM ruvector.dag_decisions() WHERE calls = 1 AND plans_tried = 0
    AND state = 'observing' AND baseline_ms IS NOT NULL ORDER BY calls LIMIT 1;
SELECT run(5, 'SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.city = 7 AND c.country = 0');
SELECT count(*) > 0 AS observed FROM ruvector.dag_decisions() WHERE calls >= 6;
-- Written down on demand.
SELECT patterns_updated > 0 AS patterns, new_clusters IS NOT NULL AS clusters, ewc_constraints_updated, cycle_time_ms > 0 AS took
FROM ruvector.dag_learn_now();
SELECT count(*) > 0 AS written FROM ruvector.dag_corrections;
SELECT count(*) > 0 AS history FROM ruvector.dag_trajectory_history();
SELECT count(*) FROM ruvector.dag_trajectory_history(limit_count => 1);
SELECT count(*) FROM ruvector.dag_trajectory_history(tstzrange('2000-01-01', '2000-01-02'));
SELECT count(*) = 0 AS none_that_good FROM ruvector.dag_trajectory_history(min_improvement => 1.5);
-- Switched off nothing is learned.
SELECT ruvector.dag_reset_learning(false, false);
SET ruvector.dag_mode = off;
SELECT count(*) FROM customers WHERE city = 11;
SELECT count(*) FROM ruvector.dag_decisions();
RESET ruvector.dag_mode;
SET ruvector.dag_sample_rate = 0;
SELECT count(*) FROM customers WHERE city = 12;
SELECT count(*) FROM ruvector.dag_decisions();
RESET ruvector.dag_sample_rate;
-- Patterns can be kept while the evidence goes.
SELECT count(*) FROM customers WHERE city = 13;
SELECT ruvector.dag_reset_learning();
SELECT count(*) FROM ruvector.dag_decisions();
SELECT corrections > 0 AS kept FROM ruvector.dag_status();

-- Latencies, the log, traces, health.
\set SHOW_CONTEXT never
SELECT ruvector.dag_reset_statistics();
SELECT count(*) FROM orders WHERE customer_id = 4711;
SELECT count(*) FROM orders WHERE customer_id = 4711;
-- Each part that was measured, in the order of the shares it takes.
SELECT component, count > 0 AS is_counted, 0 < p50_us AND p50_us <= p95_us AND p95_us <= p99_us
    AND p99_us <= max_us AND mean_us <= max_us AS is_sound
FROM ruvector.dag_latency_breakdown()
WHERE component NOT IN ('worker_cycle', 'learning_cycle', 'trial', 'deep_cycle', 'lock_wait', 'turn_wait');
SELECT b.component, sum(h.count) = max(b.count) AS is_complete
FROM ruvector.dag_latency_breakdown() AS b JOIN ruvector.dag_latency_buckets() AS h USING (component)
WHERE b.component IN ('execution', 'planning') GROUP BY 1 ORDER BY 1;
SELECT count(*) > 0 AS is_known FROM ruvector.dag_latency_breakdown(tstzrange(now() - interval '10 minutes', now()));
SELECT count(*) FROM ruvector.dag_latency_breakdown(tstzrange(now() + interval '1 hour', NULL));
SELECT count(*) FROM ruvector.dag_latency_breakdown('empty');
SELECT count(*) > 0 AS is_known FROM ruvector.dag_latency_breakdown('[-infinity,infinity]');
SELECT ruvector.dag_latency_breakdown(tstzrange(now() - interval '2 hours', now()));
SELECT count(*) > 0 AS is_known FROM ruvector.dag_latency_buckets(NULL);
SELECT ruvector.dag_latency_buckets(tstzrange('2020-01-01', '2021-01-01'));
SELECT metric, count > 0 AND per_second > 0 AS is_counted FROM ruvector.dag_throughput()
WHERE metric IN ('execution', 'planning', 'planning_overhead', 'lookup');
SELECT count(*) FROM ruvector.dag_throughput('1 hour');
SELECT ruvector.dag_throughput('61 minutes');
SELECT ruvector.dag_throughput('0');
SELECT count(*) FROM ruvector.dag_throughput(NULL);
-- Statistics.
SELECT metric, unit, updated_at IS NOT NULL AS has_time FROM ruvector.dag_statistics() ORDER BY metric COLLATE "C";
SELECT value > 0 AS counts FROM ruvector.dag_statistics() WHERE metric = 'statements_learned';
SELECT ruvector.dag_reset_statistics();
SELECT value FROM ruvector.dag_statistics() WHERE metric = 'statements_learned';
SELECT value BETWEEN 0 AND 3600 AS is_new FROM ruvector.dag_statistics() WHERE metric = 'seconds_counted';
SELECT count(*) FROM ruvector.dag_latency_breakdown() WHERE component IN ('execution', 'embedding');
-- The log.
SELECT ruvector.dag_set_debug(true, '{planning,execution}');
SHOW ruvector.dag_debug;
SELECT clock_timestamp() AS begun \gset
SELECT count(*) FROM orders WHERE customer_id = 4712;
SELECT DISTINCT component, severity, regexp_replace(message, '[0-9.]+', 'N', 'g') AS message
FROM ruvector.dag_debug_logs(:'begun') WHERE severity = 'debug' ORDER BY 1, 3;
SELECT count(*) > 0 AS has_ids FROM ruvector.dag_debug_logs(:'begun', 'execution')
WHERE queryid IS NOT NULL AND class IS NOT NULL AND userid = 'postgres'::regrole AND pid = pg_backend_pid();
SELECT ruvector.dag_set_debug(false, '{planning}');
SHOW ruvector.dag_debug;
SELECT ruvector.dag_set_debug(true);
SHOW ruvector.dag_debug;
SELECT ruvector.dag_set_debug(false);
SHOW ruvector.dag_debug;
SELECT ruvector.dag_set_debug(true, '{}');
SHOW ruvector.dag_debug;
SELECT ruvector.dag_set_debug(NULL);
SELECT ruvector.dag_set_debug(true, '{planning,plumbing}');
SELECT count(*) FROM ruvector.dag_debug_logs(severity => 'warning') WHERE severity IN ('debug', 'info');
SELECT count(*) FROM ruvector.dag_debug_logs('infinity');
SELECT ruvector.dag_debug_logs(component => 'plumbing');
SELECT ruvector.dag_debug_logs(severity => 'fatal');
-- What resets and failures leave in it.
SELECT ruvector.dag_reset_learning();
SELECT component, severity, message FROM ruvector.dag_debug_logs(now() - interval '1 minute', 'learning')
WHERE message LIKE '%forgotten%' ORDER BY logged_at DESC LIMIT 1;
-- A trace.
SELECT step, operation, duration_us >= 0 AS is_timed, details ? 'within' AS is_within
FROM ruvector.dag_trace_query('SELECT count(*) FROM orders WHERE customer_id = 4711');
SELECT operation, details FROM ruvector.dag_trace_query('SELECT count(*) FROM orders WHERE customer_id = 4711')
WHERE operation IN ('parse', 'read_operators', 'row_corrections', 'embedding');
SELECT operation FROM ruvector.dag_trace_query('SELECT 1');
SELECT count(*) FROM ruvector.dag_trace_query('DELETE FROM orders') WHERE operation = 'plan';
SELECT count(*) FROM orders;
SELECT ruvector.dag_trace_query('SELECT * FROM nowhere');
SELECT ruvector.dag_trace_query('SELECT 1; SELECT 2');
SELECT count(*) FROM ruvector.dag_trace_query(NULL);
-- Health.
SELECT component, status FROM ruvector.dag_health_check() WHERE component NOT IN ('worker', 'launcher', 'state', 'ring');
SELECT component, bool_and(last_check <= clock_timestamp()) AS has_time, bool_and(message <> '') AS says
FROM ruvector.dag_health_check() GROUP BY component ORDER BY component COLLATE "C";
SET ruvector.neural_dag_enabled = off;
SELECT status, message FROM ruvector.dag_health_check() WHERE component = 'settings';
RESET ruvector.neural_dag_enabled;
-- Settings of the session.
SELECT ruvector.dag_set_enabled(false);
SHOW ruvector.neural_dag_enabled;
SELECT ruvector.dag_set_enabled(NULL);
SELECT ruvector.dag_set_enabled(true);
SHOW ruvector.neural_dag_enabled;
SELECT ruvector.dag_set_learning_rate(0.01);
SHOW ruvector.dag_learning_rate;
SELECT ruvector.dag_set_learning_rate(2);
SELECT ruvector.dag_set_learning_rate(NULL);
RESET ruvector.dag_learning_rate;
-- Others see their own.
SET ROLE regress_dag_user;
SELECT count(*) FROM ruvector.dag_debug_logs() WHERE userid IS DISTINCT FROM 'regress_dag_user'::regrole;
SELECT count(*) > 0 AS is_known FROM ruvector.dag_latency_breakdown();
SELECT count(*) > 0 AS is_known FROM ruvector.dag_throughput();
SELECT count(*) > 0 AS is_known FROM ruvector.dag_statistics();
SELECT count(*) > 0 AS is_known FROM ruvector.dag_health_check();
SELECT count(*) > 0 AS is_known FROM ruvector.dag_trace_query('SELECT count(*) FROM customers');
SELECT ruvector.dag_trace_query('SELECT count(*) FROM orders');
SELECT ruvector.dag_reset_statistics();
SELECT ruvector.dag_set_debug(true);
SET ruvector.dag_debug = 'all';
RESET ROLE;
GRANT pg_read_all_stats TO regress_dag_user;
SET ROLE regress_dag_user;
SELECT count(*) > 0 AS sees FROM ruvector.dag_debug_logs() WHERE userid IS DISTINCT FROM 'regress_dag_user'::regrole;
RESET ROLE;
REVOKE pg_read_all_stats FROM regress_dag_user;
\set VERBOSITY sqlstate
SELECT ruvector.dag_latency_breakdown(tstzrange(now() - interval '2 hours', now()));
SELECT ruvector.dag_throughput('61 minutes');
SELECT ruvector.dag_debug_logs(component => 'plumbing');
SELECT ruvector.dag_debug_logs(severity => 'fatal');
SELECT ruvector.dag_set_debug(true, '{plumbing}');
SELECT ruvector.dag_trace_query('SELECT * FROM nowhere');
SELECT ruvector.dag_trace_query('SELECT 1; SELECT 2');
SELECT ruvector.dag_set_learning_rate(2);
SET ROLE regress_dag_user;
SELECT ruvector.dag_reset_statistics();
RESET ROLE;
\set VERBOSITY default

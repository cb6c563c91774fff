-- Views, the log of decisions, and all at once for who is asked for help.
\set SHOW_CONTEXT never
SELECT name, source, is_changed, pending_restart FROM ruvector.dag_active_config
WHERE name IN ('ruvector.dag_min_duration', 'ruvector.dag_mode', 'ruvector.dag_debug') ORDER BY 1;
SET ruvector.dag_mode = observe;
SELECT setting, source, is_changed FROM ruvector.dag_active_config WHERE name = 'ruvector.dag_mode';
RESET ruvector.dag_mode;
SELECT ruvector.dag_store_pattern(array_fill(0.0625::real, '{256}'), '{}', 0.5) > 0 AS is_stored;
SELECT count(*) > 0 AS has_patterns, bool_and(created_at IS NOT NULL) AS has_times FROM ruvector.dag_recent_patterns;
SELECT count(*) = (SELECT count(*) FROM ruvector.dag_pattern_clusters()) AS are_all FROM ruvector.dag_clusters;
SELECT mechanism, invocations >= 0 AS is_counted, (improvement_rank IS NULL) = (improvement_ratio IS NULL) AS is_ranked
FROM ruvector.dag_attention_effectiveness ORDER BY mechanism COLLATE "C";
-- A decision and its end, as the worker or dag_learn_now notices them, whoever is first.
CREATE PROCEDURE learn_until(condition text) LANGUAGE plpgsql AS $$
DECLARE is_so boolean;
BEGIN
    FOR attempt IN 1..100 LOOP
        PERFORM ruvector.dag_learn_now();
        COMMIT;
        EXECUTE 'SELECT EXISTS (SELECT FROM ruvector.dag_decisions_log WHERE ' || condition || ')' INTO is_so;
        EXIT WHEN is_so;
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$;
-- One statement only.
SET ruvector.dag_sample_rate = 0;
SELECT ruvector.dag_reset_learning(false, false);
DELETE FROM ruvector.dag_decisions_log;
RESET ruvector.dag_sample_rate;
SELECT count(*) FROM orders WHERE amount = 41;
SET ruvector.dag_sample_rate = 0;
SELECT ruvector.dag_pin_decision(class) FROM ruvector.dag_decisions();
CALL learn_until('state = ''pinned''');
SELECT previous_state, state, previous_decision, decision, reason, baseline_ms > 0 AS has_baseline, current_ms > 0 AS has_current,
    userid = 'postgres'::regrole AS own, queryid <> 0 AND class <> 0 AS has_ids
FROM ruvector.dag_decisions_log;
-- What is the same is not logged again.
SELECT ruvector.dag_pin_decision(class) FROM ruvector.dag_decisions();
SELECT ruvector.dag_unpin_decision(class) FROM ruvector.dag_decisions();
CALL learn_until('previous_state = ''pinned''');
SELECT previous_state, state FROM ruvector.dag_decisions_log ORDER BY log_id;
DROP PROCEDURE learn_until;
RESET ruvector.dag_sample_rate;
-- The bundle.
CREATE TEMP TABLE bundle AS
    SELECT convert_from(ruvector.dag_export_diagnostics(), 'UTF8')::jsonb AS contents;
SELECT key, jsonb_typeof(value) AS type FROM bundle, jsonb_each(contents) ORDER BY key COLLATE "C";
SELECT contents ->> 'extension_version' AS version, contents #>> '{settings,ruvector.dag_mode}' AS mode,
    (contents #>> '{statistics,statements_learned}')::float8 > 0 AS counts FROM bundle;
-- No constant of a statement is in it, nor any text of one.
SELECT count(*) FROM orders WHERE amount = 4714711 OR customer_id = 4714712;
SELECT convert_from(ruvector.dag_export_diagnostics(), 'UTF8') ~ '471471|SELECT count' AS tells;
SET ROLE regress_dag_user;
SELECT count(*) FROM ruvector.dag_decisions_log;
INSERT INTO ruvector.dag_decisions_log (queryid) VALUES (1);
SELECT count(*) > 0 AS is_shown FROM ruvector.dag_active_config;
SELECT count(*) > 0 AS is_shown FROM ruvector.dag_attention_effectiveness;
SELECT count(*) > 0 AS is_shown FROM ruvector.dag_recent_patterns;
SELECT count(*) FILTER (WHERE representative_query IS NOT NULL) AS others FROM ruvector.dag_clusters;
SELECT count(*) FROM (SELECT convert_from(ruvector.dag_export_diagnostics(), 'UTF8')::jsonb AS contents) AS own,
    jsonb_array_elements(contents -> 'decisions') AS decision
WHERE decision ->> 'queryid' IS NOT NULL AND (decision ->> 'userid')::oid <> 'regress_dag_user'::regrole;
RESET ROLE;

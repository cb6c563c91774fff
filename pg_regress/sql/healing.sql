-- What is wrong with what was learned, and what puts it right.
\set SHOW_CONTEXT never
SELECT name, boot_val, unit, min_val, max_val, context FROM ruvector.dag_config()
WHERE name LIKE 'ruvector.dag\_healing%' OR name = 'ruvector.dag_confidence';
SET ruvector.dag_confidence = 1.5;
SET ruvector.dag_confidence = 0.5;
RESET ruvector.dag_confidence;
SET ruvector.dag_healing_enabled = off;
-- The worker does nothing of it meanwhile.
ALTER SYSTEM SET ruvector.dag_healing_enabled = off;
SELECT pg_reload_conf();
DO $$ BEGIN
    FOR attempt IN 1..100 LOOP
        EXIT WHEN NOT current_setting('ruvector.dag_healing_enabled')::boolean;
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$;
\c
\set SHOW_CONTEXT never
SHOW ruvector.dag_healing_enabled;
-- Nothing is known.
SET ruvector.dag_sample_rate = 0;
SELECT ruvector.dag_reset_learning(false, false);
DELETE FROM ruvector.dag_anomalies;
DELETE FROM ruvector.dag_repairs;
SELECT count(*) FROM ruvector.dag_anomalies();
SELECT count(*) FROM ruvector.dag_learning_drift();
-- Of each subsystem: where something is wrong it says so, and scores less.
SELECT subsystem, score BETWEEN 0 AND 1 AS is_share, (status = 'ok') = (issues = '{}') AS says, (status = 'ok') = (score = 1) AS scores,
    status = 'ok' OR recommendations <> '{}' AS helps
FROM ruvector.dag_health_report();
SELECT status, score FROM ruvector.dag_health_report() WHERE subsystem IN ('installation', 'decisions', 'anomalies', 'drift', 'repairs');
SET ruvector.dag_mode = off;
SELECT status, score < 1 AS is_less, issues, recommendations FROM ruvector.dag_health_report() WHERE subsystem = 'installation';
RESET ruvector.dag_mode;
SELECT status IN ('ok', 'warning') AS runs, score BETWEEN 0 AND 1 AS is_share, open_anomalies, queued_repairs, repaired_at FROM ruvector.dag_health_summary;
-- Anomalies of three users, one of whom is nobody.
INSERT INTO ruvector.dag_anomalies (detected_at, anomaly_type, severity, queryid, class, userid, value, median, z_score, last_seen_at, resolved_at)
VALUES ('2026-01-01 10:00+00', 'latency', 'high', 11, 1, 'postgres'::regrole, 90, 10, 15, '2026-01-01 11:00+00', '2026-01-01 12:00+00'),
    ('2026-01-02 10:00+00', 'tension', 'low', 12, 2, 'regress_dag_user'::regrole, 0.9, 0.5, 4, '2026-01-02 10:00+00', NULL),
    ('2026-01-03 10:00+00', 'planning_overhead', 'medium', NULL, NULL, NULL, 900, 100, 8, '2026-01-03 10:00+00', NULL);
SELECT anomaly_type, severity, affected_component, z_score, resolved FROM ruvector.dag_anomalies();
SELECT anomaly_type FROM ruvector.dag_anomalies('[2026-01-01 10:30+00,2026-01-02 09:00+00)');
SELECT count(*) FROM ruvector.dag_anomalies(NULL);
SELECT count(*) FROM ruvector.dag_anomalies('empty');
SELECT count(*) FROM ruvector.dag_anomalies('[2026-01-03,)');
SELECT ruvector.dag_anomalies('yesterday');
SELECT status, round(score::numeric, 2) AS score, issues FROM ruvector.dag_health_report() WHERE subsystem = 'anomalies';
SET ROLE regress_dag_user;
SELECT anomaly_type, affected_component FROM ruvector.dag_anomalies();
SELECT count(*) FROM ruvector.dag_anomalies;
SELECT open_anomalies FROM ruvector.dag_health_summary;
INSERT INTO ruvector.dag_anomalies (userid) VALUES ('regress_dag_user'::regrole);
DELETE FROM ruvector.dag_repairs;
-- Who may not change what is learned repairs nothing, nor other people's indexes.
SELECT ruvector.dag_auto_repair();
SELECT ruvector.dag_rebalance_index('orders_pkey');
SELECT count(*) FROM ruvector.dag_index_health() WHERE index_name ~ 'orders|customers';
RESET ROLE;
GRANT pg_monitor TO regress_dag_user;
SET ROLE regress_dag_user;
SELECT index_name, index_type, fragmentation < 0.2 AS is_compact, recall_estimate, recommended_action
FROM ruvector.dag_index_health() WHERE index_name ~ 'orders|customers';
SELECT count(*) FROM ruvector.dag_anomalies();
RESET ROLE;
REVOKE pg_monitor FROM regress_dag_user;
-- An index that is nearly empty, one that is invalid, one over columns whose order is lost.
CREATE TABLE bloated (id int PRIMARY KEY, at int, place int) WITH (autovacuum_enabled = off);
INSERT INTO bloated SELECT i, i, (i * 7919) % 100000 FROM generate_series(1, 100000) AS i;
CREATE INDEX bloated_at ON bloated USING brin (at);
CREATE INDEX bloated_place ON bloated USING brin (place);
DELETE FROM bloated WHERE id % 10 <> 0;
SELECT pg_stat_force_next_flush();
VACUUM ANALYZE bloated;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'bloated_at'::regclass;
SELECT index_name, index_type, round(fragmentation::numeric, 1) AS fragmentation, recall_estimate, recommended_action
FROM ruvector.dag_index_health() WHERE index_name LIKE '%bloated%';
SELECT status, issues FROM ruvector.dag_health_report() WHERE subsystem = 'indexes';
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'bloated_at'::regclass;
REINDEX TABLE bloated;
SELECT index_name, round(fragmentation::numeric, 1) AS fragmentation, recommended_action
FROM ruvector.dag_index_health() WHERE index_name = 'public.bloated_pkey';
-- Only vector indexes are rebalanced.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
SELECT ruvector.dag_rebalance_index('bloated_pkey');
SELECT ruvector.dag_rebalance_index('bloated');
SELECT ruvector.dag_rebalance_index('no_such_index');
SELECT ruvector.dag_rebalance_index('bloated_pkey', 0);
SELECT ruvector.dag_rebalance_index('bloated_pkey', 1.1);
SELECT ruvector.dag_rebalance_index('bloated_pkey', 'NaN');
\set VERBOSITY default
SELECT count(*) FROM ruvector.dag_rebalance_index(NULL);
SELECT count(*) FROM ruvector.dag_rebalance_index('bloated_pkey', NULL);
-- Statistics of the caller's own tables are made anew, and that is noted; a second time there is nothing to do.
INSERT INTO bloated SELECT i, i, i FROM generate_series(200001, 230000) AS i;
SELECT pg_stat_force_next_flush();
SELECT repair_id > 0 AS has_id, repair_type, target, status, duration_ms > 0 AS took FROM ruvector.dag_auto_repair()
WHERE target = 'public.bloated';
SELECT reltuples FROM pg_class WHERE relname = 'bloated';
SELECT count(*) FROM ruvector.dag_auto_repair() WHERE target = 'public.bloated';
SELECT repair_type, target, userid = 'postgres'::regrole AS own, status, reason FROM ruvector.dag_repairs WHERE target = 'public.bloated';
-- What is rolled back is not noted, and leaves the old statistics; the number of rows PostgreSQL notes in place.
INSERT INTO bloated SELECT i, i, i FROM generate_series(300001, 390000) AS i;
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT count(*) FROM ruvector.dag_auto_repair() WHERE target = 'public.bloated';
ROLLBACK;
SELECT (histogram_bounds::text::int[])[101] < 240000 AS is_old FROM pg_stats WHERE tablename = 'bloated' AND attname = 'id';
SELECT reltuples FROM pg_class WHERE relname = 'bloated';
SELECT count(*) FROM ruvector.dag_repairs WHERE target = 'public.bloated';
BEGIN READ ONLY;
SELECT ruvector.dag_auto_repair();
ROLLBACK;
-- With the role that may, but of one's own tables only.
GRANT ruvector_dag_admin TO regress_dag_user;
SET ROLE regress_dag_user;
SELECT count(*) FROM ruvector.dag_auto_repair() WHERE repair_type = 'statistics';
RESET ROLE;
REVOKE ruvector_dag_admin FROM regress_dag_user;
SELECT relacl IS NOT NULL AS has_rights, has_table_privilege('regress_dag_user', oid, 'SELECT') AS reads,
    has_table_privilege('regress_dag_user', oid, 'INSERT, UPDATE, DELETE') AS writes, relrowsecurity
FROM pg_class WHERE relname IN ('dag_anomalies', 'dag_repairs') AND relkind = 'r';
DROP TABLE bloated;
DELETE FROM ruvector.dag_anomalies;
DELETE FROM ruvector.dag_repairs;
ALTER SYSTEM RESET ruvector.dag_healing_enabled;
SELECT pg_reload_conf();
RESET ruvector.dag_sample_rate;

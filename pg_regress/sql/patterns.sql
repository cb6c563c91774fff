\set SHOW_CONTEXT never
-- The worker has just learned, and nothing is to learn until it is switched on again.
SET ruvector.dag_sample_rate = 0;
SELECT count(*) FROM ruvector.dag_learn_now();
SELECT ruvector.dag_reset_learning(false, false);
-- A vector in the direction of one coordinate, leaning to another.
CREATE FUNCTION direction(at int, lean real, towards int) RETURNS real[] LANGUAGE sql IMMUTABLE AS
    $$ SELECT array_agg(CASE i WHEN at THEN 3 WHEN towards THEN 3 * lean ELSE 0 END ORDER BY i)::real[] FROM generate_series(1, 256) AS i $$;
-- Nothing is known yet.
SELECT count(*) FROM ruvector.dag_patterns;
SELECT count(*) FROM ruvector.dag_pattern_clusters();
SELECT count(*) FROM ruvector.dag_query_patterns(direction(1, 0, 2));
SELECT count(*) FROM ruvector.dag_ewc_constraints();
SELECT length(ruvector.dag_export_state()) > 0 AS exported;
-- Stored, found, counted.
SELECT ruvector.dag_store_pattern(direction(1, 0, 2), '{"name": "first"}', 0.9) AS first \gset
SELECT ruvector.dag_store_pattern(direction(1, 0.5, 2), '["second"]', 0.7) AS second \gset
SELECT ruvector.dag_store_pattern(direction(9, 0, 2), NULL, 0.2) AS third \gset
SELECT :first < :second AND :second < :third AS numbered;
SELECT similarity::numeric(4, 3), quality_score, metadata, usage_count, last_used IS NOT NULL AS used
FROM ruvector.dag_query_patterns(direction(1, 0, 2));
SELECT similarity::numeric(4, 3), quality_score, metadata, usage_count
FROM ruvector.dag_query_patterns(direction(1, 0, 2), 1);
SELECT metadata, usage_count FROM ruvector.dag_query_patterns(direction(1, 0, 2), 3, -1) ORDER BY pattern_id;
BEGIN READ ONLY;
SELECT metadata, usage_count FROM ruvector.dag_query_patterns(direction(1, 0, 2), 1);
ROLLBACK;
SELECT metadata, member_count, quality_score, verdict, decision, decision_gain, predicted_ms, usage_count, is_pinned,
    array_length(centroid, 1) AS coordinates, created_at <= last_used AS used_later
FROM ruvector.dag_patterns;
SELECT count(*) FROM ruvector.dag_query_patterns(NULL);
SELECT count(*) FROM ruvector.dag_query_patterns(direction(1, 0, 2), 5, NULL);
-- A change takes the uses over: none is counted twice.
SELECT ruvector.dag_pin(:first);
SELECT metadata, usage_count, is_pinned FROM ruvector.dag_patterns;
SELECT ruvector.dag_unpin(:first);
SELECT usage_count, is_pinned FROM ruvector.dag_patterns WHERE pattern_id = :first;
-- A rollback undoes it, uses included.
SELECT count(*) FROM ruvector.dag_query_patterns(direction(9, 0, 2));
BEGIN;
SELECT ruvector.dag_forget(:first);
SELECT count(*) FROM ruvector.dag_patterns;
ROLLBACK;
SELECT count(*), sum(usage_count) FROM ruvector.dag_patterns;
-- An error after a change in the same statement undoes it, too, and is caught by a savepoint.
BEGIN;
SELECT ruvector.dag_pin(:second);
SAVEPOINT before;
SELECT ruvector.dag_forget(:second);
SELECT ruvector.dag_forget(-1);
ROLLBACK TO before;
SELECT is_pinned FROM ruvector.dag_patterns WHERE pattern_id = :second;
COMMIT;
SELECT is_pinned FROM ruvector.dag_patterns WHERE pattern_id = :second;
-- What was learned of a pattern goes, the pattern stays.
SELECT ruvector.dag_reset_pattern_quality(ARRAY[:third, :third, 1000000, NULL]::bigint[]);
SELECT quality_score, member_count FROM ruvector.dag_patterns ORDER BY pattern_id;
SELECT ruvector.dag_reset_pattern_quality();
SELECT DISTINCT quality_score, member_count, confidence FROM ruvector.dag_patterns;
SELECT ruvector.dag_reset_pattern_quality('{}');
-- Moved away and back.
CREATE TABLE moved AS SELECT ruvector.dag_export_state() AS state;
SELECT clusters_before, clusters_after, patterns_merged, consolidation_time_ms > 0 AS took, silhouette BETWEEN -1 AND 1 AS rated
FROM ruvector.dag_consolidate_patterns(2);
SELECT clusters_before, clusters_after FROM ruvector.dag_consolidate_patterns();
SELECT ruvector.dag_forget(pattern_id) FROM ruvector.dag_patterns;
SELECT count(*) FROM ruvector.dag_patterns;
SELECT ruvector.dag_forget(:first);
SELECT i.* FROM moved, ruvector.dag_import_state(state) AS i;
SELECT metadata, usage_count, is_pinned FROM ruvector.dag_patterns ORDER BY pattern_id;
SELECT ruvector.dag_export_state() = state AS equal FROM moved;
-- What is not understood changes nothing.
SELECT ruvector.dag_import_state('');
SELECT ruvector.dag_import_state('\x00');
SELECT ruvector.dag_import_state(substr(state, 1, 100)) FROM moved;
SELECT ruvector.dag_import_state(set_byte(state, length(state) - 1, get_byte(state, length(state) - 1) # 1)) FROM moved;
SELECT ruvector.dag_import_state(set_byte(state, 4, 200)) FROM moved;
SELECT ruvector.dag_import_state(state || '\x00') FROM moved;
SELECT count(*) FROM ruvector.dag_import_state(NULL);
SELECT ruvector.dag_export_state() = state AS unchanged FROM moved;
-- Found anew in executions; what the owner stored stays.
SELECT ruvector.dag_recompute_clusters();
RESET ruvector.dag_sample_rate;
SELECT count(*) FROM customers WHERE city = 21;
SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.city = 7 AND c.country = 0;
SET ruvector.dag_sample_rate = 0;
SELECT new_clusters > 0 AS found FROM ruvector.dag_learn_now();
SELECT old_clusters >= new_clusters AS fewer, silhouette_score BETWEEN -1 AND 1 AS rated FROM ruvector.dag_recompute_clusters();
SELECT count(*) FROM ruvector.dag_patterns WHERE metadata IS NOT NULL;
SELECT count(*) > 0 AS found, bool_and(verdict IS NOT NULL AND predicted_ms > 0) AS known
FROM ruvector.dag_patterns WHERE metadata IS NULL;
SELECT bool_and(representative_query::bigint = ANY (SELECT queryid FROM ruvector.dag_trajectories)) AS represented,
    bool_and(member_count >= 0 AND avg_quality BETWEEN 0 AND 1 AND array_length(centroid, 1) = 256) AS plausible
FROM ruvector.dag_pattern_clusters();
-- Settings of this database.
SELECT ruvector.dag_configure_sona();
SELECT ruvector.dag_configure_sona(1, 4, 3000, 7);
SELECT settings FROM ruvector.dag_state WHERE part = 'sona';
SELECT ruvector.dag_configure_sona(NULL, NULL, NULL, NULL);
SELECT settings FROM ruvector.dag_state WHERE part = 'sona';
-- Dreams.
SELECT count(*) >= 0 AS dreamt FROM ruvector.dag_dream('100 milliseconds');
SELECT count(*) FROM ruvector.dag_dream(NULL);
SELECT count(*) FROM ruvector.dag_dream('1 microsecond');
-- Nothing is asked for.
SELECT ruvector.dag_pin(NULL) IS NULL AS pinned, ruvector.dag_unpin(NULL) IS NULL AS unpinned, ruvector.dag_forget(NULL) IS NULL AS forgot;
SELECT count(*) FROM ruvector.dag_consolidate_patterns(NULL);
SELECT count(*) FROM ruvector.dag_recompute_clusters(NULL);
-- Bad input.
SELECT ruvector.dag_store_pattern('{1}', '{}', 0.5);
SELECT ruvector.dag_store_pattern(direction(0, 0, 0), '{}', 0.5);
SELECT ruvector.dag_store_pattern(NULL, '{}', 0.5);
SELECT ruvector.dag_store_pattern(array_append((direction(1, 0, 2))[2:], NULL), '{}', 0.5);
SELECT ruvector.dag_store_pattern(direction(1, 0, 2), '{}', NULL);
SELECT ruvector.dag_store_pattern(direction(1, 0, 2), '{}', 1.5);
SELECT ruvector.dag_store_pattern(direction(1, 0, 2), '{}', 'NaN');
SELECT ruvector.dag_store_pattern(direction(1, 'infinity', 2), '{}', 0.5);
SELECT ruvector.dag_store_pattern(direction(1, 0, 2), to_jsonb(repeat('x', 9000)), 0.5);
SELECT ruvector.dag_query_patterns('{}');
SELECT ruvector.dag_query_patterns(direction(1, 0, 2), 0);
SELECT ruvector.dag_query_patterns(direction(1, 0, 2), 1, 2);
SELECT ruvector.dag_consolidate_patterns(0);
SELECT ruvector.dag_recompute_clusters('dbscan');
SELECT ruvector.dag_forget(1000000);
SELECT ruvector.dag_pin(1000000);
SELECT ruvector.dag_unpin(-1);
SELECT ruvector.dag_configure_sona(3);
SELECT ruvector.dag_configure_sona(base_lora_rank => 65);
SELECT ruvector.dag_configure_sona(ewc_lambda => 0);
SELECT ruvector.dag_configure_sona(ewc_lambda => 'NaN');
SELECT ruvector.dag_configure_sona(pattern_clusters => -1);
SELECT ruvector.dag_dream('0');
SELECT ruvector.dag_dream('-1 second');
SELECT ruvector.dag_dream('2 hours');
SET ruvector.neural_dag_enabled = off;
SELECT ruvector.dag_dream('1 second');
RESET ruvector.neural_dag_enabled;
BEGIN READ ONLY;
SELECT ruvector.dag_pin(1);
ROLLBACK;
\set VERBOSITY sqlstate
SELECT ruvector.dag_store_pattern('{1}', '{}', 0.5);
SELECT ruvector.dag_store_pattern(NULL, '{}', 0.5);
SELECT ruvector.dag_store_pattern(direction(1, 0, 2), '{}', 1.5);
SELECT ruvector.dag_store_pattern(direction(1, 0, 2), to_jsonb(repeat('x', 9000)), 0.5);
SELECT ruvector.dag_query_patterns(direction(1, 0, 2), 0);
SELECT ruvector.dag_recompute_clusters('dbscan');
SELECT ruvector.dag_forget(1000000);
SELECT ruvector.dag_pin(1000000);
SELECT ruvector.dag_unpin(1000000);
SELECT ruvector.dag_configure_sona(3);
SELECT ruvector.dag_consolidate_patterns(0);
SELECT ruvector.dag_query_patterns('{}');
SELECT ruvector.dag_import_state('\x00');
SELECT ruvector.dag_dream('2 hours');
SELECT ruvector.dag_reset_learning(true, false);
SELECT ruvector.dag_recompute_clusters();
\set VERBOSITY default
-- Others may look, and change nothing; they see no statements but their own.
SET ROLE regress_dag_user;
SELECT count(*) > 0 AS sees FROM ruvector.dag_patterns;
SELECT count(*) FROM ruvector.dag_query_patterns((SELECT centroid FROM ruvector.dag_patterns LIMIT 1), 1);
SELECT count(*) > 0 AS clusters, count(representative_query) FROM ruvector.dag_pattern_clusters();
SELECT count(*) >= 0 AS constraints FROM ruvector.dag_ewc_constraints();
SELECT state FROM ruvector.dag_state;
SELECT ruvector.dag_store_pattern('{1}', '{}', 0.5);
SELECT ruvector.dag_consolidate_patterns();
SELECT ruvector.dag_recompute_clusters();
SELECT ruvector.dag_reset_pattern_quality();
SELECT ruvector.dag_forget(1);
SELECT ruvector.dag_pin(1);
SELECT ruvector.dag_unpin(1);
SELECT ruvector.dag_configure_sona();
SELECT ruvector.dag_export_state();
SELECT ruvector.dag_import_state('');
SELECT ruvector.dag_dream('1 second');
RESET ROLE;
-- Whom a superuser grants it to needs no rights on the tables, and still sees no others' statements.
GRANT EXECUTE ON FUNCTION ruvector.dag_pin(bigint), ruvector.dag_dream(interval) TO regress_dag_user;
SET ROLE regress_dag_user;
SELECT ruvector.dag_pin(pattern_id) FROM ruvector.dag_patterns WHERE metadata = '["second"]';
SELECT count(queryid) + count(class) AS others FROM ruvector.dag_dream('10 milliseconds');
SELECT current_user;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION ruvector.dag_pin(bigint), ruvector.dag_dream(interval) FROM regress_dag_user;
SELECT is_pinned FROM ruvector.dag_patterns WHERE metadata = '["second"]';
-- One's own statements are shown.
SELECT ruvector.dag_reset_learning(false, false);
RESET ruvector.dag_sample_rate;
SET ROLE regress_dag_user;
SELECT count(*) FROM customers WHERE city = 22;
RESET ROLE;
SET ruvector.dag_sample_rate = 0;
SELECT new_clusters FROM ruvector.dag_learn_now();
SET ROLE regress_dag_user;
SELECT representative_query IS NOT NULL AS own FROM ruvector.dag_pattern_clusters();
RESET ROLE;
RESET ruvector.dag_sample_rate;
DROP TABLE moved;
DROP FUNCTION direction;
SELECT ruvector.dag_reset_learning(false, false);
SELECT count(*) FROM ruvector.dag_patterns;
SELECT internal_errors FROM ruvector.dag_status();

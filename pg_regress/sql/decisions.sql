SET ruvector.dag_mode = observe;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT count(*) FROM customers WHERE city = 42 AND country = 4;
-- A statement without a decision is explained as ever, in each format.
EXPLAIN (COSTS OFF) SELECT count(*) FROM customers WHERE city = 42 AND country = 4;
EXPLAIN (COSTS OFF, FORMAT YAML) SELECT 1;
EXPLAIN (COSTS OFF) SELECT count(*) FROM nowhere;
-- What is decided where nothing else was tried.
SELECT DISTINCT decision, confidence, tried FROM ruvector.dag_decisions() WHERE plans_tried = 0;
SELECT scope, count(*) > 0 AS found, bool_and(saved_ms >= 0 AND lost_ms >= 0) AS are_times,
    count(trial_ms) AS trial_times, bool_and(userid IS NULL) AS has_no_user
FROM ruvector.dag_savings() GROUP BY scope ORDER BY scope DESC;
-- Pins.
SELECT class AS pinned FROM ruvector.dag_decisions() WHERE plans_tried = 0 ORDER BY class LIMIT 1 \gset
SELECT ruvector.dag_pin_decision(:pinned);
SELECT decision, state, reason FROM ruvector.dag_decisions() WHERE class = :pinned;
SELECT ruvector.dag_unpin_decision(:pinned);
SELECT state = 'pinned' AS is_pinned FROM ruvector.dag_decisions() WHERE class = :pinned;
SELECT ruvector.dag_pin_decision(:pinned, 'stock plan');
SELECT decision, state FROM ruvector.dag_decisions() WHERE class = :pinned;
SELECT ruvector.dag_unpin_decision(:pinned);
SELECT ruvector.dag_pin_decision(:pinned, 'the best plan');
SELECT ruvector.dag_pin_decision(1);
SELECT ruvector.dag_unpin_decision(1);
SELECT ruvector.dag_pin_decision(NULL);
BEGIN READ ONLY;
SELECT ruvector.dag_pin_decision(1);
ROLLBACK;
-- Advice, out of what was counted.
SELECT suggestion_id, category, regexp_replace(description, '\d+ rows\)', 'N rows)') AS description, expected_improvement,
    implementation_sql, confidence
FROM ruvector.dag_suggest_optimizations('SELECT count(*) FROM customers WHERE city = 42 AND country = 4');
CREATE STATISTICS known (dependencies) ON city, country FROM customers;
SELECT category FROM ruvector.dag_suggest_optimizations('SELECT count(*) FROM customers WHERE city = 42 AND country = 4');
DROP STATISTICS known;
-- Nothing was counted of it, so nothing is advised; nor for what has an index.
SELECT * FROM ruvector.dag_suggest_optimizations('SELECT count(*) FROM customers WHERE city = 7 AND country = 1');
SELECT * FROM ruvector.dag_suggest_optimizations('SELECT 1');
SELECT * FROM ruvector.dag_suggest_optimizations(NULL);
SELECT * FROM ruvector.dag_suggest_optimizations('');
SELECT * FROM ruvector.dag_suggest_optimizations('SELECT * FROM nowhere');
SELECT * FROM ruvector.dag_suggest_optimizations('SELECT 1; SELECT 2');
-- A stock plan needs no hints.
SELECT ruvector.dag_rewrite_query('SELECT count(*) FROM customers WHERE city = 42');
SELECT ruvector.dag_rewrite_query(NULL);
SELECT ruvector.dag_rewrite_query('DROP TABLE customers');
-- Many at once.
SELECT query_index, bottleneck_count >= 0 AS is_counted, suggested_mechanism IS NOT NULL AS is_named, estimated_improvement
FROM ruvector.dag_bulk_analyze(ARRAY['SELECT count(*) FROM customers', NULL, 'SELECT 1']);
SELECT * FROM ruvector.dag_bulk_analyze('{}');
SELECT * FROM ruvector.dag_bulk_analyze(NULL);
SELECT * FROM ruvector.dag_bulk_analyze(ARRAY['SELECT 1', 'SELECT wrong']);
-- Everybody else sees that there are others' decisions, not whose statements they are, and changes none.
SET ROLE regress_dag_user;
SELECT count(*) > 0 AS shown, count(queryid) AS queryids, count(class) AS classes FROM ruvector.dag_decisions()
WHERE userid <> 'regress_dag_user'::regrole;
SELECT count(*) > 0 AS shown, count(queryid) AS queryids, count(class) AS classes FROM ruvector.dag_savings()
WHERE userid <> 'regress_dag_user'::regrole;
SELECT ruvector.dag_pin_decision(:pinned);
SELECT ruvector.dag_unpin_decision(:pinned);
SELECT category FROM ruvector.dag_suggest_optimizations('SELECT count(*) FROM customers WHERE city = 42 AND country = 4');
SELECT * FROM ruvector.dag_suggest_optimizations('SELECT count(*) FROM orders WHERE amount = 1');
SELECT ruvector.dag_rewrite_query('SELECT count(*) FROM orders');
SELECT * FROM ruvector.dag_bulk_analyze(ARRAY['SELECT count(*) FROM orders']);
RESET ROLE;
RESET ALL;

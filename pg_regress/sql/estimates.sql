-- Row counts and latency, as PostgreSQL estimates them and as they were learned.
SELECT ruvector.dag_reset_learning(false, false);
SET plan_cache_mode = force_custom_plan;
-- Nothing is known yet.
SELECT metric, postgres_estimate, neural_estimate, confidence
FROM ruvector.dag_estimate('SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.city = 3 AND c.country = 0');
-- Other constants are learned from: a city lies in one country, which PostgreSQL does not know.
DO $$BEGIN
    FOR city IN 20..39 LOOP
        EXECUTE format('SELECT count(*) FROM customers c WHERE c.city = %s AND c.country = %s', city, city / 10);
    END LOOP;
END$$;
SELECT patterns_updated > 0 AS learned FROM ruvector.dag_learn_now();
SELECT metric, postgres_estimate, neural_estimate BETWEEN 30 AND 60 AS is_near, confidence > 0.5 AS is_sure
FROM ruvector.dag_estimate('SELECT * FROM customers x WHERE country = 7 AND city = 77') WHERE metric <> 'latency_ms';
SELECT postgres_estimate, neural_estimate > 0 AS is_known, confidence > 0 AND confidence <= 1 AS is_in_range
FROM ruvector.dag_estimate('SELECT * FROM customers x WHERE country = 7 AND city = 77') WHERE metric = 'latency_ms';
-- The model counts relations, not groups.
SELECT metric, postgres_estimate, neural_estimate IS NULL AS is_unknown
FROM ruvector.dag_estimate('SELECT count(*) FROM customers x WHERE country = 7 AND city = 77') WHERE metric = 'rows';
SELECT metric, postgres_estimate, neural_estimate IS NULL AS is_unknown
FROM ruvector.dag_estimate('SELECT * FROM customers x WHERE country = 7 AND city = 77 ORDER BY id') WHERE metric = 'rows';
-- What was predicted before it was learned.
SELECT executions > 0 AS executions, counts >= executions AS counts, model_median_q_error < postgres_median_q_error AS is_better,
    within_interval BETWEEN 0 AND 1 AS within FROM ruvector.dag_row_model_quality();
SELECT ruvector.dag_reset_learning(false, false);
SELECT * FROM ruvector.dag_row_model_quality();
SELECT part FROM ruvector.dag_state;
-- Partitions stand alone and together; a semi join is a relation like others; extended statistics estimate their clauses
-- together, the model asks for each.
CREATE TABLE visits (id int, page int, kind int) PARTITION BY RANGE (id);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (0) TO (5000);
CREATE TABLE visits_2 PARTITION OF visits FOR VALUES FROM (5000) TO (10000);
INSERT INTO visits SELECT i, i % 50, i % 50 / 5 FROM generate_series(0, 9999) AS i;
CREATE TABLE pages AS SELECT id, page, kind FROM visits;
CREATE STATISTICS pages_kind ON page, kind FROM pages;
ANALYZE visits, pages;
SELECT metric FROM ruvector.dag_estimate('SELECT * FROM visits v WHERE page = 7 AND kind = 1');
SELECT count(*) FROM visits v WHERE page = 7 AND kind = 1;
SELECT metric, postgres_estimate FROM ruvector.dag_estimate('SELECT * FROM pages WHERE page = 7 AND kind = 1')
WHERE metric LIKE 'rows%';
SELECT count(*) FROM pages WHERE page = 7 AND kind = 1;
SELECT metric FROM ruvector.dag_estimate('SELECT * FROM customers c WHERE city < 50 AND EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id)');
SELECT count(*) FROM customers c WHERE city < 50 AND EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id);
SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.amount < c.city WHERE c.city < 50;
SELECT count(*) FROM customers c WHERE c.city IN (SELECT city FROM customers GROUP BY city HAVING count(*) > 1);
SELECT cycle_time_ms > 0 AS learned FROM ruvector.dag_learn_now();
SELECT metric, neural_estimate IS NOT NULL AS is_known FROM ruvector.dag_estimate('SELECT * FROM visits v WHERE page = 8 AND kind = 1')
WHERE metric LIKE 'rows%';
SELECT metric, neural_estimate IS NOT NULL AS is_known FROM ruvector.dag_estimate('SELECT * FROM pages WHERE page = 8 AND kind = 1')
WHERE metric LIKE 'rows%';
SELECT value AS internal_errors FROM ruvector.dag_measures() WHERE measure = 'internal_errors';
DROP TABLE visits, pages;
-- Under the caller's rights, of one statement.
SET ROLE regress_dag_user;
SELECT * FROM ruvector.dag_estimate('SELECT * FROM orders');
RESET ROLE;
SELECT * FROM ruvector.dag_estimate('SELECT 1; SELECT 2');
SELECT metric, postgres_estimate, neural_estimate, confidence FROM ruvector.dag_estimate('SELECT 1');
RESET plan_cache_mode;

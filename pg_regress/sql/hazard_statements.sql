-- Kinds of statements that must go on as ever, run often enough to be learned from.
CREATE TABLE parted (id int, region int, amount int) PARTITION BY LIST (region);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
INSERT INTO parted SELECT i, 1 + i % 2, i % 10 FROM generate_series(1, 4000) AS i;
ANALYZE parted;
-- Partitions, with and without pruning, five times each.
SELECT run(5, 'SELECT count(*) FROM parted WHERE amount = 3');
SELECT run(5, 'SELECT count(*) FROM parted WHERE region = 2 AND amount = 3');
SELECT run(5, 'SELECT count(*) FROM parted p JOIN customers c ON c.id = p.id WHERE p.amount = 3 AND c.city = 3');
-- CTEs, subqueries, set operations, LATERAL, window functions.
SELECT run(5, 'WITH w AS MATERIALIZED (SELECT * FROM customers WHERE city < 10) SELECT count(*) FROM w a JOIN w b USING (id)');
SELECT run(5, 'SELECT count(*) FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.amount > 90)');
SELECT run(5, 'SELECT count(*) FROM customers c WHERE c.id NOT IN (SELECT customer_id FROM orders WHERE amount > 5)');
SELECT run(5, 'SELECT count(*) FROM (SELECT id FROM customers WHERE city = 1 UNION SELECT id FROM orders WHERE amount = 1) AS u');
SELECT run(5, 'SELECT count(*) FROM customers c, LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.id LIMIT 2) AS l WHERE c.city = 5');
SELECT run(5, 'SELECT max(r) FROM (SELECT row_number() OVER (PARTITION BY city) AS r FROM customers) AS w');
SELECT run(5, 'SELECT count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.amount = 7 WHERE o.id IS NULL');
SELECT run(5, 'SELECT count(*) FROM customers a FULL JOIN orders b ON a.id = b.id WHERE a.city = 3 OR b.amount = 3');
-- A LIMIT stops below it: the table keeps its size.
SELECT run(5, 'SELECT id FROM orders ORDER BY id LIMIT 3');
SELECT count(*) FROM ruvector.dag_corrections WHERE rows < 10 AND 'orders'::regclass = ANY (relations)
    AND relation_count = 1 AND estimated_rows = 20000;
-- Prepared statements, custom and generic.
PREPARE by_city (int) AS SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.city = $1;
EXECUTE by_city (1); EXECUTE by_city (2); EXECUTE by_city (2);
SET plan_cache_mode = force_generic_plan;
EXECUTE by_city (1); EXECUTE by_city (1); EXECUTE by_city (1);
RESET plan_cache_mode;
-- Cursors: forward, backward, left open.
BEGIN;
DECLARE back SCROLL CURSOR FOR SELECT id FROM customers WHERE city = 9 ORDER BY id;
FETCH 2 FROM back;
FETCH BACKWARD 1 FROM back;
MOVE ALL FROM back;
CLOSE back;
DECLARE partly CURSOR FOR SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY o.id;
FETCH 2 FROM partly;
COMMIT;
-- An error half-way, caught.
DO $$
BEGIN
    PERFORM 1 / (id - 2500) FROM customers ORDER BY id;
EXCEPTION WHEN division_by_zero THEN
    PERFORM count(*) FROM customers WHERE city = 4;
END $$;
-- DML with joins and RETURNING.
BEGIN;
UPDATE orders o SET amount = amount + 1 FROM customers c WHERE c.id = o.customer_id AND c.city = 99 AND o.id < 1000 RETURNING o.id;
DELETE FROM orders o USING customers c WHERE c.id = o.customer_id AND c.city = 98 AND o.id < 1000 RETURNING o.id;
INSERT INTO orders SELECT 100000 + c.id, c.id, 1 FROM customers c WHERE c.city = 97 AND c.id < 300 RETURNING id;
ROLLBACK;
-- EXPLAIN and EXPLAIN ANALYZE.
EXPLAIN (COSTS OFF) SELECT count(*) FROM parted WHERE region = 1;
EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT count(*) FROM customers WHERE city = 3;
-- Temporary tables and catalogs are left alone.
CREATE TEMP TABLE fleeting AS SELECT * FROM customers;
SELECT count(*) FROM fleeting WHERE city = 8;
SELECT count(*) > 0 FROM pg_class WHERE relname = 'customers';
SELECT patterns_updated >= 0 AS written FROM ruvector.dag_learn_now();
SELECT count(*) FROM ruvector.dag_corrections WHERE 'fleeting'::regclass = ANY (relations)
    OR 'pg_class'::regclass = ANY (relations);
-- Changed tables are learned anew, and dropped ones forgotten with the next sweep.
SELECT internal_errors FROM ruvector.dag_status();

-- Tables that are learned from.
\set SHOW_CONTEXT never
CREATE FUNCTION follows(query text) RETURNS boolean LANGUAGE sql AS $$
    SELECT (details ->> 'is_followed')::boolean FROM ruvector.dag_trace_query(query) WHERE operation = 'plan' $$;
CREATE TABLE events (id int, day int) PARTITION BY LIST (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
CREATE TABLE events_2 PARTITION OF events FOR VALUES IN (2);
CREATE VIEW order_ids AS SELECT id FROM orders;
SELECT * FROM ruvector.dag_enabled_tables();
SELECT follows('SELECT count(*) FROM orders') AS orders, follows('SELECT count(*) FROM customers') AS customers;
-- A statement on a disabled table is left alone, wherever the table is named.
SELECT ruvector.dag_disable('orders');
SELECT relation, is_enabled, changed_at <= clock_timestamp() AS has_time FROM ruvector.dag_enabled_tables();
SELECT follows('SELECT count(*) FROM orders') AS orders, follows('SELECT count(*) FROM customers') AS customers,
    follows('SELECT count(*) FROM customers WHERE id IN (SELECT customer_id FROM orders)') AS sub_select,
    follows('WITH o AS (SELECT * FROM orders) SELECT count(*) FROM o') AS cte, follows('SELECT count(*) FROM order_ids') AS view;
SELECT ruvector.dag_explain('SELECT count(*) FROM orders') LIKE '%left alone: it reads no table that is learned from%' AS says_so;
-- Nothing is learned of it.
SELECT ruvector.dag_reset_learning(false, false);
SELECT count(*) FROM orders WHERE amount = 5;
SELECT count(*) FROM customers WHERE city = 5;
SELECT count(*) FROM ruvector.dag_decisions();
-- Chosen tables only.
SELECT ruvector.dag_enable('customers');
SELECT relation, is_enabled FROM ruvector.dag_enabled_tables();
SELECT follows('SELECT count(*) FROM customers') AS customers, follows('SELECT count(*) FROM events') AS events,
    follows('SELECT count(*) FROM customers c JOIN events e USING (id)') AS one_of_two,
    follows('SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id') AS with_disabled;
SELECT ruvector.dag_enable('orders');
SELECT follows('SELECT count(*) FROM orders') AS orders;
-- What is rolled back was not said.
BEGIN;
SELECT ruvector.dag_disable('customers');
SELECT follows('SELECT count(*) FROM customers') AS customers;
ROLLBACK;
SELECT follows('SELECT count(*) FROM customers') AS customers;
-- Partitions and their parents.
SELECT ruvector.dag_reset_tables();
SELECT ruvector.dag_disable('events_1');
SELECT follows('SELECT count(*) FROM events') AS parent, follows('SELECT count(*) FROM events_1') AS itself,
    follows('SELECT count(*) FROM events_2') AS sibling;
SELECT ruvector.dag_reset_tables(ARRAY['events_1']::regclass[]);
SELECT ruvector.dag_disable('events');
SELECT follows('SELECT count(*) FROM events') AS itself, follows('SELECT count(*) FROM events_1') AS partition;
ALTER TABLE events DETACH PARTITION events_2;
SELECT follows('SELECT count(*) FROM events_2') AS detached;
-- A table that is gone counts no more.
SELECT ruvector.dag_reset_tables();
CREATE TABLE short_lived (id int);
SELECT ruvector.dag_enable('short_lived');
SELECT follows('SELECT count(*) FROM customers') AS customers;
DROP TABLE short_lived;
SELECT follows('SELECT count(*) FROM customers') AS customers;
SELECT count(*) FROM ruvector.dag_enabled_tables();
-- What is no table.
SELECT ruvector.dag_enable(NULL);
SELECT ruvector.dag_enable('order_ids');
SELECT ruvector.dag_disable('pg_class');
SELECT ruvector.dag_disable('orders_pkey');
SELECT ruvector.dag_enable(4294967295::oid);
CREATE TEMP TABLE passing (id int);
SELECT ruvector.dag_enable('passing');
SELECT ruvector.dag_reset_tables('{}');
SELECT ruvector.dag_reset_tables('{NULL}');
BEGIN READ ONLY;
SELECT ruvector.dag_enable('orders');
ROLLBACK;
-- Who may.
SET ROLE regress_dag_user;
SELECT ruvector.dag_enable('customers');
SELECT ruvector.dag_disable('customers');
SELECT ruvector.dag_reset_tables();
SELECT ruvector.ruvector_enable_neural_dag('customers');
SELECT count(*) FROM ruvector.dag_enabled_tables();
INSERT INTO ruvector.dag_tables VALUES ('customers', false, now());
RESET ROLE;
-- Other names.
SELECT ruvector.ruvector_enable_neural_dag('orders');
SELECT relation, is_enabled FROM ruvector.dag_enabled_tables();
SELECT ruvector.dag_reset_tables();
SELECT count(*) = (SELECT count(*) FROM ruvector.dag_patterns) AS are_all FROM ruvector.ruvector_dag_patterns();
SELECT cycle_time_ms >= 0 AS learned FROM ruvector.ruvector_dag_learn();
SET ROLE regress_dag_user;
SELECT ruvector.ruvector_dag_learn();
RESET ROLE;
\set VERBOSITY sqlstate
SELECT ruvector.dag_enable('order_ids');
SELECT ruvector.dag_enable(4294967295::oid);
BEGIN READ ONLY;
SELECT ruvector.dag_enable('orders');
ROLLBACK;
\set VERBOSITY default
DROP VIEW order_ids;
DROP TABLE events, events_2;
DROP FUNCTION follows;

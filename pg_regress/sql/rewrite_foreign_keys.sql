-- A join that only checks what a foreign key says is left out, if keys are trusted; floating-point sums, if any order will do.
CREATE SCHEMA rewrite_foreign_keys;
SET search_path = rewrite_foreign_keys, ruvector;
CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE TABLE places (street text, house int, area float8, UNIQUE (street, house));
CREATE TABLE orders (id int PRIMARY KEY, buyer int NOT NULL REFERENCES users, street text, house bigint, paid real,
    FOREIGN KEY (street, house) REFERENCES places (street, house));
CREATE TABLE lines (parent int REFERENCES orders, weight float8, late int REFERENCES users DEFERRABLE);
INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 9) AS i;
INSERT INTO places SELECT 's' || i % 3, i, i / 4.0 FROM generate_series(1, 12) AS i;
INSERT INTO orders SELECT i, 1 + i % 9, 's' || i % 3, nullif(i, 4), i * 0.5 FROM generate_series(1, 12) AS i;
INSERT INTO lines SELECT 1 + i % 12, i / 8.0, 1 + i % 9 FROM generate_series(1, 200) AS i;
ANALYZE;
SELECT dag_rewrite_query('SELECT o.id FROM orders o JOIN users u ON u.id = o.buyer') IS NULL AS not_trusted;
SET ruvector.dag_rewrite_trust_foreign_keys = on;
SET ruvector.dag_rewrite_rules = 'foreign_key_join';

-- One column that is never null; two that may be; one after the other.
SELECT dag_rewrite_query('SELECT o.id FROM orders o JOIN users u ON u.id = o.buyer WHERE o.id > 3');
SELECT dag_rewrite_query('SELECT count(*) FROM orders o, places p WHERE o.house = p.house AND p.street = o.street');
SELECT dag_rewrite_query('SELECT l.weight FROM lines l JOIN orders o ON o.id = l.parent JOIN users u ON o.buyer = u.id ORDER BY 1');

-- Left alone.
CREATE TABLE left_alone (query text);
INSERT INTO left_alone VALUES
    ('SELECT o.id, u.name FROM orders o JOIN users u ON u.id = o.buyer'),
    ('SELECT o.id, u.id FROM orders o JOIN users u ON u.id = o.buyer'),
    ('SELECT o.id FROM orders o JOIN users u ON u.id = o.buyer AND u.name > $$u$$'),
    ('SELECT o.id FROM orders o JOIN users u ON u.id = o.buyer + 0'),
    ('SELECT o.id FROM orders o JOIN users u ON u.id = o.id'),
    ('SELECT o.id FROM orders o JOIN users u ON u.id >= o.buyer'),
    ('SELECT o.id FROM orders o LEFT JOIN users u ON u.id = o.buyer'),
    ('SELECT o.id FROM orders o JOIN places p ON p.house = o.house'),
    ('SELECT o.id FROM orders o JOIN places p ON p.house = o.house AND p.street = o.street COLLATE "C"'),
    ('SELECT u.id FROM users u LEFT JOIN orders o ON o.id = u.id JOIN users v ON v.id = o.buyer'),
    ('SELECT l.weight FROM lines l JOIN users u ON u.id = l.late'),
    ('SELECT o.id FROM orders o JOIN users u ON u.id = o.buyer LIMIT 3'),
    ('SELECT o.id FROM orders o JOIN users u ON u.id = o.buyer FOR UPDATE'),
    ('SELECT o.id FROM orders o JOIN users u ON u.id = o.buyer WHERE o.id > random()'),
    ('SELECT o.id FROM orders o JOIN users u ON u.id = o.buyer AND EXISTS (SELECT FROM lines l WHERE l.late = u.id)'),
    ('SELECT sum(o.paid) FROM orders o JOIN users u ON u.id = o.buyer'),
    ('SELECT o.id FROM orders o JOIN users u TABLESAMPLE system (50) ON u.id = o.buyer');
SELECT query, dag_rewrite_query(query) FROM left_alone WHERE dag_rewrite_query(query) IS NOT NULL;

-- Results, EXPLAIN's line, and rights on what is not read.
SET ruvector.dag_rewrite = force;
SELECT o.id, o.street FROM orders o JOIN places p ON p.street = o.street AND p.house = o.house WHERE o.id < 7 ORDER BY 1;
EXPLAIN (COSTS off) SELECT o.id FROM orders o JOIN users u ON u.id = o.buyer;
CREATE ROLE regress_reader;
GRANT USAGE ON SCHEMA rewrite_foreign_keys TO regress_reader;
GRANT SELECT ON orders TO regress_reader;
SET ROLE regress_reader;
SELECT count(*) FROM orders o JOIN users u ON u.id = o.buyer;
RESET ROLE;

-- Floating-point numbers: not without leave, in their own order, or of rows that may not join.
SET ruvector.dag_rewrite_rules = 'eager_aggregation, scalar_subquery_to_join';
SELECT dag_rewrite_query('SELECT o.buyer, sum(o.paid) FROM orders o JOIN lines l ON l.parent = o.id GROUP BY o.buyer') IS NULL AS not_allowed;
SET ruvector.dag_rewrite_float_sums = on;
SELECT dag_rewrite_query('SELECT o.buyer, sum(o.paid), avg(o.paid), sum(o.paid * 2.5) FROM orders o JOIN lines l ON l.parent = o.id GROUP BY o.buyer');
SELECT dag_rewrite_query('SELECT sum(o.paid ORDER BY o.id) FROM orders o JOIN lines l ON l.parent = o.id') IS NULL AS in_order;
SELECT dag_rewrite_query('SELECT u.id, (SELECT sum(l.weight) FROM lines l WHERE l.late = u.id) FROM users u') IS NULL AS may_overflow;
SELECT o.buyer, sum(o.paid), avg(o.paid), sum(o.paid * 2.5) FILTER (WHERE o.id > 9) FROM orders o JOIN lines l ON l.parent = o.id
    GROUP BY o.buyer ORDER BY 1;
RESET ruvector.dag_rewrite_float_sums;
RESET ruvector.dag_rewrite_trust_foreign_keys;
RESET ruvector.dag_rewrite_rules;
RESET ruvector.dag_rewrite;
SET client_min_messages = warning;
DROP SCHEMA rewrite_foreign_keys CASCADE;
DROP ROLE regress_reader;

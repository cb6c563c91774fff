-- A table joined with itself on a unique key is read once.
CREATE SCHEMA rewrite_self_joins;
SET search_path = rewrite_self_joins, ruvector;
CREATE TABLE users (id int PRIMARY KEY, name varchar(9) UNIQUE, age int);
CREATE TABLE votes (post int, voter int, value int, at int UNIQUE DEFERRABLE, PRIMARY KEY (post, voter));
CREATE TABLE child () INHERITS (users);
INSERT INTO users SELECT i, nullif('u' || i, 'u4'), i % 5 FROM generate_series(1, 20) AS i;
INSERT INTO votes SELECT i / 9, i % 9, i % 4, i FROM generate_series(1, 99) AS i;
ANALYZE;
SET ruvector.dag_rewrite_rules = 'redundant_self_join';

-- All columns of a key; what else is said of the other stays.
SELECT dag_rewrite_query($$SELECT a.value, b.value + 1, c.value FROM votes a JOIN votes b USING (voter, post)
    JOIN votes c ON c.post = b.post WHERE b.value > 2 AND c.value < a.at$$);
-- A key that may be null; three at once; outer joins and subqueries around.
SELECT dag_rewrite_query($$SELECT count(*), max(b.age) FROM ONLY users a, ONLY users b JOIN ONLY users c ON c.name = b.name,
    votes v LEFT JOIN votes x ON x.voter = v.value WHERE a.name = b.name AND v.voter = c.age
    AND EXISTS (SELECT FROM votes w WHERE w.post = b.id)$$);

-- Left alone.
CREATE TABLE left_alone (query text);
INSERT INTO left_alone VALUES
    ('SELECT a.value FROM votes a JOIN votes b ON a.post = b.post'),
    ('SELECT a.value FROM votes a JOIN votes b ON a.post = b.voter AND a.voter = b.post'),
    ('SELECT a.value FROM votes a JOIN votes b ON a.at = b.at'),
    ('SELECT a.value FROM votes a JOIN votes b ON a.post = b.post AND a.voter + 0 = b.voter'),
    ('SELECT a.age FROM users a JOIN users b ON a.id = b.id'),
    ('SELECT a.age FROM ONLY users a LEFT JOIN ONLY users b ON a.id = b.id'),
    ('SELECT a.age FROM ONLY users a JOIN ONLY users b ON a.id = b.id LIMIT 3'),
    ('SELECT a.age FROM ONLY users a JOIN ONLY users b ON a.id = b.id FOR UPDATE'),
    ('SELECT a.age FROM ONLY users a JOIN ONLY users b ON a.id = b.id WHERE a.age > random()'),
    ('SELECT a.age FROM ONLY users a JOIN ONLY users b ON a.name COLLATE "C" = b.name'),
    ('SELECT string_agg(a.name, $$,$$) FROM ONLY users a JOIN ONLY users b ON a.id = b.id'),
    ('SELECT a.value FROM votes a JOIN votes b TABLESAMPLE system (50) USING (voter, post)');
SELECT query, dag_rewrite_query(query) FROM left_alone WHERE dag_rewrite_query(query) IS NOT NULL;

-- Results, EXPLAIN's line, and rights on the columns of both.
SET ruvector.dag_rewrite = force;
SELECT a.name, b.age FROM ONLY users a JOIN ONLY users b ON a.name = b.name WHERE b.id < 7 ORDER BY 1;
EXPLAIN (COSTS off) SELECT a.name, b.age FROM ONLY users a JOIN ONLY users b ON a.name = b.name;
CREATE ROLE regress_reader;
GRANT USAGE ON SCHEMA rewrite_self_joins, ruvector TO regress_reader;
GRANT SELECT (id, age) ON users TO regress_reader;
SET ROLE regress_reader;
SELECT count(a.age) FROM ONLY users a JOIN ONLY users b ON a.id = b.id;
SELECT count(a.age) FROM ONLY users a JOIN ONLY users b ON a.id = b.id WHERE b.name > 'u';
RESET ROLE;
RESET ruvector.dag_rewrite;
RESET ruvector.dag_rewrite_rules;
SET client_min_messages = warning;
DROP SCHEMA rewrite_self_joins CASCADE;
REVOKE USAGE ON SCHEMA ruvector FROM regress_reader;
DROP ROLE regress_reader;

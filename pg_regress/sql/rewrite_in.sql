-- IN over a subquery that mentions outer columns becomes EXISTS, of which PostgreSQL makes a semi-join.
CREATE SCHEMA rewrite_in;
SET search_path = rewrite_in, ruvector;
CREATE TABLE users (id int PRIMARY KEY, name text, age int);
CREATE TABLE posts (id int PRIMARY KEY, owner int, score int, title text);
CREATE TABLE votes (post int, voter int, value int);
INSERT INTO users SELECT i, 'u' || i % 7, nullif(i % 5, 4) FROM generate_series(1, 30) AS i;
INSERT INTO posts SELECT i, i % 11, nullif(i % 7, 3), 'u' || i % 5 FROM generate_series(1, 60) AS i;
INSERT INTO votes SELECT nullif(i * i % 40, 9), i % 31, i % 3 FROM generate_series(1, 300) AS i;
ANALYZE;
SET ruvector.dag_rewrite_rules = 'in_to_semi_join';

-- Two columns; a join inside that is connected by its ON; an operator that is no equality.
SELECT dag_rewrite_query($$SELECT u.id FROM users u WHERE (u.name, u.age) IN
    (SELECT p.title, p.score FROM posts p WHERE p.owner = u.id) AND u.id > 3$$);
SELECT dag_rewrite_query($$SELECT count(*) FROM users u WHERE u.age IN
    (SELECT v.value FROM posts p JOIN votes v ON v.post = p.id AND v.voter <> u.id WHERE p.owner = 3)$$);
SELECT dag_rewrite_query($$SELECT u.id FROM users u WHERE u.age > ANY (SELECT p.score FROM posts p WHERE p.title < u.name)$$);
-- In ON, in a subquery of FROM, in a subquery of a condition.
SELECT dag_rewrite_query($$SELECT u.id, p.id FROM users u LEFT JOIN posts p ON p.owner = u.id AND p.score IN
    (SELECT v.value FROM votes v WHERE v.post = p.id)$$);
SELECT dag_rewrite_query($$SELECT s.id FROM (SELECT u.id FROM users u WHERE u.age IN
    (SELECT p.score FROM posts p WHERE p.owner = u.id) OFFSET 0) s WHERE s.id IN (SELECT p.owner FROM posts p WHERE p.score IN
    (SELECT v.value FROM votes v WHERE v.post = p.id))$$);
-- Below OR as EXISTS there.
SET ruvector.dag_rewrite_rules = 'in_to_semi_join, exists_to_join';
SELECT dag_rewrite_query($$SELECT u.id FROM users u WHERE u.id = 3 OR u.age IN (SELECT p.score FROM posts p WHERE p.owner = u.id)$$);
SET ruvector.dag_rewrite_rules = 'in_to_semi_join';

-- Left alone.
CREATE TABLE left_alone (query text);
INSERT INTO left_alone VALUES
    ('SELECT u.id FROM users u WHERE u.age IN (SELECT p.score FROM posts p WHERE p.owner = 3)'),
    ('SELECT u.id FROM users u WHERE u.age NOT IN (SELECT p.score FROM posts p WHERE p.owner = u.id)'),
    ('SELECT u.id FROM users u WHERE (u.age IN (SELECT p.score FROM posts p WHERE p.owner = u.id)) IS NULL'),
    ('SELECT u.id, u.age IN (SELECT p.score FROM posts p WHERE p.owner = u.id) FROM users u'),
    ('SELECT u.id FROM users u WHERE u.age IN (SELECT max(p.score) FROM posts p WHERE p.owner = u.id)'),
    ('SELECT u.id FROM users u WHERE u.age IN (SELECT p.score FROM posts p WHERE p.owner = u.id LIMIT 3)'),
    ('SELECT u.id FROM users u WHERE u.age IN (SELECT DISTINCT p.score FROM posts p WHERE p.owner = u.id)'),
    ('SELECT u.id FROM users u WHERE u.age IN (SELECT p.score FROM posts p WHERE p.owner = u.id GROUP BY 1 HAVING count(*) > 1)'),
    ('SELECT u.id FROM users u WHERE u.age IN (SELECT p.score FROM posts p WHERE p.owner = u.id UNION SELECT 3)'),
    ('SELECT u.id FROM users u WHERE u.age IN (SELECT rank() OVER (ORDER BY p.id) FROM posts p WHERE p.owner = u.id)'),
    ('SELECT u.id FROM users u WHERE u.age IN (SELECT 12 / p.score FROM posts p WHERE p.owner = u.id)'),
    ('SELECT u.id FROM users u WHERE 12 / u.age IN (SELECT p.score FROM posts p WHERE p.owner = u.id)'),
    ('SELECT u.id FROM users u WHERE u.name LIKE ANY (SELECT p.title FROM posts p WHERE p.owner = u.id)'),
    ('SELECT u.id FROM users u WHERE u.age IN (SELECT p.score FROM posts p WHERE p.owner = u.id AND p.id > random())'),
    ('SELECT u.id FROM users u WHERE u.age IN (SELECT p.score FROM posts p WHERE p.owner = u.id FOR UPDATE)'),
    ('SELECT u.id FROM users u WHERE u.age IN (SELECT s.score FROM (SELECT * FROM posts p WHERE p.owner = u.id) s)'),
    ('SELECT string_agg(u.name, $$,$$) FROM users u WHERE u.age IN (SELECT p.score FROM posts p WHERE p.owner = u.id)');
SELECT query, dag_rewrite_query(query) FROM left_alone WHERE dag_rewrite_query(query) IS NOT NULL;

-- Results, and EXPLAIN's line.
SET ruvector.dag_rewrite = force;
SELECT u.id, u.age FROM users u WHERE u.age IN (SELECT p.score FROM posts p WHERE p.owner = u.id) ORDER BY 1;
EXPLAIN (COSTS off) SELECT u.id FROM users u WHERE u.age IN (SELECT p.score FROM posts p WHERE p.owner = u.id);
RESET ruvector.dag_rewrite;
RESET ruvector.dag_rewrite_rules;
SET client_min_messages = warning;
DROP SCHEMA rewrite_in CASCADE;

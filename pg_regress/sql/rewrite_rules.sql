-- Rules beyond inner joins: outer joins, subqueries of expressions, NOT IN.
CREATE SCHEMA rewrite_rules;
SET search_path = rewrite_rules, ruvector;
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, age int);
CREATE TABLE posts (id int PRIMARY KEY, owner int NOT NULL, score int, price numeric(8, 2));
CREATE TABLE comments (id int, post bigint, author int, score float8);
CREATE TABLE votes (post int, value int);
INSERT INTO users SELECT i, 'u' || i % 3, i % 5 FROM generate_series(1, 20) AS i;
INSERT INTO posts SELECT i, i % 11, i % 7 - 2, i / 4.0 FROM generate_series(1, 60) AS i;
INSERT INTO comments SELECT i, i * i % 50, i % 13, i / 3.0 FROM generate_series(1, 200) AS i;
INSERT INTO votes SELECT nullif(i * i % 40, 9), i % 3 FROM generate_series(1, 300) AS i;
ANALYZE;

-- The other sides of left joins are grouped; a row without partner counts as one.
SELECT dag_rewrite_query($$SELECT u.name, count(*), count(c.author), sum(v.value) FROM users u
    LEFT JOIN comments c ON c.author = u.id AND c.id > 5 LEFT JOIN votes v ON v.post = u.id AND u.age < 3 GROUP BY u.name$$);
-- One below the other, with inner joins around; what has a unique key is joined as it is.
SELECT dag_rewrite_query($$SELECT count(*), max(p.score) FROM comments c1 JOIN users u ON u.id = c1.author
    LEFT JOIN (posts p LEFT JOIN votes v ON v.post = p.id) ON p.owner = u.id$$);
SELECT dag_rewrite_query($$SELECT p.score, count(*) FROM comments c LEFT JOIN posts p ON p.id = c.post
    JOIN votes v ON v.post = c.post GROUP BY p.score$$);
-- What an aggregate of a missing row would be keeps the side as it is.
SELECT dag_rewrite_query($$SELECT sum(coalesce(c.author, 1)) FROM users u LEFT JOIN comments c ON c.author = u.id$$);
-- A left join whose null rows are dropped is an inner join.
SELECT dag_rewrite_query($$SELECT count(*) FROM users u LEFT JOIN comments c ON c.author = u.id WHERE c.id > 3$$);

-- Aggregates of correlated subqueries: a count of no rows is 0.
SELECT dag_rewrite_query($$SELECT u.id, (SELECT count(*) + coalesce(sum(c.id), 0) FROM comments c WHERE u.id = c.author AND c.id > 3)
    FROM users u WHERE u.age > (SELECT avg(v.value) FROM votes v WHERE v.post = u.id)$$);
SELECT dag_rewrite_query($$SELECT count(*) FROM users u WHERE u.age = 2 OR
    EXISTS (SELECT FROM comments c JOIN votes v USING (post) WHERE c.author = u.id)$$);
SELECT dag_rewrite_query($$SELECT u.id FROM users u WHERE u.id NOT IN (SELECT p.owner FROM posts p WHERE p.score > 3)$$);
SELECT dag_rewrite_query($$SELECT v.post FROM votes v WHERE v.post > 3 AND v.post NOT IN
    (SELECT c.post FROM comments c WHERE c.post IS NOT NULL)$$);

-- Disjoint parts: each row once, whatever is unknown.
SELECT dag_rewrite_query($$SELECT u.name, v.value + p.id FROM users u JOIN posts p ON p.owner = u.id JOIN votes v ON v.post = p.id
    WHERE u.age = 3 OR v.value = 2 OR u.name = 'u1'$$);

-- Left alone.
CREATE TABLE left_alone (query text);
INSERT INTO left_alone VALUES
    ('SELECT u.id FROM users u WHERE u.age NOT IN (SELECT p.owner FROM posts p)'),
    ('SELECT u.id FROM users u WHERE u.id NOT IN (SELECT c.author FROM comments c)'),
    ('SELECT u.id FROM users u WHERE u.id NOT IN (SELECT p.owner FROM votes v LEFT JOIN posts p ON p.id = v.post)'),
    ('SELECT u.id FROM users u WHERE u.id NOT IN (SELECT p.owner FROM posts p LIMIT 3)'),
    ('SELECT u.id, (SELECT count(*) FROM votes) FROM users u'),
    ('SELECT u.id, (SELECT count(*) FROM votes v WHERE v.post < u.id) FROM users u'),
    ('SELECT u.id, (SELECT count(*) FROM votes v WHERE v.post = u.id AND v.value < u.age) FROM users u'),
    ('SELECT u.id, (SELECT sum(c.score) FROM comments c WHERE c.author = u.id) FROM users u'),
    ('SELECT u.id, (SELECT max(10 / v.value) FROM votes v WHERE v.post = u.id) FROM users u'),
    ('SELECT u.id, (SELECT v.value FROM votes v WHERE v.post = u.id LIMIT 1) FROM users u'),
    ('SELECT u.id FROM users u WHERE EXISTS (SELECT FROM votes v WHERE v.post = u.id)'),
    ('SELECT u.id FROM users u WHERE u.age = 1 OR EXISTS (SELECT FROM votes v WHERE v.post = u.id LIMIT 0)'),
    ('SELECT u.id FROM users u JOIN posts p ON p.owner = u.id WHERE u.age = 3 OR u.id = 4'),
    ('SELECT u.id FROM users u JOIN posts p ON p.owner = u.id WHERE u.age = 3 OR p.score > u.id'),
    ('SELECT u.id FROM users u JOIN (SELECT * FROM posts LIMIT 9) p ON p.owner = u.id WHERE u.age = 3 OR p.score > 2'),
    ('SELECT u.age, (SELECT count(*) FROM votes v WHERE v.post = u.age) FROM users u GROUP BY u.age');
SELECT query, dag_rewrite_query(query) FROM left_alone WHERE dag_rewrite_query(query) IS NOT NULL;

-- Results, and EXPLAIN's line.
SET ruvector.dag_rewrite = force;
SELECT u.age, count(*), count(c.author), sum(v.value) FROM users u LEFT JOIN comments c ON c.author = u.id AND c.id > 150
    LEFT JOIN votes v ON v.post = u.id AND u.age < 3 GROUP BY u.age ORDER BY 1;
SELECT u.id, (SELECT count(*) FROM comments c WHERE c.author = u.id AND c.id > 150) FROM users u WHERE u.id > 8 ORDER BY 1;
EXPLAIN (COSTS off) SELECT u.id FROM users u WHERE u.id NOT IN (SELECT p.owner FROM posts p WHERE p.score > 3);
SET ruvector.dag_rewrite_rules = 'eager_aggregation, exists_to_join';
SELECT rule, is_allowed FROM dag_rewrite_savings();
RESET ruvector.dag_rewrite_rules;
RESET ruvector.dag_rewrite;
SET client_min_messages = warning;
DROP SCHEMA rewrite_rules CASCADE;

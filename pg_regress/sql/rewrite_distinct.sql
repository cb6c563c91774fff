-- DISTINCT over a join: tables that the result does not need only have to be there.
CREATE SCHEMA rewrite_distinct;
SET search_path = rewrite_distinct, ruvector;
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, age int);
CREATE TABLE posts (id int PRIMARY KEY, owner int NOT NULL, score int);
CREATE TABLE comments (id int, post bigint, author int);
CREATE TABLE votes (post int, value int);
INSERT INTO users SELECT i, 'u' || i % 3, i % 5 FROM generate_series(1, 20) AS i;
INSERT INTO posts SELECT i, i % 11, i % 7 - 2 FROM generate_series(1, 60) AS i;
INSERT INTO comments SELECT i, i * i % 50, i % 13 FROM generate_series(1, 200) AS i;
INSERT INTO votes SELECT nullif(i * i % 40, 9), i % 3 FROM generate_series(1, 300) AS i;
ANALYZE;
SET ruvector.dag_rewrite_rules = 'distinct_to_semi_join';

-- What is connected goes into one EXISTS, what is not into another; a condition with a subquery goes along.
SELECT dag_rewrite_query($$SELECT DISTINCT u.name, u.age + 1 FROM users u JOIN posts p ON p.owner = u.id AND p.score > 1
    JOIN votes v ON v.post = p.id AND v.value < u.age, comments c WHERE c.author = u.id AND u.age > 1
    AND EXISTS (SELECT FROM posts q WHERE q.id = c.post AND q.owner <> c.author) ORDER BY u.name$$);
-- What connects two tables of the result stays.
SELECT dag_rewrite_query($$SELECT DISTINCT u.name, v.value FROM users u JOIN posts p ON p.owner = u.id
    JOIN votes v ON v.post = p.id JOIN comments c ON c.post = p.id$$);
-- Outer joins stay, names of joined columns become those of a table.
SELECT dag_rewrite_query($$SELECT DISTINCT age, value FROM users LEFT JOIN votes ON post = users.id
    JOIN comments USING (id)$$);
-- Views and functions are relations like tables.
CREATE VIEW loved AS SELECT * FROM posts WHERE score > 3;
SELECT dag_rewrite_query($$SELECT DISTINCT u FROM users u JOIN loved l ON l.owner = u.id JOIN generate_series(1, 9) AS g ON g = u.age$$);

-- Left alone.
CREATE FUNCTION dice() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 4';
CREATE TABLE left_alone (query text);
INSERT INTO left_alone VALUES
    ('SELECT u.name FROM users u JOIN posts p ON p.owner = u.id'),
    ('SELECT DISTINCT u.name, p.score FROM users u JOIN posts p ON p.owner = u.id'),
    ('SELECT DISTINCT ON (u.name) u.name FROM users u JOIN posts p ON p.owner = u.id'),
    ('SELECT DISTINCT u.name FROM users u JOIN posts p ON p.owner = u.id LIMIT 3'),
    ('SELECT DISTINCT u.name FROM users u JOIN posts p ON p.owner = u.id OFFSET 1'),
    ('SELECT DISTINCT count(*) FROM users u JOIN posts p ON p.owner = u.id'),
    ('SELECT DISTINCT u.age FROM users u JOIN posts p ON p.owner = u.id GROUP BY u.age'),
    ('SELECT DISTINCT u.age, count(*) OVER () FROM users u JOIN posts p ON p.owner = u.id'),
    ('SELECT DISTINCT u.age, generate_series(1, 2) FROM users u JOIN posts p ON p.owner = u.id'),
    ('SELECT DISTINCT u.age, (SELECT 1) FROM users u JOIN posts p ON p.owner = u.id'),
    ('SELECT DISTINCT u.age FROM users u JOIN posts p ON p.owner = u.id AND p.score < dice()'),
    ('SELECT DISTINCT u.age FROM users u JOIN posts p TABLESAMPLE system (50) ON p.owner = u.id'),
    ('SELECT DISTINCT u.age FROM users u LEFT JOIN posts p ON p.owner = u.id'),
    ('SELECT DISTINCT u.age FROM users u, posts p'),
    ('SELECT DISTINCT 1 FROM users u JOIN posts p ON p.owner = u.id'),
    ('SELECT DISTINCT u.age FROM users u JOIN posts p ON p.owner = u.id WHERE EXISTS (SELECT FROM votes WHERE post = p.id AND value = u.age)'),
    ('SELECT DISTINCT u.age FROM users u JOIN LATERAL (SELECT FROM posts p WHERE p.owner = u.id LIMIT 2) AS p ON true');
SELECT query, dag_rewrite_query(query) FROM left_alone WHERE dag_rewrite_query(query) IS NOT NULL;

-- Results, and EXPLAIN's line.
SET ruvector.dag_rewrite = force;
SELECT DISTINCT u.name, u.age FROM users u JOIN posts p ON p.owner < u.id JOIN votes v ON v.post = p.id WHERE u.id < 9 ORDER BY 1, 2;
EXPLAIN (COSTS off) SELECT DISTINCT u.name FROM users u JOIN posts p ON p.owner < u.id;
RESET ruvector.dag_rewrite;
RESET ruvector.dag_rewrite_rules;
SET client_min_messages = warning;
DROP SCHEMA rewrite_distinct CASCADE;

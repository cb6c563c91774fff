-- The first rows of a join are made of the first rows of the side that it keeps.
CREATE SCHEMA rewrite_top_n;
SET search_path = rewrite_top_n, ruvector;
CREATE TABLE users (id int PRIMARY KEY, name text, age int);
CREATE TABLE posts (id int PRIMARY KEY, owner int, score int, title text);
CREATE TABLE votes (post int, voter int, value int, PRIMARY KEY (post, voter));
CREATE TABLE days (day date PRIMARY KEY, n int) PARTITION BY RANGE (day);
CREATE TABLE days_all PARTITION OF days DEFAULT;
INSERT INTO users SELECT i, 'u' || i % 7, nullif(i % 5, 4) FROM generate_series(1, 30) AS i;
INSERT INTO posts SELECT i, nullif(i % 33, 9), i % 7, 't' || i % 5 FROM generate_series(1, 60) AS i;
INSERT INTO votes SELECT i % 50, i % 31, i % 3 FROM generate_series(1, 300) AS i;
INSERT INTO days SELECT date '2020-01-01' + i, i FROM generate_series(1, 20) AS i;
ANALYZE;
SET ruvector.dag_rewrite_rules = 'top_n_below_join';

-- The condition moves in; the other sides are told by their keys, or by what a subquery groups by.
SELECT dag_rewrite_query($$SELECT p.title, u.name FROM posts p LEFT JOIN users u ON u.id = p.owner WHERE p.score > 2
    ORDER BY p.score DESC, p.id LIMIT 5$$);
SELECT dag_rewrite_query($$SELECT p.title, u.name, v.votes FROM posts p LEFT JOIN users u ON u.id = p.owner
    LEFT JOIN (SELECT post, count(*) AS votes FROM votes GROUP BY post) v ON v.post = p.id ORDER BY p.id DESC LIMIT 5 OFFSET 3$$);
-- What else is sorted by stays outside: all that tie are taken.
SELECT dag_rewrite_query($$SELECT p.title, v.value FROM votes v RIGHT JOIN posts p ON v.post = p.id
    ORDER BY p.score + 1 NULLS FIRST, v.voter, p.id LIMIT 5$$);
-- What is kept may be a join itself; a partitioned table; a parameter without OFFSET.
SELECT dag_rewrite_query($$SELECT p.id, d.n, w.value FROM (posts p JOIN users u ON u.id = p.owner) LEFT JOIN days d ON d.n = u.age
    AND d.day = date '2020-01-03' LEFT JOIN votes w ON w.post = p.id AND w.voter = u.id ORDER BY p.id LIMIT 4$$);
SELECT dag_rewrite_query($$SELECT d.day, u.name FROM days d LEFT JOIN users u ON u.id = d.n ORDER BY d.day LIMIT 2 + 3$$);

-- Left alone.
CREATE TABLE left_alone (query text);
INSERT INTO left_alone VALUES
    ('SELECT p.id FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.score LIMIT 5'),
    ('SELECT p.id FROM posts p LEFT JOIN votes v ON v.post = p.id ORDER BY p.id LIMIT 5'),
    ('SELECT p.id FROM posts p JOIN users u ON u.id = p.owner ORDER BY p.id LIMIT 5'),
    ('SELECT p.id FROM posts p FULL JOIN users u ON u.id = p.owner ORDER BY p.id LIMIT 5'),
    ('SELECT p.id FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY u.name, p.id LIMIT 5'),
    ('SELECT p.id FROM posts p LEFT JOIN users u ON u.id = p.owner WHERE u.id IS NULL ORDER BY p.id LIMIT 5'),
    ('SELECT p.id FROM posts p LEFT JOIN users u ON u.id = p.owner WHERE p.score > coalesce(u.age, 1) ORDER BY p.id LIMIT 5'),
    ('SELECT p.id FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id'),
    ('SELECT p.id FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id OFFSET 5'),
    ('SELECT p.id FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id LIMIT 2 + 3 OFFSET 4'),
    ('SELECT p.id FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id FETCH FIRST 5 ROWS WITH TIES'),
    ('SELECT p.id FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id LIMIT (SELECT 3)'),
    ('SELECT DISTINCT p.id FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id LIMIT 5'),
    ('SELECT p.id, count(*) FROM posts p LEFT JOIN users u ON u.id = p.owner GROUP BY p.id ORDER BY p.id LIMIT 5'),
    ('SELECT p.id, sum(p.id) OVER () FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id LIMIT 5'),
    ('SELECT p.id, generate_series(1, p.score) FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id LIMIT 5'),
    ('SELECT p.id, random() FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id LIMIT 5'),
    ('SELECT p.id FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id LIMIT 5 FOR UPDATE OF p'),
    ('SELECT p.id FROM posts p LEFT JOIN LATERAL (SELECT * FROM users u WHERE u.id = p.owner) u ON true ORDER BY p.id LIMIT 5'),
    ('SELECT p FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id LIMIT 5');
SELECT query, dag_rewrite_query(query) FROM left_alone WHERE dag_rewrite_query(query) IS NOT NULL;

-- Results, EXPLAIN's line, and rights on columns.
SET ruvector.dag_rewrite = force;
SELECT p.id, p.score, u.name FROM posts p LEFT JOIN users u ON u.id = p.owner WHERE p.score > 2 ORDER BY p.score DESC, p.id LIMIT 5 OFFSET 2;
SELECT p.score, v.voter, p.id FROM votes v RIGHT JOIN posts p ON v.post = p.id ORDER BY p.score, v.voter DESC, p.id LIMIT 5;
EXPLAIN (COSTS off) SELECT p.id, u.name FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.score, p.id LIMIT 5;
CREATE ROLE regress_reader;
GRANT USAGE ON SCHEMA rewrite_top_n, ruvector TO regress_reader;
GRANT SELECT (id, name) ON users TO regress_reader;
GRANT SELECT (id, owner) ON posts TO regress_reader;
SET ROLE regress_reader;
SELECT p.id, u.name FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id LIMIT 2;
SELECT p.id, u.name FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.score, p.id LIMIT 2;
SELECT p.id, u.age FROM posts p LEFT JOIN users u ON u.id = p.owner ORDER BY p.id LIMIT 2;
RESET ROLE;
RESET ruvector.dag_rewrite;
RESET ruvector.dag_rewrite_rules;
SET client_min_messages = warning;
DROP SCHEMA rewrite_top_n CASCADE;
REVOKE USAGE ON SCHEMA ruvector FROM regress_reader;
DROP ROLE regress_reader;

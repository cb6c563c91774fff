-- Statements in another form: what the rules make of them, and what they leave alone.
CREATE SCHEMA rewrite;
SET search_path = rewrite, ruvector;
CREATE TABLE users (id int PRIMARY KEY, name text, age int);
CREATE TABLE posts (id int PRIMARY KEY, owner int, score int, price numeric(8, 2));
CREATE TABLE comments (id int, post bigint, author int, score float8);
CREATE TABLE votes (post int, value int);
INSERT INTO users SELECT i, 'u' || i % 3, i % 5 FROM generate_series(1, 20) AS i;
INSERT INTO posts SELECT i, nullif(i % 11, 3), i % 7 - 2, i / 4.0 FROM generate_series(1, 60) AS i;
INSERT INTO comments SELECT i, i * i % 50, i % 13, i / 3.0 FROM generate_series(1, 200) AS i;
INSERT INTO votes SELECT i * i % 40, i % 3 FROM generate_series(1, 300) AS i;
ANALYZE;

-- A chain and a star; a side with a unique key is joined as it is.
SELECT dag_rewrite_query($$SELECT count(*) FROM users u, posts p, comments c, votes v
    WHERE u.id = p.owner AND p.id = c.post AND v.post = p.id AND c.author > 2 AND u.age < 4$$);
-- Aggregates of what stays in the root; conditions between relations keep them together.
SELECT dag_rewrite_query($$SELECT p.owner, count(*) FILTER (WHERE p.score > 0), count(p.owner), sum(p.price), avg(p.score),
    min(p.score), count(DISTINCT p.score) FROM posts p JOIN comments c ON p.id = c.post AND c.author < p.owner
    JOIN votes v ON v.post = p.id GROUP BY p.owner HAVING sum(p.score) > 1 ORDER BY count(*) DESC LIMIT 3$$);
-- A chain whose middle has sides of its own: products that need not join any further are numeric.
SELECT dag_rewrite_query($$SELECT c1.author, count(*) FROM comments c1 JOIN posts p ON c1.author = p.owner
    JOIN comments c2 ON c2.post = p.id JOIN votes v ON v.post = p.id GROUP BY c1.author$$);
-- Aggregates of sides are computed there.
SELECT dag_rewrite_query($$SELECT p.owner, count(*), sum(c.author), avg(v.value), max(c.author) FILTER (WHERE c.author < 9)
    FROM posts p JOIN comments c ON p.id = c.post JOIN votes v ON v.post = p.id GROUP BY p.owner$$);
-- What may fail is not computed before its row is known to join.
SELECT dag_rewrite_query($$SELECT p.owner, sum(1 / c.author) FROM posts p JOIN comments c ON p.id = c.post
    JOIN votes v ON v.post = p.id GROUP BY p.owner$$);
-- Distinct rows need no counts. Subqueries go where their relation goes.
SELECT dag_rewrite_query($$SELECT DISTINCT p.owner FROM posts p JOIN comments c ON p.id = c.post
    AND EXISTS (SELECT FROM users u WHERE u.id = c.author)$$);
-- Names of joined columns.
SELECT dag_rewrite_query('SELECT max(post) FROM comments JOIN votes USING (post)');

-- Views, subqueries, functions and lists are relations like tables.
SELECT dag_rewrite_query($$SELECT count(*) FROM (SELECT post, count(*) FROM comments GROUP BY post) AS c
    JOIN votes v ON v.post = c.post JOIN generate_series(1, 9) AS g ON g = c.post JOIN (VALUES (1), (2)) AS l (n) ON l.n = g$$);

-- Left alone: what counts no join, what is not exact, what is not a plain inner join of plain tables.
CREATE VIEW popular AS SELECT * FROM posts WHERE score > 2;
CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM posts WHERE score > 2;
CREATE TABLE secret (post int);
CREATE VIEW visible AS SELECT * FROM secret;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON secret USING (post > current_setting('server_version_num')::int);
CREATE FUNCTION dice() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 4';
CREATE ROLE regress_clerk;
GRANT USAGE ON SCHEMA rewrite, ruvector TO regress_clerk;
GRANT SELECT ON secret, visible, popular, votes TO regress_clerk;
ALTER VIEW visible OWNER TO regress_clerk;
CREATE TABLE left_alone (query text);
INSERT INTO left_alone VALUES
    ('SELECT count(*) FROM posts'),
    ('SELECT count(*) FROM users u JOIN posts p ON p.id = u.id'),
    ('SELECT u.id FROM users u JOIN posts p ON p.owner = u.id'),
    ('SELECT count(*) FROM users, votes'),
    ('SELECT sum(c.score) FROM comments c JOIN votes v ON v.post = c.post'),
    ('SELECT array_agg(c.id) FROM comments c JOIN votes v ON v.post = c.post'),
    ('SELECT count(*), count(*) OVER () FROM comments c JOIN votes v ON v.post = c.post'),
    ('SELECT count(*) FROM comments c FULL JOIN votes v ON v.post = c.post'),
    ('SELECT count(*) FROM comments c JOIN guarded g ON g.owner = c.author'),
    ('SELECT count(*) FROM comments c JOIN LATERAL (SELECT c.post AS n LIMIT 1) AS l ON l.n = c.post'),
    ('SELECT count(*) FROM comments c JOIN votes v ON v.post = c.post WHERE v.value = dice()'),
    ('SELECT count(*) FROM comments c JOIN votes v ON v.post = c.post AND EXISTS (SELECT FROM posts FOR SHARE)'),
    ('SELECT count(*), (SELECT 1) FROM comments c JOIN votes v ON v.post = c.post'),
    ('SELECT count(*) FROM comments c JOIN votes v ON v.post = c.post LIMIT (SELECT 1)'),
    ('SELECT DISTINCT ON (c.id) c.id FROM comments c JOIN votes v ON v.post = c.post'),
    ('SELECT count(*) FROM comments c JOIN votes v ON v.post = c.post WHERE c IS NULL'),
    ('SELECT count(*) FROM comments c JOIN votes v ON v.post = c.post WHERE c.ctid <> v.ctid'),
    ('SELECT count(*) FROM comments c JOIN votes v ON v.post < c.post'),
    ('SELECT c.id, count(*) FROM comments c JOIN votes v ON v.post = c.post GROUP BY ROLLUP (c.id)'),
    ('SELECT count(*) FROM comments c TABLESAMPLE system (50) JOIN votes v ON v.post = c.post'),
    ('WITH w AS (SELECT 1) SELECT count(*) FROM comments c JOIN votes v ON v.post = c.post'),
    ('SELECT 1 FROM (SELECT FROM comments c JOIN votes v ON v.post = c.post FOR UPDATE) AS s GROUP BY 1'),
    ('DELETE FROM votes');
SELECT query, dag_rewrite_query(query) FROM left_alone WHERE dag_rewrite_query(query) IS NOT NULL;
SET ROLE regress_clerk;
SELECT dag_rewrite_query('SELECT count(*) FROM secret s JOIN votes v ON v.post = s.post');
SELECT dag_rewrite_query('SELECT count(*) FROM visible s JOIN votes v ON v.post = s.post');
RESET ROLE;

-- Rules can be switched off.
SET ruvector.dag_rewrite_rules = '';
SELECT dag_rewrite_query('SELECT count(*) FROM comments c JOIN votes v ON v.post = c.post');
SET ruvector.dag_rewrite_rules = 'eager_aggregation';
SELECT dag_rewrite_query('SELECT count(*) FROM comments c JOIN votes v ON v.post = c.post') IS NOT NULL AS is_rewritten;
RESET ruvector.dag_rewrite_rules;
SET ruvector.dag_rewrite = 'sometimes';

-- It is a plan like any other; cheap statements keep theirs.
EXPLAIN (COSTS OFF) SELECT count(*) FROM comments c JOIN votes v ON v.post = c.post;
SET ruvector.dag_rewrite = force;
EXPLAIN (COSTS OFF) SELECT count(*) FROM comments c JOIN votes v ON v.post = c.post;
-- An empty join counts zero, and sums nothing.
SELECT count(*), count(c.id), sum(c.id), avg(c.id) FROM comments c JOIN votes v ON v.post = c.post WHERE c.id < 0;
SELECT c.author, count(*) FROM comments c JOIN votes v ON v.post = c.post WHERE c.id < 0 GROUP BY c.author;
-- Permissions are those of the statement.
SET ROLE regress_clerk;
SELECT count(*) FROM comments c JOIN votes v ON v.post = c.post;
RESET ROLE;
-- Through a view its owner's are: the clerk may not read posts.
SET ROLE regress_clerk;
SELECT count(*) AS through_view FROM popular p JOIN votes v ON v.post = p.id;
SELECT count(*) FROM posts p JOIN votes v ON v.post = p.id;
RESET ROLE;
GRANT SELECT (post) ON comments TO regress_clerk;
SET ROLE regress_clerk;
SELECT count(*) > 0 AS may_count FROM comments c JOIN votes v ON v.post = c.post;
SELECT count(*) FROM comments c JOIN votes v ON v.post = c.post WHERE c.author > 0;
RESET ROLE;
-- Prepared statements, generic ones too, follow changes of the tables.
PREPARE counted(int) AS SELECT count(*) FROM users u JOIN posts p ON p.owner = u.id JOIN votes v ON v.post = p.id
    WHERE u.age < $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE counted(3);
ALTER TABLE users DROP CONSTRAINT users_pkey;
INSERT INTO users SELECT * FROM users;
EXECUTE counted(3);
SET ruvector.dag_rewrite = off;
SELECT count(*) FROM users u JOIN posts p ON p.owner = u.id JOIN votes v ON v.post = p.id WHERE u.age < 3;
SET ruvector.dag_rewrite = force;
-- A count beyond bigint fails in both forms alike; a group that is beyond it but does not join does not.
CREATE TABLE wide (k int, n int);
INSERT INTO wide SELECT 1, i FROM generate_series(1, 3000) AS i;
DO $$
DECLARE joins text := (SELECT string_agg(format('JOIN wide w%s ON w%s.k = w0.k', i, i), ' ') FROM generate_series(1, 5) AS i);
BEGIN
    EXECUTE 'SELECT count(*) FROM wide w0 ' || joins;
EXCEPTION WHEN numeric_value_out_of_range THEN
    RAISE NOTICE '%', sqlerrm;
END $$;
SELECT count(*) FROM wide w0 JOIN wide w1 ON w1.k = w0.k JOIN wide w2 ON w2.k = w1.k JOIN wide w3 ON w3.k = w2.k
    JOIN wide w4 ON w4.k = w3.k;
CREATE TABLE root (a int, x int);
CREATE TABLE middle (a int, k int);
INSERT INTO root VALUES (1, 7);
INSERT INTO middle VALUES (1, 2), (2, 1);
SELECT r.x, count(*) FROM root r JOIN middle m ON m.a = r.a JOIN wide w1 ON w1.k = m.k JOIN wide w2 ON w2.k = m.k
    JOIN wide w3 ON w3.k = m.k JOIN wide w4 ON w4.k = m.k JOIN wide w5 ON w5.k = m.k JOIN wide w6 ON w6.k = m.k GROUP BY r.x;
RESET ruvector.dag_rewrite;
RESET plan_cache_mode;
DROP OWNED BY regress_clerk;
DROP ROLE regress_clerk;
SET client_min_messages = warning;
DROP SCHEMA rewrite CASCADE;

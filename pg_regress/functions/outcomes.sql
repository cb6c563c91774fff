-- Every function: as it is meant to be called, with NULLs, with empty, with bad arguments, and by a role without rights.
-- Each tells something (ok), nothing, or the SQLSTATE of its error: on a server without the library in
-- shared_preload_libraries most say so (55000).
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS ruvector_dag;
CREATE ROLE regress_surface_user;
CREATE TABLE surface (id int PRIMARY KEY, a int);
INSERT INTO surface SELECT i, i % 10 FROM generate_series(1, 1000) AS i;
ANALYZE surface;
-- What is given for an argument: by its name, else by its type. Without a meaning what is needed only.
CREATE TABLE given (argument text PRIMARY KEY, meant text, empty text, bad text);
INSERT INTO given VALUES
    ('query', $$'SELECT count(*) FROM pg_class'$$, $$''$$, $$'no statement'$$),
    ('queries', $$ARRAY['SELECT 1']$$, $$'{}'$$, $$'{"no statement"}'$$),
    ('representative_queries', $$ARRAY['SELECT 1']$$, $$'{}'$$, $$'{"no statement"}'$$),
    ('mechanism', $$'topological'$$, $$''$$, $$'astrology'$$),
    ('attention_mechanism', $$'topological'$$, $$''$$, $$'astrology'$$),
    ('dag', $$'[{"Plan": {"Node Type": "Seq Scan", "Total Cost": 3, "Plan Rows": 10}}]'$$, $$'{}'$$, $$'[1]'$$),
    ('dag_structure', $$'[{"Plan": {"Node Type": "Seq Scan", "Total Cost": 3, "Plan Rows": 10}}]'$$, $$'{}'$$, $$'[1]'$$),
    ('params', $$'{}'$$, $$'{}'$$, $$'{"no": "parameter"}'$$),
    ('pattern_metadata', $$'{}'$$, $$'{}'$$, $$'[1]'$$),
    ('trajectories', $$'{}'$$, $$'{}'$$, $$ARRAY['{"no": "trajectory"}'::jsonb]$$),
    ('components', $$'{learning}'$$, $$'{}'$$, $$'{plumbing}'$$),
    ('state', 'ruvector.dag_export_state()', $$''$$, $$'\x00'$$),
    ('other', 'ruvector.dag_plan_fingerprint()', $$''$$, $$'\x00'$$),
    ('pattern_id', '(SELECT min(pattern_id) FROM ruvector.dag_patterns)', '0', '-1'),
    ('class', '(SELECT min(class) FROM ruvector.dag_decisions())', '0', '-1'),
    ('role', 'current_user::regrole', '0', '4294967295'),
    ('relation', $$'surface'$$, '0', $$'pg_class'$$),
    ('index_name', $$'surface_pkey'$$, $$''$$, $$'no_such_index'$$),
    ('bigint', '1', '0', '-1'),
    ('bigint[]', $$'{}'$$, $$'{}'$$, $$'{-1}'$$),
    ('boolean', 'true', 'true', 'true'),
    ('double precision', '0.01', '0', $$'NaN'$$),
    ('integer', '1', '0', '-1'),
    ('interval', $$'10 ms'$$, $$'0'$$, $$'-1 s'$$),
    ('real[]', $$array_fill(0.0625, '{256}')$$, $$'{}'$$, $$'{NaN}'$$),
    ('regclass[]', $$'{surface}'$$, $$'{}'$$, $$'{pg_class}'$$),
    ('text', $$''$$, $$''$$, $$'no such thing'$$),
    ('timestamp with time zone', 'now()', $$'-infinity'$$, $$'infinity'$$),
    ('tstzrange', $$'(,)'$$, $$'empty'$$, $$'[1999-12-31,)'$$);
GRANT SELECT ON given TO regress_surface_user;
CREATE FUNCTION outcome(function oid, how text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    is_meant boolean := how IN ('meant', 'denied');
    call text;
    told boolean;
BEGIN
    SELECT format('SELECT coalesce(bool_or(NOT told IS NULL), false) FROM ruvector.%I(%s) AS told', p.proname, string_agg(
        format('%s::%s', CASE WHEN is_meant THEN g.meant WHEN how = 'null' THEN 'NULL' ELSE to_jsonb(g) ->> how END, t.name), ', '
        ORDER BY a.at))
    INTO call
    FROM pg_proc AS p LEFT JOIN unnest(p.proargtypes) WITH ORDINALITY AS a (type, at)
        ON a.at <= p.pronargs - CASE WHEN is_meant THEN p.pronargdefaults ELSE 0 END
    LEFT JOIN LATERAL (SELECT format_type(a.type, NULL)) AS t (name) ON true
    LEFT JOIN LATERAL (SELECT * FROM given WHERE argument IN (p.proargnames[a.at], t.name)
        ORDER BY argument = t.name LIMIT 1) AS g ON true
    WHERE p.oid = function GROUP BY p.oid, p.proname;
    EXECUTE replace(call, '(::)', '()') INTO told;
    RETURN CASE WHEN told OR is_meant THEN 'ok' ELSE 'nothing' END;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate;
END $$;
CREATE VIEW functions AS SELECT p.oid, p.proname AS function, p.pronargs > 0 AS has_arguments
FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid WHERE e.extname = 'ruvector_dag'
-- Those that forget come last.
ORDER BY p.proname LIKE 'dag\_reset%', p.proname COLLATE "C";
GRANT SELECT ON functions TO regress_surface_user;
-- Something to tell of.
DO $$ BEGIN
    PERFORM ruvector.dag_store_pattern(array_agg(CASE WHEN i = at THEN 1 ELSE 0 END ORDER BY i)::real[], '{}', 0.5)
    FROM generate_series(1, 8) AS at, generate_series(1, 256) AS i GROUP BY at;
    FOR round IN 1..3 LOOP
        FOR n IN 1..8 LOOP
            EXECUTE 'SELECT count(*) FROM surface AS s JOIN surface AS t USING (id) WHERE s.a = ' || n;
        END LOOP;
    END LOOP;
    PERFORM ruvector.dag_learn_now();
EXCEPTION WHEN SQLSTATE '55000' THEN
END $$;
\pset format unaligned
SELECT function, outcome(oid, 'meant') AS meant, CASE WHEN has_arguments THEN outcome(oid, 'null') ELSE '-' END AS "NULL",
    CASE WHEN has_arguments THEN outcome(oid, 'empty') ELSE '-' END AS empty,
    CASE WHEN has_arguments THEN outcome(oid, 'bad') ELSE '-' END AS bad
FROM functions;
SET ROLE regress_surface_user;
SELECT * FROM (SELECT function, outcome(oid, 'denied') AS told FROM functions OFFSET 0) AS called WHERE told <> 'ok';
RESET ROLE;
\pset format aligned
DROP VIEW functions;
DROP FUNCTION outcome;
DROP TABLE given, surface;
DROP ROLE regress_surface_user;

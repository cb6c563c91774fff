-- What is installed: what this prints is the list that docs/sql.md describes.
SELECT extname, extversion, nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
WHERE extname = 'ruvector_dag';
CREATE TEMP VIEW members AS SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'ruvector_dag';
\pset format unaligned
-- Functions: volatility, strictness, parallel safety, cost, rows, whose rights, and who may besides the owner.
SELECT p.proname AS function, pg_get_function_identity_arguments(p.oid) AS arguments, p.provolatile AS v, p.proisstrict AS s,
    p.proparallel AS p, p.procost AS cost, p.prorows AS rows, p.prosecdef AS definer, array_to_string(p.proconfig, ' ') AS settings,
    p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) WHERE grantee = 0) AS public
FROM pg_proc p JOIN members ON objid = p.oid AND classid = 'pg_proc'::regclass
ORDER BY p.proname COLLATE "C", 2;
\pset format aligned
-- Whoever runs with the owner's rights in SQL says where names are looked up; in C own_settings does.
SELECT p.proname FROM pg_proc p JOIN members ON objid = p.oid AND classid = 'pg_proc'::regclass
JOIN pg_language l ON l.oid = p.prolang WHERE p.prosecdef AND l.lanname <> 'c'
    AND NOT coalesce(array_to_string(p.proconfig, ' ') LIKE '%search_path=%', false);
-- Tables and views, and what PUBLIC may do with them.
SELECT c.relname, c.relkind, c.relrowsecurity AS row_security,
    (SELECT string_agg(privilege_type, ' ') FROM aclexplode(c.relacl) WHERE grantee = 0) AS public
FROM pg_class c JOIN members ON objid = c.oid AND classid = 'pg_class'::regclass WHERE c.relkind IN ('r', 'v')
ORDER BY c.relname COLLATE "C";
-- What a dump carries.
SELECT dumped::regclass FROM pg_extension, unnest(extconfig) AS dumped WHERE extname = 'ruvector_dag'
ORDER BY dumped::regclass::text COLLATE "C";
-- Every object has a comment.
SELECT pg_describe_object(classid, objid, 0) AS without_comment FROM members
WHERE obj_description(objid, classid::regclass::name) IS NULL AND NOT EXISTS (
    SELECT FROM pg_class c WHERE classid = 'pg_class'::regclass AND c.oid = objid AND c.relkind IN ('S', 'i'))
    AND classid NOT IN ('pg_type'::regclass, 'pg_rewrite'::regclass)
ORDER BY 1;
SELECT c.relname, a.attname AS without_comment FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN members ON objid = c.oid AND classid = 'pg_class'::regclass
WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL ORDER BY 1, a.attnum;
SELECT p.polname AS without_comment FROM pg_policy p JOIN members ON objid = p.polrelid AND classid = 'pg_class'::regclass
WHERE obj_description(p.oid, 'pg_policy') IS NULL;

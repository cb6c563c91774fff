-- Costs and counts differ between machines: show the structure only.
CREATE FUNCTION plan_lines(query text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT regexp_replace(regexp_replace(line, 'cost=\S+ ', ''), 'by query -?\d+', 'by query N')
    FROM regexp_split_to_table(ruvector.dag_explain(query), '\n') AS line
$$;
SET ruvector.dag_mode = observe;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT plan_lines('SELECT count(*) FROM customers WHERE city = 42 AND country = 4');
SELECT count(*) FROM customers WHERE city = 42 AND country = 4;
SELECT plan_lines('SELECT count(*) FROM customers WHERE city = 42 AND country = 4');
-- The same relation under another alias, clauses and operands the other way round, in another statement.
SELECT plan_lines('SELECT sum(x.id) FROM customers x WHERE 4 = x.country AND 42 = x.city');
-- Another constant is another relation.
SELECT plan_lines('SELECT count(*) FROM customers WHERE city = 43 AND country = 4');
-- A join learned in one statement serves another.
SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.city = 42 AND c.country = 4;
SELECT plan_lines('SELECT sum(b.amount) FROM orders b, customers a WHERE a.id = b.customer_id AND a.country = 4 AND a.city = 42');
-- JSON.
SELECT jsonb_array_length(ruvector.dag_explain('SELECT 1 FROM customers', 'json')::jsonb -> 'plan') AS operators;
-- Drawings; the counts are masked.
SELECT regexp_replace(ruvector.dag_explain('SELECT 1 FROM customers WHERE city = 42 AND country = 4', 'dot'), '(rows|learned) \d+', '\1 N', 'g');
SELECT regexp_replace(ruvector.dag_explain('SELECT 1 FROM customers WHERE city = 42 AND country = 4', 'mermaid'), '(rows|learned) \d+', '\1 N', 'g');
SELECT xml_is_well_formed_document(ruvector.dag_explain('SELECT 1 FROM customers WHERE city = 42', 'svg')) AS is_svg;
-- Analysis: shares of cost, parents and children.
SELECT node_id, operator_type, criticality BETWEEN 0 AND 1 AS criticality, array_length(embedding, 1) AS embedding, parent_ids, child_ids, recommendations
FROM ruvector.dag_analyze_plan('SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id');
SELECT round(sum(criticality)::numeric, 6) AS weights, bool_and(bottleneck_score >= 0 AND bottleneck_score < 1) AS tensions
FROM ruvector.dag_analyze_plan('SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id');
SELECT round(sum(e * e)::numeric, 3) AS norm
FROM ruvector.dag_analyze_plan('SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id'), unnest(embedding) AS e;
-- Never run: a volatile function in the statement is not called.
CREATE SEQUENCE never;
SELECT count(*) FROM ruvector.dag_analyze_plan('SELECT nextval(''never'')');
SELECT is_called FROM never;
RESET ALL;

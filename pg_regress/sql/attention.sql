-- Weights are numbers of the machine's costs: what must hold of them is shown, and what follows from the plan's form.
SET enable_mergejoin = off;
SET enable_nestloop = off;
SET max_parallel_workers_per_gather = 0;
\set q 'SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.city = 7'
CREATE TABLE mechanisms (mechanism text);
INSERT INTO mechanisms VALUES ('auto'), ('ensemble'), ('topological'), ('causal_cone'), ('critical_path'), ('mincut_gated'),
    ('hierarchical_lorentz'), ('parallel_branch'), ('temporal_btsp');
SELECT mechanism, round(sum(attention_weight)::numeric, 6) AS weights, min(attention_weight) >= 0 AS is_positive,
    count(*) = min(array_length(query_contribution, 1)) AND count(*) = max(array_length(key_contribution, 1)) AS is_square
FROM mechanisms, ruvector.dag_attention_scores(:'q', mechanism) GROUP BY mechanism ORDER BY mechanism;
-- Rows of the matrix are shares.
SELECT array_ndims(m) AS dimensions, array_length(m, 1) = array_length(m, 2) AS is_square,
    round((SELECT sum(share) FROM unnest(m) AS share)::numeric / array_length(m, 1), 6) AS row_sum
FROM ruvector.dag_attention_matrix(:'q', 'topological') AS m;
-- The mechanisms differ.
SELECT count(DISTINCT weights) > 3 AS differ FROM (
    SELECT array_agg(attention_weight ORDER BY node_id) AS weights
    FROM mechanisms, ruvector.dag_attention_scores(:'q', mechanism) GROUP BY mechanism) AS s;
-- Drawings.
SELECT format, length(ruvector.dag_attention_visualize(:'q', 'topological', format)) > 100 AS is_drawn
FROM unnest('{dot,json,ascii,mermaid,svg}'::text[]) AS format;
SELECT jsonb_array_length(ruvector.dag_attention_visualize(:'q', 'ensemble', 'json')::jsonb -> 'operators') AS operators;
SELECT regexp_replace(ruvector.dag_attention_visualize(:'q', 'topological', 'ascii'), '\d\.\d+ #*\s+', '', 'g');
SELECT ruvector.dag_attention_visualize(:'q', 'topological', 'png');
-- Path, bottlenecks, cut.
SELECT path_position, operator_type, accumulated_cost > 0 AS costs FROM ruvector.dag_critical_path(:'q');
SELECT count(*) AS all_operators, bool_and(bottleneck_score >= 0 AND bottleneck_score < 1) AS are_tensions,
    round(sum(impact_estimate)::numeric, 6) AS shares FROM ruvector.dag_bottlenecks(:'q', 0);
SELECT count(*) FROM ruvector.dag_bottlenecks(:'q', 1);
SELECT count(*) FROM ruvector.dag_bottlenecks(:'q', 2);
SELECT cut_id, source_nodes <> sink_nodes AS is_cut, cut_capacity > 0 AS has_capacity, parallelization_opportunity
FROM ruvector.dag_mincut_analysis(:'q') WHERE cut_id = 1;
SELECT bool_and(cut_capacity <= 2 * first) AS are_narrow, count(*) BETWEEN 1 AND 6 AS some
FROM (SELECT cut_capacity, first_value(cut_capacity) OVER (ORDER BY cut_id) AS first FROM ruvector.dag_mincut_analysis(:'q')) AS s;
-- Parameters: of the session, checked, and used.
SELECT ruvector.dag_attention_configure('causal_cone', '{"max_depth": 1}');
SHOW ruvector.dag_attention_parameters;
SELECT count(*) FILTER (WHERE share > 0) AS reached
FROM ruvector.dag_attention_scores(:'q', 'causal_cone') AS s, unnest(s.query_contribution) AS share WHERE node_id = 0;
SELECT ruvector.dag_attention_configure('causal_cone', '{"max_deep": 1}');
SELECT ruvector.dag_attention_configure('causal_cone', '{"decay": -1}');
SELECT ruvector.dag_attention_configure('astrology', '{}');
SET ruvector.dag_attention_parameters = 'not json';
SELECT round(sum(attention_weight)::numeric, 6) FROM ruvector.dag_attention_scores(:'q', 'causal_cone');
RESET ruvector.dag_attention_parameters;
SELECT ruvector.dag_set_attention('critical_path');
SHOW ruvector.dag_attention_type;
SELECT ruvector.dag_set_attention('astrology');
\set VERBOSITY sqlstate
SELECT ruvector.dag_attention_scores(:'q', 'astrology');
\set VERBOSITY default
-- Uses are counted.
SELECT mechanism, invocations > 0 AS is_used FROM ruvector.dag_attention_stats() WHERE mechanism IN ('topological', 'ensemble');
-- On graphs that are given: a scan that feeds a sort, as EXPLAIN tells it and as the engine does.
SELECT array_length(ruvector.attention_topological('[{"Plan": {"Node Type": "Sort", "Total Cost": 3, "Plans": [
    {"Node Type": "Seq Scan", "Total Cost": 2}]}}]'), 1) AS operators;
SELECT ruvector.attention_temporal_btsp('{"nonsense": 1}');
-- What weighed an execution is kept with it.
SET ruvector.dag_attention_type = parallel_branch;
SELECT count(*) FROM customers WHERE city = 11 AND country = 1;
DO $$BEGIN
    -- The worker may be about to write it.
    FOR i IN 1..100 LOOP
        PERFORM ruvector.dag_learn_now();
        EXIT WHEN EXISTS (SELECT FROM ruvector.dag_trajectories WHERE attention_mechanism = 'parallel_branch');
        PERFORM pg_sleep(0.1);
        COMMIT;
    END LOOP;
END$$;
SELECT attention_mechanism, array_length(embedding, 1) AS numbers FROM ruvector.dag_trajectories
WHERE attention_mechanism = 'parallel_branch' LIMIT 1;
-- The statement itself is the most similar one; an unlike one is less so. With one's own rights: others' are not seen.
SELECT round(similarity::numeric, 3) AS similarity, execution_ms > 0 AS took, executions > 0 AS ran
FROM ruvector.dag_similar_statements('SELECT count(*) FROM customers WHERE city = 11 AND country = 1', 1);
SELECT count(*) <= 3 AS few, bool_and(similarity BETWEEN -1 AND 1) AS cosines
FROM ruvector.dag_similar_statements('SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY o.id', 3);
SELECT array_length(e, 1) AS numbers, round(ruvector.dag_similarity(e, e)::numeric, 5) AS own
FROM ruvector.dag_embedding(:'q', 'lorentz') AS e;
SELECT array_length(e, 1) AS numbers, round(ruvector.dag_similarity(e, e)::numeric, 5) AS own
FROM ruvector.dag_embedding(:'q', 'hierarchical_lorentz') AS e;
SELECT ruvector.dag_similarity('{1,0}', '{1,0}');
SELECT ruvector.dag_similarity(NULL, '{1}') IS NULL AS is_null;
DROP TABLE mechanisms;
RESET ALL;

/* ruvector_dag 0.1.0 */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION ruvector_dag" to load this file. \quit

-- Tables

CREATE TABLE @extschema@.dag_trajectories (
    trajectory_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queryid bigint NOT NULL,
    class bigint NOT NULL,
    plan_shape bigint NOT NULL,
    cutoff bigint NOT NULL,
    hints integer NOT NULL DEFAULT 0,
    is_trial boolean NOT NULL DEFAULT false,
    userid oid NOT NULL,
    ended_at timestamptz NOT NULL,
    execution_ms double precision NOT NULL,
    baseline_ms double precision,
    improvement_ratio double precision
        GENERATED ALWAYS AS (CASE WHEN baseline_ms > 0 AND NOT is_cut_off THEN 1 - execution_ms / baseline_ms END) STORED,
    max_q_error double precision,
    counted_relations integer NOT NULL,
    corrected_relations integer NOT NULL,
    is_cut_off boolean NOT NULL,
    attention_mechanism text,
    plan bytea,
    total_cost double precision NOT NULL,
    embedding real[],
    expected_ms double precision,
    sub_joins bytea,
    model_q_error double precision,
    estimate_q_error double precision,
    predicted_counts integer,
    held_counts integer
);
CREATE INDEX dag_trajectories_ended_at_idx ON @extschema@.dag_trajectories (ended_at);
COMMENT ON TABLE @extschema@.dag_trajectories IS 'Executions that were learned from, newest dag_max_trajectories of them';

CREATE TABLE @extschema@.dag_corrections (
    relation_key bigint PRIMARY KEY,
    relations oid[] NOT NULL,
    rows double precision NOT NULL,
    estimated_rows double precision NOT NULL,
    table_rows double precision NOT NULL,
    modifications bigint NOT NULL,
    sequence bigint NOT NULL,
    queryid bigint NOT NULL,
    measured_at timestamptz NOT NULL,
    observations bigint NOT NULL,
    relation_count integer NOT NULL,
    is_lower_bound boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE @extschema@.dag_corrections IS 'Learned row counts of base and join relations, and lower bounds of them';

CREATE TABLE @extschema@.dag_statement_classes (
    class bigint PRIMARY KEY,
    queryid bigint NOT NULL,
    userid oid NOT NULL,
    last_run_at timestamptz NOT NULL,
    calls bigint NOT NULL,
    trials bigint NOT NULL,
    corrected_runs bigint NOT NULL,
    is_fresh boolean NOT NULL,
    saved_ms double precision NOT NULL,
    lost_ms double precision NOT NULL,
    settled bigint[] NOT NULL
);
COMMENT ON TABLE @extschema@.dag_statement_classes IS 'Statements with their constants, by hash';

CREATE TABLE @extschema@.dag_plan_shapes (
    class bigint NOT NULL,
    plan_shape bigint NOT NULL,
    cutoff bigint NOT NULL,
    hints integer NOT NULL,
    runs bigint NOT NULL,
    cut_off_runs bigint NOT NULL,
    lower_bound_ms real NOT NULL,
    total_cost real NOT NULL,
    samples_ms real[] NOT NULL,
    PRIMARY KEY (class, plan_shape)
);
COMMENT ON TABLE @extschema@.dag_plan_shapes IS 'Latencies per plan shape of each statement class';

CREATE TABLE @extschema@.dag_statement_texts (
    class bigint PRIMARY KEY,
    userid oid NOT NULL,
    search_path text NOT NULL,
    query text NOT NULL,
    stored_at timestamptz NOT NULL
);
COMMENT ON TABLE @extschema@.dag_statement_texts IS
    'Statements with their constants, for trials when the server is idle; empty unless ruvector.dag_store_literals is on';

CREATE TABLE @extschema@.dag_state (
    part text PRIMARY KEY,
    state bytea NOT NULL,
    learned_up_to bigint NOT NULL,
    revision bigint NOT NULL,
    settings jsonb NOT NULL,
    saved_at timestamptz NOT NULL
);
-- Such bytes don't compress: the attempt takes its time, and as much memory again.
ALTER TABLE @extschema@.dag_state ALTER COLUMN state SET STORAGE EXTERNAL;
COMMENT ON TABLE @extschema@.dag_state IS 'What the worker learned, as versioned and checksummed bytes';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_state', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_trajectories', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_trajectories_trajectory_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_corrections', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_statement_classes', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_plan_shapes', '');

REVOKE ALL ON @extschema@.dag_trajectories, @extschema@.dag_corrections, @extschema@.dag_statement_classes,
    @extschema@.dag_plan_shapes, @extschema@.dag_state, @extschema@.dag_statement_texts FROM PUBLIC;
GRANT SELECT ON @extschema@.dag_corrections, @extschema@.dag_statement_classes, @extschema@.dag_plan_shapes
    TO pg_read_all_stats;

-- Everybody sees the executions of the roles they have, pg_read_all_stats sees all.
ALTER TABLE @extschema@.dag_trajectories ENABLE ROW LEVEL SECURITY;
CREATE POLICY dag_trajectories_own ON @extschema@.dag_trajectories FOR SELECT
    USING (pg_catalog.pg_has_role(userid, 'USAGE') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'));
GRANT SELECT ON @extschema@.dag_trajectories TO PUBLIC;
GRANT USAGE ON SCHEMA @extschema@ TO PUBLIC;

-- Functions

CREATE FUNCTION @extschema@.dag_measures(OUT measure text, OUT value double precision) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_measures_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 20;
COMMENT ON FUNCTION @extschema@.dag_measures() IS 'Counters since the server started, and sizes, by name';

CREATE FUNCTION @extschema@.dag_attention_counts(
    OUT mechanism text, OUT invocations bigint, OUT avg_latency_us double precision, OUT hit_rate double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_attention_counts_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 8;
COMMENT ON FUNCTION @extschema@.dag_attention_counts() IS 'Uses of the attention mechanisms since the server started';

CREATE FUNCTION @extschema@.dag_status(
    OUT active_patterns bigint, OUT total_trajectories bigint, OUT avg_improvement double precision,
    OUT attention_hits bigint, OUT learning_rate_effective double precision, OUT qudag_connected boolean,
    OUT mode text, OUT corrections bigint, OUT statement_classes bigint, OUT statements_seen bigint,
    OUT statements_too_fast bigint, OUT corrections_applied bigint, OUT trajectories_dropped bigint,
    OUT internal_errors bigint, OUT saved_ms double precision, OUT lost_ms double precision, OUT is_loaded boolean)
RETURNS record
LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT
        max(value) FILTER (WHERE measure = 'corrections')::bigint,
        (SELECT count(*) FROM @extschema@.dag_trajectories),
        max(value) FILTER (WHERE measure = 'avg_improvement'),
        (SELECT sum(round(c.hit_rate * c.invocations))::bigint FROM @extschema@.dag_attention_counts() AS c),
        max(value) FILTER (WHERE measure = 'learning_rate'),
        -- The network is not there yet.
        false,
        CASE WHEN current_setting('ruvector.neural_dag_enabled')::boolean
            THEN current_setting('ruvector.dag_mode') ELSE 'off' END,
        max(value) FILTER (WHERE measure = 'corrections')::bigint,
        max(value) FILTER (WHERE measure = 'statement_classes')::bigint,
        max(value) FILTER (WHERE measure = 'statements_seen')::bigint,
        max(value) FILTER (WHERE measure = 'statements_too_fast')::bigint,
        max(value) FILTER (WHERE measure = 'corrections_applied')::bigint,
        max(value) FILTER (WHERE measure = 'trajectories_dropped')::bigint,
        max(value) FILTER (WHERE measure = 'internal_errors')::bigint,
        max(value) FILTER (WHERE measure = 'saved_ms'),
        max(value) FILTER (WHERE measure = 'lost_ms'),
        max(value) FILTER (WHERE measure = 'is_loaded')::int::boolean
    FROM @extschema@.dag_measures();
END;
COMMENT ON FUNCTION @extschema@.dag_status() IS 'What runs in this database, and what has been counted';

CREATE FUNCTION @extschema@.dag_config(
    OUT name text, OUT setting text, OUT unit text, OUT boot_val text, OUT min_val text, OUT max_val text,
    OUT context text, OUT description text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
    SELECT s.name, s.setting, s.unit, s.boot_val, s.min_val, s.max_val, s.context, s.short_desc
    FROM pg_catalog.pg_settings AS s
    WHERE s.name LIKE 'ruvector.dag\_%' OR s.name = 'ruvector.neural_dag_enabled'
    ORDER BY s.name;
END;
COMMENT ON FUNCTION @extschema@.dag_config() IS 'The settings of the extension';

CREATE FUNCTION @extschema@.dag_analyze_plan(query text,
    OUT node_id integer, OUT operator_type text, OUT criticality double precision,
    OUT bottleneck_score double precision, OUT embedding real[], OUT parent_ids integer[], OUT child_ids integer[],
    OUT estimated_cost double precision, OUT recommendations text[])
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_analyze_plan_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 20;
COMMENT ON FUNCTION @extschema@.dag_analyze_plan(text) IS 'The operators of a statement''s plan and their share of its cost';

CREATE FUNCTION @extschema@.dag_embedding(query text, mechanism text DEFAULT 'auto') RETURNS real[]
AS 'MODULE_PATHNAME', 'dag_embedding_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000;
COMMENT ON FUNCTION @extschema@.dag_embedding(text, text) IS 'The plan of a statement as 256 numbers of unit norm';

CREATE FUNCTION @extschema@.dag_similarity(a real[], b real[]) RETURNS real
AS 'MODULE_PATHNAME', 'dag_similarity_wrapper'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.dag_similarity(real[], real[]) IS
    'The cosine of the angle between two embeddings: 1 for equal plans';

CREATE FUNCTION @extschema@.dag_similar_statements(query text, k integer DEFAULT 5,
    OUT similarity real, OUT queryid bigint, OUT execution_ms double precision, OUT executions bigint,
    OUT last_run_at timestamptz, OUT attention_mechanism text)
RETURNS SETOF record
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE COST 10000 ROWS 5
BEGIN ATOMIC
    SELECT max(@extschema@.dag_similarity(own.embedding, t.embedding)) AS similarity, t.queryid,
        pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY t.execution_ms) AS execution_ms, count(*) AS executions,
        max(t.ended_at), pg_catalog.mode() WITHIN GROUP (ORDER BY t.attention_mechanism)
    FROM (SELECT @extschema@.dag_embedding(query) AS embedding OFFSET 0) AS own, @extschema@.dag_trajectories AS t
    WHERE t.embedding IS NOT NULL AND NOT t.is_cut_off
    GROUP BY t.queryid, t.class
    ORDER BY similarity DESC, t.queryid, t.class
    LIMIT k;
END;
COMMENT ON FUNCTION @extschema@.dag_similar_statements(text, integer) IS
    'Executed statements whose plans are nearest to that of a statement, with their median latency';

CREATE FUNCTION @extschema@.dag_critical_path(query text,
    OUT path_position integer, OUT node_id integer, OUT operator_type text, OUT accumulated_cost double precision,
    OUT attention_weight double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_critical_path_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 10;
COMMENT ON FUNCTION @extschema@.dag_critical_path(text) IS 'The costliest way through a statement''s plan';

CREATE FUNCTION @extschema@.dag_bottlenecks(query text, threshold double precision DEFAULT 0.7,
    OUT node_id integer, OUT operator_type text, OUT bottleneck_score double precision,
    OUT impact_estimate double precision, OUT suggested_action text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_bottlenecks_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 5;
COMMENT ON FUNCTION @extschema@.dag_bottlenecks(text, double precision) IS
    'The operators of a statement''s plan whose tension is at least the threshold';

CREATE FUNCTION @extschema@.dag_mincut_analysis(query text,
    OUT cut_id integer, OUT source_nodes integer[], OUT sink_nodes integer[], OUT cut_capacity double precision,
    OUT parallelization_opportunity boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_mincut_analysis_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 1;
COMMENT ON FUNCTION @extschema@.dag_mincut_analysis(text) IS
    'The narrowest place that all rows of a statement''s plan pass, in rows per unit of cost';

-- Attention

CREATE FUNCTION @extschema@.dag_attention_scores(query text, mechanism text DEFAULT 'auto',
    OUT node_id integer, OUT attention_weight double precision, OUT query_contribution double precision[],
    OUT key_contribution double precision[])
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_attention_scores_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 20;
COMMENT ON FUNCTION @extschema@.dag_attention_scores(text, text) IS
    'The weight of each operator, how it attends to the others and how it is attended to';

CREATE FUNCTION @extschema@.dag_attention_matrix(query text, mechanism text DEFAULT 'auto') RETURNS double precision[]
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE COST 1000
BEGIN ATOMIC
    SELECT pg_catalog.array_agg(s.query_contribution ORDER BY s.node_id)
    FROM @extschema@.dag_attention_scores(query, mechanism) AS s;
END;
COMMENT ON FUNCTION @extschema@.dag_attention_matrix(text, text) IS
    'How each operator (row) attends to each other (column), as a two-dimensional array';

CREATE FUNCTION @extschema@.dag_attention_visualize(query text, mechanism text DEFAULT 'auto', format text DEFAULT 'dot')
RETURNS text
AS 'MODULE_PATHNAME', 'dag_attention_visualize_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000;
COMMENT ON FUNCTION @extschema@.dag_attention_visualize(text, text, text) IS
    'A statement''s plan drawn with the weights of its operators: dot, json, ascii, mermaid or svg';

CREATE FUNCTION @extschema@.dag_attention_name(mechanism text) RETURNS text
AS 'MODULE_PATHNAME', 'dag_attention_name_wrapper'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.dag_attention_name(text) IS 'The name, if there is such an attention mechanism';

CREATE FUNCTION @extschema@.dag_attention_parameters(mechanism text, params jsonb) RETURNS jsonb
AS 'MODULE_PATHNAME', 'dag_attention_parameters_wrapper'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.dag_attention_parameters(text, jsonb) IS
    'The attention parameters that are set, with those of one mechanism replaced';

CREATE FUNCTION @extschema@.dag_attention_configure(mechanism text, params jsonb) RETURNS void
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT pg_catalog.set_config('ruvector.dag_attention_parameters',
        @extschema@.dag_attention_parameters(mechanism, params)::text, false);
END;
COMMENT ON FUNCTION @extschema@.dag_attention_configure(text, jsonb) IS
    'Sets the parameters of an attention mechanism for this session';

CREATE FUNCTION @extschema@.dag_set_attention(mechanism text) RETURNS void
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT pg_catalog.set_config('ruvector.dag_attention_type', @extschema@.dag_attention_name(mechanism), false);
END;
COMMENT ON FUNCTION @extschema@.dag_set_attention(text) IS 'Sets what weighs operators for this session: auto, ensemble or a mechanism';

CREATE FUNCTION @extschema@.dag_attention_stats(
    OUT mechanism text, OUT invocations bigint, OUT avg_latency_us double precision, OUT hit_rate double precision,
    OUT improvement_ratio double precision)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 8
BEGIN ATOMIC
    SELECT c.mechanism, c.invocations, c.avg_latency_us, c.hit_rate,
        (SELECT avg(t.improvement_ratio) FROM @extschema@.dag_trajectories AS t
         WHERE t.attention_mechanism = c.mechanism)
    FROM @extschema@.dag_attention_counts() AS c;
END;
COMMENT ON FUNCTION @extschema@.dag_attention_stats() IS
    'Uses of the attention mechanisms on this server, and the mean improvement of this database''s executions they weighed';

CREATE FUNCTION @extschema@.attention_topological(dag jsonb) RETURNS double precision[]
AS 'MODULE_PATHNAME', 'attention_topological_wrapper'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION @extschema@.attention_topological(jsonb) IS
    'The weights of the operators of a graph, as JSON of the engine or of EXPLAIN (FORMAT JSON)';

CREATE FUNCTION @extschema@.attention_causal_cone(dag jsonb) RETURNS double precision[]
AS 'MODULE_PATHNAME', 'attention_causal_cone_wrapper'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION @extschema@.attention_causal_cone(jsonb) IS
    'The weights of the operators of a graph, as JSON of the engine or of EXPLAIN (FORMAT JSON)';

CREATE FUNCTION @extschema@.attention_critical_path(dag jsonb) RETURNS double precision[]
AS 'MODULE_PATHNAME', 'attention_critical_path_wrapper'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION @extschema@.attention_critical_path(jsonb) IS
    'The weights of the operators of a graph, as JSON of the engine or of EXPLAIN (FORMAT JSON)';

CREATE FUNCTION @extschema@.attention_mincut_gated(dag jsonb) RETURNS double precision[]
AS 'MODULE_PATHNAME', 'attention_mincut_gated_wrapper'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION @extschema@.attention_mincut_gated(jsonb) IS
    'The weights of the operators of a graph, as JSON of the engine or of EXPLAIN (FORMAT JSON)';

CREATE FUNCTION @extschema@.attention_hierarchical_lorentz(dag jsonb) RETURNS double precision[]
AS 'MODULE_PATHNAME', 'attention_hierarchical_lorentz_wrapper'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION @extschema@.attention_hierarchical_lorentz(jsonb) IS
    'The weights of the operators of a graph, as JSON of the engine or of EXPLAIN (FORMAT JSON)';

CREATE FUNCTION @extschema@.attention_parallel_branch(dag jsonb) RETURNS double precision[]
AS 'MODULE_PATHNAME', 'attention_parallel_branch_wrapper'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION @extschema@.attention_parallel_branch(jsonb) IS
    'The weights of the operators of a graph, as JSON of the engine or of EXPLAIN (FORMAT JSON)';

CREATE FUNCTION @extschema@.attention_temporal_btsp(dag jsonb) RETURNS double precision[]
AS 'MODULE_PATHNAME', 'attention_temporal_btsp_wrapper'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION @extschema@.attention_temporal_btsp(jsonb) IS
    'The weights of the operators of a graph, as JSON of the engine or of EXPLAIN (FORMAT JSON)';

CREATE FUNCTION @extschema@.dag_explain(query text, format text DEFAULT 'text') RETURNS text
AS 'MODULE_PATHNAME', 'dag_explain_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000;
COMMENT ON FUNCTION @extschema@.dag_explain(text, text) IS
    'The plan of a statement with PostgreSQL''s row estimates beside the learned ones';

CREATE FUNCTION @extschema@.dag_decisions(
    OUT queryid bigint, OUT class bigint, OUT userid oid, OUT decision text, OUT state text,
    OUT baseline_ms double precision, OUT baseline_runs bigint, OUT current_ms double precision,
    OUT current_runs bigint, OUT confidence double precision, OUT plans_tried bigint, OUT tried jsonb,
    OUT calls bigint, OUT saved_ms double precision, OUT lost_ms double precision, OUT reason text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_decisions_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 ROWS 1000;
COMMENT ON FUNCTION @extschema@.dag_decisions() IS 'What is decided for each statement class of this database, and why';

CREATE FUNCTION @extschema@.dag_savings(
    OUT scope text, OUT queryid bigint, OUT class bigint, OUT userid oid, OUT calls bigint,
    OUT saved_ms double precision, OUT lost_ms double precision, OUT trials bigint, OUT trial_ms double precision,
    OUT idle_trial_ms double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_savings_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 ROWS 1000;
COMMENT ON FUNCTION @extschema@.dag_savings() IS
    'Time that decisions saved and lost against stock plans, in this database and per statement class';

CREATE FUNCTION @extschema@.dag_pin_decision(class bigint, decision text DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'dag_pin_decision_wrapper'
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 100;
COMMENT ON FUNCTION @extschema@.dag_pin_decision(bigint, text) IS
    'Keeps a decision for a statement class, the one in use by default';

CREATE FUNCTION @extschema@.dag_unpin_decision(class bigint) RETURNS void
AS 'MODULE_PATHNAME', 'dag_unpin_decision_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 100;
COMMENT ON FUNCTION @extschema@.dag_unpin_decision(bigint) IS
    'Leaves the decision for a statement class to what is measured';

CREATE FUNCTION @extschema@.dag_suggest_optimizations(query text,
    OUT suggestion_id integer, OUT category text, OUT description text, OUT expected_improvement double precision,
    OUT implementation_sql text, OUT confidence double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_suggest_optimizations_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10000 ROWS 5;
COMMENT ON FUNCTION @extschema@.dag_suggest_optimizations(text) IS
    'Indexes, statistics and settings that may help a statement, each with the evidence for it';

CREATE FUNCTION @extschema@.dag_rewrite_query(query text) RETURNS text
AS 'MODULE_PATHNAME', 'dag_rewrite_query_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000;
COMMENT ON FUNCTION @extschema@.dag_rewrite_query(text) IS
    'A statement in another form with the same result, or with its decision as hints and settings in a comment';

CREATE FUNCTION @extschema@.dag_summarize(query text,
    OUT bottleneck_count integer, OUT suggested_mechanism text, OUT estimated_improvement double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_summarize_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 1;
COMMENT ON FUNCTION @extschema@.dag_summarize(text) IS
    'A statement''s bottlenecks, the mechanism that weighs its plan, and the share of its latency that a decision saves';

CREATE FUNCTION @extschema@.dag_bulk_analyze(queries text[],
    OUT query_index integer, OUT bottleneck_count integer, OUT suggested_mechanism text,
    OUT estimated_improvement double precision)
RETURNS SETOF record
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE COST 10000 ROWS 10
BEGIN ATOMIC
    SELECT q.number::integer, s.bottleneck_count, s.suggested_mechanism, s.estimated_improvement
    FROM unnest(queries) WITH ORDINALITY AS q (query, number)
    LEFT JOIN LATERAL @extschema@.dag_summarize(q.query) AS s ON true
    ORDER BY q.number;
END;
COMMENT ON FUNCTION @extschema@.dag_bulk_analyze(text[]) IS
    'What dag_summarize says of each of some statements';

CREATE FUNCTION @extschema@.dag_learn_now(
    OUT patterns_updated bigint, OUT new_clusters bigint, OUT ewc_constraints_updated bigint,
    OUT cycle_time_ms double precision, OUT statements_updated bigint, OUT trajectories_written bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_learn_now_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER COST 1000 ROWS 1;
COMMENT ON FUNCTION @extschema@.dag_learn_now() IS 'Writes down what was learned in this database now';

CREATE FUNCTION @extschema@.dag_reset_learning(
    preserve_patterns boolean DEFAULT true, preserve_trajectories boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'dag_reset_learning_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER COST 1000;
COMMENT ON FUNCTION @extschema@.dag_reset_learning(boolean, boolean) IS
    'Forgets the evidence of all statements of this database and, unless preserved, learned row counts and trajectories';

CREATE FUNCTION @extschema@.dag_trajectory_history(
    time_range tstzrange DEFAULT NULL, min_improvement double precision DEFAULT 0, limit_count integer DEFAULT 100,
    OUT trajectory_id bigint, OUT queryid bigint, OUT ended_at timestamptz, OUT execution_ms double precision,
    OUT baseline_ms double precision, OUT improvement_ratio double precision, OUT max_q_error double precision,
    OUT counted_relations integer, OUT corrected_relations integer, OUT is_cut_off boolean,
    OUT attention_mechanism text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
BEGIN ATOMIC
    SELECT t.trajectory_id, t.queryid, t.ended_at, t.execution_ms, t.baseline_ms, t.improvement_ratio, t.max_q_error,
        t.counted_relations, t.corrected_relations, t.is_cut_off, t.attention_mechanism
    FROM @extschema@.dag_trajectories AS t
    WHERE (time_range IS NULL OR t.ended_at <@ time_range)
        AND (min_improvement <= 0 OR t.improvement_ratio >= min_improvement)
    ORDER BY t.ended_at DESC, t.trajectory_id DESC
    LIMIT limit_count;
END;
COMMENT ON FUNCTION @extschema@.dag_trajectory_history(tstzrange, double precision, integer) IS
    'Executions that were learned from, the newest first';

-- Trajectories and memory

CREATE FUNCTION @extschema@.dag_record_trajectory(
    query_hash bigint, dag_structure jsonb, execution_time_ms double precision, improvement_ratio double precision,
    attention_mechanism text)
RETURNS bigint
AS 'MODULE_PATHNAME', 'dag_record_trajectory_wrapper'
LANGUAGE C VOLATILE PARALLEL UNSAFE SECURITY DEFINER COST 1000;
COMMENT ON FUNCTION @extschema@.dag_record_trajectory(bigint, jsonb, double precision, double precision, text) IS
    'Writes an execution down that was measured elsewhere, to learn from';

CREATE FUNCTION @extschema@.dag_bulk_record_trajectories(trajectories jsonb[]) RETURNS integer
AS 'MODULE_PATHNAME', 'dag_bulk_record_trajectories_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER COST 10000;
COMMENT ON FUNCTION @extschema@.dag_bulk_record_trajectories(jsonb[]) IS
    'Writes executions down that were measured elsewhere, all or none; answers how many';

CREATE FUNCTION @extschema@.dag_patterns_found() RETURNS SETOF timestamptz
AS 'MODULE_PATHNAME', 'dag_patterns_found_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SECURITY DEFINER COST 10000 ROWS 100;
COMMENT ON FUNCTION @extschema@.dag_patterns_found() IS 'When each pattern that is kept was found first';

CREATE FUNCTION @extschema@.dag_trajectory_trends(window_size interval DEFAULT '1 hour',
    OUT window_start timestamptz, OUT trajectory_count bigint, OUT avg_improvement double precision,
    OUT best_mechanism text, OUT pattern_discoveries bigint, OUT avg_prediction_error double precision)
RETURNS SETOF record
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED COST 10000 ROWS 100
BEGIN ATOMIC
    WITH executions AS (
        SELECT pg_catalog.date_bin(window_size, t.ended_at, '2000-01-01 00:00:00+00') AS at, t.improvement_ratio,
            t.attention_mechanism,
            CASE WHEN t.execution_ms > 0 AND t.expected_ms > 0 AND t.expected_ms < 'Infinity' AND NOT t.is_cut_off
                THEN abs(ln(t.execution_ms) - ln(t.expected_ms)) END AS prediction_error
        FROM @extschema@.dag_trajectories AS t),
    windows AS (
        SELECT e.at, count(*) AS trajectories, avg(e.improvement_ratio) AS improvement, avg(e.prediction_error) AS error
        FROM executions AS e GROUP BY e.at),
    best AS (
        SELECT DISTINCT ON (e.at) e.at, e.attention_mechanism
        FROM executions AS e WHERE e.attention_mechanism IS NOT NULL AND e.improvement_ratio IS NOT NULL
        GROUP BY e.at, e.attention_mechanism
        ORDER BY e.at, avg(e.improvement_ratio) DESC, count(*) DESC, e.attention_mechanism),
    found AS (
        SELECT pg_catalog.date_bin(window_size, f.at, '2000-01-01 00:00:00+00') AS at, count(*) AS patterns
        FROM @extschema@.dag_patterns_found() AS f (at) GROUP BY 1)
    SELECT w.at, w.trajectories, w.improvement, b.attention_mechanism, coalesce(f.patterns, 0), w.error
    FROM windows AS w LEFT JOIN best AS b ON b.at = w.at LEFT JOIN found AS f ON f.at = w.at
    ORDER BY w.at;
END;
COMMENT ON FUNCTION @extschema@.dag_trajectory_trends(interval) IS
    'Executions, improvement, patterns and the error of predictions over time';

CREATE FUNCTION @extschema@.dag_prewarm(query text, OUT is_known boolean, OUT patterns bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_prewarm_wrapper'
LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000 ROWS 1;
COMMENT ON FUNCTION @extschema@.dag_prewarm(text) IS
    'Loads what is learned into the session, and looks a statement up if one is given';

CREATE FUNCTION @extschema@.dag_prewarm_patterns(representative_queries text[],
    OUT patterns_loaded bigint, OUT cache_hit_rate double precision)
RETURNS SETOF record
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE COST 10000 ROWS 1
BEGIN ATOMIC
    SELECT max(w.patterns), avg(w.is_known::integer)::double precision
    FROM unnest(pg_catalog.array_append(representative_queries, NULL::text)) AS q (query), @extschema@.dag_prewarm(q.query) AS w;
END;
COMMENT ON FUNCTION @extschema@.dag_prewarm_patterns(text[]) IS
    'Loads what is learned into the session, and tells for which share of some statements there is something';

CREATE FUNCTION @extschema@.dag_memory_usage(
    OUT component text, OUT allocated_bytes bigint, OUT used_bytes bigint, OUT peak_bytes bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_memory_usage_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SECURITY DEFINER COST 1000 ROWS 11;
COMMENT ON FUNCTION @extschema@.dag_memory_usage() IS
    'Bytes taken by each part of shared memory, by this session and by what is stored in this database';

CREATE FUNCTION @extschema@.dag_plan_fingerprint() RETURNS bytea
AS 'MODULE_PATHNAME', 'dag_plan_fingerprint_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100000;
COMMENT ON FUNCTION @extschema@.dag_plan_fingerprint() IS
    'The shapes of this database''s plans at a glance, to compare with another server or moment';

CREATE FUNCTION @extschema@.dag_plan_shapes_similarity(other bytea,
    OUT shapes bigint, OUT other_shapes bigint, OUT similarity double precision, OUT overlap double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_plan_shapes_similarity_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100000 ROWS 1;
COMMENT ON FUNCTION @extschema@.dag_plan_shapes_similarity(bytea) IS
    'How alike the shapes of this database''s plans are to those of another server or moment';

REVOKE EXECUTE ON FUNCTION @extschema@.dag_bulk_record_trajectories(jsonb[]),
    @extschema@.dag_record_trajectory(bigint, jsonb, double precision, double precision, text) FROM PUBLIC;

-- Estimates

CREATE FUNCTION @extschema@.dag_estimate(query text,
    OUT metric text, OUT postgres_estimate double precision, OUT neural_estimate double precision,
    OUT confidence double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_estimate_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 10;
COMMENT ON FUNCTION @extschema@.dag_estimate(text) IS
    'Row counts of a statement''s plan and its latency, as PostgreSQL estimates them and as learned models do';

CREATE FUNCTION @extschema@.dag_row_model_quality(
    OUT executions bigint, OUT counts bigint,
    OUT postgres_median_q_error double precision, OUT postgres_p95_q_error double precision,
    OUT model_median_q_error double precision, OUT model_p95_q_error double precision,
    OUT within_interval double precision)
RETURNS record
LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT count(*), coalesce(sum(t.predicted_counts), 0),
        pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY t.estimate_q_error),
        pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY t.estimate_q_error),
        pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY t.model_q_error),
        pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY t.model_q_error),
        sum(t.held_counts)::double precision / nullif(sum(t.predicted_counts), 0)
    FROM @extschema@.dag_trajectories AS t
    WHERE t.model_q_error IS NOT NULL;
END;
COMMENT ON FUNCTION @extschema@.dag_row_model_quality() IS
    'How near the row model and PostgreSQL came to the row counts of relations that had never been counted';

-- Patterns

CREATE FUNCTION @extschema@.dag_store_pattern(
    pattern_vector real[], pattern_metadata jsonb, quality_score double precision) RETURNS bigint
AS 'MODULE_PATHNAME', 'dag_store_pattern_wrapper'
LANGUAGE C VOLATILE PARALLEL UNSAFE SECURITY DEFINER COST 1000;
COMMENT ON FUNCTION @extschema@.dag_store_pattern(real[], jsonb, double precision) IS
    'Stores a pattern and returns its number';

CREATE FUNCTION @extschema@.dag_query_patterns(
    query_vector real[], k integer DEFAULT 5, similarity_threshold double precision DEFAULT 0.7,
    OUT pattern_id bigint, OUT similarity real, OUT quality_score double precision, OUT metadata jsonb,
    OUT usage_count bigint, OUT last_used timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_query_patterns_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED SECURITY DEFINER COST 1000 ROWS 5;
COMMENT ON FUNCTION @extschema@.dag_query_patterns(real[], integer, double precision) IS
    'The patterns nearest to an embedding, which counts as a use of each';

CREATE FUNCTION @extschema@.dag_list_patterns(
    OUT pattern_id bigint, OUT centroid real[], OUT member_count bigint, OUT quality_score double precision,
    OUT quality_deviation double precision, OUT verdict text, OUT confidence double precision, OUT decision bigint,
    OUT decision_gain double precision, OUT predicted_ms double precision, OUT usage_count bigint,
    OUT last_used timestamptz, OUT created_at timestamptz, OUT is_pinned boolean, OUT metadata jsonb)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_list_patterns_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SECURITY DEFINER COST 1000 ROWS 100;
COMMENT ON FUNCTION @extschema@.dag_list_patterns() IS
    'All patterns of this database';

CREATE VIEW @extschema@.dag_patterns AS SELECT * FROM @extschema@.dag_list_patterns();
GRANT SELECT ON @extschema@.dag_patterns TO PUBLIC;
COMMENT ON VIEW @extschema@.dag_patterns IS 'All patterns of this database';

CREATE FUNCTION @extschema@.dag_pattern_clusters(
    OUT cluster_id bigint, OUT centroid real[], OUT member_count bigint, OUT avg_quality double precision,
    OUT representative_query text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_pattern_clusters_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000 ROWS 100;
COMMENT ON FUNCTION @extschema@.dag_pattern_clusters() IS
    'The patterns with the query identifier of the remembered execution nearest to each';

CREATE FUNCTION @extschema@.dag_consolidate_patterns(target_clusters integer DEFAULT 100,
    OUT clusters_before bigint, OUT clusters_after bigint, OUT patterns_merged bigint,
    OUT consolidation_time_ms double precision, OUT silhouette double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_consolidate_patterns_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER COST 1000 ROWS 1;
COMMENT ON FUNCTION @extschema@.dag_consolidate_patterns(integer) IS
    'Merges patterns until at most so many are left';

CREATE FUNCTION @extschema@.dag_recompute_clusters(algorithm text DEFAULT 'kmeans_pp',
    OUT old_clusters bigint, OUT new_clusters bigint, OUT silhouette_score double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_recompute_clusters_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER COST 1000 ROWS 1;
COMMENT ON FUNCTION @extschema@.dag_recompute_clusters(text) IS
    'Finds the patterns anew in the executions that are kept';

CREATE FUNCTION @extschema@.dag_reset_pattern_quality(pattern_ids bigint[] DEFAULT NULL) RETURNS integer
AS 'MODULE_PATHNAME', 'dag_reset_pattern_quality_wrapper'
LANGUAGE C VOLATILE PARALLEL UNSAFE SECURITY DEFINER COST 1000;
COMMENT ON FUNCTION @extschema@.dag_reset_pattern_quality(bigint[]) IS
    'Forgets what was learned about patterns, all of them by default, and keeps the patterns; returns of how many';

CREATE FUNCTION @extschema@.dag_forget(pattern_id bigint) RETURNS void
AS 'MODULE_PATHNAME', 'dag_forget_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER COST 1000;
COMMENT ON FUNCTION @extschema@.dag_forget(bigint) IS
    'Forgets a pattern';

CREATE FUNCTION @extschema@.dag_pin(pattern_id bigint) RETURNS void
AS 'MODULE_PATHNAME', 'dag_pin_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER COST 1000;
COMMENT ON FUNCTION @extschema@.dag_pin(bigint) IS
    'Keeps a pattern whatever happens';

CREATE FUNCTION @extschema@.dag_unpin(pattern_id bigint) RETURNS void
AS 'MODULE_PATHNAME', 'dag_unpin_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER COST 1000;
COMMENT ON FUNCTION @extschema@.dag_unpin(bigint) IS
    'Lets a pattern fade and go like any other';

CREATE FUNCTION @extschema@.dag_ewc_constraints(
    OUT parameter_name text, OUT fisher_importance double precision, OUT optimal_value double precision,
    OUT last_updated timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_ewc_constraints_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SECURITY DEFINER COST 1000 ROWS 4096;
COMMENT ON FUNCTION @extschema@.dag_ewc_constraints() IS
    'The learned parameters that earlier workloads protect';

CREATE FUNCTION @extschema@.dag_configure_sona(
    micro_lora_rank integer DEFAULT 2, base_lora_rank integer DEFAULT 8, ewc_lambda double precision DEFAULT 2000,
    pattern_clusters integer DEFAULT 100) RETURNS void
AS 'MODULE_PATHNAME', 'dag_configure_sona_wrapper'
LANGUAGE C VOLATILE PARALLEL UNSAFE SECURITY DEFINER COST 1000;
COMMENT ON FUNCTION @extschema@.dag_configure_sona(integer, integer, double precision, integer) IS
    'Sets how this database learns; what is NULL follows the settings of the server';

CREATE FUNCTION @extschema@.dag_export_state() RETURNS bytea
AS 'MODULE_PATHNAME', 'dag_export_state_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED SECURITY DEFINER COST 1000;
COMMENT ON FUNCTION @extschema@.dag_export_state() IS
    'All that the learning system knows of this database, to be imported elsewhere';

CREATE FUNCTION @extschema@.dag_import_state(state bytea,
    OUT patterns_imported bigint, OUT trajectories_imported bigint, OUT clusters_restored bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_import_state_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER COST 1000 ROWS 1;
COMMENT ON FUNCTION @extschema@.dag_import_state(bytea) IS
    'Replaces what the learning system knows of this database by what was exported elsewhere';

CREATE FUNCTION @extschema@.dag_dream(budget interval,
    OUT queryid bigint, OUT class bigint, OUT decision bigint, OUT predicted_ms double precision,
    OUT deviation double precision, OUT phi double precision, OUT expected_gain_ms double precision,
    OUT time_limit_ms double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_dream_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10000 ROWS 100;
COMMENT ON FUNCTION @extschema@.dag_dream(interval) IS
    'One deep cycle of learning now: trains, replays, and returns the trials that are worth their time';

REVOKE EXECUTE ON FUNCTION @extschema@.dag_store_pattern(real[], jsonb, double precision),
    @extschema@.dag_consolidate_patterns(integer), @extschema@.dag_recompute_clusters(text),
    @extschema@.dag_reset_pattern_quality(bigint[]), @extschema@.dag_forget(bigint), @extschema@.dag_pin(bigint),
    @extschema@.dag_unpin(bigint), @extschema@.dag_configure_sona(integer, integer, double precision, integer),
    @extschema@.dag_export_state(), @extschema@.dag_import_state(bytea), @extschema@.dag_dream(interval) FROM PUBLIC;

-- What changes learning is for superusers and whom they grant it to: it runs with the owner's rights on the tables.
REVOKE EXECUTE ON FUNCTION @extschema@.dag_learn_now(), @extschema@.dag_reset_learning(boolean, boolean),
    @extschema@.dag_pin_decision(bigint, text), @extschema@.dag_unpin_decision(bigint) FROM PUBLIC;

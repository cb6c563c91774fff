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
    plan bytea
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
    relation_count integer NOT NULL
);
COMMENT ON TABLE @extschema@.dag_corrections IS 'Learned row counts of base and join relations';

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
    lost_ms double precision NOT NULL
);
COMMENT ON TABLE @extschema@.dag_statement_classes IS 'Statements with their constants, by hash';

CREATE TABLE @extschema@.dag_plan_shapes (
    class bigint NOT NULL,
    plan_shape bigint NOT NULL,
    cutoff bigint NOT NULL,
    runs bigint NOT NULL,
    cut_off_runs bigint NOT NULL,
    lower_bound_ms real NOT NULL,
    total_cost real NOT NULL,
    samples_ms real[] NOT NULL,
    PRIMARY KEY (class, plan_shape)
);
COMMENT ON TABLE @extschema@.dag_plan_shapes IS 'Latencies per plan shape of each statement class';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_trajectories', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_trajectories_trajectory_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_corrections', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_statement_classes', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_plan_shapes', '');

REVOKE ALL ON @extschema@.dag_trajectories, @extschema@.dag_corrections, @extschema@.dag_statement_classes,
    @extschema@.dag_plan_shapes FROM PUBLIC;
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
        -- Attention, a learning rate and the network are not there yet: nothing to report.
        NULL::bigint, NULL::double precision, false,
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

CREATE FUNCTION @extschema@.dag_explain(query text, format text DEFAULT 'text') RETURNS text
AS 'MODULE_PATHNAME', 'dag_explain_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000;
COMMENT ON FUNCTION @extschema@.dag_explain(text, text) IS
    'The plan of a statement with PostgreSQL''s row estimates beside the learned ones';

CREATE FUNCTION @extschema@.dag_decisions(
    OUT queryid bigint, OUT class bigint, OUT userid oid, OUT decision text, OUT state text,
    OUT baseline_ms double precision, OUT baseline_runs bigint, OUT current_ms double precision,
    OUT current_runs bigint, OUT plans_tried bigint, OUT calls bigint, OUT saved_ms double precision,
    OUT lost_ms double precision, OUT reason text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_decisions_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 ROWS 1000;
COMMENT ON FUNCTION @extschema@.dag_decisions() IS 'What is decided for each statement class of this database, and why';

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

-- What changes learning is for superusers and whom they grant it to: it runs with the owner's rights on the tables.
REVOKE EXECUTE ON FUNCTION @extschema@.dag_learn_now(), @extschema@.dag_reset_learning(boolean, boolean) FROM PUBLIC;

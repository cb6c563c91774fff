/* ruvector_dag 0.1.0 -> 0.2.0: a new installation runs this, too, after the script of 0.1.0 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION ruvector_dag UPDATE TO '0.2.0'" to load this file. \quit

-- Plan regions

CREATE FUNCTION @extschema@.dag_plan_regions(
    OUT queryid bigint, OUT userid oid, OUT plan_shape bigint, OUT decision text, OUT state text,
    OUT stock_ms_per_1000 double precision, OUT current_ms_per_1000 double precision, OUT confidence double precision,
    OUT tried jsonb, OUT calls bigint, OUT saved_ms double precision, OUT lost_ms double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_plan_regions_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 ROWS 1000;
COMMENT ON FUNCTION @extschema@.dag_plan_regions() IS
    'What is decided for statements whatever their constants, per region of constants for which PostgreSQL makes the same plan';

-- Roles, tenants, fixed search paths

-- A role is of the whole server: the script of another database may have made it, at the same moment even.
DO LANGUAGE plpgsql $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'ruvector_dag_admin') THEN
        CREATE ROLE ruvector_dag_admin NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$;

ALTER TABLE @extschema@.dag_corrections ADD COLUMN role oid;
COMMENT ON COLUMN @extschema@.dag_corrections.role IS
    'Who learned it where ruvector.dag_scope keeps roles apart; NULL for the whole database';

CREATE FUNCTION @extschema@.dag_reset_role(
    role regrole, preserve_patterns boolean DEFAULT true, preserve_trajectories boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'dag_reset_role_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp COST 1000;
COMMENT ON FUNCTION @extschema@.dag_reset_role(regrole, boolean, boolean) IS
    'Forgets the evidence of one role''s statements in this database and, unless preserved, its row counts and trajectories';
REVOKE EXECUTE ON FUNCTION @extschema@.dag_reset_role(regrole, boolean, boolean) FROM PUBLIC;

-- The library sets it, too; this way the catalog shows it.
ALTER FUNCTION @extschema@.dag_learn_now() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_reset_learning(boolean, boolean) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_record_trajectory(bigint, jsonb, double precision, double precision, text)
    SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_bulk_record_trajectories(jsonb[]) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_patterns_found() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_memory_usage() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_store_pattern(real[], jsonb, double precision) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_query_patterns(real[], integer, double precision) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_list_patterns() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_consolidate_patterns(integer) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_recompute_clusters(text) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_reset_pattern_quality(bigint[]) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_forget(bigint) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_pin(bigint) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_unpin(bigint) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_ewc_constraints() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_configure_sona(integer, integer, double precision, integer)
    SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_export_state() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION @extschema@.dag_import_state(bytea) SET search_path = pg_catalog, pg_temp;

GRANT EXECUTE ON FUNCTION @extschema@.dag_learn_now(), @extschema@.dag_reset_learning(boolean, boolean),
    @extschema@.dag_reset_role(regrole, boolean, boolean),
    @extschema@.dag_pin_decision(bigint, text), @extschema@.dag_unpin_decision(bigint),
    @extschema@.dag_record_trajectory(bigint, jsonb, double precision, double precision, text),
    @extschema@.dag_bulk_record_trajectories(jsonb[]),
    @extschema@.dag_store_pattern(real[], jsonb, double precision),
    @extschema@.dag_consolidate_patterns(integer), @extschema@.dag_recompute_clusters(text),
    @extschema@.dag_reset_pattern_quality(bigint[]), @extschema@.dag_forget(bigint), @extschema@.dag_pin(bigint),
    @extschema@.dag_unpin(bigint), @extschema@.dag_configure_sona(integer, integer, double precision, integer),
    @extschema@.dag_export_state(), @extschema@.dag_import_state(bytea), @extschema@.dag_dream(interval)
    TO ruvector_dag_admin;
-- Monitoring

CREATE FUNCTION @extschema@.dag_latency_breakdown(time_range tstzrange DEFAULT NULL,
    OUT component text, OUT p50_us double precision, OUT p95_us double precision, OUT p99_us double precision,
    OUT max_us double precision, OUT mean_us double precision, OUT count bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_latency_breakdown_wrapper'
LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 18;
COMMENT ON FUNCTION @extschema@.dag_latency_breakdown(tstzrange) IS
    'How long each part of the extension''s work took in this database within the last hour';

CREATE FUNCTION @extschema@.dag_latency_buckets(time_range tstzrange DEFAULT NULL,
    OUT component text, OUT middle_us double precision, OUT count bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_latency_buckets_wrapper'
LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 200;
COMMENT ON FUNCTION @extschema@.dag_latency_buckets(tstzrange) IS
    'The histograms behind dag_latency_breakdown: the buckets that hold something, each 9 % wide';

CREATE FUNCTION @extschema@.dag_throughput("window" interval DEFAULT '1 minute',
    OUT metric text, OUT count bigint, OUT per_second double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_throughput_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 1000 ROWS 18;
COMMENT ON FUNCTION @extschema@.dag_throughput(interval) IS
    'How often each part of the extension''s work was done in this database lately';

CREATE FUNCTION @extschema@.dag_statistics(
    OUT metric text, OUT value double precision, OUT unit text, OUT updated_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_statistics_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 100 ROWS 35;
COMMENT ON FUNCTION @extschema@.dag_statistics() IS
    'Counters of the server and numbers of this database, each with its unit';

CREATE FUNCTION @extschema@.dag_reset_statistics() RETURNS void
AS 'MODULE_PATHNAME', 'dag_reset_statistics_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 100;
COMMENT ON FUNCTION @extschema@.dag_reset_statistics() IS
    'Sets the server''s counters to zero and forgets this database''s latencies; nothing that was learned';

CREATE FUNCTION @extschema@.dag_debug_logs(
    since timestamptz DEFAULT NULL, component text DEFAULT NULL, severity text DEFAULT NULL,
    OUT logged_at timestamptz, OUT component text, OUT severity text, OUT message text, OUT queryid bigint,
    OUT class bigint, OUT userid oid, OUT pid integer)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_debug_logs_wrapper'
LANGUAGE C VOLATILE PARALLEL RESTRICTED COST 1000 ROWS 1000;
COMMENT ON FUNCTION @extschema@.dag_debug_logs(timestamptz, text, text) IS
    'What the extension did in this database lately, the oldest first, from a severity on';

CREATE FUNCTION @extschema@.dag_debug_components(enabled boolean, components text[]) RETURNS text
AS 'MODULE_PATHNAME', 'dag_debug_components_wrapper'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.dag_debug_components(boolean, text[]) IS
    'What ruvector.dag_debug has to be for debug entries of these components, too, or of them no more';

CREATE FUNCTION @extschema@.dag_set_debug(enabled boolean, components text[] DEFAULT '{all}') RETURNS void
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT pg_catalog.set_config('ruvector.dag_debug',
        @extschema@.dag_debug_components(enabled, components), false);
END;
COMMENT ON FUNCTION @extschema@.dag_set_debug(boolean, text[]) IS
    'Keeps debug entries of components in the log for this session, or no more';

CREATE FUNCTION @extschema@.dag_trace_query(query text,
    OUT step integer, OUT operation text, OUT duration_us double precision, OUT details jsonb)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_trace_query_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000 ROWS 15;
COMMENT ON FUNCTION @extschema@.dag_trace_query(text) IS
    'What is done with a statement, step by step, and how long each step takes';

CREATE FUNCTION @extschema@.dag_health_check(
    OUT component text, OUT status text, OUT last_check timestamptz, OUT message text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_health_check_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10000 ROWS 12;
COMMENT ON FUNCTION @extschema@.dag_health_check() IS 'Whether each part of the extension works here: ok, warning or error';

CREATE FUNCTION @extschema@.dag_set_enabled(enabled boolean) RETURNS void
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT pg_catalog.set_config('ruvector.neural_dag_enabled', enabled::text, false);
END;
COMMENT ON FUNCTION @extschema@.dag_set_enabled(boolean) IS 'Switches the extension on or off for this session';

CREATE FUNCTION @extschema@.dag_set_learning_rate(rate double precision) RETURNS void
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT pg_catalog.set_config('ruvector.dag_learning_rate', rate::text, false);
END;
COMMENT ON FUNCTION @extschema@.dag_set_learning_rate(double precision) IS
    'Sets the step of the adapters per operator type for this session';

REVOKE EXECUTE ON FUNCTION @extschema@.dag_reset_statistics(), @extschema@.dag_set_debug(boolean, text[]) FROM PUBLIC;

-- Tables that are learned from

-- Sessions read the first two columns in place, so they stay the first two, of these types, and never null.
CREATE TABLE @extschema@.dag_tables (
    relation regclass PRIMARY KEY,
    is_enabled boolean NOT NULL,
    changed_at timestamptz NOT NULL
);
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_tables', '');
REVOKE ALL ON @extschema@.dag_tables FROM PUBLIC;
GRANT SELECT ON @extschema@.dag_tables TO PUBLIC;
COMMENT ON TABLE @extschema@.dag_tables IS
    'Tables for which learning was enabled or disabled; sessions notice changes made by dag_enable, dag_disable and dag_reset_tables';
COMMENT ON COLUMN @extschema@.dag_tables.relation IS 'The table';
COMMENT ON COLUMN @extschema@.dag_tables.is_enabled IS 'Whether statements on it are learned from and steered';
COMMENT ON COLUMN @extschema@.dag_tables.changed_at IS 'When that was said';

CREATE FUNCTION @extschema@.dag_enable(relation regclass) RETURNS void
AS 'MODULE_PATHNAME', 'dag_enable_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp COST 1000;
COMMENT ON FUNCTION @extschema@.dag_enable(regclass) IS
    'Learns from statements on this table, and from now on only from statements on enabled tables';

CREATE FUNCTION @extschema@.dag_disable(relation regclass) RETURNS void
AS 'MODULE_PATHNAME', 'dag_disable_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp COST 1000;
COMMENT ON FUNCTION @extschema@.dag_disable(regclass) IS 'Leaves statements on this table to stock PostgreSQL';

CREATE FUNCTION @extschema@.dag_reset_tables(relations regclass[] DEFAULT NULL) RETURNS integer
AS 'MODULE_PATHNAME', 'dag_reset_tables_wrapper'
LANGUAGE C VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp COST 1000;
COMMENT ON FUNCTION @extschema@.dag_reset_tables(regclass[]) IS
    'Takes back what was said of tables, of all by default; returns of how many';

CREATE FUNCTION @extschema@.dag_enabled_tables(
    OUT relation regclass, OUT is_enabled boolean, OUT changed_at timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10
BEGIN ATOMIC
    SELECT t.relation, t.is_enabled, t.changed_at
    FROM @extschema@.dag_tables AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.relation
    ORDER BY c.relname, c.oid;
END;
COMMENT ON FUNCTION @extschema@.dag_enabled_tables() IS 'Tables for which learning was enabled or disabled; none: all are learned from';

REVOKE EXECUTE ON FUNCTION @extschema@.dag_enable(regclass), @extschema@.dag_disable(regclass),
    @extschema@.dag_reset_tables(regclass[]) FROM PUBLIC;

-- Decisions over time

CREATE TABLE @extschema@.dag_decisions_log (
    log_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    logged_at timestamptz NOT NULL,
    queryid bigint NOT NULL,
    class bigint NOT NULL,
    userid oid NOT NULL,
    previous_state text NOT NULL,
    state text NOT NULL,
    previous_decision text NOT NULL,
    decision text NOT NULL,
    reason text NOT NULL,
    baseline_ms double precision,
    current_ms double precision
);
CREATE INDEX dag_decisions_log_class_idx ON @extschema@.dag_decisions_log (class, log_id);
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_decisions_log', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_decisions_log_log_id_seq', '');
REVOKE ALL ON @extschema@.dag_decisions_log FROM PUBLIC;
-- As of dag_trajectories: everybody sees the rows of the roles they have, pg_read_all_stats sees all.
ALTER TABLE @extschema@.dag_decisions_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY dag_decisions_log_own ON @extschema@.dag_decisions_log FOR SELECT
    USING (pg_catalog.pg_has_role(userid, 'USAGE') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'));
GRANT SELECT ON @extschema@.dag_decisions_log TO PUBLIC;
COMMENT ON TABLE @extschema@.dag_decisions_log IS
    'Changes of decisions for statement classes, the newest dag_max_trajectories of them';
COMMENT ON POLICY dag_decisions_log_own ON @extschema@.dag_decisions_log IS
    'Everybody sees the rows of the roles they have, pg_read_all_stats sees all';
COMMENT ON COLUMN @extschema@.dag_decisions_log.log_id IS 'Number of the change';
COMMENT ON COLUMN @extschema@.dag_decisions_log.logged_at IS 'When the worker noticed it';
COMMENT ON COLUMN @extschema@.dag_decisions_log.queryid IS 'The statement, as in pg_stat_statements';
COMMENT ON COLUMN @extschema@.dag_decisions_log.class IS 'The statement with its constants, for its user';
COMMENT ON COLUMN @extschema@.dag_decisions_log.userid IS 'Who runs it';
COMMENT ON COLUMN @extschema@.dag_decisions_log.previous_state IS 'State that was logged before, observing by default';
COMMENT ON COLUMN @extschema@.dag_decisions_log.state IS 'observing, exploring, applied, reverted or pinned';
COMMENT ON COLUMN @extschema@.dag_decisions_log.previous_decision IS 'Decision that was logged before, the stock plan by default';
COMMENT ON COLUMN @extschema@.dag_decisions_log.decision IS 'What the class is planned with';
COMMENT ON COLUMN @extschema@.dag_decisions_log.reason IS 'Why';
COMMENT ON COLUMN @extschema@.dag_decisions_log.baseline_ms IS 'Latency of the stock plan, in milliseconds';
COMMENT ON COLUMN @extschema@.dag_decisions_log.current_ms IS 'Latency of the plan in use, in milliseconds';

-- Views

CREATE VIEW @extschema@.dag_active_config AS
    SELECT s.name, s.setting, s.unit, s.source, s.setting IS DISTINCT FROM s.boot_val AS is_changed, s.pending_restart
    FROM pg_catalog.pg_settings AS s
    WHERE s.name LIKE 'ruvector.dag\_%' OR s.name = 'ruvector.neural_dag_enabled';
COMMENT ON VIEW @extschema@.dag_active_config IS 'The settings as they are in this session, and where they come from';

CREATE VIEW @extschema@.dag_recent_patterns AS
    SELECT p.pattern_id, p.member_count, p.quality_score, p.verdict, p.confidence, p.decision, p.predicted_ms,
        p.usage_count, p.last_used, p.created_at, p.is_pinned
    FROM @extschema@.dag_list_patterns() AS p
    ORDER BY greatest(p.last_used, p.created_at) DESC NULLS LAST, p.pattern_id DESC
    LIMIT 100;
COMMENT ON VIEW @extschema@.dag_recent_patterns IS 'The hundred patterns that were found or used last';

CREATE VIEW @extschema@.dag_attention_effectiveness AS
    SELECT a.mechanism, a.invocations, a.avg_latency_us, a.hit_rate, a.improvement_ratio,
        CASE WHEN a.improvement_ratio IS NOT NULL
            THEN pg_catalog.rank() OVER (ORDER BY a.improvement_ratio DESC NULLS LAST) END AS improvement_rank
    FROM @extschema@.dag_attention_stats() AS a;
COMMENT ON VIEW @extschema@.dag_attention_effectiveness IS
    'Attention mechanisms by how much the executions improved whose plans they weighed';

CREATE VIEW @extschema@.dag_clusters AS SELECT * FROM @extschema@.dag_pattern_clusters();
COMMENT ON VIEW @extschema@.dag_clusters IS 'The patterns with the query identifier of the remembered execution nearest to each';

GRANT SELECT ON @extschema@.dag_active_config, @extschema@.dag_recent_patterns, @extschema@.dag_attention_effectiveness,
    @extschema@.dag_clusters TO PUBLIC;

-- Names that RuVector used

CREATE FUNCTION @extschema@.ruvector_enable_neural_dag(relation regclass) RETURNS void
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE COST 1000
BEGIN ATOMIC
    SELECT @extschema@.dag_enable(relation);
END;
COMMENT ON FUNCTION @extschema@.ruvector_enable_neural_dag(regclass) IS 'Another name of dag_enable';

CREATE FUNCTION @extschema@.ruvector_dag_patterns(
    OUT pattern_id bigint, OUT centroid real[], OUT member_count bigint, OUT quality_score double precision,
    OUT quality_deviation double precision, OUT verdict text, OUT confidence double precision, OUT decision bigint,
    OUT decision_gain double precision, OUT predicted_ms double precision, OUT usage_count bigint,
    OUT last_used timestamptz, OUT created_at timestamptz, OUT is_pinned boolean, OUT metadata jsonb)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL RESTRICTED COST 1000 ROWS 100
BEGIN ATOMIC
    SELECT * FROM @extschema@.dag_list_patterns();
END;
COMMENT ON FUNCTION @extschema@.ruvector_dag_patterns() IS 'Another name of dag_list_patterns';

CREATE FUNCTION @extschema@.ruvector_dag_learn(
    OUT patterns_updated bigint, OUT new_clusters bigint, OUT ewc_constraints_updated bigint,
    OUT cycle_time_ms double precision, OUT statements_updated bigint, OUT trajectories_written bigint)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE COST 1000 ROWS 1
BEGIN ATOMIC
    SELECT * FROM @extschema@.dag_learn_now();
END;
COMMENT ON FUNCTION @extschema@.ruvector_dag_learn() IS 'Another name of dag_learn_now';

REVOKE EXECUTE ON FUNCTION @extschema@.ruvector_enable_neural_dag(regclass), @extschema@.ruvector_dag_learn() FROM PUBLIC;

-- All at once, for who is asked for help

CREATE FUNCTION @extschema@.dag_export_diagnostics() RETURNS bytea
LANGUAGE sql VOLATILE PARALLEL UNSAFE COST 100000
BEGIN ATOMIC
    WITH health AS MATERIALIZED (SELECT * FROM @extschema@.dag_health_check()),
    preloaded AS (SELECT bool_or(h.status = 'ok') AS is_so FROM health AS h WHERE h.component = 'library')
    SELECT pg_catalog.convert_to(pg_catalog.jsonb_pretty(pg_catalog.jsonb_build_object(
        'format', 1,
        'created_at', pg_catalog.now(),
        'server_version', pg_catalog.current_setting('server_version'),
        'extension_version',
            (SELECT e.extversion FROM pg_catalog.pg_extension AS e WHERE e.extname = 'ruvector_dag'),
        'is_standby', pg_catalog.pg_is_in_recovery(),
        'health', (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(h)) FROM health AS h),
        'settings', (SELECT pg_catalog.jsonb_object_agg(c.name, c.setting) FROM @extschema@.dag_active_config AS c),
        'tables', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(t)), '[]') FROM @extschema@.dag_enabled_tables() AS t))
        || CASE WHEN p.is_so THEN pg_catalog.jsonb_build_object(
        'status', (SELECT pg_catalog.to_jsonb(s) FROM @extschema@.dag_status() AS s),
        'statistics', (SELECT pg_catalog.jsonb_object_agg(s.metric, s.value) FROM @extschema@.dag_statistics() AS s),
        'memory', (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(m)) FROM @extschema@.dag_memory_usage() AS m),
        'attention', (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a)) FROM @extschema@.dag_attention_stats() AS a),
        'latencies', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(l)), '[]') FROM @extschema@.dag_latency_breakdown() AS l),
        'latency_buckets', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(b)), '[]') FROM @extschema@.dag_latency_buckets() AS b),
        'throughput', (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(t)) FROM @extschema@.dag_throughput('1 hour') AS t),
        'row_model', (SELECT pg_catalog.to_jsonb(q) FROM @extschema@.dag_row_model_quality() AS q),
        'decisions', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(d)), '[]') FROM @extschema@.dag_decisions() AS d),
        'savings', (SELECT pg_catalog.to_jsonb(s) FROM @extschema@.dag_savings() AS s WHERE s.scope = 'database'),
        'log', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(l)), '[]') FROM @extschema@.dag_debug_logs() AS l))
        ELSE '{}' END), 'UTF8')
    FROM preloaded AS p;
END;
COMMENT ON FUNCTION @extschema@.dag_export_diagnostics() IS
    'All that the caller may see of the extension''s state, as JSON in UTF-8: numbers and names of settings and tables, no statement and no constant';

-- Comments on the columns of the tables of 0.1.0

COMMENT ON POLICY dag_trajectories_own ON @extschema@.dag_trajectories IS
    'Everybody sees the rows of the roles they have, pg_read_all_stats sees all';
COMMENT ON COLUMN @extschema@.dag_trajectories.trajectory_id IS 'Number of the execution';
COMMENT ON COLUMN @extschema@.dag_trajectories.queryid IS 'The statement, as in pg_stat_statements';
COMMENT ON COLUMN @extschema@.dag_trajectories.class IS 'The statement with its constants, for its user';
COMMENT ON COLUMN @extschema@.dag_trajectories.plan_shape IS 'Hash of the plan''s operators';
COMMENT ON COLUMN @extschema@.dag_trajectories.cutoff IS 'Up to which learned row count it was planned; 0 for the stock plan';
COMMENT ON COLUMN @extschema@.dag_trajectories.hints IS 'The hint set it was planned with, as bits';
COMMENT ON COLUMN @extschema@.dag_trajectories.is_trial IS 'Whether it was a trial of another plan';
COMMENT ON COLUMN @extschema@.dag_trajectories.userid IS 'Who ran it';
COMMENT ON COLUMN @extschema@.dag_trajectories.ended_at IS 'When it ended';
COMMENT ON COLUMN @extschema@.dag_trajectories.execution_ms IS 'Time in the executor, in milliseconds';
COMMENT ON COLUMN @extschema@.dag_trajectories.baseline_ms IS 'Typical time of the stock plan, in milliseconds';
COMMENT ON COLUMN @extschema@.dag_trajectories.improvement_ratio IS '1 - execution_ms / baseline_ms, of executions that ended';
COMMENT ON COLUMN @extschema@.dag_trajectories.max_q_error IS 'The largest factor by which PostgreSQL''s estimate of a counted relation was off';
COMMENT ON COLUMN @extschema@.dag_trajectories.counted_relations IS 'Relations whose rows were counted to the end';
COMMENT ON COLUMN @extschema@.dag_trajectories.corrected_relations IS 'Relations that were planned with learned row counts';
COMMENT ON COLUMN @extschema@.dag_trajectories.is_cut_off IS 'Whether it was cancelled or its result not read to the end';
COMMENT ON COLUMN @extschema@.dag_trajectories.attention_mechanism IS 'What weighed the plan''s operators';
COMMENT ON COLUMN @extschema@.dag_trajectories.plan IS 'The plan with its counts, in the engine''s binary form';
COMMENT ON COLUMN @extschema@.dag_trajectories.total_cost IS 'PostgreSQL''s cost of the plan';
COMMENT ON COLUMN @extschema@.dag_trajectories.embedding IS 'The plan as 256 numbers of unit norm';
COMMENT ON COLUMN @extschema@.dag_trajectories.expected_ms IS 'What the session expected it to take, in milliseconds';
COMMENT ON COLUMN @extschema@.dag_trajectories.sub_joins IS 'Counts for the row model, in the engine''s binary form';
COMMENT ON COLUMN @extschema@.dag_trajectories.model_q_error IS 'The largest factor by which the row model was off';
COMMENT ON COLUMN @extschema@.dag_trajectories.estimate_q_error IS 'The largest factor by which PostgreSQL was off on the same relations';
COMMENT ON COLUMN @extschema@.dag_trajectories.predicted_counts IS 'Row counts that the row model predicted';
COMMENT ON COLUMN @extschema@.dag_trajectories.held_counts IS 'Of these, how many were within its 90 % interval';
COMMENT ON COLUMN @extschema@.dag_corrections.relation_key IS 'Hash of what the relation is: tables, conditions, joins';
COMMENT ON COLUMN @extschema@.dag_corrections.relations IS 'Its tables';
COMMENT ON COLUMN @extschema@.dag_corrections.rows IS 'Rows counted last, or the most that were seen';
COMMENT ON COLUMN @extschema@.dag_corrections.estimated_rows IS 'PostgreSQL''s estimate before';
COMMENT ON COLUMN @extschema@.dag_corrections.table_rows IS 'Rows of its tables when counted';
COMMENT ON COLUMN @extschema@.dag_corrections.modifications IS 'Rows changed in its tables when counted, since their statistics began';
COMMENT ON COLUMN @extschema@.dag_corrections.sequence IS 'When it was learned first, counted in learned relations';
COMMENT ON COLUMN @extschema@.dag_corrections.queryid IS 'The statement that taught it last';
COMMENT ON COLUMN @extschema@.dag_corrections.measured_at IS 'When it was counted last';
COMMENT ON COLUMN @extschema@.dag_corrections.observations IS 'How often it was counted';
COMMENT ON COLUMN @extschema@.dag_corrections.relation_count IS 'How many base relations it joins';
COMMENT ON COLUMN @extschema@.dag_corrections.is_lower_bound IS 'Whether it was never counted to its end';
COMMENT ON COLUMN @extschema@.dag_statement_classes.class IS 'The statement with its constants, for its user';
COMMENT ON COLUMN @extschema@.dag_statement_classes.queryid IS 'The statement, as in pg_stat_statements';
COMMENT ON COLUMN @extschema@.dag_statement_classes.userid IS 'Who runs it';
COMMENT ON COLUMN @extschema@.dag_statement_classes.last_run_at IS 'When it ran last';
COMMENT ON COLUMN @extschema@.dag_statement_classes.calls IS 'Executions that were learned from';
COMMENT ON COLUMN @extschema@.dag_statement_classes.trials IS 'Of these, trials of other plans';
COMMENT ON COLUMN @extschema@.dag_statement_classes.corrected_runs IS 'Of these, with learned row counts';
COMMENT ON COLUMN @extschema@.dag_statement_classes.is_fresh IS 'Whether something was learned that no plan was made with yet';
COMMENT ON COLUMN @extschema@.dag_statement_classes.saved_ms IS 'Milliseconds that decisions saved against the stock plan';
COMMENT ON COLUMN @extschema@.dag_statement_classes.lost_ms IS 'Milliseconds that decisions and trials cost';
COMMENT ON COLUMN @extschema@.dag_statement_classes.settled IS 'What was decided, as the engine keeps it';
COMMENT ON COLUMN @extschema@.dag_plan_shapes.class IS 'The statement class';
COMMENT ON COLUMN @extschema@.dag_plan_shapes.plan_shape IS 'Hash of the plan''s operators';
COMMENT ON COLUMN @extschema@.dag_plan_shapes.cutoff IS 'Up to which learned row count it is planned; 0 for the stock plan';
COMMENT ON COLUMN @extschema@.dag_plan_shapes.hints IS 'The hint set it is planned with, as bits';
COMMENT ON COLUMN @extschema@.dag_plan_shapes.runs IS 'Executions that ended';
COMMENT ON COLUMN @extschema@.dag_plan_shapes.cut_off_runs IS 'Executions that were cancelled or given up';
COMMENT ON COLUMN @extschema@.dag_plan_shapes.lower_bound_ms IS 'Milliseconds after which the longest of those was';
COMMENT ON COLUMN @extschema@.dag_plan_shapes.total_cost IS 'PostgreSQL''s cost of the plan';
COMMENT ON COLUMN @extschema@.dag_plan_shapes.samples_ms IS 'The latest latencies, in milliseconds';
COMMENT ON COLUMN @extschema@.dag_statement_texts.class IS 'The statement with its constants, for its user';
COMMENT ON COLUMN @extschema@.dag_statement_texts.userid IS 'Who ran it';
COMMENT ON COLUMN @extschema@.dag_statement_texts.search_path IS 'The search_path it was run under';
COMMENT ON COLUMN @extschema@.dag_statement_texts.query IS 'The statement';
COMMENT ON COLUMN @extschema@.dag_statement_texts.stored_at IS 'When it was stored';
COMMENT ON COLUMN @extschema@.dag_state.part IS 'What was learned: sona (patterns, adapters, latencies) or rows (the row model)';
COMMENT ON COLUMN @extschema@.dag_state.state IS 'Versioned and checksummed bytes of the engine';
COMMENT ON COLUMN @extschema@.dag_state.learned_up_to IS 'The last trajectory_id it was learned from';
COMMENT ON COLUMN @extschema@.dag_state.revision IS 'Grows with each change';
COMMENT ON COLUMN @extschema@.dag_state.settings IS 'What dag_configure_sona set for this database';
COMMENT ON COLUMN @extschema@.dag_state.saved_at IS 'When it was saved';
-- Rules for rewrites

CREATE FUNCTION @extschema@.dag_rewrite_savings(
    OUT rule text, OUT is_allowed boolean, OUT executions bigint, OUT saved_ms double precision,
    OUT lost_ms double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_rewrite_savings_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 ROWS 6;
COMMENT ON FUNCTION @extschema@.dag_rewrite_savings() IS
    'What each rule for rewrites brought in this database: executions, and time saved and lost against stock plans';

-- What the administrating role may do besides learning

GRANT EXECUTE ON FUNCTION @extschema@.dag_enable(regclass), @extschema@.dag_disable(regclass), @extschema@.dag_reset_tables(regclass[]),
    @extschema@.dag_reset_statistics(), @extschema@.dag_set_debug(boolean, text[]),
    @extschema@.ruvector_enable_neural_dag(regclass), @extschema@.ruvector_dag_learn()
    TO ruvector_dag_admin;

-- Advice for the whole cluster

CREATE FUNCTION @extschema@.dag_planner_costs(
    OUT setting text, OUT current_value double precision, OUT suggested_value double precision,
    OUT lower double precision, OUT upper double precision, OUT plans bigint, OUT statements bigint,
    OUT implementation_sql text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_planner_costs_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100000 ROWS 4;
COMMENT ON FUNCTION @extschema@.dag_planner_costs() IS
    'The planner''s cost settings, and better values where the executions that the caller may see clearly say so; nothing is changed';

CREATE FUNCTION @extschema@.dag_operator_times(
    OUT operator text, OUT ms_per_1000_cost double precision, OUT plans bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_operator_times_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 ROWS 13;
COMMENT ON FUNCTION @extschema@.dag_operator_times() IS
    'How long operators take on this server per 1000 units of their estimated cost, fitted to executed plans; no rows before';

-- Healing

CREATE TABLE @extschema@.dag_anomalies (
    anomaly_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    detected_at timestamptz NOT NULL,
    anomaly_type text NOT NULL,
    severity text NOT NULL,
    queryid bigint,
    class bigint,
    userid oid,
    value double precision NOT NULL,
    median double precision NOT NULL,
    z_score double precision NOT NULL,
    last_seen_at timestamptz NOT NULL,
    resolved_at timestamptz
);
CREATE INDEX dag_anomalies_class_idx ON @extschema@.dag_anomalies (class, anomaly_type);
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_anomalies', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_anomalies_anomaly_id_seq', '');
REVOKE ALL ON @extschema@.dag_anomalies FROM PUBLIC;
-- As of dag_trajectories; what is of no statement is for everybody.
ALTER TABLE @extschema@.dag_anomalies ENABLE ROW LEVEL SECURITY;
CREATE POLICY dag_anomalies_own ON @extschema@.dag_anomalies FOR SELECT
    USING (userid IS NULL OR pg_catalog.pg_has_role(userid, 'USAGE') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'));
GRANT SELECT ON @extschema@.dag_anomalies TO PUBLIC;
COMMENT ON TABLE @extschema@.dag_anomalies IS
    'Values far from what was usual, per statement class and for planning as a whole; the newest dag_max_trajectories of them';
COMMENT ON POLICY dag_anomalies_own ON @extschema@.dag_anomalies IS
    'Everybody sees what is of no statement and the rows of the roles they have, pg_read_all_stats sees all';
COMMENT ON COLUMN @extschema@.dag_anomalies.anomaly_id IS 'Number of the anomaly';
COMMENT ON COLUMN @extschema@.dag_anomalies.detected_at IS 'When the first anomalous value was measured';
COMMENT ON COLUMN @extschema@.dag_anomalies.anomaly_type IS 'latency, row_estimates, tension or planning_overhead';
COMMENT ON COLUMN @extschema@.dag_anomalies.severity IS 'low, medium, high or critical, by the greatest z-score';
COMMENT ON COLUMN @extschema@.dag_anomalies.queryid IS 'The statement, as in pg_stat_statements; NULL for planning_overhead';
COMMENT ON COLUMN @extschema@.dag_anomalies.class IS 'The statement with its constants, for its user; NULL for planning_overhead';
COMMENT ON COLUMN @extschema@.dag_anomalies.userid IS 'Who runs it; NULL for planning_overhead';
COMMENT ON COLUMN @extschema@.dag_anomalies.value IS
    'The most anomalous value: milliseconds of latency, factor of row_estimates, tension from 0 to 1, microseconds of planning_overhead';
COMMENT ON COLUMN @extschema@.dag_anomalies.median IS 'The median of the values before it';
COMMENT ON COLUMN @extschema@.dag_anomalies.z_score IS 'How far the value is from that median, in robust standard deviations';
COMMENT ON COLUMN @extschema@.dag_anomalies.last_seen_at IS 'When the latest anomalous value was measured';
COMMENT ON COLUMN @extschema@.dag_anomalies.resolved_at IS 'When a value was usual again; NULL while none was';

CREATE TABLE @extschema@.dag_repairs (
    repair_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    requested_at timestamptz NOT NULL,
    repaired_at timestamptz,
    repair_type text NOT NULL,
    target text NOT NULL,
    class bigint,
    userid oid,
    status text NOT NULL,
    reason text NOT NULL,
    duration_ms double precision
);
CREATE INDEX dag_repairs_type_idx ON @extschema@.dag_repairs (repair_type, requested_at);
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_repairs', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.dag_repairs_repair_id_seq', '');
REVOKE ALL ON @extschema@.dag_repairs FROM PUBLIC;
ALTER TABLE @extschema@.dag_repairs ENABLE ROW LEVEL SECURITY;
CREATE POLICY dag_repairs_own ON @extschema@.dag_repairs FOR SELECT
    USING (userid IS NULL OR pg_catalog.pg_has_role(userid, 'USAGE') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'));
GRANT SELECT ON @extschema@.dag_repairs TO PUBLIC;
COMMENT ON TABLE @extschema@.dag_repairs IS 'What was repaired, or is to be; the newest dag_max_trajectories of them';
COMMENT ON POLICY dag_repairs_own ON @extschema@.dag_repairs IS
    'Everybody sees what is of no statement or table and the rows of the roles they have, pg_read_all_stats sees all';
COMMENT ON COLUMN @extschema@.dag_repairs.repair_id IS 'Number of the repair';
COMMENT ON COLUMN @extschema@.dag_repairs.requested_at IS 'When it was found to be needed';
COMMENT ON COLUMN @extschema@.dag_repairs.repaired_at IS 'When it was done, or tried; NULL while it is queued';
COMMENT ON COLUMN @extschema@.dag_repairs.repair_type IS 'clusters, pattern_quality, decision or statistics';
COMMENT ON COLUMN @extschema@.dag_repairs.target IS 'What was repaired';
COMMENT ON COLUMN @extschema@.dag_repairs.class IS 'The statement with its constants, for its user; NULL of what is of no statement';
COMMENT ON COLUMN @extschema@.dag_repairs.userid IS 'Who runs that statement, or owns that table; NULL of what is of neither';
COMMENT ON COLUMN @extschema@.dag_repairs.status IS 'queued, repaired, rolled_back, failed or unneeded';
COMMENT ON COLUMN @extschema@.dag_repairs.reason IS 'What was found, and what came of it';
COMMENT ON COLUMN @extschema@.dag_repairs.duration_ms IS 'How long it took, in milliseconds';

CREATE FUNCTION @extschema@.dag_anomalies(time_range tstzrange DEFAULT NULL,
    OUT anomaly_id bigint, OUT detected_at timestamptz, OUT anomaly_type text, OUT severity text,
    OUT affected_component text, OUT z_score double precision, OUT resolved boolean)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 100
BEGIN ATOMIC
    SELECT a.anomaly_id, a.detected_at, a.anomaly_type, a.severity,
        CASE WHEN a.queryid IS NULL THEN 'planning' ELSE 'queryid ' || a.queryid END, a.z_score, a.resolved_at IS NOT NULL
    FROM @extschema@.dag_anomalies AS a
    WHERE time_range IS NULL OR time_range && pg_catalog.tstzrange(a.detected_at, a.last_seen_at, '[]')
    ORDER BY a.detected_at, a.anomaly_id;
END;
COMMENT ON FUNCTION @extschema@.dag_anomalies(tstzrange) IS
    'Values far from what was usual that were measured within a time, of statements that the caller may see';

CREATE FUNCTION @extschema@.dag_learning_drift(
    OUT metric text, OUT current_value double precision, OUT baseline_value double precision,
    OUT drift_magnitude double precision, OUT trend text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_learning_drift_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10000 ROWS 5;
COMMENT ON FUNCTION @extschema@.dag_learning_drift() IS
    'How predictions, row counts, patterns and decisions did lately against before, on executions that the caller may see';

CREATE FUNCTION @extschema@.dag_index_health(
    OUT index_name text, OUT index_type text, OUT fragmentation double precision, OUT recall_estimate double precision,
    OUT recommended_action text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_index_health_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 100000 ROWS 100;
COMMENT ON FUNCTION @extschema@.dag_index_health() IS
    'How indexes are: of the caller''s tables, of all tables for pg_monitor; nothing is changed';

CREATE FUNCTION @extschema@.dag_health_report(
    OUT subsystem text, OUT status text, OUT score double precision, OUT issues text[], OUT recommendations text[])
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_health_report_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 100000 ROWS 9;
COMMENT ON FUNCTION @extschema@.dag_health_report() IS
    'How each part of the extension and what it watches is, what is wrong, and what to do about it';

CREATE FUNCTION @extschema@.dag_auto_repair(
    OUT repair_id bigint, OUT repair_type text, OUT target text, OUT status text, OUT duration_ms double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_auto_repair_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000000 ROWS 10;
COMMENT ON FUNCTION @extschema@.dag_auto_repair() IS
    'Repairs what was learned where it went wrong, and analyses the caller''s tables whose statistics are stale';
REVOKE EXECUTE ON FUNCTION @extschema@.dag_auto_repair() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.dag_auto_repair() TO ruvector_dag_admin;

CREATE FUNCTION @extschema@.dag_rebalance_index(index_name text, target_recall double precision DEFAULT 0.95,
    OUT vectors_moved bigint, OUT new_recall double precision, OUT duration_ms double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_rebalance_index_wrapper'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 1000000 ROWS 1;
COMMENT ON FUNCTION @extschema@.dag_rebalance_index(text, double precision) IS
    'Builds a vector index of the caller''s anew when it finds too few of the nearest vectors';

CREATE VIEW @extschema@.dag_health_summary AS
    SELECT CASE pg_catalog.max(CASE r.status WHEN 'ok' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END)
            WHEN 0 THEN 'ok' WHEN 1 THEN 'warning' ELSE 'error' END AS status,
        pg_catalog.min(r.score) AS score,
        pg_catalog.count(*) FILTER (WHERE r.status <> 'ok') AS subsystems_affected,
        (SELECT pg_catalog.count(*) FROM @extschema@.dag_anomalies AS a WHERE a.resolved_at IS NULL) AS open_anomalies,
        (SELECT pg_catalog.count(*) FROM @extschema@.dag_repairs AS p WHERE p.status = 'queued') AS queued_repairs,
        (SELECT pg_catalog.max(p.repaired_at) FROM @extschema@.dag_repairs AS p WHERE p.status = 'repaired') AS repaired_at
    FROM @extschema@.dag_health_report() AS r;
COMMENT ON VIEW @extschema@.dag_health_summary IS
    'dag_health_report in one row: the worst status and score, and what of anomalies and repairs the caller may see';
GRANT SELECT ON @extschema@.dag_health_summary TO PUBLIC;

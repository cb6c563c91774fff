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

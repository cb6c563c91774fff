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

/* ruvector_dag 0.1.0 -> 0.2.0: a new installation runs this, too, after the script of 0.1.0 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION ruvector_dag UPDATE TO '0.2.0'" to load this file. \quit

-- Rules for rewrites

CREATE FUNCTION @extschema@.dag_rewrite_savings(
    OUT rule text, OUT is_allowed boolean, OUT executions bigint, OUT saved_ms double precision,
    OUT lost_ms double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dag_rewrite_savings_wrapper'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 ROWS 6;
COMMENT ON FUNCTION @extschema@.dag_rewrite_savings() IS
    'What each rule for rewrites brought in this database: executions, and time saved and lost against stock plans';

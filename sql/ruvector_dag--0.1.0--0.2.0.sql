/* ruvector_dag 0.1.0 -> 0.2.0: a new installation runs this, too, after the script of 0.1.0 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION ruvector_dag UPDATE TO '0.2.0'" to load this file. \quit

-- All functions, on a preloaded server.
\getenv here PG_ABS_SRCDIR
\set outcomes :here '/functions/outcomes.sql'
\i :outcomes

-- All functions, on a server without the library in shared_preload_libraries.
\getenv here PG_ABS_SRCDIR
\set outcomes :here '/functions/outcomes.sql'
\i :outcomes

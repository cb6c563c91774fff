-- The settings.
SELECT name, boot_val, unit, context FROM ruvector.dag_config();
SELECT mode, qudag_connected, internal_errors, attention_hits FROM ruvector.dag_status();
SET ruvector.neural_dag_enabled = off;
SELECT mode FROM ruvector.dag_status();
RESET ruvector.neural_dag_enabled;
SET ruvector.dag_mode = observe;
SELECT mode FROM ruvector.dag_status();
RESET ruvector.dag_mode;

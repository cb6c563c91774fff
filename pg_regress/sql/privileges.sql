SET ROLE regress_dag_user;
-- May look at statements it could explain, and at nothing else.
SELECT count(*) > 0 AS planned FROM ruvector.dag_analyze_plan('SELECT count(*) FROM customers');
SELECT ruvector.dag_explain('SELECT count(*) FROM orders');
SELECT * FROM ruvector.dag_analyze_plan('SELECT * FROM orders');
-- May not change what is learned.
SELECT ruvector.dag_learn_now();
SELECT ruvector.dag_reset_learning();
SET ruvector.dag_sample_rate = 0.5;
-- Sees its own statements, not others'.
SELECT count(*) FROM ruvector.dag_corrections;
SELECT count(*) FROM ruvector.dag_trajectories;
INSERT INTO ruvector.dag_trajectories (queryid) VALUES (1);
SELECT count(queryid) FROM ruvector.dag_decisions() WHERE userid <> 'regress_dag_user'::regrole;
SELECT mode FROM ruvector.dag_status();
RESET ROLE;
GRANT pg_read_all_stats TO regress_dag_user;
SET ROLE regress_dag_user;
SELECT count(*) >= 0 AS sees FROM ruvector.dag_corrections;
RESET ROLE;
REVOKE pg_read_all_stats FROM regress_dag_user;

DROP EXTENSION ruvector_dag;
SELECT count(*) FROM customers WHERE city = 42;
SELECT to_regnamespace('ruvector') IS NULL AS gone;
CREATE EXTENSION ruvector_dag;
SELECT corrections, statement_classes FROM ruvector.dag_status();
DROP EXTENSION ruvector_dag;
REVOKE SELECT ON customers FROM regress_dag_user;
DROP ROLE regress_dag_user;

DROP EXTENSION ruvector_dag;
SELECT count(*) FROM customers WHERE city = 42;
CREATE EXTENSION ruvector_dag;
-- What was learned before is forgotten with the first statement.
SELECT count(*) FROM customers WHERE city = 42;
SELECT ruvector.dag_reset_learning(false, false);
SELECT corrections, statement_classes FROM ruvector.dag_status();
DROP EXTENSION ruvector_dag;
REVOKE SELECT ON customers FROM regress_dag_user;
DROP ROLE regress_dag_user;

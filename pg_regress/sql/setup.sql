CREATE EXTENSION ruvector_dag;
CREATE TABLE customers (id int PRIMARY KEY, city int, country int);
INSERT INTO customers SELECT i, i % 100, i % 100 / 10 FROM generate_series(1, 5000) AS i;
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, amount int);
INSERT INTO orders SELECT i, 1 + i % 500, i % 97 FROM generate_series(1, 20000) AS i;
CREATE INDEX ON orders (customer_id);
ANALYZE customers, orders;
CREATE ROLE regress_dag_user;
GRANT SELECT ON customers TO regress_dag_user;

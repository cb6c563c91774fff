-- The demo's shop. What makes PostgreSQL misestimate it, on purpose, and in the way real shops do:
--   skew         customers and products are drawn as floor(n * u^4): the first 1 % of the customers place a third of
--                the orders, while a join on the key is estimated as if each customer placed the same number;
--   correlation  city -> country -> language, brand -> category -> department, status <-> year, device <-> kind:
--                filters on several of them are estimated as if they were independent;
--   expressions  total - discount > x, qty * price > x, lower(code) = x: no statistics, so a fixed share is assumed.
-- u(i, seed) is a hash of the row number, so that every server makes the same rows.

CREATE FUNCTION u(i bigint, seed integer) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT (hashint8extended(i, seed) & 2147483647) / 2147483648.0::double precision $$;

CREATE TABLE customers AS
SELECT i AS id,
       'country ' || (city / 12) AS country,
       'city ' || city AS city,
       'language ' || (city / 36) AS language,
       CASE WHEN i <= 1000 THEN 'vip' WHEN i <= 12000 THEN 'regular' ELSE 'new' END AS segment,
       2015 + (i * 9 / 100001)::integer AS signup_year,
       (1000 * u(i, 2))::integer AS credit,
       'C' || lpad(i::text, 6, '0') AS code
FROM (SELECT i, floor(240 * u(i, 1) ^ 3)::integer AS city FROM generate_series(1, 100000) AS i) AS place;

CREATE TABLE products AS
SELECT i AS id,
       'brand ' || brand AS brand,
       'category ' || (brand / 10) AS category,
       'department ' || (brand / 50) AS department,
       (5 + 200 * u(i, 4) ^ 3)::numeric(8, 2) AS price,
       2012 + (i * 12 / 20001)::integer AS launched
FROM (SELECT i, floor(400 * u(i, 3) ^ 2)::integer AS brand FROM generate_series(1, 20000) AS i) AS made;

CREATE TABLE orders AS
SELECT i AS id,
       1 + floor(200000 * u(i, 5) ^ 4)::integer AS customer_id,
       DATE '2016-01-01' + (i * 3285 / 500001)::integer AS ordered_on,
       2016 + (i * 9 / 500001)::integer AS year,
       CASE WHEN i <= 450000 THEN CASE WHEN u(i, 6) < 0.97 THEN 'completed' ELSE 'returned' END
            WHEN u(i, 6) < 0.5 THEN 'open' ELSE 'shipping' END AS status,
       CASE WHEN i <= 250000 THEN 'shop' WHEN u(i, 7) < 0.8 THEN 'web' ELSE 'app' END AS channel,
       (20 + 900 * u(i, 8) ^ 6)::numeric(9, 2) AS total,
       (18 * u(i, 9))::numeric(9, 2) AS discount
FROM generate_series(1, 500000) AS i;

CREATE TABLE items AS
SELECT i AS id,
       1 + (i / 3)::integer AS order_id,
       1 + floor(20000 * u(i, 10) ^ 4)::integer AS product_id,
       1 + floor(12 * u(i, 11) ^ 6)::integer AS quantity,
       (5 + 200 * u(i, 12) ^ 3)::numeric(8, 2) AS price,
       CASE WHEN i <= 1200000 THEN 'north' ELSE 'south' END AS warehouse,
       u(i, 13) < 0.04 AS gift
FROM generate_series(1, 1499997) AS i;

CREATE TABLE events AS
SELECT i AS id,
       1 + floor(200000 * u(i, 14) ^ 4)::integer AS customer_id,
       CASE WHEN u(i, 15) < 0.02 THEN 'error' WHEN u(i, 15) < 0.7 THEN 'view' ELSE 'cart' END AS kind,
       CASE WHEN u(i, 15) < 0.03 THEN 'legacy' WHEN u(i, 16) < 0.5 THEN 'phone' ELSE 'desktop' END AS device,
       DATE '2023-01-01' + (i * 700 / 800001)::integer AS day,
       (10 + 5000 * u(i, 17) ^ 8)::integer AS duration_ms
FROM generate_series(1, 800000) AS i;

CREATE TABLE reviews AS
SELECT i AS id,
       1 + floor(20000 * u(i, 18) ^ 4)::integer AS product_id,
       1 + floor(200000 * u(i, 19) ^ 4)::integer AS customer_id,
       1 + floor(5 * u(i, 20) ^ 0.5)::integer AS stars,
       i > 40000 AS verified,
       CASE WHEN i <= 40000 THEN 'import' ELSE 'site' END AS source
FROM generate_series(1, 240000) AS i;

ALTER TABLE customers ADD PRIMARY KEY (id);
ALTER TABLE products ADD PRIMARY KEY (id);
ALTER TABLE orders ADD PRIMARY KEY (id);
ALTER TABLE items ADD PRIMARY KEY (id);
ALTER TABLE events ADD PRIMARY KEY (id);
ALTER TABLE reviews ADD PRIMARY KEY (id);
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON items (order_id);
CREATE INDEX ON items (product_id);
CREATE INDEX ON events (customer_id);
CREATE INDEX ON reviews (product_id);
CREATE INDEX ON reviews (customer_id);
VACUUM (ANALYZE);

-- place-orders: city implies country and language
SELECT count(*), sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id
WHERE c.country = 'country 1' AND c.city = 'city 13' AND c.language = 'language 0';
-- place-items: the same, one join further
SELECT count(*), sum(i.quantity) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id
WHERE c.country = 'country 0' AND c.city = 'city 0' AND c.language = 'language 0';
-- place-purchases-of-a-brand: two chains of implications meet in the middle
SELECT count(*), sum(i.price) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id
  JOIN products p ON p.id = i.product_id
WHERE c.country = 'country 0' AND c.city = 'city 0' AND c.language = 'language 0'
  AND p.brand = 'brand 0' AND p.category = 'category 0' AND p.department = 'department 0';
-- place-reviews: reviews of a city by department
SELECT p.department, count(*) FROM customers c JOIN reviews r ON r.customer_id = c.id JOIN products p ON p.id = r.product_id
WHERE c.country = 'country 0' AND c.city = 'city 1' AND c.language = 'language 0' GROUP BY p.department;
-- place-neighbours: pairs of customers of two cities, no index on the credit
SELECT count(*) FROM customers a JOIN customers b ON a.credit = b.credit
WHERE a.country = 'country 0' AND a.city = 'city 2' AND a.language = 'language 0' AND lower(a.segment) = 'new'
  AND b.country = 'country 0' AND b.city = 'city 0' AND b.language = 'language 0' AND lower(b.segment) = 'new';
-- place-neighbours-early: the same for the first years
SELECT a.signup_year, count(*) FROM customers a JOIN customers b ON a.credit = b.credit AND a.signup_year = b.signup_year
WHERE a.country = 'country 0' AND a.city = 'city 1' AND a.language = 'language 0' AND upper(a.segment) = 'NEW'
  AND b.country = 'country 0' AND b.city = 'city 3' AND b.language = 'language 0' AND upper(b.segment) = 'NEW'
GROUP BY a.signup_year;
-- brand-items: brand implies category and department, and the first products sell most
SELECT count(*), sum(i.quantity * i.price) FROM products p JOIN items i ON i.product_id = p.id
WHERE p.brand = 'brand 0' AND p.category = 'category 0' AND p.department = 'department 0';
-- brand-orders: the customers of a brand
SELECT count(DISTINCT o.customer_id) FROM products p JOIN items i ON i.product_id = p.id JOIN orders o ON o.id = i.order_id
WHERE p.brand = 'brand 0' AND p.category = 'category 0' AND p.department = 'department 0' AND o.channel = 'web';
-- brand-and-reviews: the sales of the products with a bad review from the import
SELECT count(*) FROM products p JOIN items i ON i.product_id = p.id JOIN orders o ON o.id = i.order_id
WHERE p.brand = 'brand 1' AND p.category = 'category 0' AND p.department = 'department 0' AND p.launched <= 2014
  AND o.status = 'completed';
-- brand-pairs: products of two brands launched in the same year
SELECT a.launched, count(*), max(a.price) FROM products a JOIN products b ON a.launched = b.launched AND a.price < b.price
WHERE a.brand = 'brand 0' AND a.category = 'category 0' AND a.department = 'department 0'
  AND b.brand = 'brand 2' AND b.category = 'category 0' AND b.department = 'department 0' GROUP BY a.launched;
-- hot-vip-items: one customer in a hundred, one order in three
SELECT count(*), sum(i.price) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id
WHERE c.segment = 'vip';
-- hot-vip-warehouse: the same with the other filters
SELECT o.channel, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id
WHERE c.segment = 'vip' AND i.warehouse = 'north' AND o.status = 'completed' GROUP BY o.channel;
-- hot-vip-categories: hot customers and hot products
SELECT p.category, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id
  JOIN products p ON p.id = i.product_id
WHERE c.segment = 'vip' AND p.department = 'department 0' AND o.year >= 2020 GROUP BY p.category;
-- hot-first-products: the first hundred products
SELECT count(*), sum(i.quantity) FROM products p JOIN items i ON i.product_id = p.id JOIN orders o ON o.id = i.order_id
WHERE p.id <= 100 AND o.year = 2020;
-- hot-first-products-by-year: and when they were sold
SELECT o.year, count(*) FROM products p JOIN items i ON i.product_id = p.id JOIN orders o ON o.id = i.order_id
WHERE p.id <= 60 AND o.channel <> 'shop' GROUP BY o.year;
-- hot-first-customers: the first customers' items
SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id
WHERE c.id <= 300;
-- expression-rich-customers: credit * 2 + signup_year has no statistics, a third is assumed
SELECT count(*), sum(i.quantity) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id
WHERE c.credit * 2 + c.signup_year > 4020;
-- expression-rich-customers-products: up to the products
SELECT p.department, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id
  JOIN products p ON p.id = i.product_id
WHERE c.credit * 2 + c.signup_year > 4019 GROUP BY p.department;
-- expression-rich-customers-events: what they looked at
SELECT e.kind, count(*) FROM customers c JOIN events e ON e.customer_id = c.id
WHERE c.credit * 2 + c.signup_year > 4020 GROUP BY e.kind;
-- expression-expensive-products: price over its launch year
SELECT count(*), sum(i.quantity) FROM products p JOIN items i ON i.product_id = p.id JOIN orders o ON o.id = i.order_id
WHERE p.price * 10 + p.launched > 4072;
-- expression-expensive-products-reviews: who reviewed them
SELECT c.country, count(*) FROM products p JOIN reviews r ON r.product_id = p.id JOIN customers c ON c.id = r.customer_id
WHERE p.price * 10 + p.launched > 4070 GROUP BY c.country;
-- expression-large-net: total - discount
SELECT count(*), sum(i.quantity) FROM orders o JOIN items i ON i.order_id = o.id
WHERE o.total - o.discount > 905;
-- expression-large-net-products: with the products
SELECT p.category, count(*) FROM orders o JOIN items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id
WHERE o.total - o.discount > 905 GROUP BY p.category;
-- expression-large-line: quantity * price
SELECT c.country, count(*) FROM items i JOIN orders o ON o.id = i.order_id JOIN customers c ON c.id = o.customer_id
WHERE i.quantity * i.price > 2200 GROUP BY c.country;
-- expression-code: the first letters of a code, half a per cent is assumed
SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id
WHERE substr(c.code, 1, 4) = 'C000' AND lower(c.segment) = 'vip';
-- expression-code-events: the same customers' events
SELECT e.device, count(*) FROM customers c JOIN events e ON e.customer_id = c.id
WHERE substr(c.code, 1, 4) = 'C000' AND lower(c.segment) = 'vip' GROUP BY e.device;
-- expression-december: the month of a date, half a per cent is assumed
SELECT o.year, count(*) FROM orders o JOIN items i ON i.order_id = o.id
WHERE extract(month FROM o.ordered_on) = 12 AND upper(o.status) = 'COMPLETED' GROUP BY o.year;
-- expression-status: functions of two columns
SELECT o.year, count(*) FROM orders o JOIN items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id
WHERE lower(o.channel) = 'web' AND upper(o.status) = 'COMPLETED' AND p.launched = 2012 GROUP BY o.year;
-- contradiction-app-old: the app came later than these years
SELECT p.department, count(*) FROM orders o JOIN items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id
WHERE o.channel = 'app' AND o.year <= 2019 GROUP BY p.department;
-- contradiction-imported: no verified review is old enough
SELECT count(*) FROM products p JOIN reviews r ON r.product_id = p.id JOIN items i ON i.product_id = p.id
WHERE r.source = 'import' AND r.id > 39990 AND p.launched >= 2013;
-- contradiction-device-kind: errors come from legacy devices
SELECT count(*) FROM events e JOIN customers c ON c.id = e.customer_id JOIN orders o ON o.customer_id = c.id
WHERE e.kind = 'error' AND e.device = 'legacy' AND c.segment = 'regular' AND o.year = 2018;
-- semi-bought-brand: hot customers who bought a brand
SELECT count(*), sum(c.credit) FROM customers c
WHERE c.segment = 'vip' AND EXISTS (SELECT FROM orders o JOIN items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id
  WHERE o.customer_id = c.id AND p.brand = 'brand 2' AND p.category = 'category 0' AND p.department = 'department 0');
-- semi-rich-reviewers: rich customers who reviewed
SELECT count(*) FROM orders o JOIN items i ON i.order_id = o.id
WHERE o.customer_id IN (SELECT c.id FROM customers c WHERE c.credit * 2 + c.signup_year > 4018);
-- anti-without-gift: customers of a city who bought no gift
SELECT count(*) FROM customers c WHERE c.country = 'country 0' AND c.city = 'city 0' AND c.language = 'language 0'
AND NOT EXISTS (SELECT FROM orders o JOIN items i ON i.order_id = o.id WHERE o.customer_id = c.id AND i.gift);
-- aggregate-top-customers: a subquery in FROM
SELECT count(*), max(spent) FROM (
  SELECT o.customer_id, sum(i.price) AS spent FROM customers c JOIN orders o ON o.customer_id = c.id
    JOIN items i ON i.order_id = o.id
  WHERE c.credit * 2 + c.signup_year > 4017 GROUP BY o.customer_id) AS customer WHERE spent > 100;
-- aggregate-rich-and-brand: two subqueries beside each other
SELECT (SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id
        WHERE c.credit * 2 + c.signup_year > 4016),
       (SELECT count(*) FROM products p JOIN items i ON i.product_id = p.id WHERE p.price * 10 + p.launched > 4070);
-- aggregate-cte: a CTE used twice
WITH large AS MATERIALIZED (SELECT o.id, o.customer_id FROM orders o WHERE o.total - o.discount > 900)
SELECT (SELECT count(*) FROM large JOIN items i ON i.order_id = large.id),
       (SELECT count(*) FROM large JOIN events e ON e.customer_id = large.customer_id WHERE e.kind = 'error');
-- union-two-branches: a set operation
SELECT sum(n) FROM (
  SELECT count(*) AS n FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.order_id = o.id
  WHERE c.credit * 2 + c.signup_year > 4015
  UNION ALL
  SELECT count(*) FROM products p JOIN reviews r ON r.product_id = p.id WHERE p.price * 10 + p.launched > 4069) AS part;
-- outer-brand-reviews: an outer join
SELECT count(*), count(e.id) FROM products p JOIN reviews r ON r.product_id = p.id
  LEFT JOIN events e ON e.customer_id = r.customer_id AND e.kind = 'error'
WHERE p.brand = 'brand 3' AND p.category = 'category 0' AND p.department = 'department 0' AND r.stars = 5 AND r.customer_id > 50;

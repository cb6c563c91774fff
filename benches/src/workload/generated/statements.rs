//! The sixty statements of the generated shop: twenty questions, each with three constants. Star, snowflake and chain
//! joins, semi- and anti-joins, top-N and aggregates.

/// Id and text of each.
pub(crate) fn statements() -> Vec<(String, String)> {
    let all = [2, 5, 11]
        .into_iter()
        .flat_map(of_country)
        .chain([3, 47, 120].into_iter().flat_map(of_brand))
        .chain([2, 11, 33].into_iter().flat_map(of_event_kind))
        .chain([2016, 2019, 2022].into_iter().flat_map(of_year));
    all.enumerate()
        .map(|(at, sql)| ((at + 1).to_string(), sql))
        .collect()
}

/// Customers of a country: what they buy, send back and do.
fn of_country(country: u32) -> Vec<String> {
    let customers = format!("c.country = {country} AND c.language = {country} AND c.currency = {country}");
    let region = format!(
        "r.country = {country} AND r.language = {country} AND r.continent = {}",
        country / 4
    );
    vec![
        // A chain with correlated filters at its end.
        format!(
            "SELECT count(*), sum(l.quantity) FROM customers c JOIN orders o ON o.customer_id = c.id \
             JOIN order_lines l ON l.order_id = o.id WHERE {customers}"
        ),
        // A snowflake: both arms end in regions.
        format!(
            "SELECT s.country, count(*) FROM regions r JOIN customers c ON c.region_id = r.id \
             JOIN orders o ON o.customer_id = c.id JOIN order_lines l ON l.order_id = o.id \
             JOIN products p ON p.id = l.product_id JOIN suppliers s ON s.id = p.supplier_id \
             WHERE {region} AND c.tier = 2 AND s.rating >= 7 AND s.certified = 1 AND p.category = 4 AND p.department = 0 \
             GROUP BY s.country ORDER BY s.country"
        ),
        // Top-N: the best customers.
        format!(
            "SELECT c.id, sum(l.quantity * p.price) AS spent FROM customers c JOIN orders o ON o.customer_id = c.id \
             JOIN order_lines l ON l.order_id = o.id JOIN products p ON p.id = l.product_id \
             WHERE {customers} AND o.year = 2019 AND o.status = 1 GROUP BY c.id ORDER BY spent DESC, c.id LIMIT 10"
        ),
        // Anti-join: ordered and nothing sent.
        format!(
            "SELECT c.segment, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE {customers} \
             AND o.year = 2016 AND o.status = 1 AND NOT EXISTS (SELECT FROM shipments s WHERE s.order_id = o.id) \
             GROUP BY c.segment ORDER BY c.segment"
        ),
        // A chain over four tables.
        format!(
            "SELECT s.carrier, count(*) FROM regions r JOIN customers c ON c.region_id = r.id \
             JOIN orders o ON o.customer_id = c.id JOIN shipments s ON s.order_id = o.id \
             WHERE {region} AND s.service = 2 AND s.carrier BETWEEN 8 AND 11 AND o.channel = 1 \
             GROUP BY s.carrier ORDER BY s.carrier"
        ),
        // Semi-join over three tables.
        format!(
            "SELECT count(*) FROM customers c WHERE {customers} AND EXISTS (SELECT FROM orders o \
             JOIN order_lines l ON l.order_id = o.id JOIN returns b ON b.line_id = l.id \
             WHERE o.customer_id = c.id AND b.reason = 7 AND b.handling = 1 AND b.refund = 1)"
        ),
        // A star around customers.
        format!(
            "SELECT o.year, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id \
             JOIN events e ON e.customer_id = c.id WHERE {customers} AND e.kind = 7 AND e.channel = 1 AND e.device = 1 \
             AND o.channel = 0 GROUP BY o.year ORDER BY o.year"
        ),
    ]
}

/// Products of a brand: who buys them, who sends them back, who supplies them.
fn of_brand(brand: u32) -> Vec<String> {
    let (category, department) = (brand / 10, brand / 50);
    let products = format!("p.brand = {brand} AND p.category = {category} AND p.department = {department}");
    vec![
        format!(
            "SELECT count(*), sum(l.quantity) FROM products p JOIN order_lines l ON l.product_id = p.id \
             JOIN orders o ON o.id = l.order_id WHERE {products} AND o.year < 2020 AND o.status = 1"
        ),
        format!(
            "SELECT c.country, count(*) FROM products p JOIN order_lines l ON l.product_id = p.id \
             JOIN orders o ON o.id = l.order_id JOIN customers c ON c.id = o.customer_id WHERE {products} \
             GROUP BY c.country ORDER BY c.country"
        ),
        format!(
            "SELECT b.reason, count(*) FROM products p JOIN order_lines l ON l.product_id = p.id \
             JOIN returns b ON b.line_id = l.id JOIN orders o ON o.id = l.order_id WHERE {products} \
             AND b.handling = 2 AND b.reason BETWEEN 12 AND 17 AND o.year BETWEEN 2015 AND 2022 AND o.status = 1 \
             GROUP BY b.reason ORDER BY b.reason"
        ),
        // A star around order lines with a supplier's country at the end of one arm.
        format!(
            "SELECT r.climate, sum(l.quantity * p.price) FROM regions r JOIN suppliers s ON s.region_id = r.id \
             JOIN products p ON p.supplier_id = s.id JOIN order_lines l ON l.product_id = p.id \
             JOIN orders o ON o.id = l.order_id WHERE {products} AND r.country < 5 AND s.country < 5 AND r.continent < 2 \
             AND l.tax = 9 AND l.quantity BETWEEN 90 AND 99 AND o.channel = 2 GROUP BY r.climate ORDER BY r.climate"
        ),
        // Anti-join: what is kept.
        format!(
            "SELECT count(*), sum(l.quantity) FROM products p JOIN order_lines l ON l.product_id = p.id WHERE {products} \
             AND NOT EXISTS (SELECT FROM returns b WHERE b.line_id = l.id AND b.refund = 1)"
        ),
        // Top-N: what is sent back most.
        format!(
            "SELECT p.id, count(*) AS times FROM products p JOIN order_lines l ON l.product_id = p.id \
             JOIN returns b ON b.line_id = l.id WHERE p.category = {category} AND p.department = {department} \
             AND b.handling = 0 AND b.reason < 6 GROUP BY p.id HAVING count(*) > 1 ORDER BY times DESC, p.id LIMIT 20"
        ),
    ]
}

/// Customers who did something: what they order and pay.
fn of_event_kind(kind: u32) -> Vec<String> {
    let events = format!("e.kind = {kind} AND e.channel = {0} AND e.device = {0}", kind / 5);
    vec![
        format!(
            "SELECT count(*) FROM events e JOIN customers c ON c.id = e.customer_id \
             JOIN orders o ON o.customer_id = c.id WHERE {events} AND c.country = 3 AND c.language = 3"
        ),
        format!(
            "SELECT count(*) FROM (SELECT e.customer_id FROM events e WHERE {events} GROUP BY e.customer_id) AS active \
             JOIN orders o ON o.customer_id = active.customer_id JOIN order_lines l ON l.order_id = o.id \
             WHERE l.tax = 3 AND l.quantity BETWEEN 30 AND 39 AND o.year = 2015 AND o.status = 1"
        ),
        // Anti-join written as an outer join.
        format!(
            "SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id LEFT JOIN events e \
             ON e.customer_id = o.customer_id AND {events} WHERE c.country = 6 AND c.language = 6 AND o.year = 2023 \
             AND o.status = 2 AND o.channel = 2 AND e.id IS NULL"
        ),
        // Semi-join written as IN.
        format!(
            "SELECT y.method, sum(y.amount) FROM orders o JOIN payments y ON y.order_id = o.id WHERE o.customer_id IN \
             (SELECT e.customer_id FROM events e WHERE {events}) AND o.year = 2024 AND o.status = 3 AND o.channel = 0 \
             AND y.provider = 4 AND y.method >= 8 AND y.outcome = 2 GROUP BY y.method ORDER BY y.method"
        ),
    ]
}

/// The best customers and the best sellers in a year: few of both, and most of what happens.
fn of_year(year: u32) -> Vec<String> {
    let orders = format!(
        "o.year = {year} AND o.status = 1 AND o.channel = {}",
        (year - 2015) % 3
    );
    vec![
        format!(
            "SELECT y.method, count(*), sum(y.amount) FROM customers c JOIN orders o ON o.customer_id = c.id \
             JOIN payments y ON y.order_id = o.id WHERE c.tier = 2 AND {orders} AND y.provider = 1 AND y.method IN (2, 3) \
             AND y.outcome < 2 GROUP BY y.method ORDER BY y.method"
        ),
        format!(
            "SELECT s.carrier, count(*) FROM products p JOIN order_lines l ON l.product_id = p.id \
             JOIN orders o ON o.id = l.order_id JOIN shipments s ON s.order_id = o.id WHERE p.shelf = 2 AND {orders} \
             AND s.late = 1 AND s.carrier IN (3, 7) GROUP BY s.carrier ORDER BY s.carrier"
        ),
        format!(
            "SELECT c.segment, count(*), sum(l.quantity) FROM customers c JOIN orders o ON o.customer_id = c.id \
             JOIN order_lines l ON l.order_id = o.id JOIN products p ON p.id = l.product_id \
             WHERE c.tier = 2 AND p.shelf = 2 AND {orders} AND p.department = 1 GROUP BY c.segment ORDER BY c.segment"
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::statements;
    use crate::workload::template_of;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_sixty_different_statements_of_twenty_questions() {
        let all = statements();
        let texts: BTreeSet<&str> = all.iter().map(|(_, sql)| sql.as_str()).collect();
        assert_eq!((all.len(), texts.len()), (60, 60));
        let tables: BTreeSet<String> = texts
            .iter()
            .flat_map(|sql| {
                let template = template_of(sql);
                let tables = template.split(" | ").next().unwrap_or_default().to_owned();
                tables.split(' ').map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(tables.len(), 10, "{tables:?}");
    }
}

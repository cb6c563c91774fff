//! Random tables, and statements that aggregate joins of them: keys of several types and collations, NULLs, duplicates,
//! empty tables, dropped columns, the ends of numbers' ranges, NaN and infinity, zeros of both signs, unique keys, partitions, every syntax of
//! inner joins, and what rewrites have to leave alone.

mod distinct;
mod membership;
mod references;
mod self_joins;
mod subqueries;
mod top_n;

/// A seeded source of tables and statements (splitmix64).
pub(crate) struct Generator {
    state: u64,
    has_outer_joins: bool,
    has_keys: bool,
    /// Numbers that are added up are floating-point ones, whose sums here are the same in any order.
    adds_floats: bool,
}

/// Columns that can be joined: all of one group with each other.
const KEYS: &[&[&str]] = &[
    &["k", "big", "small", "k", "id"],
    &["s", "v"],
    &["loose"],
    &["n", "exact"],
    &["day", "at"],
    &["wide"],
    &["f"],
];
/// Tables of each schema.
const TABLES: usize = 6;

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            has_outer_joins: false,
            has_keys: false,
            adds_floats: false,
        }
    }

    /// One whose joins are outer ones, too.
    pub(crate) fn with_outer_joins(seed: u64) -> Self {
        Self {
            has_outer_joins: true,
            ..Self::new(seed)
        }
    }

    /// One most of whose tables have primary keys.
    pub(crate) fn with_keys(seed: u64) -> Self {
        Self {
            has_keys: true,
            ..Self::new(seed)
        }
    }

    /// One whose statements add up floating-point numbers, over outer joins, too.
    pub(crate) fn adding_floats(seed: u64) -> Self {
        Self {
            adds_floats: true,
            ..Self::with_outer_joins(seed)
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len())]
    }

    /// Tables t0 to t5 in a schema of their own.
    pub(crate) fn schema(&mut self, name: &str) -> String {
        let mut sql = format!("CREATE SCHEMA {name}; SET search_path = {name}, public;");
        for table in 0..TABLES {
            let rows = [0, 1, 20, 40, 60, 80][self.below(6)].max(if self.one_in(3) { 0 } else { 3 });
            let (values, nulls) = (2 + self.below(9), 3 + self.below(20));
            let key = self.pick(&["PRIMARY KEY", "UNIQUE", "", "NOT NULL", "UNIQUE DEFERRABLE"]);
            let key = match self.has_keys && key != "UNIQUE" {
                true => "PRIMARY KEY",
                false => key,
            };
            let is_partitioned = self.one_in(5);
            let partitioning = if is_partitioned {
                " PARTITION BY RANGE (id)"
            } else {
                ""
            };
            sql += &format!(
                "CREATE TABLE t{table} (gone text, id int {}, k int, big bigint, small smallint, s text, v varchar(9),
                    loose text COLLATE loose, n numeric(6, 2), day date, at timestamp, x int, f float8, b bool,
                    wide bigint, exact numeric(30, 4))
                    {partitioning}; ALTER TABLE t{table} DROP gone;",
                if is_partitioned && key.contains("DEFERRABLE") { "" } else { key }
            );
            if is_partitioned {
                sql += &format!(
                    "CREATE TABLE t{table}_low PARTITION OF t{table} FOR VALUES FROM (0) TO (15);
                     CREATE TABLE t{table}_rest PARTITION OF t{table} DEFAULT;"
                );
            }
            let any = |at: usize| {
                format!(
                    "nullif((i * {} + i * i / 3) % {values}, {})",
                    at * 2 + 1,
                    nulls % 11
                )
            };
            sql += &format!(
                "INSERT INTO t{table} SELECT i, {0}, {1}, {2}, 'v' || {0}, 'v' || {3},
                    CASE WHEN i % 2 = 0 THEN 'V' ELSE 'v' END || {2}, {1} / 4.0, date '2020-01-01' + ({3})::int,
                    timestamp '2020-01-01' + ({1}) * interval '12 hours', i % 23 - 7,
                    (ARRAY['-0', '0', 'NaN', 'Infinity', '0.5', '-1.25', NULL])[1 + i % 7]::float8, i % 3 = 0,
                    (ARRAY[9223372036854775807, -9223372036854775807 - 1, 0, NULL, {0}])[1 + i % 5],
                    (ARRAY['99999999999999999999999999.9999', '-99999999999999999999999999.9999', 'NaN', '0.25', NULL])[1 + i % 5]::numeric
                 FROM generate_series(1, {rows}) AS i;",
                any(table),
                any(table + 1),
                any(table + 3),
                any(table + 2)
            );
            sql += &format!("CREATE VIEW v{table} AS SELECT * FROM t{table} WHERE k IS DISTINCT FROM 1;");
            if !is_partitioned && rows > 0 && self.one_in(3) {
                sql += &format!("CREATE UNIQUE INDEX ON t{table} (k, id); CREATE INDEX ON t{table} (big);");
            }
        }
        sql + "ANALYZE;"
    }

    /// Two columns that can be compared.
    fn key_columns(&mut self) -> (&'static str, &'static str) {
        let group = KEYS[[0, 0, 0, 0, 1, 2, 3, 4, 5, 6][self.below(10)]];
        (self.pick(group), self.pick(group))
    }

    fn equality(&mut self, left: usize, right: usize) -> String {
        let (one, other) = self.key_columns();
        format!("a{left}.{one} = a{right}.{other}")
    }

    fn filter(&mut self, table: usize) -> String {
        let n = self.below(10);
        let inner = self.below(TABLES);
        match self.below(10) {
            8 => format!("EXISTS (SELECT FROM t{inner} e WHERE e.k = a{table}.k AND e.x > {n})"),
            9 => format!(
                "a{table}.big NOT IN (SELECT e.small FROM t{inner} e WHERE e.small IS NOT NULL AND e.b)"
            ),
            0 => format!("a{table}.x > {n}"),
            1 => format!("a{table}.k = {n}"),
            2 => format!("(a{table}.x < {n} OR a{table}.b)"),
            3 => format!("a{table}.s IS NOT NULL"),
            4 => format!("a{table}.id % 3 <> {}", n % 3),
            5 => format!("a{table}.big IN (1, 2, {n})"),
            6 => format!("coalesce(a{table}.loose, 'v1') > 'V0' COLLATE loose"),
            _ => format!("a{table}.at >= timestamp '2020-01-0{}'", n.max(1)),
        }
    }

    /// A table, or a subquery or view with its columns.
    fn relation(&mut self, table: usize) -> String {
        match self.below(12) {
            0 => format!("(SELECT * FROM t{table} WHERE x <> 4)"),
            1 => format!("(SELECT * FROM t{table} ORDER BY id LIMIT 30)"),
            2 => format!("(SELECT DISTINCT * FROM t{table} UNION ALL SELECT * FROM t{table} WHERE b)"),
            3 => format!("v{table}"),
            _ => format!("t{table}"),
        }
    }

    /// FROM and WHERE over that many instances, and the instances whose columns may be used.
    fn from(&mut self, count: usize) -> String {
        let tables: Vec<usize> = (0..count).map(|_| self.below(TABLES)).collect();
        let mut clauses = Vec::new();
        let tables: Vec<String> = tables.into_iter().map(|table| self.relation(table)).collect();
        let mut from = format!("{} a0", tables[0]);
        for (at, table) in tables.iter().enumerate().skip(1) {
            let other = if self.one_in(3) { at - 1 } else { self.below(at) };
            let equality = self.equality(other, at);
            let outer = self.below(12);
            let kind = self.pick(&["LEFT JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
            from = match self.below(5) {
                _ if self.has_outer_joins && outer == 0 => {
                    let filtered = if self.one_in(2) { at } else { other };
                    let lone = self.filter(filtered);
                    format!("{from} LEFT JOIN {table} a{at} ON {equality} AND {lone}")
                }
                _ if self.has_outer_joins && outer < 6 => {
                    format!("{from} {kind} {table} a{at} ON {equality}")
                }
                0 => format!("{from} JOIN {table} a{at} ON {equality}"),
                1 => format!("{from} JOIN {table} a{at} ON {equality} AND {}", self.filter(at)),
                2 if at == 1 => format!(
                    "{from} JOIN {table} a{at} USING ({})",
                    self.pick(&["k", "big", "s", "id"])
                ),
                _ => {
                    clauses.push(equality);
                    if self.one_in(2) {
                        format!("{from} CROSS JOIN {table} a{at}")
                    } else {
                        format!("{table} a{at} CROSS JOIN ({from})")
                    }
                }
            };
        }
        for at in 0..count {
            if self.one_in(2) {
                clauses.push(self.filter(at));
            }
        }
        if self.one_in(5) {
            let (one, other) = (self.below(count), self.below(count));
            clauses.push(if self.one_in(2) {
                format!("a{one}.x < a{other}.x + 4")
            } else {
                self.equality(one, other)
            });
        }
        if clauses.is_empty() {
            return format!("FROM {from}");
        }
        format!("FROM {from} WHERE {}", clauses.join(" AND "))
    }

    fn aggregate(&mut self, of: usize) -> String {
        let number = match self.adds_floats {
            true => self.pick(&["f", "f", "f::real", "x"]),
            false => self.pick(&["x", "k", "big", "small", "n", "wide", "exact"]),
        };
        let any = self.pick(&["x", "k", "big", "s", "n", "day", "at", "b", "loose", "f", "wide"]);
        let aggregate = match self.below(15) {
            0..=3 => "count(*)".to_owned(),
            4 => format!("count(a{of}.{any})"),
            5 => format!("sum(a{of}.{number})"),
            6 => format!("avg(a{of}.{number})"),
            // Of zeros of both signs the least is the one that came first.
            7 if self.adds_floats => format!("min(a{of}.x)"),
            7 => format!("min(a{of}.{number})"),
            8 => format!("max(a{of}.s)"),
            9 => format!("bool_and(a{of}.b)"),
            10 => format!("bool_or(a{of}.x > 3)"),
            11 => format!("count(DISTINCT a{of}.{any})"),
            12 => format!("sum(a{of}.{number} * 2 + 1)"),
            13 => format!("string_agg(DISTINCT a{of}.s, ',')"),
            _ => format!("avg(DISTINCT a{of}.{number})"),
        };
        if self.one_in(4) {
            return format!("{aggregate} FILTER (WHERE a{of}.x > {})", self.below(8));
        }
        aggregate
    }

    /// A statement that aggregates a join; now and then one that rewrites have to leave alone.
    pub(crate) fn statement(&mut self) -> String {
        let count = 2 + self.below(4);
        let from = self.from(count);
        // What the groups are of, and what is aggregated: relations to keep, and ones whose aggregates can be carried.
        let of = self.below(count);
        let (one, other) = (self.below(count), self.below(count));
        match self.below(10) {
            0..=2 => format!("SELECT count(*) {from}"),
            3 | 4 => format!(
                "SELECT {}, {}, 1 + {} {from}",
                self.aggregate(one),
                self.aggregate(other),
                "count(*)"
            ),
            5 | 6 => format!(
                "SELECT a{of}.x, {}, {} {from} GROUP BY a{of}.x",
                self.aggregate(one),
                self.aggregate(other)
            ),
            7 => format!(
                "SELECT a{of}.s, {} {from} GROUP BY a{of}.s, a{of}.b HAVING count(*) > {} ORDER BY 1, 2",
                self.aggregate(one),
                self.below(6)
            ),
            8 => format!(
                "SELECT a{of}.k, {} {from} GROUP BY a{of}.k, a{other}.x",
                self.aggregate(one)
            ),
            _ => match self.below(9) {
                7 => format!("SELECT DISTINCT a{of}.s, a{other}.x {from}"),
                8 => format!("SELECT DISTINCT a{of}.b, a{of}.day {from} ORDER BY 2, 1 LIMIT 3"),
                0 => format!("SELECT sum(a{of}.f) IS NULL, count(*) {from}"),
                1 => format!("SELECT count(a{of}) {from}"),
                2 => format!("SELECT a{of}.x {from} GROUP BY a{of}.x"),
                3 => format!("SELECT count(*), count(*) OVER () {from}"),
                4 => format!("SELECT a{of}.b, count(*) {from} GROUP BY ROLLUP (a{of}.b)"),
                5 => format!("SELECT DISTINCT count(*) {from} GROUP BY a{of}.k"),
                _ => format!("SELECT count(*) FROM (SELECT a{of}.x {from} LIMIT 1000000) AS s"),
            },
        }
    }
}

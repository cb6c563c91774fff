//! Random statements over four tables, one of them partitioned: joins of every type, aggregates over them, subqueries, CTEs,
//! window functions, set operations, LATERAL, DML with RETURNING, cursors, prepared statements.

/// Small tables with skew, correlation, duplicates and NULLs.
pub(crate) const TABLES: &str = "
    CREATE TABLE a (id int PRIMARY KEY, x int, y int, z int);
    INSERT INTO a SELECT i, i % 10, i % 10 / 2, NULLIF(i % 7, 3) FROM generate_series(1, 400) AS i;
    CREATE TABLE b (id int PRIMARY KEY, a_id int, x int, y int);
    INSERT INTO b SELECT i, 1 + i * i % 401, i % 6, NULLIF(i % 6, 2) FROM generate_series(1, 600) AS i;
    CREATE INDEX ON b (a_id);
    CREATE TABLE c (id int, x int, y int, a_id int);
    INSERT INTO c SELECT i, i % 12, i % 12, NULLIF(i % 50, 7) FROM generate_series(1, 300) AS i;
    CREATE INDEX ON c (x);
    CREATE TABLE p (id int, x int, y int) PARTITION BY RANGE (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (150);
    CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (150) TO (300);
    CREATE TABLE p3 PARTITION OF p DEFAULT;
    INSERT INTO p SELECT i, i % 9, i % 9 / 3 FROM generate_series(1, 450) AS i;
    CREATE TABLE parent (id int, x int);
    CREATE TABLE child (y int) INHERITS (parent);
    INSERT INTO parent SELECT i, i % 5 FROM generate_series(1, 100) AS i;
    INSERT INTO child SELECT i, i % 5, i FROM generate_series(101, 300) AS i;";

/// A seeded source of statements (splitmix64).
pub(crate) struct Generator {
    state: u64,
    prepared: u32,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            prepared: 0,
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn pick<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn table(&mut self) -> &'static str {
        self.pick(&["a", "b", "c", "p", "a", "b", "parent"])
    }

    /// A filter on one instance: correlated, ranges, lists, NULLs, CASE, functions.
    fn filter(&mut self, t: &str) -> String {
        let n = self.below(10);
        match self.below(9) {
            0 => format!("{t}.x = {n}"),
            1 => format!("{t}.x = {n} AND {t}.id % 2 = 0"),
            2 => format!("{t}.id BETWEEN {} AND {}", n * 20, n * 20 + 150),
            3 => format!("{t}.x IN ({n}, {}, 3)", n + 1),
            4 => format!("({t}.x < {n} OR {t}.id > 200)"),
            5 => format!("{n} < {t}.x"),
            6 => format!("CASE WHEN {t}.x > 4 THEN {t}.id ELSE {t}.x END > {}", n * 10),
            7 => format!("NOT ({t}.x = {n})"),
            _ => format!("coalesce({t}.x, 0) + 1 <> {n}"),
        }
    }

    fn filters(&mut self, instances: &[&str]) -> String {
        let mut all = Vec::new();
        for instance in instances {
            if self.below(3) > 0 {
                all.push(self.filter(instance));
            }
        }
        if all.is_empty() {
            "true".to_owned()
        } else {
            all.join(" AND ")
        }
    }

    fn join_condition(&mut self, left: &str, right: &str) -> String {
        match self.below(5) {
            0 => format!("{left}.x = {right}.x AND {left}.id = {right}.id"),
            1 => format!("{left}.id = {right}.id"),
            2 => format!("{left}.id = {right}.x AND {right}.id < 60"),
            3 => format!("{right}.id = {left}.id + 1"),
            _ => format!("{left}.x = {right}.id"),
        }
    }

    /// `FROM` with one to four instances, joined in various ways, and a `WHERE`.
    fn from(&mut self) -> (String, Vec<&'static str>) {
        const NAMES: [&str; 4] = ["t1", "t2", "t3", "t4"];
        let count = 1 + self.below(4) as usize;
        let mut from = format!("{} t1", self.table());
        for at in 1..count {
            let kind = self.pick(&["JOIN", "JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
            let table = self.table();
            let condition = match kind {
                // A full join needs a condition that can be merged or hashed.
                "FULL JOIN" => format!("{}.id = {}.id", NAMES[at - 1], NAMES[at]),
                _ => self.join_condition(NAMES[at - 1], NAMES[at]),
            };
            from = format!("{from} {kind} {table} {} ON {condition}", NAMES[at]);
        }
        (from, NAMES[..count].to_vec())
    }

    fn select(&mut self) -> String {
        let (from, instances) = self.from();
        let clauses = self.filters(&instances);
        let first = instances[0];
        match self.below(6) {
            0 => format!("SELECT count(*), sum({first}.x), max({first}.id) FROM {from} WHERE {clauses}"),
            1 => format!(
                "SELECT {first}.x, count(*) FROM {from} WHERE {clauses} GROUP BY {first}.x HAVING count(*) > 2"
            ),
            2 => format!("SELECT DISTINCT {first}.x, {first}.id % 5 FROM {from} WHERE {clauses}"),
            3 => format!("SELECT {first}.id, {first}.x FROM {from} WHERE {clauses} ORDER BY 1, 2 LIMIT 7"),
            4 => format!(
                "SELECT s.x, max(s.r) FROM (SELECT {first}.x, rank() OVER (PARTITION BY {first}.x ORDER BY {first}.id) \
                 AS r FROM {from} WHERE {clauses}) AS s GROUP BY s.x"
            ),
            _ => format!("SELECT count(*) FROM {from} WHERE {clauses}"),
        }
    }

    /// Aggregates over joins in which rows find several others, of sides that are only counted and of others.
    fn aggregated(&mut self) -> String {
        const NAMES: [&str; 4] = ["t1", "t2", "t3", "t4"];
        let count = 2 + self.below(3) as usize;
        let mut from = format!("{} t1", self.table());
        for at in 1..count {
            let kind = self.pick(&["JOIN", "JOIN", "JOIN", "LEFT JOIN"]);
            let (table, column) = (self.table(), self.pick(&["x", "x", "id"]));
            let (with, name) = (NAMES[self.below(at as u64) as usize], NAMES[at]);
            // What is joined last would make too many rows of many.
            let few = if at > 1 {
                format!(" AND {name}.id < 60")
            } else {
                String::new()
            };
            from = format!("{from} {kind} {table} {name} ON {name}.x = {with}.{column}{few}");
        }
        let of = |generator: &mut Self| NAMES[generator.below(count as u64) as usize];
        let mut aggregates = Vec::new();
        for _ in 0..1 + self.below(3) {
            let (name, n) = (of(self), self.below(6));
            let aggregate = match self.below(9) {
                0 | 1 => "count(*)".to_owned(),
                2 => format!("count({name}.x)"),
                3 => format!("sum({name}.x)"),
                4 => format!("avg({name}.id)"),
                5 => format!("min({name}.id), max({name}.x)"),
                6 => format!("bool_and({name}.x > {n}), bool_or({name}.id < {n})"),
                7 => format!("count(DISTINCT {name}.x)"),
                _ => format!("sum({name}.id * 3 - {n})"),
            };
            let filter = if self.below(4) == 0 {
                format!(" FILTER (WHERE {name}.id % 3 = 1)")
            } else {
                String::new()
            };
            aggregates.push(aggregate + &filter);
        }
        let (aggregates, group) = (aggregates.join(", "), of(self));
        let clauses = self.filters(&NAMES[..1]);
        match self.below(4) {
            0 => format!("SELECT {aggregates} FROM {from} WHERE {clauses}"),
            1 => format!(
                "SELECT {group}.x, {aggregates} FROM {from} WHERE {clauses} GROUP BY {group}.x HAVING count(*) > 3"
            ),
            2 => format!(
                "SELECT {group}.x + 1, {aggregates} FROM {from} WHERE {clauses} GROUP BY 1 ORDER BY 1 LIMIT 4"
            ),
            _ => format!("SELECT {group}.x, {aggregates} FROM {from} WHERE {clauses} GROUP BY {group}.x"),
        }
    }

    fn subquery(&mut self) -> String {
        let (outer, inner) = (self.table(), self.table());
        let (of_outer, of_inner) = (self.filter("o"), self.filter("i"));
        let n = self.below(9);
        match self.below(12) {
            7 => format!(
                "SELECT o.id, o.x FROM {outer} o WHERE {of_outer} AND (o.x = {n} OR EXISTS (SELECT FROM {inner} i WHERE i.x = o.x AND {of_inner}))"
            ),
            8 => format!(
                "SELECT count(*) FROM {outer} o WHERE {of_outer} AND o.x IN (SELECT i.x FROM {inner} i WHERE i.id = o.id AND {of_inner})"
            ),
            9 => format!(
                "SELECT count(*) FROM {outer} o WHERE o.x IS NOT NULL AND o.x NOT IN (SELECT i.x FROM {inner} i WHERE {of_inner} AND i.x IS NOT NULL)"
            ),
            10 => format!(
                "SELECT o.id, i.x FROM {outer} o JOIN {inner} i ON i.id = o.id WHERE {of_outer} AND (o.x = {n} OR i.x = 3)"
            ),
            11 => format!(
                "SELECT o.id, o.x, i.x FROM b o LEFT JOIN a i ON i.id = o.x WHERE {of_outer} ORDER BY o.x, o.id LIMIT {n}"
            ),
            0 => format!(
                "SELECT count(*) FROM {outer} o WHERE {of_outer} AND EXISTS (SELECT FROM {inner} i WHERE i.id = o.x AND {of_inner})"
            ),
            1 => format!(
                "SELECT count(*) FROM {outer} o WHERE {of_outer} AND NOT EXISTS (SELECT FROM {inner} i WHERE i.x = o.x AND {of_inner})"
            ),
            2 => format!(
                "SELECT count(*) FROM {outer} o WHERE {of_outer} AND o.x IN (SELECT i.id FROM {inner} i WHERE {of_inner})"
            ),
            3 => format!(
                "SELECT count(*) FROM {outer} o WHERE o.x NOT IN (SELECT i.x FROM {inner} i WHERE {of_inner} AND i.x IS NOT NULL)"
            ),
            4 => format!(
                "SELECT o.id, (SELECT count(*) FROM {inner} i WHERE i.x = o.x AND {of_inner}) FROM {outer} o WHERE {of_outer}"
            ),
            5 => format!(
                "SELECT count(*) FROM {outer} o, LATERAL (SELECT * FROM {inner} i WHERE i.x = o.x ORDER BY i.id LIMIT 2) AS l \
                 WHERE {of_outer}"
            ),
            _ => format!(
                "SELECT count(*) FROM {outer} o JOIN (SELECT i.x, count(*) AS n FROM {inner} i WHERE {of_inner} GROUP BY i.x) \
                 AS g ON g.x = o.x WHERE {of_outer}"
            ),
        }
    }

    fn set_operation(&mut self) -> String {
        let operation = self.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"]);
        let (left, right) = (self.table(), self.table());
        let (of_left, of_right) = (self.filter("l"), self.filter("r"));
        format!(
            "SELECT s.x, count(*) FROM (SELECT l.x FROM {left} l WHERE {of_left} {operation} \
             SELECT r.x FROM {right} r WHERE {of_right}) AS s GROUP BY s.x"
        )
    }

    fn cte(&mut self) -> String {
        let (table, other) = (self.table(), self.table());
        let clauses = self.filter("t");
        let kept = self.pick(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
        match self.below(3) {
            0 => format!(
                "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 20) \
                 SELECT count(*) FROM r JOIN {table} t ON t.id = r.n WHERE {clauses}"
            ),
            1 => format!(
                "WITH w AS {kept}(SELECT * FROM {table} t WHERE {clauses}) \
                 SELECT count(*) FROM w JOIN w AS v ON w.id = v.id JOIN {other} o ON o.id = w.id"
            ),
            _ => format!(
                "WITH w AS {kept}(SELECT * FROM {table} t WHERE {clauses}) SELECT x, count(*) FROM w GROUP BY x"
            ),
        }
    }

    fn change(&mut self) -> String {
        let clauses = self.filter("s");
        match self.below(4) {
            0 => format!(
                "UPDATE b SET x = b.x + 1 FROM a s WHERE s.id = b.a_id AND {clauses} RETURNING b.id, b.x"
            ),
            1 => format!("DELETE FROM c USING a s WHERE s.id = c.a_id AND {clauses} RETURNING c.id"),
            2 => {
                format!("INSERT INTO c SELECT s.id, s.x, s.x, s.id FROM b s WHERE {clauses} RETURNING id, x")
            }
            _ => format!(
                "WITH gone AS (DELETE FROM p s WHERE {clauses} RETURNING id) SELECT count(*) FROM gone JOIN a USING (id)"
            ),
        }
    }

    fn cursor(&mut self) -> String {
        let (table, clauses) = (self.table(), self.filter("t"));
        format!(
            "DECLARE walk SCROLL CURSOR FOR SELECT t.id, t.x FROM {table} t WHERE {clauses} ORDER BY t.id, t.x; \
             FETCH 3 FROM walk; FETCH BACKWARD 2 FROM walk; FETCH ALL FROM walk; CLOSE walk"
        )
    }

    fn prepared(&mut self) -> String {
        self.prepared += 1;
        let (name, table, n) = (format!("q{}", self.prepared), self.table(), self.below(10));
        let mode = self.pick(&["auto", "force_custom_plan", "force_generic_plan"]);
        format!(
            "SET LOCAL plan_cache_mode = {mode}; PREPARE {name} (int) AS SELECT count(*) FROM {table} t JOIN a ON a.id = t.id \
             WHERE t.x = $1 AND a.x < 8; EXECUTE {name} ({n}); EXECUTE {name} ({}); DEALLOCATE {name}",
            n + 1
        )
    }

    /// The next statement, or a few that belong together.
    pub(crate) fn statement(&mut self) -> String {
        match self.below(14) {
            12 | 13 => self.aggregated(),
            0..=4 => self.select(),
            5 | 6 => self.subquery(),
            7 => self.set_operation(),
            8 => self.cte(),
            9 => self.change(),
            10 => self.cursor(),
            _ => self.prepared(),
        }
    }
}

//! Random statements that want the first rows of joins.

use super::{Generator, TABLES};

impl Generator {
    /// What `a{at}` is joined to `a{of}` by: its key, mostly.
    fn by_key(&mut self, of: usize, at: usize) -> String {
        let n = self.below(8);
        match self.below(8) {
            0 => format!("a{at}.id = a{of}.k"),
            1 => format!("a{of}.big = a{at}.id AND a{at}.x > {n}"),
            2 => format!("a{at}.id = a{of}.x + 1 AND a{of}.b"),
            3 => format!("a{at}.k = a{of}.k AND a{at}.id = a{of}.id"),
            // As many rows as there are.
            4 => self.equality(of, at),
            5 => format!(
                "a{at}.x < a{of}.x AND EXISTS (SELECT FROM t{} e WHERE e.k = a{at}.k)",
                n % TABLES
            ),
            _ => format!("a{at}.id = a{of}.id"),
        }
    }

    /// A left join that keeps the rows of a0, written in one way or another, or a join that does not.
    fn keeping(&mut self, table: &str) -> String {
        let (one, other) = (self.below(TABLES), self.below(TABLES));
        let (first, second) = (self.by_key(0, 1), self.by_key(0, 2));
        match self.below(9) {
            0 => format!("t{one} a1 RIGHT JOIN {table} a0 ON {first} LEFT JOIN t{other} a2 ON {second}"),
            1 => {
                let inner = self.by_key(1, 2);
                format!("{table} a0 LEFT JOIN (t{one} a1 LEFT JOIN t{other} a2 ON {inner}) ON {first}")
            }
            2 => {
                let inner = self.by_key(1, 2);
                format!("{table} a0 LEFT JOIN (t{one} a1 JOIN t{other} a2 ON {inner}) ON {first}")
            }
            3 => {
                let inner = self.by_key(1, 2);
                format!("{table} a0 LEFT JOIN t{one} a1 ON {first} LEFT JOIN t{other} a2 ON {inner}")
            }
            4 => format!(
                "{table} a0 LEFT JOIN t{one} a1 USING (id) LEFT JOIN (SELECT k AS id, max(x) AS x, min(k) AS k, max(s) AS s
                    FROM t{other} GROUP BY k) a2 ON a2.id = a0.k"
            ),
            5 => format!("({table} a0 JOIN t{one} a1 ON {first}) LEFT JOIN t{other} a2 ON {second}"),
            // What is left alone.
            6 => format!("{table} a0 JOIN t{one} a1 ON {first} JOIN t{other} a2 ON {second}"),
            7 => format!("{table} a0 FULL JOIN t{one} a1 ON a1.id = a0.id LEFT JOIN t{other} a2 ON {second}"),
            _ => format!("{table} a0 LEFT JOIN t{one} a1 ON {first} LEFT JOIN t{other} a2 ON {second}"),
        }
    }

    fn order(&mut self) -> String {
        let key = self.pick(&["k", "x", "s", "v", "loose", "n", "day", "b", "f"]);
        let direction = self.pick(&["", " DESC", " DESC NULLS LAST", " NULLS FIRST"]);
        match self.below(10) {
            0 => "a0.id".to_owned(),
            1 => format!("a0.id{direction}, a1.x"),
            2 => format!("a0.{key}{direction}, a0.x + a0.k DESC, a0.id"),
            3 => format!("a0.{key}{direction}, a1.id, a0.id, a2.id"),
            4 => format!("a0.{key}{direction}, a2.x DESC, a0.id DESC, a1.id, a2.id"),
            5 => format!("a0.id, a1.id{direction}, a2.id DESC"),
            6 => format!("lower(a0.s), a0.{key}{direction}, a0.id, a1.id, a2.id"),
            // What is left alone, mostly.
            7 => format!("a1.x{direction}, a0.id, a1.id, a2.id"),
            _ => format!("a0.{key}{direction}, a0.id"),
        }
    }

    /// A statement that wants the first rows of a join; now and then one that leaves open which these are.
    pub(crate) fn top_n_statement(&mut self) -> String {
        let table = self.below(TABLES);
        let table = self.relation(table);
        let from = self.keeping(&table);
        let filter = match self.below(8) {
            0 | 1 => format!(" WHERE {}", self.filter(0)),
            2 => format!(" WHERE {} AND {}", self.filter(0), self.filter(0)),
            3 => " WHERE a1.x IS NULL".to_owned(),
            _ => String::new(),
        };
        let order = self.order();
        let (n, m) = (self.below(12), self.below(9));
        let limit = match self.below(9) {
            0 => format!("LIMIT {n} OFFSET {m}"),
            1 => format!("OFFSET {m} ROWS FETCH NEXT {n} ROWS ONLY"),
            2 => format!("LIMIT {n} + {m}"),
            3 => format!("LIMIT {n} + 1 OFFSET {m}"),
            4 => format!("FETCH FIRST {n} ROWS WITH TIES"),
            5 => "LIMIT ALL".to_owned(),
            _ => format!("LIMIT {n}"),
        };
        let targets = match self.below(7) {
            0 => "a0.*, a1.x, a2.k".to_owned(),
            1 => "a0.id, a0.s || a1.s, a0.x + a2.x".to_owned(),
            2 => "a2.x, a1.k".to_owned(),
            3 => "a0.k, a0.id AS other, coalesce(a1.x, a0.x)".to_owned(),
            4 => "a0.x, (SELECT count(*) FROM t0 e WHERE e.k = a0.k)".to_owned(),
            5 => "1".to_owned(),
            _ => "a0.id, a1.id, a2.id, a0.s".to_owned(),
        };
        let number = self.pick(&["", "", "", ", row_number() OVER ()", ", generate_series(1, 2)"]);
        format!("SELECT {targets}{number} FROM {from}{filter} ORDER BY {order} {limit}")
    }
}

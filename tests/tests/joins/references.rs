//! Foreign keys between the tables, and random statements that join what they refer to.

use super::{Generator, TABLES};

/// A key of a table's next one, as it is made and what is done then.
const ENFORCED: (&str, &str) = ("ADD CONSTRAINT refers FOREIGN KEY", "");
/// What is not enforced, or not at once.
const OTHERS: [(&str, &str); 4] = [
    (
        "ADD CONSTRAINT refers FOREIGN KEY",
        "ALTER TABLE {table} DISABLE TRIGGER ALL; UPDATE {table} SET ref = 9999 WHERE id % 4 = 0",
    ),
    (
        "ADD CONSTRAINT refers FOREIGN KEY",
        "SET session_replication_role = replica; UPDATE {table} SET ref = 9999 WHERE id % 4 = 0; RESET session_replication_role;
         ALTER TABLE {table} DROP CONSTRAINT refers",
    ),
    ("ADD CONSTRAINT refers FOREIGN KEY {deferrable}", ""),
    ("", "UPDATE {table} SET ref = 9999 WHERE id % 4 = 0"),
];

impl Generator {
    /// Tables as in [`Generator::schema`], each with columns that refer to the next one, mostly by a foreign key.
    pub(crate) fn referring_schema(&mut self, name: &str) -> String {
        let mut sql = self.schema(name);
        for table in 0..TABLES {
            let next = (table + 1) % TABLES;
            sql += &format!(
                "ALTER TABLE t{table} ADD ref int, ADD ref_k int;
                 UPDATE t{table} SET (ref, ref_k) = (SELECT id, k FROM t{next} AS n
                    WHERE n.id = 1 + t{table}.id * 7 % greatest((SELECT count(*) FROM t{next}), 1)) WHERE id % 6 <> 0;"
            );
        }
        for table in 0..TABLES {
            let next = (table + 1) % TABLES;
            let (key, then) = match self.one_in(3) {
                true => OTHERS[self.below(OTHERS.len())],
                false => ENFORCED,
            };
            let is_double = self.one_in(4);
            if !key.is_empty() {
                let (own, other) = match is_double {
                    true => ("ref_k, ref", "k, id"),
                    false => ("ref", "id"),
                };
                let (key, deferrable) = match key.strip_suffix(" {deferrable}") {
                    Some(key) => (key, "DEFERRABLE"),
                    None => (key, ""),
                };
                if is_double {
                    sql += &format!("CREATE UNIQUE INDEX ON t{next} (k, id);");
                }
                sql +=
                    &format!("ALTER TABLE t{table} {key} ({own}) REFERENCES t{next} ({other}) {deferrable};");
            }
            sql += &format!("{};", then.replace("{table}", &format!("t{table}")));
        }
        sql + "ANALYZE;"
    }

    /// What joins an instance of a table with one of the next table.
    fn reference(&mut self, own: usize, next: usize) -> String {
        let n = self.below(9);
        match self.below(10) {
            0 | 1 => format!("a{own}.ref_k = a{next}.k AND a{next}.id = a{own}.ref"),
            2 => format!("a{next}.id = a{own}.ref AND a{own}.ref = a{next}.id"),
            3 => format!("a{next}.id = a{own}.ref AND a{own}.x <> {n}"),
            // What is left alone, or some of it.
            4 => format!("a{next}.id = a{own}.ref AND a{next}.x > {n}"),
            5 => format!("a{next}.id = a{own}.k"),
            6 => format!("a{next}.id <= a{own}.ref"),
            _ => format!("a{next}.id = a{own}.ref"),
        }
    }

    /// A statement that joins what a table refers to, and mostly does not use it.
    pub(crate) fn reference_statement(&mut self) -> String {
        let (table, third) = (self.below(TABLES), self.below(TABLES));
        let (next, last) = ((table + 1) % TABLES, (table + 2) % TABLES);
        let (on, then) = (self.reference(0, 1), self.reference(1, 2));
        let kind = self.pick(&["JOIN", "JOIN", "JOIN", "JOIN", "LEFT JOIN"]);
        let mut from = match self.below(3) {
            0 => format!("t{next} a1 JOIN t{table} a0 ON {on}"),
            1 => format!("t{table} a0 {kind} t{next} a1 ON {on}"),
            _ => format!("t{table} a0 {kind} t{next} a1 ON {on} JOIN t{last} a2 ON {then}"),
        };
        let of = match self.one_in(2) {
            true => {
                from += &format!(" JOIN t{third} a3 ON {}", self.equality(0, 3));
                3
            }
            false => 0,
        };
        let used = if self.one_in(8) { 1 } else { of };
        let from = match self.one_in(2) {
            true => format!("FROM {from} WHERE {}", self.filter(of)),
            false => format!("FROM {from}"),
        };
        match self.below(8) {
            0 => format!("SELECT count(*), sum(a0.x), max(a{used}.s) {from}"),
            1 => format!(
                "SELECT a0.k, a{used}.b, count(*) {from} GROUP BY a0.k, a{used}.b HAVING bool_or(a0.b)"
            ),
            2 => format!("SELECT DISTINCT a{used}.s, a0.day {from} ORDER BY 2, 1"),
            3 => format!("SELECT a0.*, a{used}.x {from}"),
            4 => format!("SELECT a0.id {from} ORDER BY a{used}.id, a0.id LIMIT 5"),
            5 => format!("SELECT avg(a0.n), count(*) {from}"),
            _ => format!("SELECT a0.id, a{used}.v {from}"),
        }
    }
}

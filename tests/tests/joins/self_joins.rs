//! Random statements that join a table with itself.

use super::{Generator, TABLES};

impl Generator {
    /// What makes two instances of a table the same row, or almost.
    fn same_row(&mut self, one: usize, other: usize) -> String {
        let n = self.below(5);
        match self.below(9) {
            0 => format!("a{one}.k = a{other}.k AND a{other}.id = a{one}.id"),
            1 => format!("a{other}.id = a{one}.id AND a{one}.x <> {n}"),
            2 => format!("a{one}.id = a{other}.id AND a{other}.loose = a{one}.loose"),
            // What is left alone.
            3 => format!("a{one}.k = a{other}.k"),
            4 => format!("a{one}.id = a{other}.k"),
            5 => format!("a{one}.id <= a{other}.id"),
            _ => format!("a{one}.id = a{other}.id"),
        }
    }

    /// A statement that joins a table with itself, mostly by its key.
    pub(crate) fn self_join_statement(&mut self) -> String {
        let (table, third) = (self.below(TABLES), self.below(TABLES));
        let on = self.same_row(0, 1);
        let more = match self.below(4) {
            0 => format!(" JOIN t{third} a2 ON {}", self.equality(1, 2)),
            1 => format!(" LEFT JOIN t{third} a2 ON {}", self.equality(1, 2)),
            2 => format!(" JOIN t{table} a2 ON {}", self.same_row(1, 2)),
            _ => " CROSS JOIN (SELECT 1 AS x, 2 AS k, 'v1' AS s, true AS b, 3 AS id) a2".to_owned(),
        };
        let from = match self.below(4) {
            0 => format!("t{table} a0 JOIN t{table} a1 USING (id){more}"),
            1 => format!("t{table} a1 CROSS JOIN t{table} a0{more} WHERE {on}"),
            _ => format!("t{table} a0 JOIN t{table} a1 ON {on}{more}"),
        };
        let and = if from.contains(" WHERE ") { "AND" } else { "WHERE" };
        let (of, table) = (self.below(3), self.below(2));
        let filter = self.filter(table);
        let from = match self.one_in(2) {
            true => format!("FROM {from} {and} {filter}"),
            false => format!("FROM {from}"),
        };
        match self.below(8) {
            0 => format!("SELECT count(*), sum(a1.x), max(a{of}.s) {from}"),
            1 => format!("SELECT a1.k, a0.b, count(*) {from} GROUP BY a1.k, a0.b HAVING bool_or(a{of}.b)"),
            2 => format!("SELECT DISTINCT a1.s, a0.day, a1.k + a{of}.k {from} ORDER BY 2, 1, 3"),
            3 => format!("SELECT a0.*, a1.x {from}"),
            4 => format!("SELECT a1, a0.k {from} ORDER BY a1.id"),
            5 => format!("SELECT a0.id, a1.n, a{of}.x {from} ORDER BY 1, 2, 3 LIMIT 5"),
            6 => format!("SELECT string_agg(a1.s, ',' ORDER BY a1.s), avg(a0.n) {from}"),
            _ => format!("SELECT a1.id, a1.v, a{of}.s {from}"),
        }
    }
}

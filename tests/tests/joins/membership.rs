//! Random statements with IN and its kin over subqueries that mention outer columns.

use super::{Generator, TABLES};

impl Generator {
    /// What a subquery over `e` needs of `a{of}` besides what is compared.
    fn connection(&mut self, of: usize) -> String {
        let n = self.below(6);
        match self.below(8) {
            0 => format!("e.x < a{of}.x + {n}"),
            1 => format!("e.x <> a{of}.k"),
            2 => format!("(e.k = a{of}.k OR e.b AND a{of}.x > {n})"),
            3 => format!("EXISTS (SELECT FROM t{n} g WHERE g.k = e.k AND g.x <= a{of}.x)"),
            // It stands alone.
            4 => "e.x > 1".to_owned(),
            _ => self.correlation(of),
        }
    }

    /// FROM of a subquery, now and then connected there.
    fn connected_from(&mut self, of: usize) -> String {
        let (one, other) = (self.below(TABLES), self.below(TABLES));
        match self.below(9) {
            0 => format!("t{one} e JOIN t{other} d ON d.k = e.k AND d.x >= a{of}.x"),
            1 => format!("t{one} e LEFT JOIN t{other} d ON d.k = e.id AND d.x > a{of}.x"),
            2 => format!("(SELECT * FROM t{one} f WHERE f.x > a{of}.x) e"),
            _ => self.inner_from(),
        }
    }

    fn membership(&mut self, of: usize) -> String {
        let (own, outer) = self.key_columns();
        let (from, filter) = (self.connected_from(of), self.inner_filter());
        let connection = self.connection(of);
        let end = self.pick(&["", "", "", "", "", "", " LIMIT 3", " GROUP BY 1", " ORDER BY 1"]);
        let rest = format!("FROM {from} WHERE {connection}{filter}");
        match self.below(16) {
            0 => format!("(a{of}.{outer}, a{of}.id) IN (SELECT e.{own}, e.id {rest}{end})"),
            1 => format!("a{of}.{outer} = ANY (SELECT e.{own} {rest}{end})"),
            2 => format!("a{of}.{outer} < ANY (SELECT e.{own} {rest})"),
            3 => format!("a{of}.x <> SOME (SELECT e.x {rest})"),
            4 => format!("'v1' IN (SELECT e.s {rest})"),
            5 => format!("a{of}.{outer} IN (SELECT a{of}.{outer} {rest})"),
            6 => format!(
                "a{of}.k IN (SELECT e.k {rest} AND e.big IN (SELECT g.big FROM t{} g WHERE g.x < e.x))",
                self.below(TABLES)
            ),
            // What is left alone.
            7 => format!("a{of}.{outer} NOT IN (SELECT e.{own} {rest})"),
            8 => format!("a{of}.{outer} IN (SELECT max(e.{own}) {rest})"),
            9 => format!("a{of}.{outer} IN (SELECT DISTINCT e.{own} {rest})"),
            10 => format!("a{of}.x IN (SELECT 10 / (e.x + 8) {rest})"),
            11 => format!("(a{of}.{outer} IN (SELECT e.{own} {rest})) IS NOT TRUE"),
            _ => format!("a{of}.{outer} IN (SELECT e.{own} {rest}{end})"),
        }
    }

    /// A statement with IN over a subquery that mostly mentions outer columns.
    pub(crate) fn membership_statement(&mut self) -> String {
        let count = 1 + self.below(3);
        let (of, n) = (self.below(count), self.below(6));
        let from = match count {
            1 => format!("FROM t{} a0", self.below(TABLES)),
            _ => self.from(count),
        };
        let and = if from.contains(" WHERE ") { "AND" } else { "WHERE" };
        let condition = match self.below(6) {
            0 => format!("({} OR a{of}.x = {n})", self.membership(of)),
            1 => format!("({} OR a{of}.b AND {})", self.membership(of), self.membership(of)),
            2 => format!("{} AND {}", self.membership(of), self.exists(of)),
            _ => self.membership(of),
        };
        let clauses = format!("{from} {and} {condition}");
        match self.below(9) {
            0 => format!("SELECT count(*), sum(a{of}.x) {clauses}"),
            1 => format!("SELECT a{of}.s, count(*) {clauses} GROUP BY a{of}.s HAVING bool_or(a{of}.b)"),
            2 => format!("SELECT DISTINCT a{of}.k, a{of}.day {clauses}"),
            3 => format!("SELECT s.k, count(*) FROM (SELECT a{of}.k, a{of}.x {clauses}) s GROUP BY s.k"),
            4 => format!("WITH c AS (SELECT a{of}.k, a{of}.s {clauses}) SELECT * FROM c WHERE k > 0"),
            5 => {
                let on = self.membership(1);
                let (one, other) = (self.below(TABLES), self.below(TABLES));
                let kind = self.pick(&["JOIN", "LEFT JOIN"]);
                format!("SELECT a0.id, a1.x FROM t{one} a0 {kind} t{other} a1 ON a1.k = a0.k AND {on}")
            }
            6 => format!("SELECT a{of}.id, {} {clauses}", self.membership(of)),
            _ => format!("SELECT a{of}.id, a{of}.x {clauses}"),
        }
    }
}

//! Random statements whose distinct results need some of their joined tables only.

use super::Generator;

impl Generator {
    /// A condition that two tables have to meet together, mostly not an equality.
    fn comparison(&mut self, one: usize, other: usize) -> String {
        let n = self.below(6);
        match self.below(5) {
            0 => format!("a{one}.x <= a{other}.k + {n}"),
            1 => format!("a{one}.s < a{other}.v"),
            2 => format!("a{one}.loose = a{other}.loose"),
            3 => format!(
                "EXISTS (SELECT FROM t{n} e WHERE e.k = a{one}.k AND (e.x > {n} OR e.big = a{other}.big))"
            ),
            _ => format!("(a{one}.x = {n} OR a{other}.b OR a{other}.k IS NULL)"),
        }
    }

    /// A statement that gives distinct rows of a join; now and then one that is left alone.
    pub(crate) fn distinct_statement(&mut self) -> String {
        let count = 2 + self.below(3);
        let mut from = self.from(count);
        let (of, other) = (self.below(count), self.below(count));
        if self.one_in(3) {
            let and = if from.contains(" WHERE ") { "AND" } else { "WHERE" };
            from = format!("{from} {and} {}", self.comparison(of, other));
        }
        match self.below(12) {
            0 | 1 => format!("SELECT DISTINCT a{of}.x {from}"),
            2 => format!("SELECT DISTINCT a{of}.s, a{of}.day {from} ORDER BY 2 DESC, 1"),
            3 => format!("SELECT DISTINCT a{of}.k + a{other}.x, a{of}.v || a{other}.s {from}"),
            4 => format!("SELECT DISTINCT lower(a{of}.loose) COLLATE loose, a{of}.b {from}"),
            5 => format!("SELECT DISTINCT a{of}.* {from}"),
            6 => format!("SELECT DISTINCT a{of}, 1 {from}"),
            7 => format!("SELECT DISTINCT a{of}.id, a{other}.n, a{other}.at {from}"),
            8 => format!("SELECT DISTINCT a{of}.id, a{of}.f {from} ORDER BY a{of}.f, a{of}.id"),
            // What is left alone.
            9 => format!("SELECT DISTINCT a{of}.k {from} ORDER BY 1 LIMIT 4"),
            10 => format!("SELECT DISTINCT ON (a{of}.k) a{of}.k {from} ORDER BY 1"),
            _ => format!("SELECT DISTINCT a{of}.k, count(*) OVER (PARTITION BY a{other}.x) {from}"),
        }
    }
}

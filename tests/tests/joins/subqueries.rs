//! Random statements with subqueries in expressions: correlated aggregates, EXISTS below OR and in results, NOT IN. And with
//! disjunctions over several tables.

use super::{Generator, TABLES};

impl Generator {
    /// What connects a subquery `e` with the table `a{of}`.
    pub(super) fn correlation(&mut self, of: usize) -> String {
        let equality = |generator: &mut Self| {
            let (own, outer) = generator.key_columns();
            match generator.one_in(2) {
                true => format!("e.{own} = a{of}.{outer}"),
                false => format!("a{of}.{outer} = e.{own}"),
            }
        };
        match self.below(9) {
            0 => format!("{} AND {}", equality(self), equality(self)),
            1 => format!("e.k = a{of}.k + 1 AND {}", equality(self)),
            // What is left alone.
            2 => format!("e.k < a{of}.k AND {}", equality(self)),
            3 => format!("e.k + 0 = a{of}.k AND {}", equality(self)),
            _ => equality(self),
        }
    }

    pub(super) fn inner_filter(&mut self) -> String {
        let n = self.below(8);
        match self.below(6) {
            0 => format!(" AND e.x > {n}"),
            1 => " AND e.b".to_owned(),
            2 => format!(
                " AND EXISTS (SELECT FROM t{} f WHERE f.k = e.k)",
                self.below(TABLES)
            ),
            _ => String::new(),
        }
    }

    pub(super) fn inner_from(&mut self) -> String {
        let (one, other) = (self.below(TABLES), self.below(TABLES));
        match self.below(6) {
            0 => format!("t{one} e JOIN t{other} d ON d.big = e.k"),
            1 => format!("t{one} e LEFT JOIN t{other} d ON d.k = e.id"),
            2 => format!("v{one} e"),
            3 => format!("(SELECT * FROM t{one} ORDER BY id LIMIT 40) e"),
            _ => format!("t{one} e"),
        }
    }

    /// A subquery with one value per row of `a{of}`.
    fn scalar(&mut self, of: usize) -> String {
        let value = match self.below(14) {
            0 | 1 => "count(*)".to_owned(),
            2 => "count(e.x) + 1".to_owned(),
            3 => "sum(e.x)".to_owned(),
            4 => "coalesce(sum(e.k), -1)".to_owned(),
            5 => "avg(e.n)".to_owned(),
            6 => "max(e.s)".to_owned(),
            7 => "min(e.day)".to_owned(),
            8 => "count(DISTINCT e.s)".to_owned(),
            9 => "count(*) FILTER (WHERE e.x > 2)".to_owned(),
            10 => "bool_or(e.b)".to_owned(),
            11 => "CASE WHEN count(*) > 1 THEN max(e.x) ELSE 0 END".to_owned(),
            // What is left alone.
            12 => "sum(10 / (e.x + 8))".to_owned(),
            _ => "string_agg(e.s, ',' ORDER BY e.s)".to_owned(),
        };
        let (from, on, filter) = (self.inner_from(), self.correlation(of), self.inner_filter());
        let end = self.pick(&[
            "",
            "",
            "",
            "",
            "",
            " LIMIT 1",
            " HAVING count(*) > 1",
            " GROUP BY ()",
        ]);
        format!("(SELECT {value} FROM {from} WHERE {on}{filter}{end})")
    }

    pub(super) fn exists(&mut self, of: usize) -> String {
        let (from, on, filter) = (self.inner_from(), self.correlation(of), self.inner_filter());
        let not = self.pick(&["", "NOT "]);
        let end = self.pick(&["", "", "", "", " LIMIT 1", " LIMIT 0"]);
        format!("{not}EXISTS (SELECT e.x FROM {from} WHERE {on}{filter}{end})")
    }

    /// NOT IN with nulls on one side or the other, or without.
    fn not_in(&mut self, of: usize) -> String {
        let from = self.inner_from();
        let (own, outer) = self.key_columns();
        let filter = self.inner_filter();
        let of_inner = match self.below(4) {
            0 => format!("e.{own} IS NOT NULL"),
            1 => format!("e.{own} = e.{own}"),
            2 => format!("e.k = a{of}.k AND e.{own} IS NOT NULL"),
            _ => "true".to_owned(),
        };
        let of_outer = match self.below(3) {
            0 => format!(" AND a{of}.{outer} IS NOT NULL"),
            1 => format!(" AND a{of}.{outer} = a{of}.{outer}"),
            _ => String::new(),
        };
        match self.below(4) {
            0 => format!("a{of}.id NOT IN (SELECT e.id FROM {from} WHERE {of_inner}{filter})"),
            1 => format!(
                "(a{of}.id, a{of}.{outer}) NOT IN (SELECT e.id, e.{own} FROM {from} WHERE {of_inner}{filter}){of_outer}"
            ),
            _ => format!(
                "a{of}.{outer} NOT IN (SELECT e.{own} FROM {from} WHERE {of_inner}{filter}){of_outer}"
            ),
        }
    }

    /// NOT IN without nulls on either side, by what tables or conditions say.
    fn not_in_without_nulls(&mut self, of: usize) -> String {
        let (from, filter) = (self.inner_from(), self.inner_filter());
        let (own, outer) = self.key_columns();
        let [of_inner, of_outer] = [("e", own), ("a", outer)].map(|(alias, column)| {
            let alias = if alias == "a" {
                format!("a{of}")
            } else {
                alias.to_owned()
            };
            match self.below(3) {
                0 => format!("{alias}.{column} = {alias}.{column}"),
                1 => format!("{alias}.{column} IS NOT NULL"),
                _ => format!("{alias}.{column} IS NOT NULL AND {alias}.x > {}", self.below(5)),
            }
        });
        match self.below(5) {
            0 => format!("a{of}.id NOT IN (SELECT e.id FROM {from} WHERE true{filter})"),
            1 => format!(
                "(a{of}.id, a{of}.{outer}) NOT IN (SELECT e.id, e.{own} FROM {from} WHERE {of_inner}{filter}) AND {of_outer}"
            ),
            2 => format!(
                "a{of}.{outer} NOT IN (SELECT e.{own} FROM {from} WHERE {of_inner} AND e.k = a{of}.k{filter}) AND {of_outer}"
            ),
            _ => format!(
                "a{of}.{outer} NOT IN (SELECT e.{own} FROM {from} WHERE {of_inner}{filter}) AND {of_outer}"
            ),
        }
    }

    /// A statement with NOT IN, mostly without nulls.
    pub(crate) fn not_in_statement(&mut self) -> String {
        self.statement_with(|generator, of| match generator.below(4) {
            0 => generator.not_in(of),
            _ => generator.not_in_without_nulls(of),
        })
    }

    /// A statement with EXISTS where PostgreSQL makes no semi-join of it.
    pub(crate) fn exists_statement(&mut self) -> String {
        self.statement_with(|generator, of| {
            let (exists, n) = (generator.exists(of), generator.below(6));
            match generator.below(5) {
                0 => format!("({exists}) IS NOT FALSE"),
                1 => format!("CASE WHEN a{of}.b THEN {exists} ELSE a{of}.x > {n} END"),
                2 => format!("({exists} OR {})", generator.exists(of)),
                _ => format!("({exists} OR a{of}.x = {n})"),
            }
        })
    }

    /// A statement over one to three tables with a condition on one of them.
    fn statement_with(&mut self, condition: impl FnOnce(&mut Self, usize) -> String) -> String {
        let count = 1 + self.below(3);
        let of = self.below(count);
        let from = match count {
            1 => format!("FROM t{} a0", self.below(TABLES)),
            _ => self.from(count),
        };
        let and = if from.contains(" WHERE ") { "AND" } else { "WHERE" };
        let clauses = format!("{from} {and} {}", condition(self, of));
        match self.below(5) {
            0 => format!("SELECT count(*), sum(a{of}.x) {clauses}"),
            1 => format!("SELECT a{of}.s, count(*) {clauses} GROUP BY a{of}.s"),
            2 => format!("SELECT DISTINCT a{of}.k, a{of}.day {clauses}"),
            _ => format!("SELECT a{of}.id, a{of}.x {clauses}"),
        }
    }

    fn subquery_condition(&mut self, of: usize) -> String {
        let n = self.below(6);
        match self.below(7) {
            0 | 1 => format!("a{of}.x > {}", self.scalar_number(of)),
            2 => format!("({} OR a{of}.x = {n})", self.exists(of)),
            3 => format!(
                "CASE WHEN a{of}.b THEN {} ELSE a{of}.x > {n} END",
                self.exists(of)
            ),
            4 | 5 => self.not_in(of),
            _ => self.exists(of),
        }
    }

    fn scalar_number(&mut self, of: usize) -> String {
        let value = self.pick(&["count(*)", "count(e.k)", "max(e.x)", "sum(e.x)", "avg(e.k) - 1"]);
        let (from, on, filter) = (self.inner_from(), self.correlation(of), self.inner_filter());
        format!("(SELECT {value} FROM {from} WHERE {on}{filter})")
    }

    /// A statement with subqueries in its conditions or its result.
    pub(crate) fn subquery_statement(&mut self) -> String {
        let count = 1 + self.below(3);
        let of = self.below(count);
        let from = match count {
            1 => format!("FROM t{} a0", self.below(TABLES)),
            _ => self.from(count),
        };
        let condition = self.subquery_condition(of);
        let clauses = match from.contains(" WHERE ") {
            true => format!("{from} AND {condition}"),
            false => format!("{from} WHERE {condition}"),
        };
        match self.below(8) {
            0 | 1 => format!("SELECT a{of}.id, a{of}.k, {} {from}", self.scalar(of)),
            2 => format!(
                "SELECT a{of}.id, {}, {} {clauses}",
                self.scalar(of),
                self.exists(of)
            ),
            3 => format!("SELECT count(*), sum(a{of}.x) {clauses}"),
            4 => format!("SELECT a{of}.s, count(*) {clauses} GROUP BY a{of}.s"),
            5 => format!("SELECT DISTINCT a{of}.k, {} {from}", self.scalar(of)),
            6 => format!(
                "SELECT s.k, s.v FROM (SELECT a{of}.k, {} AS v {clauses}) AS s",
                self.scalar(of)
            ),
            _ => format!("SELECT a{of}.id, a{of}.x {clauses}"),
        }
    }

    fn simple_filter(&mut self, of: usize) -> String {
        let n = self.below(9);
        match self.below(6) {
            0 => format!("a{of}.x > {n}"),
            1 => format!("a{of}.k = {n}"),
            2 => format!("a{of}.s IS NULL"),
            3 => format!("a{of}.b"),
            4 => format!("NOT a{of}.big < {n}"),
            _ => format!("a{of}.loose = 'V{n}'"),
        }
    }

    /// A statement with a disjunction over several of its tables, or over one only.
    pub(crate) fn disjunction_statement(&mut self) -> String {
        let count = 2 + self.below(2);
        let from = self.from(count);
        let arms: Vec<String> = (0..2 + self.below(3))
            .map(|_| {
                let of = self.below(count);
                let and = if self.one_in(4) { " AND " } else { "" };
                let more = if and.is_empty() {
                    String::new()
                } else {
                    self.simple_filter(of)
                };
                format!("{}{and}{more}", self.simple_filter(of))
            })
            .collect();
        let and = if from.contains(" WHERE ") { "AND" } else { "WHERE" };
        let from = format!("{from} {and} ({})", arms.join(" OR "));
        let (of, other) = (self.below(count), self.below(count));
        match self.below(6) {
            0 => format!("SELECT count(*) {from}"),
            1 => format!("SELECT a{of}.id, a{other}.s, a{of}.x + a{other}.k {from}"),
            2 => format!(
                "SELECT a{of}.x, {} {from} GROUP BY a{of}.x HAVING count(*) > 1",
                self.aggregate(other)
            ),
            3 => format!("SELECT DISTINCT a{of}.v, a{other}.day {from}"),
            4 => format!("SELECT 1 {from}"),
            _ => format!("SELECT a{of}.n, a{other}.at {from} ORDER BY a{of}.n, a{other}.at"),
        }
    }
}
